"""Textured backgrounds: floors, walls and noise, muted so that objects stand out."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit.synth.objects.skins import grain
from motionkit.synth.textures import FLOORS

Image = NDArray[np.uint8]

KINDS = ("cloudy", "speckled", *sorted(FLOORS))


def make_ground(width: int, height: int, rng: np.random.Generator) -> Image:
    """[height, width, 3] RGB: a seeded floor seen from above, or a cloudy or speckled field."""
    kind = KINDS[int(rng.integers(len(KINDS)))]
    tone = rng.uniform(70, 190)
    if kind in FLOORS:
        picture = _floor(kind, width, height, rng)
    else:
        side = max(width, height)
        cells = ((0.7, 0.5), (0.25, 0.4), (0.1, 0.3))
        if kind == "speckled":
            cells = ((0.3, 0.3), (0.06, 0.4), (0.025, 0.4))
        light = grain(side, cells, rng)[:height, :width]
        tint = rng.uniform(-22, 22, 3)
        picture = tone + tint + 42 * light[..., None] * rng.uniform(0.7, 1.2, 3)
    grey = picture.mean(-1, keepdims=True)
    picture = grey + 0.55 * (picture - grey)
    slope = np.linspace(-1, 1, width) * rng.uniform(-14, 14)
    fine = grain(max(width, height), ((0.02, 1.0), (0.008, 0.7)), rng)[:height, :width]
    picture = picture + slope[None, :, None] + 7 * fine[..., None]
    return np.clip(picture, 8, 247).astype(np.uint8)


def _floor(kind: str, width: int, height: int, rng: np.random.Generator) -> NDArray[np.float64]:
    pattern, base = FLOORS[kind]
    # Computed at half the size: patterns are slow, and blur is what a ground may have.
    h, w = (height + 1) // 2, (width + 1) // 2
    metres = rng.uniform(2.5, 5.0)
    y, x = np.mgrid[0:h, 0:w] * (metres / w)
    turn = rng.uniform(0, np.pi)
    u = x * np.cos(turn) - y * np.sin(turn) + rng.uniform(0, 50)
    v = x * np.sin(turn) + y * np.cos(turn) + rng.uniform(0, 50)
    tone = base * rng.uniform(0.75, 1.1)
    seed = int(rng.integers(1000))
    near = np.zeros(h * w)
    colours = pattern(u.ravel(), v.ravel(), near, tone, seed).reshape(h, w, 3)
    return cv2.resize(colours, (width, height), interpolation=cv2.INTER_LINEAR)
