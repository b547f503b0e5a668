"""Masks from files and from keypoints."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest

from motionkit.backends.masks import (
    decode_rle,
    find_masks,
    object_of_person,
    person_height,
    person_mask,
    read_mask,
)
from motionkit.backends.tracking import grid_in_mask
from motionkit.errors import InputError


def person(scale: float = 200.0, cx: float = 160.0, top: float = 20.0) -> np.ndarray:
    """A standing person, facing the camera, ``scale`` pixels high."""
    rows = [
        (0, 0.06), (0.02, 0.045), (-0.02, 0.045), (0.04, 0.055), (-0.04, 0.055),
        (0.11, 0.19), (-0.11, 0.19), (0.15, 0.36), (-0.15, 0.36), (0.17, 0.50), (-0.17, 0.50),
        (0.07, 0.49), (-0.07, 0.49), (0.09, 0.73), (-0.09, 0.73), (0.10, 0.96), (-0.10, 0.96),
    ]  # fmt: skip
    xy = np.array(rows) * scale + [cx, top]
    return np.concatenate([xy, np.ones((17, 1))], 1)


def rle_of(mask: np.ndarray) -> dict[str, object]:
    flat = mask.T.ravel().astype(int)  # run lengths go down the columns
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return {"size": list(mask.shape), "counts": ([0] if flat[0] else []) + runs}


def square(x0: int, x1: int) -> np.ndarray:
    mask = np.zeros((30, 40), bool)
    mask[5:20, x0:x1] = True
    return mask


def test_person_mask_holds_the_body_and_not_the_gap_between_the_legs() -> None:
    keypoints = person()
    mask = person_mask(keypoints, 320, 240)
    assert mask is not None and mask.shape == (240, 320)
    for i in (5, 6, 7, 8, 11, 12, 13, 14, 15, 16):
        x, y = keypoints[i, :2].round().astype(int)
        assert mask[y, x]
    assert not mask[180:205, 157:163].any()  # between the shins
    assert not mask[100:115, 190:].any() or mask[100:115, 185:200].any()
    assert 0.05 < mask.sum() / 200**2 < 0.25


def test_person_mask_grows_with_the_person() -> None:
    small, large = (person_mask(person(s), 400, 400) for s in (100.0, 300.0))
    assert small is not None and large is not None
    assert 7 < large.sum() / small.sum() < 11


def test_unseen_limbs_are_left_out() -> None:
    keypoints = person()
    whole = person_mask(keypoints, 320, 240)
    keypoints[9, 2] = 0.1
    less = person_mask(keypoints, 320, 240)
    assert whole is not None and less is not None
    assert less.sum() < whole.sum()
    assert not (less & ~whole).any()


def test_without_a_torso_there_is_no_mask() -> None:
    keypoints = person()
    keypoints[[11, 12], 2] = 0
    assert person_mask(keypoints, 320, 240) is None


def test_height_is_that_of_the_standing_person_when_legs_are_foreshortened() -> None:
    keypoints = person()
    assert person_height(keypoints) == pytest.approx(200, rel=0.06)
    keypoints[13:17, 1] = keypoints[11, 1] + 5  # legs towards the camera
    assert person_height(keypoints) == pytest.approx(200, rel=0.06)


def test_a_person_partly_outside_the_picture_gives_the_part_inside() -> None:
    mask = person_mask(person(cx=5.0), 320, 240)
    assert mask is not None and mask[:, :20].any() and not mask[:, 60:].any()


def test_nothing_beside_the_video(tmp_path: Path) -> None:
    assert find_masks(str(tmp_path / "a.mp4")) is None


def test_folder_of_pictures_is_read_by_frame_number(tmp_path: Path) -> None:
    folder = tmp_path / "walk_masks"
    folder.mkdir()
    labels = np.zeros((30, 40), np.uint8)
    labels[square(2, 10)], labels[square(20, 30)] = 1, 7
    cv2.imwrite(str(folder / "00012.png"), labels)
    files = find_masks(str(tmp_path / "walk.mp4"))
    assert files is not None and files.form == "folder"
    first, second = files.objects(12, 40, 30)
    assert (first == square(2, 10)).all() and (second == square(20, 30)).all()
    assert files.objects(0, 40, 30) == []


def test_single_picture_is_the_first_frame(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "walk.mask.png"), square(2, 10).astype(np.uint8) * 255)
    files = find_masks(str(tmp_path / "walk.mp4"))
    assert files is not None
    assert (files.objects(0, 40, 30)[0] == square(2, 10)).all()
    assert files.objects(1, 40, 30) == []


def test_colour_pictures_have_an_object_a_colour(tmp_path: Path) -> None:
    picture = np.zeros((30, 40, 3), np.uint8)
    picture[square(2, 10)], picture[square(20, 30)] = (0, 0, 128), (0, 128, 0)
    cv2.imwrite(str(tmp_path / "walk.mask.png"), picture)
    files = find_masks(str(tmp_path / "walk.mp4"))
    assert files is not None
    assert sorted(int(m.sum()) for m in files.objects(0, 40, 30)) == [120, 150]


@pytest.mark.parametrize(
    "content",
    [
        [None, rle_of(square(3, 9))],
        [[], [rle_of(square(3, 9)), None]],
        {"17": [None, rle_of(square(3, 9))], "18": [None]},
        {"masklet": [[None], [rle_of(square(3, 9))]], "video_frame_count": 2},
    ],
)
def test_every_form_of_run_lengths(tmp_path: Path, content: object) -> None:
    (tmp_path / "v_masks.json").write_text(json.dumps(content))
    files = find_masks(str(tmp_path / "v.mkv"))
    assert files is not None and files.form == "rle"
    assert files.objects(0, 40, 30) == []
    (mask,) = files.objects(1, 40, 30)
    assert (mask == square(3, 9)).all()
    assert files.objects(2, 40, 30) == []


def test_masks_of_every_fourth_frame_are_found_there(tmp_path: Path) -> None:
    content = {"masklet": [[rle_of(square(k, k + 6))] for k in range(4)], "video_frame_count": 13}
    (tmp_path / "v_masks.json").write_text(json.dumps(content))
    files = find_masks(str(tmp_path / "v.mp4"))
    assert files is not None
    assert (files.objects(8, 40, 30)[0] == square(2, 8)).all()
    assert files.objects(7, 40, 30) == []


def test_a_mask_of_half_the_size_is_scaled_and_one_of_another_shape_refused(tmp_path: Path) -> None:
    (tmp_path / "v_masks.json").write_text(json.dumps([rle_of(square(4, 10))]))
    files = find_masks(str(tmp_path / "v.mp4"))
    assert files is not None
    (mask,) = files.objects(0, 80, 60)
    assert mask.shape == (60, 80) and mask[12:38, 10:18].all() and mask.sum() == 30 * 12
    with pytest.raises(InputError) as caught:
        files.objects(0, 100, 60)
    assert caught.value.code == "mask-size"


@pytest.mark.parametrize("content", ["{", '"x"', '{"a": 3}', '[{"size": [3, 3]}]'])
def test_broken_run_lengths_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "v_masks.json").write_text(content)
    files = find_masks(str(tmp_path / "v.mp4"))
    assert files is not None
    with pytest.raises(InputError) as caught:
        files.objects(0, 3, 3)
    assert caught.value.code == "mask-unreadable"


def test_a_picture_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "v.mask.png").write_bytes(b"no picture")
    files = find_masks(str(tmp_path / "v.mp4"))
    assert files is not None
    with pytest.raises(InputError) as caught:
        files.objects(0, 3, 3)
    assert caught.value.code == "mask-unreadable"


def test_the_digest_changes_with_the_content(tmp_path: Path) -> None:
    picture = tmp_path / "v.mask.png"
    digests = set()
    for x in (3, 4):
        cv2.imwrite(str(picture), square(x, 10).astype(np.uint8))
        files = find_masks(str(tmp_path / "v.mp4"))
        assert files is not None
        digests |= {files.digest(), files.digest()}
    assert len(digests) == 2


def test_the_object_that_holds_the_person_is_chosen() -> None:
    mine = person_mask(person(), 320, 240)
    other = person_mask(person(cx=250.0), 320, 240)
    assert mine is not None and other is not None
    assert object_of_person([other, mine], person()) is mine
    assert object_of_person([other], person()) is None
    assert object_of_person([], person()) is None


@pytest.mark.real
def test_palette_pictures_of_a_real_sequence(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "masks" / "cutie" / "Annotations" / "bike"
    (tmp_path / "bike_masks").symlink_to(source, target_is_directory=True)
    files = find_masks(str(tmp_path / "bike.mp4"))
    assert files is not None
    objects = files.objects(0, 854, 480)
    assert [int(m.sum()) for m in objects] == [6466, 7971]
    points = grid_in_mask(objects[0], 6).round().astype(int)
    assert objects[0][points[:, 1], points[:, 0]].all()


@pytest.mark.real
def test_run_lengths_of_real_masklets(real_data: Path, tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.mask")
    (tmp_path / "v_masks.json").symlink_to(real_data / "masks" / "sav_000001_manual.json")
    files = find_masks(str(tmp_path / "v.mp4"))
    assert files is not None
    content = json.loads((real_data / "masks" / "sav_000001_manual.json").read_text())
    areas = []
    for frame in content["masklet"]:
        for rle in frame:
            mask = decode_rle(rle)
            with warnings.catch_warnings():  # pycocotools under numpy 2
                warnings.simplefilter("ignore", DeprecationWarning)
                assert (mask == coco.decode(rle)).all()
            areas.append(int(mask.sum()))
    areas = areas[:5]
    objects = files.objects(0, 480, 848)
    assert [int(m.sum()) for m in objects] == [a for a in areas if a]
    assert len(files.objects(480, 480, 848)) > 0  # the last of 121 masks, 4 frames apart
    assert files.objects(481, 480, 848) == []


def test_small_numbers_of_a_16_bit_mask_count(tmp_path: Path) -> None:
    labels = np.zeros((20, 30), np.uint16)
    labels[2:6, 3:9], labels[10:14, 3:9] = 3, 256 + 3
    cv2.imwrite(str(tmp_path / "m.png"), labels)
    assert np.array_equal(read_mask(tmp_path / "m.png"), labels > 0)
    cv2.imwrite(str(tmp_path / "a.mask.png"), labels)
    found = find_masks(str(tmp_path / "a.mp4"))
    assert found is not None
    objects = found.objects(0, 30, 20)
    assert [int(mask.sum()) for mask in objects] == [24, 24], "3 and 259 are two objects"


@pytest.mark.parametrize("ground", [0, 255])
def test_of_a_cut_out_what_is_not_transparent_is_the_object(tmp_path: Path, ground: int) -> None:
    inside = np.zeros((20, 30), bool)
    inside[2:6, 3:9] = True
    picture = np.full((20, 30, 4), ground, np.uint8)
    picture[..., 3] = inside * 255
    cv2.imwrite(str(tmp_path / "m.png"), picture)
    assert np.array_equal(read_mask(tmp_path / "m.png"), inside)
    picture[..., 3] = 255
    picture[..., :3] = inside[..., None] * 255
    cv2.imwrite(str(tmp_path / "m.png"), picture)
    assert np.array_equal(read_mask(tmp_path / "m.png"), inside), "opaque throughout: colours count"
