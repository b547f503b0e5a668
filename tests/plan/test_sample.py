"""Which videos are drawn, and what each stands for."""

from collections import Counter

import pytest

from motionkit.plan.population import Population, Video
from motionkit.plan.sample import draw


def population(*seconds: float, pixels: int = 100) -> Population:
    videos = tuple(
        Video(f"/v/{i:03d}.mp4", "file", 1000, s, s, pixels, 30.0, True)
        for i, s in enumerate(seconds)
    )
    return Population(videos, len(videos), sum(s == 0 for s in seconds))


def test_a_small_set_is_tried_whole() -> None:
    drawn = draw(population(3, 0, 5), 8)
    assert [(one.video.seconds, one.weight, one.certain) for one in drawn] == [
        (3, 1.0, True), (5, 1.0, True),
    ]  # fmt: skip


def test_a_sample_stands_for_all_seconds() -> None:
    everything = population(*[1 + i % 7 for i in range(100)])
    drawn = draw(everything, 10, seed=3)
    assert len(drawn) == 10
    standing_for = sum(one.weight * one.video.seconds for one in drawn)
    assert standing_for == pytest.approx(everything.seconds)
    assert draw(everything, 10, seed=3) == drawn
    assert draw(everything, 10, seed=5) != drawn


def test_a_very_long_video_is_in_every_sample_and_counts_once() -> None:
    everything = population(*[1.0] * 50, 500.0)
    for seed in range(5):
        long = [one for one in draw(everything, 4, seed) if one.video.seconds == 500]
        assert [(one.weight, one.certain) for one in long] == [(1.0, True)]


def test_the_chance_to_be_drawn_grows_with_the_length() -> None:
    everything = population(*[1.0] * 20, *[3.0] * 20)
    count: Counter[float] = Counter()
    for seed in range(200):
        count.update(one.video.seconds for one in draw(everything, 4, seed))
    assert count[3.0] / count[1.0] == pytest.approx(3, rel=0.15)
