"""How fast a person moves, frame by frame, in body heights.

Distances in body heights depend neither on the resolution nor on how far away the person stands.
`detect` stores these scores once; `filter` only compares them with thresholds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Shoulders to ankles of an upright adult, in body heights.
SHOULDERS_TO_ANKLES = 0.78
#: The body height of a frame is this percentile of its neighbours within `HEIGHT_WINDOW_S`: limbs
#: look shorter when they point at the camera, hardly ever longer.
HEIGHT_PERCENTILE = 90.0
HEIGHT_WINDOW_S = 1.0
#: Keypoints below this confidence in either frame say nothing about speed.
SPEED_CONFIDENCE = 0.3
#: Entries of the window matrix made at a time: bounds memory on an hour measured at 240 a second.
_CELLS = 1 << 20


def motion_scores(
    keypoints: Floats, person: NDArray[np.integer], times_s: Floats, heights: Floats | None = None
) -> tuple[Floats, Floats]:
    """Mean keypoint speed [F] (body heights per second) and acceleration [F] (per second squared).

    ``keypoints`` [F, 17, 3], ``person`` [F], ``times_s`` [F], ``heights`` [F] as `body_heights`
    gives them (computed where None). The speed of a frame is that of the way from the measured
    frame before, if both show the same person; the acceleration is the mean length of the change
    of the keypoints' velocities about the frame. Else nan.
    """
    count = len(keypoints)
    speed, acceleration = np.full(count, np.nan), np.full(count, np.nan)
    if count < 2:
        return speed, acceleration
    size = body_heights(keypoints, person, times_s) if heights is None else heights
    dt = np.diff(times_s)
    same = (person[1:] >= 0) & (person[1:] == person[:-1]) & (dt > 0)
    seen = keypoints[:, :, 2] > SPEED_CONFIDENCE
    both = seen[1:] & seen[:-1] & same[:, None]  # [F - 1, 17]
    velocity = np.zeros((count - 1, 17, 2))
    velocity[same] = (
        np.diff(keypoints[:, :, :2], axis=0)[same] / (dt * size[1:])[same][:, None, None]
    )
    speed[1:] = _mean_where(np.linalg.norm(velocity, axis=2), both)
    change = np.linalg.norm(np.diff(velocity, axis=0), axis=2)  # [F - 2, 17]
    span = (dt[1:] + dt[:-1]) / 2
    acceleration[1:-1] = _mean_where(change, both[1:] & both[:-1]) / np.where(
        span > 0, span, np.nan
    )
    return speed, acceleration


def body_heights(keypoints: Floats, person: NDArray[np.integer], times_s: Floats) -> Floats:
    """Body height [F] in pixels, from shoulders, hips, knees and ankles; nan where nobody.

    Robust against foreshortening and crouching: a high percentile of the frames of the same
    person within `HEIGHT_WINDOW_S` before and after.
    """
    xy = keypoints[:, :, :2]
    torso = np.linalg.norm(xy[:, [5, 6]].mean(1) - xy[:, [11, 12]].mean(1), axis=1)
    thigh = np.linalg.norm(xy[:, [11, 12]] - xy[:, [13, 14]], axis=2).max(1)
    shank = np.linalg.norm(xy[:, [13, 14]] - xy[:, [15, 16]], axis=2).max(1)
    each = (torso + thigh + shank) / SHOULDERS_TO_ANKLES
    out = np.full(len(keypoints), np.nan)
    # In order of person and time the frames of a window stand side by side.
    order = np.lexsort((times_s, person))
    order = order[person[order] >= 0]
    for one in np.unique(person[order]):
        mine = order[person[order] == one]
        out[mine] = np.maximum(_window_percentile(each[mine], times_s[mine]), 1.0)
    return out


def _window_percentile(values: Floats, times_s: Floats) -> Floats:
    """`HEIGHT_PERCENTILE` [N] of ``values`` [N] within `HEIGHT_WINDOW_S` of each time (rising)."""
    # As |t - t_i| <= window would round, so that whole seconds apart are inside.
    low = np.searchsorted(times_s, times_s - HEIGHT_WINDOW_S - 1e-9)
    high = np.searchsorted(times_s, times_s + HEIGHT_WINDOW_S + 1e-9, side="right")
    width = int((high - low).max(initial=1))
    out = np.empty(len(values))
    step = max(_CELLS // width, 1)
    for start in range(0, len(values), step):
        rows = slice(start, start + step)
        places = low[rows, None] + np.arange(width)
        inside = places < high[rows, None]
        window = np.where(inside, values[np.minimum(places, len(values) - 1)], np.inf)
        window.sort(axis=1)
        # Linear between the two nearest ranks.
        rank = (high - low - 1)[rows] * (HEIGHT_PERCENTILE / 100)
        below = np.floor(rank).astype(np.intp)
        above = np.ceil(rank).astype(np.intp)
        row = np.arange(len(rank))
        lower = window[row, below]
        out[rows] = lower + (window[row, above] - lower) * (rank - below)
    return out


def _mean_where(values: Floats, where: NDArray[np.bool_]) -> Floats:
    """Row means of [N, 17] over the marked entries; nan in rows with none."""
    count = where.sum(1)
    total = np.where(where, values, 0.0).sum(1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
