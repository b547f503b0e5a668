"""Scores of one person in one shot, frame by frame, for the verdicts of `filter`.

Distances are measured in body heights, so that a score depends neither on the resolution nor on
how far away the person stands.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionkit.keypoints import LOWER_BODY
from motionkit.records import unflatten
from motionkit.video.camera import camera_moving

Floats = NDArray[np.float64]

#: Shoulders to ankles of an upright adult, in body heights.
SHOULDERS_TO_ANKLES = 0.78
#: The body height of a frame is this percentile of its neighbours within `HEIGHT_WINDOW_S`: limbs
#: look shorter when they point at the camera, hardly ever longer.
HEIGHT_PERCENTILE = 90.0
HEIGHT_WINDOW_S = 1.0
#: Keypoints below this confidence in either frame say nothing about speed.
SPEED_CONFIDENCE = 0.3


@dataclasses.dataclass(frozen=True)
class ShotScores:
    """What the filters look at. F measured frames, S source frames of the shot.

    ``times_s`` [F]; ``frames`` [F] source frames counted from the shot's first; ``person`` [F], -1
    where nobody; ``boxes`` [F, 5], ``keypoints`` [F, 17, 3] in pixels; ``source_times_s`` [S + 1]
    when each source frame is shown, and when the last one ends; ``camera`` [S] scores and
    ``moving`` [S] flags of the source frames; ``height`` of the picture in pixels.
    ``speed`` [F] body heights per second since the measured frame before, ``acceleration`` [F]
    body heights per second squared about this frame; nan where they cannot be told.
    """

    video_id: str
    first: int
    times_s: Floats
    frames: NDArray[np.int64]
    person: NDArray[np.int64]
    boxes: Floats
    keypoints: Floats
    source_times_s: Floats
    camera: Floats
    moving: NDArray[np.bool_]
    height: int
    speed: Floats
    acceleration: Floats

    def confident_share(self, confidence: float) -> Floats:
        """Share [F] of the 17 keypoints above ``confidence``."""
        return (self.keypoints[:, :, 2] > confidence).mean(1)

    def lower_confidence(self) -> Floats:
        """Confidence [F] of the worst knee or ankle."""
        return self.keypoints[:, list(LOWER_BODY), 2].min(1)

    def box_height(self) -> Floats:
        """Height [F] of the box, share of the picture's height."""
        return (self.boxes[:, 3] - self.boxes[:, 1]) / self.height

    def box_height_about(self) -> Floats:
        """Largest `box_height` [F] of the same person within `HEIGHT_WINDOW_S` before or after."""
        each = self.box_height()
        out = np.zeros_like(each)
        for i, person in enumerate(self.person):
            near = np.abs(self.times_s - self.times_s[i]) <= HEIGHT_WINDOW_S
            out[i] = each[near & (self.person == person)].max()
        return out

    def camera_between(self) -> NDArray[np.bool_]:
        """Did the camera move at [F] or on the way from the measured frame before?"""
        out = np.zeros(len(self.frames), bool)
        before = 0
        for i, frame in enumerate(self.frames):
            out[i] = self.moving[before : frame + 1].any()
            before = int(frame) + 1
        return out


def score_shot(
    detection: dict[str, Any],
    camera: NDArray[np.floating],
    times_s: NDArray[np.floating],
    end_s: float,
    camera_max: float,
) -> ShotScores:
    """Scores from a row of `detections`, and of the whole video ``camera`` [V] scores,
    ``times_s`` [V] of the frames and ``end_s``, when the last one ends."""
    first, last = int(detection["first"]), int(detection["last"])
    ends = np.append(np.asarray(times_s, np.float64), end_s)
    scores = np.asarray(camera, np.float64)
    frames = np.asarray(detection["ordinals"], np.int64) - first
    keypoints = unflatten(np.asarray(detection["keypoints"], np.float64), -1, 17, 3)
    person = np.asarray(detection["person"], np.int64)
    measured_s = np.asarray(detection["times_s"], np.float64)
    speed, acceleration = motion_scores(keypoints, person, measured_s)
    return ShotScores(
        video_id=str(detection["video_id"]),
        first=first,
        times_s=measured_s,
        frames=frames,
        person=person,
        boxes=unflatten(np.asarray(detection["boxes"], np.float64), -1, 5),
        keypoints=keypoints,
        source_times_s=ends[first : last + 2],
        camera=scores[first : last + 1],
        moving=camera_moving(scores, camera_max)[first : last + 1],
        height=int(detection["height"]),
        speed=speed,
        acceleration=acceleration,
    )


def motion_scores(
    keypoints: Floats, person: NDArray[np.int64], times_s: Floats
) -> tuple[Floats, Floats]:
    """Mean keypoint speed [F] (body heights per second) and acceleration [F] (per second squared).

    ``keypoints`` [F, 17, 3], ``person`` [F], ``times_s`` [F]. The speed of a frame is that of the
    way from the measured frame before, if both show the same person; the acceleration is the mean
    length of the change of the keypoints' velocities about the frame. Else nan.
    """
    count = len(keypoints)
    speed, acceleration = np.full(count, np.nan), np.full(count, np.nan)
    if count < 2:
        return speed, acceleration
    size = body_heights(keypoints, person, times_s)
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


def body_heights(keypoints: Floats, person: NDArray[np.int64], times_s: Floats) -> Floats:
    """Body height [F] in pixels, from shoulders, hips, knees and ankles; nan where nobody.

    Robust against foreshortening and crouching: a high percentile of the frames about.
    """
    xy = keypoints[:, :, :2]
    torso = np.linalg.norm(xy[:, [5, 6]].mean(1) - xy[:, [11, 12]].mean(1), axis=1)
    thigh = np.linalg.norm(xy[:, [11, 12]] - xy[:, [13, 14]], axis=2).max(1)
    shank = np.linalg.norm(xy[:, [13, 14]] - xy[:, [15, 16]], axis=2).max(1)
    each = (torso + thigh + shank) / SHOULDERS_TO_ANKLES
    out = np.full(len(keypoints), np.nan)
    for i in np.flatnonzero(person >= 0):
        near = (person == person[i]) & (np.abs(times_s - times_s[i]) <= HEIGHT_WINDOW_S)
        out[i] = max(np.percentile(each[near], HEIGHT_PERCENTILE), 1.0)
    return out


def _mean_where(values: Floats, where: NDArray[np.bool_]) -> Floats:
    """Row means of [N, 17] over the marked entries; nan in rows with none."""
    count = where.sum(1)
    total = np.where(where, values, 0.0).sum(1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
