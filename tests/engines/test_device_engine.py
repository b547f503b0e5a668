"""Stages with a model on a device: batches across items, streams and calls; crashes, hangs and
memory that is too small cost the item at fault and no other."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.engines.batches import Batcher, BatchSize, OpenItem
from motionkit.engines.local import EngineOptions, run_stage
from motionkit.errors import UsageError
from motionkit.stage import Chunk, Item
from motionkit.workspace import Workspace
from tests.engines.toy_device import Batched, Called, Faulty, Streamed

CPU = EngineOptions(workers=2, timeout_s=60, device="cpu")
KINDS = [Batched, Streamed, Called]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "ws")


def cameras(workspace: Workspace) -> dict[str, list[float]]:
    return {r["item_id"]: list(r["camera"]) for r in workspace.rows("scans", ["camera"])}


def expected(index: int, units: int = 5) -> list[float]:
    return [100.0 * index + at for at in range(units + index)]


def reasons(workspace: Workspace) -> dict[str, str | None]:
    rows = workspace.rows("scans", ["reason"], outcome=None)
    return {row["item_id"]: row["reason"] for row in rows}


@pytest.mark.parametrize("kind", KINDS)
def test_every_item_gets_its_own_results_in_order(workspace: Workspace, kind: Any) -> None:
    summary = run_stage(workspace, kind(7), CPU)
    assert summary.kept == 7
    assert cameras(workspace) == {f"v{i:04d}": expected(i) for i in range(7)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("act", "where", "reason"),
    [
        ("die", "read", "worker-died"),
        ("die", "infer", "worker-died"),
        ("input", "read", "not-a-number"),
        ("early", "read", "too-odd"),
        ("raise", "infer", "ZeroDivisionError"),
        ("raise", "finish", "ZeroDivisionError"),
    ],
)
def test_a_bad_item_costs_itself_alone(
    workspace: Workspace, kind: Any, act: str, where: str, reason: str
) -> None:
    run_stage(workspace, kind(5, ((2, act),), where=where), CPU)
    others = {f"v{i:04d}": expected(i) for i in (0, 1, 3, 4)}
    assert cameras(workspace) == others
    assert reasons(workspace) == {**dict.fromkeys(others), "v0002": reason}


@pytest.mark.parametrize("kind", KINDS)
def test_a_decoder_that_hangs_is_ended_at_the_limit(workspace: Workspace, kind: Any) -> None:
    options = EngineOptions(workers=2, timeout_s=3.0, device="cpu")
    run_stage(workspace, kind(4, ((1, "hang"),)), options)
    assert reasons(workspace) == {"v0000": None, "v0001": "timeout", "v0002": None, "v0003": None}


def test_a_fault_of_the_process_itself_is_shown(
    workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    run_stage(workspace, Faulty(1), CPU)
    (row,) = workspace.rows("scans", ["error_message"], outcome="failed")
    assert row["error_message"] == "the worker process ended with exit code 1"
    assert "RuntimeError: no number" in capfd.readouterr().err


def test_a_call_that_hangs_is_not_waited_for(workspace: Workspace) -> None:
    options = EngineOptions(workers=1, timeout_s=3.0)
    run_stage(workspace, Called(4, ((1, "hang"),), where="infer"), options)
    assert Counter(reasons(workspace).values()) == {None: 3, "timeout": 1}


def test_a_stream_may_stop_in_the_middle(workspace: Workspace) -> None:
    run_stage(workspace, Streamed(4, asked=3), CPU)
    assert cameras(workspace) == {f"v{i:04d}": expected(i)[:3] for i in range(4)}


def test_units_larger_than_the_shared_memory_still_come(workspace: Workspace) -> None:
    stage = Batched(2, units=1, frame=4200)  # 70 MB each
    run_stage(workspace, stage, EngineOptions(workers=1, device="cpu", batch=1))
    assert cameras(workspace) == {f"v{i:04d}": expected(i, 1) for i in range(2)}


def test_memory_that_is_too_small_halves_the_batch_and_goes_on(workspace: Workspace) -> None:
    options = EngineOptions(workers=1, device="cpu", batch=32)
    summary = run_stage(workspace, Batched(6, memory=3, frame=4), options)
    assert summary.failed == {}
    assert cameras(workspace) == {f"v{i:04d}": expected(i) for i in range(6)}


def test_the_batch_and_the_readers_do_not_show_in_the_rows(tmp_path: Path) -> None:
    found = []
    for number, (workers, batch) in enumerate([(1, 1), (2, 3), (3, 64)]):
        workspace = Workspace.create(tmp_path / str(number))
        options = EngineOptions(workers=workers, device="cpu", batch=batch)
        run_stage(workspace, Batched(9), options)
        found.append(cameras(workspace))
    assert found[0] == found[1] == found[2]


def test_no_gpu_is_said_and_a_named_one_is_an_error(workspace: Workspace) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    said: list[str] = []
    run_stage(workspace, Batched(1), EngineOptions(workers=1), say=said.append)
    assert said == ["toy-batched: no CUDA device was found: the models run on the CPU, in fp32"]
    with pytest.raises(UsageError, match="no such device"):
        run_stage(workspace, Batched(2), EngineOptions(device="cuda:0"))


def owner(name: str) -> OpenItem:
    return OpenItem(Item(name, {}))


def test_a_batch_that_is_not_full_is_filled_up_and_its_fill_thrown_away() -> None:
    seen: list[int] = []

    def infer(units: Chunk) -> list[Any]:
        seen.append(len(units["x"]))
        return list(units["x"])

    batcher = Batcher(infer, BatchSize(4, 4, grow=False))
    first, second = owner("a"), owner("b")
    done = [o for found in batcher.add({"x": np.arange(3)}, first) for o in found]
    assert done == []
    first.read = True
    done = [o for found in batcher.add({"x": np.arange(10, 13)}, second) for o in found]
    assert [o.item.id for o in done] == ["a"]
    second.read = True
    assert [o.item.id for o in batcher.flush()] == ["b"]
    assert not batcher.waiting
    assert (first.results, second.results) == ([0, 1, 2], [10, 11, 12])
    assert seen == [4, 4]


def test_a_unit_that_never_fits_is_out_of_memory_and_the_others_are_done() -> None:
    def infer(units: Chunk) -> list[Any]:
        if 11 in units["x"]:
            raise MemoryError("out of memory")
        return list(units["x"])

    batcher = Batcher(infer, BatchSize(8, 8, grow=False))
    first, second = owner("a"), owner("b")
    for item, values in ((first, [0, 1, 2]), (second, [10, 11])):
        list(batcher.add({"x": np.array(values)}, item))
        item.read = True
    batcher.flush()
    assert first.results == [0, 1, 2]
    assert first.failure is None
    assert second.failure is not None
    assert second.failure.code == "out-of-memory"


def test_a_batch_grows_while_that_is_faster() -> None:
    size = BatchSize(0, 4, grow=True)
    for units, seconds in ((4, 1.0), (8, 1.1), (16, 2.3)):
        assert size.size == units
        size.measured(units, seconds)
    assert (size.size, size.growing) == (8, False)  # 16 gained less than 5 %
    assert BatchSize(6, 4, grow=True).growing is False  # what the user named stays
