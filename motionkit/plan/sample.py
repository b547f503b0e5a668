"""Which videos are tried, and how much of the whole each one stands for.

Videos are drawn with chances in proportion to their length, in steps of equal length through the
set sorted by pictures and pixels a second. So a long video counts for what it is, and small and
large pictures are both there.
"""

from __future__ import annotations

import dataclasses
import random

from motionkit.plan.population import Population, Video


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A video of the sample. ``weight`` is one over its chance to be drawn: 1 for videos that
    are so long that they are in every sample (``certain``)."""

    video: Video
    weight: float
    certain: bool


def draw(population: Population, size: int, seed: int = 0) -> list[Drawn]:
    """A sample of at most ``size`` videos, sorted by path; the same for the same seed."""
    able = [video for video in population.videos if video.used_s > 0 and video.seconds > 0]
    if len(able) <= size:
        return [Drawn(video, 1.0, True) for video in able]
    certain, rest = _certain(able, size)
    drawn = [Drawn(video, 1.0, True) for video in certain]
    count = size - len(certain)
    if count:
        rest.sort(key=lambda video: (video.pixels * video.rate, video.path))
        step = sum(video.used_s for video in rest) / count
        at = random.Random(seed).random() * step
        passed = 0.0
        for video in rest:
            passed += video.used_s
            if passed > at:
                drawn.append(Drawn(video, step / video.used_s, False))
                at += step
    return sorted(drawn, key=lambda one: one.video.path)


def _certain(able: list[Video], size: int) -> tuple[list[Video], list[Video]]:
    """The videos that are longer than the step between two draws, and the others."""
    ordered = sorted(able, key=lambda video: (-video.used_s, video.path))
    left = sum(video.used_s for video in ordered)
    count = 0
    while count < size and ordered[count].used_s * (size - count) >= left:
        left -= ordered[count].used_s
        count += 1
    return ordered[:count], ordered[count:]
