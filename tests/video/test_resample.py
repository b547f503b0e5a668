"""Output frames by presentation time."""

import numpy as np
import pytest

from motionkit.video.resample import resample_ordinals


def test_sixty_frames_a_second_give_every_second() -> None:
    times = np.arange(60) / 60
    assert resample_ordinals(times).tolist() == list(range(0, 60, 2))


def test_twenty_five_repeat_some() -> None:
    ordinals = resample_ordinals(np.arange(25) / 25)
    assert len(ordinals) == 30
    assert ordinals[:8].tolist() == [0, 0, 1, 2, 3, 4, 5, 5]
    assert set(ordinals.tolist()) == set(range(25))


def test_same_rate_is_the_identity_even_with_rounded_ticks() -> None:
    for rate in (30.0, 30000 / 1001):
        times = np.round(np.arange(300) / rate, 3)
        assert resample_ordinals(times, rate).tolist() == list(range(300))


def test_a_stretch_and_its_open_end() -> None:
    times = np.arange(100) / 30
    assert resample_ordinals(times, t0_s=1.0, t1_s=2.0).tolist() == list(range(30, 60))


def test_variable_rate_shows_each_frame_as_long_as_it_stood() -> None:
    assert resample_ordinals([0, 0.1, 0.4, 0.45], 10, t1_s=0.6).tolist() == [0, 1, 1, 1, 2, 3]


def test_one_frame_gives_one() -> None:
    assert resample_ordinals([0.0]).tolist() == [0]
    assert resample_ordinals([0.0], t0_s=0.0, t1_s=0.0).tolist() == [0]


def test_nonsense_is_refused() -> None:
    for arguments in (([], 30.0), ([0.0, 1.0], 0.0), ([0.0, 1.0], 30.0, 1.0, 0.5)):
        with pytest.raises(ValueError):
            resample_ordinals(*arguments)
