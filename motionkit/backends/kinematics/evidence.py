"""What the keypoints say of each limb and of the whole body, as numbers to hold a text against.

The detectors name what they are sure of; this measures what a sentence can be wrong about: which
of two limbs did more, how far and which way the person went or turned, and whether the body rose,
sank or moved at all. Lengths are body heights (bh). Left and right are the person's own.
"""

from __future__ import annotations

import dataclasses

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
class Evidence:
    """All of one clip."""

    seconds: float
    arms: dict[str, LimbEvidence]
    legs: dict[str, LimbEvidence]
    known: float
    """Share of the frames with torso and legs."""
    frontal: float
    """Mean cosine between chest and camera: 1 faces it, -1 shows the back."""
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
    turned_left: float
    """Degrees of the largest turn to the own left, and right; nan where not known."""
    turned_right: float
    turned_range: float
    """Degrees between the extreme directions of the chest, from its width alone."""
    ends_aside: float
    """Direction of the chest at the end: 1 the picture's right, -1 its left; nan."""
    began_aside: float
    hop: float
    """Largest rise of hips and both feet together within a second."""
    bob: float
    """Largest rise of the hips within a second."""
    sink: float
    """Lowest place of the hips against standing: 0 upright, 0.5 half as high."""
    knee_deg: float
    """Smallest angle of a knee."""
    upright: float
    """Smallest height of the trunk against upright."""
    stir: float
    """Mean speed of the busiest limb against the trunk, bh/s."""
    leg_stir: float
    """Mean speed of the busier leg against the hips, bh/s."""


def evidence(m2d: NDArray[np.floating], fps: float) -> Evidence | None:
    """Evidence of M_2D [F, 18, 3]; None for clips under half a second, or where torso and legs
    were hardly seen."""
    if len(m2d) < max(8, round(0.5 * fps)):
        return None
    g = measure(m2d, fps)
    known = float(np.isfinite(g.hip[:, 0] + g.neck[:, 0] + g.floor + g.scale).mean())
    if known < 0.6:
        return None
    return Evidence(
        seconds=g.frames / fps,
        arms={side: _arm(g, side) for side in SIDES},
        legs={side: _leg(g, side) for side in SIDES},
        known=known,
        frontal=_mean(g.facing),
        **_travel(g),
        **_turns(g),
        **_body(g),
    )


def _arm(g: Signals, side: str) -> LimbEvidence:
    shoulder, elbow, wrist = (f"{side}_{j}" for j in ("shoulder", "elbow", "wrist"))
    place = g.between(shoulder, wrist)
    rest = np.linalg.norm(place - [0, -ARM], axis=1)
    return _limb(g, (shoulder, elbow, wrist), place, place[:, 1], rest, wrist)


def _leg(g: Signals, side: str) -> LimbEvidence:
    other = SIDES[side == "left"]
    hip, knee, ankle = (f"{side}_{j}" for j in ("hip", "knee", "ankle"))
    place = g.between(hip, ankle)
    lifted = (g.xy[f"{other}_ankle"][:, 1] - g.xy[ankle][:, 1]) / g.scale
    rest = np.abs(place[:, 0])
    return _limb(g, (hip, knee, ankle), place, lifted, rest, ankle)


def _limb(
    g: Signals, joints: tuple[str, ...], place: F64, height: F64, out: F64, tip: str
) -> LimbEvidence:
    sure = np.min([g.sure[joint] for joint in joints], axis=0)
    speed = np.linalg.norm(np.gradient(smooth(place, 0.08 * g.fps), axis=0), axis=1) * g.fps
    ground = np.linalg.norm(np.gradient(smooth(g.xy[tip], 0.1 * g.fps), axis=0), axis=1)
    ground = ground * g.fps / g.scale
    height = smooth(height, 0.05 * g.fps)
    return LimbEvidence(
        seen=float((sure >= LIMB_SEEN).mean()),
        sure=float(sure.mean()),
        top=_percentile(height, 95),
        rise=_percentile(height, 95) - _percentile(height, 5),
        out=_percentile(out, 95),
        path=_sum(np.maximum(speed - TREMBLES, 0)) / g.fps,
        speed=_percentile(speed, 95),
        ground=_sum(np.maximum(ground - TREMBLES, 0)) / g.fps,
    )


def _travel(g: Signals) -> dict[str, float]:
    across = smooth(np.gradient(smooth(g.hip[:, 0], 0.15 * g.fps)), 0.2 * g.fps) * g.fps / g.scale
    size = smooth(bridged(np.linalg.norm(g.hip - g.neck, axis=1)), 0.4 * g.fps)
    nearer = np.gradient(np.log(np.maximum(size, 1e-6))) * g.fps * g.focal_bh
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
    return {
        "rightward": _sum(np.maximum(moving, 0)) / g.fps,
        "leftward": _sum(np.maximum(-moving, 0)) / g.fps,
        "net": float(np.hypot(_sum(across), _sum(nearer))) / g.fps,
        "rest_speed": float(windows.min()) if len(windows) else float("nan"),
        "hip_path": _sum(np.maximum(speed - TREMBLES, 0)) / g.fps,
        "own_left": _sum(np.maximum(sideways, 0)) / g.fps if known else float("nan"),
        "own_right": _sum(np.maximum(-sideways, 0)) / g.fps if known else float("nan"),
    }


def _turns(g: Signals) -> dict[str, float]:
    chest = bridged(g.facing)
    nothing = float("nan")
    found = dict.fromkeys(
        ("turned_left", "turned_right", "turned_range", "ends_aside", "began_aside"), nothing
    )
    if not np.isfinite(chest).all():
        return found
    width = np.degrees(np.arccos(np.clip(smooth(chest, 0.15 * g.fps), -1, 1)))
    found["turned_range"] = _percentile(width, 98) - _percentile(width, 2)
    told = np.isfinite(g.aside)
    if told.mean() < 0.15:
        return found
    edge = max(3, round(0.3 * g.fps))
    found["began_aside"], found["ends_aside"] = _mean(g.aside[:edge]), _mean(g.aside[-edge:])
    # Where the head does not tell, the chest faces the camera or away: no sine.
    aside = np.where(told | (np.abs(chest) < 0.8), g.aside, 0.0)
    angle = np.unwrap(np.arctan2(smooth(bridged(aside), 0.1 * g.fps), smooth(chest, 0.1 * g.fps)))
    yaw = np.degrees(smooth(angle, 0.2 * g.fps))
    found["turned_left"] = float((yaw - np.minimum.accumulate(yaw)).max())
    found["turned_right"] = float((np.maximum.accumulate(yaw) - yaw).max())
    return found


def _body(g: Signals) -> dict[str, float]:
    second = max(2, round(g.fps))
    hips = smooth(g.hip[:, 1] / g.scale, 0.03 * g.fps)
    feet = [smooth(g.xy[f"{s}_ankle"][:, 1] / g.scale, 0.03 * g.fps) for s in SIDES]
    hop = bob = 0.0
    for a in range(0, max(1, g.frames - second + 1), max(1, second // 4)):
        part = slice(a, a + second)
        rises = [_highest(values[part]) for values in (hips, *feet)]
        bob, hop = max(bob, rises[0]), max(hop, min(rises))
    stand = g.standing_hips()
    knees = [
        _percentile(smooth(g.joint_angle(f"{s}_hip", f"{s}_knee", f"{s}_ankle"), 0.05 * g.fps), 3)
        for s in SIDES
    ]
    stirs = []
    for side in SIDES:
        for root, tip in (("shoulder", "wrist"), ("hip", "ankle")):
            v = np.gradient(
                smooth(g.between(f"{side}_{root}", f"{side}_{tip}"), 0.1 * g.fps), axis=0
            )
            stirs.append(_mean(np.linalg.norm(v, axis=1)) * g.fps)
    return {
        "hop": hop,
        "bob": bob,
        "sink": _percentile(1 - g.hip_up() / stand, 97),
        "knee_deg": float(np.nanmin(knees)) if np.isfinite(knees).any() else float("nan"),
        "upright": _percentile(g.torso_upright(), 3),
        "stir": float(np.nanmax(stirs)) if np.isfinite(stirs).any() else float("nan"),
        "leg_stir": float(np.nanmax(stirs[1::2])) if np.isfinite(stirs[1::2]).any() else np.nan,
    }


def _highest(y: F64) -> float:
    """Rise of a point above the mean of its ends, y down; nan counts as none."""
    return max(0.0, _percentile(y, 90) - _percentile(y, 0)) if np.isfinite(y).sum() >= 4 else 0.0


def _mean(values: F64) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _sum(values: F64) -> float:
    return float(np.nansum(values))


def _percentile(values: F64, q: float) -> float:
    """As np.percentile of the finite values, which is ten times as slow for so few; or nan."""
    ordered = np.sort(values[np.isfinite(values)])
    if not len(ordered):
        return float("nan")
    place = q / 100 * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (place - low) * (ordered[high] - ordered[low]))
