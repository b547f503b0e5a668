"""Cuts between shots, from small planes, in one pass.

`FrameLikeness` measures how unlike two frames are in ways that motion inside a shot changes
little: the coarse picture, compared at the best of a few shifts and blind to brightness and
contrast, and colour histograms, blind to where things are. `cut_scores` and `find_cuts` then ask
what makes a cut a cut:

- frames on both sides differ however they are paired: a flash (one or two odd frames) is
  followed by frames like those before it, so its smallest pairing is low;
- the step stands out of its surroundings: fast motion and shaking make many steps, a fade many
  small ones.

Dissolves have no such step and are not cut.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]
Plane = NDArray[np.uint8]

#: Frames are compared with the one, two and three before: flashes last one or two frames.
LAGS: Final = 3
#: A step at least this high can be a cut. Real cuts measure 0.6 and more, a hand that fills the
#: picture within five frames 0.25, a car passing close by 0.45 (but among its likes).
CUT_MIN: Final = 0.3
#: … and stands this many times above the mean of the `NEIGHBOURS` frames on either side.
CUT_RATIO: Final = 2.5
NEIGHBOURS: Final = 5

#: Cells along the coarse picture's longer side, and the share of each side that shifts may have.
_CELLS: Final = 32
_SHIFT: Final = 0.125
_BINS: Final = 32
#: Coarse pictures that differ by less than this (mean grey levels) are the same: score 0.
_SAME: Final = 1.0
#: Below this deviation (grey levels) a coarse picture has nothing that could be compared.
_PLAIN: Final = 2.0
#: Contrast that appears within one frame and counts as half of what a cut shows.
_CONTRAST: Final = 20.0
#: Pairings across more than one frame are looked at only round steps as high as this.
_STEP: Final = 0.5 * CUT_MIN


class FrameLikeness:
    """Differences of each frame to the `LAGS` before it; keeps only those few in memory."""

    def __init__(self) -> None:
        self._before: deque[Plane] = deque(maxlen=LAGS)
        self._since_step = LAGS

    def step(self, luma: Plane, u: Plane, v: Plane) -> NDArray[np.float32]:
        """Difference [LAGS] of this frame to the one, two, three before: 0 alike, 1 and more
        nothing in common. NaN where there is no such frame, and for lags above one where no
        step is near (then the first lag alone decides)."""
        now = _coarse(luma, u, v)
        out = np.full(LAGS, np.nan, np.float32)
        self._since_step += 1
        for lag, before in enumerate(self._before):
            if lag and self._since_step >= LAGS:
                break
            out[lag] = _difference(before, now)
            if lag == 0 and out[0] > _STEP:
                self._since_step = 0
        self._before.appendleft(now)
        return out


def cut_scores(differences: FloatArray) -> NDArray[np.float32]:
    """Score [F] of a cut before each frame, from `FrameLikeness` steps [F, LAGS]; 0 first.

    The smallest difference over all pairs of a frame before and one from here on that lie at
    most `LAGS` apart.
    """
    d = np.asarray(differences, np.float32)
    pairs = [d[:, 0], d[:, 1], d[:, 2]]  # this frame and the three before
    pairs += [_later(d[:, 1], 1), _later(d[:, 2], 1), _later(d[:, 2], 2)]  # and those after
    scores = np.fmin.reduce(pairs) if len(d) else np.zeros(0, np.float32)
    return np.nan_to_num(scores, nan=0.0).astype(np.float32)


def _later(values: FloatArray, by: int) -> FloatArray:
    out = np.full_like(values, np.nan)
    out[:-by] = values[by:]
    return out


def find_cuts(
    scores: FloatArray, cut_min: float = CUT_MIN, ratio: float = CUT_RATIO
) -> NDArray[np.int32]:
    """Ordinals of the first frames of new shots, rising; never 0."""
    scores = np.asarray(scores, np.float64)
    cuts = []
    for t in np.flatnonzero(scores >= cut_min).tolist():
        near = scores[max(1, t - NEIGHBOURS) : t + NEIGHBOURS + 1]
        others = np.delete(near, min(t - 1, NEIGHBOURS))
        if t == 0 or scores[t] < near.max():
            continue
        if not len(others) or scores[t] >= ratio * others.mean():
            cuts.append(t)
    return np.array(cuts, np.int32)


def _coarse(luma: Plane, u: Plane, v: Plane) -> Plane:
    """Brightness and colour in cells, uint8 [h, w, 3]."""
    height, width = luma.shape
    cell = max(1, max(height, width) // _CELLS)
    size = (max(1, width // cell), max(1, height // cell))
    whole = luma[: size[1] * cell, : size[0] * cell]  # whole cells: a fast mean
    planes = [cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in (whole, u, v)]
    return cv2.merge(planes)


def _difference(before: Plane, now: Plane) -> float:
    if before.shape != now.shape:
        return 1.0
    if cv2.norm(before, now, cv2.NORM_L1) < _SAME * before.size:
        return 0.0
    colour = float(np.abs(_histograms(before) - _histograms(now)).sum()) / 2
    return colour + _place_difference(before, now)


def _histograms(picture: Plane) -> NDArray[np.float32]:
    """Three smoothed histograms [3 * _BINS], together 1."""
    out = []
    for channel in range(3):
        counts = cv2.calcHist([picture], [channel], None, [_BINS], [0, 256]).ravel()
        out.append(np.convolve(counts, (0.25, 0.5, 0.25), "same"))
    return (np.concatenate(out) / picture.size).astype(np.float32)


def _place_difference(before: Plane, now: Plane) -> float:
    """1 minus the best correlation of the inner part over small shifts: 0 … 2."""
    contrast = [float(p[..., 0].std()) for p in (before, now)]
    if min(contrast) < _PLAIN:
        # A picture out of nothing: at once at a cut, little by little at the end of a fade.
        return min(0.5, abs(contrast[0] - contrast[1]) / _CONTRAST)
    dy, dx = (max(1, round(_SHIFT * n)) if n > 4 else 0 for n in now.shape[:2])
    inner = now[dy : now.shape[0] - dy, dx : now.shape[1] - dx]
    return 1.0 - float(cv2.matchTemplate(before, inner, cv2.TM_CCOEFF_NORMED).max())
