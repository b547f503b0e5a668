"""What objects are covered with: colours, patterns, and grain that a tracker can hold on to."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit.synth.objects.shapes import outline

F64 = NDArray[np.float64]
Image = NDArray[np.uint8]

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (206, 44, 40),
    "orange": (236, 132, 36),
    "yellow": (236, 206, 52),
    "green": (58, 156, 66),
    "blue": (48, 92, 204),
    "purple": (134, 62, 178),
    "pink": (238, 138, 178),
    "brown": (124, 78, 44),
    "white": (232, 232, 228),
    "black": (44, 44, 48),
}
PATTERNS = ("plain", "plain", "plain", "striped", "spotted", "checkered")
#: Sides of the cells of the grain, in object units: from a third of it to a few pixels.
_GRAIN = ((0.5, 0.30), (0.22, 0.34), (0.1, 0.30), (0.05, 0.16))


@dataclasses.dataclass(frozen=True)
class Skin:
    """The front and back of an object as textures [S, S, 4], RGB times alpha, and alpha; with
    their halved copies."""

    front: tuple[Image, ...]
    back: tuple[Image, ...]

    @property
    def side(self) -> int:
        """Texels a side of the largest level; object unit u lies at texel (u + 1) / 2 * side."""
        return int(self.front[0].shape[0])

    def alpha(self) -> Image:
        """[S, S]: how much of each texel is the object's, 0..255."""
        return self.front[0][..., 3]


def texel(u: F64, side: int) -> F64:
    """Texel index of object coordinates: texel centres lie at whole numbers."""
    return (u + 1) * (side / 2) - 0.5


def make_skin(
    shape: str, colour: str, pattern: str, side: int, rng: np.random.Generator, *, two_sided: bool
) -> Skin:
    """Front and, where it can be seen, the back: the same outline in a darker coat."""
    alpha = _silhouette(shape, side, rng)
    base = np.array(COLOURS[colour], np.float64)
    front = _coat(base, pattern, side, rng)
    back = front if not two_sided else _coat(base * 0.5 + 20, "plain", side, rng)
    return Skin(_levels(front, alpha), _levels(back, alpha))


def _silhouette(shape: str, side: int, rng: np.random.Generator) -> F64:
    """[S, S] in 0..1: the share of each texel inside the outline, from 4 x 4 samples."""
    fine = 4
    picture = np.zeros((side * fine, side * fine), np.uint8)
    for piece in outline(shape, rng):
        corners = ((piece + 1) * (side * fine / 2) - 0.5) * 16
        cv2.fillPoly(picture, [np.round(corners).astype(np.int32)], 1, shift=4)
    whole: F64 = picture.reshape(side, fine, side, fine).mean((1, 3), dtype=np.float64)
    return whole


def grain(side: int, cells: tuple[tuple[float, float], ...], rng: np.random.Generator) -> F64:
    """[S, S] smooth noise of several scales, about -1..1; a cell's size is a share of half the
    side."""
    total = np.zeros((side, side), np.float32)
    for size, weight in cells:
        count = max(3, round(2 / size))
        coarse = rng.uniform(-1, 1, (count, count)).astype(np.float32)
        total += weight * cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    return total.astype(np.float64)


def _coat(base: F64, pattern: str, side: int, rng: np.random.Generator) -> F64:
    """[S, S, 3] in 0..255."""
    y, x = np.mgrid[0:side, 0:side] / (side / 2) - 1
    share = np.zeros((side, side))
    turn = rng.uniform(0, np.pi)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    if pattern == "striped":
        share = (np.sin(along * rng.uniform(9, 13)) > 0).astype(float)
    elif pattern == "checkered":
        rate = rng.uniform(2.2, 3.2)
        share = ((np.floor(along * rate) + np.floor(across * rate)) % 2).astype(float)
    elif pattern == "spotted":
        places, radii = rng.uniform(-1, 1, (26, 2)), rng.uniform(0.08, 0.17, 26)
        for (cx, cy), r in zip(places, radii, strict=True):
            share = np.maximum(share, ((x - cx) ** 2 + (y - cy) ** 2 < r * r).astype(float))
    share = cv2.GaussianBlur(share, (0, 0), side / 180)
    other = base * 0.35 + (0 if base.mean() > 110 else 150)
    coat = base + share[..., None] * (other - base)
    light = 0.34 * grain(side, _GRAIN, rng) * (1.4 if pattern == "plain" else 1.0)
    tint = np.stack([grain(side, _GRAIN[1:3], rng) for _ in range(3)], -1) * 14
    # Dark coats would swallow a product: part of the grain is added.
    return np.clip(coat * (1 + light[..., None]) + 34 * light[..., None] + tint, 0, 255)


def _levels(coat: F64, alpha: F64) -> tuple[Image, ...]:
    whole = np.concatenate([coat * alpha[..., None], 255 * alpha[..., None]], -1)
    levels = [np.round(whole).astype(np.uint8)]
    while min(levels[-1].shape[:2]) > 24:
        picture = levels[-1]
        half = picture.shape[0] // 2
        # Mean of 2 x 2 texels: the map of `texel` holds for every level's own side.
        levels.append(cv2.resize(picture, (half, half), interpolation=cv2.INTER_AREA))
    return tuple(levels)
