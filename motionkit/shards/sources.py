"""Where samples come from: the facts of their videos, their groups, and what made the tables."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from motionkit.stage import Tables, has_run

#: Every table that a sample can come from.
TABLES_READ: Final = (
    "videos",
    "expressions",
    "scans",
    "detections",
    "verdicts",
    "keypoints",
    "tracks",
    "captions",
)

#: Video id, times in seconds and 64-bit hashes of its frames, of every video.
Hashed = Iterable[tuple[str, NDArray[Any], NDArray[Any]]]
#: Finds near-duplicates: video id → group id. See `motionkit.duplicates.find_groups`.
FindGroups = Callable[[Hashed], Mapping[str, str]]


@dataclasses.dataclass(frozen=True)
class VideoFacts:
    """What a sample says of its video. ``source`` and ``page_url`` are fit to hand on."""

    source: str
    page_url: str | None
    licence: str | None
    fps: float | None
    seconds: float | None


def video_facts(tables: Tables) -> dict[str, VideoFacts]:
    """Facts by video id. Of equal copies the first by path counts."""
    columns = ["video_id", "path", "source", "page_url", "licence", "fps", "duration_s"]
    found: dict[str, tuple[str, VideoFacts]] = {}
    for row in tables.rows("videos", columns):
        known = found.get(row["video_id"])
        if known is None or row["path"] < known[0]:
            source = public_source(row["source"], row["path"])
            facts = VideoFacts(
                source, row["page_url"], row["licence"], row["fps"], row["duration_s"]
            )
            found[row["video_id"]] = (row["path"], facts)
    return {video: facts for video, (_, facts) in found.items()}


def public_source(source: str | None, path: str) -> str:
    """Where a video comes from, fit to hand on: an address as it is, else the file's name.

    The name is relative to the folder that was ingested; the maker's folders stay private.
    """
    if source and "://" in source:
        return source
    file = Path(path)
    try:
        relative = file.relative_to(source) if source else Path(file.name)
    except ValueError:
        relative = Path(file.name)
    return relative.as_posix() if relative.parts else file.name


def near_duplicates(tables: Tables, find: FindGroups | None = None) -> dict[str, str]:
    """Group id by video id, of every scanned video; a video without a twin may be missing.

    All videos of the workspace take part, whatever becomes a sample, so that choosing clips
    never changes a group.
    """
    if not has_run(tables, "scans"):
        return {}
    rows = tables.rows("scans", ["video_id", "hash_times_s", "hashes"])
    hashed = (
        (row["video_id"], row["hash_times_s"], row["hashes"])
        for row in rows
        if row["hashes"] is not None and len(row["hashes"])
    )
    first = next(hashed, None)
    if first is None:  # scanned without hashes: nothing to compare
        return {}
    if find is None:
        from motionkit.duplicates import find_groups

        find = find_groups
    return dict(find(itertools.chain([first], hashed)))


def stage_lineage(tables: Tables, read: tuple[str, ...] = TABLES_READ) -> dict[str, Any]:
    """Table → fingerprint, and stage, version and identity where the workspace records them."""
    found: dict[str, Any] = {}
    for table in read:
        if not has_run(tables, table):
            continue
        about = getattr(tables, "current", lambda _: None)(table) or {}
        # The identity holds parameters and weights, and no path of the maker's machine.
        entry = {key: about[key] for key in ("stage", "version", "identity") if key in about}
        found[table] = {**entry, "fingerprint": tables.fingerprint(table)}
    return found
