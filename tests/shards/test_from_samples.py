"""`write_set`: a shard set of anybody's rows."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.errors import InputError, UsageError
from motionkit.shards.from_samples import checked_row, write_set
from motionkit.shards.reader import open_shards
from tests.exchange.sets import bytes_of, person

ORIGIN = {"kind": "test"}


def least(**changes: Any) -> dict[str, Any]:
    """No more than a row needs."""
    row = {"sample_id": "a", "frames": 3, "fps": 25, "width": 64, "height": 48}
    return {**row, "m2d": np.ones((3, 18, 3)), **changes}


def test_what_is_missing_gets_the_plainest_value(tmp_path: Path) -> None:
    write_set([least(captions=["walks", "", " "])], tmp_path / "set", origin=ORIGIN)
    (sample,) = open_shards(tmp_path / "set", verify=True).samples()
    assert (sample.kind, sample.clip_id, sample.video_id, sample.group_id) == (
        "person", "a", "a", "a",
    )  # fmt: skip
    assert (sample.first, sample.last, sample.t0_s, sample.t1_s) == (0, 2, 0, 3 / 25)
    assert sample.captions == [("walks", "imported")]


def test_the_order_of_the_rows_does_not_matter(tmp_path: Path) -> None:
    rows = [person(n) for n in range(12)]
    for name, given in (("a", rows), ("b", rows[::-1])):
        write_set(given, tmp_path / name, origin=ORIGIN, rows_per_shard=4)
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")
    assert len(open_shards(tmp_path / "a").files("train")) > 1


def test_splits_are_kept_and_groups_never_parted(tmp_path: Path) -> None:
    rows = [
        least(sample_id="a", video_id="v", split="train"),
        least(sample_id="b", video_id="v", split="val"),
        least(sample_id="c", video_id="w", split="train"),
        *(least(sample_id=f"d{n}", split=None) for n in range(20)),
    ]
    made = write_set(rows, tmp_path / "set", origin=ORIGIN)
    found = {s.sample_id: s.split for s in open_shards(tmp_path / "set", verify=True).samples()}
    assert (found["a"], found["b"], found["c"]) == ("val", "val", "train")
    assert made.parted == 1
    assert min(made.samples.values()) >= 1  # the others were shared out


@pytest.mark.parametrize(
    "changes",
    [
        {"sample_id": ""},
        {"sample_id": 7},
        {"sample_id": "a\nb"},
        {"frames": 0},
        {"frames": 4},
        {"frames": 2**40},
        {"frames": True},
        {"width": -3},
        {"fps": float("nan")},
        {"fps": 0},
        {"fps": "25"},
        {"kind": "dog"},
        {"kind": "object", "masks": ["x"]},
        {"kind": "object", "masks": [1, 2, 3]},
        {"split": "dev"},
        {"licence": 3},
        {"t0_s": float("inf")},
        {"first": -1},
        {"m2d": None},
        {"m2d": np.full((3, 18, 3), np.nan)},
        {"m2d": np.full((3, 18, 3), 1e38)},
        {"captions": [3]},
        {"captions": ["half \ud800"]},
        {"source": "\udcff.mp4"},
        {"captions": [{"text": 3}]},
        {"lineage": "[]"},
        {"lineage": "{"},
        {"track_frames": 2, "track_grid": 1, "track_points": [1.0], "track_visible": [True]},
    ],
)
def test_malformed_rows_are_left_out_and_counted(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        checked_row(least(**changes))
    assert caught.value.code == "malformed-sample"
    left_out: Counter[str] = Counter(earlier=1)
    rows = [least(**changes), least(sample_id="good"), least(sample_id="good")]
    made = write_set(rows, tmp_path / "set", origin=ORIGIN, left_out=left_out)
    assert made.left_out == {"malformed-sample": 1, "duplicate-sample": 1, "earlier": 1}
    assert json.loads((tmp_path / "set" / "manifest.json").read_text())["left_out"] == made.left_out


def test_nothing_else_is_replaced_and_nothing_half_is_published(tmp_path: Path) -> None:
    out = tmp_path / "set"
    write_set([least()], out, origin=ORIGIN)
    before = bytes_of(out)
    with pytest.raises(UsageError, match="something else"):
        write_set([least()], out, origin={"kind": "import"})
    with pytest.raises(UsageError, match="no sample to write"):
        write_set([], out, origin=ORIGIN)

    def broken() -> Any:
        yield least()
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        write_set(broken(), out, origin=ORIGIN)
    assert bytes_of(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
