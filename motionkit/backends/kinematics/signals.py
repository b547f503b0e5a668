"""What the detectors look at: a person's keypoints as signals in body heights.

One **body height** is the height the person would have standing, measured from torso and legs
at that moment, so that distance to the camera and resolution drop out. "Up" values grow
upwards. Left and right in names are the person's own, as in the keypoints' names; the
picture's are called ``x`` (growing to the right of the picture).
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import (
    correlate1d,
    gaussian_filter1d,
    maximum_filter1d,
    median_filter,
    percentile_filter,
)

from motionkit.keypoints import INDEX

F64 = NDArray[np.float64]

SIDES = ("left", "right")

#: Confidence from which a keypoint is measured, and the longest gap that is bridged.
SEEN = 0.3
GAP_S = 0.3

#: Share of body height from shoulders to hips, and from hips to ankles along the leg: between
#: those of the built-in skeleton (0.32, 0.46) and of annotators' points (0.29, 0.49).
TORSO = 0.31
LEG = 0.47
#: Distance of the shoulders and of the hips' markers in body heights, seen from the front.
SHOULDERS = 0.19
HIPS = 0.08


@dataclasses.dataclass(frozen=True)
class Signals:
    """Signals of one clip; all arrays have F entries, NaN where the keypoints were not seen."""

    fps: float
    scale: F64
    """Pixels of one body height."""
    xy: dict[str, F64]
    """Keypoint name → [F, 2] pixels, smoothed."""
    sure: dict[str, F64]
    """Keypoint name → confidence 0..1."""
    floor: F64
    """Height in pixels (y) of the lower ankle when it stands."""
    hip: F64
    """[F, 2] middle of the hips, pixels."""
    neck: F64
    """[F, 2] middle of the shoulders, pixels."""
    facing: F64
    """Cosine of the angle between chest and camera: 1 faces it, 0 is side on, -1 faces away."""
    aside: F64
    """Sine of that angle: 1 faces the right of the picture, -1 the left; NaN where the head
    does not tell."""
    focal_bh: F64
    """Rough distance from the camera in body heights (assumes a lens as wide as it is far)."""

    @property
    def frames(self) -> int:
        """F."""
        return len(self.scale)

    def s(self, seconds: float) -> int:
        """Frames in so many seconds, at least 1."""
        return max(1, round(seconds * self.fps))

    def up(self, name: str) -> F64:
        """Height of a keypoint over the floor, body heights."""
        return (self.floor - self.xy[name][:, 1]) / self.scale

    def hip_up(self) -> F64:
        """Height of the hips over the floor, body heights: about 0.47 when standing."""
        return (self.floor - self.hip[:, 1]) / self.scale

    def wrist_up(self, side: str) -> F64:
        """Height of a wrist over its own shoulder: about -0.3 hanging, 0 level, 0.3 overhead."""
        return (self.xy[f"{side}_shoulder"][:, 1] - self.xy[f"{side}_wrist"][:, 1]) / self.scale

    def between(self, a: str, b: str) -> F64:
        """Vector [F, 2] from keypoint a to b in body heights, x right, y up."""
        return (self.xy[b] - self.xy[a]) / self.scale[:, None] * [1, -1]

    def joint_angle(self, a: str, middle: str, b: str) -> F64:
        """Angle at ``middle`` in the picture, degrees; 180 is stretched."""
        one, other = self.between(middle, a), self.between(middle, b)
        size = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        cosine = (one * other).sum(1) / np.maximum(size, 1e-9)
        return np.degrees(np.arccos(np.clip(cosine, -1, 1)))

    def torso_upright(self) -> F64:
        """Height of the shoulders over the hips against an upright torso: 1 upright, 0 level."""
        tall = (self.hip[:, 1] - self.neck[:, 1]) / self.scale
        upright = np.nanpercentile(tall, 90) if np.isfinite(tall).any() else TORSO
        return tall / max(float(upright), 0.8 * TORSO)

    def standing_hips(self) -> float:
        """Height of the hips while standing, body heights; nominal where the clip never stands."""
        feet = np.fmin(self.up("left_ankle"), self.up("right_ankle"))
        high = self.hip_up()[feet < 0.04]  # in flight nobody stands
        top = float(np.nanpercentile(high, 85)) if np.isfinite(high).any() else 0.0
        return top if 0.40 <= top <= 0.56 else LEG

    def velocity(self, xy: F64, seconds: float = 0.1) -> F64:
        """Velocity [F, 2] of pixel positions [F, 2] in body heights a second, x right, y up."""
        soft = smooth(xy, seconds * self.fps)
        return np.gradient(soft, axis=0) * self.fps / self.scale[:, None] * [1, -1]

    def confidence(self, names: tuple[str, ...], a: int, b: int) -> float:
        """Mean confidence of keypoints in frames a..b, the least of the names."""
        return min(float(self.sure[n][a : b + 1].mean()) for n in names)


def measure(m2d: NDArray[np.floating], fps: float) -> Signals:
    """Signals of M_2D [F, 18, 3] (x, y in pixels, confidence; row 18 width, height, 1)."""
    points = np.asarray(m2d, dtype=np.float64)
    xy = _filled(points[:, :17, :2], points[:, :17, 2] >= SEEN, round(GAP_S * fps))
    if len(xy) >= 5:
        xy = _middle_of_three(xy)
    xy = smooth(xy, 0.03 * fps)
    named = {name: xy[:, i] for name, i in INDEX.items()}
    hip = (named["left_hip"] + named["right_hip"]) / 2
    neck = (named["left_shoulder"] + named["right_shoulder"]) / 2
    scale = _scale(named, hip, neck, fps)
    facing, aside = _facing(named, scale, fps)
    return Signals(
        fps=fps,
        scale=scale,
        xy=named,
        sure={name: points[:, i, 2] for name, i in INDEX.items()},
        floor=_floor(named, fps),
        hip=hip,
        neck=neck,
        facing=facing,
        aside=aside,
        focal_bh=float(points[0, 17, :2].max()) / scale,
    )


def smooth(values: F64, sigma: float) -> F64:
    """Gaussian along the first axis; NaN stay, and do not spread."""
    if sigma <= 0 or len(values) < 3:
        return values
    known = np.isfinite(values)
    if known.all():
        return _gaussian(values, sigma)
    weight = _gaussian(known.astype(float), sigma)
    total = _gaussian(np.where(known, values, 0.0), sigma)
    return np.where(known, total / np.maximum(weight, 1e-9), np.nan)


def _gaussian(values: F64, sigma: float) -> F64:
    """scipy's gaussian_filter1d along the first axis, without making its kernel each time."""
    found: F64 = correlate1d(values, _kernel(sigma), axis=0, mode="nearest")
    return found


@functools.lru_cache(maxsize=64)
def _kernel(sigma: float) -> F64:
    radius = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 / (sigma * sigma) * np.arange(-radius, radius + 1) ** 2)
    found: F64 = weights / weights.sum()
    return found


def _middle_of_three(xy: F64) -> F64:
    """Median over three frames; NaN stay."""
    known = np.isfinite(xy)
    if not known.all():
        return np.where(known, median_filter(xy, (3, 1, 1), mode="nearest"), np.nan)
    padded = np.concatenate([xy[:1], xy, xy[-1:]])
    before, after = padded[:-2], padded[2:]
    low, high = np.minimum(before, after), np.maximum(before, after)
    return np.maximum(low, np.minimum(high, xy))


def bridged(values: F64) -> F64:
    """One signal with NaN filled in linearly, the ends with the nearest value; all NaN stays."""
    known = np.isfinite(values)
    if not known.any():
        return values
    frames = np.arange(len(values))
    return np.interp(frames, frames[known], values[known])


def _filled(xy: F64, seen: NDArray[np.bool_], longest: int) -> F64:
    """Positions with short gaps bridged and long ones NaN."""
    out = xy.copy()
    frames = np.arange(len(xy))
    for k in range(xy.shape[1]):
        good = np.flatnonzero(seen[:, k])
        if len(good) == 0:
            out[:, k] = np.nan
            continue
        if len(good) == len(xy):
            continue
        for axis in (0, 1):
            out[:, k, axis] = np.interp(frames, good, xy[good, k, axis])
        position = np.searchsorted(good, frames)
        before = good[np.maximum(position - 1, 0)]
        after = good[np.minimum(position, len(good) - 1)]
        inside = (position > 0) & (position < len(good))
        bridge = inside & (after - before - 1 <= longest)
        out[~(seen[:, k] | bridge), k] = np.nan
    return out


def _scale(named: dict[str, F64], hip: F64, neck: F64, fps: float) -> F64:
    """Pixels of one body height: bones look shorter at an angle, never longer, so the largest
    of what torso and legs say counts, and a high value of the second round it."""
    guesses = [np.linalg.norm(hip - neck, axis=1) / TORSO]
    for side in SIDES:
        thigh = np.linalg.norm(named[f"{side}_hip"] - named[f"{side}_knee"], axis=1)
        shin = np.linalg.norm(named[f"{side}_knee"] - named[f"{side}_ankle"], axis=1)
        guesses.append((thigh + shin) / LEG)
    stack = np.stack(guesses)
    best = np.where(np.isfinite(stack).any(0), np.nanmax(np.nan_to_num(stack, nan=-1), 0), np.nan)
    best = bridged(best)
    if not np.isfinite(best).all():
        return np.full(len(best), np.nan)
    wide = max(3, round(1.2 * fps))
    return np.maximum(
        gaussian_filter1d(
            percentile_filter(best, 80, size=wide, mode="nearest"), 0.4 * fps, mode="nearest"
        ),
        1e-6,
    )


def _floor(named: dict[str, F64], fps: float) -> F64:
    """y of the standing foot: the lowest an ankle gets within 0.6 s, longer than a jump."""
    lower = bridged(np.fmax(named["left_ankle"][:, 1], named["right_ankle"][:, 1]))
    if not np.isfinite(lower).all():
        return lower
    wide = 2 * round(0.6 * fps) + 1
    return gaussian_filter1d(
        maximum_filter1d(lower, wide, mode="nearest"), 0.25 * fps, mode="nearest"
    )


def _facing(named: dict[str, F64], scale: F64, fps: float) -> tuple[F64, F64]:
    """Cosine and sine of the chest's direction, from signed widths and from the head."""
    shoulders = (named["left_shoulder"] - named["right_shoulder"])[:, 0] / scale
    hips = (named["left_hip"] - named["right_hip"])[:, 0] / scale
    # A face to the camera has its left shoulder at the right of the picture.
    cosine = np.clip(smooth((shoulders + hips) / (SHOULDERS + HIPS), 0.1 * fps), -1, 1)
    ears = (named["left_ear"] + named["right_ear"])[:, 0] / 2
    nose = smooth((named["nose"][:, 0] - ears) / scale, 0.1 * fps)
    sign = np.where(np.abs(nose) > 0.015, np.sign(nose), np.nan)
    return cosine, sign * np.sqrt(1 - cosine**2)
