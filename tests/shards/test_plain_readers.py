"""The examples of docs/shards.md: other tools read a set without motionkit.

Each example is run as it stands in the page, in a process that cannot import motionkit.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from motionkit.shards.build import build_shards
from motionkit.shards.reader import open_shards

PAGE = Path(__file__).parent.parent.parent / "docs" / "shards.md"
BLOCK_MOTIONKIT = (
    "import sys\n"
    "class Block:\n"
    "    def find_spec(self, name, path=None, target=None):\n"
    "        if name.split('.')[0] == 'motionkit': raise ImportError(name)\n"
    "sys.meta_path.insert(0, Block())\n"
)


def example(tool: str, language: str = "python") -> str:
    """The code block under the heading ``### tool`` of the page."""
    section = PAGE.read_text("utf-8").split(f"### {tool}\n")[1].split("\n#")[0]
    found = re.search(rf"```{language}\n(.*?)```", section, re.S)
    assert found, f"no example for {tool}"
    return found[1]


@pytest.fixture
def shards(tmp_path, make_tables, add_expressions):
    """The set where the page says it is, ``motion/shards``, with persons and objects."""
    tables = add_expressions(make_tables(), frames=4)
    return open_shards(build_shards(tables, tmp_path / "motion" / "shards").path)


def run(code: str, folder: Path, ask: str) -> dict:
    """Run ``code`` in ``folder`` without motionkit and give what ``ask`` evaluates to."""
    script = f"{BLOCK_MOTIONKIT}{code}\nimport json\nprint('\\n' + json.dumps({ask}))\n"
    environment = {"HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def truth(shards, kind="person"):
    return {s.sample_id: s for s in shards.samples(kind=kind)}


def check_poses(found: dict[str, list], shards) -> None:
    expected = {name: s.m2d.tolist() for name, s in truth(shards).items()}
    assert expected and {name: found[name] for name in expected} == expected


def test_pyarrow(shards, tmp_path):
    ask = "{'poses': {k: v.tolist() for k, v in poses.items()}, 'tracks': list(points.shape)}"
    found = run(example("pyarrow"), tmp_path, ask)
    check_poses(found["poses"], shards)
    assert found["tracks"] == [60, 4, 2]


def test_pandas(shards, tmp_path):
    pytest.importorskip("pandas")
    found = run(example("pandas"), tmp_path, "{k: v.tolist() for k, v in poses.items()}")
    check_poses(found, shards)


def test_datasets(shards, tmp_path):
    pytest.importorskip("datasets")
    ask = (
        "{'splits': {k: len(v) for k, v in data.items()}, 'pose': pose.tolist(), "
        "'id': str(row['sample_id'])}"
    )
    found = run(example("datasets"), tmp_path, ask)
    assert found["splits"] == {split: shards.count(split) for split in ("train", "val", "test")}
    assert found["pose"] == truth(shards)[found["id"]].m2d.tolist()


def test_duckdb(shards, tmp_path):
    pytest.importorskip("duckdb")
    statements = [s for s in example("DuckDB", "sql").split(";") if s.strip()]
    code = f"import duckdb\nfound = [duckdb.sql(s).fetchall() for s in {statements!r}]\n"
    hours, wrist, crossing, *_ = run(code, tmp_path, "found")
    assert {row[0]: row[1] for row in hours} == {
        split: shards.count(split) for split in ("train", "val", "test")
    }
    best = {s.sample_id: float(s.m2d[:, 10, 1].min()) for s in truth(shards).values()}
    assert dict(wrist) == best
    assert crossing == [[0]]


def test_masks(shards, tmp_path):
    pytest.importorskip("pycocotools")
    ask = "{'shape': list(mask.shape), 'pixels': int(mask.sum()), 'id': row['sample_id']}"
    found = run(example("Masks"), tmp_path, ask)
    thing = truth(shards, "object")[found["id"]]
    assert found["shape"] == [thing.height, thing.width] == [48, 64]
    assert found["pixels"] == 40
