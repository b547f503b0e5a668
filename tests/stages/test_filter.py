"""The verdicts: every reason, exact frames, clip lengths."""

import dataclasses
import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from motionkit.errors import UsageError
from motionkit.records import CANDIDATE, TABLES
from motionkit.row_index import roots_of
from motionkit.stage import Dropped, Item, Kept
from motionkit.stages._judge import judge_shots
from motionkit.stages._scores import COLUMNS, LIST_COLUMNS, shots_of_rows, shots_of_table
from motionkit.stages.detect import measured_ordinals
from motionkit.stages.filter import Filter, drop_table
from motionkit.video.camera import CAMERA_MAX, camera_moving
from tests.stages.shots import HEIGHT, Shot, figure


def brief(candidates: list[dict[str, Any]]) -> list[tuple[int, int, str | None]]:
    return [(c["first"], c["last"], c["reason"]) for c in candidates]


def test_a_good_shot_is_one_clip_with_all_its_frames_and_scores() -> None:
    (clip,) = Shot(5.0).verdicts()
    assert set(clip) == {field.name for field in CANDIDATE}
    assert (clip["first"], clip["last"], clip["outcome"], clip["reason"]) == (0, 149, "kept", None)
    assert (clip["t0_s"], clip["t1_s"]) == (0, pytest.approx(5.0))
    assert clip["confident_share"] == clip["lower_body_share"] == 1
    assert clip["box_height"] == pytest.approx(0.5)
    # 100 px/s at the fastest with a body of 200 px: the mean of |cos| over 5 s is 0.64.
    assert 0.25 < clip["speed_bh_s"] < 0.45
    assert 0.45 < clip["speed_top_bh_s"] < 0.55
    assert (clip["camera"], clip["camera_kind"], clip["person_share"]) == (0, "static", 1)
    assert clip["body_height_px"] == pytest.approx(200, rel=0.02)


def test_moving_frames_are_cut_out_exactly() -> None:
    shot = Shot(8.0)
    shot.camera[100:130] = 0.01
    candidates = shot.verdicts()
    assert brief(candidates) == [
        (0, 99, None),
        (100, 131, "camera-moving"),
        (132, 239, None),
    ]
    moved = candidates[1]
    assert (moved["measured"], moved["threshold"]) == (pytest.approx(0.01), CAMERA_MAX)


def test_a_stretch_longer_than_ten_seconds_falls_into_equal_clips() -> None:
    candidates = Shot(25.0).verdicts()
    assert [c["reason"] for c in candidates] == [None] * 3
    assert [c["first"] for c in candidates[1:]] == [c["last"] + 1 for c in candidates[:-1]]
    lengths = [c["t1_s"] - c["t0_s"] for c in candidates]
    assert lengths == pytest.approx([25 / 3] * 3, abs=0.04)
    assert len(Shot(10.0).verdicts()) == 1
    assert max(c["t1_s"] - c["t0_s"] for c in Shot(19.99).verdicts()) <= 10.0


def test_a_passing_stretch_under_two_seconds_is_too_short() -> None:
    (dropped,) = Shot(1.9).verdicts()
    assert (dropped["outcome"], dropped["reason"]) == ("dropped", "too-short")
    assert (dropped["measured"], dropped["threshold"]) == (pytest.approx(1.9), 2.0)
    assert Shot(2.0).verdicts()[0]["outcome"] == "kept"


def test_hidden_legs() -> None:
    shot = Shot(6.0)
    shot.keypoints[shot.at(3, 6), 15, 2] = 0.1
    candidates = shot.verdicts()
    assert brief(candidates) == [(0, 87, None), (88, 179, "lower-body-hidden")]
    assert candidates[1]["measured"] == pytest.approx(0.1, abs=1 / 255)
    assert candidates[1]["lower_body_share"] == 0


def test_few_confident_keypoints() -> None:
    shot = Shot(4.0)
    shot.keypoints[:, :4, 2] = 0.4  # 13 of 17 = 0.76 are left
    assert brief(shot.verdicts()) == [(0, 119, None)]
    shot.keypoints[:, 4, 2] = 0.4
    (dropped,) = shot.verdicts()
    assert dropped["reason"] == "low-confidence"
    assert (dropped["measured"], dropped["threshold"]) == (pytest.approx(12 / 17), 0.75)


def test_small_people() -> None:
    (dropped,) = Shot(4.0, size=130).verdicts()
    assert dropped["reason"] == "too-small"
    assert dropped["measured"] == pytest.approx(130 / HEIGHT)
    assert Shot(4.0, size=140).verdicts()[0]["reason"] is None


def test_who_crouches_for_a_moment_does_not_become_small() -> None:
    shot = Shot(6.0)
    shot.box_height[shot.at(2.5, 3.5)] = 80
    assert brief(shot.verdicts()) == [(0, 179, None)]
    shot.box_height[shot.at(1.5, 6.0)] = 80
    assert [c["reason"] for c in shot.verdicts()] == [None, "too-small"]


def test_nobody_there() -> None:
    shot = Shot(7.0)
    shot.person[shot.at(2.5, 4.4)] = -1
    assert brief(shot.verdicts()) == [(0, 72, None), (73, 134, "no-person"), (135, 209, None)]
    shot.person[:] = -1
    (dropped,) = shot.verdicts()
    assert (dropped["reason"], dropped["measured"]) == ("no-person", 0)


def test_a_teleport_cuts_and_is_not_part_of_a_clip() -> None:
    shot = Shot(6.0)
    shot.keypoints[shot.at(3, 6), :, 0] += 150  # 0.75 body heights in 0.1 s
    candidates = shot.verdicts(acceleration_max_bh_s2=1e6)
    assert brief(candidates) == [(0, 87, None), (88, 92, "too-fast"), (93, 179, None)]
    assert candidates[1]["measured"] > candidates[1]["threshold"] == 5.0


def test_jerks_are_told_by_their_acceleration() -> None:
    shot = Shot(6.0)
    shot.keypoints[1::2, :, 0] += 60  # 3 body heights a second, there and back
    (dropped,) = shot.verdicts(acceleration_max_bh_s2=50.0)
    assert (dropped["reason"], dropped["threshold"]) == ("too-fast", 50.0)
    assert dropped["measured"] == pytest.approx(60, rel=0.1)


def test_a_frozen_person_is_too_still() -> None:
    shot = Shot(4.0)
    shot.keypoints[:] = shot.keypoints[0]
    (dropped,) = shot.verdicts()
    assert (dropped["reason"], dropped["measured"]) == ("too-still", pytest.approx(0, abs=1e-6))


def test_speed_does_not_depend_on_the_size_of_the_picture() -> None:
    small, large = Shot(4.0), Shot(4.0, size=400)
    large.keypoints = small.keypoints * np.array([2, 2, 1])
    for name in ("speed_bh_s", "acceleration_bh_s2"):
        assert large.row()[name] == pytest.approx(small.row()[name], rel=1e-4, nan_ok=True)
    assert large.row()["body_height_px"] == pytest.approx(2 * small.row()["body_height_px"])


def test_a_short_lapse_of_the_detector_is_bridged_a_long_one_cuts() -> None:
    shot = Shot(6.0)
    shot.person[shot.at(3.0, 3.1)] = -1
    assert brief(shot.verdicts()) == [(0, 179, None)]
    shot.person[shot.at(3.0, 3.6)] = -1
    assert [c["reason"] for c in shot.verdicts()] == [None, "no-person", None]


def test_two_people_never_share_a_clip() -> None:
    shot = Shot(6.0)
    shot.person[shot.at(3.0, 6.0)] = 1
    assert brief(shot.verdicts()) == [(0, 87, None), (90, 179, None)]
    # Not even across a lapse that would be bridged otherwise.
    shot.person[shot.at(3.0, 3.1)] = -1
    assert [c["outcome"] for c in shot.verdicts()][::2] == ["kept", "kept"]


def test_moments_take_the_reason_of_their_surroundings() -> None:
    shot = Shot(6.0)
    shot.person[:] = -1
    shot.person[30] = 0
    assert [c["reason"] for c in shot.verdicts()] == ["no-person"]


def test_other_boxes_give_another_clip() -> None:
    shot, other = Shot(4.0), Shot(4.0)
    other.keypoints[:, :, 0] += 5
    assert shot.verdicts()[0]["clip_id"] == Shot(4.0).verdicts()[0]["clip_id"]
    assert shot.verdicts()[0]["clip_id"] != other.verdicts()[0]["clip_id"]
    assert shot.verdicts()[0]["clip_id"].startswith("v-000000-000119-")


def process(shot: Shot, **parameters: Any) -> Kept | Dropped:
    return Filter(**parameters).process(Item("v-shot", {"detection": shot.row()}))


def test_a_shot_without_clips_is_dropped_for_what_took_most_of_it() -> None:
    shot = Shot(6.0)
    shot.keypoints[shot.at(0, 2.0), 13, 2] = 0
    shot.person[shot.at(2.1, 6.0)] = -1
    outcome = process(shot)
    assert isinstance(outcome, Dropped)
    assert outcome.reason == "no-person"
    assert len(outcome.row["candidates"]) == 2
    assert isinstance(process(Shot(6.0)), Kept)


def test_the_table_of_drops_counts_stretches_and_seconds() -> None:
    hidden, gone = Shot(6.0), Shot(4.0)
    hidden.keypoints[hidden.at(3, 6), 15, 2] = 0
    gone.person[:] = -1
    rows = [process(hidden).row, process(gone).row, {"candidates": None}]
    assert drop_table(rows) == [
        {"reason": "no-person", "stretches": 1, "seconds": pytest.approx(4.0)},
        {"reason": "lower-body-hidden", "stretches": 1, "seconds": pytest.approx(92 / 30)},
    ]


def test_wrong_parameters_are_told() -> None:
    with pytest.raises(UsageError, match="--confidence must be a number"):
        Filter(confidence=-0.1)
    with pytest.raises(UsageError, match="--max-s"):
        Filter(min_s=6.0)


class FakeTables:
    """Holds rows of `detections`, and nothing else may be read."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.detections = rows

    def rows(
        self, table: str, columns: Any, *, outcome: str | None = "kept", only: Any = None
    ) -> Any:
        assert (table, outcome) == ("detections", None)
        for row in self.detections:
            if only is None or row[only[0]] in only[1]:
                yield {name: row.get(name) for name in roots_of(["item_id", *columns])}

    def fingerprint(self, table: str) -> str:
        return table


def test_failed_detections_have_no_verdict_and_dropped_ones_do() -> None:
    good = Shot(4.0).row()
    rows = [good, dict(good, item_id="b", outcome="failed"), dict(good, item_id="c")]
    tables: Any = FakeTables(rows)
    items = list(Filter().items(tables))
    assert [item.id for item in items] == ["v-shot", "c"]
    assert [name for name, _ in Filter().ids(tables)] == ["v-shot", "c"]
    assert [item.id for item in Filter().items(tables, {"c"})] == ["c"]
    assert isinstance(Filter().process(items[0]), Kept)


def spoiled(rng: np.random.Generator, name: str) -> dict[str, Any]:
    """A shot in which filters fail here and there for a while."""
    shot = Shot(float(rng.choice([0.04, 1.0, 4.0, 13.0, 25.0])))
    frames = len(shot.ordinals)

    def moments(share: float, length: int) -> np.ndarray:
        return np.repeat(rng.random(frames // length + 1) < share, length)[:frames]

    shot.keypoints[moments(0.2, 4), 15, 2] = 0.1
    shot.keypoints[moments(0.1, 2), :6, 2] = 0.3
    shot.keypoints[moments(0.1, 1), :, 0] += 200
    shot.box_height[moments(0.2, 15)] = 80
    shot.person[moments(0.3, 20)] = 1
    shot.person[moments(0.15, 2)] = -1
    shot.camera[rng.random(shot.count) < 0.05] = 0.01
    return dict(shot.row(), item_id=name)


def test_many_shots_together_get_the_verdicts_of_each_alone() -> None:
    rng = np.random.default_rng(5)
    rows = [spoiled(rng, f"v-{i}") for i in range(60)]
    tables: Any = FakeTables(rows)
    together = [Filter().process(item) for item in Filter().items(tables)]
    alone = [Filter().process(Item(row["item_id"], {"detection": row})) for row in rows]
    assert together == alone
    assert {c["reason"] for o in alone for c in o.row["candidates"]} >= {
        None, "camera-moving", "no-person", "lower-body-hidden", "too-fast", "too-short",
    }  # fmt: skip
    for row, outcome in zip(rows, alone, strict=True):
        spans = [(c["first"], c["last"]) for c in outcome.row["candidates"]]
        assert all(a <= b for a, b in spans)
        assert all(b < c for (_, b), (c, _) in itertools.pairwise(spans))
        assert spans[0][0] == row["first"] and spans[-1][1] <= row["last"]


def test_one_malformed_row_fails_alone() -> None:
    rows = [dict(Shot(4.0).row(), item_id=name) for name in "abc"]
    rows[1]["boxes"] = rows[1]["boxes"][:7]
    tables: Any = FakeTables(rows)
    first, second, third = Filter().items(tables)
    assert isinstance(Filter().process(first), Kept)
    with pytest.raises(ValueError, match="reshape"):
        Filter().process(second)
    assert isinstance(Filter().process(third), Kept)


def test_camera_flags_are_those_of_the_scan_score() -> None:
    rng = np.random.default_rng(1)
    rows = [spoiled(rng, f"v-{i}") for i in range(20)]
    for row in rows:
        row["source_camera"] = (rng.random(len(row["source_camera"])) < 0.4).astype(np.float32)
    flags = shots_of_rows(rows).moving(0.5)
    each = [camera_moving(row["source_camera"], 0.5) for row in rows]
    assert flags.tolist() == np.concatenate(each).tolist()


def test_rows_read_as_arrow_give_the_same_scores() -> None:
    rng = np.random.default_rng(2)
    rows = [spoiled(rng, f"v-{i}") for i in range(12)]
    schema = pa.schema([TABLES["detections"].field(name) for name in roots_of(COLUMNS)])
    columns = {n: [np.asarray(r[n]).ravel().tolist() if n in LIST_COLUMNS else r.get(n)
                   for r in rows] for n in schema.names}  # fmt: skip
    table = pa.table(columns, schema=schema)
    whole = judge_shots(shots_of_table(table.slice(3)), Filter())
    some = judge_shots(shots_of_rows(rows[3:]), Filter())
    part = judge_shots(shots_of_rows(rows).subset(np.arange(3, 12)), Filter())
    for other in (some, part):
        for field in dataclasses.fields(whole):
            assert getattr(whole, field.name).tolist() == getattr(other, field.name).tolist()


def at_times(source_s: np.ndarray) -> Shot:
    """A shot whose source frames are shown at ``source_s``, the last entry being its end."""
    shot = Shot(float(source_s[-1]))
    shot.count, shot.source_s = len(source_s) - 1, source_s[:-1]
    shot.ordinals = measured_ordinals(shot.source_s, 10)
    shot.times_s = shot.source_s[shot.ordinals]
    shot.camera = np.zeros(shot.count, np.float32)
    shot.keypoints = np.stack([figure(200 + 100 * np.sin(t), 200, 200) for t in shot.times_s])
    shot.person = np.zeros(len(shot.ordinals), np.int32)
    shot.box_height = np.full(len(shot.ordinals), 200.0)
    return shot


def test_clips_are_cut_by_time_where_frames_come_unevenly() -> None:
    rng = np.random.default_rng(0)
    shot = at_times(np.concatenate([[0], np.cumsum(rng.uniform(0.01, 0.2, 230))]))
    clips = shot.verdicts()
    lengths = [c["t1_s"] - c["t0_s"] for c in clips]
    assert [c["reason"] for c in clips] == [None] * 3
    assert sum(lengths) == pytest.approx(shot.seconds)
    assert max(lengths) <= 10.0
    assert max(lengths) - min(lengths) <= 0.4  # two frames


def test_a_gap_in_the_recording_ends_a_clip() -> None:
    shot = at_times(np.concatenate([np.arange(120) / 30, 9 + np.arange(151) / 30]))
    before, gap, after = shot.verdicts()
    # The frame that stands still for 5 s, and those since the measured frame before it.
    assert (before["reason"], gap["reason"], after["reason"]) == (None, "frame-gap", None)
    assert (gap["measured"], gap["threshold"]) == (pytest.approx(9 - 119 / 30), 1.0)
    assert (gap["t1_s"], after["t0_s"], after["t1_s"]) == (9, 9, 14)
    (whole,) = shot.verdicts(hold_max_s=6.0, max_s=20.0)
    assert (whole["reason"], whole["t1_s"]) == (None, 14)


def test_cuts_that_meet_in_one_long_frame_make_no_empty_clip() -> None:
    shot = at_times(np.concatenate([np.arange(60) / 30, 12 + np.arange(61) / 30]))
    clips = shot.verdicts(hold_max_s=60.0)
    assert all(c["first"] <= c["last"] for c in clips)
    assert clips[0]["first"] == 0 and clips[-1]["last"] == shot.count - 1
    assert all(b["first"] == a["last"] + 1 for a, b in itertools.pairwise(clips))


def test_a_shot_of_one_frame_is_too_short() -> None:
    (dropped,) = Shot(1 / 30).verdicts()
    assert (dropped["first"], dropped["last"], dropped["reason"]) == (0, 0, "too-short")
    assert dropped["speed_bh_s"] is None
    shot = Shot(1 / 30)
    shot.person[:] = -1
    assert shot.verdicts()[0]["reason"] == "no-person"


@pytest.mark.parametrize(
    ("frames", "rate", "reason"),
    [(60, 30, None), (59, 30, "too-short"), (48, 24, None), (60, 29.97, None), (120, 60, None)],
)
def test_two_seconds_are_enough_and_a_frame_less_is_not(
    frames: int, rate: float, reason: str | None
) -> None:
    milliseconds = np.round(np.arange(frames + 1) / rate, 3)  # as Matroska keeps them
    (only,) = at_times(milliseconds).verdicts()
    assert only["reason"] == reason


@pytest.mark.parametrize("seconds", [10.0, 10.04, 19.9, 20.1, 23.0, 61.0])
def test_a_passing_stretch_is_cut_whole_into_as_few_equal_clips_as_may_be(seconds: float) -> None:
    clips = Shot(seconds).verdicts()
    lengths = [c["t1_s"] - c["t0_s"] for c in clips]
    assert sum(lengths) == pytest.approx(round(seconds * 30) / 30, abs=0.04)
    assert all(2.0 <= length <= 10.0 + 0.002 for length in lengths)
    assert max(lengths) - min(lengths) <= 1 / 30 + 1e-6
    assert len(clips) <= seconds // (10 - 1 / 30) + 1


def test_a_change_of_person_cuts_where_the_other_is_first_measured() -> None:
    shot = Shot(9.0)
    shot.person[shot.at(4.0, 9.0)] = 1
    first, second = shot.verdicts()
    assert first["last"] < 120 == second["first"]
    assert (first["reason"], second["reason"]) == (None, None)
    # Between two people nothing is bridged, and who comes back for less than a clip is too short.
    shot.person[shot.at(4.0, 5.0)] = 0
    shot.person[shot.at(3.0, 3.9)] = 1
    assert [c["reason"] for c in shot.verdicts()] == [None, "too-short", "too-short", None]
