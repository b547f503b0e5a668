"""Videos of nothing but flat pictures: compared by the course of their brightness.

A black frame, a steady grey and a single fade are no evidence; brightness that goes up and down
in step is. Only videos that are flat from end to end are compared in this way.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from motionkit.duplicates.words import NOTHING, Words, levels

#: Instants that must be shared at least (2 s, less one at each end).
_LEAST: Final = 6
#: Spread about a straight line, in grey levels, below which a course is no evidence.
_SPREAD: Final = 8.0
#: Correlation about straight lines from which courses are the same one.
_ALIKE: Final = 0.95


def grey_course(video: Words) -> NDArray[np.float64] | None:
    """Brightness of every instant of a video of flat pictures; None for any other, and for one
    whose brightness tells nothing."""
    if len(video) < _LEAST or (levels(video) != NOTHING).any():
        return None
    course = video[:, 0].astype(np.float64)
    return course if _about_a_line(course).std() >= _SPREAD else None


def same_course(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[float, int, int] | None:
    """(likeness, overlap, offset) of two courses that are the same, or None: instant i of ``a``
    lies at i + offset of ``b``."""
    best: tuple[float, int, int] | None = None
    least = max(_LEAST, (min(len(a), len(b)) + 1) // 2)
    for offset in range(least - len(a), len(b) - least + 1):
        low, high = max(0, -offset), min(len(a), len(b) - offset)
        x, y = _about_a_line(a[low:high]), _about_a_line(b[low + offset : high + offset])
        if min(x.std(), y.std()) < _SPREAD:
            continue
        likeness = float((x * y).mean() / (x.std() * y.std()))
        if likeness >= _ALIKE and (best is None or (high - low, likeness) > best[1::-1]):
            best = likeness, high - low, offset
    return best


def _about_a_line(course: NDArray[np.float64]) -> NDArray[np.float64]:
    place = np.arange(len(course)) - (len(course) - 1) / 2
    level = course - course.mean()
    return level - place * (level @ place) / (place @ place)
