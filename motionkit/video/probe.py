"""What a video file says about itself: its packets, and one decoded picture.

`index_packets` reads every packet without decoding (about a microsecond each) and so knows the
true presentation time of every frame, whatever the decoder: variable rates, B-frames and edit
lists come out right. `probe` adds the facts that need a picture.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError
from motionkit.video.container import open_video, packets, pictures

FloatArray = NDArray[np.float64]

#: Frame lengths within this share of their median count as a constant rate. Containers with
#: ticks of a millisecond round 1/30 s to 33 or 34 ms (1.5 % off), film at 60 fps to 16 or 17.
RATE_TOLERANCE: Final = 0.1


@dataclasses.dataclass(frozen=True)
class PacketIndex:
    """The frames of a video as its packets announce them; nothing is decoded.

    ``times_s`` [F] are presentation times in seconds in the order shown, the first 0; ``pts``
    [F] the same in the stream's own ticks, unshifted; ``keys`` [F] where decoding can start.
    ``edit_list``: some packets are decoded but not shown. ``truncated``: the file ends inside a
    packet or holds fewer than declared. ``timed``: the container gives presentation times; False
    means that frames were counted at the declared rate. ``seekable``: frames can be told by
    ``pts`` alone, so reading may start in the middle; False means: count from the first frame.
    The stored size is pixels before any rotation.
    """

    codec: str
    container: str
    stored_width: int
    stored_height: int
    frames_declared: int | None
    rate_declared: float | None
    pts: NDArray[np.int64]
    times_s: FloatArray
    keys: NDArray[np.bool_]
    last_length_s: float
    edit_list: bool
    truncated: bool
    timed: bool
    seekable: bool


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """Facts of one video file. Sizes in pixels as shown (rotation applied); times in seconds.

    ``rotation`` is degrees clockwise to turn the stored picture (0, 90, 180, 270). ``frames``
    counts packets: a damaged file may decode to fewer. ``fps`` is the mean rate, frames over
    duration; ``duration_s`` the time of the last frame plus its length. ``frames_declared`` is
    None where the container says nothing. ``times_s`` [frames].
    """

    path: str
    container: str
    codec: str
    width: int
    height: int
    rotation: int
    fps: float
    duration_s: float
    frames: int
    frames_declared: int | None
    variable_rate: bool
    edit_list: bool
    truncated: bool
    times_s: FloatArray


def probe(path: str) -> VideoInfo:
    """Facts of a video file: all packets are read, one picture is decoded.

    Raises InputError: the codes of `container.open_video`, no-frames, corrupt.
    """
    index = index_packets(path)
    container, stream = open_video(path)
    with container:
        for picture in pictures(container, stream, Path(path).name):
            rotation = clockwise(picture)
            width, height = picture.width, picture.height
            break
        else:
            raise InputError("no-frames", f"{Path(path).name}: no picture can be decoded")
    if rotation % 180:
        width, height = height, width
    duration = float(index.times_s[-1]) + index.last_length_s
    return VideoInfo(
        path=path,
        container=index.container,
        codec=index.codec,
        width=width,
        height=height,
        rotation=rotation,
        fps=frame_rate(index.times_s, duration, index.rate_declared),
        duration_s=duration,
        frames=len(index.times_s),
        frames_declared=index.frames_declared,
        variable_rate=is_variable(index.times_s),
        edit_list=index.edit_list,
        truncated=index.truncated,
        times_s=index.times_s,
    )


def clockwise(picture: Any) -> int:
    """Degrees clockwise (0, 90, 180, 270) by which a PyAV frame must be turned to be shown."""
    # FFmpeg counts counter-clockwise. Odd angles (a few phones write 89) go to the next quarter.
    return round(-picture.rotation / 90) * 90 % 360


def turned(picture: NDArray[np.uint8], degrees: int) -> NDArray[np.uint8]:
    """The picture turned clockwise by 0, 90, 180 or 270 degrees."""
    if not degrees:
        return picture
    return np.ascontiguousarray(np.rot90(picture, -(degrees // 90)))


def is_variable(times_s: FloatArray | Sequence[float]) -> bool:
    """Do frame lengths differ by more than `RATE_TOLERANCE` from their median?"""
    steps = np.diff(np.asarray(times_s, np.float64))
    if len(steps) < 2:
        return False
    middle = float(np.median(steps))
    return bool(np.abs(steps - middle).max() > max(RATE_TOLERANCE * middle, 0.0015))


def frame_rate(times_s: FloatArray, duration_s: float, declared: float | None) -> float:
    """Mean frames per second: frames over duration.

    Ticks of a millisecond make 30.003 of 30 exact frames a second; so where the lengths are
    constant and the declared rate lies within 0.5 % (or one tick) of the mean, it is taken.
    """
    mean = len(times_s) / duration_s
    if declared is None or is_variable(times_s):
        return mean
    slack = max(0.005, 0.0015 / duration_s)
    return declared if abs(declared - mean) <= slack * mean else mean


def index_packets(path: str) -> PacketIndex:
    """The packet index of a file; the last few are remembered (by path, size, time of change).

    Raises InputError as `container.open_video` does, and no-frames.
    """
    file = Path(path).absolute()
    try:
        found = file.stat()
        stamp = (found.st_size, found.st_mtime_ns)
    except OSError:
        stamp = (-1, -1)  # opening it says why
    return _index(str(file), *stamp)


@functools.lru_cache(maxsize=4)
def _index(path: str, size: int, mtime_ns: int) -> PacketIndex:
    container, stream = open_video(path)
    with container:
        shown: dict[int, tuple[bool, int]] = {}  # pts → key frame, duration
        edit_list = corrupt = untimed = double = False
        first_is_key: bool | None = None
        form = container.format.name
        declared = stream.frames or None
        end_s = 0.0  # of whatever lasts longest, sound included
        # Matroska declares no frame count, only how long the longest stream is.
        for packet in packets(container, stream if declared else None):
            if packet.size == 0:
                continue
            if packet.pts is not None:
                shown_for = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                end_s = max(end_s, shown_for)
            if packet.stream_index != stream.index:
                continue
            if packet.is_corrupt:
                corrupt = True
            elif packet.is_discard:
                edit_list = True
            elif packet.pts is None or form == "avi":
                # AVI has no presentation times; what FFmpeg makes of B-frames there is wrong.
                untimed = True
                break
            else:
                if first_is_key is None:
                    first_is_key = packet.is_keyframe
                double = double or packet.pts in shown
                shown[packet.pts] = (packet.is_keyframe, packet.duration or 0)
        codec = stream.codec_context.codec.canonical_name
        stored = stream.codec_context.width, stream.codec_context.height
        claimed_s = (container.duration or 0) / 1e6 if "matroska" in form else 0.0
        tick = float(stream.time_base)
        rate = stream.average_rate or stream.guessed_rate
    length = 1 / float(rate) if rate else 1 / 30
    if untimed:
        shown = _count_untimed(path, max(1, round(length / tick)))
    if not shown:
        raise InputError("no-frames", f"{Path(path).name} holds no picture that is shown")
    pts = np.array(sorted(shown), np.int64)
    times = (pts - pts[0]) * tick
    last = shown[int(pts[-1])][1] * tick
    if last <= 0:
        last = float(np.median(np.diff(times))) if len(times) > 1 else length
    # A list that begins before 0 was cut with an edit list even where no packet is marked.
    edit_list = edit_list or int(pts[0]) < 0
    short = claimed_s - end_s > max(0.25, 0.02 * claimed_s)
    if declared is not None and not edit_list and not untimed:
        short = len(pts) < declared
    return PacketIndex(
        codec=codec,
        container=form,
        stored_width=stored[0],
        stored_height=stored[1],
        frames_declared=declared,
        rate_declared=float(rate) if rate else None,
        pts=pts,
        times_s=times,
        keys=np.array([shown[int(p)][0] for p in pts], bool),
        last_length_s=last,
        edit_list=edit_list,
        truncated=corrupt or short,
        timed=not untimed,
        seekable=bool(first_is_key) and not (edit_list or corrupt or untimed or double),
    )


def _count_untimed(path: str, ticks: int) -> dict[int, tuple[bool, int]]:
    """No presentation times in the container: decode, and count at the declared rate."""
    container, stream = open_video(path)
    with container:
        count = sum(1 for _ in pictures(container, stream, Path(path).name))
    return {i * ticks: (i == 0, ticks) for i in range(count)}
