"""Speeds and heights of a person, in units that do not depend on the picture."""

import numpy as np
import pytest

from motionkit.stages._body_motion import (
    HEIGHT_PERCENTILE,
    HEIGHT_WINDOW_S,
    body_heights,
    motion_scores,
)
from tests.stages.shots import figure


def walker(frames: int, size: float, rate: float = 10.0) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints [F, 17, 3] and times [F] of somebody who shifts by a body height a second."""
    times = np.arange(frames) / rate
    return np.stack([figure(100 + size * t, 200, size) for t in times]), times


@pytest.mark.parametrize("size", [50.0, 200.0, 800.0])
@pytest.mark.parametrize("rate", [5.0, 10.0, 30.0])
def test_a_body_height_a_second_whatever_the_size_and_the_rate(size: float, rate: float) -> None:
    keypoints, times = walker(20, size, rate)
    person = np.zeros(20, np.int32)
    heights = body_heights(keypoints, person, times)
    assert heights == pytest.approx(size, rel=0.02)
    speed, acceleration = motion_scores(keypoints, person, times)
    assert np.isnan(speed[0]) and np.isnan(acceleration[[0, -1]]).all()
    assert speed[1:] == pytest.approx(size / heights[1:])
    assert acceleration[1:-1] == pytest.approx(0, abs=1e-6)


def test_heights_are_the_percentile_of_the_same_person_nearby() -> None:
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.uniform(0.02, 0.4, 60))
    person = rng.integers(-1, 2, 60)
    keypoints = np.stack([figure(100, 200, s) for s in rng.uniform(50, 200, 60)])
    each = np.array([body_heights(keypoints[i : i + 1], np.zeros(1), times[:1])[0]
                     for i in range(60)])  # fmt: skip
    found = body_heights(keypoints, person, times)
    for i in range(60):
        near = (np.abs(times - times[i]) <= HEIGHT_WINDOW_S) & (person == person[i])
        wanted = np.percentile(each[near], HEIGHT_PERCENTILE) if person[i] >= 0 else np.nan
        assert found[i] == pytest.approx(wanted, nan_ok=True)


def test_another_person_or_nobody_has_no_speed() -> None:
    keypoints, times = walker(6, 100)
    speed, acceleration = motion_scores(keypoints, np.array([0, 0, 1, 1, -1, 1]), times)
    assert np.isnan(speed).tolist() == [True, False, True, False, True, True]
    assert np.isnan(acceleration).all()


def test_keypoints_that_are_not_seen_say_nothing() -> None:
    keypoints, times = walker(4, 100)
    keypoints[2, 9, :2] += 1000
    person = np.zeros(4, np.int32)
    high = motion_scores(keypoints, person, times)[0]
    keypoints[2, 9, 2] = 0.1
    low = motion_scores(keypoints, person, times)[0]
    assert high[2] > 5 * low[2]
    assert low[2] == pytest.approx(low[1])
    keypoints[2, :, 2] = 0.0
    assert np.isnan(motion_scores(keypoints, person, times)[0][2])
