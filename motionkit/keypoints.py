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


def box_of(keypoints: FloatArray, min_confidence: float = 0.0) -> FloatArray | None:
    """Tight box (x0, y0, x1, y1) in pixels round the keypoints of one person.

    ``keypoints`` is [17, 3] (x, y, confidence); only points with a confidence above
    ``min_confidence`` count. None where no point does.
    """
    seen = keypoints[:, 2] > min_confidence
    if not seen.any():
        return None
    xy = keypoints[seen, :2]
    return np.concatenate([xy.min(0), xy.max(0)])


def grow_box(
    box: FloatArray, width: int, height: int, *, share: float, square: bool = False
) -> FloatArray:
    """Box grown by ``share`` of its size on every side, cut to the image; pixels, xyxy.

    ``square`` first makes it as wide as high (round its centre), as pose models expect.
    """
    x0, y0, x1, y1 = (float(v) for v in box)
    cx, cy, w, h = (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0
    if square:
        w = h = max(w, h)
    w, h = w * (1 + 2 * share), h * (1 + 2 * share)
    return np.array(
        [
            max(0.0, cx - w / 2),
            max(0.0, cy - h / 2),
            min(float(width), cx + w / 2),
            min(float(height), cy + h / 2),
        ]
    )


def mirror_m2d(m2d: FloatArray) -> FloatArray:
    """M_2D [F, 18, 3] of the mirrored video: x becomes W - 1 - x, left and right swap names.

    The 18th row (W, H, 1) is kept as it is.
    """
    out = m2d.copy()
    out[:, :17] = m2d[:, list(MIRROR)]
    out[:, :17, 0] = m2d[:, 17:18, 0] - 1 - out[:, :17, 0]
    return out
