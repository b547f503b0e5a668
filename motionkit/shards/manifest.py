"""The manifest of a shard set: what is in it, how it was split, what made it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

import motionkit
from motionkit.errors import ShardError
from motionkit.file_hash import sha256_of
from motionkit.records import SHARDS_VERSION
from motionkit.shards.schema import FORMAT, SPLITS, columns_of, sample_schema
from motionkit.shards.split import Assignment
from motionkit.shards.statistics import Totals

#: Counts the groups that stand in two splits, from the data alone. Run it in the set's folder.
CHECK_SQL: Final = (
    "SELECT count(*) FROM (SELECT group_id FROM 'data/*.parquet' "
    "GROUP BY group_id HAVING count(DISTINCT split) > 1)"
)


def write_groups(folder: Path, totals: Totals) -> dict[str, Any]:
    """Write groups.csv and check it; returns the proof for the manifest.

    ShardError where a video has two groups, or a group or video stands in two splits: then
    nothing is published.
    """
    path = folder / "groups.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["video_id", "group_id", "split", "samples"])
        for (video, group, split), samples in sorted(totals.videos.items()):
            writer.writerow([video, group, split, samples])
    homes: dict[str, set[str]] = {}
    groups_of: dict[str, set[str]] = {}
    for video, group, split in totals.videos:
        homes.setdefault(group, set()).add(split)
        groups_of.setdefault(video, set()).add(group)
    crossing = sum(len(splits) > 1 for splits in homes.values())
    torn = sum(len(groups) > 1 for groups in groups_of.values())
    if crossing or torn:
        raise ShardError(
            f"{crossing} groups stand in more than one split and {torn} videos in more than one "
            "group; nothing was published."
        )
    return {
        "path": path.name,
        "sha256": sha256_of(path),
        "videos": len(groups_of),
        "groups": len(homes),
        "largest_group": max((len(v) for v in _members(totals).values()), default=0),
        "crossing": crossing,
        "text": f"{len(groups_of)} videos in {len(homes)} groups; 0 groups stand in two splits",
        "check_sql": CHECK_SQL,
        "check_expects": 0,
    }


def _members(totals: Totals) -> dict[str, set[str]]:
    members: dict[str, set[str]] = {}
    for video, group, _ in totals.videos:
        members.setdefault(group, set()).add(video)
    return members


def build_manifest(
    shards: list[dict[str, Any]],
    totals: Totals,
    assignment: Assignment,
    *,
    options: Mapping[str, Any],
    lineage: Mapping[str, Any],
    recipe: Mapping[str, Any] | None,
    left_out: Mapping[str, int],
    dropped: Mapping[str, Mapping[str, int]],
    groups: Mapping[str, Any],
) -> dict[str, Any]:
    """The manifest as a JSON-ready dict. Holds no times and no machine names."""
    return {
        "format": FORMAT,
        "version": SHARDS_VERSION,
        "writer": {"motionkit": motionkit.__version__, "pyarrow": pa.__version__},
        "columns": columns_of(sample_schema()),
        "shards": shards,
        "splits": {split: totals.of_split(split) for split in SPLITS},
        "totals": totals.of_all(),
        "statistics": totals.statistics(),
        "split_rule": {**assignment.describe(), "groups": dict(groups)},
        "caption_sources": _ordered(totals.caption_sources),
        "licences": _ordered(totals.licences),
        "backends": _ordered(totals.backends),
        "left_out": _ordered(left_out),
        "dropped": {step: _ordered(counts) for step, counts in sorted(dropped.items()) if counts},
        "options": dict(options),
        "lineage": dict(lineage),
        "recipe": json.loads(json.dumps(recipe)) if recipe is not None else None,
    }


def _ordered(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items()))
