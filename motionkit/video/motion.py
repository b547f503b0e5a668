"""How far the picture's left and right edges move from frame to frame: the camera's motion.

Filter 1 of the K2M paper looks at pixel changes at the left and right edges. Plain differences
confuse a waving tree, noise or a flash with a moving camera, so what is measured here is
displacement: points spread over each edge band are followed by pyramidal Lucas-Kanade, and a
side's motion is the length of the median vector of its points.

- Somebody walking through one band moves that side only: the smaller of both sides counts.
- Leaves and noise point everywhere: their median vector is about 0.
- A zoom moves the sides apart, a roll moves one up and one down: each side by itself moves.
- A band without texture (a bare wall, black bars are cut off first) cannot be followed: then the
  other side alone decides. Where neither can be followed, nothing is known, and the score is 0.
- Where most points of a side are lost although there is texture (whip pans blur everything),
  that side counts as `LOST`.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]
Plane = NDArray[np.uint8]

#: Width of each edge band, share of the frame's width. Wide enough for 20 windows of 11 pixels.
EDGE_BAND: Final = 0.12
#: Score of a side whose texture cannot be found again, share of the width for 1/30 s.
LOST: Final = 0.05

#: Cells of a band; the best textured point of each is followed.
_COLUMNS: Final = 2
_ROWS: Final = 10
_WINDOW: Final = (11, 11)
_LEVELS: Final = 3
_STEPS: Final = 8
#: Frames after which the points are chosen anew.
_REFRESH: Final = 8
#: Least eigenvalue of a window that can be followed (cv2's unit), and the grey levels by which a
#: window found again may differ on average.
_TEXTURE: Final = 1e-3
_MISMATCH: Final = 14.0
#: A side needs this many points with texture to have a say.
_ENOUGH: Final = 4
#: Fewer of them found again than this share: the side is lost.
_FOUND_SHARE: Final = 0.34


class EdgeMotion:
    """Follows the edge bands through a video, one small brightness plane after the other."""

    def __init__(self, edge_band: float = EDGE_BAND) -> None:
        self._band = edge_band
        self._before: Plane | None = None
        self._active: tuple[int, int] | None = None
        self._sides = (_Side(mirrored=False), _Side(mirrored=True))

    def step(self, luma: Plane) -> tuple[float, float]:
        """Displacement of the left and the right side since the plane before, as shares of the
        frame's width; NaN for a side that cannot be followed. (NaN, NaN) for the first."""
        if self._active is None:
            self._active = active_columns(luma)
        before, self._before = self._before, luma
        if before is None or before.shape != luma.shape or self._active is None:
            return (np.nan, np.nan)
        left, right = self._active
        band = max(8, round(self._band * (right - left)))
        reach = min(right - left, 2 * band)  # room for points that move inwards
        parts = (slice(left, left + reach), slice(right - reach, right))
        near, far = (
            side.step(before[:, part], luma[:, part], band)
            for side, part in zip(self._sides, parts, strict=True)
        )
        return near / luma.shape[1], far / luma.shape[1]


def active_columns(luma: Plane) -> tuple[int, int] | None:
    """First and one past the last column that hold a picture: black bars at the sides are cut.

    None where the whole picture is dark or plain (nothing to judge by).
    """
    alive = np.flatnonzero(luma.std(axis=0) > 3.0)
    if len(alive) < luma.shape[1] // 4:
        return None
    return int(alive[0]), int(alive[-1]) + 1


class _Side:
    """The points of one strip."""

    def __init__(self, *, mirrored: bool) -> None:
        self._mirrored = mirrored
        self._points = np.empty((0, 1, 2), np.float32)
        self._age = _REFRESH

    def step(self, before: Plane, after: Plane, band: int) -> float:
        """Length of the median displacement in pixels; NaN without texture."""
        if self._age >= _REFRESH:
            self._points, self._age = self._choose(before, band), 0
        self._age += 1
        found, status, error = cv2.calcOpticalFlowPyrLK(
            before,
            after,
            self._points,
            None,
            winSize=_WINDOW,
            maxLevel=_LEVELS,
            criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, 0.02),
            minEigThreshold=_TEXTURE,
        )
        textured = status.ravel() > 0
        if np.count_nonzero(textured) < _ENOUGH:
            return float("nan")
        good = textured & (error.ravel() < _MISMATCH)
        count = np.count_nonzero(good)
        if count < max(_ENOUGH, _FOUND_SHARE * np.count_nonzero(textured)):
            return LOST * before.shape[1]
        moved = np.sort((found - self._points)[good, 0], axis=0)
        middle = (moved[(count - 1) // 2] + moved[count // 2]) / 2
        return float(np.hypot(*middle))

    def _choose(self, strip: Plane, band: int) -> NDArray[np.float32]:
        """The best textured pixel of every cell of the band: float32 [cells, 1, 2], x and y."""
        start = strip.shape[1] - band if self._mirrored else 0
        texture = cv2.cornerMinEigenVal(strip[:, start : start + band], 5)
        high, wide = max(1, texture.shape[0] // _ROWS), max(1, band // _COLUMNS)
        rows, columns = texture.shape[0] // high, band // wide
        cells = texture[: rows * high, : columns * wide].reshape(rows, high, columns, wide)
        best = cells.swapaxes(1, 2).reshape(rows, columns, -1).argmax(axis=-1)
        x = start + np.arange(columns) * wide + best % wide
        y = np.arange(rows)[:, None] * high + best // wide
        return np.stack([x, y], axis=-1).reshape(-1, 1, 2).astype(np.float32)


def per_thirtieth(moved: FloatArray, times_s: FloatArray) -> NDArray[np.float32]:
    """Camera score [F] from both sides' displacements [F, 2] and presentation times [F].

    The smaller side (the only one, where the other cannot be followed; 0 where neither can),
    scaled to 1/30 s, so that the score means the same at every frame rate.
    """
    smaller = np.fmin(moved[:, 0], moved[:, 1])
    gaps = np.diff(np.asarray(times_s, np.float64), prepend=times_s[:1])
    gaps[gaps <= 0] = 1 / 30
    scores = np.nan_to_num(smaller / (30 * gaps), nan=0.0)
    if len(scores):
        scores[0] = 0.0
    return scores.astype(np.float32)
