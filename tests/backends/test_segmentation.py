"""Segmenters by name, masks as they are stored, and the masks of files."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from motionkit.backends.segmentation import CHOICES, MaskClip, counts_of, open_segmenter
from motionkit.errors import InputError, UsageError
from motionkit.rle import encode_rle
from tests.backends.clips import mask_of
from tests.stages.test_track import HEIGHT, WIDTH, keypoints, video  # noqa: F401 - a fixture


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("mask-rcnn", "no segmenter"),
        ("sam2", "needs a model"),
        ("yolo-seg:", "needs a model"),
        ("grabcut:fast", "takes no model"),
        ("sam2:../../etc", "name"),
        ("yolo-seg:a/../b", "name"),
    ],
)
def test_wrong_names_are_told_at_once(spec: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        open_segmenter(spec)
    assert all(name in CHOICES for name in ("grabcut", "file", "yolo-seg", "sam2"))


def test_names_load_no_model_and_say_how_they_work() -> None:
    specs = ("grabcut", "file", "yolo-seg:yolo11n-seg", "sam2:facebook/sam2.1-hiera-tiny")
    made = [open_segmenter(spec) for spec in specs]
    assert [s.mode for s in made] == ["items", "items", "batches", "streams"]
    assert [s.source for s in made] == ["grabcut", "file", "yolo-seg", "sam2"]


def test_masks_are_stored_at_the_video_s_size_and_empty_ones_not_at_all() -> None:
    mask = np.zeros((60, 80), bool)
    assert counts_of(mask, 80, 60) is None
    assert counts_of(None, 80, 60) is None
    mask[10:40, 20:50] = True
    assert counts_of(mask, 80, 60) == encode_rle(mask)["counts"]
    larger = mask_of(counts_of(mask, 160, 120), 160, 120)
    assert larger[20:80, 40:100].mean() > 0.99
    assert abs(larger.sum() - 4 * mask.sum()) < 0.02 * 4 * mask.sum()


def clip_of_file(path: Path, ordinals: list[int], **changes: object) -> MaskClip:
    count = len(ordinals)
    values: dict[str, object] = {
        "path": str(path),
        "decoder": None,
        "width": WIDTH,
        "height": HEIGHT,
        "max_height": 120,
        "ordinals": np.array(ordinals, np.int32),
        "boxes": np.tile(np.array([80, 10, 160, 220], np.float32), (count, 1)),
        "keypoints": np.tile(keypoints().astype(np.float32), (count, 1, 1)),
        "wanted": np.ones(count, bool),
        **changes,
    }
    return MaskClip(**values)  # type: ignore[arg-type]


def test_pictures_are_those_of_the_places_and_boxes_fit_them(video: Path) -> None:  # noqa: F811
    clip = clip_of_file(video, [0, 2, 3, 5, 9])
    (piece,) = list(clip.pictures(np.array([1, 4])))
    places, frames = piece
    assert places.tolist() == [1, 4]
    assert frames.shape == (2, 120, 160, 3)
    assert clip.scaled(places, frames[0].shape)[0].tolist() == [40, 5, 80, 110]
    whole = [f for _, frames in clip.pictures(np.arange(5)) for f in frames]
    assert np.array_equal(whole[1], frames[0])
    with pytest.raises(InputError, match="3 frames were asked"):
        list(clip_of_file(video, [0, 1, 99]).pictures(np.arange(3)))


def test_the_file_beside_the_video_gives_the_object_that_is_the_person(tmp_path: Path) -> None:
    folder = tmp_path / "walk_masks"
    folder.mkdir()
    picture = np.zeros((HEIGHT, WIDTH), np.uint8)
    picture[:, 75:165] = 2
    picture[:, 250:] = 7
    cv2.imwrite(str(folder / "00000.png"), picture)
    cv2.imwrite(str(folder / "00004.png"), np.where(picture == 7, 7, 0).astype(np.uint8))
    clip = clip_of_file(tmp_path / "walk.mp4", [0, 1, 4])
    found = open_segmenter("file").segment(clip)
    assert np.array_equal(mask_of(found[0], WIDTH, HEIGHT), picture == 2)
    assert found[1:] == [None, None]  # no picture; only somebody else
    nobody = clip_of_file(tmp_path / "walk.mp4", [0], boxes=np.zeros((1, 4), np.float32))
    assert open_segmenter("file").segment(nobody) == [None]
    assert open_segmenter("file").segment(clip_of_file(tmp_path / "run.mp4", [0])) == [None]
