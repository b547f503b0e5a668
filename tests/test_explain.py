"""Why one thing was kept or dropped: found by any name, told with its numbers."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from motionkit.engines.local import run_stage
from motionkit.errors import UsageError
from motionkit.explain import Explanation, explain
from motionkit.stages._judge import judge_shots
from motionkit.stages._scores import shots_of_rows
from motionkit.stages.filter import Filter
from motionkit.workspace import Workspace
from tests.stages.shots import Shot, put, workspace_of


def moving() -> Shot:
    """8 s of which the camera moves from 3.33 to 4.33 s."""
    shot = Shot(8.0)
    shot.camera[100:130] = 0.0047
    return shot


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    small = Shot(4.0, size=100)
    films = {"good": [Shot(5.0)], "pan": [moving(), small], "later": []}
    bad = {"path": "/films/bad.mp4", "outcome": "failed", "reason": "corrupt",
           "error_message": "the header cannot be read"}  # fmt: skip
    workspace = workspace_of(tmp_path / "ws", films, bad=bad)
    run_stage(workspace, Filter())
    return workspace


def clip(workspace: Workspace, video: str, place: int = 0) -> dict[str, Any]:
    rows = workspace.rows("verdicts", ["video_id", "candidates"], outcome=None)
    return [c for r in rows if r["video_id"] == video for c in r["candidates"]][place]


def check(found: Explanation, parameter: str) -> dict[str, Any]:
    return next(c for c in found.checks if c["parameter"] == parameter)


def test_a_kept_clip_shows_every_filter_and_how_it_came(workspace: Workspace) -> None:
    name = clip(workspace, "good")["clip_id"]
    found = explain(workspace, name)
    assert (found.kind, found.path, found.camera_kind) == ("clip", "/films/good.mp4", "static")
    assert found.summary == "kept by filter"
    assert [(w.stage, w.outcome) for w in found.words] == [
        ("ingest", "kept"), ("scan", "kept"), ("detect", "kept"), ("filter", "kept"),
        ("pose", "not-run"), ("build-shards", "not-run"),
    ]  # fmt: skip
    assert all(c["passed"] and not c["ranges"] for c in found.checks)
    assert {c["parameter"] for c in found.checks} == {
        "hold_max_s", "camera_max", None, "lower_confidence_min", "confident_share_min",
        "box_height_min", "speed_max_bh_s", "acceleration_max_bh_s2", "min_s", "speed_min_bh_s",
    }  # fmt: skip
    assert check(found, "box_height_min")["measured"] == pytest.approx(0.5)
    assert check(found, "min_s")["measured"] == pytest.approx(5.0)
    assert found.remedies == []
    json.dumps(found.as_dict())


def test_a_dropped_stretch_names_value_limit_times_and_remedy(workspace: Workspace) -> None:
    moved = clip(workspace, "pan", 1)
    found = explain(workspace, moved["clip_id"])
    assert found.summary == "dropped by filter: camera-moving, 0.0047 where the limit is 0.001"
    camera = check(found, "camera_max")
    assert (camera["passed"], camera["limit"]) == (False, 0.001)
    assert camera["measured"] == pytest.approx(0.0047)
    assert camera["ranges"] == [(pytest.approx(moved["t0_s"], abs=0.1), moved["t1_s"])]
    assert check(found, "speed_max_bh_s")["passed"]
    assert found.before == "kept, 0.00 to 3.33 s"
    assert found.after == "kept, 4.40 to 8.00 s"
    (remedy,) = found.remedies
    assert remedy == {"camera_max": pytest.approx(0.0047, rel=0.01)}


def test_a_remedy_does_what_it_says(workspace: Workspace) -> None:
    for place in (1, 3):
        dropped = clip(workspace, "pan", place)
        remedies = explain(workspace, dropped["clip_id"]).remedies
        assert remedies
        row = next(
            r for r in workspace.rows("detections", ["item_id", *_columns()], outcome=None)
            if r["item_id"].startswith("pan") and r["first"] <= dropped["first"]
            and dropped["last"] < r["first"] + len(r["source_camera"])
        )  # fmt: skip
        shots = shots_of_rows([row])
        for change in remedies:
            found = judge_shots(shots, Filter(**change))
            kept = found.code == 0
            there = (found.t0_s <= dropped["t1_s"]) & (found.t1_s >= dropped["t0_s"])
            assert (kept & there).any()


def _columns() -> tuple[str, ...]:
    from motionkit.stages._scores import COLUMNS

    return COLUMNS


def test_where_one_change_is_not_enough_the_set_is_named(tmp_path: Path) -> None:
    shot = Shot(4.0, size=120)
    shot.camera[:] = 0.002
    workspace = workspace_of(tmp_path, {"v": [shot]})
    run_stage(workspace, Filter())
    (remedy,) = explain(workspace, clip(workspace, "v")["clip_id"]).remedies
    assert set(remedy) == {"camera_max", "box_height_min"}
    assert remedy["camera_max"] == pytest.approx(0.002, rel=0.01)
    assert remedy["box_height_min"] == pytest.approx(120 / 400, rel=0.01)


def test_nothing_would_keep_what_nobody_is_in(tmp_path: Path) -> None:
    shot = Shot(4.0)
    shot.person[:] = -1
    workspace = workspace_of(tmp_path, {"v": [shot]})
    run_stage(workspace, Filter())
    found = explain(workspace, "v-000000-000119")
    assert found.kind == "shot"
    assert found.summary == "dropped by filter: no-person, 0"
    assert [c["reason"] for c in found.checks if not c["passed"]] == ["no-person"]
    assert found.remedies == []


def test_a_lapse_that_was_let_pass_is_shown(tmp_path: Path) -> None:
    shot = Shot(6.0)
    shot.keypoints[shot.at(3.0, 3.1), 15, 2] = 0.0
    workspace = workspace_of(tmp_path, {"v": [shot]})
    run_stage(workspace, Filter())
    legs = check(explain(workspace, "v-000000-000179"), "lower_confidence_min")
    assert legs["passed"]
    assert legs["measured"] == 0
    assert legs["ranges"] == [(pytest.approx(3.0), pytest.approx(3.2))]


@pytest.mark.parametrize("name", ["pan", "/films/pan.mp4", "pan.mp4"])
def test_a_video_by_id_path_or_file_name_lists_its_stretches(
    workspace: Workspace, name: str
) -> None:
    found = explain(workspace, name)
    assert found.kind == "video"
    assert found.summary == "2 shots, 4 stretches judged, 2 clips kept (6.9 s)"
    assert [c["reason"] for c in found.candidates] == [None, "camera-moving", None, "too-small"]


def test_a_shot_with_several_stretches_lists_them(workspace: Workspace) -> None:
    found = explain(workspace, "pan-000000-000239")
    assert (found.kind, len(found.candidates)) == ("shot", 3)
    assert found.summary == "3 stretches judged, 2 clips kept"


def test_a_moment_of_a_file(workspace: Workspace) -> None:
    found = explain(workspace, "pan.mp4@4.0")
    assert (found.kind, found.candidates[0]["reason"]) == ("moment", "camera-moving")
    assert found.frame is not None
    assert found.frame["t_s"] == pytest.approx(4.0)
    assert found.frame["fails"] == "camera-moving"
    assert found.frame["camera"] == pytest.approx(0.0047)
    other = explain(workspace, "pan.mp4@9.5")  # in the second shot
    assert other.candidates[0]["reason"] == "too-small"
    assert other.frame is not None and other.frame["box_height"] == pytest.approx(0.25)
    with pytest.raises(UsageError, match=r"99 s is in no shot of this video of 12\.00 s"):
        explain(workspace, "pan@99")


def test_what_never_reached_filter_names_the_stage(workspace: Workspace) -> None:
    found = explain(workspace, "bad.mp4")
    assert found.summary == "failed by ingest: corrupt (the header cannot be read)"
    assert explain(workspace, "later").summary == "it has no such shot"
    workspace.write_part("detections", [
        {"item_id": "later-000000-000099", "outcome": "failed", "reason": "timeout",
         "error_message": "not finished after 9 s", "attempt": 1,
         "fingerprint": workspace.fingerprint("detections")},
    ])  # fmt: skip
    shot = {"shot_id": "later-000000-000099", "first": 0, "last": 99, "t0_s": 0.0, "t1_s": 4.0}
    workspace.write_part("scans", [
        {"item_id": "later", "outcome": "kept", "attempt": 2, "shots": [shot],
         "fingerprint": workspace.fingerprint("scans")},
    ])  # fmt: skip
    for name in ("later-000000-000099", "later@1.5", "later"):
        assert explain(workspace, name).summary == (
            "failed by detect: timeout (not finished after 9 s)"
        )


def test_clips_dropped_later_name_the_stage(workspace: Workspace) -> None:
    name = clip(workspace, "good")["clip_id"]
    lost = {"item_id": name, "clip_id": name, "outcome": "dropped", "reason": "keypoints-missing"}
    put(workspace, "keypoints", [{**lost, "measured": 0.2, "threshold": 0.5}])
    found = explain(workspace, name)
    assert found.summary == "kept by filter; dropped by pose: keypoints-missing"
    put(workspace, "keypoints", [{"item_id": name, "clip_id": name}], "cd" * 16)
    put(workspace, "tracks", [{"item_id": name}])
    put(workspace, "captions", [{"item_id": name, "outcome": "dropped", "reason": "no-caption"}])
    assert explain(workspace, name).summary == "kept by filter; dropped by caption: no-caption"


def test_shards_that_hold_the_clip_or_not(workspace: Workspace) -> None:
    name = clip(workspace, "good")["clip_id"]
    for table in ("keypoints", "tracks", "captions"):
        put(workspace, table, [{"item_id": name}])
    folder = workspace.path / "shards"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    rows = pa.table({"clip_id": ["other", name], "split": ["train", "val"]})
    pq.write_table(rows.slice(0, 1), folder / "a.parquet")
    assert explain(workspace, name).summary.startswith(
        "kept by filter; dropped by build-shards: left out"
    )
    pq.write_table(rows, folder / "b.parquet")
    found = explain(workspace, name)
    assert found.summary == "kept by filter"
    assert found.words[-1].message == "b.parquet, split val"


def test_a_clip_of_other_thresholds_is_told_as_what_its_frames_are_now(
    workspace: Workspace,
) -> None:
    name = clip(workspace, "good")["clip_id"]
    run_stage(workspace, Filter(max_s=4.0))
    found = explain(workspace, name)
    assert found.summary.startswith("the thresholds now in force make no such clip")
    assert len(found.candidates) == 2


def test_unknown_and_ambiguous_names(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match=r"nothing in .* is called 'none'"):
        explain(workspace, "none")
    with pytest.raises(UsageError, match="there is no video 'none'"):
        explain(workspace, "none-000000-000119")
    twins = [{"item_id": n, "video_id": n, "path": f"/{n}/x.mp4"} for n in ("a", "b")]
    put(workspace, "videos", twins, "ef" * 16)
    with pytest.raises(UsageError, match="may be 2 videos") as error:
        explain(workspace, "x.mp4")
    assert error.value.hint == "give the whole path"


def test_an_address_that_could_not_be_fetched(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    dead = {"item_id": "u1", "url": "https://example.org/a.mp4", "outcome": "failed"}
    put(workspace, "downloads", [{**dead, "reason": "not-found", "error_message": "404"}])
    assert explain(workspace, dead["url"]).summary == "failed by fetch: not-found (404)"
