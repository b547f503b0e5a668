"""How the points round a point move: what a tracker holds each of its points against.

Near points of one object move alike: a shift, and a turn, growth or tilt that changes little from
place to place. That affine motion is fitted to a point's neighbours, robustly, since some of them
are wrong. It says where the point must come to lie, and how the picture round it has changed.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_ROUNDS = 3
#: Fewer neighbours say nothing of a turn: the median of their shifts is taken.
_FEW = 4
#: Pixels squared by which a turn, growth or tilt is held back where neighbours lie close together.
_HELD_BACK = 3.0
#: Grey-level spread below which a patch has nothing to tell it by.
PLAIN = 3.0


def motion_of_neighbours(
    old: F64, new: F64, at: F64, neighbours: int, scale: float
) -> tuple[F64, F64, F64]:
    """What the motions ``old`` → ``new`` [M, 2] of the nearest ``neighbours`` say of points ``at``
    [N, 2]; a point is no neighbour of itself.

    Returns where they must come to lie [N, 2], the linear part of the motion there [N, 2, 2], and
    the share of the neighbours that agree within ``scale`` pixels [N] (0: there is none).
    """
    count = len(at)
    linear = np.tile(np.eye(2), (count, 1, 1))
    if not len(old):
        return at.copy(), linear, np.zeros(count)
    x = old[None, :, 0] - at[:, None, 0]
    y = old[None, :, 1] - at[:, None, 1]
    square = x * x + y * y
    square[square < 1e-12] = np.inf
    k = min(neighbours, len(old))
    near = np.argsort(square, axis=1, kind="stable")[:, :k]
    there = np.isfinite(np.take_along_axis(square, near, 1)).astype(np.float64)
    x, y = np.take_along_axis(x, near, 1), np.take_along_axis(y, near, 1)
    u, v = (new - old)[near, 0], (new - old)[near, 1]
    mid_u, mid_v = np.median(u, axis=1), np.median(v, axis=1)
    left = np.hypot(u - mid_u[:, None], v - mid_v[:, None])
    known = np.maximum(there.sum(1), 1)
    if k < _FEW:
        agree = (there * (left < scale)).sum(1) / known
        return at + np.stack([mid_u, mid_v], -1), linear, agree
    # The median is off by what a turn does across the neighbourhood: be lenient at first.
    span = np.median(left, axis=1, keepdims=True)
    for turn in range(_ROUNDS):
        width = np.maximum(scale, 2 * span / 3**turn)
        weight = there / (1 + (left / width) ** 2) ** 2
        shift, change = _affine(x, y, u, v, weight)
        left = np.hypot(
            u - shift[:, 0, None] - change[:, 0, 0, None] * x - change[:, 0, 1, None] * y,
            v - shift[:, 1, None] - change[:, 1, 0, None] * x - change[:, 1, 1, None] * y,
        )
    agree = (there * (left < scale)).sum(1) / known
    return at + shift, linear + change, agree


def _affine(x: F64, y: F64, u: F64, v: F64, weight: F64) -> tuple[F64, F64]:
    """Weighted least squares of shifts u, v [N, K] over offsets x, y [N, K]: the shift [N, 2] at
    the offset 0 and its change with the offset [N, 2, 2]."""
    total = np.maximum(weight.sum(1), 1e-9)

    def mean(values: F64) -> F64:
        return (weight * values).sum(1) / total

    mx, my, mu, mv = mean(x), mean(y), mean(u), mean(v)
    p, q = x - mx[:, None], y - my[:, None]
    xx, xy, yy = mean(p * p) + _HELD_BACK, mean(p * q), mean(q * q) + _HELD_BACK
    xu, yu, xv, yv = mean(p * u), mean(q * u), mean(p * v), mean(q * v)
    det = xx * yy - xy * xy
    change = np.empty((len(x), 2, 2))
    change[:, 0, 0], change[:, 0, 1] = (yy * xu - xy * yu) / det, (xx * yu - xy * xu) / det
    change[:, 1, 0], change[:, 1, 1] = (yy * xv - xy * yv) / det, (xx * yv - xy * xv) / det
    change[np.abs(change).max((1, 2)) > 2.2] = 0.0  # all of them wrong: no turn rather than any
    shift = np.stack(
        [
            mu - change[:, 0, 0] * mx - change[:, 0, 1] * my,
            mv - change[:, 1, 0] * mx - change[:, 1, 1] * my,
        ],
        axis=-1,
    )
    return shift, change


def patches(grey: Grey, xy: F64, half: int, linear: F64 | None = None) -> F32:
    """[N, P, P] squares of 2 * half + 1 pixels round points, edges repeated beyond the frame.
    ``linear`` [N, 2, 2]: turned and grown by that."""
    side = 2 * half + 1
    step = np.arange(-half, half + 1, dtype=np.float32)
    x, y = np.tile(step, side)[None], np.repeat(step, side)[None]
    place = np.clip(xy, -1e4, 1e4).astype(np.float32)
    if linear is None:
        u, v = place[:, :1] + x, place[:, 1:] + y
    else:
        m = linear.astype(np.float32)
        u = place[:, :1] + m[:, 0, :1] * x + m[:, 0, 1:] * y
        v = place[:, 1:] + m[:, 1, :1] * x + m[:, 1, 1:] * y
    found = cv2.remap(grey, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32).reshape(len(xy), side, side)


def likeness(a: F32, b: F32) -> tuple[F64, NDArray[np.bool_]]:
    """Correlation -1..1 of patches [N, P, P], weighted towards their middle; and which of them have
    too little texture to compare [N]."""
    side = a.shape[-1]
    r = np.linspace(-1, 1, side)
    weight = np.exp(-1.5 * (r[:, None] ** 2 + r**2)).ravel().astype(np.float32)
    weight /= weight.sum()
    x, y = a.reshape(len(a), -1), b.reshape(len(b), -1)
    x = x - (x @ weight)[:, None]
    y = y - (y @ weight)[:, None]
    vx, vy = (x * x) @ weight, (y * y) @ weight
    plain = (vx < PLAIN**2) | (vy < PLAIN**2)
    return ((x * y) @ weight / np.sqrt(np.maximum(vx * vy, 1e-9))).astype(np.float64), plain


def common_shift(shown: F32, grey: Grey, places: F64, reach: int) -> F64 | None:
    """The shift [2] from ``places`` [N, 2], to 2 pixels, at which the picture looks most like the
    patches ``shown`` [N, P, P]: where the sum of their correlations at half the resolution is
    highest. None where no patch has texture, or none lies inside."""
    side = shown.shape[-1] // 2
    r = max(2, reach // 2)
    height, width = grey.shape
    x0, y0 = np.maximum(places.min(0) - 2 * (side + r) - 2, 0).astype(int) // 2 * 2
    x1, y1 = np.minimum(places.max(0) + 2 * (side + r) + 3, [width, height]).astype(int)
    if x1 - x0 < 4 or y1 - y0 < 4:
        return None
    small = _halved(grey[y0:y1, x0:x1])
    corner = np.floor((places - [x0, y0] - shown.shape[-1] // 2) / 2 + 0.5).astype(int) - r
    total: F64 | None = None
    for patch, (x, y) in zip(shown[:, : 2 * side, : 2 * side], corner, strict=True):
        area = small[max(y, 0) : y + side + 2 * r, max(x, 0) : x + side + 2 * r]
        if area.shape != (side + 2 * r, side + 2 * r) or float(patch.std()) < PLAIN:
            continue
        half = cv2.resize(patch, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8)
        score = cv2.matchTemplate(area, half, cv2.TM_CCOEFF_NORMED)
        total = score.astype(np.float64) if total is None else total + score
    if total is None:
        return None
    row, column = np.unravel_index(int(total.argmax()), total.shape)
    return 2.0 * np.array([int(column) - r, int(row) - r], np.float64)


def _halved(picture: Grey) -> Grey:
    height, width = (side // 2 * 2 for side in picture.shape)
    small = cv2.resize(
        picture[:height, :width], (width // 2, height // 2), interpolation=cv2.INTER_AREA
    )
    return np.asarray(small, np.uint8)
