"""Small videos made on the spot: textured rooms, moving cameras, people, and damaged files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

Frames = list[np.ndarray]
WIDTH, HEIGHT = 320, 180


def texture(seed: int = 0, width: int = 900, height: int = 400, cell: int = 12) -> np.ndarray:
    """A coloured surface with corners everywhere, uint8 [height, width, 3]."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((height // cell + 2, width // cell + 2, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    tint = rng.random(3) * 0.6 + 0.4
    return np.clip(smooth * tint * 235 + 10, 0, 255).astype(np.uint8)


def view(wall: np.ndarray, x: float, y: float, zoom: float = 1.0) -> np.ndarray:
    """What a camera sees of a wall: sub-pixel exact shift, and zoom about the centre."""
    shift = np.array(
        [
            [1 / zoom, 0, x + (1 - 1 / zoom) * WIDTH / 2],
            [0, 1 / zoom, y + (1 - 1 / zoom) * HEIGHT / 2],
        ],
        np.float32,
    )
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(wall, shift, (WIDTH, HEIGHT), flags=flags)


def still(count: int, seed: int = 0) -> Frames:
    return [view(texture(seed), 100, 100)] * count


def pan(count: int, px: float, seed: int = 0) -> Frames:
    wall = texture(seed)
    return [view(wall, 100 + px * i, 100) for i in range(count)]


def noisy(frames: Frames, sigma: float = 4.0) -> Frames:
    rng = np.random.default_rng(1)
    return [np.clip(f + rng.normal(0, sigma, f.shape), 0, 255).astype(np.uint8) for f in frames]


def with_person(frames: Frames, x_from: float, x_to: float) -> Frames:
    """A striped figure, two thirds of the picture high, walks from one x to another."""
    out = []
    for i, frame in enumerate(frames):
        x = round(x_from + (x_to - x_from) * i / max(1, len(frames) - 1))
        frame = frame.copy()
        for row in range(12):
            top = 40 + row * 11
            colour = (200, 60, 40) if row % 2 else (40, 40, 90)
            cv2.rectangle(frame, (x - 22, top), (x + 22, top + 10), colour, -1)
        out.append(frame)
    return out


def numbered(count: int) -> Frames:
    """Frames whose ordinal can be read back with `number_of` after compression."""
    out = []
    for i in range(count):
        frame = np.full((96, 128, 3), 40, np.uint8)
        for bit in range(8):
            if i >> bit & 1:
                frame[8:40, bit * 16 : bit * 16 + 16] = 220
        frame[60:90, (i * 7) % 100 : (i * 7) % 100 + 20] = (200, 90, 60)
        out.append(frame)
    return out


def number_of(frame: np.ndarray) -> int:
    height, width = frame.shape[:2]
    y = round(height * 24 / 96)
    bits = [frame[y, round(width * (bit * 16 + 8) / 128)].mean() > 130 for bit in range(8)]
    return sum(1 << bit for bit, on in enumerate(bits) if on)


def cut_with_edit_list(source: Path, target: Path, start_s: float) -> None:
    """What `ffmpeg -ss start -c copy` does: packets from the key frame before, and an edit list
    that hides those before ``start_s``."""
    with av.open(str(source)) as inp, av.open(str(target), "w") as out:
        given = inp.streams.video[0]
        made = out.add_stream_from_template(given)
        start = round(start_s / given.time_base)
        inp.seek(start, stream=given, backward=True)
        for packet in inp.demux(given):
            if packet.dts is None:
                continue
            packet.pts -= start
            packet.dts -= start
            packet.stream = made
            out.mux(packet)


def rotated(source: Path, target: Path, clockwise: int) -> None:
    """The same packets with a display matrix that turns them clockwise."""
    with av.open(str(source)) as inp, av.open(str(target), "w") as out:
        given = inp.streams.video[0]
        made = out.add_stream_from_template(given)
        made.set_display_rotation(-clockwise)
        for packet in inp.demux(given):
            if packet.dts is None:
                continue
            packet.stream = made
            out.mux(packet)


def sound_only(target: Path) -> None:
    with av.open(str(target), "w") as out:
        stream = out.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def frames_of(chunks: Iterator[Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ordinals, times and frames of all chunks together."""
    parts = list(chunks)
    return tuple(
        np.concatenate([getattr(p, n) for p in parts]) for n in ("ordinals", "times_s", "frames")
    )  # type: ignore[return-value]


def header_first(source: Path, target: Path) -> None:
    """The same packets with the header before them, so that a cut-off end leaves it readable."""
    with (
        av.open(str(source)) as inp,
        av.open(str(target), "w", options={"movflags": "faststart"}) as out,
    ):
        given = inp.streams.video[0]
        made = out.add_stream_from_template(given)
        for packet in inp.demux(given):
            if packet.dts is None:
                continue
            packet.stream = made
            out.mux(packet)


def cut_off(source: Path, target: Path, share: float) -> None:
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * share)])
