"""From the sample to the whole: right on the average, and honest about how far off."""

from collections.abc import Callable

import numpy as np
import pytest

from motionkit.plan.estimate import Estimator
from motionkit.plan.population import Population, Video
from motionkit.plan.sample import draw
from motionkit.plan.trial import StepTrial, Tried, VideoCost


def population(seconds: list[float]) -> Population:
    videos = tuple(
        Video(f"/v/{i:04d}.mp4", "file", 1, s, s, 100, 30.0, True) for i, s in enumerate(seconds)
    )
    return Population(videos, len(videos), 0)


def tried(everything: Population, size: int, seed: int, share: float = 1.0) -> list[Tried]:
    return [Tried(one, one.video.path, share, share) for one in draw(everything, size, seed)]


def trial(sample: list[Tried], work: Callable[[Tried], float], step: str = "detect") -> StepTrial:
    costs = [VideoCost(items=1, kept=1, work_s=work(one)) for one in sample]
    return StepTrial(step, "items", costs)


def test_what_goes_with_the_seconds_is_predicted_exactly() -> None:
    everything = population([1.0 + i % 9 for i in range(200)])
    sample = tried(everything, 6, 1)
    made = trial(sample, lambda one: 0.5 * one.drawn.video.seconds)
    found = Estimator(everything, sample, 0).totals(made).range("work_s")
    assert found.value == pytest.approx(everything.seconds / 2)
    assert (found.low, found.high) == (pytest.approx(found.value), pytest.approx(found.value))


def test_a_stretch_stands_for_the_whole_of_its_video() -> None:
    everything = population([600.0, 600.0])
    sample = tried(everything, 2, 0, share=0.1)
    made = trial(sample, lambda one: 60.0)
    totals = Estimator(everything, sample, 0).totals(made)
    assert totals.of["work_s"][0] == pytest.approx(1200)
    assert totals.known


def test_a_set_that_was_tried_whole_has_no_range_but_that_of_the_clock() -> None:
    everything = population([2.0, 5.0, 9.0])
    sample = tried(everything, 8, 0)
    made = trial(sample, lambda one: one.drawn.video.seconds**2)
    found = Estimator(everything, sample, 0).totals(made).range("work_s", slack=0.1)
    assert found.value == pytest.approx(4 + 25 + 81)
    assert (found.low, found.high) == (pytest.approx(99), pytest.approx(121))


def test_one_video_of_many_tells_no_range() -> None:
    everything = population([1.0] * 50)
    sample = tried(everything, 1, 0)
    found = Estimator(everything, sample, 0).totals(trial(sample, lambda one: 3.0)).range("work_s")
    assert (found.value, found.low, found.high) == (pytest.approx(150), None, None)


def test_four_of_five_ranges_at_least_hold_the_truth() -> None:
    """They are made for nine of ten; few and skewed videos make them hold fewer."""
    chance = np.random.default_rng(5)
    seconds = chance.lognormal(2, 1, 300)
    work = seconds * chance.lognormal(0, 0.7, 300)  # cost a second differs from video to video
    everything = population(seconds.tolist())
    cost = {video.path: w for video, w in zip(everything.videos, work, strict=True)}
    held, values = 0, []
    for seed in range(100):
        sample = tried(everything, 8, seed)
        totals = Estimator(everything, sample, seed).totals(
            trial(sample, lambda one: cost[one.drawn.video.path])
        )
        found = totals.range("work_s")
        values.append(found.value)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= work.sum() <= found.high
    assert held >= 80
    assert np.mean(values) == pytest.approx(work.sum(), rel=0.07)


def test_the_number_of_videos_is_known() -> None:
    everything = population([1.0] * 20)
    sample = tried(everything, 5, 0)
    made = trial(sample, lambda one: 1.0, step="scan")
    found = Estimator(everything, sample, 0).totals(made)
    assert found.of["items"][0] == 20
    assert found.scale[0] == 4


def test_a_report_grows_with_the_clips_up_to_those_that_it_draws() -> None:
    everything = population([1.0] * 100)
    sample = tried(everything, 10, 0)
    estimator = Estimator(everything, sample, 0)
    clips = estimator.totals(trial(sample, lambda one: 1.0))
    for drawn, expected in ((2, 4.0), (16, 1.0)):  # a hundred clips, and the report draws eight
        report = StepTrial("report", "whole", [VideoCost(items=drawn, work_s=3.0)], at_most=8)
        assert estimator.scaled(report, clips).of["work_s"][0] == pytest.approx(3 * expected)
    shards = StepTrial("shards", "whole", [VideoCost(items=5, work_s=3.0)])
    assert estimator.scaled(shards, clips).of["work_s"][0] == pytest.approx(30)
