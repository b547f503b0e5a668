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
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from motionkit.errors import UsageError
from motionkit.stage import Item, Kept, Outcome, Tables, digest
from motionkit.video.decode import choose_decoder
from motionkit.video.probe import frame_rate, index_packets, is_variable
from motionkit.video.problems import problems_of
from motionkit.video.sidecars import read_sidecars
from motionkit.video.survey import survey

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

    def ids(self, tables: Tables) -> Iterator[tuple[str, str | None]]:
        """One item a file; its stamp changes when the file does (size, time of change)."""
        for file in find_sources(self.sources):
            yield _item_id(file.path), _stamp(file.path)

    def items(self, tables: Tables, wanted: Container[str] | None = None) -> Iterator[Item]:
        """The wanted files."""
        for file in find_sources(self.sources):
            item_id = _item_id(file.path)
            if wanted is None or item_id in wanted:
                data = {"path": file.path, "source": file.source}
                yield Item(item_id, data, _stamp(file.path))

    def context(self, item: Item) -> dict[str, Any]:
        """What a failed row says too: which file it was."""
        return {"path": item.data["path"], "source": item.data["source"]}

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, item: Item) -> Outcome:
        """Hash, decode to the end, read sidecars. Raises InputError: `container.open_video`'s
        codes, no-frames, corrupt."""
        return Kept(describe(item.data["path"], item.data["source"]))


def _item_id(path: str) -> str:
    return f"src-{digest([path], 16)}"


def _stamp(path: str) -> str:
    try:
        stat = Path(path).stat()
    except OSError:  # gone since it was listed: the work itself says so
        return "missing"
    return digest([stat.st_size, stat.st_mtime_ns], 16)


def describe(path: str, source: str) -> dict[str, Any]:
    """The row of `videos` for one file. Raises InputError as `Ingest.process`."""
    index, found = index_packets(path), survey(path)
    sha256 = _sha256(path)
    texts = read_sidecars(path)
    width, height = found.width, found.height
    if found.rotation % 180:
        width, height = height, width
    times = found.times_s
    duration = float(times[-1]) + found.last_length_s
    problems = problems_of(index, found)
    if texts.bad:
        problems.append("bad-sidecar")
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
        "rotation": found.rotation,
        "fps": frame_rate(times, duration, index.rate_declared),
        "duration_s": duration,
        "frames_declared": index.frames_declared,
        "frames_decoded": len(times),
        "variable_rate": is_variable(times),
        "decoder": choose_decoder(path) if found.whole else "pyav-counted",
        "problems": problems,
        "frame_times_s": times,
        "licence": texts.licence,
        "captions": texts.captions,
    }


def _sha256(path: str) -> str:
    total = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(_BLOCK):
            total.update(block)
    return total.hexdigest()
