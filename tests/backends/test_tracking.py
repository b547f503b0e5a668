"""The grid of points and the naming of trackers."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from motionkit.backends.tracking import (
    MaskTooSmall,
    QueryOutside,
    checked_queries,
    grid_in_mask,
    open_tracker,
)
from motionkit.errors import UsageError


def disc(size: int = 100, radius: int = 40) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    return (x - size / 2) ** 2 + (y - size / 2) ** 2 < radius**2


def inside(points: np.ndarray, mask: np.ndarray) -> np.ndarray:
    x, y = np.floor(points + 0.5).astype(int).T
    return mask[y, x]


def test_grid_of_a_rectangle_is_a_regular_grid() -> None:
    mask = np.zeros((60, 80), bool)
    mask[10:50, 20:70] = True
    points = grid_in_mask(mask, 4).reshape(4, 4, 2)
    assert np.ptp(points[:, 0, 0]) == 0  # a column has one x
    assert np.allclose(np.diff(points[0, :, 0]), np.diff(points[0, :, 0])[0])
    assert (np.diff(points[:, 0, 1]) > 0).all()  # rows run downwards
    assert np.allclose(points.mean((0, 1)), [44.5, 29.5])


@pytest.mark.parametrize("grid", [1, 3, 6, 10])
def test_every_point_lies_inside_and_no_two_are_the_same(grid: int) -> None:
    mask = disc()
    points = grid_in_mask(mask, grid)
    assert points.shape == (grid * grid, 2)
    assert inside(points, mask).all()
    assert len(np.unique(np.floor(points + 0.5), axis=0)) == grid * grid


def test_no_point_sits_on_the_border() -> None:
    mask = disc()
    points = grid_in_mask(mask, 6)
    shifted = [np.roll(mask, s, axis=a) for a in (0, 1) for s in (-1, 1)]
    assert all(inside(points, m).all() for m in shifted)


def test_the_edge_of_the_picture_is_a_border() -> None:
    points = grid_in_mask(np.ones((50, 50), bool), 6)
    assert points.min() > 0.5
    assert points.max() < 48.5


def test_cells_in_the_gap_between_two_legs_move_onto_a_leg() -> None:
    mask = np.zeros((100, 60), bool)
    mask[:, 5:17] = mask[:, 43:55] = True
    points = grid_in_mask(mask, 6)
    assert inside(points, mask).all()
    assert not ((points[:, 0] > 17) & (points[:, 0] < 43)).any()


def test_a_thin_line_still_gets_its_grid() -> None:
    mask = np.zeros((50, 50), bool)
    mask[20, 5:45] = True  # eroding it would leave nothing
    points = grid_in_mask(mask, 6)
    assert (np.floor(points[:, 1] + 0.5) == 20).all()
    assert len(np.unique(np.floor(points[:, 0] + 0.5))) == 36


def test_a_mask_with_fewer_pixels_than_points_is_refused_with_its_size() -> None:
    mask = np.zeros((40, 40), bool)
    mask[3:8, 3:10] = True
    with pytest.raises(MaskTooSmall) as caught:
        grid_in_mask(mask, 6)
    assert (caught.value.code, caught.value.pixels, caught.value.needed) == (
        "mask-too-small",
        35,
        36,
    )
    again = copy.copy(caught.value)  # by the way that crosses process borders
    assert again.pixels == 35
    assert len(grid_in_mask(np.pad(mask[3:8, 3:10], 1), 5)) == 25


def test_an_empty_mask_is_too_small() -> None:
    with pytest.raises(MaskTooSmall):
        grid_in_mask(np.zeros((10, 10), bool), 1)


def test_trackers_are_named() -> None:
    assert open_tracker("lucas-kanade").identity()["name"] == "lucas-kanade"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("cotracker3:huge", "no model 'huge'"),
        ("magic", "no point tracker 'magic'"),
        ("lucas-kanade:x", "takes no model"),
    ],
)
def test_a_tracker_that_is_not_there_is_a_usage_error(spec: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        open_tracker(spec)
    assert caught.value.hint


SHAPES = {
    "thin column at the left edge": np.s_[5:55, 0:1],
    "thin row at the lower edge": np.s_[79:80, 10:50],
    "corner": np.s_[70:80, 50:60],
    "whole picture": np.s_[:, :],
    "just enough": np.s_[40:46, 20:26],
    "two pixels wide at the right edge": np.s_[3:60, 58:60],
}


@pytest.mark.parametrize("shape", [*SHAPES, "ring", "scattered", "diagonal"])
@pytest.mark.parametrize("grid", [1, 4, 6])
def test_points_are_on_mask_pixels_and_in_the_picture(shape: str, grid: int) -> None:
    mask = np.zeros((80, 60), bool)
    if shape == "ring":
        y, x = np.mgrid[:80, :60]
        away = np.hypot(x - 30, y - 40)
        mask = (away < 25) & (away > 23)
    elif shape == "scattered":
        mask = np.random.default_rng(2).uniform(size=mask.shape) < 0.01
        mask[[0, 0, -1, -1], [0, -1, 0, -1]] = True
    elif shape == "diagonal":
        mask[np.arange(60), np.arange(60)] = True
    else:
        mask[SHAPES[shape]] = True
    points = grid_in_mask(mask, grid)
    assert inside(points, mask).all()
    assert len(np.unique(np.floor(points + 0.5), axis=0)) == grid * grid
    assert points.min() >= 0 and (points <= [59, 79]).all()
    at = np.concatenate([np.zeros((len(points), 1)), points], 1)
    assert (checked_queries(at, 1, 60, 80) == at).all()


def test_an_error_of_a_query_keeps_its_code_between_processes() -> None:
    with pytest.raises(QueryOutside) as caught:
        checked_queries(np.array([[0, 60, 3]]), 5, 60, 80)
    assert caught.value.code == copy.copy(caught.value).code == "query-outside"
    assert "(60, 3)" in str(caught.value)
