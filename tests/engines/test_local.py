"""The local engine: outcomes, resume, retries, and what a bad item may not do."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from motionkit.engines.local import EngineOptions, StageSummary, run_stage
from motionkit.errors import MotionkitError
from motionkit.workspace import Workspace
from tests.engines.toy import Toy

ONE = EngineOptions(workers=1, timeout_s=60)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "ws")


def outcomes(workspace: Workspace) -> dict[str, tuple[str, str | None, int]]:
    return {
        row["item_id"]: (row["outcome"], row["reason"], row["attempt"])
        for row in workspace.rows("scans", ["outcome", "reason", "attempt"], outcome=None)
    }


def test_each_outcome_becomes_a_row_and_neighbours_go_on(workspace: Workspace) -> None:
    acts = ((1, "drop"), (2, "input"), (3, "raise"), (4, "die"))
    summary = run_stage(workspace, Toy(6, acts), EngineOptions(workers=2))
    assert (summary.kept, summary.dropped.total(), summary.failed.total()) == (2, 1, 3)
    assert outcomes(workspace) == {
        "v0000": ("kept", None, 1),
        "v0001": ("dropped", "too-odd", 1),
        "v0002": ("failed", "not-a-number", 1),
        "v0003": ("failed", "ZeroDivisionError", 1),
        "v0004": ("failed", "worker-died", 1),
        "v0005": ("kept", None, 1),
    }
    rows = {r["item_id"]: r for r in workspace.rows("scans", ["camera", "frames"])}
    assert rows["v0005"]["camera"].tolist() == [25.0] * 5


def test_a_dead_worker_leaves_its_signal_and_its_item(workspace: Workspace) -> None:
    run_stage(workspace, Toy(1, ((0, "die"),)), ONE)
    (row,) = workspace.rows("scans", ["error_message", "video_id"], outcome="failed")
    assert "SIGSEGV" in row["error_message"]
    assert row["video_id"] == "v0000"


def test_a_hanging_item_is_ended_at_the_limit(workspace: Workspace) -> None:
    options = EngineOptions(workers=1, timeout_s=0.5)
    run_stage(workspace, Toy(2, ((0, "hang"),)), options)
    assert outcomes(workspace)["v0000"] == ("failed", "timeout", 1)
    assert outcomes(workspace)["v0001"] == ("kept", None, 1)


def test_a_second_run_does_nothing_and_a_new_parameter_everything(workspace: Workspace) -> None:
    run_stage(workspace, Toy(3), ONE)
    again = run_stage(workspace, Toy(3), ONE)
    assert (again.processed, again.done_before) == (0, 3)
    other = run_stage(workspace, Toy(3, power=3), ONE)
    assert other.processed == 3
    assert {
        row["camera"].tolist()[0]
        for row in workspace.rows("scans", ["camera"])
        if len(row["camera"])
    } == {1.0, 8.0}
    back = run_stage(workspace, Toy(3), ONE)
    assert back.processed == 0


def test_failures_are_tried_again_only_when_asked(workspace: Workspace) -> None:
    run_stage(workspace, Toy(2, ((1, "raise"),)), ONE)
    assert run_stage(workspace, Toy(2), ONE).processed == 0
    retried = run_stage(workspace, Toy(2), ONE, retry=lambda item: item == "v0001")
    assert retried.kept == 1
    assert outcomes(workspace)["v0001"] == ("kept", None, 2)


def test_a_stage_that_cannot_start_stops_with_its_reason(workspace: Workspace) -> None:
    with pytest.raises(MotionkitError, match="no such model"):
        run_stage(workspace, Toy(2, ((-1, "no-setup"),)), ONE)


def test_max_failures_stops_but_keeps_what_is_done(workspace: Workspace) -> None:
    acts = tuple((n, "raise") for n in range(1, 5))
    with pytest.raises(MotionkitError, match="2 items failed"):
        run_stage(workspace, Toy(9, acts), EngineOptions(workers=1, max_failures=2))
    assert outcomes(workspace)["v0000"][0] == "kept"


def test_killed_and_resumed_gives_the_bytes_of_an_undisturbed_run(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from motionkit.engines import local; local._FLUSH_SECONDS = 0.1\n"
        "from motionkit.workspace import Workspace; from tests.engines.toy import Toy\n"
        "if __name__ == '__main__':\n"
        "    local.run_stage(Workspace.create(Path(sys.argv[1])), Toy(40, pause_s=0.05))\n"
    )
    runner = tmp_path / "runner.py"
    runner.write_text(script)
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}

    def start(where: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(runner), str(where)]
        return subprocess.Popen(command, start_new_session=True, env=environment)

    assert start(tmp_path / "calm").wait(60) == 0
    for pause in (0.4, 0.9, 1.3):
        process = start(tmp_path / "killed")
        parts = tmp_path / "killed" / "tables" / "scans"
        limit = time.monotonic() + 30
        while not list(parts.glob("part-*")) and time.monotonic() < limit:
            time.sleep(0.05)
        time.sleep(pause / 3)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert start(tmp_path / "killed").wait(60) == 0
    files = [sorted((tmp_path / name / "tables/scans").iterdir()) for name in ("calm", "killed")]
    assert [f.name for f in files[0]] == [f.name for f in files[1]]
    assert [f.read_bytes() for f in files[0]] == [f.read_bytes() for f in files[1]]


def test_a_damaged_part_is_set_aside_and_its_items_are_done_again(workspace: Workspace) -> None:
    run_stage(workspace, Toy(3), ONE)
    (part,) = workspace.parts("scans")
    part.write_bytes(part.read_bytes()[:100])
    with pytest.warns(UserWarning, match="set aside|renamed"):
        summary = run_stage(workspace, Toy(3), ONE)
    assert summary.processed == 3
    assert part.with_name(part.name + ".damaged").exists()


def test_the_same_row_in_two_parts_is_read_once_and_merged(workspace: Workspace) -> None:
    summary: StageSummary = run_stage(workspace, Toy(3), ONE)
    (part,) = workspace.parts("scans")
    data = pq.read_table(part)
    pq.write_table(
        pa.concat_tables([data.slice(0, 1)]), part.with_name(part.name[:-9] + "f.parquet")
    )
    assert len(list(workspace.rows("scans", []))) == 3
    workspace.compact("scans", summary.fingerprint)
    assert [p.name for p in workspace.parts("scans")] == [part.name]
    assert pq.read_table(part).num_rows == 3
