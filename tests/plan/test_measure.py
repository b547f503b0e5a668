"""A measured stage is the stage, and writes down what its work takes."""

import dataclasses
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from motionkit.engines.local import EngineOptions, run_stage
from motionkit.plan.measure import measured, peak_memory, read_costs, video_of
from motionkit.stage import Chunk, Item, Kept, Outcome, fingerprint_of, run_alone
from motionkit.workspace import Workspace
from tests.engines.toy import Toy


def test_it_has_the_parameters_and_the_fingerprint_of_the_stage(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "ws")
    toy = Toy(count=3, power=5)
    same = pickle.loads(pickle.dumps(measured(toy, tmp_path)))  # noqa: S301 - our own
    assert dataclasses.asdict(same) == dataclasses.asdict(toy)
    assert fingerprint_of(same, workspace) == fingerprint_of(toy, workspace)
    assert list(same.ids(workspace)) == list(toy.ids(workspace))


def test_the_engine_runs_it_and_rows_are_the_same(tmp_path: Path) -> None:
    toy = Toy(count=3, acts=((1, "drop"), (2, "raise")))
    rows = []
    for name, stage in (("plain", toy), ("timed", measured(toy, tmp_path))):
        workspace = Workspace.create(tmp_path / name)
        run_stage(workspace, stage, EngineOptions(workers=1))
        columns = ["outcome", "reason", "frames"]
        rows.append(list(workspace.rows("scans", columns, outcome=None)))
    assert rows[0] == rows[1]
    lines = read_costs(tmp_path)
    assert [line["item"] for line in lines if line["role"] == "process"] == [
        "v0000", "v0001", "v0002",
    ]  # fmt: skip
    assert all(line["end"] >= line["start"] for line in lines)
    if peak_memory() is not None:
        assert all(line["peak"] > 1 << 20 for line in lines)


@dataclasses.dataclass(frozen=True)
class Reads(Toy):
    """Two chunks of two units an item."""

    mode: ClassVar[str] = "batches"

    def setup_reader(self) -> None: ...

    def read(self, item: Item) -> Iterator[Chunk]:
        for start in (0, 2):
            yield {"x": np.arange(start, start + 2)}

    def infer(self, units: Chunk) -> list[Any]:
        return list(units["x"] * 10)

    def finish(self, item: Item, results: list[Any]) -> Outcome:
        return Kept({"frames": int(sum(results))})

    def follow(self, item: Item, chunks: Iterator[Chunk]) -> Outcome:
        return self.finish(item, [x for chunk in chunks for x in self.infer(chunk)])

    def call(self, item: Item, chunks: list[Chunk]) -> Outcome:
        return self.follow(item, iter(chunks))


class Follows(Reads):
    mode = "streams"


class Calls(Reads):
    mode = "calls"
    at_once = 2
    needs_device = False


@pytest.mark.parametrize(
    ("kind", "roles"),
    [
        (Reads, {"read": 4, "infer": 4, "finish": 0}),
        (Follows, {"read": 4, "follow": 4}),
        (Calls, {"read": 4, "call": 0}),
    ],
)
def test_every_mode_is_timed_with_its_units(
    tmp_path: Path, kind: type[Reads], roles: dict[str, int]
) -> None:
    item = Item("v0001-000000-000009-ab", {})
    assert run_alone(measured(kind(), tmp_path), item) == run_alone(kind(), item)
    found: dict[str, int] = {}
    for line in read_costs(tmp_path):
        found[line["role"]] = found.get(line["role"], 0) + line["units"]
        assert line["video"] in ("v0001", None)
    assert found == roles


@pytest.mark.parametrize("kind", [Reads, Calls])
def test_a_device_s_processes_are_measured_too(tmp_path: Path, kind: type[Reads]) -> None:
    pytest.importorskip("torch")
    workspace = Workspace.create(tmp_path / "ws")
    summary = run_stage(workspace, measured(kind(count=2), tmp_path), EngineOptions(device="cpu"))
    assert summary.kept == 2
    lines = read_costs(tmp_path)
    reads = {line["pid"] for line in lines if line["role"] == "read"}
    works = {line["pid"] for line in lines if line["role"] in ("infer", "call")}
    assert len(reads) == len(works) == 1
    assert reads != works


def test_the_video_of_an_item_is_known() -> None:
    assert video_of(Item("src-12", {"path": "/v/a.mp4"})) == "/v/a.mp4"
    assert video_of(Item("v12-000001-000009-ff", {})) == "v12"
    assert video_of(Item("ex-1", {"video": {"video_id": "v7"}})) == "v7"
