"""Shard sets for the loader's tests: small files with small row groups, some without tracks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from motionkit.records import SHARDS_VERSION
from motionkit.rle import pack_runs
from motionkit.shards.schema import FORMAT, writer_options
from motionkit.shards.write import table_of


def row(number: int, **changes: Any) -> dict[str, Any]:
    """Sample ``number``: keypoints that tell which it is; every third has no tracks."""
    rng = np.random.default_rng([3, number])
    frames = int(rng.integers(10, 60))
    m2d = np.round(rng.uniform(0, 600, (frames, 18, 3)) * 16).astype(np.float32) / 16
    m2d[:, 17] = (640, 360, 1)
    found: dict[str, Any] = {
        "sample_id": f"s{number:05d}",
        "kind": "person",
        "split": "train",
        "fps": 30.0,
        "width": 640,
        "height": 360,
        "frames": frames,
        "m2d": m2d.ravel(),
        "licence": None,
        "captions": [
            {"text": f"{number} walks to the left", "source": "sidecar", "detail": "{}"},
            {"text": f"{number} turns right now", "source": "kinematic", "detail": "{}"},
        ],
        "lineage": "{}",
    }
    if number % 3:
        grid = 2 + number % 2
        found |= {
            "track_frames": 5,
            "track_grid": grid,
            "track_points": rng.uniform(0, 600, 5 * grid**2 * 2).astype(np.float32),
            "track_visible": rng.random(5 * grid**2) > 0.3,
        }
    return {**found, **changes}


def object_row(number: int) -> dict[str, Any]:
    """A sample without keypoints: masks of a 2 x 3 picture."""
    seen = pack_runs(np.array([1, 2, 3]))
    return row(number, kind="object", m2d=None, width=3, height=2, frames=2, masks=[seen, None])


def write_shards(
    folder: Path, rows: list[dict[str, Any]], *, per_file: int = 20, group: int = 4
) -> Path:
    """Write ``rows`` as the train split of a shard set."""
    (folder / "data").mkdir(parents=True)
    shards = []
    for number, first in enumerate(range(0, len(rows), per_file)):
        part = rows[first : first + per_file]
        path = folder / "data" / f"train-{number:05d}.parquet"
        pq.write_table(table_of(part), path, row_group_size=group, **writer_options())
        shards.append(
            {
                "path": f"data/{path.name}",
                "split": "train",
                "rows": len(part),
                "bytes": path.stat().st_size,
                "sha256": "",
            }
        )
    manifest = {"format": FORMAT, "version": SHARDS_VERSION, "shards": shards}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
