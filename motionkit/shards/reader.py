"""Read a shard set with pyarrow and numpy alone.

`open_shards` checks what it opens before the first sample is read: a set without a manifest is
unfinished, a set of another version is refused.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Set
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from motionkit.errors import ShardError
from motionkit.file_hash import sha256_of
from motionkit.records import unflatten
from motionkit.shards.schema import FORMAT, SPLITS, VERSION_KEY, check_version, time_first

MANIFEST = "manifest.json"


@dataclasses.dataclass(frozen=True)
class Tracks:
    """Point tracks of one clip: ``points`` [T, N, 2] float32 pixels, ``visible`` [T, N] bool.

    N is ``grid`` squared, T the clip's frames that were tracked, from frame ``first`` on.
    """

    points: NDArray[np.float32]
    visible: NDArray[np.bool_]
    grid: int
    first: int = 0


@dataclasses.dataclass(frozen=True)
class Sample:
    """One clip with one target: a person, or the objects of an expression (``kind``).

    ``m2d`` is [F, 18, 3] float32: 17 COCO keypoints (x, y in pixels, confidence 0..1), then
    (width, height, 1); for objects, which have no keypoints, it is [0, 18, 3]. ``masks`` has an
    entry for each of the ``frames``: COCO compressed RLE (counts; the size is height x width) or
    None where nothing is seen or was asked for; None as a whole where the sample has none.
    ``captions`` are pairs of text and source (sidecar, expression, kinematic, or a captioner's
    name). ``t0_s``, ``t1_s``, ``first`` and ``last`` place the clip in its video; ``group_id`` is
    shared by near-duplicate videos.
    """

    sample_id: str
    kind: str
    clip_id: str
    video_id: str
    group_id: str
    split: str
    frames: int
    fps: float
    width: int
    height: int
    m2d: NDArray[np.float32]
    captions: list[tuple[str, str]]
    tracks: Tracks | None
    masks: list[str | None] | None
    t0_s: float
    t1_s: float
    first: int
    last: int
    source: str
    page_url: str | None
    licence: str | None
    lineage: dict[str, Any]


class ShardSet:
    """An opened shard set; see `open_shards`."""

    def __init__(self, path: Path, manifest: dict[str, Any], manifest_hash: str) -> None:
        self.path = path
        self.manifest = manifest
        #: SHA-256 of manifest.json, which holds the SHA-256 of every file: names the whole set.
        self.manifest_hash = manifest_hash

    def files(self, split: str | None = None) -> list[Path]:
        """The Parquet files of a split (all splits: None), in order."""
        return [self.path / s["path"] for s in self._shards(split)]

    def count(self, split: str | None = None) -> int:
        """Number of samples, from the manifest."""
        return sum(int(s["rows"]) for s in self._shards(split))

    def samples(
        self,
        split: str | None = None,
        *,
        tracks: bool = True,
        kind: str | None = None,
        videos: Set[str] | None = None,
    ) -> Iterator[Sample]:
        """Samples in stored order; one row group is in memory at a time.

        ``tracks`` False leaves the track columns on the disk. ``kind`` "person" or "object"
        gives those alone, ``videos`` those of these videos: row groups without one stay on the
        disk.
        """
        skipped = () if tracks else _TRACKS
        for shard in self._shards(split):
            with _open(self.path / shard["path"]) as file:
                names = [n for n in file.schema_arrow.names if n not in skipped]
                for group in range(file.num_row_groups):
                    if videos is not None:
                        held = file.read_row_group(group, columns=["video_id"])["video_id"]
                        if videos.isdisjoint(held.to_pylist()):
                            continue
                    for batch in file.read_row_group(group, columns=names).to_batches():
                        facts = (batch.column(name).to_pylist() for name in ("kind", "video_id"))
                        for row, (found, video) in enumerate(zip(*facts, strict=True)):
                            if kind in (None, found) and (videos is None or video in videos):
                                yield _sample(batch, row)

    def tracked_videos(
        self, split: str | None = None, *, grid: int, kind: str | None = None
    ) -> Counter[str]:
        """How many samples with tracks of ``grid`` points a side each video has, of those that
        have any. Reads three narrow columns alone."""
        counts: Counter[str] = Counter()
        for shard in self._shards(split):
            with _open(self.path / shard["path"]) as file:
                for batch in file.iter_batches(columns=["video_id", "kind", "track_grid"]):
                    names = ("video_id", "kind", "track_grid")
                    columns = (batch.column(name).to_pylist() for name in names)
                    for video, found, points in zip(*columns, strict=True):
                        if points == grid and kind in (None, found):
                            counts[video] += 1
        return counts

    def verify(self) -> None:
        """Raise ShardError unless every file has the size, hash and rows of the manifest, and
        no video or group of near-duplicates stands in two splits."""
        for shard in self._shards(None):
            file = self.path / shard["path"]
            if not file.is_file():
                raise ShardError(f"{file} is missing.", hint=_REBUILD)
            if file.stat().st_size != shard["bytes"] or sha256_of(file) != shard["sha256"]:
                raise ShardError(
                    f"{file} is not what the manifest says: size or SHA-256 differ.", hint=_REBUILD
                )
            with _open(file) as opened:
                if opened.metadata.num_rows != shard["rows"]:
                    raise ShardError(
                        f"{file} holds {opened.metadata.num_rows} rows, the manifest says "
                        f"{shard['rows']}.",
                        hint=_REBUILD,
                    )
        self._verify_groups()

    def _verify_groups(self) -> None:
        """No group in two splits, by the rows themselves; groups.csv and the files agree."""
        found: Counter[tuple[str, str, str]] = Counter()
        for shard in self._shards(None):
            with _open(self.path / shard["path"]) as file:
                for batch in file.iter_batches(columns=["video_id", "group_id", "split"]):
                    rows = list(zip(*(c.to_pylist() for c in batch.columns), strict=True))
                    if any(split != shard["split"] for _, _, split in rows):
                        raise ShardError(
                            f"{shard['path']} holds samples of another split.", hint=_REBUILD
                        )
                    found.update(rows)
        groups_of = {(video, group) for video, group, _ in found}
        homes = {(group, split) for _, group, split in found}
        if len({video for video, _ in groups_of}) < len(groups_of):
            raise ShardError(f"{self.path}: a video is in two groups.", hint=_REBUILD)
        if len({group for group, _ in homes}) < len(homes):
            raise ShardError(f"{self.path}: a group is in two splits.", hint=_REBUILD)
        try:
            stated = self.manifest["split_rule"]["groups"]
            name, sha256 = PurePosixPath(stated["path"]).name, stated["sha256"]
        except (KeyError, TypeError) as error:
            raise ShardError(
                f"{self.path / MANIFEST} is damaged: it holds no proof of the split.", hint=_REBUILD
            ) from error
        file = self.path / name
        if not file.is_file() or sha256_of(file) != sha256:
            raise ShardError(f"{file} is not what the manifest says.", hint=_REBUILD)
        with file.open(newline="", encoding="utf-8") as stream:
            listed = {tuple(row[:3]): int(row[3]) for row in [*csv.reader(stream)][1:]}
        if listed != dict(found):
            raise ShardError(f"{file} does not list what the files hold.", hint=_REBUILD)

    def _shards(self, split: str | None) -> list[dict[str, Any]]:
        if split is not None and split not in SPLITS:
            raise ShardError(f"there is no split {split!r}.", hint=f"use one of {SPLITS}")
        return [s for s in self.manifest["shards"] if split in (None, s["split"])]


_TRACKS = ("track_frames", "track_first", "track_grid", "track_points", "track_visible")
_REBUILD = "copy the set again, or build it again with 'motionkit build-shards'"


def open_shards(path: Path, *, verify: bool = False) -> ShardSet:
    """Open the shard set in folder ``path``.

    ``verify`` also reads every file once and compares size, SHA-256 and rows. ShardError where
    the manifest is missing or unreadable, the version unknown, or a file not as stated.
    """
    path = Path(path)
    file = path / MANIFEST
    try:
        raw = file.read_bytes()
    except FileNotFoundError as error:
        raise ShardError(
            f"{path} has no {MANIFEST}: it is no shard set, or an unfinished one.",
            hint="build one with 'motionkit build-shards'",
        ) from error
    except OSError as error:
        raise ShardError(f"{file} cannot be read: {error.strerror or error}.") from error
    try:
        manifest = json.loads(raw)
        kind, version = manifest["format"], manifest["version"]
        shards = manifest["shards"]
        complete = all(_complete(shard) for shard in shards)
    except (ValueError, KeyError, TypeError) as error:
        raise ShardError(f"{file} is damaged: {error!r}.", hint=_REBUILD) from error
    if kind != FORMAT:
        raise ShardError(f"{file} is a {kind!r}, not a {FORMAT!r}.", hint=_REBUILD)
    check_version(version, path)
    if not complete:
        raise ShardError(
            f"{file} is damaged: a shard lacks a field or lies outside the set.", hint=_REBUILD
        )
    shard_set = ShardSet(path, manifest, hashlib.sha256(raw).hexdigest())
    if verify:
        shard_set.verify()
    return shard_set


def _complete(shard: dict[str, Any]) -> bool:
    """All fields are there, and the file lies inside the set."""
    if any(key not in shard for key in ("path", "split", "rows", "bytes", "sha256")):
        return False
    path = PurePosixPath(shard["path"])
    return not path.is_absolute() and ".." not in path.parts


def _open(file: Path) -> pq.ParquetFile:
    try:
        opened = pq.ParquetFile(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise ShardError(f"{file} cannot be read: {error}", hint=_REBUILD) from error
    metadata = opened.schema_arrow.metadata or {}
    try:
        check_version(metadata.get(VERSION_KEY, b"none").decode(), file)
    except ShardError:
        opened.close()
        raise
    return opened


def _sample(batch: pa.RecordBatch, row: int) -> Sample:
    def plain(name: str) -> Any:
        return batch.column(name)[row].as_py()

    def flat(name: str) -> NDArray[Any]:
        values = batch.column(name)[row].values
        return np.array(values.to_numpy(zero_copy_only=False))

    tracks = None
    if "track_frames" in batch.schema.names and plain("track_frames") is not None:
        shown, grid = plain("track_frames"), plain("track_grid")
        tracks = Tracks(
            points=unflatten(flat("track_points"), shown, grid * grid, 2),
            visible=unflatten(flat("track_visible"), shown, grid * grid),
            grid=grid,
            first=plain("track_first"),
        )
    frames = plain("frames")
    m2d = np.zeros((0, 18, 3), np.float32)
    if batch.column("m2d")[row].is_valid:
        m2d = np.ascontiguousarray(time_first(flat("m2d")))
        if len(m2d) != frames:
            raise ValueError(f"{len(m2d)} frames of keypoints where {frames} are stated")
    return Sample(
        sample_id=plain("sample_id"),
        kind=plain("kind"),
        clip_id=plain("clip_id"),
        video_id=plain("video_id"),
        group_id=plain("group_id"),
        split=plain("split"),
        frames=frames,
        fps=plain("fps"),
        width=plain("width"),
        height=plain("height"),
        m2d=m2d,
        captions=[(c["text"], c["source"]) for c in plain("captions") or ()],
        tracks=tracks,
        masks=plain("masks"),
        t0_s=plain("t0_s"),
        t1_s=plain("t1_s"),
        first=plain("first"),
        last=plain("last"),
        source=plain("source"),
        page_url=plain("page_url"),
        licence=plain("licence"),
        lineage=json.loads(plain("lineage") or "{}"),
    )
