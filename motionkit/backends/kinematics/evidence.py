"""What the keypoints say of each limb and of the whole body, as numbers to hold a text against.

The detectors name what they are sure of; this measures what a sentence can be wrong about: which
of two limbs did more, how far and which way the person went or turned, and whether the body rose,
sank or moved at all. Lengths are body heights (bh). Left and right are the person's own.
"""

from __future__ import annotations

import dataclasses
import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from motionkit.backends.kinematics.events import F64
from motionkit.backends.kinematics.signals import SIDES, Signals, bridged, measure, smooth

#: Confidence from which a limb's joints count as seen. Lower than what naming a side needs: a
#: text is only contradicted where both limbs were seen.
LIMB_SEEN = 0.3
#: Speed in body heights a second that is noise.
TREMBLES = 0.12
#: Length of a hanging arm from shoulder to wrist.
ARM = 0.32


@dataclasses.dataclass(frozen=True)
class LimbEvidence:
    """One arm (its wrist) or one leg (its ankle); nan where it was not seen."""

    seen: float
    """Share of the frames in which its joints are confident."""
    sure: float
    """Mean confidence of its least confident joint."""
    top: float
    """Highest it gets: the wrist over its shoulder, the ankle over the other ankle."""
    rise: float
    """How far it goes up and down."""
    out: float
    """Farthest from where it rests: from hanging at the shoulder, or from under the hip."""
    path: float
    """Way it goes against its shoulder or hip, without trembling."""
    speed: float
    """Fast moments (95th percentile) against shoulder or hip, bh/s."""
    ground: float
    """Way it goes in the picture, without trembling."""


@dataclasses.dataclass(frozen=True)
class Travel:
    """Where the person went, in body heights."""

    rightward: float
    """Way to the right of the picture, without trembling; and to the left."""
    leftward: float
    net: float
    """From the first to the last place, depth included."""
    rest_speed: float
    """Speed of the hips in the quietest half second, depth included; bh/s."""
    hip_path: float
    own_left: float
    """Way to the person's own left, and right; nan where the head does not tell."""
    own_right: float


@dataclasses.dataclass(frozen=True)
class Turns:
    """Which way the chest turned; nan where not known."""

    turned_left: float = math.nan
    """Degrees of the largest turn to the own left, and right."""
    turned_right: float = math.nan
    turned_range: float = math.nan
    """Degrees between the extreme directions of the chest, from its width alone."""
    ends_aside: float = math.nan
    """Direction of the chest at the end: 1 the picture's right, -1 its left."""
    began_aside: float = math.nan


@dataclasses.dataclass(frozen=True)
class Rises:
    """How far the body left the ground, in body heights."""

    hop: float
    """Largest rise of hips and both feet together within a second."""
    bob: float
    """Largest rise of the hips within a second."""


@dataclasses.dataclass(frozen=True)
class Posture:
    """How low the body got."""

    sink: float
    """Lowest place of the hips against standing: 0 upright, 0.5 half as high."""
    knee_deg: float
    """Smallest angle of a knee."""
    upright: float
    """Smallest height of the trunk against upright."""


class Evidence:
    """All of one clip. Each part is measured when it is first asked for: a caption asks for few."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self._stirs: dict[str, float] = {}

    @cached_property
    def arms(self) -> dict[str, LimbEvidence]:
        """By the person's own side."""
        return {side: _arm(self._signals, side) for side in SIDES}

    @cached_property
    def legs(self) -> dict[str, LimbEvidence]:
        """By the person's own side."""
        return {side: _leg(self._signals, side) for side in SIDES}

    @cached_property
    def travel(self) -> Travel:
        """Where the person went."""
        return _travel(self._signals)

    @cached_property
    def turns(self) -> Turns:
        """Which way the chest turned."""
        return _turns(self._signals)

    @cached_property
    def rises(self) -> Rises:
        """How far the body left the ground."""
        return _rises(self._signals)

    @cached_property
    def posture(self) -> Posture:
        """How low the body got."""
        return _posture(self._signals)

    @property
    def stir(self) -> float:
        """Mean speed of the busiest limb against the trunk, bh/s."""
        return _most(self.leg_stir, *(self._stir("shoulder", "wrist", side) for side in SIDES))

    @property
    def leg_stir(self) -> float:
        """Mean speed of the busier leg against the hips, bh/s."""
        return _most(*(self._stir("hip", "ankle", side) for side in SIDES))

    def seen(self, limb: str) -> list[float]:
        """`LimbEvidence.seen` of both 'arm's or 'leg's."""
        return [float((_sure(self._signals, _JOINTS[limb], s) >= LIMB_SEEN).mean()) for s in SIDES]

    def _stir(self, root: str, tip: str, side: str) -> float:
        g, name = self._signals, f"{side}_{tip}"
        if name not in self._stirs:
            place = smooth(g.between(f"{side}_{root}", name), 0.1 * g.fps)
            self._stirs[name] = _mean(_size(_change(place))) * g.fps
        return self._stirs[name]


def evidence(m2d: NDArray[np.floating], fps: float) -> Evidence | None:
    """Evidence of M_2D [F, 18, 3]; None for clips under half a second, or where torso and legs
    were hardly seen."""
    if len(m2d) < max(8, round(0.5 * fps)):
        return None
    g = measure(m2d, fps)
    known = float(np.isfinite(g.hip[:, 0] + g.neck[:, 0] + g.floor + g.scale).mean())
    return None if known < 0.6 else Evidence(g)


_JOINTS = {"arm": ("shoulder", "elbow", "wrist"), "leg": ("hip", "knee", "ankle")}


def _sure(g: Signals, joints: tuple[str, ...], side: str) -> F64:
    """Confidence of the least confident joint."""
    sure: F64 = np.minimum.reduce([g.sure[f"{side}_{joint}"] for joint in joints])
    return sure


def _arm(g: Signals, side: str) -> LimbEvidence:
    place = g.between(f"{side}_shoulder", f"{side}_wrist")
    rest = _size(place - [0, -ARM])
    return _limb(g, "arm", side, place, place[:, 1], rest)


def _leg(g: Signals, side: str) -> LimbEvidence:
    other = SIDES[side == "left"]
    place = g.between(f"{side}_hip", f"{side}_ankle")
    lifted = (g.xy[f"{other}_ankle"][:, 1] - g.xy[f"{side}_ankle"][:, 1]) / g.scale
    return _limb(g, "leg", side, place, lifted, np.abs(place[:, 0]))


def _limb(g: Signals, limb: str, side: str, place: F64, height: F64, out: F64) -> LimbEvidence:
    sure = _sure(g, _JOINTS[limb], side)
    tip = f"{side}_{_JOINTS[limb][-1]}"
    speed = _size(_change(smooth(place, 0.08 * g.fps))) * g.fps
    ground = _size(_change(smooth(g.xy[tip], 0.1 * g.fps))) * g.fps / g.scale
    height = smooth(height, 0.05 * g.fps)
    low, top = _percentiles(height, 5, 95)
    return LimbEvidence(
        seen=float((sure >= LIMB_SEEN).mean()),
        sure=float(sure.mean()),
        top=top,
        rise=top - low,
        out=_percentile(out, 95),
        path=_sum(np.maximum(speed - TREMBLES, 0)) / g.fps,
        speed=_percentile(speed, 95),
        ground=_sum(np.maximum(ground - TREMBLES, 0)) / g.fps,
    )


def _travel(g: Signals) -> Travel:
    across = smooth(_change(smooth(g.hip[:, 0], 0.15 * g.fps)), 0.2 * g.fps) * g.fps / g.scale
    size = smooth(bridged(_size(g.hip - g.neck)), 0.4 * g.fps)
    nearer = _change(np.log(np.maximum(size, 1e-6))) * g.fps * g.focal_bh
    nearer = np.where(
        smooth((g.torso_upright() < 0.88).astype(float), 0.2 * g.fps) > 0.2, 0, nearer
    )
    nearer = smooth(nearer, 0.3 * g.fps)
    speed = np.hypot(across, nearer)
    moving = np.where(np.abs(across) > 0.08, across, 0.0)
    aside = smooth(np.nan_to_num(g.aside), 0.15 * g.fps)
    known = float(np.isfinite(g.aside).mean()) > 0.5 or float(np.nanmean(np.abs(g.facing))) > 0.85
    sideways = smooth(g.facing * across - aside * nearer, 0.1 * g.fps)
    sideways = np.where(np.abs(sideways) > 0.1, sideways, 0.0)
    half = max(1, round(0.5 * g.fps))
    windows = np.convolve(np.nan_to_num(speed, nan=0.0), np.ones(half) / half, "valid")
    return Travel(
        rightward=_sum(np.maximum(moving, 0)) / g.fps,
        leftward=_sum(np.maximum(-moving, 0)) / g.fps,
        net=float(np.hypot(_sum(across), _sum(nearer))) / g.fps,
        rest_speed=float(windows.min()) if len(windows) else math.nan,
        hip_path=_sum(np.maximum(speed - TREMBLES, 0)) / g.fps,
        own_left=_sum(np.maximum(sideways, 0)) / g.fps if known else math.nan,
        own_right=_sum(np.maximum(-sideways, 0)) / g.fps if known else math.nan,
    )


def _turns(g: Signals) -> Turns:
    chest = bridged(g.facing)
    if not np.isfinite(chest).all():
        return Turns()
    width = np.degrees(np.arccos(np.clip(smooth(chest, 0.15 * g.fps), -1, 1)))
    least, most = _percentiles(width, 2, 98)
    told = np.isfinite(g.aside)
    if told.mean() < 0.15:
        return Turns(turned_range=most - least)
    edge = max(3, round(0.3 * g.fps))
    # Where the head does not tell, the chest faces the camera or away: no sine.
    aside = np.where(told | (np.abs(chest) < 0.8), g.aside, 0.0)
    angle = np.unwrap(np.arctan2(smooth(bridged(aside), 0.1 * g.fps), smooth(chest, 0.1 * g.fps)))
    yaw = np.degrees(smooth(angle, 0.2 * g.fps))
    return Turns(
        turned_left=float((yaw - np.minimum.accumulate(yaw)).max()),
        turned_right=float((np.maximum.accumulate(yaw) - yaw).max()),
        turned_range=most - least,
        ends_aside=_mean(g.aside[-edge:]),
        began_aside=_mean(g.aside[:edge]),
    )


def _rises(g: Signals) -> Rises:
    second = max(2, round(g.fps))
    hips = smooth(g.hip[:, 1] / g.scale, 0.03 * g.fps)
    feet = [smooth(g.xy[f"{s}_ankle"][:, 1] / g.scale, 0.03 * g.fps) for s in SIDES]
    hop = bob = 0.0
    for a in range(0, max(1, g.frames - second + 1), max(1, second // 4)):
        part = slice(a, a + second)
        rises = [_highest(values[part]) for values in (hips, *feet)]
        bob, hop = max(bob, rises[0]), max(hop, min(rises))
    return Rises(hop, bob)


def _posture(g: Signals) -> Posture:
    knees = [
        _percentile(smooth(g.joint_angle(f"{s}_hip", f"{s}_knee", f"{s}_ankle"), 0.05 * g.fps), 3)
        for s in SIDES
    ]
    return Posture(
        sink=_percentile(1 - g.hip_up() / g.standing_hips(), 97),
        knee_deg=-_most(*(-knee for knee in knees)),
        upright=_percentile(g.torso_upright(), 3),
    )


def _highest(y: F64) -> float:
    """Rise of a point above the mean of its ends, y down; nan counts as none."""
    if np.isfinite(y).sum() < 4:
        return 0.0
    top, low = _percentiles(y, 0, 90)
    return max(0.0, low - top)


def _change(values: F64) -> F64:
    """Central differences along the first axis, one-sided at the ends: np.gradient, at a tenth of
    its cost for so few frames."""
    found = np.empty_like(values)
    found[1:-1] = (values[2:] - values[:-2]) / 2
    found[0], found[-1] = values[1] - values[0], values[-1] - values[-2]
    return found


def _size(vectors: F64) -> F64:
    """Lengths of vectors [F, 2]."""
    found: F64 = np.sqrt((vectors * vectors).sum(1))
    return found


def _mean(values: F64) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def _most(*values: float) -> float:
    return max((value for value in values if math.isfinite(value)), default=math.nan)


def _sum(values: F64) -> float:
    return float(np.nansum(values))


def _percentile(values: F64, q: float) -> float:
    return _percentiles(values, q)[0]


def _percentiles(values: F64, *qs: float) -> tuple[float, ...]:
    """As np.percentile of the finite values, which is ten times as slow for so few; or nan."""
    ordered = np.sort(values[np.isfinite(values)])
    if not len(ordered):
        return tuple(math.nan for _ in qs)
    found = []
    for q in qs:
        place = q / 100 * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        found.append(float(ordered[low] + (place - low) * (ordered[high] - ordered[low])))
    return tuple(found)
