"""When and how the camera moved: from stored scores to frames, to a verdict, to a kind.

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
#: 1/30 s (3 % of the width in a second). Nine in ten frames of every still real clip stay below
#: 0.0008, half the frames of every moving one lie above 0.0025. Everything between 0.0006 and 0.003
#: gives the same verdicts on them, and from 0.0002 to 0.0015 the F1 on rendered truth is 0.997.
CAMERA_MAX: Final = 0.001

#: Two moving stretches with at most this many still frames between are one.
JOIN_FRAMES: Final = 6

#: Moving stretches shorter than this are single disturbed frames (a flash, a damaged picture).
MIN_FRAMES: Final = 3

#: What `camera_kind` answers.
KINDS: Final = ("static", "pan", "tilt", "zoom", "shake", "mixed")

#: Motion whose direction persists less than this is shaking (see `persistence`).
LASTING: Final = 0.2

#: Share of the power of a lasting motion that one sort must have, to give the shot its name.
ONE_SORT: Final = 0.8

#: Spans over which directions are compared, and over which motions are smoothed, seconds.
_LAGS_S: Final = (0.1, 0.4)
_SMOOTH_S: Final = 0.3

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


def camera_kind(
    scores: FloatArray,
    shift: FloatArray,
    zoom: FloatArray,
    times_s: FloatArray,
    camera_max: float = CAMERA_MAX,
) -> str:
    """How the camera of a shot moved: one of `KINDS`.

    ``scores`` [F], ``shift`` [F, 2] and ``zoom`` [F] as stored in `scans`, presentation times
    [F]. static: at most `MOVING_SHARE` of the frames move. shake: the direction of motion does
    not last. pan, tilt, zoom: nearly all of the motion that lasts is of that sort; else mixed.
    """
    moving = camera_moving(scores, camera_max)
    if not len(moving) or float(moving.mean()) <= MOVING_SHARE:
        return "static"
    # All three as displacements: a zoom moves the sides by half of it.
    course = np.column_stack([np.asarray(shift, np.float64), 0.5 * np.asarray(zoom, np.float64)])
    course[~moving] = 0.0
    frame = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1 / 30
    frame = frame if frame > 0 else 1 / 30
    if persistence(course, frame) < LASTING:
        return "shake"
    wide = max(1, round(_SMOOTH_S / frame))
    box = np.ones(min(wide, len(course))) / wide
    power = [float((np.convolve(axis, box, "same") ** 2).sum()) for axis in course.T]
    strongest = int(np.argmax(power))
    if power[strongest] >= ONE_SORT * sum(power):
        return ("pan", "tilt", "zoom")[strongest]
    return "mixed"


def persistence(course: FloatArray, frame_s: float) -> float:
    """How well a motion [F, 3] keeps its direction for 0.1 to 0.4 s: 1 for a steady one, 0 and
    less where it keeps changing. Frames without motion have no say. 0 for less than 0.1 s."""
    power = (course * course).sum(axis=1)
    found = []
    shortest, longest = max(1, round(_LAGS_S[0] / frame_s)), max(1, round(_LAGS_S[1] / frame_s))
    for lag in range(shortest, min(longest, len(course) - 1) + 1):
        together = (course[lag:] * course[:-lag]).sum(axis=1)
        both = (power[lag:] > 0) & (power[:-lag] > 0)
        size = float((power[lag:] + power[:-lag])[both].sum()) / 2
        if size > 0:
            found.append(float(together[both].sum()) / size)
    return float(np.mean(found)) if found else 0.0


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
