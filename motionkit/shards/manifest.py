"""The manifest of a shard set: what is in it, how it was split, what made it."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

import motionkit
from motionkit.errors import ShardError
from motionkit.records import SHARDS_VERSION
from motionkit.shards.schema import FORMAT, SPLITS, columns_of, sample_schema
from motionkit.shards.split import Assignment


class Totals:
    """Counts over the rows as they are written. Memory: one entry a video."""

    def __init__(self) -> None:
        self.samples: Counter[str] = Counter()
        self.frames: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()
        self.captions: Counter[str] = Counter()
        self.caption_sources: Counter[str] = Counter()
        self.licences: Counter[str] = Counter()
        self.backends: Counter[str] = Counter()
        self.with_tracks = 0
        self.videos: dict[tuple[str, str], int] = {}  # (video, split) → samples

    def add(self, row: Mapping[str, Any]) -> None:
        """Count one sample."""
        split = row["split"]
        self.samples[split] += 1
        self.frames[split] += row["frames"]
        self.seconds[split] += row["frames"] / row["fps"]
        self.captions[split] += len(row["captions"])
        self.caption_sources.update(c["source"] for c in row["captions"])
        self.licences[row["licence"] or "not stated"] += 1
        self.backends[row["backend"]] += 1
        if row.get("track_frames") is not None:
            self.with_tracks += 1
            self.backends[row["track_backend"]] += 1
        key = (row["video_id"], split)
        self.videos[key] = self.videos.get(key, 0) + 1


def write_groups(folder: Path, totals: Totals) -> dict[str, Any]:
    """Write groups.csv and check it: no video may stand in two splits (ShardError)."""
    path = folder / "groups.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["video_id", "split", "samples"])
        for (video, split), samples in sorted(totals.videos.items()):
            writer.writerow([video, split, samples])
    crossing = len(totals.videos) - len({video for video, _ in totals.videos})
    if crossing:
        raise ShardError(f"{crossing} videos stand in more than one split; nothing was published.")
    return {"path": path.name, "sha256": sha256_of(path), "crossing": crossing}


def build_manifest(
    shards: list[dict[str, Any]],
    totals: Totals,
    assignment: Assignment,
    lineage: Mapping[str, Any],
    recipe: Mapping[str, Any] | None,
    left_out: Mapping[str, int],
    groups: Mapping[str, Any],
) -> dict[str, Any]:
    """The manifest as a JSON-ready dict. Holds no times and no machine names."""
    videos = Counter(split for _, split in totals.videos)
    return {
        "format": FORMAT,
        "version": SHARDS_VERSION,
        "writer": {"motionkit": motionkit.__version__, "pyarrow": pa.__version__},
        "columns": columns_of(sample_schema()),
        "shards": shards,
        "splits": {
            split: {
                "samples": totals.samples[split],
                "videos": videos[split],
                "frames": totals.frames[split],
                "captions": totals.captions[split],
                "hours": totals.seconds[split] / 3600,
            }
            for split in SPLITS
        },
        "totals": {
            "samples": totals.samples.total(),
            "videos": len(totals.videos),
            "frames": totals.frames.total(),
            "captions": totals.captions.total(),
            "with_tracks": totals.with_tracks,
            "hours": sum(totals.seconds.values()) / 3600,
        },
        "split_rule": {**assignment.describe(), "groups": dict(groups)},
        "caption_sources": dict(sorted(totals.caption_sources.items())),
        "licences": dict(sorted(totals.licences.items())),
        "backends": dict(sorted(totals.backends.items())),
        "left_out": dict(sorted(left_out.items())),
        "lineage": dict(lineage),
        "recipe": json.loads(json.dumps(recipe)) if recipe is not None else None,
    }


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
