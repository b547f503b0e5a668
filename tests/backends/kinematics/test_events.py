"""Runs, bouts and swings of one-dimensional signals."""

from __future__ import annotations

import numpy as np

from motionkit.backends.kinematics.events import Event, bouts, runs, swings


def test_runs_are_stretches_of_true_with_both_ends_inside() -> None:
    mask = np.array([1, 1, 0, 1, 0, 0, 1, 1, 1], bool)
    assert runs(mask) == [(0, 1), (3, 3), (6, 8)]
    assert runs(mask, 2) == [(0, 1), (6, 8)]
    assert runs(np.zeros(4, bool)) == []


def test_bouts_enter_high_and_leave_low() -> None:
    signal = np.array([0, 2, 5, 2, 0, 2, 0, np.nan, 6, 0.0])
    assert bouts(signal, 4, 1) == [(1, 3), (8, 8)]
    assert bouts(signal, 4, 1, least=2) == [(1, 3)]
    assert bouts(signal, 4, 1, bridge=1) == [(1, 5), (8, 8)]


def test_swings_are_the_turning_points_above_the_size() -> None:
    t = np.arange(100)
    wave = np.sin(2 * np.pi * t / 20)
    found = swings(wave, 0.5)
    assert found == [5, 15, 25, 35, 45, 55, 65, 75, 85, 95][: len(found)]
    assert len(found) >= 9
    assert swings(0.2 * wave, 0.5) == []
    assert swings(wave + 0.05 * np.sin(2.0 * t), 0.5) != []


def test_a_ramp_has_no_turning_point() -> None:
    assert swings(np.linspace(0, 5, 50), 0.5) == []
    assert swings(np.concatenate([np.linspace(0, 5, 50), np.linspace(5, 0, 50)]), 0.5) in (
        [49],
        [50],
    )


def test_overlap_is_a_share_of_the_shorter_event() -> None:
    long, short = Event("a", 0, 99), Event("b", 95, 104)
    assert long.overlap(short) == short.overlap(long) == 0.5
    assert long.overlap(Event("c", 200, 210)) == 0
