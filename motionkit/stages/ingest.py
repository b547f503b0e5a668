"""`ingest`: what every source file is, and whether all of it can be decoded.

Every file is read to its end once (no colour conversion), so the frame count, the presentation
times and the rate are facts, not what a header claims. Captions and licence come from text
files beside the video (`video.sidecars`).
"""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from motionkit.errors import InputError, UsageError
from motionkit.stage import Item, Kept, Outcome, Tables, digest
from motionkit.video.container import open_video, pictures
from motionkit.video.decode import choose_decoder
from motionkit.video.probe import clockwise, frame_rate, index_packets, is_variable
from motionkit.video.sidecars import read_sidecars

#: What counts as a video inside a folder; a file named directly may have any name.
EXTENSIONS: Final = frozenset(
    {
        ".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".wmv", ".flv", ".ogv", ".gif",
        ".ts", ".mts", ".m2ts", ".mpg", ".mpeg",
    }
)  # fmt: skip
_BLOCK: Final = 2**20


@dataclasses.dataclass(frozen=True)
class SourceFile:
    """One file to ingest: its absolute ``path``, and ``source``, what the user named."""

    path: str
    source: str


def find_sources(sources: Sequence[str]) -> list[SourceFile]:
    """The files that ``sources`` name: files, folders (searched to the bottom for the names of
    `EXTENSIONS`, hidden files and folders left out), or glob patterns.

    Sorted by path within each source; a file named twice appears once. Raises UsageError for a
    source that does not exist, a pattern or a folder without a video, and for no source at all.
    """
    if not sources:
        raise UsageError("no source given", hint="name a video file, a folder or a pattern")
    found: dict[str, SourceFile] = {}
    for source in sources:
        for path in _paths(source):
            absolute = os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links
            found.setdefault(absolute, SourceFile(absolute, source))
    return list(found.values())


def _paths(source: str) -> list[Path]:
    given = Path(source).expanduser()
    if given.is_dir():
        paths = _videos_below(given)
        if not paths:
            known = " ".join(sorted(EXTENSIONS))
            raise UsageError(f"the folder {source} holds no video", hint=f"looked for {known}")
        return paths
    if given.exists():
        return [given]
    if glob.has_magic(source):
        # Path.glob takes no absolute patterns.
        matches = (Path(m) for m in glob.glob(str(given), recursive=True))  # noqa: PTH207
        paths = sorted(p for m in matches for p in ([m] if m.is_file() else _videos_below(m)))
        if paths:
            return paths
        raise UsageError(f"no file matches {source}")
    raise UsageError(f"there is no file or folder {source}", hint="check the path")


def _videos_below(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in EXTENSIONS
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )


@dataclasses.dataclass(frozen=True)
class Ingest:
    """Register source files (see `find_sources`)."""

    sources: tuple[str, ...] = ()
    """Files, folders or glob patterns."""

    name: ClassVar[str] = "ingest"
    version: ClassVar[int] = 1
    table: ClassVar[str] = "videos"
    reads: ClassVar[tuple[str, ...]] = ()

    def identity(self, tables: Tables) -> dict[str, Any]:
        """Nothing: which files there are is said by the items, so that a second `ingest` of
        further files adds to the first."""
        return {}

    def items(self, tables: Tables) -> Iterator[Item]:
        """One item a file; the id changes when the file does (path, size, time of change)."""
        for file in find_sources(self.sources):
            stat = Path(file.path).stat()
            identity = digest([file.path, stat.st_size, stat.st_mtime_ns], 16)
            yield Item(f"src-{identity}", {"path": file.path, "source": file.source})

    def context(self, item: Item) -> dict[str, Any]:
        """What a failed row says too: which file it was."""
        return {"path": item.data["path"], "source": item.data["source"]}

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, item: Item) -> Outcome:
        """Hash, decode to the end, read sidecars. Raises InputError: `container.open_video`'s
        codes, no-frames, corrupt."""
        return Kept(describe(item.data["path"], item.data["source"]))


def describe(path: str, source: str) -> dict[str, Any]:
    """The row of `videos` for one file. Raises InputError as `Ingest.process`."""
    index = index_packets(path)
    times, length, rotation, (width, height) = _decode_all(path)
    sha256 = _sha256(path)
    texts = read_sidecars(path)
    if rotation % 180:
        width, height = height, width
    if length <= 0:
        length = index.last_length_s
    duration = float(times[-1]) + length
    variable = is_variable(times)
    expected = index.frames_declared or len(index.times_s)
    truncated = index.truncated or (not index.edit_list and len(times) < expected)
    clean = len(times) == len(index.times_s)
    flags = {
        "truncated": truncated,
        "edit-list": index.edit_list,
        "variable-rate": variable,
        "no-frame-count": index.frames_declared is None,
        "rotated": rotation != 0,
        "bad-sidecar": texts.bad,
    }
    return {
        "video_id": f"v{sha256[:16]}",
        "sha256": sha256,
        "path": path,
        "source": source,
        "size_bytes": Path(path).stat().st_size,
        "container": index.container,
        "codec": index.codec,
        "width": width,
        "height": height,
        "rotation": rotation,
        "fps": frame_rate(times, duration, index.rate_declared),
        "duration_s": duration,
        "frames_declared": index.frames_declared,
        "frames_decoded": len(times),
        "variable_rate": variable,
        "decoder": choose_decoder(path) if clean else "pyav",
        "problems": [code for code, there in flags.items() if there],
        "frame_times_s": times,
        "licence": texts.licence,
        "captions": texts.captions,
    }


def _decode_all(path: str) -> tuple[np.ndarray, float, int, tuple[int, int]]:
    """Presentation times [F] of all frames, the last one's length (0 where unknown), rotation
    clockwise, stored size (width, height)."""
    index = index_packets(path)
    container, stream = open_video(path)
    pts: list[int | None] = []
    rotation, size, last = 0, (0, 0), 0.0
    with container:
        tick = float(stream.time_base)
        for picture in pictures(container, stream, Path(path).name):
            if not pts:
                rotation, size = clockwise(picture), (picture.width, picture.height)
            pts.append(picture.pts)
            last = (picture.duration or 0) * tick
    if not pts:
        raise InputError("no-frames", f"{Path(path).name}: no picture can be decoded")
    if not index.timed or None in pts:
        return index.times_s[: len(pts)], 0.0, rotation, size
    ticks = np.array(pts, np.int64)
    return (ticks - ticks[0]) * tick, last, rotation, size


def _sha256(path: str) -> str:
    total = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(_BLOCK):
            total.update(block)
    return total.hexdigest()
