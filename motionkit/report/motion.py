"""How the people in the clips move and how they are seen: lengths, speeds, viewpoints."""

from __future__ import annotations

import dataclasses
from array import array
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from motionkit.measures import movement, viewpoints
from motionkit.records import unflatten
from motionkit.stage import Tables, has_run


@dataclasses.dataclass
class Motion:
    """Sums over all clips with keypoints.

    ``speed_px`` and ``speed_bh`` are per keypoint: mean movement in pixels a frame, and in body
    heights a second (NaN where a keypoint was never seen in two frames running). ``viewpoints``
    counts frames; ``unclear`` those whose shoulders, hips or face were not seen.
    """

    clips: int
    frames: int
    seconds: float
    lengths_s: array[float]
    speed_px: NDArray[np.float64]
    speed_bh: NDArray[np.float64]
    viewpoints: Counter[str]
    unclear: int


def measure(tables: Tables) -> Motion:
    """Stream over the kept keypoints; memory is one batch of clips."""
    motion = Motion(0, 0, 0.0, array("f"), np.zeros(17), np.zeros(17), Counter(), 0)
    pairs = np.zeros(17)
    if has_run(tables, "keypoints"):
        for row in tables.rows("keypoints", ["fps", "frames", "m2d"]):
            points = unflatten(row["m2d"], -1, 18, 3)[:, :17].astype(np.float64)
            motion.clips += 1
            motion.frames += len(points)
            motion.seconds += len(points) / row["fps"]
            motion.lengths_s.append(len(points) / row["fps"])
            moved, both, height = movement(points)
            motion.speed_px += moved
            if height > 0:
                motion.speed_bh += moved * row["fps"] / height
            pairs += both
            found = viewpoints(points)
            motion.viewpoints.update(found[found != ""].tolist())
            motion.unclear += int((found == "").sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        motion.speed_px /= pairs
        motion.speed_bh /= pairs
    return motion
