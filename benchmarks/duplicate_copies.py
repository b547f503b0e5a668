"""Copies of videos as they turn up on the web: re-encoded, rescaled, trimmed, retouched.

Also the hard negatives: rendered videos that share a room, its light and a standing camera and
differ in the person alone.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit.synth.encode import write_video
from motionkit.synth.library import ORDER
from motionkit.synth.shot import make_shot
from motionkit.synth.spec import SynthSpec
from motionkit.video.container import open_video, pictures
from motionkit.video.probe import clockwise, turned

Frame = NDArray[np.uint8]

#: Copies are made at most this large (longer side, pixels); the originals are scanned as they are.
_LONGEST: Final = 400
_OPTIONS: Final[dict[str, dict[str, str]]] = {
    "libx264": {"preset": "veryfast"},
    "libvpx-vp9": {"cpu-used": "8", "deadline": "realtime", "b:v": "0"},
    "mpeg4": {},
}


@dataclasses.dataclass(frozen=True)
class Change:
    """What is done to a copy. Times in seconds, sizes as shares of the picture."""

    name: str
    codec: str = "libx264"
    quality: int = 26
    scale: float = 1.0
    squeeze: float = 1.0  # of the width alone
    fps: float | None = None
    trim_s: float | None = None  # this long, from a place drawn by lot
    share: float | None = None  # or this share of the length
    gain: float = 1.0
    lift: float = 0.0  # grey levels
    gamma: float = 1.0
    logo: float = 0.0  # width of an opaque mark in a corner
    bars: float = 0.0  # black bars at top and bottom (negative: at the sides)
    crop: float = 0.0  # cut off at each side
    mirror: bool = False


#: The kinds of change that the goal names: re-encoded, rescaled, trimmed.
PLAIN: Final = (
    Change("h264 crf 20", quality=20),
    Change("h264 crf 32", quality=32),
    Change("h264 crf 40", quality=40),
    Change("vp9 crf 40", codec="libvpx-vp9", quality=40),
    Change("mpeg4 q 12", codec="mpeg4", quality=12),
    Change("scale 0.25", scale=0.25),
    Change("scale 0.5, crf 36", scale=0.5, quality=36),
    Change("scale 2", scale=2.0),
    Change("15 frames/s", fps=15),
    Change("24 frames/s", fps=24),
    Change("trimmed to 60 %", share=0.6),
    Change("trimmed to 5 s", trim_s=5.0),
    Change("trimmed to 2 s", trim_s=2.0),
    Change("2 s, scale 0.5, crf 34", trim_s=2.0, scale=0.5, quality=34),
    Change("2 s, vp9, 15 frames/s", trim_s=2.0, codec="libvpx-vp9", quality=36, fps=15),
)
#: Further changes.
FURTHER: Final = (
    Change("brighter", gain=1.1, lift=20),
    Change("darker, flatter", gain=0.7, lift=10),
    Change("gamma 1.5", gamma=1.5),
    Change("logo", logo=0.14),
    Change("logo, 2 s", logo=0.14, trim_s=2.0),
    Change("bars at top and bottom", bars=0.12),
    Change("bars at the sides", bars=-0.15),
    Change("bars, 3 s, scale 0.5", bars=0.12, trim_s=3.0, scale=0.5),
    Change("other aspect", squeeze=0.75),
    Change("2 % cropped", crop=0.02),
    Change("5 % cropped", crop=0.05),
    Change("mirrored", mirror=True),
    Change("mirrored, 3 s", mirror=True, trim_s=3.0),
)


Film = tuple[list[Frame], NDArray[np.float64]]
"""Frames as shown, and their presentation times in seconds."""


def make_copy(film: Film, name: str, target: Path, change: Change) -> None:
    """Write a changed copy of a film. The place of a trimmed copy depends on ``name`` alone."""
    frames, times = film
    length = float(times[-1] + (times[-1] - times[0]) / max(1, len(times) - 1) - times[0])
    wanted = change.trim_s or (change.share or 1.0) * length
    rng = np.random.default_rng(zlib.crc32(f"{name} {change.name}".encode()))
    start = rng.uniform(0, max(0.0, length - wanted))
    keep = (times - times[0] >= start - 1e-6) & (times - times[0] < start + wanted - 1e-6)
    picked = np.flatnonzero(keep)
    shown = times[picked] - times[picked[0]]
    if change.fps:
        ticks = np.arange(0, max(shown[-1], 1e-3), 1 / change.fps)
        at = np.clip(np.searchsorted(shown, ticks + 1e-6) - 1, 0, None)
        picked, shown = picked[at], ticks
    _write(target, (_changed(frames[i], change) for i in picked), shown, change)


def read_film(source: Path) -> Film:
    """All frames of a video, small enough to be copied many times."""
    container, stream = open_video(str(source))
    frames, times = [], []
    with container:
        for picture in pictures(container, stream):
            shrink = min(1.0, _LONGEST / max(picture.width, picture.height))
            size = [
                max(2, round(side * shrink / 2) * 2) for side in (picture.width, picture.height)
            ]
            small = picture.reformat(width=size[0], height=size[1], format="rgb24")
            frames.append(turned(small.to_ndarray(), clockwise(picture)).copy())
            times.append(float(picture.time))
    return frames, np.array(times)


def _changed(frame: Frame, change: Change) -> Frame:
    height, width = frame.shape[:2]
    if change.crop:
        y, x = round(height * change.crop), round(width * change.crop)
        frame = frame[y : height - y, x : width - x]
    if change.mirror:
        frame = frame[:, ::-1]
    if (change.gain, change.lift, change.gamma) != (1.0, 0.0, 1.0):
        levels = (np.arange(256) / 255) ** change.gamma * 255 * change.gain + change.lift
        frame = np.clip(levels, 0, 255).astype(np.uint8)[frame]
    frame = np.array(frame)  # a copy of its own: the film is used again
    if change.logo:
        side = round(width * change.logo)
        cv2.rectangle(frame, (width - side - 8, 8), (width - 8, 8 + side // 2), (240, 240, 240), -1)
        cv2.circle(frame, (width - 8 - side // 2, 8 + side // 4), side // 6, (200, 30, 30), -1)
    if change.bars:
        y = round(height * max(0.0, change.bars))
        x = round(width * max(0.0, -change.bars))
        frame = np.pad(frame, ((y, y), (x, x), (0, 0)))
    height, width = frame.shape[:2]
    size = width * change.scale * change.squeeze, height * change.scale
    even = (max(16, round(size[0] / 2) * 2), max(16, round(size[1] / 2) * 2))
    if even == (width, height):
        return frame
    return cv2.resize(
        frame, even, interpolation=cv2.INTER_AREA if change.scale < 1 else cv2.INTER_CUBIC
    )


def _write(
    target: Path, frames: Iterator[Frame], times: NDArray[np.float64], change: Change
) -> None:
    tick = Fraction(1, 1000)  # mpeg4 allows no finer one
    steps = np.round(times / float(tick)).astype(int)
    with av.open(str(target), "w") as out:
        stream: Any = out.add_stream(change.codec, rate=Fraction(change.fps or 30))
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = tick
        stream.codec_context.thread_count = 1
        stream.options = dict(_OPTIONS[change.codec])
        if change.codec == "mpeg4":
            stream.codec_context.flags |= 2  # a fixed quantiser
            stream.codec_context.global_quality = change.quality * 118
        else:
            stream.options |= {"crf": str(change.quality)}
        for step, frame in zip(steps, frames, strict=True):
            if not stream.width or step == steps[0]:
                stream.height, stream.width = frame.shape[:2]
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.time_base, picture.pts = tick, int(step)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))


def same_room(
    folder: Path, rooms: int, people: int, *, seconds: float, width: int = 320, height: int = 180
) -> list[Path]:
    """``rooms`` × ``people`` rendered videos: each room with one standing camera, another person
    doing another thing each time."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = round(seconds * 30)
    made = []
    for room in range(rooms):
        stage = None
        for person in range(people):
            kind = ORDER[(room * people + person) % len(ORDER)]
            seed = 1000 * room + person
            spec = SynthSpec(kinds=(kind,), seed=seed, seconds=seconds, width=width, height=height)
            shot = make_shot(spec, 0, frames)
            stage = stage or shot
            shot = dataclasses.replace(stage, people=shot.people, seed=shot.seed)
            made.append(folder / f"room{room}-person{person}-{kind}.mp4")
            if not made[-1].exists():
                write_video(made[-1], shot.frames(), width=width, height=height, fps=30.0)
    return made
