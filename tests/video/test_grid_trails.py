"""Grids of points drawn for people: what was where, what is where, and nothing besides."""

import numpy as np
import pytest

from motionkit.video.grid_trails import CORNERS, colours_by_place, draw_grid_trails

GREY = np.full((120, 200, 3), 90, np.uint8)


def grid(side: int = 3, gap: float = 12.0) -> np.ndarray:
    """[N, 2], row by row from (20, 20)."""
    y, x = np.mgrid[0:side, 0:side]
    return np.stack([x.ravel(), y.ravel()], 1) * gap + 20.0


def moving(steps: int = 6, side: int = 3) -> np.ndarray:
    """[T, N, 2], 20 pixels to the right a frame."""
    return grid(side)[None] + np.arange(steps)[:, None, None] * (20.0, 0.0)


def draw(points: np.ndarray, **options: object) -> np.ndarray:
    given: dict = {"began": points[0], "opacity": 1.0, **options}
    return draw_grid_trails(
        GREY, points, colours=colours_by_place(points.shape[1]), **given
    ).astype(int)


def test_points_have_a_colour_each_and_the_corners_are_far_apart() -> None:
    for side in range(2, 11):
        made = colours_by_place(side * side)
        assert len(set(made)) == side * side
        assert [made[0], made[side - 1], made[-side], made[-1]] == list(CORNERS)
    assert len(set(colours_by_place(7))) == 7 and colours_by_place(1) == [CORNERS[0]]


def test_a_dot_stands_where_its_point_is_in_the_point_s_colour() -> None:
    points = moving()
    frame = draw(points)
    for n, colour in enumerate(colours_by_place(9)):
        x, y = points[-1, n].astype(int)
        assert np.abs(frame[y, x] - colour).max() <= 2
    assert (frame[80:] == 90).all() and (GREY == 90).all()


def test_trails_fade_towards_their_start_and_the_beginning_is_outlined() -> None:
    points = moving()
    frame = draw(points)
    away = np.abs(frame[32] - 90).sum(1)  # the middle row of points
    early, late = away[40:46].max(), away[96:102].max()
    assert 0 < early < late
    still = draw(np.repeat(points[:1] + np.array([100.0, 0.0]), 2, 0), began=points[0])
    assert np.abs(still[20, 21:44] - 90).max(1).all(), "the grey outline of the first frame"


def test_outlines_of_other_moments_are_drawn_where_they_are_asked_for() -> None:
    points = moving(2)
    there = grid() + np.array([0.0, 60.0])
    assert (draw(points)[79:82, 21:44] == 90).all()
    assert (draw(points, outlines=[there])[80, 21:44] != 90).any()


@pytest.mark.parametrize("side", [1, 2, 10])
def test_points_far_away_or_not_finite_are_left_out(side: int) -> None:
    points = moving(3, side)
    points[1:, 0] = np.nan
    points[2, -1] = 1e9
    points[1, -1] = -1e9
    assert np.isfinite(draw(points, outlines=[points[1]])).all()


def test_a_picture_of_no_opacity_is_the_picture() -> None:
    assert np.array_equal(draw(moving(), opacity=0.0), GREY)


def test_what_turned_over_looks_other_than_what_did_not() -> None:
    """With one colour a half turn of a square grid can hardly be seen."""
    turned = grid()[::-1].copy()
    pair = [np.stack([grid(), end]) for end in (grid(), turned)]
    shown = [draw(p[-1:], began=grid()) for p in pair]
    assert np.abs(shown[0][20, 20] - shown[1][20, 20]).max() > 100


def test_one_trail_alone_is_faint_where_it_is_old() -> None:
    frame = draw(moving(6, 1))  # a single point: no outline stands in the way
    away = np.abs(frame[18:23] - 90).sum(2).max(0)
    assert 0 < away[28] < 0.6 * away[92]
