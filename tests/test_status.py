"""Counts, what is pending, who is running, and how long it will take."""

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.engines.heartbeat import Heartbeat, read_heartbeat
from motionkit.engines.local import EngineOptions, run_stage
from motionkit.errors import MotionkitError
from motionkit.status import status
from motionkit.workspace import Workspace
from tests.engines.toy import Toy

PRINT = "ef" * 16


def row(item: str, outcome: str = "kept", **payload: Any) -> dict[str, Any]:
    return {"item_id": item, "fingerprint": PRINT, "outcome": outcome, "attempt": 1, **payload}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace.create(tmp_path / "ws")
    clip = {"clip_id": "c1", "outcome": "kept"}
    tables: dict[str, list[dict[str, Any]]] = {
        "videos": [
            row("s1", video_id="v1"), row("s2", video_id="v1"), row("s3", video_id="v2"),
            row("s4", "failed", reason="corrupt"), row("s5", "failed", reason="corrupt"),
        ],
        "scans": [row("v1", shots=[{"shot_id": "h1"}, {"shot_id": "h2"}, {"shot_id": "h3"}])],
        "detections": [row("h1"), row("h2", "dropped", reason="no-person")],
        "verdicts": [row("h1", candidates=[clip, {**clip, "clip_id": "c2"},
                                           {"clip_id": "c3", "outcome": "dropped"}])],
        "keypoints": [row("c1", m2d=np.zeros(54))],
    }  # fmt: skip
    for table, rows in tables.items():
        workspace.write_part(table, rows)
        workspace.set_current(table, PRINT, {})
    return workspace


def test_items_without_a_row_are_pending_each_counted_once(workspace: Workspace) -> None:
    found = {r["stage"]: r for r in status(workspace)}
    assert {stage: r["pending"] for stage, r in found.items()} == {
        "ingest": None, "scan": 1, "detect": 1, "filter": 1, "pose": 1,
    }  # fmt: skip
    assert found["ingest"]["failed"] == {"corrupt": 2}
    assert found["detect"]["dropped"] == {"no-person": 1}
    assert found["ingest"]["kept"] == 3


def test_masks_wait_for_keypoints_and_audits_for_captions(workspace: Workspace) -> None:
    for table, rows in {
        "masks": [row("other")],
        "captions": [row("c1"), row("c2"), row("c3", "failed", reason="x")],
        "audits": [row("c1")],
    }.items():
        workspace.write_part(table, rows)
        workspace.set_current(table, PRINT, {})
    found = {r["stage"]: r["pending"] for r in status(workspace)}
    assert (found["masks"], found["audit"]) == (1, 1)


def test_time_left_is_that_of_the_run_or_of_the_last_rate(workspace: Workspace) -> None:
    beat = Heartbeat(workspace, "pose", total=9, started=time.monotonic() - 10)
    beat.beat(5)
    pose = {r["stage"]: r for r in status(workspace)}["pose"]
    assert (pose["running"]["done"], pose["running"]["total"]) == (5, 9)
    assert pose["running"]["pid"] == os.getpid()
    assert pose["seconds_left"] == pytest.approx(8, rel=0.2)
    beat.end(5)
    pose = {r["stage"]: r for r in status(workspace)}["pose"]
    assert pose["running"] is None
    assert pose["seconds_left"] == pytest.approx(2, rel=0.2)  # one item is pending


def beat_of(workspace: Workspace, **changed: Any) -> None:
    state = {
        "stage": "scan", "pid": os.getppid(), "host": socket.gethostname(), "done": 1, "total": 4,
        "per_s": 1.0, "time": time.time(), **changed,
    }  # fmt: skip
    (workspace.path / "running").mkdir(exist_ok=True)
    (workspace.path / "running" / "scan.json").write_text(json.dumps(state))


def test_a_second_process_does_not_do_the_same_work(workspace: Workspace) -> None:
    beat_of(workspace)
    current = workspace.current("scans")
    with pytest.raises(MotionkitError, match="running in this workspace already"):
        run_stage(workspace, Toy(3, power=3), EngineOptions(workers=1))
    assert workspace.current("scans") == current


def test_a_long_item_does_not_look_like_a_run_that_is_gone(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats: list[int] = []
    real = Heartbeat.beat
    monkeypatch.setattr(
        Heartbeat, "beat", lambda self, done: (beats.append(done), real(self, done))
    )
    run_stage(workspace, Toy(1, pause_s=2.5), EngineOptions(workers=1))
    assert beats.count(0) >= 4  # at the beginning, and while the one item was in work
    assert beats[-1] == 1


@pytest.mark.parametrize(
    "changed",
    [{"pid": 2**22 + 1}, {"time": 0.0}, {"pid": None}, {"pid": "x"}, {"host": "other", "time": 1}],
)
def test_a_run_that_is_gone_holds_nobody_up(workspace: Workspace, changed: dict[str, Any]) -> None:
    beat_of(workspace, **changed)
    assert read_heartbeat(workspace, "scan") is None
    assert run_stage(workspace, Toy(3), EngineOptions(workers=1)).kept == 3


def test_a_changed_stamp_is_done_again_and_the_newer_row_counts(workspace: Workspace) -> None:
    one = EngineOptions(workers=1)
    assert run_stage(workspace, Toy(2, stamp="a"), one).kept == 2
    assert run_stage(workspace, Toy(2, stamp="a"), one).processed == 0
    assert run_stage(workspace, Toy(2, stamp="b"), one).kept == 2
    rows = {r["item_id"]: r for r in workspace.rows("scans", ["attempt", "stamp"])}
    assert [(r["attempt"], r["stamp"]) for r in rows.values()] == [(2, "b"), (2, "b")]
