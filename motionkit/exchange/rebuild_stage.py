"""`rebuild` as a stage: one item is a video that was found; it is checked and its clips are cut.

The rows go to the table `videos` of the rebuild's own workspace: ``path`` says which file it is,
``problems`` the status, ``extra`` (JSON) what became of each clip.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow.parquet as pq

from motionkit.errors import InputError
from motionkit.exchange.check import Verdict, check_file
from motionkit.exchange.cut import cut_clip
from motionkit.exchange.pack import VIDEOS, VIDEOS_SCHEMA
from motionkit.exchange.rows import safe_name
from motionkit.stage import Item, Kept, Outcome, Tables, digest

#: Statuses of a video whose clips can be cut.
USABLE = ("ok", "re-encoded", "retimed", "unverified")
_CLIP = ("sample_id", "clip_id", "first", "last", "t0_s", "t1_s")


@dataclasses.dataclass(frozen=True)
class Rebuild:
    """Check the videos of a pack, and cut their clips."""

    pack: str
    """The pack's folder."""
    pack_hash: str
    """SHA-256 of the pack's manifest."""
    clips: str
    """Folder that clips are written into; empty: none are cut."""
    quality: int = 18
    """Constant rate factor of H.264; smaller is better."""
    local: tuple[tuple[str, str], ...] = dataclasses.field(default=(), compare=False)
    """Video id and path of every file that was found or fetched."""

    name: ClassVar[str] = "rebuild"
    version: ClassVar[int] = 1
    table: ClassVar[str] = "videos"
    reads: ClassVar[tuple[str, ...]] = ()

    def identity(self, tables: Tables) -> dict[str, Any]:
        """The pack, and whether and how clips are cut."""
        return {
            "pack": self.pack_hash,
            "cut": self.quality if self.clips else None,
        }

    def ids(self, tables: Tables) -> Iterator[tuple[str, str | None]]:
        """One item a video that was found; its stamp changes with the file."""
        for video, path in self.local:
            yield video, _stamp(path)

    def items(self, tables: Tables, wanted: Container[str] | None = None) -> Iterator[Item]:
        """The wanted videos; a worker reads what the pack says of each."""
        for video, path in self.local:
            if wanted is None or video in wanted:
                yield Item(video, {"video_id": video, "path": path}, _stamp(path))

    def context(self, item: Item) -> dict[str, Any]:
        """What a failed row says too: which file it was."""
        return dict(item.data)

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, item: Item) -> Outcome:
        """Check, and cut. Raises InputError: the codes of `ingest`; no-such-video."""
        path, video = item.data["path"], item.data["video_id"]
        expected = expected_of(Path(self.pack), video)
        verdict = check_file(path, expected)
        done: dict[str, Any] = {}
        if self.clips:
            for clip in clips_of(Path(self.pack), video):
                done[clip["sample_id"]] = self._cut(path, clip, verdict)
        about = {"detail": verdict.detail, "same_frames": verdict.same_frames, "clips": done}
        return Kept(
            {
                "video_id": video,
                "path": path,
                "sha256": expected["sha256"],
                "problems": [verdict.status],
                "extra": json.dumps(about, sort_keys=True),
            }
        )

    def _cut(self, path: str, clip: Mapping[str, Any], verdict: Verdict) -> dict[str, Any]:
        """Status, frames and file of one clip."""
        target = Path(self.clips) / f"{safe_name(clip['clip_id'])}.mp4"
        target.unlink(missing_ok=True)  # of another file, or of another quality
        if verdict.status not in USABLE:
            return {"status": verdict.status, "frames": 0, "file": None}
        first, last = clip["first"], clip["last"]
        if not verdict.same_frames:
            first, last = by_time(verdict.times_s, clip["t0_s"], clip["t1_s"])
        try:
            frames = cut_clip(
                path, target, first, last, decoder=verdict.decoder, quality=self.quality
            )
        except InputError as error:
            return {"status": error.code, "frames": 0, "file": None}
        if not frames:
            return {"status": "frames-missing", "frames": 0, "file": None}
        whole = frames == last - first + 1
        status = verdict.status if whole else "frames-missing"
        return {"status": status, "frames": frames, "file": target.name}


def by_time(times_s: Any, t0_s: float, t1_s: float) -> tuple[int, int]:
    """First and last frame shown from ``t0_s`` until before ``t1_s``; at least one."""
    times = np.asarray(times_s, np.float64)
    tick = 0.5 * float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    first = int(np.searchsorted(times, t0_s - tick, side="left"))
    last = int(np.searchsorted(times, t1_s - tick, side="left")) - 1
    first = min(first, len(times) - 1)
    return first, max(first, min(last, len(times) - 1))


def expected_of(pack: Path, video: str) -> dict[str, Any]:
    """The pack's row of a video. InputError 'no-such-video'."""
    columns = VIDEOS_SCHEMA.names
    rows = pq.read_table(pack / VIDEOS, columns=columns, filters=[("video_id", "=", video)])
    found = rows.to_pylist()
    if not found:
        raise InputError("no-such-video", f"the pack has no video {video}")
    return found[0]


def clips_of(pack: Path, video: str) -> list[dict[str, Any]]:
    """The pack's clips of a video, in order; reads the row groups that may hold it."""
    found: list[dict[str, Any]] = []
    for file in sorted((pack / "data").glob("*.parquet")):
        rows = pq.read_table(file, columns=list(_CLIP), filters=[("video_id", "=", video)])
        found += rows.to_pylist()
    return found


def _stamp(path: str) -> str:
    try:
        stat = Path(path).stat()
    except OSError:
        return "missing"
    return digest([path, stat.st_size, stat.st_mtime_ns], 16)
