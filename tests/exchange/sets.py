"""Small shard sets, and what has to be equal between two of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from motionkit.exchange.rows import rows_of
from motionkit.rle import pack_runs
from motionkit.shards.from_samples import write_set
from motionkit.shards.reader import open_shards


def person(number: int, frames: int = 20, **changes: Any) -> dict[str, Any]:
    """A row of a person with an estimator's noise; every second one has tracks."""
    rng = np.random.default_rng([5, number])
    m2d = rng.uniform(-5, 600, (frames, 18, 3)).astype(np.float32)
    m2d[:, :, 2] = rng.random((frames, 18)) ** 0.5
    m2d[3:4] = 0  # nobody is seen here
    m2d[:, 17] = (640, 360, 1)
    row: dict[str, Any] = {
        "sample_id": f"v{number:04d}-000010-000029-p{number}",
        "video_id": f"v{number // 2:04d}",
        "group_id": f"v{number // 4:04d}",
        "split": ("train", "train", "val", "test")[number // 4 % 4],
        "kind": "person",
        "source": f"films/{number}.mp4",
        "page_url": f"https://example.org/{number // 2}.mp4" if number // 2 % 2 else None,
        "licence": "CC BY 4.0" if number % 3 else None,
        "fps": 30.0,
        "width": 640,
        "height": 360,
        "frames": frames,
        "first": 10,
        "last": 29,
        "t0_s": 10 / 30,
        "t1_s": 1.0,
        "m2d": m2d,
        "captions": [
            {"text": f"person {number} walks to the left", "source": "sidecar", "detail": "{}"},
            {"text": "turns, then “waves”", "source": "kinematic", "detail": '{"rule":"turn"}'},
        ],
        "lineage": '{"keypoints":{"backend":"mediapipe","fingerprint":"f"}}',
    }
    if number % 2:
        row |= {
            "track_frames": 5, "track_first": 2, "track_grid": 3,
            "track_points": rng.uniform(0, 600, (5, 9, 2)),
            "track_visible": rng.random((5, 9)) > 0.3,
        }  # fmt: skip
    return {**row, **changes}


def thing(number: int) -> dict[str, Any]:
    """A row of an object: masks of a 2 x 3 picture."""
    seen = pack_runs(np.array([1, 2, 3]))
    row = person(number, 2, kind="object", m2d=None, width=3, height=2, masks=[seen, None])
    return {**row, "sample_id": f"thing-{number}", "track_frames": None}


def make_set(folder: Path, rows: list[dict[str, Any]] | None = None, **options: Any) -> Path:
    """A shard set of ``rows`` (sixteen persons)."""
    rows = [person(n) for n in range(16)] if rows is None else rows
    made = write_set(rows, folder, origin={"kind": "test"}, **options)
    assert not made.left_out
    open_shards(folder, verify=True)
    return folder


def all_rows(folder: Path) -> dict[str, dict[str, Any]]:
    """Every row of a set by sample id; lineage without the note of an import."""
    found = {}
    for row in rows_of(open_shards(folder, verify=True)):
        row["lineage"] = row["lineage"].replace(_import_note(row["lineage"]), "")
        found[row["sample_id"]] = row
    return found


def _import_note(lineage: str) -> str:
    start = lineage.find('"import":{')
    return lineage[start : lineage.index("}", start) + 2] if start >= 0 else "\0"


def assert_same(found: dict[str, Any], expected: dict[str, Any], *, but: tuple[str, ...] = ()):
    """Two rows have the same values and the same arrays, in all columns but some."""
    for name, value in expected.items():
        if name in but:
            continue
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(found[name], value, err_msg=name)
        else:
            assert found[name] == value, name


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }
