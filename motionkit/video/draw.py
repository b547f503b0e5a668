"""Drawing on frames: skeletons, boxes, track trails, contact sheets. Used by reports.

Frames are RGB uint8 [H, W, 3] and are never changed in place. Coordinates are pixels of the
frame given: scale keypoints first when the frame was shrunk. Strokes grow with the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit.keypoints import COCO17, LIMBS

FloatArray = NDArray[np.floating]
Frame = NDArray[np.uint8]
Colour = tuple[int, int, int]

#: Colours (RGB) by the person's own side; blue and orange are told apart by colour-blind eyes.
LEFT: Final[Colour] = (255, 149, 43)
RIGHT: Final[Colour] = (46, 140, 255)
MIDDLE: Final[Colour] = (240, 240, 240)
OUTLINE: Final[Colour] = (18, 20, 24)
TRACK: Final[Colour] = (0, 225, 225)
BOX: Final[Colour] = (255, 64, 64)
MASK: Final[Colour] = (255, 90, 200)

#: Fixed-point bits of cv2's antialiased drawing: a sixteenth of a pixel.
_BITS: Final = 4


def draw_skeleton(frame: Frame, keypoints: FloatArray, min_confidence: float = 0.3) -> Frame:
    """The frame with one person's COCO-17 skeleton drawn on it.

    ``keypoints`` [17, 3]: x, y in pixels, confidence. Points at or below ``min_confidence`` and
    their limbs are left out. The person's left is orange, the right blue, the middle white.
    """
    out = frame.copy()
    points = np.asarray(keypoints, np.float64)
    seen = (points[:, 2] > min_confidence) & np.isfinite(points).all(axis=1)
    width = _stroke(frame)
    limbs = [(a, b) for a, b in LIMBS if seen[a] and seen[b]]
    for grow, dark in ((2, True), (0, False)):  # dark outlines below all limbs
        for a, b in limbs:
            colour = OUTLINE if dark else _limb_colour(a, b)
            _line(out, points[a, :2], points[b, :2], colour, width + grow)
    for i in np.flatnonzero(seen):
        radius = width * (0.7 if i <= 4 else 1.1)
        _dot(out, points[i, :2], OUTLINE, radius + 1)
        _dot(out, points[i, :2], _point_colour(int(i)), radius)
    return out


def draw_box(
    frame: Frame, box: FloatArray | Sequence[float], colour: Colour = BOX, label: str = ""
) -> Frame:
    """The frame with a box (x0, y0, x1, y1 in pixels) and, above or inside it, a label."""
    out = frame.copy()
    x0, y0, x1, y1 = (float(v) for v in box[:4])
    if x1 <= x0 or y1 <= y0:  # all 0: nobody there
        return out
    cv2.rectangle(
        out, _fixed((x0, y0)), _fixed((x1, y1)), colour, _stroke(frame), cv2.LINE_AA, _BITS
    )
    if label:
        _label(out, label, round(x0), round(y0), colour)
    return out


def draw_mask(frame: Frame, mask: NDArray[np.bool_], colour: Colour = MASK) -> Frame:
    """The frame with the outline of a mask [H, W] of its size, and a touch of its colour inside."""
    out = frame.copy()
    inside = np.asarray(mask, bool)
    out[inside] = (0.8 * out[inside] + 0.2 * np.array(colour)).astype(np.uint8)
    edges, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.polylines(out, edges, True, colour, max(1, _stroke(frame) // 2), cv2.LINE_AA)
    return out


def draw_tracks(
    frame: Frame,
    points: FloatArray,
    visible: NDArray[np.bool_] | None = None,
    *,
    trail: int = 16,
    colour: Colour = TRACK,
    opacity: float = 0.85,
) -> Frame:
    """The frame with point tracks up to its own time: a dot each, and a fading trail behind it.

    ``points`` [t + 1, N, 2] pixels, the last row being this frame's; ``visible`` [t + 1, N].
    Hidden points have no dot, and no trail piece starts or ends in one. ``trail`` counts the
    frames behind. Old pieces fade out.
    """
    path = np.asarray(points, np.float64)[-(trail + 1) :]
    if visible is None:
        shown = np.ones(path.shape[:2], bool)
    else:
        shown = np.asarray(visible, bool)[-(trail + 1) :].copy()
    shown &= np.isfinite(path).all(axis=2)
    layer = frame.copy()
    width = _stroke(frame)
    steps = len(path) - 1
    for i in range(steps):
        age = (i + 1) / max(steps, 1)  # 0 old … 1 new
        layer_i = layer.copy()
        for n in np.flatnonzero(shown[i] & shown[i + 1]):
            _line(layer_i, path[i, n], path[i + 1, n], colour, width)
        layer = cv2.addWeighted(layer_i, age * opacity, layer, 1 - age * opacity, 0)
    dots = layer.copy()
    if len(path):
        for n in np.flatnonzero(shown[-1]):
            _dot(dots, path[-1, n], colour, width + 0.5)
    return cv2.addWeighted(dots, opacity, layer, 1 - opacity, 0)


def contact_sheet(
    frames: Sequence[Frame],
    columns: int = 4,
    labels: Sequence[str] | None = None,
    *,
    cell_width: int = 240,
    gap: int = 6,
    background: Colour = (24, 26, 30),
) -> Frame:
    """Frames in a grid, row by row, each shrunk or grown to ``cell_width``; the first frame's
    shape decides the height of the cells, others are fitted inside. Labels stand top left.

    Raises ValueError for no frames, or as many labels as do not fit the frames.
    """
    if not frames:
        raise ValueError("a contact sheet needs at least one frame")
    if labels is not None and len(labels) != len(frames):
        raise ValueError(f"{len(labels)} labels for {len(frames)} frames")
    columns = max(1, min(columns, len(frames)))
    rows = math.ceil(len(frames) / columns)
    height, width = frames[0].shape[:2]
    cell_height = max(1, round(cell_width * height / width))
    sheet = np.empty(
        (rows * (cell_height + gap) + gap, columns * (cell_width + gap) + gap, 3), np.uint8
    )
    sheet[:] = background
    for i, frame in enumerate(frames):
        y = gap + i // columns * (cell_height + gap)
        x = gap + i % columns * (cell_width + gap)
        fitted = fit(frame, cell_width, cell_height)
        h, w = fitted.shape[:2]
        top, left = y + (cell_height - h) // 2, x + (cell_width - w) // 2
        sheet[top : top + h, left : left + w] = fitted
        if labels is not None and labels[i]:
            _label(sheet, labels[i], x, y, background)
    return sheet


def fit(frame: Frame, width: int, height: int) -> Frame:
    """The frame scaled, with its shape kept, to fit into ``width`` × ``height`` pixels."""
    h, w = frame.shape[:2]
    scale = min(width / w, height / h)
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(frame, size, interpolation=way)


def _stroke(frame: Frame) -> int:
    return max(1, round(min(frame.shape[:2]) / 160))


def _limb_colour(a: int, b: int) -> Colour:
    colours = {_point_colour(a), _point_colour(b)} - {MIDDLE}
    return colours.pop() if len(colours) == 1 else MIDDLE


def _point_colour(i: int) -> Colour:
    name = COCO17[i]
    if name.startswith("left"):
        return LEFT
    return RIGHT if name.startswith("right") else MIDDLE


def _fixed(xy: Sequence[float] | FloatArray) -> tuple[int, int]:
    # cv2 takes 16-bit-safe coordinates only: far-off points are pulled in, the line stays out.
    limit = 2**14
    x, y = (min(max(float(v), -limit), limit) for v in xy)
    return round(x * 2**_BITS), round(y * 2**_BITS)


def _line(out: Frame, a: FloatArray, b: FloatArray, colour: Colour, width: int) -> None:
    cv2.line(out, _fixed(a), _fixed(b), colour, width, cv2.LINE_AA, _BITS)


def _dot(out: Frame, centre: FloatArray, colour: Colour, radius: float) -> None:
    cv2.circle(out, _fixed(centre), round(radius * 2**_BITS), colour, -1, cv2.LINE_AA, _BITS)


def _label(out: Frame, text: str, x: int, y: int, ground: Colour) -> None:
    """Text on a small ground whose top left corner is (x, y), moved inside the picture."""
    scale = max(0.35, min(out.shape[:2]) / 1200)
    (w, h), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    x = max(0, min(x, out.shape[1] - w - 6))
    y = max(0, min(y, out.shape[0] - h - below - 4))
    cv2.rectangle(out, (x, y), (x + w + 6, y + h + below + 4), ground, -1)
    ink = (20, 20, 20) if sum(ground) > 420 else (245, 245, 245)
    cv2.putText(out, text, (x + 3, y + h + 2), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 1, cv2.LINE_AA)
