from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from motionkit.report.trails import FRAMES, HEIGHT, SIDE, WIDTH, picture, sketch, thinned, view_of

SIZE = (640, 360)


def way(frames: int = 5, grid: int = 3, step: float = 0.1) -> np.ndarray:
    """[T, N, 2]: a grid that goes to the right."""
    side = np.linspace(-0.2, 0.2, grid)
    start = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    return start + np.arange(frames)[:, None, None] * (step, 0.0)


def read(svg: str) -> list[np.ndarray]:
    """Places [T, 2] of each trail, as the page's script reads them."""
    found = []
    for path in ElementTree.fromstring(svg).iter("path"):
        if path.get("class", "").startswith("trail"):
            for part in path.get("d", "").split("M")[1:]:
                start, steps = part.split("l")
                rows = [start.split(",")] + [step.split(",") for step in steps.split()]
                found.append(np.cumsum(np.array(rows, int), 0))
    return found


def test_the_trails_are_the_places_in_columns():
    points = way()
    view = view_of([points], SIZE)
    trails = read(str(picture(points, 3, view, label="x")))
    net = view.places(points).reshape(5, 3, 3, 2)
    expected = [net[:, row, column] for column in range(3) for row in range(3)]
    assert np.array_equal(trails, expected)


def test_everything_lies_inside_and_a_circle_stays_round():
    turn = np.linspace(0, 6, 40)[:, None]
    circle = np.stack([np.cos(turn) * 0.9 * 360 / 640, np.sin(turn) * 0.9], -1)
    for points in (way(), circle, way(step=0.0), way(step=0.5)):
        places = view_of([points], SIZE).places(points)
        assert places.min() >= 0
        assert (places.reshape(-1, 2).max(0) <= (WIDTH, HEIGHT)).all()
    spread = np.ptp(view_of([circle], SIZE).places(circle).reshape(-1, 2), 0)
    assert spread[0] == pytest.approx(spread[1], rel=0.02)


def test_one_view_holds_both_and_is_the_same_for_both():
    view = view_of([way(step=0.05), way(step=-0.2)], SIZE)
    both = np.concatenate([view.places(way(step=0.05)), view.places(way(step=-0.2))])
    assert both.min() >= 0 and (both.reshape(-1, 2).max(0) <= (WIDTH, HEIGHT)).all()


def test_the_page_is_bounded_whatever_the_model():
    points = way(frames=400, grid=24, step=0.004)
    some = thinned(points, 24)
    assert some.shape == (FRAMES, SIDE, SIDE, 2)
    assert np.array_equal(some[0, 0, 0], points[0, 0])
    assert np.array_equal(some[-1, -1, -1], points[-1, -1])
    view = view_of([points], SIZE)
    assert len(picture(points, 24, view, label="x", ghost=points)) < 25_000
    assert len(sketch(points, 24, SIZE, label="x")) < 5_000
    wild = points * 1e30
    assert max(map(len, re.findall(r"\d+", str(picture(wild, 24, view_of([wild], SIZE),
                                                      label="x"))))) <= 4  # fmt: skip


def test_one_point_and_one_frame_can_be_drawn():
    for points, grid in ((way(frames=1), 3), (way(grid=1), 1)):
        svg = str(picture(points, grid, view_of([points], SIZE), label="x", bar_px=640))
        ElementTree.fromstring(svg)
        ElementTree.fromstring(str(sketch(points, grid, SIZE, label="x")))
        assert svg.count("<circle") == grid * grid


def test_hidden_points_are_marked_frame_by_frame():
    points, seen = way(), np.ones((5, 9), bool)
    view = view_of([points], SIZE)
    assert "data-hidden" not in picture(points, 3, view, label="x", visible=seen)
    seen[3:, 1] = False  # first row, second column: the fourth point of the trails
    svg = str(picture(points, 3, view, label="x", visible=seen))
    marks = re.search(r'data-hidden="(\d+)"', svg).group(1)
    assert [i for i, mark in enumerate(marks) if mark == "1"] == [3 * 5 + 3, 3 * 5 + 4]
    assert svg.count("hidden-point") == 1


def test_the_bar_has_the_length_that_it_says():
    points = way()
    view = view_of([points], SIZE)
    svg = str(picture(points, 3, view, label="x", bar_px=640))
    length, pixels = re.search(r'class="scale"><path d="M24,\d+h(\d+)"/>.*?>(\d+) px', svg).groups()
    moved = view.places(np.array([[-1.0, 0], [-1.0 + 2 * int(pixels) / 640, 0]]))
    assert int(length) == pytest.approx(moved[1, 0] - moved[0, 0], abs=1.5)
    assert int(length) <= WIDTH / 4


def test_labels_are_escaped():
    points = way()
    label = '"><script>alert(1)</script>'
    for svg in (picture(points, 3, view_of([points], SIZE), label=label),
                sketch(points, 3, SIZE, label=label)):  # fmt: skip
        assert "<script" not in svg
        assert ElementTree.fromstring(str(svg)).get("aria-label") == label
