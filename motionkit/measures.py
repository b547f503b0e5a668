"""What is counted of clips and captions, in the report and in the data card alike.

Pure numpy: how a person is seen, how far keypoints move, which words a text has.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motionkit.keypoints import COCO17, INDEX

#: A keypoint counts above this confidence.
SEEN: Final = 0.5
#: Widths of shoulders and hips over the torso's length from which a person counts as seen from
#: the front or back. Shoulders seen square are about 0.75 torso lengths wide, and the hips
#: less: 0.4 for their mean is about 45 degrees.
SQUARE: Final = 0.4
VIEWPOINTS: Final = ("front", "left", "right", "back")

_WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")


def movement(
    points: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Per keypoint [17]: summed movement in pixels and number of frame pairs where it was seen in
    both; and the body height: the 95th percentile of the height of the seen keypoints' box.

    ``points`` is [F, 17, 3] (x, y, confidence)."""
    seen = points[:, :, 2] > SEEN
    y = np.where(seen, points[:, :, 1], np.nan)[seen.sum(1) >= 2]
    heights = np.nanmax(y, 1) - np.nanmin(y, 1) if len(y) else np.zeros(1)
    return *path_lengths(points), float(np.percentile(heights, 95))


def path_lengths(
    points: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Per keypoint [17]: summed movement in pixels, and the number of pairs of frames that it is
    seen in both of. ``points`` is [F, 17, 3] (x, y, confidence)."""
    seen = points[:, :, 2] > SEEN
    both = seen[1:] & seen[:-1]
    step = np.linalg.norm(np.diff(points[:, :, :2], axis=0), axis=-1)
    return (step * both).sum(0), both.sum(0).astype(np.float64)


def viewpoints(points: NDArray[np.float64]) -> NDArray[np.str_]:
    """How the camera sees the person in each frame [F]: front, back, left, right, or "".

    The person's left shoulder and hip lie to the right of the right ones in the picture when
    the camera sees the front. Where both are nearly over each other (`SQUARE`) the person is
    seen from the side; "left" and "right" say which side of the picture the nose points to.
    """
    at = {name: points[:, INDEX[name]] for name in COCO17}
    shoulders = (at["left_shoulder"], at["right_shoulder"])
    hips = (at["left_hip"], at["right_hip"])
    trunk = np.stack([*shoulders, *hips])
    middle = [(a[:, :2] + b[:, :2]) / 2 for a, b in (shoulders, hips)]
    torso = np.linalg.norm(middle[0] - middle[1], axis=-1)
    width = sum(a[:, 0] - b[:, 0] for a, b in (shoulders, hips)) / 2
    clear = (trunk[:, :, 2] > SEEN).all(0) & (torso > 1e-6)
    ratio = np.divide(width, torso, out=np.zeros(len(points)), where=torso > 1e-6)
    nose = at["nose"]
    ahead = nose[:, 0] - middle[0][:, 0]
    side = np.where(nose[:, 2] > SEEN, np.where(ahead < 0, "left", "right"), "")
    found = np.where(ratio >= SQUARE, "front", np.where(ratio <= -SQUARE, "back", side))
    return np.where(clear, found, "")


def split_words(text: str) -> list[str]:
    """Lower-case words; digits and signs are no words, "t-pose" and "don't" are one each."""
    return _WORD.findall(text.lower())
