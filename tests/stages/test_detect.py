"""The first pass: which frames are measured, whose boxes are kept."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from motionkit.backends.people import People
from motionkit.errors import InputError, UsageError
from motionkit.records import PERSON, TABLES
from motionkit.stage import Chunk, Dropped, Item, Kept, mode_of, run_alone
from motionkit.stages._tracklets import link, trusted
from motionkit.stages.detect import (
    PEOPLE_MAX,
    Detect,
    camera_between,
    chosen_people,
    measured_ordinals,
)
from tests.stages.fake_tables import FakeTables


def person(x: float, y: float, height: float, score: float = 0.9) -> tuple[Any, Any]:
    """Box [5] and keypoints [17, 3] of somebody about (x, y)."""
    keypoints = np.ones((17, 3), np.float32)
    keypoints[:, 0] = x + np.linspace(-0.2, 0.2, 17) * height
    keypoints[:, 1] = y + np.linspace(-0.5, 0.5, 17) * height
    box = (x - 0.2 * height, y - 0.5 * height, x + 0.2 * height, y + 0.5 * height, score)
    return np.array(box, np.float32), keypoints


def people(*persons: tuple[Any, Any]) -> People:
    if not persons:
        return People.nobody()
    return People(np.stack([b for b, _ in persons]), np.stack([k for _, k in persons]))


def write_video(path: Path, frames: int, fps: int = 30, width: int = 64, height: int = 48) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(frames):
            picture = np.full((height, width, 3), 20 + 3 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def test_frames_are_measured_by_time_not_by_count() -> None:
    assert measured_ordinals(np.arange(31) / 30, 10).tolist() == list(range(0, 31, 3))
    # 60 frames a second for a second, then 10 a second: never closer than 0.1 s, none missed.
    times = np.concatenate([np.arange(60) / 60, 1 + np.arange(10) / 10])
    found = measured_ordinals(times, 10)
    assert np.diff(times[found]).min() > 0.09
    assert found[0] == 0
    assert found[-10:].tolist() == list(range(60, 70))


def test_the_last_frame_of_a_shot_is_measured() -> None:
    assert measured_ordinals(np.arange(32) / 30, 10)[-2:].tolist() == [27, 31]
    assert measured_ordinals(np.arange(33) / 30, 10)[-2:].tolist() == [27, 32]
    assert measured_ordinals(np.arange(1) / 30, 10).tolist() == [0]


def test_camera_column_is_the_highest_score_on_the_way() -> None:
    camera = np.array([9.0, 0.1, 0.2, 0.9, 0.3, 0.4, 0.5])
    found = camera_between(camera, np.array([0, 3, 4, 6]))
    assert found.tolist() == pytest.approx([0, 0.9, 0.3, 0.5])


def chosen_person(
    frames: list[People], times_s: np.ndarray, score_min: float, target: str = "largest"
) -> dict[str, Any]:
    """The columns of the person kept in a picture of 120 by 100."""
    tracklets = trusted(frames, link(frames, times_s), score_min)
    return chosen_people(frames, tracklets, target, (120, 100), 0.05)[0]


def test_one_person_is_kept_though_another_is_larger_for_a_moment() -> None:
    frames = [people(person(30, 50, 40), person(90, 50, 42 if i == 5 else 38)) for i in range(10)]
    kept = chosen_person(frames, np.arange(10) / 10, 0.5)
    assert kept["person"].tolist() == [0] * 10
    assert kept["boxes"][:, 0].max() < 40


def test_another_person_takes_the_frames_that_are_left() -> None:
    frames = [people(person(30, 50, 30)) for _ in range(4)]
    frames += [people(person(90, 50, 60)) for _ in range(8)] + [people()]
    kept = chosen_person(frames, np.arange(13) / 10, 0.5)
    assert kept["person"].tolist() == [1] * 4 + [0] * 8 + [-1]
    assert not kept["boxes"][12].any()
    assert not kept["keypoints"][12].any()


def test_a_person_whom_the_detector_never_trusts_is_nobody() -> None:
    frames = [people(person(30, 50, 40, score=0.6)) for _ in range(5)]
    assert chosen_person(frames, np.arange(5) / 10, 0.75)["person"].tolist() == [-1] * 5
    frames[3] = people(person(30, 50, 40, score=0.8))
    assert chosen_person(frames, np.arange(5) / 10, 0.75)["person"].tolist() == [0] * 5


def test_a_short_absence_does_not_make_a_new_person_a_long_one_does() -> None:
    here, gone = people(person(30, 50, 40)), people()
    times = np.arange(12) / 10
    assert len(link([here, here, gone, gone, gone, here], times[:6])) == 1
    assert len(link([here, *[gone] * 10, here], times)) == 2


class FakeDetector:
    """Sees one person in the middle of each picture, as high as half of it."""

    def __init__(self, share: float = 1.0) -> None:
        self.share, self.shapes, self.resets = share, [], 0

    def reset(self) -> None:
        self.resets += 1

    def detect(self, frames: np.ndarray, times_s: np.ndarray) -> list[People]:
        self.shapes += [f.shape for f in frames]
        height, width = frames.shape[1:3]
        one = people(person(width / 2, height / 2, height / 2))
        return [one if t < self.share else people() for t in times_s]


def make_item(path: Path, frames: int, first: int, last: int) -> Item:
    times = np.arange(frames) / 30
    data = {"video_id": "v", "path": str(path), "decoder": "pyav", "width": 64, "height": 48}
    data |= {"first": first, "last": last, "times_s": times[first : last + 1]}
    data |= {"end_s": (last + 1) / 30, "camera_kind": "static"}
    return Item("v-shot", {**data, "camera": np.zeros(last - first + 1, np.float32)})


def stage_with(fake: FakeDetector, **parameters: Any) -> Detect:
    stage = Detect(**parameters)
    object.__setattr__(stage, "_detector", fake)
    return stage


def test_a_shot_is_measured_in_pixels_of_the_whole_picture(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 40)
    fake = FakeDetector()
    outcome = stage_with(fake, max_height=24).process(make_item(tmp_path / "a.mp4", 40, 6, 36))
    assert isinstance(outcome, Kept)
    assert outcome.row["ordinals"].tolist() == list(range(6, 37, 3))
    assert outcome.row["times_s"] == pytest.approx(np.arange(6, 37, 3) / 30)
    assert set(fake.shapes) == {(24, 32, 3)}
    assert outcome.row["boxes"][0, :4].tolist() == pytest.approx([27.2, 12, 36.8, 36], abs=0.01)
    assert outcome.row["keypoints"].shape == (11, 17, 3)
    assert outcome.row["source_times_s"] == pytest.approx(np.arange(6, 38) / 30)
    assert len(outcome.row["source_camera"]) == 31
    assert fake.resets == 1


def test_a_shot_with_nobody_is_dropped_with_its_scores(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 31)
    outcome = stage_with(FakeDetector(0.0)).process(make_item(tmp_path / "a.mp4", 31, 0, 30))
    assert isinstance(outcome, Dropped)
    assert (outcome.reason, outcome.measured, outcome.threshold) == ("no-person", 0.0, 0.05)
    assert len(outcome.row["ordinals"]) == 11


def test_a_file_that_lost_frames_is_a_failure(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 20)
    with pytest.raises(InputError) as error:
        stage_with(FakeDetector()).process(make_item(tmp_path / "a.mp4", 40, 0, 39))
    assert error.value.code == "frames-missing"


def test_wrong_parameters_are_told() -> None:
    with pytest.raises(UsageError, match="--target"):
        Detect(target="tallest")
    with pytest.raises(UsageError, match="--fps"):
        Detect(fps=0)


def test_items_are_the_shots_with_their_part_of_the_video() -> None:
    video = {"video_id": "v", "path": "a.mp4", "decoder": "pyav", "width": 64, "height": 48}
    video["frame_times_s"] = np.arange(10) / 10
    shots = [
        {"shot_id": "v-a", "first": 0, "last": 3, "t0_s": 0.0, "t1_s": 0.4},
        {"shot_id": "v-b", "first": 4, "last": 9, "t0_s": 0.4, "t1_s": 1.0},
    ]
    scan = {"video_id": "v", "camera": np.arange(10.0), "shots": shots}
    tables = FakeTables(videos=[video, dict(video, path="same.mp4")], scans=[scan])
    stage = Detect()
    assert list(stage.ids(tables)) == [("v-a", None), ("v-b", None)]
    items = list(stage.items(tables))
    assert [item.id for item in stage.items(tables, {"v-b"})] == ["v-b"]
    assert [item.id for item in items] == ["v-a", "v-b"]
    assert items[1].data["times_s"].tolist() == pytest.approx([0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert items[1].data["camera"].tolist() == [4, 5, 6, 7, 8, 9]
    assert items[0].data["path"] == "a.mp4"


def test_what_verdicts_need_is_stored_with_each_frame(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 31)
    item = make_item(tmp_path / "a.mp4", 31, 0, 30)
    item.data["camera_kind"] = "pan"
    row = stage_with(FakeDetector(0.7)).process(item).row
    assert row["camera_kind"] == "pan"
    seen = row["person"] >= 0
    assert 0 < seen.sum() < len(seen)
    for name in ("speed_bh_s", "acceleration_bh_s2", "body_height_px"):
        assert row[name].shape == seen.shape
        assert np.isnan(row[name][~seen]).all()
    assert row["speed_bh_s"][1 : seen.sum()] == pytest.approx(0, abs=1e-3)
    assert (row["body_height_px"][seen] > 1).all()
    assert row["confidences"].tolist() == np.where(seen[:, None], [255] * 17, 0).tolist()


def test_the_most_central_person_may_be_the_smaller_one() -> None:
    frames = [people(person(20, 50, 60), person(65, 50, 30)) for _ in range(10)]
    kept = chosen_person(frames, np.arange(10) / 10, 0.5, "central")
    assert kept["person"].tolist() == [0] * 10
    assert (kept["boxes"][:, 0] > 50).all()
    # Whoever is in the middle for a moment only is not.
    frames[5] = people(person(20, 50, 60), person(65, 50, 30), person(60, 50, 20))
    assert chosen_person(frames, np.arange(10) / 10, 0.5, "central")["boxes"][5, 0] > 55


def test_of_all_people_each_has_columns_of_their_own() -> None:
    frames = [people(person(20, 50, 30), person(80, 50, 60)) for _ in range(40)]
    frames += [people(person(20, 50, 30)) for _ in range(10)]
    frames[3] = people(person(20, 50, 30), person(80, 50, 60), person(50, 50, 80))  # for a moment
    tracklets = trusted(frames, link(frames, np.arange(50) / 10), 0.5)
    large, small = chosen_people(frames, tracklets, "all", (120, 100), 0.05)
    assert large["person"].tolist() == [0] * 40 + [-1] * 10
    assert small["person"].tolist() == [1] * 50
    assert (large["boxes"][:40, 0] > 60).all() and not large["boxes"][40:].any()
    assert (small["boxes"][:, 2] < 40).all()


def test_of_a_crowd_the_largest_are_kept() -> None:
    crowd = [person(20.0 + 40 * i, 50, 20.0 + i / 2) for i in range(50)]
    frames = [people(*crowd) for _ in range(3)]
    tracklets = trusted(frames, link(frames, np.arange(3) / 10), 0.5)
    each = chosen_people(frames, tracklets, "all", (2000, 100), 0.05)
    heights = [one["boxes"][0, 3] - one["boxes"][0, 1] for one in each]
    assert len(each) == PEOPLE_MAX
    assert heights == sorted(heights, reverse=True) and heights[0] == pytest.approx(44.5)


class FakeBatched:
    """Sees two people in each picture, placed by its size; counts the units of each call."""

    batched = True

    def __init__(self) -> None:
        self.calls: list[int] = []

    def prepare(self, frames: np.ndarray) -> Chunk:
        return {"tiny": frames[:, ::4, ::4]}

    def infer(self, units: Chunk) -> list[People]:
        self.calls.append(len(units["tiny"]))
        height, width = (4 * side for side in units["tiny"].shape[1:3])
        two = (person(width / 4, height / 2, height / 2), person(width / 2, height / 2, height / 4))
        return [people(*two) for _ in units["tiny"]]


def test_a_backend_that_takes_batches_gives_the_same_row(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 40)
    item, fake = make_item(tmp_path / "a.mp4", 40, 6, 36), FakeBatched()
    stage: Any = stage_with(fake, max_height=24, target="all")
    assert mode_of(stage) == "batches" and mode_of(Detect()) == "items"
    outcome = run_alone(stage, item, batch=4)
    assert isinstance(outcome, Kept)
    row = outcome.row
    assert max(fake.calls) == 4 and sum(fake.calls) == 11
    assert row["ordinals"].tolist() == list(range(6, 37, 3))
    assert row["times_s"] == pytest.approx(np.arange(6, 37, 3) / 30)
    assert row["boxes"][0, :4].tolist() == pytest.approx([11.2, 12, 20.8, 36], abs=0.01)
    assert (row["target"], row["precision"], len(row["others"])) == ("all", "fp32", 1)
    (other,) = row["others"]
    assert set(other) == {PERSON.field(i).name for i in range(PERSON.num_fields)}
    assert other["boxes"].reshape(-1, 5)[0].tolist() == pytest.approx([29.6, 18, 34.4, 30, 0.9])
    assert other["person"].tolist() == [1] * 11
    assert set(row) <= set(TABLES["detections"].names)


def test_every_column_of_a_target_is_told(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 31)
    for target in ("largest", "central"):
        row = (
            stage_with(FakeDetector(), target=target)
            .process(make_item(tmp_path / "a.mp4", 31, 0, 30))
            .row
        )
        assert (row["target"], row["others"]) == (target, None)
        assert "precision" not in row


def test_a_batched_backend_that_sees_nobody_drops_the_shot(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 31)
    fake: Any = FakeBatched()
    fake.infer = lambda units: [people() for _ in units["tiny"]]
    for target in ("largest", "all"):
        outcome = run_alone(
            stage_with(fake, target=target), make_item(tmp_path / "a.mp4", 31, 0, 30)
        )
        assert isinstance(outcome, Dropped)
        assert (outcome.reason, outcome.measured) == ("no-person", 0.0)


def test_a_shot_that_gives_no_frame_is_a_failure(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 20)
    with pytest.raises(InputError) as error:
        run_alone(stage_with(FakeBatched()), make_item(tmp_path / "a.mp4", 40, 0, 39))
    assert error.value.code == "frames-missing"
