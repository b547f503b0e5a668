"""Outlines of objects: polygons in the square [-1, 1], y downwards, as unions of pieces."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Outline = list[F64]
"""Polygons [K, 2]; the shape is their union."""

#: Largest coordinate of an outline, so that its soft edge stays in the texture.
REACH = 0.95


def _oval(x: float, y: float, a: float, b: float, turn: float = 0.0) -> F64:
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    p, q = a * np.cos(t), b * np.sin(t)
    c, s = np.cos(turn), np.sin(turn)
    return np.stack([x + c * p - s * q, y + s * p + c * q], -1)


def _regular(corners: int, turn: float = -np.pi / 2) -> F64:
    t = turn + 2 * np.pi * np.arange(corners) / corners
    return np.stack([np.cos(t), np.sin(t)], -1)


def _star(points: int, inner: float) -> F64:
    corners = _regular(2 * points)
    corners[1::2] *= inner
    return corners


def _box(a: float, b: float) -> F64:
    return np.array([[-a, -b], [a, -b], [a, b], [-a, b]])


def _poly(*corners: tuple[float, float]) -> F64:
    return np.array(corners, dtype=np.float64)


def _blob(rng: np.random.Generator) -> Outline:
    t = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    radius = np.ones_like(t)
    for k in range(2, 6):
        radius += rng.uniform(0.05, 0.22) / (k - 1) * np.sin(k * t + rng.uniform(0, 6.28))
    return [np.stack([radius * np.cos(t), radius * np.sin(t)], -1)]


def _heart() -> F64:
    t = np.linspace(0, 2 * np.pi, 80, endpoint=False)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([16 * np.sin(t) ** 3, -y], -1)


def _moon() -> F64:
    t = np.linspace(0.25 * np.pi, 1.75 * np.pi, 50)
    outer = np.stack([np.cos(t), np.sin(t)], -1)
    s = np.linspace(1.65 * np.pi, 0.35 * np.pi, 40)
    return np.concatenate([outer, np.stack([0.42 + 0.78 * np.cos(s), 0.78 * np.sin(s)], -1)])


def _leaf() -> F64:
    t = np.linspace(-1, 1, 40)
    half = 0.5 * (1 - t**2)
    return np.concatenate([np.stack([t, -half], -1), np.stack([t[::-1], half[::-1]], -1)])


def _drop() -> F64:
    t = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    return np.stack([0.75 * np.sin(t) * np.sin(t / 2) ** 1.5, -np.cos(t)], -1)


def _fish() -> Outline:
    return [
        _oval(0.15, 0, 0.8, 0.46),
        _poly((-0.5, 0), (-1.0, -0.45), (-0.85, 0), (-1.0, 0.45)),
        _poly((-0.1, -0.4), (0.25, -0.72), (0.45, -0.38)),
        _poly((0.0, 0.4), (0.15, 0.66), (0.4, 0.38)),
    ]


def _bird() -> Outline:
    return [
        _oval(0, 0.1, 0.6, 0.33, 0.12),
        _oval(0.56, -0.16, 0.25, 0.24),
        _poly((0.75, -0.24), (1.02, -0.12), (0.74, -0.04)),
        _poly((-0.4, -0.06), (-1.0, -0.3), (-0.95, 0.12), (-0.45, 0.22)),
        _poly((0.25, -0.05), (-0.3, -0.78), (-0.5, -0.62), (-0.3, 0.05)),
    ]


def _cat() -> Outline:
    return [
        _oval(-0.05, 0.12, 0.55, 0.3),
        _oval(0.55, -0.25, 0.3, 0.27),
        _poly((0.32, -0.38), (0.36, -0.76), (0.56, -0.48)),
        _poly((0.6, -0.48), (0.78, -0.74), (0.82, -0.32)),
        _poly((-0.5, 0.15), (-0.54, 0.8), (-0.3, 0.8), (-0.18, 0.3)),
        _poly((0.18, 0.3), (0.24, 0.8), (0.46, 0.8), (0.46, 0.1)),
        _poly((-0.5, 0.1), (-0.95, -0.35), (-0.85, -0.6), (-0.7, -0.52), (-0.42, -0.02)),
    ]


def _rabbit() -> Outline:
    return [
        _oval(-0.12, 0.35, 0.52, 0.42),
        _oval(0.42, -0.05, 0.3, 0.27),
        _oval(0.3, -0.55, 0.12, 0.4, -0.15),
        _oval(0.54, -0.52, 0.11, 0.38, 0.15),
        _oval(-0.62, 0.45, 0.17, 0.17),
        _oval(0.15, 0.7, 0.36, 0.12),
    ]


def _turtle() -> Outline:
    return [
        _oval(-0.05, -0.02, 0.66, 0.46),
        _oval(0.76, -0.06, 0.22, 0.18),
        _oval(-0.45, 0.42, 0.16, 0.26, 0.35),
        _oval(0.38, 0.42, 0.16, 0.26, -0.35),
        _poly((-0.62, 0.1), (-0.95, 0.3), (-0.58, 0.28)),
    ]


def _butterfly() -> Outline:
    wings = [
        _oval(0.5, -0.36, 0.5, 0.36, -0.5),
        _oval(0.4, 0.4, 0.38, 0.32, 0.5),
        _oval(0, 0, 0.12, 0.6),
    ]
    return wings + [w * np.array([-1.0, 1.0]) for w in wings[:2]]


def _duck() -> Outline:
    return [
        _oval(-0.1, 0.3, 0.7, 0.4),
        _oval(0.4, -0.3, 0.3, 0.28),
        _poly((0.2, -0.2), (0.6, -0.1), (0.5, 0.3), (0.0, 0.3)),
        _poly((0.64, -0.4), (1.0, -0.25), (0.64, -0.12)),
        _poly((-0.6, 0.1), (-1.0, -0.2), (-0.75, 0.4)),
    ]


def _arrowless(polygon: F64) -> Callable[[np.random.Generator], Outline]:
    return lambda rng: [polygon]


#: Name → outline; a shape without a seed of its own ignores the generator.
SHAPES: dict[str, Callable[[np.random.Generator], Outline]] = {
    "circle": _arrowless(_oval(0, 0, 1, 1)),
    "ellipse": _arrowless(_oval(0, 0, 1, 0.62)),
    "square": _arrowless(_box(0.85, 0.85)),
    "rectangle": _arrowless(_box(1.0, 0.62)),
    "triangle": _arrowless(_regular(3)),
    "pentagon": _arrowless(_regular(5)),
    "hexagon": _arrowless(_regular(6)),
    "diamond": _arrowless(_regular(4) * np.array([0.75, 1.0])),
    "star": _arrowless(_star(5, 0.5)),
    "cross": lambda rng: [_box(1.0, 0.38), _box(0.38, 1.0)],
    "heart": _arrowless(_heart()),
    "moon": _arrowless(_moon()),
    "leaf": _arrowless(_leaf()),
    "drop": _arrowless(_drop()),
    "blob": _blob,
    "fish": lambda rng: _fish(),
    "bird": lambda rng: _bird(),
    "cat": lambda rng: _cat(),
    "rabbit": lambda rng: _rabbit(),
    "turtle": lambda rng: _turtle(),
    "butterfly": lambda rng: _butterfly(),
    "duck": lambda rng: _duck(),
}

#: Shapes that roll: the others would slide on their corners.
ROUND = ("circle", "hexagon", "pentagon", "star", "blob")
#: Flat things that turn over and flutter.
FLAT = ("square", "rectangle", "leaf", "heart", "star", "diamond", "circle", "butterfly", "hexagon")


def outline(name: str, rng: np.random.Generator) -> Outline:
    """The pieces of a shape, centred on its bounding box, its largest coordinate `REACH`."""
    pieces = SHAPES[name](rng)
    points = np.concatenate(pieces)
    low, high = points.min(0), points.max(0)
    scale = REACH * 2 / float((high - low).max())
    return [(piece - (low + high) / 2) * scale for piece in pieces]
