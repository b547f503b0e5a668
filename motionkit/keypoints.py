"""COCO-17 facts and small keypoint geometry. Pixels, x to the right, y down, origin top left."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]

COCO17: tuple[str, ...] = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
INDEX: dict[str, int] = {name: i for i, name in enumerate(COCO17)}

#: Index permutation that swaps left and right; an involution.
MIRROR: tuple[int, ...] = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)

#: Limbs to draw, as pairs of COCO-17 indices (the COCO skeleton).
LIMBS: tuple[tuple[int, int], ...] = (
    (15, 13),
    (13, 11),
    (16, 14),
    (14, 12),
    (11, 12),
    (5, 11),
    (6, 12),
    (5, 6),
    (5, 7),
    (7, 9),
    (6, 8),
    (8, 10),
    (0, 1),
    (0, 2),
    (1, 3),
    (2, 4),
)

#: Keypoints below the pelvis: the confidence filter asks for every one of them.
LOWER_BODY: tuple[int, ...] = (13, 14, 15, 16)


def mirror_m2d(m2d: FloatArray) -> FloatArray:
    """M_2D [F, 18, 3] of the mirrored video: x becomes W - 1 - x, left and right swap names.

    The 18th row (W, H, 1) is kept as it is.
    """
    out = m2d.copy()
    out[:, :17] = m2d[:, list(MIRROR)]
    out[:, :17, 0] = m2d[:, 17:18, 0] - 1 - out[:, :17, 0]
    return out
