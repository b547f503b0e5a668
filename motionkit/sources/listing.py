"""The local files that the user's words name: files, folders, patterns, manifests."""

from __future__ import annotations

import dataclasses
import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from motionkit.errors import UsageError
from motionkit.sources.addresses import EXTENSIONS, is_address
from motionkit.sources.manifest import ManifestIndex, is_manifest, open_index
from motionkit.video.frame_folder import is_frame_folder
from motionkit.video.mevis import find_mevis, split_of
from motionkit.video.sidecars import TABLE_NAMES


@dataclasses.dataclass(frozen=True, slots=True)
class SourceFile:
    """One video to ingest: its absolute ``path``, and ``source``, what the user named (a manifest
    by its absolute path). ``kind`` is ``file``, or ``frames`` for a folder of pictures
    (`video.frame_folder`)."""

    path: str
    source: str
    kind: str = "file"


def find_sources(sources: Sequence[str]) -> Iterator[SourceFile]:
    """The videos that ``sources`` name, each once: files, folders (searched to the bottom for
    the names of `EXTENSIONS`, hidden files and folders left out; a folder in the MeViS layout
    gives its folders of frames), glob patterns, and the paths in manifests, there or not.
    Addresses are passed over: they are fetched first.

    Sorted by path within each source. Raises UsageError for a source that does not exist, and for
    a pattern or a folder without a video.
    """
    seen: set[str] = set()
    for source in sources:
        if is_address(source):
            continue
        given = Path(source).expanduser()
        if _names_manifest(given):
            named, found = str(given.absolute()), _of_manifest(given)
        else:
            named, found = source, _of_paths(source, given)
        for path, kind in found:
            if path not in seen:
                seen.add(path)
                yield SourceFile(path, named, kind)


def manifests_of(sources: Sequence[str]) -> list[ManifestIndex]:
    """The indexes of the manifests among ``sources``, in order, each once."""
    paths = [Path(s).expanduser() for s in sources if not is_address(s)]
    named = dict.fromkeys(path.absolute() for path in paths if _names_manifest(path))
    return [open_index(path) for path in named]


def _names_manifest(given: Path) -> bool:
    return is_manifest(given) and given.is_file()


def _of_manifest(given: Path) -> Iterator[tuple[str, str]]:
    for key in open_index(given).keys(addresses=False):
        yield key, "frames" if Path(key).is_dir() else "file"


def _of_paths(source: str, given: Path) -> Iterator[tuple[str, str]]:
    for path, kind in _paths(source, given):
        yield os.path.abspath(path), kind  # noqa: PTH100 - resolve() would follow links


def _paths(source: str, given: Path) -> list[tuple[Path, str]]:
    if given.is_dir():
        found = _below(given)
        if not found:
            known = " ".join(sorted(EXTENSIONS))
            raise UsageError(f"the folder {source} holds no video", hint=f"looked for {known}")
        return found
    if given.exists():
        return [(given, "file")]
    if glob.has_magic(source):
        # Path.glob takes no absolute patterns.
        matches = sorted(Path(m) for m in glob.glob(str(given), recursive=True))  # noqa: PTH207
        found = [p for m in matches for p in ([(m, "file")] if m.is_file() else _below(m))]
        if found:
            return sorted(found)
        raise UsageError(f"no file matches {source}")
    raise UsageError(f"there is no file or folder {source}", hint="check the path")


def _below(folder: Path) -> list[tuple[Path, str]]:
    """The videos of a folder; of the MeViS layout its folders of frames as well."""
    frames = [Path(place) for split in find_mevis(folder) for place in split.folders()]
    videos = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in EXTENSIONS
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )
    found = [(path, "frames") for path in frames] + [(path, "file") for path in videos]
    # A folder of a MeViS split may have lost its pictures; it is told by ingest, not here.
    if not found and (is_frame_folder(folder) or split_of(folder) is not None):
        return [(folder, "frames")]
    return found


class SidecarNames:
    """Which text files stand beside videos; each folder is listed once, the last ones kept."""

    _KEPT = 64

    def __init__(self) -> None:
        self._folders: dict[str, frozenset[str]] = {}

    def facts(self, path: str) -> list[tuple[str, int, int]]:
        """Name, size and time of change of every text file that belongs to the video."""
        folder, name = os.path.split(path)
        names = self._folders.get(folder)
        if names is None:
            names = self._folders[folder] = _text_names(folder)
            if len(self._folders) > self._KEPT:
                del self._folders[next(iter(self._folders))]
        stem = os.path.splitext(name)[0]  # noqa: PTH122 - a million times
        found = []
        for text in (f"{stem}.txt", f"{stem}.json", *TABLE_NAMES):
            if text in names:
                stat = _stat(os.path.join(folder, text))  # noqa: PTH118
                found.append((text, *stat))
        return found


def _text_names(folder: str) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            return frozenset(e.name for e in entries if e.name.endswith((".txt", ".json", ".csv")))
    except OSError:
        return frozenset()


def _stat(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:  # gone since it was listed
        return (-1, -1)
    return (found.st_size, found.st_mtime_ns)
