"""A folder for `datasets`: load_dataset opens it without a line of code or network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from motionkit.errors import InputError
from motionkit.exchange.formats import export_set
from motionkit.exchange.hf_folder import export_hf, nested_schema, read_hf
from motionkit.shards.reader import open_shards
from tests.exchange.sets import all_rows, make_set, person, thing

_SCRIPT = """
import json, sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "motionkit": raise ImportError(name)
sys.meta_path.insert(0, Block())
from datasets import load_dataset
data = load_dataset("out")
row = data["train"].filter(lambda r: r["kind"] == "person").with_format("numpy")[0]
print("\\n" + json.dumps({
    "splits": {name: part["sample_id"][:] for name, part in data.items()},
    "id": str(row["sample_id"]), "m2d": row["m2d"].tolist(), "shape": list(row["m2d"].shape),
    "points": list(row["track_points"].shape),
}))
"""


def test_load_dataset_opens_it(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    source = make_set(tmp_path / "set", [*(person(n) for n in range(1, 16)), thing(3)])
    export_set(source, tmp_path / "out", "hf")
    environment = {**os.environ, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    rows = all_rows(source)
    names = {"train": "train", "validation": "val", "test": "test"}
    for name, split in names.items():
        assert found["splits"][name] == sorted(k for k, r in rows.items() if r["split"] == split)
    assert (found["shape"], found["points"]) == ([20, 18, 3], [5, 9, 2])
    np.testing.assert_array_equal(np.array(found["m2d"], np.float32), rows[found["id"]]["m2d"])


def test_arrays_are_nested_in_their_shapes(tmp_path: Path) -> None:
    source = make_set(tmp_path / "set", [person(1), person(2, 7), thing(3)])
    export_set(source, tmp_path / "out", "hf")
    table = pq.read_table(tmp_path / "out" / "data")
    assert table.schema.equals(nested_schema())
    rows = all_rows(source)
    for row in table.to_pylist():
        for name in ("m2d", "track_points", "track_visible"):
            value = rows[row["sample_id"]][name]
            assert row[name] == (None if value is None else value.tolist())


def test_files_are_cut_and_the_card_lists_the_splits(tmp_path: Path) -> None:
    source = make_set(tmp_path / "set", [person(n) for n in range(16)])
    export_hf(open_shards(source), tmp_path / "out", rows=3)
    names = sorted(p.name for p in (tmp_path / "out" / "data").iterdir())
    assert names[-1] == "validation-00001-of-00002.parquet"
    assert len(names) == 7
    card = (tmp_path / "out" / "README.md").read_text()
    assert "  - split: validation\n    path: data/validation-*.parquet\n" in card
    assert len(list(read_hf(tmp_path / "out", Counter()))) == 16


def test_damaged_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    for data in (b"", b"PAR1" * 9):
        path.write_bytes(data)
        with pytest.raises(InputError) as caught:
            list(read_hf(path, Counter()))
        assert caught.value.code == "parquet-unreadable"
        assert "train.parquet" in caught.value.message


def test_wrong_types_are_malformed_samples(tmp_path: Path) -> None:
    from motionkit.exchange.formats import import_set

    good = {"sample_id": "a", "frames": 2, "fps": 30.0, "width": 4, "height": 4}
    table = pa.Table.from_pylist(
        [
            {**good, "m2d": np.ones(108).tolist()},
            {**good, "sample_id": "b", "m2d": [1.0]},
            {**good, "sample_id": "a", "m2d": np.ones(108).tolist()},
            {**good, "sample_id": "c", "m2d": [float("nan")] * 108},
            {**good, "sample_id": "d", "m2d": np.ones(108).tolist(), "frames": -1},
        ]
    )
    pq.write_table(table, tmp_path / "train.parquet")
    made = import_set(tmp_path / "train.parquet", tmp_path / "back", "hf")
    assert made.samples["train"] == 1
    assert made.left_out == {"malformed-sample": 3, "duplicate-sample": 1}
