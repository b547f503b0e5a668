"""A moving grid of points drawn for people: what spins, grows or turns can be told apart.

The pictures that the encoder reads are `draw.draw_tracks` in one colour. Here a trail is one stroke
that fades towards its start, a point may have a colour of its own, and outlines of the grid show
where it began (grey) and how it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
Float = NDArray[np.floating]
Fixed = NDArray[np.int32]
Colour = tuple[int, int, int]

#: Of the corners of a grid, RGB: top left, top right, bottom left, bottom right. Points between
#: have mixtures, so that neighbours look alike and no two points the same.
CORNERS: Final[tuple[Colour, Colour, Colour, Colour]] = (
    (0, 255, 255), (255, 235, 40), (130, 120, 255), (255, 90, 150),
)  # fmt: skip
_DARK: Final[Colour] = (12, 14, 18)
_BEGAN: Final[Colour] = (170, 170, 170)
_NOW: Final[Colour] = (255, 255, 255)
_BITS: Final = 4
#: Coordinates beyond this are pulled in: OpenCV takes 32 bits, 4 of them for fractions.
_FAR: Final = 2.0**14


def colours_by_place(count: int) -> list[Colour]:
    """A colour for each of ``count`` points: by row and column of a square grid, else in a row."""
    side = round(count**0.5)
    rows, columns = (side, side) if side * side == count else (1, count)
    down, across = (np.linspace(0, 1, n) if n > 1 else np.zeros(1) for n in (rows, columns))
    one, two, three, four = (np.array(c, float) for c in CORNERS)
    made = []
    for v in down:
        for u in across:
            mixed = (1 - v) * ((1 - u) * one + u * two) + v * ((1 - u) * three + u * four)
            made.append((round(mixed[0]), round(mixed[1]), round(mixed[2])))
    return made


def draw_grid_trails(
    frame: Frame,
    points: Float,
    *,
    began: Float,
    colours: Sequence[Colour],
    opacity: float,
    outlines: Sequence[Float] = (),
) -> Frame:
    """``frame`` [H, W, 3] with the points as they stand in the last row of ``points`` [t + 1, N, 2]
    (pixels) and, behind each, a stroke over the rows before, fading towards the first.

    ``began`` [N, 2] is the motion's first frame: a square grid is outlined there in grey, and at
    the positions [N, 2] of ``outlines`` in white, the earlier the fainter; its point that began
    top left is larger. ``colours`` has one a point. Points that are not finite are left out.
    """
    path = np.asarray(points, np.float64)
    seen: NDArray[np.bool_] = np.asarray(np.isfinite(path).all(2))
    fixed = _fixed(path)
    side = round(path.shape[1] ** 0.5)
    ring = _ring(side) if side > 1 and side * side == path.shape[1] else None
    layer = _Layer(frame)
    thick, radius = _sizes(frame, began, ring is not None)
    _strokes(layer, fixed, seen, colours, opacity, thick)
    if ring is not None:
        _outline(layer, began, ring, _BEGAN, 0.55 * opacity)
        for i, at in enumerate(outlines, 1):
            _outline(layer, at, ring, _NOW, 0.5 * opacity * i / (len(outlines) + 1))
        _outline(layer, path[-1], ring, _NOW, 0.6 * opacity)
    for n in np.flatnonzero(seen[-1]).tolist():
        size = radius * (1.7 if n == 0 and ring is not None else 1.0)
        layer.dot(fixed[-1, n], _DARK, opacity, size + 1)
        layer.dot(fixed[-1, n], colours[n], min(1.0, 1.2 * opacity), size)
    return layer.merged()


def _strokes(
    layer: _Layer,
    fixed: Fixed,
    seen: NDArray[np.bool_],
    colours: Sequence[Colour],
    opacity: float,
    thick: int,
) -> None:
    """Trails from the oldest piece to the newest, above dark ones that part them from a picture."""
    steps = len(fixed) - 1
    for dark in (True, False):
        for t in range(steps):
            which = np.flatnonzero(seen[t] & seen[t + 1]).tolist()
            ends = np.stack([fixed[t, which], fixed[t + 1, which]], 1)
            share = opacity * (t + 1) / steps
            if dark:
                layer.lines(ends, [_DARK], 0.45 * share, thick + 2)
            else:
                layer.lines(ends, [colours[n] for n in which], share, thick)


class _Layer:
    """Strokes over a picture, mixed in once: a later stroke hides an earlier one, as with ink."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.ink = frame.copy()
        self.share = np.zeros(frame.shape[:2], np.uint8)

    def lines(self, ends: Fixed, colours: Sequence[Colour], share: float, width: int) -> None:
        """Lines [L, 2, 2], each in its colour or all in the one given, mixed in by ``share``."""
        if not len(ends):
            return
        # the ink is a little wider: the share's soft edge must not show the picture's own colour
        if len(set(colours)) == 1:
            self._ink(list(ends), colours[0], width)
        else:
            for line, colour in zip(ends, colours, strict=True):
                self._ink([line], colour, width)
        value = (round(255 * share),)
        cv2.polylines(self.share, list(ends), False, value, width, cv2.LINE_AA, _BITS)

    def _ink(self, lines: list[Fixed], colour: Colour, width: int) -> None:
        cv2.polylines(self.ink, lines, False, colour, width + 1, cv2.LINE_8, _BITS)

    def dot(self, at: Fixed, colour: Colour, share: float, radius: float) -> None:
        size, centre = round(radius * 2**_BITS), (int(at[0]), int(at[1]))
        cv2.circle(self.ink, centre, size + 2**_BITS // 2, colour, -1, cv2.LINE_8, _BITS)
        cv2.circle(self.share, centre, size, (round(255 * share),), -1, cv2.LINE_AA, _BITS)

    def merged(self) -> Frame:
        share = self.share[..., None].astype(np.uint16)
        mixed = self.ink * share + self.frame * (255 - share)
        return ((mixed + 127) // 255).astype(np.uint8)


def _ring(side: int) -> NDArray[np.intp]:
    """Points on the border of a square grid, in order."""
    cells = np.arange(side * side).reshape(side, side)
    return np.concatenate([cells[0], cells[1:, -1], cells[-1, -2::-1], cells[-2:0:-1, 0]])


def _outline(
    layer: _Layer, at: Float, ring: NDArray[np.intp], colour: Colour, share: float
) -> None:
    ends = np.stack([ring, np.roll(ring, -1)], 1)
    whole = np.isfinite(np.asarray(at, np.float64)[ends]).all((1, 2))
    layer.lines(_fixed(at)[ends[whole]], [colour], share, 1)


def _sizes(frame: Frame, first: Float, square: bool) -> tuple[int, float]:
    """Stroke and dots for a picture of this size, thinner where points stand close together."""
    stroke = max(1, round(min(frame.shape[:2]) / 200))
    if not square or not np.isfinite(first).all():
        return stroke, stroke + 1.0
    side = round(len(first) ** 0.5)
    steps = np.linalg.norm(np.diff(np.asarray(first).reshape(side, side, 2), axis=1), axis=2)
    gap = float(np.median(steps))
    stroke = max(1, min(stroke, int(gap / 4)))
    return stroke, max(0.8, min(stroke + 1.0, 0.3 * gap))


def _fixed(points: NDArray[np.floating]) -> Fixed:
    """With fractional bits, as OpenCV takes them; what is not finite (never drawn) is 0."""
    near = np.nan_to_num(np.asarray(points, np.float64), nan=0.0, posinf=_FAR, neginf=-_FAR).clip(
        -_FAR, _FAR
    )
    made: Fixed = np.round(near * 2**_BITS).astype(np.int32)
    return made
