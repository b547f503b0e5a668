"""How the followed objects move: how far, how fast, and how much of them stays in sight."""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from motionkit.records import unflatten
from motionkit.stage import Tables


@dataclasses.dataclass
class ObjectMotion:
    """One number a motion, each motion once whatever the number of its sentences.

    ``distances``: from the first tracked frame to the last, in widths of the picture.
    ``speeds``: mean over points and frames, in widths a second. ``seen``: share of points in
    sight. The camera's own motion is part of the first two. A motion of which no point is seen
    in two frames running is in ``seen`` alone.
    """

    motions: int = 0
    frames: int = 0
    seconds: float = 0.0
    distances: array[float] = dataclasses.field(default_factory=lambda: array("f"))
    speeds: array[float] = dataclasses.field(default_factory=lambda: array("f"))
    seen: array[float] = dataclasses.field(default_factory=lambda: array("f"))


def measure_objects(tables: Tables, motions: Mapping[str, str]) -> ObjectMotion:
    """``motions`` as in `objects.Objects`; memory is one batch of tracks and three numbers each."""
    found = ObjectMotion()
    if not motions:
        return found
    columns = ["fps", "width", "frames", "grid", "points", "visible"]
    for row in tables.rows("tracks", columns, only=("clip_id", set(motions.values()))):
        frames, count = int(row["frames"]), int(row["grid"]) ** 2
        points = unflatten(row["points"], frames, count, 2).astype(np.float64)
        visible = unflatten(row["visible"], frames, count).astype(bool)
        found.motions += 1
        found.frames += frames
        found.seconds += frames / row["fps"] if row["fps"] else 0.0
        found.seen.append(float(visible.mean()) if visible.size else 0.0)
        moved = way(points, visible)
        if moved is not None and row["width"] and row["fps"]:
            found.distances.append(moved[0] / row["width"])
            found.speeds.append(moved[1] * row["fps"] / row["width"])
    return found


def way(points: NDArray[np.float64], visible: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Distance from start to end of what is seen, and mean step of a point, in pixels.

    ``points`` [T, N, 2], ``visible`` [T, N]. The step of a frame is the mean over the points seen
    in it and in the frame before; a frame without any adds nothing. None without a single step.
    """
    steps = np.diff(points, axis=0)
    both = visible[1:] & visible[:-1] & np.isfinite(steps).all(axis=-1)
    if not both.any():
        return None
    steps = np.where(both[..., None], steps, 0.0)
    counts = both.sum(axis=1)
    mean = steps.sum(axis=1) / np.maximum(counts, 1)[:, None]
    lengths = np.sqrt((steps**2).sum(axis=-1))
    return float(np.hypot(*mean.sum(axis=0))), float(lengths.sum() / both.sum())
