from __future__ import annotations

import numpy as np
import pytest

from motionkit.report.object_motion import measure_objects, way
from motionkit.report.objects import read_objects
from tests.report.objects_world import add_objects
from tests.video.mevis_tree import FRAMES, WIDTH


def test_each_motion_counts_once(factory):
    add_objects(factory)
    found = measure_objects(factory.workspace, read_objects(factory.workspace).motions)
    assert (found.motions, found.frames) == (4, 4 * FRAMES)
    assert found.seconds == pytest.approx(4 * FRAMES / 5)
    far = sorted({round(7 * s / WIDTH, 4) for s in (3.0, np.hypot(4, 1))})
    assert sorted({round(d, 4) for d in found.distances}) == pytest.approx(far)
    fast = sorted({round(5 * s / WIDTH, 4) for s in (3.0, np.hypot(4, 1))})
    assert sorted({round(s, 4) for s in found.speeds}) == pytest.approx(fast)
    assert list(found.seen) == pytest.approx([1 - 1 / (4 * FRAMES)] * 4)
    assert measure_objects(factory.workspace, {}).motions == 0


def test_a_turn_moves_the_points_and_not_the_object():
    angle = np.linspace(0, np.pi, 40)[:, None] + np.array([0, 0.5, 1, 1.5]) * np.pi
    points = 50 + 10 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    distance, step = way(points, np.ones((40, 4), bool))
    assert distance < 1e-6 and step == pytest.approx(20 * np.sin(np.pi / 78))


def test_hidden_points_and_broken_ones_do_not_count():
    points = np.zeros((3, 3, 2))
    points[:, 0, 0] = [0, 2, 4]
    points[1:, 1, 0] = [900, 905]  # hidden before its last step
    points[1:, 2, 0] = [900, np.nan]
    visible = np.array([[True, False, False], [True, False, True], [True, True, True]])
    assert way(points, visible) == pytest.approx((4.0, 2.0))
    assert way(points, np.zeros((3, 3), bool)) is None
    assert way(points[:1], visible[:1]) is None
