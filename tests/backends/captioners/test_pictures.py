"""Which frames a captioner sees, and where the red box is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from motionkit.backends.captioners.pictures import (
    as_jpeg,
    height_limit,
    jpegs,
    red_box,
    sampled,
)

BOX = [10.0, 20.0, 30.0, 60.0, 0.9]


def boxes(frames: int, *empty: int) -> np.ndarray:
    found = np.tile(np.array(BOX, np.float32), (frames, 1))
    found[list(empty)] = 0
    return found


def is_red(picture: np.ndarray) -> np.ndarray:
    return (picture == (255, 0, 0)).all(-1)


@pytest.mark.parametrize(
    ("frames", "most", "expected"),
    [
        (60, 8, [0, 8, 17, 25, 34, 42, 51, 59]),
        (61, 3, [0, 30, 60]),
        (3, 8, [0, 1, 2]),
        (1, 8, [0]),
        (61, 1, [30]),
    ],
)
def test_frames_are_even_from_the_first_to_the_last(
    frames: int, most: int, expected: list[int]
) -> None:
    assert sampled(boxes(frames), np.arange(frames), most) == expected


def test_a_frame_without_a_box_gives_way_to_the_nearest_with_one() -> None:
    chosen = sampled(boxes(61, 0, 1, 29, 30, 60), np.arange(61), 3)
    assert chosen == [2, 31, 59] or chosen == [2, 28, 59]
    assert sampled(boxes(10, *range(10)), np.arange(10), 4) == []


def test_a_source_frame_that_is_shown_twice_is_sent_once() -> None:
    ordinals = np.array([5, 5, 6, 6, 7, 7])
    chosen = sampled(boxes(6), ordinals, 6)
    assert ordinals[chosen].tolist() == [5, 6, 7]


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(1920, 1080, 432), (1080, 1920, 768), (640, 480, 576), (4000, 10, 1)],
)
def test_no_side_is_over_the_limit(width: int, height: int, expected: int) -> None:
    assert height_limit(width, height, 768) == expected


def test_the_box_goes_around_the_person_and_touches_nothing_inside() -> None:
    frame = np.full((101, 133, 3), 77, np.uint8)
    out = red_box(frame, [40.2, 30.0, 80.0, 70.7])
    assert not is_red(frame).any()
    red = is_red(out)
    assert red[28:30, 38:82].all() and red[71:73, 38:82].all()
    assert red[28:73, 38:40].all() and red[28:73, 80:82].all()
    inside = out[30:71, 40:80]
    assert (inside == 77).all()
    assert red.sum() == 45 * 44 - 41 * 40
    assert red_box(np.zeros((768, 432, 3), np.uint8), [100, 100, 200, 200])[94, 150, 0] == 255


@pytest.mark.parametrize(
    "box",
    [
        [0, 0, 133, 101],
        [-50, -50, 400, 400],
        [120, 90, 140, 110],
        [-20, 40, 3, 60],
        [500, 500, 600, 600],
        [131.5, 0, 132, 101],
        [60, 50, 60.4, 50.2],
    ],
)
def test_all_four_sides_are_seen_at_the_border(box: list[float]) -> None:
    red = is_red(red_box(np.full((101, 133, 3), 77, np.uint8), box))
    ys, xs = np.nonzero(red)
    top, bottom, left, right = ys.min(), ys.max(), xs.min(), xs.max()
    for line in (red[top], red[bottom]):
        assert line[left : right + 1].all()
    for line in (red[:, left], red[:, right]):
        assert line[top : bottom + 1].all()
    assert bottom - top >= 4 and right - left >= 4
    assert not red[top + 2 : bottom - 1, left + 2 : right - 1].any()


def test_a_picture_smaller_than_its_lines_still_has_a_box() -> None:
    assert is_red(red_box(np.zeros((3, 2, 3), np.uint8), [0, 0, 2, 3])).any()


def test_jpegs_keep_their_order_their_bytes_and_the_red() -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(60, 90, (3, 37, 51, 3), np.uint8)
    frames[1] = 75  # a short file among longer ones
    shown = np.stack([red_box(frame, [10, 10, 30, 30]) for frame in frames])
    pictures = as_jpeg(shown)
    files = list(jpegs(pictures))
    assert [len(file) for file in files] == pictures["length"].tolist()
    assert len(files[1]) < len(files[0])
    assert list(jpegs(as_jpeg(shown))) == files
    for file, frame in zip(files, shown, strict=True):
        assert file[:2] == b"\xff\xd8" and file[-2:] == b"\xff\xd9"
        back = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
        assert back.shape == frame.shape
        line = back[is_red(frame)].astype(int)  # colour in full resolution keeps it red
        assert (line[:, 0] > 180).all() and (line[:, 1:] < 90).all()
