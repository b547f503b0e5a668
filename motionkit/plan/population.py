"""What there is to be done: every video's length from its header; nothing is decoded.

Of very many files only some are opened: the others' lengths follow from their sizes.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import multiprocessing
import random
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Final

from motionkit.errors import InputError, UsageError
from motionkit.sources.listing import SourceFile, find_sources, manifests_of
from motionkit.sources.manifest import Row

#: Files that one process opens at a time.
_CHUNK: Final = 64
#: Below this many files one process is enough.
_FEW: Final = 200
_TIMEOUT_S: Final = 120.0


@dataclasses.dataclass(frozen=True)
class Header:
    """What a file's header says. ``seconds`` is None where it names no length; ``pixels`` a
    picture, ``rate`` pictures a second, 0 where unknown."""

    seconds: float | None
    pixels: int = 0
    rate: float = 0.0


@dataclasses.dataclass(frozen=True)
class Video:
    """One video of the set. ``seconds`` is its length (0 where it cannot be opened), ``used_s``
    the part that manifests name, ``rows`` what they say of it; ``probed`` says whether its header
    was read, or its length follows from its size."""

    path: str
    kind: str
    bytes: int
    seconds: float
    used_s: float
    pixels: int
    rate: float
    probed: bool
    rows: tuple[Row, ...] = ()


@dataclasses.dataclass(frozen=True)
class Population:
    """All videos, sorted by path. ``probed`` headers were read, ``unreadable`` of them in vain."""

    videos: tuple[Video, ...]
    probed: int
    unreadable: int

    @property
    def seconds(self) -> float:
        """Seconds of video in all."""
        return sum(video.seconds for video in self.videos)

    @property
    def used_s(self) -> float:
        """Seconds that are worked on: all, or the stretches that manifests name."""
        return sum(video.used_s for video in self.videos)


def take_stock(
    sources: Sequence[str],
    *,
    frame_rate: float,
    most: int = 5000,
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Population:
    """The videos that ``sources`` name (as `ingest` takes them). Headers of at most ``most`` files
    are read, chosen by ``seed``. ``frame_rate`` is that of folders of pictures.

    Raises UsageError as `sources.listing.find_sources`, and where no header can be read.
    """
    manifests = manifests_of(sources)
    files = sorted(find_sources(sources), key=lambda file: file.path)
    sizes = [_size(file) for file in files]
    chosen = _chosen(files, most, seed)
    places = [i for i in chosen if files[i].kind == "file"]
    headers: dict[int, Header] = dict(
        zip(places, read_headers([files[i].path for i in places], workers, progress), strict=True)
    )
    for i in chosen:
        if files[i].kind == "frames":
            headers[i] = _frame_folder(files[i].path, frame_rate)
    if not any(header.seconds != 0 for header in headers.values()):
        raise UsageError(
            f"none of {len(headers)} files can be opened as a video.",
            hint="try: motionkit ingest SOURCES, then: motionkit failures",
        )
    per_byte = _per_byte(files, sizes, headers)
    videos = []
    for i, file in enumerate(files):
        header = headers.get(i)
        if file.kind == "frames":
            seconds = sizes[i] / frame_rate
        elif header is None or header.seconds is None:
            seconds = sizes[i] * per_byte
        else:
            seconds = header.seconds
        rows = tuple(row for manifest in manifests for row in manifest.rows(file.path))
        pixels, rate = (header.pixels, header.rate) if header else (0, 0.0)
        videos.append(
            Video(file.path, file.kind, sizes[i], seconds, used_seconds(rows, seconds), pixels,
                  rate, header is not None, rows)
        )  # fmt: skip
    unreadable = sum(header.seconds == 0 for header in headers.values())
    return Population(tuple(videos), len(headers), unreadable)


def _per_byte(
    files: Sequence[SourceFile], sizes: Sequence[int], headers: dict[int, Header]
) -> float:
    """Seconds of video in a byte, over the files whose header names a length."""
    known = [(sizes[i], h.seconds) for i, h in headers.items() if files[i].kind == "file"]
    size = sum(size for size, seconds in known if seconds)
    return sum(seconds or 0.0 for _, seconds in known) / size if size else 0.0


def used_seconds(rows: Sequence[Row], seconds: float) -> float:
    """Seconds of a video that its manifests' rows name; all of it where they name no stretch."""
    stretches = {(r.start_s or 0.0, r.end_s) for r in rows if not (r.start_s is r.end_s is None)}
    if not stretches:
        return seconds
    spans = sorted(
        (min(a, seconds), seconds if b is None else min(b, seconds)) for a, b in stretches
    )
    return sum(max(0.0, b - a) for a, b in spans)


def read_headers(
    paths: Sequence[str],
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Header]:
    """The headers of files, in their order; length 0 for a file that is no video.

    They are read in processes of their own: a damaged header may end one, and then counts as
    unreadable.
    """
    chunks = [list(paths[i : i + _CHUNK]) for i in range(0, len(paths), _CHUNK)]
    count = 1 if len(paths) < _FEW else max(1, workers)
    found: list[Header] = []
    while len(found) < len(paths):
        rest = chunks[len(found) // _CHUNK :]
        with _pool(count) as pool:
            futures = [pool.submit(_headers_of, chunk) for chunk in rest]
            try:
                for future in futures:
                    found += future.result(_TIMEOUT_S)
                    if progress is not None:
                        progress(len(found), len(paths))
                continue
            except (BrokenProcessPool, concurrent.futures.TimeoutError):
                _end(pool)
        found += [_alone(path) for path in chunks[len(found) // _CHUNK]]
    return found


def header_of(path: str) -> Header:
    """What the header of a video file says; length 0 where it is no video that can be opened."""
    from motionkit.video.container import open_video

    try:
        container, stream = open_video(path)
    except InputError:
        return Header(0.0)
    with container:
        context = stream.codec_context
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        seconds: float | None = None
        if stream.duration:
            seconds = float(stream.duration * stream.time_base)
        elif container.duration:
            seconds = container.duration / 1e6
        elif stream.frames and rate:
            seconds = stream.frames / rate
        if seconds is not None and seconds <= 0:
            seconds = None
        return Header(seconds, context.width * context.height, rate if rate < 1000 else 0.0)


def _headers_of(paths: list[str]) -> list[Header]:
    return [header_of(path) for path in paths]


def _alone(path: str) -> Header:
    """One header, in a process that may die of it."""
    with _pool(1) as pool:
        try:
            return pool.submit(header_of, path).result(_TIMEOUT_S)
        except (BrokenProcessPool, concurrent.futures.TimeoutError):
            _end(pool)
            return Header(0.0)


def _pool(count: int) -> concurrent.futures.ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return concurrent.futures.ProcessPoolExecutor(count, mp_context=context)


def _end(pool: concurrent.futures.ProcessPoolExecutor) -> None:
    """End the processes of a pool, also one that hangs."""
    for process in list((getattr(pool, "_processes", None) or {}).values()):
        process.kill()


def _chosen(files: Sequence[SourceFile], most: int, seed: int) -> list[int]:
    places = range(len(files))
    if len(files) <= most:
        return list(places)
    return sorted(random.Random(seed).sample(places, most))


def _size(file: SourceFile) -> int:
    path = Path(file.path)
    try:
        if file.kind == "frames":
            return sum(1 for _ in path.iterdir())  # pictures: what their length follows from
        return path.stat().st_size
    except OSError:
        return 0


def _frame_folder(path: str, frame_rate: float) -> Header:
    from motionkit.video.frame_folder import open_frame_folder

    try:
        return Header(len(open_frame_folder(path).files) / frame_rate, 0, frame_rate)
    except InputError:
        return Header(0.0)
