"""Frames of a video, in chunks of bounded memory: decord where it is exact, else PyAV.

Both give the same pictures, ordinals and presentation times on sound files (tested bit for
bit). decord 0.6 is the faster one, but wrong or dead on AV1, MPEG transport streams, files cut
with an edit list and truncated files: those are told from the packets before it is asked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError
from motionkit.video.container import open_video, pictures
from motionkit.video.probe import PacketIndex, clockwise, index_packets, turned

#: A chunk of full-size frames is cut short at this many bytes, however many frames were asked.
CHUNK_BYTES: Final = 64 * 2**20

#: Where decord 0.6 was found exact. In MPEG transport streams it gave the last frame sixty times.
_DECORD_CONTAINERS: Final = ("mov,mp4", "matroska")

#: Where a seek lands on or before the key frame asked for.
_SEEK_CONTAINERS: Final = _DECORD_CONTAINERS

#: Reading starts at a key frame when that spares at least this many pictures.
SEEK_FROM: Final = 8


@dataclasses.dataclass(frozen=True)
class FrameChunk:
    """Frames in the order shown: ``ordinals`` int32 [n], ``times_s`` float64 [n] (first frame of
    the video 0), ``frames`` uint8 [n, H, W, 3] RGB, rotation applied."""

    ordinals: NDArray[np.int32]
    times_s: NDArray[np.float64]
    frames: NDArray[np.uint8]


def read_frames(
    path: str,
    *,
    decoder: str | None = None,
    first: int = 0,
    last: int | None = None,
    step: int = 1,
    ordinals: Sequence[int] | NDArray[np.integer] | None = None,
    max_height: int | None = None,
    chunk: int = 16,
) -> Iterator[FrameChunk]:
    """Frames ``first``, ``first + step``, … up to and with ``last``, or the given ``ordinals``.

    ``ordinals`` must not fall; a repeated one is given once for each time. ``decoder`` is
    "decord", "pyav" or None (the right one for the file; pass `videos.decoder` to be sure that
    two passes agree). ``max_height`` shrinks higher pictures, keeping their shape. A chunk holds
    at most ``chunk`` frames, and at most about 64 MiB of full-size pictures. A file that ends
    early gives the frames it has.

    Raises ValueError for arguments that make no sense; InputError: the codes of
    `container.open_video`, no-frames, corrupt (also in the middle of reading).
    """
    if decoder not in (None, "decord", "pyav"):
        raise ValueError(f"decoder {decoder!r} is unknown; use 'decord', 'pyav' or None")
    if chunk < 1 or step < 1 or first < 0 or (max_height is not None and max_height < 1):
        raise ValueError("chunk, step and max_height start at 1, first at 0")
    index = index_packets(path)
    wanted = _wanted(index, first, last, step, ordinals)
    use = decoder or choose_decoder(path)
    read = _read_decord if use == "decord" else _read_pyav
    return read(path, index, wanted, max_height, chunk)


def choose_decoder(path: str) -> str:
    """ "decord" where it reads the file right, else "pyav". Opens the file, decodes nothing.

    Raises InputError as `probe.index_packets` does.
    """
    index = index_packets(path)
    exact = index.container.startswith(_DECORD_CONTAINERS)
    if not exact or index.codec == "av1" or index.truncated or not index.seekable:
        return "pyav"
    try:
        reader = _open_decord(path)
        _get_batch(reader, [0])  # pictures of 16 x 16 pixels open, but do not decode
    except (ImportError, _DecordFailure):  # there is no decord for macOS
        return "pyav"
    if len(reader) != len(index.pts) or reader.get_frame_timestamp(0)[0] < 0:
        return "pyav"
    return "decord"


def _wanted(
    index: PacketIndex,
    first: int,
    last: int | None,
    step: int,
    ordinals: Sequence[int] | NDArray[np.integer] | None,
) -> NDArray[np.int32]:
    if ordinals is None:
        end = len(index.pts) if last is None else last + 1
        return np.arange(first, end, step, dtype=np.int32)
    chosen = np.asarray(ordinals, np.int32)
    if len(chosen) and (chosen[0] < 0 or (np.diff(chosen) < 0).any()):
        raise ValueError("ordinals must not be negative and must not fall")
    return chosen


class _DecordFailure(Exception):
    """decord gave up; its own error class cannot be named where decord is not installed."""


def _get_batch(reader: Any, ordinals: list[int]) -> NDArray[np.uint8]:
    from decord._ffi.base import DECORDError

    try:
        return reader.get_batch(ordinals).asnumpy()
    except (DECORDError, RuntimeError) as error:
        raise _DecordFailure(str(error)) from error


def _open_decord(path: str) -> Any:
    import decord
    from decord._ffi.base import DECORDError

    decord.logging.set_level(decord.logging.QUIET)
    try:
        return decord.VideoReader(str(Path(path).absolute()), ctx=decord.cpu(0), num_threads=1)
    except (DECORDError, RuntimeError) as error:
        raise _DecordFailure(str(error)) from error


def _shrunk(frame: NDArray[np.uint8], max_height: int | None) -> NDArray[np.uint8]:
    height, width = frame.shape[:2]
    if max_height is None or height <= max_height:
        return frame
    size = (max(1, round(width * max_height / height)), max_height)
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


def _fitting(index: PacketIndex, chunk: int) -> int:
    frame_bytes = max(1, index.stored_width * index.stored_height * 3)
    return max(1, min(chunk, CHUNK_BYTES // frame_bytes))


def _read_decord(
    path: str, index: PacketIndex, wanted: NDArray[np.int32], max_height: int | None, chunk: int
) -> Iterator[FrameChunk]:
    try:
        reader = _open_decord(path)
        wanted = wanted[wanted < min(len(reader), len(index.times_s))]
        count = _fitting(index, chunk)
        for start in range(0, len(wanted), count):
            part = wanted[start : start + count]
            batch = _get_batch(reader, part.tolist())
            frames = batch if max_height is None else [_shrunk(f, max_height) for f in batch]
            yield FrameChunk(part, index.times_s[part], np.asarray(frames))
    except _DecordFailure as error:
        raise InputError(
            "corrupt", f"{Path(path).name} is damaged: it cannot be decoded to its end"
        ) from error


def _read_pyav(
    path: str, index: PacketIndex, wanted: NDArray[np.int32], max_height: int | None, chunk: int
) -> Iterator[FrameChunk]:
    wanted = wanted[wanted < len(index.times_s)]
    count = _fitting(index, chunk)
    size: tuple[int, int] | None = None
    kept: list[NDArray[np.uint8]] = []
    position = 0  # in wanted: the next one to find
    for ordinal, picture in _numbered(path, index, wanted):
        size = size or (picture.width, picture.height)
        frame: NDArray[np.uint8] | None = None
        while position < len(wanted) and wanted[position] == ordinal:
            if frame is None:
                frame = _shrunk(_shown(picture, size), max_height)
            kept.append(frame)
            position += 1
            if len(kept) == count:
                yield _chunk(index, wanted[position - count : position], kept)
                kept = []
        if position == len(wanted):
            break
    if kept:
        yield _chunk(index, wanted[position - len(kept) : position], kept)


def _chunk(
    index: PacketIndex, ordinals: NDArray[np.int32], frames: list[NDArray[np.uint8]]
) -> FrameChunk:
    return FrameChunk(ordinals, index.times_s[ordinals], np.stack(frames))


def _shown(picture: Any, size: tuple[int, int]) -> NDArray[np.uint8]:
    # Streams may change their size on the way; the first picture's size holds for all.
    width, height = size
    frame = picture.to_ndarray(format="rgb24", width=width, height=height)
    return turned(frame, clockwise(picture))


def _numbered(
    path: str, index: PacketIndex, wanted: NDArray[np.int32]
) -> Iterator[tuple[int, Any]]:
    """Decoded pictures with their ordinals, from shortly before the first wanted one on."""
    if not len(wanted):
        return
    start = 0
    if index.seekable and wanted[0] >= SEEK_FROM and index.container.startswith(_SEEK_CONTAINERS):
        keys = np.flatnonzero(index.keys[: wanted[0] + 1])
        start = int(keys[-1]) if len(keys) else 0
    container, stream = open_video(path)
    with container:
        if start:
            container.seek(int(index.pts[start]), stream=stream, backward=True)
        for count, picture in enumerate(pictures(container, stream, Path(path).name)):
            # A picture before the key frame (an open group) may be broken, but is not wanted.
            ordinal = int(np.searchsorted(index.pts, picture.pts)) if start else count
            if ordinal >= len(index.times_s):
                return
            yield ordinal, picture
