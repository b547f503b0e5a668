"""The motion that most of a picture's still parts agree on: a robust fit to a few displacements.

A camera that pans, tilts, zooms or rolls a little moves everything that stands still by one
similarity. People, cars and leaves move otherwise, each in its own way. So the similarity that
fits the most weight is taken for the camera's, whoever else moves, and however large they are.

Points and displacements are complex numbers (x + iy): a similarity of small motions is then
``d = t + s * p``, with the translation ``t``, and ``s`` holding zoom (real) and roll (imaginary).
"""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray

Complex = NDArray[np.complexfloating]
FloatArray = NDArray[np.floating]

#: How far (pixels) and by what share of its length a displacement may miss the fit.
TOLERANCE_PX: Final = 0.35
TOLERANCE_SHARE: Final = 0.2
#: Larger zooms and rolls from one measured frame to the next are no camera's.
_TURN_MAX: Final = 0.3
#: Where this share of the weight moves alike, no zoom or roll is looked for in choosing it.
_SLIDES: Final = 0.75
#: A still background is preferred to a moving one that fits up to this much more.
_STILL_BONUS: Final = 1.15


@dataclasses.dataclass(frozen=True)
class Similarity:
    """Motion of the background: ``shift`` (pixels, of the picture's middle), ``turn`` (zoom as
    log scale, and roll in radians), ``share`` of the weight that agrees."""

    shift: complex
    turn: complex
    share: float

    def at(self, points: Complex) -> Complex:
        """Displacement of points, pixels from the middle."""
        return self.shift + self.turn * points


def fit(points: Complex, moved: Complex, weights: FloatArray) -> Similarity:
    """The similarity that most weight agrees on.

    ``points`` [P] in pixels from the middle, their displacements ``moved`` [P], ``weights`` [P].
    Every point alone (as a translation) and with a distant partner makes a proposal; the best is
    fitted again to all that agree with it. ``share`` is 0 where there is no point.
    """
    count = len(points)
    if not count:
        return Similarity(0j, 0j, 0.0)
    allowed = (TOLERANCE_PX + TOLERANCE_SHARE * np.abs(moved)) ** 2
    # Most often all of the picture slides: then the median is among those that agree.
    middle = np.sort(moved.real)[count // 2] + 1j * np.sort(moved.imag)[count // 2]
    agree = np.where(_squared(moved - middle) < allowed, weights, 0.0)
    if agree.sum() < _SLIDES * weights.sum():
        agree = _largest_party(points, moved, weights, allowed)
    found = refit(points, moved, agree)
    return dataclasses.replace(found, share=float(agree.sum() / weights.sum()))


def _largest_party(
    points: Complex, moved: Complex, weights: FloatArray, allowed: FloatArray
) -> FloatArray:
    """The weights of those that agree with the best proposal, 0 for the others."""
    count = len(points)
    partner = (np.arange(count) + count // 2) % count
    apart = points[partner] - points
    apart[apart == 0] = 1e9
    turn = (moved[partner] - moved) / apart
    turn[~(_squared(turn) < _TURN_MAX**2)] = 0.0
    turns = np.concatenate([np.zeros(count + 1), turn])
    shifts = np.concatenate([np.zeros(1), moved, moved - turn * points])
    missed = _squared(moved - shifts[:, None] - turns[:, None] * points) / allowed
    votes = np.maximum(0.0, 1.0 - missed) @ weights
    votes[0] *= _STILL_BONUS
    return np.where(missed[votes.argmax()] < 1.0, weights, 0.0)


def _squared(values: Complex) -> FloatArray:
    return values.real * values.real + values.imag * values.imag


def refit(points: Complex, moved: Complex, weights: FloatArray) -> Similarity:
    """Weighted least squares; ``share`` is 1. A pure translation where the points lie close."""
    total = float(weights.sum())
    middle, mean = (points @ weights) / total, (moved @ weights) / total
    offset = points - middle
    spread = float(_squared(offset) @ weights)
    turn = complex((offset.conj() * moved) @ weights) / spread if spread > total else 0j
    return Similarity(complex(mean - turn * middle), turn, 1.0)
