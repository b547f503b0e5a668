"""The second pass: constant rate, the person in the box, M_2D."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from motionkit.errors import InputError, UsageError
from motionkit.stage import Dropped, Item, Kept, joined, mode_of, run_alone, units_of
from motionkit.stages.pose import Pose, boxes_between
from tests.backends.random_models import save_vitpose
from tests.stages.fake_tables import FakeTables
from tests.video import encode, films


def write_video(path: Path, frames: int, fps: int = 25) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(frames):
            picture = np.full((48, 64, 3), 20 + 3 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


class FakeEstimator:
    """Puts all keypoints into the middle of the box; sees nobody from frame ``until`` on."""

    def __init__(self, until: int = 1000) -> None:
        self.until, self.seen, self.boxes, self.resets = until, 0, [], 0

    def reset(self) -> None:
        self.resets += 1

    def estimate(self, frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        out = np.zeros((len(frames), 17, 3), np.float32)
        for i, box in enumerate(boxes):
            self.boxes.append(box)
            if self.seen < self.until:
                out[i] = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, 0.8)
            self.seen += 1
        return out


class FakeBatched:
    """`FakeEstimator` in batches. Its crops tell which units were in one batch."""

    batched = True

    def __init__(self) -> None:
        self.batches: list[int] = []

    def setup_reader(self) -> None: ...

    def prepare(self, frames: np.ndarray, boxes: np.ndarray) -> dict[str, np.ndarray]:
        return {"crops": frames[:, :2, :2].copy(), "boxes": np.array(boxes)}

    def infer(self, units: dict[str, np.ndarray]) -> list[np.ndarray]:
        assert set(units) == {"crops", "boxes"}
        self.batches.append(len(units["boxes"]))
        x0, y0, x1, y1 = units["boxes"].T
        middle = np.stack([(x0 + x1) / 2, (y0 + y1) / 2, 0.8 * (x1 > x0)], 1)
        return list(np.repeat(middle[:, None], 17, 1).astype(np.float32))


def make_item(path: Path, first: int, last: int, fps: int = 25) -> Item:
    times = np.arange(first, last + 1) / fps
    boxes = np.zeros((2, 5), np.float32)
    boxes[:] = [(0, 0, 20, 40, 1), (20, 0, 40, 40, 1)]
    data = {"video_id": "v", "clip_id": "v-clip", "path": str(path), "decoder": "pyav"}
    data |= {"width": 64, "height": 48, "first": first, "times_s": times, "boxes": boxes}
    data |= {"t0_s": first / fps, "t1_s": (last + 1) / fps, "box_times_s": times[[0, -1]]}
    return Item("v-clip", data)


def stage_with(fake: FakeEstimator | FakeBatched, **parameters: Any) -> Pose:
    stage = Pose(**parameters)
    object.__setattr__(stage, "_estimator", fake)
    return stage


def test_25_frames_a_second_become_30_and_each_is_measured_once(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 60)
    fake = FakeEstimator()
    outcome = stage_with(fake).process(make_item(tmp_path / "a.mp4", 5, 54))
    assert isinstance(outcome, Kept)
    row = outcome.row
    assert row["frames"] == 60
    assert row["fps"] == 30
    assert row["ordinals"][:7].tolist() == [5, 5, 6, 7, 8, 9, 10]
    assert fake.seen == 50
    assert row["m2d"].shape == (60, 18, 3)
    assert (row["m2d"][:, 17] == (64, 48, 1)).all()
    # The box moved from x = 10 to x = 30 in the course of the clip.
    assert row["m2d"][0, 0].tolist() == pytest.approx([10, 20, 0.8])
    assert row["m2d"][-1, 0].tolist() == pytest.approx([30, 20, 0.8])
    assert (np.diff(row["m2d"][:, 0, 0]) >= 0).all()
    assert row["boxes"].shape == (60, 5)
    assert row["boxes"][:, 4] == pytest.approx(0.8)
    assert fake.resets == 1


def test_shrunk_pictures_give_pixels_of_the_whole_one(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 60)
    fake = FakeEstimator()
    outcome = stage_with(fake, max_height=24).process(make_item(tmp_path / "a.mp4", 0, 49))
    assert fake.boxes[0].tolist() == pytest.approx([0, 0, 10, 20])
    assert outcome.row["m2d"][0, 0].tolist() == pytest.approx([10, 20, 0.8])


def test_a_clip_whose_person_is_hardly_ever_found_is_dropped(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 60)
    outcome = stage_with(FakeEstimator(20)).process(make_item(tmp_path / "a.mp4", 0, 49))
    assert isinstance(outcome, Dropped)
    assert (outcome.reason, outcome.threshold) == ("keypoints-missing", 0.5)
    assert outcome.measured == pytest.approx(24 / 60)
    assert not outcome.row["boxes"][-1].any()
    assert isinstance(
        stage_with(FakeEstimator(20), found_share_min=0.3).process(
            make_item(tmp_path / "a.mp4", 0, 49)
        ),
        Kept,
    )


def test_a_file_that_lost_frames_is_a_failure(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 30)
    with pytest.raises(InputError) as error:
        stage_with(FakeEstimator()).process(make_item(tmp_path / "a.mp4", 0, 49))
    assert error.value.code == "frames-missing"


@pytest.mark.parametrize("max_height", [1080, 24])
def test_batches_give_what_items_give(tmp_path: Path, max_height: int) -> None:
    write_video(tmp_path / "a.mp4", 60)
    item = make_item(tmp_path / "a.mp4", 5, 54)
    one_by_one = stage_with(FakeEstimator(), max_height=max_height)
    batched = stage_with(FakeBatched(), max_height=max_height)
    assert (mode_of(one_by_one), mode_of(batched)) == ("items", "batches")
    expected, found = run_alone(one_by_one, item), run_alone(batched, item, batch=7)
    assert isinstance(found, Kept)
    assert found.row.keys() == expected.row.keys()
    for key in ("m2d", "boxes", "ordinals"):
        np.testing.assert_array_equal(found.row[key], expected.row[key])
    assert (expected.row["precision"], found.row["precision"]) == (None, "fp32")


def test_a_batch_may_hold_clips_of_several_lengths(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 60)
    fake = FakeBatched()
    stage = stage_with(fake)
    items = [make_item(tmp_path / "a.mp4", 0, last) for last in (9, 24, 3)]
    chunks = [list(stage.read(item)) for item in items]
    results = stage.infer(joined([chunk for read in chunks for chunk in read]))
    assert fake.batches == [10 + 25 + 4]
    for item, read in zip(items, chunks, strict=True):
        count = sum(units_of(chunk) for chunk in read)
        found = stage.finish(item, results[:count])
        results = results[count:]
        assert isinstance(found, Kept)
        np.testing.assert_array_equal(found.row["m2d"], run_alone(stage, item).row["m2d"])


def test_batches_drop_and_fail_as_items_do(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 30)
    stage = stage_with(FakeBatched())
    with pytest.raises(InputError) as error:
        run_alone(stage, make_item(tmp_path / "a.mp4", 0, 49))
    assert error.value.code == "frames-missing"
    nobody = make_item(tmp_path / "a.mp4", 0, 20)
    nobody.data["boxes"][:] = 0
    outcome = run_alone(stage, nobody)
    assert isinstance(outcome, Dropped)
    assert (outcome.reason, outcome.measured) == ("keypoints-missing", 0)


@pytest.mark.parametrize("clockwise", [0, 90])
def test_a_turned_video_is_measured_as_it_is_shown(
    tmp_path: Path, clockwise: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    from motionkit.backends.people import measure
    from motionkit.video.decode import read_frames

    monkeypatch.setenv("MOTIONKIT_MODELS", str(tmp_path / "models"))
    spec = save_vitpose(tmp_path / "models", "tiny", "simple")
    written = films.with_person(films.still(6), 100, 140)
    encode.write_video(tmp_path / "a.mp4", written)
    films.rotated(tmp_path / "a.mp4", tmp_path / "b.mp4", clockwise)
    (chunk,) = read_frames(str(tmp_path / "b.mp4"))
    height, width = chunk.frames.shape[1:3]
    item = make_item(tmp_path / "b.mp4", 0, 4, fps=30)
    item.data.update(width=width, height=height)
    item.data["boxes"][:] = [0.3 * width, 0.1 * height, 0.7 * width, 0.9 * height, 1]
    stage = Pose(backend=spec)
    stage.setup_reader()
    stage.setup()
    found = run_alone(stage, item, batch=3)
    box = np.tile(item.data["boxes"][0, :4], (5, 1))
    expected = measure(stage.estimator, chunk.frames[:5], box)
    assert (found.row["width"], found.row["height"]) == (width, height)
    assert (width > height) == (clockwise == 0)
    np.testing.assert_allclose(found.row["m2d"][:, :17], expected, atol=1e-3)


def test_boxes_are_straight_lines_between_those_that_were_measured() -> None:
    boxes = np.array([[0, 0, 10, 10, 1], [0, 0, 0, 0, 0], [20, 40, 30, 50, 1]], np.float32)
    found = boxes_between(np.array([0.0, 1.0, 2.0]), boxes, np.array([-1.0, 0.5, 1.0, 2.0, 9.0]))
    assert found[:, 0].tolist() == pytest.approx([0, 5, 10, 20, 20])
    assert found[:, 3].tolist() == pytest.approx([10, 20, 30, 50, 50])
    assert not boxes_between(np.array([0.0]), np.zeros((1, 5)), np.array([0.0, 1.0])).any()


def test_items_are_the_kept_clips_with_their_boxes() -> None:
    clip = {"clip_id": "c", "first": 3, "last": 8, "t0_s": 0.3, "t1_s": 0.9, "outcome": "kept"}
    tables = {
        "videos": [
            {
                "video_id": "v",
                "path": "a.mp4",
                "decoder": None,
                "width": 64,
                "height": 48,
            }
        ],
        "verdicts": [{"item_id": "s", "candidates": [clip, dict(clip, outcome="dropped")]}],
        "detections": [
            {
                "item_id": "s",
                "video_id": "v",
                "first": 0,
                "source_times_s": np.arange(11) / 10,
                "ordinals": np.array([0, 3, 6, 9]),
                "times_s": np.array([0, 0.3, 0.6, 0.9]),
                "boxes": np.arange(20.0),
            },
            {"item_id": "other", "video_id": "v"},
        ],
    }

    found = FakeTables(**tables)
    assert list(Pose().ids(found)) == [("c", None)]
    assert not list(Pose().items(found, {"other"}))
    (item,) = Pose().items(found)
    assert item.id == "c"
    assert item.data["times_s"].tolist() == pytest.approx([0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    assert item.data["box_times_s"].tolist() == pytest.approx([0.3, 0.6])
    assert item.data["boxes"][:, 0].tolist() == [5, 10]


def test_wrong_parameters_are_told() -> None:
    with pytest.raises(UsageError, match="--fps"):
        Pose(fps=-1)
    with pytest.raises(UsageError, match="--found-share-min"):
        Pose(found_share_min=2)
    with pytest.raises(UsageError, match="openpose"):
        Pose(backend="openpose")
