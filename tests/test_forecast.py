"""A saved plan, and the log of runs that it is compared with."""

import time
from pathlib import Path

import pytest

from motionkit.errors import UsageError
from motionkit.forecast import Forecast, Range, StepForecast, compare, read_plan
from motionkit.run_log import record, runs
from motionkit.workspace import Workspace

NOTHING = Range(0.0, 0.0, 0.0)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "ws")


def forecast(made: float, hours: float) -> Forecast:
    step = StepForecast(
        step="scan", mode="items", parameters={"cut_min": 1}, items=Range(10, 8, 12),
        kept=Range(10, 8, 12), kept_share=1.0, sample_items=2, per_video_s=0.1, start_s=1.0,
        slowdown=1.0, processor_s=NOTHING,
        hours={"2": Range(hours, hours / 2, hours * 2)}, bytes=Range(1000, 900, 1100),
        memory={"2": None}, gpu_memory=None, prompt_tokens=NOTHING, completion_tokens=NOTHING,
        notes=[],
    )  # fmt: skip
    return Forecast(
        "people", made, 0, 2, {}, {}, {}, [step], {"2": Range(hours)}, Range(1000.0), NOTHING,
        NOTHING, None, [],
    )  # fmt: skip


def stages(pending: int = 0) -> list[dict[str, object]]:
    return [{"stage": "scan", "kept": 6, "dropped": {"x": 1}, "failed": {}, "pending": pending,
             "running": None}]  # fmt: skip


def test_only_runs_since_the_plan_count(workspace: Workspace) -> None:
    record(workspace, "scan", 1000.0, {"processed": 3, "kept": 3}, 2)
    forecast(time.time() + 5, 0.01).save(workspace.path / "plan.json")
    found = compare(workspace, stages())
    assert found is not None
    assert found["steps"][0]["actual_s"] is None
    forecast(time.time() - 5, 0.01).save(workspace.path / "plan.json")
    record(workspace, "scan", 20.0, None, 2)  # interrupted
    found = compare(workspace, stages())
    assert found is not None
    step = found["steps"][0]
    assert (step["predicted_s"], step["low_s"], step["high_s"]) == (36.0, 18.0, 72.0)
    assert step["actual_s"] == 1020.0
    assert (step["items"], step["predicted_items"], step["complete"]) == (7, 10, True)
    assert (found["predicted_s"], found["actual_s"]) == (36.0, 1020.0)


def test_other_parameters_than_planned_are_told(workspace: Workspace) -> None:
    forecast(time.time(), 1.0).save(workspace.path / "plan.json")
    for value, same in ((1, True), (2, False)):
        workspace.set_current("scans", "ab" * 16, {"parameters": {"cut_min": value}})
        found = compare(workspace, stages(pending=3))
        assert found is not None
        assert found["steps"][0]["same_parameters"] is same
        assert found["steps"][0]["complete"] is False


def test_without_a_plan_there_is_nothing_to_compare(workspace: Workspace) -> None:
    assert compare(workspace, stages()) is None


@pytest.mark.parametrize("text", ["{", '{"format": "other"}', "[]"])
def test_another_file_of_that_name_is_told(workspace: Workspace, text: str) -> None:
    (workspace.path / "plan.json").write_text(text)
    with pytest.raises(UsageError, match=r"plan\.json"):
        read_plan(workspace.path / "plan.json")


def test_a_damaged_line_of_the_log_is_passed_over(workspace: Workspace) -> None:
    record(workspace, "scan", 1.0, {"processed": 1}, 0)
    with (workspace.path / "runs.jsonl").open("a") as file:
        file.write('{"step": "sc\n[]\n')
    record(workspace, "pose", 2.0, {"processed": 1}, 0)
    assert [(run["step"], run["ended"]) for run in runs(workspace)] == [
        ("scan", "done"), ("pose", "done"),
    ]  # fmt: skip
