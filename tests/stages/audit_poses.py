"""Keypoints of simple motions, seen from the front: what the tests of the audit look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionkit.keypoints import INDEX

#: Standing, facing the camera; x to the picture's right (the person's left), body heights.
_STANDING = {
    "nose": (0, 0.06), "eye": (0.02, 0.045), "ear": (0.04, 0.055), "shoulder": (0.095, 0.19),
    "elbow": (0.12, 0.34), "wrist": (0.13, 0.49), "hip": (0.04, 0.49), "knee": (0.05, 0.73),
    "ankle": (0.05, 0.96),
}  # fmt: skip
Clip = NDArray[np.float32]


def standing(frames: int = 90, *, back: bool = False) -> Clip:
    """M_2D [F, 18, 3]; ``back``: seen from behind, so that the left is at the picture's left."""
    m2d = np.ones((frames, 18, 3), np.float32)
    for name, k in INDEX.items():
        side, _, part = name.rpartition("_")
        x, y = _STANDING[part]
        sign = -1 if side == "right" else 1
        m2d[:, k, :2] = (sign * x * (-1 if back else 1) * 200 + 320, y * 200 + 60)
    m2d[:, 17] = 640, 360, 1
    return m2d


def raising(side: str, frames: int = 90, *, back: bool = False) -> Clip:
    """The arm goes up over the head and comes down again."""
    m2d = standing(frames, back=back)
    up = np.sin(np.linspace(0, np.pi, frames)) ** 2
    for part, rise in (("elbow", 0.28), ("wrist", 0.58)):
        m2d[:, INDEX[f"{side}_{part}"], 1] -= rise * 200 * up
    return m2d


def lifting(side: str, frames: int = 90) -> Clip:
    """The foot goes up to the other knee and comes down again."""
    m2d = standing(frames)
    up = np.sin(np.linspace(0, np.pi, frames)) ** 2
    m2d[:, INDEX[f"{side}_knee"], 1] -= 0.1 * 200 * up
    m2d[:, INDEX[f"{side}_ankle"], 1] -= 0.25 * 200 * up
    return m2d


def sliding(pixels: float, frames: int = 90, *, back: bool = False) -> Clip:
    """The whole person moves across the picture; above 0 to its right."""
    m2d = standing(frames, back=back)
    m2d[:, :17, 0] += np.linspace(-pixels / 2, pixels / 2, frames)[:, None]
    return m2d


def jumping(height_bh: float = 0.15, frames: int = 90) -> Clip:
    """Up and down once, in 0.6 s."""
    m2d = standing(frames)
    t = np.clip((np.arange(frames) / 30 - 1.2) / 0.6, 0, 1)
    m2d[:, :17, 1] -= (height_bh * 200 * 4 * t * (1 - t))[:, None]
    return m2d


def unseen(m2d: Clip, side: str, limb: str) -> Clip:
    """The limb is hidden: no confidence."""
    m2d = m2d.copy()
    for part in ("elbow", "wrist") if limb == "arm" else ("knee", "ankle"):
        m2d[:, INDEX[f"{side}_{part}"], 2] = 0.05
    return m2d
