"""Patterns for floors and walls as functions of the place on the surface, and cheap noise."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Image = NDArray[np.uint8]

#: (u metres, v metres, distance metres, base colour [3], seed) -> colours [N, 3]
Pattern = Callable[[Float, Float, Float, Float, int], Float]

_SIZE = 256


@lru_cache(maxsize=1)
def _table() -> Float:
    """[256, 256] smooth noise that repeats seamlessly, about -1..1."""
    rng = np.random.default_rng(20240601)
    total = np.zeros((_SIZE, _SIZE), np.float32)
    for cells, weight in ((16, 1.0), (32, 0.5), (64, 0.3), (128, 0.18)):
        grid = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
        grid = np.pad(grid, ((2, 2), (2, 2)), mode="wrap")
        step = _SIZE // cells
        big = cv2.resize(grid, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        total += weight * big[2 * step : 2 * step + _SIZE, 2 * step : 2 * step + _SIZE]
    return (total / 1.3).astype(float)


def noise(u: Float, v: Float, seed: int) -> Float:
    """Smooth noise of about -1..1; one unit of ``u`` is one coarse cell."""
    scale = _SIZE / 16
    i = np.floor(u * scale + 37 * seed).astype(np.int64) % _SIZE
    j = np.floor(v * scale + 91 * seed).astype(np.int64) % _SIZE
    return _table()[i, j]


def fine_noise(u: Float, v: Float, seed: int) -> Float:
    """`noise` without steps: for what is seen magnified."""
    scale = _SIZE / 16
    x, y = u * scale + 37 * seed, v * scale + 91 * seed
    i, j = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    a, b = x - i, y - j
    i0, j0, i1, j1 = i % _SIZE, j % _SIZE, (i + 1) % _SIZE, (j + 1) % _SIZE
    table = _table()
    low = table[i0, j0] * (1 - a) + table[i1, j0] * a
    return low * (1 - b) + (table[i0, j1] * (1 - a) + table[i1, j1] * a) * b


def speckle(image: Image, seed: int) -> Image:
    """The image with the fixed fine grain of real surfaces."""
    rng = np.random.default_rng(seed)
    grain = rng.normal(0, 2.0, image.shape[:2])[..., None]
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def _fade(distance: Float, far: float) -> Float:
    """1 near, 0 where the pattern would be finer than the pixels."""
    return np.clip(1.4 - distance / far, 0, 1)


def _planks(u: Float, v: Float, distance: Float, base: Float, seed: int) -> Float:
    row = np.floor(u / 0.14)
    along = v + 0.61 * row
    board = np.floor(along / 1.3)
    tone = 0.10 * np.sin(12.9 * row + 78.2 * board + seed)
    grain = 0.06 * noise(u * 9, v * 0.8, seed)
    gap = ((u / 0.14) % 1 < 0.06) | ((along / 1.3) % 1 < 0.008)
    return base * (1 + tone + grain - 0.3 * gap * _fade(distance, 9))[:, None]


def _tiles(u: Float, v: Float, distance: Float, base: Float, seed: int) -> Float:
    size = 0.45
    i, j = np.floor(u / size), np.floor(v / size)
    check = ((i + j) % 2) * 0.16 * (seed % 3 > 0)
    joint = ((u / size) % 1 < 0.03) | ((v / size) % 1 < 0.03)
    return (
        base * (1 - check + 0.03 * noise(u, v, seed) - 0.22 * joint * _fade(distance, 11))[:, None]
    )


def _carpet(u: Float, v: Float, distance: Float, base: Float, seed: int) -> Float:
    fine = 0.10 * noise(u * 14, v * 14, seed) * _fade(distance, 7)
    return base * (1 + 0.08 * noise(u * 1.3, v * 1.3, seed) + fine)[:, None]


def _gym(u: Float, v: Float, distance: Float, base: Float, seed: int) -> Float:
    colour = _planks(u, v, distance, base, seed)
    colour[np.abs(u % 3.1 - 1.5) < 0.04] = (236, 232, 220)
    colour[np.abs(v % 4.3 - 2.0) < 0.04] = (188, 64, 52)
    return colour


def _grass(u: Float, v: Float, distance: Float, base: Float, seed: int) -> Float:
    fine = 0.22 * noise(u * 11, v * 11, seed) * _fade(distance, 14)
    broad = 0.16 * noise(u * 0.7, v * 0.7, seed + 1)
    return base * (1 + fine + broad)[..., None]


def _asphalt(u: Float, v: Float, distance: Float, base: Float, seed: int) -> Float:
    fine = 0.14 * noise(u * 17, v * 17, seed) * _fade(distance, 9)
    colour = base * (1 + fine + 0.07 * noise(u * 0.5, v * 0.5, seed))[..., None]
    line = np.abs(u % 7.0 - 3.4) < 0.06
    return np.where(line[..., None], np.array([226.0, 224, 214]), colour)


def _sand(u: Float, v: Float, distance: Float, base: Float, seed: int) -> Float:
    ripple = 0.05 * np.sin(22 * u + 5 * noise(u, v, seed)) * _fade(distance, 8)
    return base * (1 + ripple + 0.1 * noise(u * 2, v * 2, seed))[..., None]


def _paving(u: Float, v: Float, distance: Float, base: Float, seed: int) -> Float:
    size = 0.6
    row = np.floor(v / size)
    i = np.floor(u / size + 0.5 * row)
    tone = 0.08 * np.sin(9.1 * i + 31.7 * row + seed)
    joint = ((u / size + 0.5 * row) % 1 < 0.035) | ((v / size) % 1 < 0.035)
    fine = 0.06 * noise(u * 6, v * 6, seed)
    return base * (1 + tone + fine - 0.25 * joint * _fade(distance, 14))[..., None]


def _plain(u: Float, v: Float, distance: Float, base: Float, seed: int) -> Float:
    return base * (1 + 0.03 * noise(u * 1.5, v * 1.5, seed))[:, None]


def _stripes(u: Float, v: Float, distance: Float, base: Float, seed: int) -> Float:
    return base * (1 - 0.09 * ((u / 0.32) % 1 < 0.5))[:, None]


def _bricks(u: Float, v: Float, distance: Float, base: Float, seed: int) -> Float:
    row = np.floor(v / 0.085)
    along = u / 0.26 + 0.5 * row
    tone = 0.10 * np.sin(17.0 * np.floor(along) + 43 * row + seed)
    joint = ((v / 0.085) % 1 < 0.14) | (along % 1 < 0.05)
    brick = base * np.array([0.92, 0.72, 0.62])
    colour = brick * (1 + tone + 0.06 * noise(u * 8, v * 8, seed))[:, None]
    share = (joint * _fade(distance, 9))[:, None]
    return colour * (1 - share) + base * 0.95 * share


def _wainscot(u: Float, v: Float, distance: Float, base: Float, seed: int) -> Float:
    """Panelled up to the hip, painted above."""
    lower = np.array([206.0, 198, 184]) * (1 - 0.12 * ((u / 0.18) % 1 < 0.06))[:, None]
    colour = np.where((v < 0.95)[:, None], lower, base)
    colour[(v > 0.95) & (v < 0.99)] = (170, 160, 144)
    return colour


FLOORS: dict[str, tuple[Pattern, Float]] = {
    "planks": (_planks, np.array([176.0, 132, 92])),
    "tiles": (_tiles, np.array([196.0, 192, 184])),
    "carpet": (_carpet, np.array([124.0, 118, 130])),
    "gym": (_gym, np.array([204.0, 164, 112])),
    "grass": (_grass, np.array([96.0, 128, 64])),
    "asphalt": (_asphalt, np.array([116.0, 116, 118])),
    "sand": (_sand, np.array([206.0, 184, 142])),
    "paving": (_paving, np.array([168.0, 162, 152])),
}
WALLS: dict[str, Pattern] = {
    "plain": _plain,
    "stripes": _stripes,
    "bricks": _bricks,
    "wainscot": _wainscot,
}
