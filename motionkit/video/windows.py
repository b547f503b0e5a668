"""Small windows round the edge of the picture, and how far each one moves between two frames.

Where nearly nothing changed, a window's displacement follows from its changes to first order, by
a filter that is made once: this is all that a still camera costs. Everything else goes to
pyramidal Lucas-Kanade.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]
BoolArray = NDArray[np.bool_]
Complex = NDArray[np.complexfloating]
Plane = NDArray[np.uint8]

#: Share of the height that the strip along the top edge takes. There is none along the bottom:
#: that is where people stand.
TOP_BAND: Final = 0.25

#: Cells (rows, columns) of a side and of the top; the best textured window of each is followed.
_SIDE_CELLS: Final = (5, 2)
_TOP_CELLS: Final = (1, 6)
_HALF: Final = 4  # windows of 9 x 9 pixels
_MARGIN: Final = _HALF + 1
#: Grey levels per pixel, squared, that a window must change by along its plainest direction; and
#: about the same in the unit of OpenCV's corner measure.
_TEXTURE: Final = 1.5
_PLAIN: Final = 9e-5
#: A window changed little when its changes are those of a shift by at most this many pixels, or
#: at most this many grey levels (noise).
_LITTLE_PX: Final = 0.5
_NOISE: Final = 2.5
#: The same for windows that show the same; this share of them makes the picture the same.
_SAME_PX: Final = 0.02
_SAME_NOISE: Final = 0.3
_SAME_SHARE: Final = 0.7
#: First-order displacements above are not believed.
_FIRST_ORDER_PX: Final = 0.6
#: Mean grey levels by which a window that was found again may differ.
_MISMATCH: Final = 14.0
#: Brightness counts as changed from this share on, where half of the windows differ by less.
_BRIGHTER: Final = 0.01
_ALIKE: Final = 0.04
#: Windows plainer than this (OpenCV's unit; about two thirds of `_TEXTURE`) are not followed.
_FLAT: Final = 1e-3
_STOP: Final = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 6, 0.03)

_STEPS: Final = np.arange(-_HALF, _HALF + 1)


class Windows:
    """Windows chosen on one plane: ``x``, ``y`` (pixels) [P], ``places`` [P] relative to the
    picture's middle, ``regions`` [P] (0 left, 1 right, 2 top)."""

    def __init__(self, plane: Plane, box: tuple[int, int, int, int], band: int) -> None:
        """``box``: first and one past the last column and row that hold a picture; ``band``:
        width in pixels of the strips at the sides."""
        x, y, regions = _best_of_cells(plane, box, band)
        self.x, self.y, self.regions = x, y, regions
        height, width = plane.shape
        self.places: Complex = (x - width / 2) + 1j * (y - height / 2)
        self._points = np.stack([x, y], -1).astype(np.float32)[:, None]
        self._plane: Plane | None = plane
        self._filters: _Filters | None = None

    def __len__(self) -> int:
        return len(self.x)

    def filters(self) -> _Filters:
        """What small changes say, by the plane that the windows were chosen on; made when first
        asked for: a moving camera never asks."""
        if self._filters is None:
            assert self._plane is not None
            self._filters, self._plane = _Filters(self._plane, self.x, self.y), None
        return self._filters

    def follow(
        self, before: Plane, after: Plane, guess: Complex | None, levels: int
    ) -> tuple[Complex, BoolArray]:
        """Displacement [P] by Lucas-Kanade from ``guess`` [P] (None: from nothing), and which
        windows were found again."""
        gain = self._gain(before, after)
        if gain:
            after = cv2.convertScaleAbs(after, alpha=1 / gain)
        start, flags = None, 0
        if guess is not None:
            start = self._points + np.stack([guess.real, guess.imag], -1)[:, None]
            start, flags = start.astype(np.float32), cv2.OPTFLOW_USE_INITIAL_FLOW
        found, status, error = cv2.calcOpticalFlowPyrLK(
            before, after, self._points, start,
            winSize=(2 * _HALF + 1, 2 * _HALF + 1), maxLevel=levels, criteria=_STOP,
            flags=flags, minEigThreshold=_FLAT,
        )  # fmt: skip
        moved = (found - self._points)[:, 0]
        good = (status.ravel() > 0) & (error.ravel() < _MISMATCH)
        return moved[:, 0] + 1j * moved[:, 1], good

    def _gain(self, before: Plane, after: Plane) -> float | None:
        """How much brighter all windows got, where nearly all got the same; None where not, or
        not at all: Lucas-Kanade takes brightness for texture that moves."""
        whole = (cv2.mean(after)[0] + 1.0) / (cv2.mean(before)[0] + 1.0)
        if abs(whole - 1) < _BRIGHTER:
            return None
        one, other = (
            _patches(plane, self.x, self.y, _HALF).sum((1, 2)) for plane in (before, after)
        )
        ratio = np.sort((other + 1.0) / (one + 1.0))
        low, middle, high = (float(ratio[len(ratio) * k // 4]) for k in (1, 2, 3))
        return middle if high - low < _ALIKE and abs(middle - 1) > _BRIGHTER else None


class _Filters:
    """Displacements of windows to first order, from their changes since another look."""

    def __init__(self, plane: Plane, x: NDArray[np.intp], y: NDArray[np.intp]) -> None:
        patches = _patches(plane, x, y, _MARGIN).astype(np.float32)
        across = (patches[:, 1:-1, 2:] - patches[:, 1:-1, :-2]).reshape(len(x), -1) / 2
        down = (patches[:, 2:, 1:-1] - patches[:, :-2, 1:-1]).reshape(len(x), -1) / 2
        # Blind to changes of brightness and contrast: what the window shows is taken out.
        shown = _without_mean(patches[:, 1:-1, 1:-1].reshape(len(x), -1))
        shown /= np.maximum(np.sqrt((shown * shown).sum(1, keepdims=True)), 1e-3)
        across, down = (
            g - (g * shown).sum(1, keepdims=True) * shown
            for g in (_without_mean(across), _without_mean(down))
        )
        size = across.shape[1]
        xx, yy = (across * across).mean(1), (down * down).mean(1)
        xy = (across * down).mean(1)
        least = (xx + yy - np.sqrt((xx - yy) ** 2 + 4 * xy * xy)) / 2
        scale = (-1.0 / (np.maximum(xx * yy - xy * xy, 1e-3) * size))[:, None]
        filters = (
            scale * (yy[:, None] * across - xy[:, None] * down),
            scale * (xx[:, None] * down - xy[:, None] * across),
        )
        self._filters = np.stack([*filters, np.full_like(across, size**-0.5), shown], 1)
        power = size * (xx + yy)
        self._same = np.maximum(_SAME_PX**2 * power, size * _SAME_NOISE**2)
        self._calm = np.maximum(_LITTLE_PX**2 * power, size * _NOISE**2)
        self._calm[least < _TEXTURE] = 0.0  # too plain to tell
        rows, columns = y[:, None, None] + _STEPS[:, None], x[:, None, None] + _STEPS
        self._index = (rows * plane.shape[1] + columns).reshape(len(x), -1)

    def look(self, plane: Plane) -> FloatArray:
        """What a plane shows in the windows, float32 [P, 81]."""
        return plane.ravel().take(self._index).astype(np.float32)

    def same(self, before: FloatArray, after: FloatArray) -> bool:
        """Did nearly all windows change by less than can matter? (A few may show anything.)"""
        change = after - before
        power = np.einsum("pw,pw->p", change, change)
        return bool(np.count_nonzero(power < self._same) >= _SAME_SHARE * len(power))

    def little(self, before: FloatArray, after: FloatArray) -> tuple[Complex, BoolArray]:
        """First-order displacement [P] between two looks, and which windows changed so little
        that it can be believed."""
        change = after - before
        moved = np.matmul(self._filters, change[:, :, None])[:, :, 0]
        across, down, lighter, stronger = moved.T
        power = np.einsum("pw,pw->p", change, change) - lighter * lighter - stronger * stronger
        calm = power < self._calm
        calm &= across * across + down * down < _FIRST_ORDER_PX**2
        return across + 1j * down, calm


def _best_of_cells(
    plane: Plane, box: tuple[int, int, int, int], band: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """x, y and region of the best textured pixel of every cell of the three strips."""
    left, right, top, bottom = box
    left, top = max(left, _MARGIN), max(top, _MARGIN)
    right, bottom = min(right, plane.shape[1] - _MARGIN), min(bottom, plane.shape[0] - _MARGIN)
    roof = top + round(TOP_BAND * (bottom - top))
    strips = (
        (left, left + band, top, bottom, _SIDE_CELLS),
        (right - band, right, top, bottom, _SIDE_CELLS),
        (left + band, right - band, top, roof, _TOP_CELLS),
    )
    parts = []
    for region, (x0, x1, y0, y1, (rows, columns)) in enumerate(strips):
        high, wide = (y1 - y0) // rows, (x1 - x0) // columns
        if high < 1 or wide < 1:
            continue
        texture = cv2.cornerMinEigenVal(plane[y0:y1, x0:x1], 5)[: rows * high, : columns * wide]
        cells = texture.reshape(rows, high, columns, wide).swapaxes(1, 2)
        best = cells.reshape(rows * columns, -1).argmax(axis=1)
        row, column = np.divmod(np.arange(rows * columns), columns)
        good = cells.reshape(rows * columns, -1).max(axis=1) > _PLAIN
        x = x0 + column * wide + best % wide
        y = y0 + row * high + best // wide
        parts.append((x[good], y[good], np.full(np.count_nonzero(good), region)))
    if not parts:
        empty = np.zeros(0, np.intp)
        return empty, empty, empty
    x, y, regions = (np.concatenate(p) for p in zip(*parts, strict=True))
    return x, y, regions


def _without_mean(values: FloatArray) -> FloatArray:
    return values - values.mean(1, keepdims=True)


def _patches(
    plane: Plane, x: NDArray[np.intp], y: NDArray[np.intp], half: int
) -> NDArray[np.uint8]:
    steps = np.arange(-half, half + 1)
    return plane[y[:, None, None] + steps[:, None], x[:, None, None] + steps]
