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
from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit.video.planes import halved

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

#: Cells along the coarse picture's longer side (at most), and the share of a side that it may
#: be shifted by.
_CELLS: Final = 40
_SHIFT: Final = 0.125
_BINS: Final = 32
#: Coarse pictures that differ by less than this (mean grey levels) are the same: score 0.
_SAME: Final = 1.0
#: … and those that differ by less than this share of their contrast are alike: the score is then
#: this part of that share, and colours and shifts are not looked at. (Two unrelated pictures
#: differ by 1.1 contrasts on average; a correlation of 0.9 goes with 0.36 at most.)
_ALIKE: Final = 0.25
_ALIKE_SCORE: Final = 0.4
#: Brightness that fits this well at some shift is the same scene: colours are not looked at.
_FITS: Final = 0.1
#: Below this deviation (grey levels) a coarse picture has nothing that could be compared.
_PLAIN: Final = 2.0
#: Contrast that appears within one frame and counts as half of what a cut shows.
_CONTRAST: Final = 20.0
#: Pairings across more than one frame are looked at only round steps as high as this.
_STEP: Final = 0.5 * CUT_MIN


class Frame(Protocol):
    """What is looked at: see `planes.SmallFrame`."""

    @property
    def luma(self) -> Plane:
        """Brightness [h, w]."""

    @property
    def u(self) -> Plane:
        """Colour, at any size."""

    @property
    def v(self) -> Plane:
        """Colour, at any size."""


class FrameLikeness:
    """Differences of each frame to the `LAGS` before it.

    Frames are added one by one and measured in groups of at most `LAGS`. A group whose last frame
    is like the last of the group before holds no cut, since a cut's score is the smallest of all
    pairings across it, and that is one of them: its other frames are never looked at. Holds the
    frames of one group and coarse pictures of `LAGS` more.
    """

    def __init__(self) -> None:
        self._looks: deque[_Look] = deque(maxlen=2 * LAGS)
        self._added = 0
        self._since_step = LAGS

    def add(self, frame: Frame) -> None:
        """Take the next frame; ValueError where `LAGS` frames wait for `measure` already."""
        if self._added >= LAGS:
            raise ValueError(f"at most {LAGS} frames can be added before they are measured")
        self._looks.append(_Look(frame))
        self._added += 1

    def measure(self) -> NDArray[np.float32]:
        """Differences [n, LAGS] of the n frames added since the last call to the one, two, three
        before each: 0 alike, 1 and more nothing in common. NaN where there is no such frame, and
        for lags above one where no step is near (then the first lag alone decides). Frames of a
        group without a step share its difference evenly."""
        count, self._added = self._added, 0
        out = np.full((count, LAGS), np.nan, np.float32)
        known = len(self._looks) - count
        if known and self._since_step + count >= LAGS:
            whole = _difference(self._looks[known - 1], self._looks[-1])
            if whole <= _STEP:
                out[:, 0] = whole / count
                self._since_step += count
                self._forget(1)
                return out
        for i in range(count):
            self._each(out[i], known + i)
        self._forget(LAGS)
        return out

    def _each(self, out: NDArray[np.float32], at: int) -> None:
        self._since_step += 1
        for lag in range(min(LAGS, at)):
            if lag and self._since_step >= LAGS:
                break
            out[lag] = _difference(self._looks[at - lag - 1], self._looks[at])
            if lag == 0 and out[0] > _STEP:
                self._since_step = 0

    def _forget(self, keep: int) -> None:
        while len(self._looks) > keep:
            self._looks.popleft()
        for look in list(self._looks)[:-1]:
            look.settle()


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


class _Look:
    """The coarse picture of one frame, and what is derived from it; made when asked for."""

    __slots__ = ("_contrast", "_frame", "_histograms", "_picture", "brightness")

    def __init__(self, frame: Frame) -> None:
        self._frame: Frame | None = frame
        self.brightness: Plane | None = None
        self._picture: Plane | None = None
        self._histograms: NDArray[np.float32] | None = None
        self._contrast: float | None = None

    def light(self) -> Plane:
        """Brightness in cells, uint8 [h, w]."""
        if self.brightness is None:
            assert self._frame is not None
            self.brightness = halved(self._frame.luma, _CELLS)
        return self.brightness

    def picture(self) -> Plane:
        """Brightness and colour in cells, uint8 [h, w, 3]; the full frame is let go."""
        if self._picture is None:
            assert self._frame is not None
            light = self.light()
            size = (light.shape[1], light.shape[0])
            colour = (self._frame.u, self._frame.v)
            planes = [cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in colour]
            self._picture = cv2.merge([light, *planes])
            self._frame = None
        return self._picture

    def settle(self) -> None:
        """Let go of the full frame."""
        self.picture()

    def histograms(self) -> NDArray[np.float32]:
        """Three smoothed histograms [3, _BINS], together 1."""
        if self._histograms is None:
            picture = self.picture()
            bins = (picture >> 3) + np.array([0, _BINS, 2 * _BINS], np.uint8)
            counts = np.bincount(bins.ravel(), minlength=3 * _BINS).reshape(3, _BINS)
            wide = np.zeros((3, _BINS + 2), np.float32)
            wide[:, 1:-1] = counts
            smooth = 0.25 * wide[:, :-2] + 0.5 * wide[:, 1:-1] + 0.25 * wide[:, 2:]
            self._histograms = smooth / picture.size
        return self._histograms

    def contrast(self) -> float:
        """Standard deviation of the brightness, grey levels."""
        if self._contrast is None:
            self._contrast = float(cv2.meanStdDev(self.light())[1][0, 0])
        return self._contrast


def _difference(before: _Look, now: _Look) -> float:
    one, other = before.light(), now.light()
    if one.shape != other.shape:
        return 1.0
    apart = cv2.norm(one, other, cv2.NORM_L1) / one.size
    if apart < _SAME:
        return 0.0
    if apart < _ALIKE * min(before.contrast(), now.contrast()):
        return _ALIKE_SCORE * apart / before.contrast()
    plain = min(before.contrast(), now.contrast()) < _PLAIN
    if plain:
        # A picture out of nothing: at once at a cut, little by little at the end of a fade.
        place = min(0.5, abs(before.contrast() - now.contrast()) / _CONTRAST)
    else:
        place = _misfit(one, other)
        if place < _FITS:
            return place
        place = _misfit(before.picture(), now.picture())
    return place + float(np.abs(before.histograms() - now.histograms()).sum()) / 2


def _misfit(before: Plane, now: Plane) -> float:
    """1 minus the best correlation of the inner part over small shifts: 0 … 2."""
    dy, dx = (max(1, round(_SHIFT * n)) if n > 4 else 0 for n in now.shape[:2])
    inner = now[dy : now.shape[0] - dy, dx : now.shape[1] - dx]
    return 1.0 - float(cv2.matchTemplate(before, inner, cv2.TM_CCOEFF_NORMED).max())
