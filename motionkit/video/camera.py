"""When the camera moved: from stored scores to frames and to a verdict on a video.

The scores themselves come from `motion.py`. They are kept apart from the threshold, so that it
can be changed without decoding anything again.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]
BoolArray = NDArray[np.bool_]

#: A frame whose score lies above this was taken by a moving camera; share of the frame's width in
#: 1/30 s (3 % of the width in a second). Nine in ten frames of the still real clips stay below
#: 0.0007, half the frames of the moving ones lie above 0.0023; on rendered truth everything
#: between 0.0004 and 0.0012 gives the same F1.
CAMERA_MAX: Final = 0.001

#: Two moving stretches with at most this many still frames between are one.
JOIN_FRAMES: Final = 4

#: Moving stretches shorter than this are single disturbed frames (a flash, a damaged picture).
MIN_FRAMES: Final = 3

#: A video is called moving when more than this share of its frames moves.
MOVING_SHARE: Final = 0.2


def camera_moving(scores: FloatArray, camera_max: float = CAMERA_MAX) -> BoolArray:
    """Which frames a moving camera took: bool [F] for scores [F] (`scans.camera`).

    A frame counts when its score is above ``camera_max``. Gaps of at most `JOIN_FRAMES` frames
    inside a movement are filled (a pan swings back, a shake has turning points), then movements
    shorter than `MIN_FRAMES` are dropped. The score of a cut is 0 by definition: a gap like any
    other.
    """
    moving = np.asarray(scores, np.float64) > camera_max
    moving = _fill_runs(moving, value=False, shorter=JOIN_FRAMES + 1, ends=False)
    return _fill_runs(moving, value=True, shorter=MIN_FRAMES, ends=True)


def is_moving(
    scores: FloatArray, camera_max: float = CAMERA_MAX, *, share: float = MOVING_SHARE
) -> bool:
    """The verdict on a video: do more than ``share`` of its frames move?"""
    moving = camera_moving(scores, camera_max)
    return bool(len(moving)) and float(moving.mean()) > share


def _fill_runs(flags: BoolArray, *, value: bool, shorter: int, ends: bool) -> BoolArray:
    """Flip runs of ``value`` shorter than ``shorter``; those at the ends only where ``ends``."""
    out = flags.copy()
    edges = np.flatnonzero(np.diff(flags.astype(np.int8))) + 1
    starts = np.concatenate([[0], edges])
    stops = np.concatenate([edges, [len(flags)]])
    for start, stop in zip(starts, stops, strict=True):
        at_end = start == 0 or stop == len(flags)
        short = 0 < stop - start < shorter and (ends or not at_end)
        if short and flags[start] == value:
            out[start:stop] = not value
    return out
