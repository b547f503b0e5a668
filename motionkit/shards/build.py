"""Build a shard set from the tables of a workspace.

Rows are joined by id, never by order, and sorted by sample id. The same tables and parameters
give the same bytes. Three passes keep memory flat: find the ids, spill the arrays to the disk
as they come, write the shards one row group at a time.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from motionkit.errors import UsageError
from motionkit.records import PIXEL_STEP
from motionkit.shards.card import data_card
from motionkit.shards.manifest import Totals, build_manifest, sha256_of, write_groups
from motionkit.shards.publish import building_folder, publish_folder
from motionkit.shards.schema import (
    SPLITS,
    rounded,
    rounded_m2d,
    sample_schema,
    writer_options,
)
from motionkit.shards.spill import Spill
from motionkit.shards.split import DEFAULT_SALT, Assignment, SplitShares, assign
from motionkit.stage import Tables

#: Rows in one row group: what a reader holds in memory, about 5 MB of keypoints.
ROW_GROUP = 128
_TABLES = ("videos", "scans", "detections", "verdicts", "keypoints", "tracks", "captions")


#: Presentation times are rounded: containers keep milliseconds.
_TICK_S = 0.002


@dataclasses.dataclass(frozen=True)
class ClipRules:
    """Which clips become samples."""

    require_captions: bool
    require_tracks: bool
    min_s: float
    max_s: float


@dataclasses.dataclass(frozen=True)
class BuildSummary:
    """What a build made. ``left_out`` counts the clips without a sample, by reason."""

    path: Path
    samples: dict[str, int]  # by split
    videos: dict[str, int]  # by split
    captions: int
    hours: float
    shards: int
    bytes: int
    left_out: dict[str, int]
    manifest_hash: str


def build_shards(
    tables: Tables,
    out: Path,
    *,
    rows_per_shard: int = 4096,
    split: SplitShares | None = None,
    salt: str = DEFAULT_SALT,
    recipe: Mapping[str, Any] | None = None,
    require_captions: bool = True,
    require_tracks: bool = False,
    min_s: float = 0.0,
    max_s: float = math.inf,
) -> BuildSummary:
    """Join keypoints, captions, tracks and videos into the shard set ``out``.

    ``out`` is replaced as a whole once the new set is complete; after an error or a kill the
    old set stands. A clip without captions (``require_captions``) or tracks
    (``require_tracks``), or shorter than ``min_s`` or longer than ``max_s`` seconds, is left out
    and counted. UsageError where a needed stage has not run
    or no sample is left; the split and its salt are explained in `motionkit.shards.split`.
    """
    if rows_per_shard < 1:
        raise UsageError(f"rows_per_shard is {rows_per_shard}.", hint="give at least 1")
    rules = ClipRules(require_captions, require_tracks, min_s, max_s)
    _has_run(tables, "tracks", required=require_tracks)
    _has_run(tables, "keypoints", required=True)
    _has_run(tables, "captions", required=require_captions)
    out = Path(out)
    folder = building_folder(out)
    try:
        summary = _build(tables, folder, rows_per_shard, split, salt, recipe, rules)
        publish_folder(folder, out)
    finally:  # after success the name is gone already; a kill leaves it to the next build
        shutil.rmtree(folder, ignore_errors=True)
    return dataclasses.replace(summary, path=out)


def _build(
    tables: Tables,
    folder: Path,
    rows_per_shard: int,
    split: SplitShares | None,
    salt: str,
    recipe: Mapping[str, Any] | None,
    rules: ClipRules,
) -> BuildSummary:
    """Write the whole set into ``folder``."""
    left_out: Counter[str] = Counter()
    with (
        Spill(folder / "keypoints.spill") as keypoints,
        Spill(folder / "extras.spill") as extras,
    ):
        _spill_keypoints(tables, keypoints, left_out)
        _spill_captions(tables, keypoints, extras)
        _spill_tracks(tables, keypoints, extras)
        spans = _spans(tables, keypoints)
        videos = _videos(tables)
        chosen: list[tuple[str, str]] = []
        for clip in sorted(keypoints):
            video = keypoints.get(clip)["video_id"]
            reason = _missing(clip, video, extras, spans, videos, rules)
            if reason:
                left_out[reason] += 1
            else:
                chosen.append((clip, video))
        if not chosen:
            raise UsageError(
                f"no clip is ready for a shard; left out: {dict(left_out) or 'no clips at all'}.",
                hint="run 'motionkit status' to see which stage keeps nothing",
            )
        assignment = assign((video for _, video in chosen), split, salt=salt)
        lineage = stage_lineage(tables)
        totals = Totals()
        shards = []
        for name in SPLITS:
            clips = [clip for clip, video in chosen if assignment.split_of[video] == name]
            rows = _rows(clips, keypoints, extras, spans, videos, name, lineage)
            shards += _write_split(folder, name, len(clips), rows, rows_per_shard, totals)
    return _finish(folder, shards, totals, assignment, lineage, recipe, left_out)


def _finish(
    folder: Path,
    shards: list[dict[str, Any]],
    totals: Totals,
    assignment: Assignment,
    lineage: dict[str, Any],
    recipe: Mapping[str, Any] | None,
    left_out: Counter[str],
) -> BuildSummary:
    """Write groups, card and, last, the manifest."""
    groups = write_groups(folder, totals)
    manifest = build_manifest(shards, totals, assignment, lineage, recipe, left_out, groups)
    (folder / "README.md").write_text(data_card(manifest), "utf-8")
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / "manifest.json").write_text(text, "utf-8")
    return BuildSummary(
        path=folder,
        samples={s: manifest["splits"][s]["samples"] for s in SPLITS},
        videos={s: manifest["splits"][s]["videos"] for s in SPLITS},
        captions=manifest["totals"]["captions"],
        hours=manifest["totals"]["hours"],
        shards=len(shards),
        bytes=sum(s["bytes"] for s in shards),
        left_out=dict(sorted(left_out.items())),
        manifest_hash=sha256_of(folder / "manifest.json"),
    )


def stage_lineage(tables: Tables) -> dict[str, Any]:
    """Table → fingerprint, and stage, version and identity where the workspace records them."""
    found: dict[str, Any] = {}
    for table in _TABLES:
        if not _has_run(tables, table, required=False):
            continue
        about = getattr(tables, "current", lambda _: None)(table) or {}
        # The identity holds parameters and weights, and no path of the maker's machine.
        entry = {key: about[key] for key in ("stage", "version", "identity") if key in about}
        found[table] = {**entry, "fingerprint": tables.fingerprint(table)}
    return found


def _has_run(tables: Tables, table: str, *, required: bool) -> bool:
    try:
        tables.fingerprint(table)
    except UsageError:
        if required:
            raise
        return False
    return True


def _spill_keypoints(tables: Tables, spill: Spill, left_out: Counter[str]) -> None:
    columns = ["clip_id", "video_id", "fps", "width", "height", "frames", "m2d", "backend"]
    for row in tables.rows("keypoints", columns):
        m2d = np.asarray(row["m2d"], np.float32).ravel()
        if m2d.size != row["frames"] * 54 or not row["frames"]:
            left_out["malformed-keypoints"] += 1
        elif not np.isfinite(m2d).all():
            left_out["non-finite-keypoints"] += 1
        else:
            names = ("video_id", "fps", "width", "height", "frames", "backend")
            spill.put(row["clip_id"], {k: row[k] for k in names}, {"m2d": m2d})


def _spill_captions(tables: Tables, clips: Spill, extras: Spill) -> None:
    if not _has_run(tables, "captions", required=False):
        return
    for row in tables.rows("captions", ["clip_id", "captions"]):
        captions = [c for c in row["captions"] or () if (c["text"] or "").strip()]
        if row["clip_id"] in clips and captions:
            extras.put(f"captions {row['clip_id']}", {"captions": captions})


def _spill_tracks(tables: Tables, clips: Spill, extras: Spill) -> None:
    if not _has_run(tables, "tracks", required=False):
        return
    columns = ["clip_id", "frames", "grid", "points", "visible", "backend", "mask_source"]
    for row in tables.rows("tracks", columns):
        if row["clip_id"] not in clips:
            continue
        points = np.asarray(row["points"], np.float32).ravel()
        visible = np.asarray(row["visible"], np.bool_).ravel()
        shown = row["frames"] * row["grid"] ** 2
        if points.size != shown * 2 or visible.size != shown or not np.isfinite(points).all():
            extras.put(f"malformed {row['clip_id']}", {})
            continue
        values = {
            "track_frames": row["frames"],
            "track_grid": row["grid"],
            "track_backend": row["backend"],
        }
        arrays = {"track_points": points, "track_visible": visible}
        extras.put(f"tracks {row['clip_id']}", values, arrays)


def _spans(tables: Tables, clips: Spill) -> dict[str, tuple[int, int, float, float]]:
    """Clip id → first and last source frame and their times, from the verdicts."""
    spans: dict[str, tuple[int, int, float, float]] = {}
    for row in tables.rows("verdicts", ["candidates"]):
        for c in row["candidates"] or ():
            if c["clip_id"] in clips:
                spans[c["clip_id"]] = (c["first"], c["last"], c["t0_s"], c["t1_s"])
    return spans


def _videos(tables: Tables) -> dict[str, tuple[str, str | None]]:
    """Video id → public source and licence. Of equal copies the first by path counts."""
    found: dict[str, tuple[str, str, str | None]] = {}
    for row in tables.rows("videos", ["video_id", "path", "source", "licence"]):
        entry = (row["path"], public_source(row["source"], row["path"]), row["licence"])
        known = found.get(row["video_id"])
        found[row["video_id"]] = entry if known is None or entry[0] < known[0] else known
    return {video: (source, licence) for video, (_, source, licence) in found.items()}


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


def _missing(
    clip: str,
    video: str,
    extras: Spill,
    spans: Mapping[str, Any],
    videos: Mapping[str, Any],
    rules: ClipRules,
) -> str | None:
    """Why a clip cannot become a sample; None where it can."""
    if video not in videos:
        return "no-video"
    if clip not in spans:
        return "no-verdict"
    _, _, t0_s, t1_s = spans[clip]
    if t1_s - t0_s < rules.min_s - _TICK_S:
        return "too-short"
    if t1_s - t0_s > rules.max_s + _TICK_S:
        return "too-long"
    if rules.require_captions and f"captions {clip}" not in extras:
        return "no-caption"
    if f"malformed {clip}" in extras:
        return "malformed-tracks"
    if rules.require_tracks and f"tracks {clip}" not in extras:
        return "no-tracks"
    return None


def _rows(
    clips: list[str],
    keypoints: Spill,
    extras: Spill,
    spans: Mapping[str, tuple[int, int, float, float]],
    videos: Mapping[str, tuple[str, str | None]],
    split: str,
    lineage: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    for clip in clips:
        row = keypoints.get(clip)
        row.update(sample_id=clip, kind="person", clip_id=clip, split=split)
        row["group_id"] = row["video_id"]
        row["m2d"] = rounded_m2d(row["m2d"])
        row["page_url"] = None
        row["first"], row["last"], row["t0_s"], row["t1_s"] = spans[clip]
        row["source"], row["licence"] = videos[row["video_id"]]
        row["captions"] = []
        for kind in ("captions", "tracks"):
            if f"{kind} {clip}" in extras:
                row.update(extras.get(f"{kind} {clip}"))
        if row.get("track_points") is not None:
            row["track_points"] = rounded(row["track_points"], PIXEL_STEP)
        made = {
            table: {key: value for key, value in entry.items() if key != "identity"}
            for table, entry in lineage.items()
        }
        for table, key in (("keypoints", "backend"), ("tracks", "track_backend")):
            if table in made and row.get(key):
                made[table]["backend"] = row[key]
        row["lineage"] = json.dumps(made, sort_keys=True, separators=(",", ":"))
        yield row


def _write_split(
    folder: Path,
    split: str,
    count: int,
    rows: Iterator[dict[str, Any]],
    rows_per_shard: int,
    totals: Totals,
) -> list[dict[str, Any]]:
    """Write the samples of one split; returns the manifest's entries of its files."""
    number = -(-count // rows_per_shard)
    (folder / "data").mkdir(exist_ok=True)
    entries = []
    for index in range(number):
        path = folder / "data" / f"{split}-{index:05d}-of-{number:05d}.parquet"
        size = min(rows_per_shard, count - index * rows_per_shard)
        with pq.ParquetWriter(path, sample_schema(), **writer_options()) as writer:
            for start in range(0, size, ROW_GROUP):
                group = [next(rows) for _ in range(min(ROW_GROUP, size - start))]
                for row in group:
                    totals.add(row)
                writer.write_table(_table(group), row_group_size=ROW_GROUP)
        entries.append(
            {
                "path": path.relative_to(folder).as_posix(),
                "split": split,
                "rows": size,
                "bytes": path.stat().st_size,
                "sha256": sha256_of(path),
            }
        )
    return entries


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    schema = sample_schema()
    arrays = [pa.array([row.get(f.name) for row in rows], f.type) for f in schema]
    return pa.Table.from_arrays(arrays, schema=schema)
