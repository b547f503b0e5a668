"""What other thresholds would keep: the same that `filter` would, and nothing is written."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.engines.local import run_stage
from motionkit.errors import UsageError
from motionkit.stages.filter import Filter
from motionkit.thresholds import parse_sweep
from motionkit.what_if import Tally, stored_shots, what_if
from motionkit.workspace import Workspace
from tests.stages.shots import Shot, put, workspace_of


def spoiled(seed: int) -> Shot:
    rng = np.random.default_rng(seed)
    shot = Shot(float(rng.choice([0.5, 3.0, 9.0, 24.0])))
    frames = len(shot.ordinals)
    shot.keypoints[rng.random(frames) < 0.03, 15, 2] = 0.1
    shot.keypoints[frames // 2 :, :, 0] += rng.choice([0, 60, 120])
    shot.person[2 * frames // 3 : 2 * frames // 3 + int(rng.integers(0, 12))] = -1
    shot.box_height[: int(rng.integers(0, frames)) // 2] = 125
    shot.camera[shot.count // 4 : shot.count // 3] = rng.uniform(0, 0.003)
    return shot


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    shots = {f"v{i}": [spoiled(3 * i + j) for j in range(3)] for i in range(8)}
    return workspace_of(tmp_path / "ws", shots)


def run(workspace: Workspace, params: Filter) -> Tally:
    """What `filter` itself keeps, counted from its rows."""
    run_stage(workspace, params)
    stretches: dict[str, int] = {}
    hours: dict[str, float] = {}
    for row in workspace.rows("verdicts", ["candidates"], outcome=None):
        for c in row["candidates"]:
            name = c["reason"] or "kept"
            stretches[name] = stretches.get(name, 0) + 1
            hours[name] = hours.get(name, 0.0) + (c["t1_s"] - c["t0_s"]) / 3600
    return Tally(stretches, hours)


def same(tally: Tally, other: Tally) -> None:
    assert {k: v for k, v in tally.stretches.items() if v} == other.stretches
    assert {k: v for k, v in tally.hours.items() if v} == pytest.approx(other.hours)


CHANGES: list[dict[str, Any]] = [
    {"camera_max": 0.002},
    {"box_height_min": 0.2},
    {"speed_max_bh_s": 2.0, "acceleration_max_bh_s2": 20.0},
    {"min_s": 3.0},
    {"max_s": 5.0, "speed_min_bh_s": 0.3},
    {"gap_max_s": 2.0, "camera_max": 0.0005},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: "+".join(c))
def test_it_keeps_what_filter_would_keep(workspace: Workspace, change: dict[str, Any]) -> None:
    changed = dataclasses.replace(Filter(), **change)
    found = what_if(workspace, Filter(), changed)
    same(found.before, run(workspace, Filter()))
    same(found.after, run(workspace, changed))
    assert found.before != found.after
    assert found.shots == 24
    assert set(found.changes) == set(change)
    assert set(found.alone) == (set(change) if len(change) > 1 else set())
    for name, tally in found.alone.items():
        same(tally, run(workspace, dataclasses.replace(Filter(), **{name: change[name]})))


def test_every_value_of_a_sweep_is_exact(workspace: Workspace) -> None:
    changed = Filter(camera_max=0.002)
    sweeps = parse_sweep("box_height.min", changed) | parse_sweep("clip.min_s=1,2,3", changed)
    found = what_if(workspace, Filter(), changed, sweeps)
    assert list(found.sweeps) == ["box_height_min", "min_s"]
    assert found.sweeps["min_s"][2.0] == found.after
    for name, values in found.sweeps.items():
        for value, tally in values.items():
            same(tally, run(workspace, dataclasses.replace(changed, **{name: value})))


def test_nothing_is_written(workspace: Workspace) -> None:
    def files() -> dict[str, int]:
        return {str(p): p.stat().st_mtime_ns for p in workspace.path.rglob("*") if p.is_file()}

    before = files()
    what_if(workspace, Filter(), Filter(camera_max=0.01), parse_sweep("all", Filter()))
    assert files() == before


def test_progress_ends_with_all_shots(workspace: Workspace) -> None:
    seen: list[tuple[int, int]] = []
    what_if(workspace, Filter(), Filter(), progress=lambda *counts: seen.append(counts))
    assert seen[-1] == (24, 24)


def test_failed_shots_are_left_out_and_superseded_rows_do_not_count(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path, {"v": [Shot(4.0)]})
    (part,) = workspace.parts("detections")
    assert part.is_file()
    current = workspace.fingerprint("detections")
    again = {**Shot(3.0).row(), "item_id": "v-000000-000119", "video_id": "v", "attempt": 2}
    workspace.write_part("detections", [{**again, "fingerprint": current}])
    failed = {"item_id": "bad", "outcome": "failed", "reason": "corrupt", "attempt": 1}
    workspace.write_part("detections", [{**failed, "fingerprint": current}])
    (shots,) = list(stored_shots(workspace))
    assert len(shots) == 1
    assert shots.source_times_s[-1] == pytest.approx(3.0)


def test_an_empty_workspace_names_the_missing_step(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no 'detections'"):
        what_if(Workspace.create(tmp_path), Filter(), Filter())
    workspace = Workspace.create(tmp_path / "none")
    put(workspace, "detections", [])
    assert what_if(workspace, Filter(), Filter()).before.clips == 0
