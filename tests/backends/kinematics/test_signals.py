"""Keypoints as signals in body heights."""

from __future__ import annotations

import numpy as np
import pytest

from motionkit.backends.kinematics.signals import measure, smooth
from motionkit.keypoints import INDEX, mirror_m2d


def person(height: float = 200.0, frames: int = 60, turn: float = 0.0) -> np.ndarray:
    """A standing person turned ``turn`` degrees to their own left; the nose leads."""
    rows = {
        "nose": (0, 0.06, 0.07), "left_ear": (0.04, 0.06, 0), "right_ear": (-0.04, 0.06, 0),
        "left_eye": (0.02, 0.05, 0.05), "right_eye": (-0.02, 0.05, 0.05),
        "left_shoulder": (0.1, 0.19, 0), "right_shoulder": (-0.1, 0.19, 0),
        "left_elbow": (0.13, 0.34, 0), "right_elbow": (-0.13, 0.34, 0),
        "left_wrist": (0.14, 0.48, 0), "right_wrist": (-0.14, 0.48, 0),
        "left_hip": (0.045, 0.49, 0), "right_hip": (-0.045, 0.49, 0),
        "left_knee": (0.05, 0.73, 0), "right_knee": (-0.05, 0.73, 0),
        "left_ankle": (0.05, 0.96, 0), "right_ankle": (-0.05, 0.96, 0),
    }  # fmt: skip
    angle = np.radians(turn)
    m2d = np.ones((frames, 18, 3))
    for name, (x, y, z) in rows.items():
        across = x * np.cos(angle) + z * np.sin(angle)
        m2d[:, INDEX[name], :2] = np.array([across, y]) * height + [300, 40]
    m2d[:, 17] = 640, 360, 1
    return m2d


@pytest.mark.parametrize("height", [80.0, 200.0, 900.0])
def test_the_scale_is_the_body_height(height: float) -> None:
    g = measure(person(height), 30.0)
    assert g.scale == pytest.approx(height, rel=0.05)
    assert g.hip_up() == pytest.approx(0.47, abs=0.03)
    assert g.wrist_up("left") == pytest.approx(-0.29, abs=0.02)
    assert g.torso_upright() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("turn", "facing", "aside"),
    [(0, 1, None), (90, 0, 1), (-90, 0, -1), (180, -1, None), (45, 0.7, 0.7), (135, -0.7, 0.7)],
)
def test_facing_and_aside(turn: float, facing: float, aside: float | None) -> None:
    g = measure(person(turn=turn), 30.0)
    assert g.facing == pytest.approx(facing, abs=0.1)
    if aside is not None:
        assert g.aside == pytest.approx(aside, abs=0.1)


def test_left_is_the_persons_own_and_survives_mirroring() -> None:
    m2d = person()
    m2d[:, INDEX["left_wrist"], 1] -= 100
    assert measure(m2d, 30.0).wrist_up("left").mean() > 0.1
    mirrored = measure(mirror_m2d(m2d), 30.0)
    assert mirrored.wrist_up("right").mean() > 0.1
    assert mirrored.wrist_up("left").mean() < -0.2


def test_short_gaps_are_bridged_and_long_ones_are_not() -> None:
    m2d = person(frames=90)
    m2d[30:36, INDEX["left_wrist"]] = 0
    m2d[10:60, INDEX["right_wrist"]] = 0
    g = measure(m2d, 30.0)
    assert np.isfinite(g.wrist_up("left")).all()
    assert g.wrist_up("left") == pytest.approx(-0.29, abs=0.02)
    assert np.isnan(g.wrist_up("right")[20:50]).all()
    assert np.isfinite(g.wrist_up("right")[70:]).all()


def test_smoothing_keeps_unknown_values_unknown_and_apart() -> None:
    values = np.array([1.0] * 10 + [np.nan] * 3 + [2.0] * 10)
    out = smooth(values, 2.0)
    assert np.isnan(out[10:13]).all()
    assert np.isfinite(out[:10]).all() and np.isfinite(out[13:]).all()
    assert out[0] == pytest.approx(1.0, abs=0.01)


def test_velocity_is_in_body_heights_a_second_with_up_positive() -> None:
    m2d = person(frames=90)
    m2d[:, :17, 0] += np.arange(90)[:, None] * 2  # 60 pixels a second, 200 pixels high
    g = measure(m2d, 30.0)
    assert g.velocity(g.hip)[20:70, 0] == pytest.approx(0.3, rel=0.06)
    assert g.velocity(g.hip)[20:70, 1] == pytest.approx(0.0, abs=0.01)
