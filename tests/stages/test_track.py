"""The `track` stage on a small real video file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from motionkit.errors import InputError, UsageError
from motionkit.records import TABLES
from motionkit.rle import encode_rle
from motionkit.stage import Dropped, Kept, Outcome
from motionkit.stages.track import Track
from tests.stages.fake_tables import FakeTables

WIDTH, HEIGHT, FRAMES, SPEED = 320, 240, 12, 2.0


def keypoints() -> np.ndarray:
    rows = [
        (0, 0.06), (0.02, 0.045), (-0.02, 0.045), (0.04, 0.055), (-0.04, 0.055),
        (0.11, 0.19), (-0.11, 0.19), (0.15, 0.36), (-0.15, 0.36), (0.17, 0.50), (-0.17, 0.50),
        (0.07, 0.49), (-0.07, 0.49), (0.09, 0.73), (-0.09, 0.73), (0.10, 0.96), (-0.10, 0.96),
    ]  # fmt: skip
    return np.concatenate([np.array(rows) * 200 + [120.0, 20.0], np.ones((17, 1))], 1)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A texture that moves SPEED pixels a frame to the right, 25 frames a second."""
    path = tmp_path_factory.mktemp("track") / "slide.mp4"
    noise = np.random.default_rng(4).normal(0, 1, (HEIGHT, WIDTH, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    picture = np.clip(127 + 45 * smooth / smooth.std(), 0, 255).astype(np.uint8)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("h264", rate=25, options={"crf": "8"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for t in range(FRAMES):
            shift = np.float32([[1, 0, SPEED * t], [0, 1, 0]])
            frame = cv2.warpAffine(picture, shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode())
    return path


def tables(video: Path, ordinals: list[int], first: np.ndarray | None = None) -> FakeTables:
    m2d = np.zeros((len(ordinals), 18, 3), np.float32)
    m2d[:, :17] = keypoints() if first is None else first
    m2d[:, 17] = WIDTH, HEIGHT, 1
    clip = {
        "item_id": "v-clip",
        "video_id": "v",
        "clip_id": "v-clip",
        "fps": 30.0,
        "width": WIDTH,
        "height": HEIGHT,
        "ordinals": np.array(ordinals, np.int32),
        "m2d": m2d.ravel(),
    }
    source = {"item_id": "s", "video_id": "v", "path": str(video), "decoder": None}
    return FakeTables(videos=[source], keypoints=[clip])


def run(stage: Track, found: FakeTables) -> Outcome:
    (item,) = stage.items(found)
    stage.setup()
    assert item.id == "v-clip"
    return stage.process(item)


def test_row_is_what_the_table_says_and_follows_the_motion(video: Path) -> None:
    ordinals = [0, 0, 1, 2, 3, 4, 5, 5, 6, 7]  # 25 frames a second, shown at 30
    outcome = run(Track(), tables(video, ordinals))
    assert isinstance(outcome, Kept)
    row = outcome.row
    assert set(row) == set(TABLES["tracks"].names)
    assert (row["frames"], row["grid"], row["mask_source"]) == (10, 6, "person-keypoints")
    assert row["points"].shape == (10, 36, 2)
    assert row["visible"].shape == row["confidence"].shape == (10, 36)
    assert row["ordinals"].tolist() == ordinals
    moved = row["points"] - row["points"][0]
    expected = np.array(ordinals)[:, None] * SPEED
    assert np.abs(moved[..., 0] - expected).mean() < 0.3
    assert np.abs(moved[..., 1]).mean() < 0.3
    assert (row["points"][6] == row["points"][7]).all()
    assert row["visible"].mean() > 0.95


def test_only_the_first_frames_are_tracked(video: Path) -> None:
    outcome = run(Track(frames=4, grid=3), tables(video, list(range(12))))
    assert isinstance(outcome, Kept)
    assert (outcome.row["frames"], outcome.row["points"].shape) == (4, (4, 9, 2))


def test_each_frame_is_decoded_once_and_no_more_than_needed(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from motionkit.video import decode

    asked = []
    real = decode.read_frames

    def watched(path: str, **options: Any) -> Any:
        asked.append(options["ordinals"])
        return real(path, **options)

    monkeypatch.setattr(decode, "read_frames", watched)
    run(Track(frames=4), tables(video, [3, 3, 4, 5, 6, 7]))
    assert asked == [[3, 4, 5]]


def test_a_mask_file_of_the_first_frame_is_used(video: Path, tmp_path: Path) -> None:
    copy = tmp_path / "slide.mp4"
    copy.write_bytes(video.read_bytes())
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[10:230, 80:170] = 1
    cv2.imwrite(str(tmp_path / "slide.mask.png"), mask)
    outcome = run(Track(), tables(copy, [0, 1, 2]))
    assert isinstance(outcome, Kept)
    assert outcome.row["mask_source"] == "file"
    assert np.ptp(outcome.row["points"][0, :, 1]) > 150
    drawn = run(Track(mask="person"), tables(copy, [0, 1, 2]))
    assert isinstance(drawn, Kept) and drawn.row["mask_source"] == "person-keypoints"
    # There is no mask of frame 2.
    assert run(Track(mask="file"), tables(copy, [2, 3])) == Dropped("no-mask")


def test_a_person_too_small_for_the_grid_is_dropped_with_its_size(video: Path) -> None:
    tiny = keypoints()
    tiny[:, :2] = tiny[:, :2] * 0.02 + [100, 100]
    outcome = run(Track(grid=8), tables(video, [0, 1, 2], tiny))
    assert isinstance(outcome, Dropped)
    assert (outcome.reason, outcome.threshold) == ("mask-too-small", 64)
    assert outcome.measured is not None and 0 < outcome.measured < 64


def test_a_person_without_a_torso_is_dropped(video: Path) -> None:
    unseen = keypoints()
    unseen[5:13, 2] = 0
    assert run(Track(), tables(video, [0, 1], unseen)) == Dropped("no-mask")


def test_a_clip_whose_video_is_gone_fails_alone(video: Path) -> None:
    found = tables(video, [0, 1])
    found.tables["videos"] = []
    with pytest.raises(InputError) as caught:
        run(Track(), found)
    assert caught.value.code == "video-missing"


def test_frames_that_do_not_come_are_told(video: Path) -> None:
    with pytest.raises(InputError) as caught:
        run(Track(), tables(video, [10, 11, 12, 13]))
    assert caught.value.code in ("frames-missing", "no-frames")


def test_identity_names_all_that_decides(video: Path) -> None:
    found = tables(video, [0, 1])
    base = Track().identity(found)
    assert base["keypoints"] == "fingerprint of keypoints"
    assert base["backend"]["name"] == "lucas-kanade"
    assert Track(grid=5).identity(found) != base
    assert Track(frames=29).identity(found) != base


def test_a_new_mask_file_is_a_new_stamp_of_its_clips_alone(video: Path, tmp_path: Path) -> None:
    copy = tmp_path / "slide.mp4"
    copy.write_bytes(video.read_bytes())
    found = tables(copy, [0, 1])
    identity = Track().identity(found)
    assert list(Track().ids(found)) == [("v-clip", None)]
    cv2.imwrite(str(tmp_path / "slide.mask.png"), np.ones((HEIGHT, WIDTH), np.uint8))
    ((_, stamp),) = Track().ids(found)
    assert stamp is not None
    (item,) = Track().items(found)
    assert item.stamp == stamp
    assert list(Track(mask="person").ids(found)) == [("v-clip", None)]
    assert Track().identity(found) == identity


def made(masks: list[np.ndarray | None], ordinals: list[int], source: str = "sam2") -> Any:
    """A row of the table `masks`."""
    counts = [None if mask is None else encode_rle(mask)["counts"] for mask in masks]
    return {
        "item_id": "v-clip",
        "clip_id": "v-clip",
        "ordinals": np.array(ordinals, np.int32),
        "masks": counts,
        "mask_source": source,
    }


def box(x0: int, x1: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[40:200, x0:x1] = True
    return mask


def test_the_mask_that_the_mask_stage_made_comes_first(video: Path, tmp_path: Path) -> None:
    copy = tmp_path / "slide.mp4"
    copy.write_bytes(video.read_bytes())
    cv2.imwrite(str(tmp_path / "slide.mask.png"), np.ones((HEIGHT, WIDTH), np.uint8))
    found = tables(copy, [1, 1, 2])
    found.tables["masks"] = [made([box(0, 50), box(200, 300), None], [0, 1, 2], "yolo-seg")]
    for allowed in ("auto", "stage"):
        outcome = run(Track(mask=allowed), found)
        assert isinstance(outcome, Kept)
        assert outcome.row["mask_source"] == "yolo-seg"
        assert outcome.row["points"][0, :, 0].min() >= 200  # of its first frame, 1
    drawn = run(Track(mask="person"), found)
    assert isinstance(drawn, Kept) and drawn.row["mask_source"] == "person-keypoints"
    found.tables["keypoints"][0]["ordinals"] = np.array([0, 1], np.int32)
    found.tables["masks"] = [made([None], [0])]
    beside = run(Track(), found)
    assert isinstance(beside, Kept) and beside.row["mask_source"] == "file"


def test_a_person_without_a_mask_in_the_first_frame_is_taken_from_elsewhere_or_told(
    video: Path,
) -> None:
    found = tables(video, [0, 1, 2])
    found.tables["masks"] = [made([None, box(0, 50), box(0, 50)], [0, 1, 2])]
    outcome = run(Track(), found)
    assert isinstance(outcome, Kept)
    assert outcome.row["mask_source"] == "person-keypoints"
    assert outcome.row["ordinals"].tolist() == [0, 1, 2]
    assert run(Track(mask="stage"), found) == Dropped("no-mask-at-start")
    found.tables["masks"] = []  # the mask stage turned the clip down
    assert run(Track(mask="stage"), found) == Dropped("no-mask")
    assert isinstance(run(Track(), found), Kept)


def test_a_made_mask_that_cannot_be_read_fails_the_clip(video: Path) -> None:
    found = tables(video, [0, 1])
    found.tables["masks"] = [made([np.ones((10, 10), bool)], [0])]
    with pytest.raises(InputError) as caught:
        run(Track(), found)
    assert caught.value.code == "mask-unreadable"


def test_the_masks_are_part_of_the_identity_only_where_they_are_used(video: Path) -> None:
    found = tables(video, [0, 1])
    before = Track().identity(found)
    assert "masks" not in before
    with pytest.raises(UsageError, match="masks"):
        Track(mask="stage").identity(found)
    found.tables["masks"] = [made([box(0, 50)], [0])]
    assert Track().identity(found) == {**before, "masks": "fingerprint of masks"}
    assert "masks" not in Track(mask="person").identity(found)
    assert "masks" not in Track(mask="file").identity(found)


def test_a_mask_made_later_is_a_new_stamp_of_its_clip(video: Path) -> None:
    found = tables(video, [0, 1])
    found.tables["masks"] = []
    assert list(Track().ids(found)) == [("v-clip", None)]
    found.tables["masks"] = [made([box(0, 50)], [0])]
    ((_, first),) = Track().ids(found)
    found.tables["masks"][0]["stamp"] = "another"
    ((_, second),) = Track().ids(found)
    assert None not in (first, second) and first != second
    assert next(iter(Track().items(found))).stamp == second
    assert list(Track(mask="person").ids(found)) == [("v-clip", None)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"grid": 0},
        {"frames": 1},
        {"backend": "cotracker3:huge"},
        {"mask": "magic"},
        {"memory_gb": 0},
    ],
)
def test_wrong_parameters_are_told_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Track(**wrong)
