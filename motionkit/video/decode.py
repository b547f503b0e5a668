"""Frames of a video, in chunks of bounded memory.

PyAV reads them. decord gives the same pictures, ordinals and presentation times on sound files
(tested bit for bit), and can be asked for by name where single frames far apart are wanted.

Where the frames that decode are not those that the packets announce (damaged files, repaired
time stamps), "pyav-counted" numbers them by a `survey.survey` of the whole file.
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
from motionkit.video.survey import survey

#: A chunk of full-size frames is cut short at this many bytes, however many frames were asked.
CHUNK_BYTES: Final = 64 * 2**20

#: What ``decoder`` may be.
DECODERS: Final = ("decord", "pyav", "pyav-counted")

#: Where a seek lands on or before the key frame asked for.
_SEEK_CONTAINERS: Final = ("mov,mp4", "matroska")

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

    ``ordinals`` must not fall; a repeated one is given once for each time. ``decoder`` is one of
    `DECODERS`, or None for what `choose_decoder` says. Pass `videos.decoder` to be sure that two
    passes agree: only `ingest` has seen whether all of a file decodes. ``max_height`` shrinks
    higher pictures, keeping their shape. A chunk holds at most ``chunk`` frames, and at most about
    64 MiB of full-size pictures. A file that ends early gives the frames it has.

    Raises ValueError for arguments that make no sense; InputError: the codes of
    `container.open_video`, no-frames, corrupt (also in the middle of reading).
    """
    if decoder is not None and decoder not in DECODERS:
        raise ValueError(f"decoder {decoder!r} is unknown; use {', '.join(DECODERS)} or None")
    if chunk < 1 or step < 1 or first < 0 or (max_height is not None and max_height < 1):
        raise ValueError("chunk, step and max_height start at 1, first at 0")
    use = decoder or choose_decoder(path)
    frames = _announced(path) if use != "pyav-counted" else _counted(path)
    wanted = _wanted(frames, first, last, step, ordinals)
    read = _read_decord if use == "decord" else _read_pyav
    return read(path, frames, wanted, max_height, chunk)


def choose_decoder(path: str) -> str:
    """The right one of `DECODERS` as far as the packets say: "pyav", or "pyav-counted" where they
    say too little. Decodes nothing: whether every packet decodes is found by `survey.survey`
    alone, and where it does not, "pyav-counted" is right.

    Never "decord": read one after another, its pictures stay in memory (600 of 1080p took 3 GB
    and several times as long), and it is wrong or dead on AV1, transport streams, edit lists,
    truncated files and turned Matroska. Raises InputError as `probe.index_packets` does.
    """
    index = index_packets(path)
    return "pyav" if index.timed and not index.truncated else "pyav-counted"


@dataclasses.dataclass(frozen=True)
class _Frames:
    """How the pictures of a file are numbered. ``keys`` [K] are ordinals where decoding may
    start; with any, ``pts`` [F] rise and tell which picture a decoded one is; with none, pictures
    are counted from the first. ``size`` and ``rotation``: what every picture is brought to; None
    for the first picture's own."""

    times_s: NDArray[np.float64]
    pts: NDArray[np.int64]
    keys: NDArray[np.int64]
    stored: tuple[int, int]
    size: tuple[int, int] | None
    rotation: int | None


def _announced(path: str) -> _Frames:
    """By the packets."""
    index = index_packets(path)
    return _Frames(
        times_s=index.times_s,
        pts=index.pts,
        keys=np.flatnonzero(index.keys) if _may_seek(index) else np.zeros(0, np.int64),
        stored=(index.stored_width, index.stored_height),
        size=None,
        rotation=None,
    )


def _counted(path: str) -> _Frames:
    """By what decodes. Reading starts only at key frames that decode without an error: from
    there on the decoder gives what it gives when it comes from the beginning."""
    index, found = index_packets(path), survey(path)
    keys = np.zeros(0, np.int64)
    if _may_seek(index) and not found.repaired:
        sound = ~found.damaged & np.isin(found.pts, index.pts[index.keys])
        keys = np.flatnonzero(sound)
    return _Frames(
        times_s=found.times_s,
        pts=found.pts,
        keys=keys,
        stored=(found.width, found.height),
        size=(found.width, found.height),
        rotation=found.rotation,
    )


def _may_seek(index: PacketIndex) -> bool:
    return index.seekable and index.container.startswith(_SEEK_CONTAINERS)


def _wanted(
    frames: _Frames,
    first: int,
    last: int | None,
    step: int,
    ordinals: Sequence[int] | NDArray[np.integer] | None,
) -> NDArray[np.int32]:
    if ordinals is None:
        end = len(frames.times_s) if last is None else last + 1
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


def _fitting(frames: _Frames, chunk: int) -> int:
    frame_bytes = max(1, frames.stored[0] * frames.stored[1] * 3)
    return max(1, min(chunk, CHUNK_BYTES // frame_bytes))


def _read_decord(
    path: str, frames: _Frames, wanted: NDArray[np.int32], max_height: int | None, chunk: int
) -> Iterator[FrameChunk]:
    try:
        reader = _open_decord(path)
        wanted = wanted[wanted < min(len(reader), len(frames.times_s))]
        count = _fitting(frames, chunk)
        for start in range(0, len(wanted), count):
            part = wanted[start : start + count]
            batch = _get_batch(reader, part.tolist())
            shrunk = batch if max_height is None else [_shrunk(f, max_height) for f in batch]
            yield FrameChunk(part, frames.times_s[part], np.asarray(shrunk))
    except _DecordFailure as error:
        raise InputError(
            "corrupt", f"{Path(path).name} is damaged: it cannot be decoded to its end"
        ) from error


def _read_pyav(
    path: str, frames: _Frames, wanted: NDArray[np.int32], max_height: int | None, chunk: int
) -> Iterator[FrameChunk]:
    wanted = wanted[wanted < len(frames.times_s)]
    count = _fitting(frames, chunk)
    size, rotation = frames.size, frames.rotation
    kept: list[NDArray[np.uint8]] = []
    position = 0  # in wanted: the next one to find
    for ordinal, picture in _numbered(path, frames, wanted):
        size = size or (picture.width, picture.height)
        rotation = clockwise(picture) if rotation is None else rotation
        frame: NDArray[np.uint8] | None = None
        while position < len(wanted) and wanted[position] == ordinal:
            if frame is None:
                frame = _shrunk(_shown(picture, size, rotation), max_height)
            kept.append(frame)
            position += 1
            if len(kept) == count:
                yield _chunk(frames, wanted[position - count : position], kept)
                kept = []
        if position == len(wanted):
            break
    if kept:
        yield _chunk(frames, wanted[position - len(kept) : position], kept)


def _chunk(
    frames: _Frames, ordinals: NDArray[np.int32], pictures_: list[NDArray[np.uint8]]
) -> FrameChunk:
    return FrameChunk(ordinals, frames.times_s[ordinals], np.stack(pictures_))


def _shown(picture: Any, size: tuple[int, int], rotation: int) -> NDArray[np.uint8]:
    # Streams may change their size on the way; the first picture's size and turn hold for all.
    frame = picture.to_ndarray(format="rgb24", width=size[0], height=size[1])
    return turned(frame, rotation)


def _numbered(path: str, frames: _Frames, wanted: NDArray[np.int32]) -> Iterator[tuple[int, Any]]:
    """Decoded pictures with their ordinals, from shortly before the first wanted one on."""
    if not len(wanted):
        return
    if Path(path).is_dir():
        from motionkit.video.frame_folder import folder_pictures

        yield from folder_pictures(path, dict.fromkeys(wanted.tolist()))
        return
    before = frames.keys[frames.keys <= wanted[0]]
    start = int(before[-1]) if len(before) and wanted[0] >= SEEK_FROM else 0
    container, stream = open_video(path)
    with container:
        if start:
            container.seek(int(frames.pts[start]), stream=stream, backward=True)
        for count, picture in enumerate(pictures(container, stream)):
            ordinal = count
            if start:
                # A picture before the key frame (an open group) may be broken, but is not wanted.
                ordinal = int(np.searchsorted(frames.pts, picture.pts))
                if ordinal < len(frames.pts) and frames.pts[ordinal] != picture.pts:
                    continue
            if ordinal >= len(frames.times_s):
                return
            yield ordinal, picture
