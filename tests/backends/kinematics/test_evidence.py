"""What a text can be held against, measured on simple motions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from motionkit.backends.kinematics import Evidence, evidence
from motionkit.backends.kinematics.evidence import _change, _percentile
from tests.stages import audit_poses as poses


def of(m2d: np.ndarray) -> Evidence:
    found = evidence(m2d, 30.0)
    assert found is not None
    return found


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_arm_that_is_raised_has_the_numbers(side: str) -> None:
    e = of(poses.raising(side))
    other = {"left": "right", "right": "left"}[side]
    assert e.arms[side].top == pytest.approx(0.27, abs=0.03)
    assert e.arms[side].rise == pytest.approx(0.57, abs=0.03)
    assert e.arms[side].path > 0.8
    assert e.arms[other].top == pytest.approx(-0.3, abs=0.01)
    assert e.arms[other].rise < 0.01 and e.arms[other].path == 0.0


def test_a_hidden_limb_is_not_seen() -> None:
    e = of(poses.unseen(poses.raising("left"), "left", "arm"))
    assert e.arms["left"].seen == 0.0 and math.isnan(e.arms["left"].top)
    assert e.arms["right"].seen == 1.0


def test_ways_in_the_picture_and_of_the_person() -> None:
    front, back = of(poses.sliding(200)), of(poses.sliding(200, back=True))
    assert front.travel.rightward == pytest.approx(1.0, abs=0.15) and front.travel.leftward == 0.0
    assert front.travel.own_left > 0.8 and front.travel.own_right == 0.0
    assert (
        back.travel.rightward > 0.8 and back.travel.own_right > 0.8 and back.travel.own_left == 0.0
    )


def test_a_jump_rises_and_a_stand_does_not() -> None:
    jump, stand = of(poses.jumping()), of(poses.standing())
    assert jump.rises.bob > 0.1 and jump.rises.hop > 0.1
    assert (
        stand.rises.bob == pytest.approx(0, abs=1e-6)
        and stand.posture.sink < 0.02
        and stand.stir == 0.0
    )


def test_nothing_is_said_of_what_cannot_be_measured() -> None:
    assert evidence(poses.standing(10), 30.0) is None
    unseen = poses.standing()
    unseen[:, :17, 2] = 0
    assert evidence(unseen, 30.0) is None


def test_no_number_depends_on_the_size_of_the_picture() -> None:
    m2d = poses.lifting("right")
    larger = m2d.copy()
    larger[:, :, :2] *= 2
    one, other = of(m2d), of(larger)
    assert one.legs["right"].top == pytest.approx(other.legs["right"].top, abs=1e-4)
    assert one.rises.bob == pytest.approx(other.rises.bob, abs=1e-4)


def test_differences_are_numpys() -> None:
    values = np.random.default_rng(0).normal(size=(9, 2))
    np.testing.assert_allclose(_change(values), np.gradient(values, axis=0))


def test_percentiles_are_numpys() -> None:
    values = np.random.default_rng(0).normal(size=37)
    for q in (0, 3, 50, 95, 100):
        assert _percentile(values, q) == pytest.approx(np.percentile(values, q))
    assert math.isnan(_percentile(np.array([np.nan]), 50))
