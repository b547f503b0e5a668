"""The `masks` stage on a small real video file."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from motionkit.errors import InputError, MissingExtraError, UsageError
from motionkit.records import TABLES
from motionkit.rle import decode_rle
from motionkit.stage import Dropped, Kept, Outcome, run_alone
from motionkit.stages.masks import Masks
from motionkit.weights import ModelMissing
from tests.stages.fake_tables import FakeTables
from tests.stages.test_track import HEIGHT, WIDTH, keypoints, tables, video  # noqa: F401 - a fixture

#: 25 frames a second, shown at 30: some source frames are shown twice.
SHOWN = [0, 0, 1, 2, 3, 4, 5, 5, 6, 7]


def with_boxes(video: Path, unseen: tuple[int, ...] = ()) -> FakeTables:  # noqa: F811
    found = tables(video, SHOWN)
    boxes = np.tile(np.array([85, 15, 155, 215, 0.9], np.float32), (len(SHOWN), 1))
    boxes[list(unseen)] = 0
    found.tables["keypoints"][0]["boxes"] = boxes.ravel()
    return found


def run(stage: Masks, found: FakeTables) -> Outcome:
    (item,) = stage.items(found)
    assert item.id == "v-clip"
    assert list(stage.ids(found)) == [(item.id, item.stamp)]
    stage.setup()
    return run_alone(stage, item)


def kept(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Kept)
    assert set(outcome.row) == set(TABLES["masks"].names)
    return outcome.row


def test_row_is_what_the_table_says(video: Path) -> None:  # noqa: F811
    row = kept(run(Masks(), with_boxes(video, unseen=(4,))))
    assert (row["frames"], row["mask_source"], row["backend"]) == (10, "grabcut", "grabcut")
    assert row["precision"] is None  # no model
    assert row["ordinals"].tolist() == SHOWN
    assert [mask is None for mask in row["masks"]] == [i == 4 for i in range(10)]
    assert row["masks"][0] == row["masks"][1]  # one picture, shown twice
    mask = decode_rle({"size": [HEIGHT, WIDTH], "counts": row["masks"][0]})
    inside = keypoints()[:, :2].round().astype(int)
    assert mask[inside[:, 1], inside[:, 0]].mean() > 0.9
    assert mask.mean() < 0.3


@pytest.mark.parametrize(
    ("every", "unseen", "expected"),
    [(4, (), [0, 4, 8]), (4, (4,), [0, 8]), (0, (), [0]), (0, (0, 1, 2), [3])],
)
def test_masks_stand_where_they_were_asked_for(
    video: Path,  # noqa: F811
    every: int,
    unseen: tuple[int, ...],
    expected: list[int],
) -> None:
    row = kept(run(Masks(every=every), with_boxes(video, unseen)))
    assert [i for i, mask in enumerate(row["masks"]) if mask is not None] == expected


def test_nobody_anywhere_is_a_reason(video: Path) -> None:  # noqa: F811
    outcome = run(Masks(), with_boxes(video, unseen=tuple(range(10))))
    assert isinstance(outcome, Dropped) and outcome.reason == "no-mask"
    assert outcome.row["masks"] == [None] * 10


def test_a_file_counts_and_its_content_is_the_clip_s_stamp(tmp_path: Path, video: Path) -> None:  # noqa: F811
    place = tmp_path / "slide.mp4"
    place.write_bytes(video.read_bytes())
    found = with_boxes(place)
    stage = Masks(backend="file")
    assert isinstance(run(stage, found), Dropped)
    assert [stamp for _, stamp in stage.ids(found)] == [None]
    folder = tmp_path / "slide_masks"
    folder.mkdir()
    picture = np.zeros((HEIGHT, WIDTH), np.uint8)
    picture[10:220, 80:165] = 1
    cv2.imwrite(str(folder / "5.png"), picture)
    row = kept(run(stage, found))
    assert [i for i, mask in enumerate(row["masks"]) if mask] == [6, 7]
    assert row["mask_source"] == "file"
    ((_, first),) = stage.ids(found)
    cv2.imwrite(str(folder / "5.png"), picture * 2)
    ((_, second),) = stage.ids(found)
    assert first and second and first != second
    assert [stamp for _, stamp in Masks().ids(found)] == [None]  # grabcut looks at no file


def test_a_video_that_is_gone_or_short_fails(video: Path) -> None:  # noqa: F811
    found = with_boxes(video)
    found.tables["videos"] = []
    with pytest.raises(InputError) as error:
        run(Masks(), found)
    assert error.value.code == "video-missing"
    found = with_boxes(video)
    found.tables["keypoints"][0]["ordinals"] = np.array(SHOWN, np.int32) + 90
    with pytest.raises(InputError) as error:
        run(Masks(), found)
    assert error.value.code == "frames-missing"


def test_wrong_parameters_are_told_at_once() -> None:
    wrong: list[dict[str, Any]] = [
        {"every": -1},
        {"backend": "magic"},
        {"beyond_boxes": True},
        {"max_height": 9},
    ]
    for values in wrong:
        with pytest.raises(UsageError):
            Masks(**values)


def test_a_model_that_is_absent_is_told_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTIONKIT_MODELS", str(tmp_path))
    for spec in ("sam2:facebook/sam2.1-hiera-tiny", "yolo-seg:yolo11n-seg"):
        with pytest.raises((ModelMissing, MissingExtraError)) as error:
            Masks(backend=spec).check()
        assert error.value.hint


def test_identity_depends_on_what_decides_the_masks(video: Path) -> None:  # noqa: F811
    found = with_boxes(video)
    whole = Masks().identity(found)
    assert whole["keypoints"] == "fingerprint of keypoints"
    assert whole["backend"]["opencv"] == cv2.__version__
    assert Masks(every=0).identity(found) != whole
    assert "precision" not in whole
