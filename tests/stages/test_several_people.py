"""Shots of which several people are kept: each has verdicts, clips and boxes of their own."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from motionkit.explain import explain
from motionkit.records import TABLES
from motionkit.row_index import roots_of
from motionkit.stage import Kept, fingerprint_of, shot_id
from motionkit.stages._judge import judge_shots
from motionkit.stages._scores import COLUMNS, LIST_COLUMNS, shots_of_rows, shots_of_table
from motionkit.stages.detect import Detect
from motionkit.stages.filter import Filter, judged
from motionkit.stages.pose import Pose
from motionkit.what_if import stored_shots, what_if
from motionkit.workspace import Workspace
from tests.stages.shots import Shot, put


def three() -> tuple[Shot, Shot, Shot]:
    """Somebody who is fine, somebody whose legs are hidden in the second half, a child."""
    fine, hidden, small = Shot(8.0), Shot(8.0), Shot(8.0, size=90)
    hidden.keypoints[hidden.at(4, 8), 15, 2] = 0.1
    hidden.keypoints[:, :, 0] += 90
    small.person[small.at(0, 2)] = -1
    small.keypoints[:, :, 0] -= 60
    return fine, hidden, small


def without_ids(candidates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in c.items() if k not in ("clip_id", "person")} for c in candidates]


def test_every_person_gets_the_verdicts_they_would_get_alone() -> None:
    fine, hidden, small = three()
    rows = [Shot(4.0).row(), fine.with_others(hidden, small), Shot(3.0).with_others()]
    before, together, after = judged(rows, Filter())
    alone = [judged([shot.row()], Filter())[0] for shot in (fine, hidden, small)]
    assert [c["person"] for c in together] == [0, 1, 1, 2, 2]
    assert [c["reason"] for c in together] == [
        None, None, "lower-body-hidden", "no-person", "too-small",
    ]  # fmt: skip
    assert without_ids(together) == without_ids([c for each in alone for c in each])
    assert [c["clip_id"] for c in together] == [c["clip_id"] for each in alone for c in each]
    assert len({c["clip_id"] for c in together}) == 5
    assert (before, after) == (judged([rows[0]], Filter())[0], judged([rows[2]], Filter())[0])


def test_rows_read_as_arrow_and_parts_of_them_give_the_same_scores() -> None:
    fine, hidden, small = three()
    rows = [Shot(4.0).row(), fine.with_others(hidden, small), Shot(3.0).row(),
            small.with_others(fine), Shot(5.0).with_others()]  # fmt: skip
    schema = pa.schema([TABLES["detections"].field(name) for name in roots_of(COLUMNS)])

    def plain(value: Any) -> Any:
        return None if value is None else [
            {name: np.asarray(v).ravel().tolist() for name, v in one.items()} for one in value
        ]  # fmt: skip

    columns = {
        name: [
            np.asarray(row[name]).ravel().tolist() if name in LIST_COLUMNS
            else plain(row.get(name)) if name == "others" else row[name]
            for row in rows
        ]
        for name in schema.names
    }  # fmt: skip
    table = pa.table(columns, schema=schema)
    for low, high in ((0, 5), (1, 2), (1, 5), (2, 3), (2, 4)):
        whole = shots_of_table(table.slice(low, high - low))
        each = shots_of_rows(rows[low:high])
        assert whole.row.tolist() == each.row.tolist()
        assert whole.number.tolist() == each.number.tolist()
        for a, b in ((whole, each), (each.subset(np.arange(len(each))), each)):
            one, other = judge_shots(a, Filter()), judge_shots(b, Filter())
            for field in dataclasses.fields(one):
                assert getattr(one, field.name).tolist() == getattr(other, field.name).tolist()


def test_a_person_of_another_length_is_malformed() -> None:
    with pytest.raises(ValueError, match="number of frames"):
        shots_of_rows([Shot(4.0).with_others(Shot(3.0))])


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """One video with two shots: of three people, and of one."""
    made = Workspace.create(tmp_path / "ws")
    fine, hidden, small = three()
    alone = Shot(4.0)
    name, first, cut, detections = "v", 0, [], []
    for shot, others in ((fine, (hidden, small)), (alone, ())):
        row = shot.with_others(*others, first=first)
        ends, last = row["source_times_s"], first + shot.count - 1
        row |= {"item_id": shot_id(name, first, last), "video_id": name, "target": "all"}
        detections.append(row)
        cut.append({"shot_id": row["item_id"], "first": first, "last": last, "t0_s": ends[0],
                    "t1_s": ends[-1], "camera_kind": "static"})  # fmt: skip
        first = last + 1
    video = {"item_id": name, "video_id": name, "path": "/films/v.mp4", "decoder": "pyav"}
    put(made, "videos", [{**video, "width": 600, "height": 400}])
    put(made, "scans", [{"item_id": name, "video_id": name, "shots": cut}])
    put(made, "detections", detections, fingerprint_of(Detect(), made))
    verdicts = []
    for item in Filter().items(made):
        outcome = Filter().process(item)
        assert isinstance(outcome, Kept)
        verdicts.append({"item_id": item.id, **outcome.row})
    put(made, "verdicts", verdicts, fingerprint_of(Filter(), made))
    return made


def test_stored_people_come_back_as_arrays_and_only_the_fields_asked_for(
    workspace: Workspace,
) -> None:
    first, second = workspace.rows("detections", ["others.boxes", "others.person"])
    assert [set(person) for person in first["others"]] == [{"boxes", "person"}] * 2
    boxes = first["others"][1]["boxes"]
    assert isinstance(boxes, np.ndarray) and boxes.dtype == np.float32
    _, hidden, small = three()
    assert np.array_equal(boxes, small.row()["boxes"])
    assert second["others"] == []
    found = workspace.lookup("detections", "item_id", ["others.keypoints"]).get(first["item_id"])
    assert found is not None
    assert np.array_equal(found["others"][0]["keypoints"], hidden.row()["keypoints"])


def test_what_if_counts_shots_once_and_people_each(workspace: Workspace) -> None:
    (shots,) = stored_shots(workspace)
    assert shots.number.tolist() == [0, 1, 2, 0]
    seen: list[tuple[int, int]] = []
    found = what_if(
        workspace, Filter(), Filter(box_height_min=0.1),
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert (found.shots, seen) == (2, [(2, 2)])
    assert (found.before.clips, found.before.stretches["too-small"]) == (3, 1)
    assert (found.after.clips, found.after.stretches["too-small"]) == (4, 0)


def test_a_clip_is_measured_in_the_boxes_of_its_own_person(workspace: Workspace) -> None:
    items = {item.id: item.data for item in Pose().items(workspace)}
    (verdict, _) = workspace.rows("verdicts", ["candidates"])
    people = three()
    kept = [c for c in verdict["candidates"] if c["outcome"] == "kept"]
    assert [c["person"] for c in kept] == [0, 1]
    for clip in kept:
        wanted = people[clip["person"]].row()["boxes"].reshape(-1, 5)
        found = items[clip["clip_id"]]["boxes"]
        assert np.array_equal(found, wanted[: len(found)])


def test_explain_names_the_person_and_looks_at_no_other(workspace: Workspace) -> None:
    (verdict, _) = workspace.rows("verdicts", ["candidates"])
    small = verdict["candidates"][4]
    found = explain(workspace, small["clip_id"])
    assert (found.kind, found.person, found.people) == ("clip", 2, 3)
    assert "too-small" in found.summary and "person 2 of 0 to 2" in found.summary
    assert found.before is not None and found.before.startswith("no-person")
    (remedy,) = found.remedies
    assert set(remedy) == {"box_height_min"} and 0.2 < remedy["box_height_min"] < 90 / 400
    failing = {check["reason"] for check in found.checks if not check["passed"]}
    assert failing == {"too-small"}
    whole = explain(workspace, verdict["item_id"])
    assert (whole.kind, whole.people, len(whole.candidates)) == ("shot", 3, 5)
    assert "3 people" in whole.summary
    moment = explain(workspace, "v@1.0")
    assert [c["person"] for c in moment.candidates] == [0, 1, 2]
    assert moment.frame is not None and moment.frame["person"] is True
    alone = explain(workspace, "v@9.0")
    assert (alone.person, alone.people) == (0, 1) and "person 0" not in alone.summary
