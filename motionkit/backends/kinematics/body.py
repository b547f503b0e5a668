"""Detectors of the whole body: jumping, squatting, sitting, bending, lunging."""

from __future__ import annotations

import numpy as np

from motionkit.backends.kinematics.events import F64, Event, bouts, swings
from motionkit.backends.kinematics.signals import SIDES, Signals, bridged, smooth

#: Both ankles and the hips this high over their standing place: off the ground.
FLIES = 0.055
#: Hips this share of their height lower: the knees are bent.
DROPS = 0.2
#: From here on it is a squat.
SQUATS = 0.32
#: Shoulders over hips below this share of upright: bent forward. Less will do where the nose
#: comes down between the shoulders as well, as it does seen from the front.
BENDS, BENDS_NOSE = 0.72, 0.82


def jumps(g: Signals) -> list[Event]:
    """Every time both feet and the hips leave the ground together."""
    hips = g.hip_up() - g.standing_hips()
    left, right = g.up("left_ankle"), g.up("right_ankle")
    feet = np.minimum(left, right)
    together = np.minimum(feet, hips + 0.02)
    events = []
    for a, b in bouts(smooth(together, 0.02 * g.fps), FLIES, 0.02, g.s(0.1)):
        if b - a + 1 > g.s(1.0):
            continue
        top = a + int(np.nanargmax(together[a : b + 1]))
        # In a running stride one foot is far above the other, in a jump both rise alike.
        if abs(left[top] - right[top]) > 0.05 + 0.25 * feet[top]:
            continue
        numbers = {"feet_bh": float(feet[top]), "hips_bh": float(hips[top])}
        # Crouch and landing are part of it.
        margin = g.s(0.55)
        first, last = max(0, a - margin), min(g.frames - 1, b + margin)
        events.append(Event("jump", first, last, numbers=numbers))
    return events


def crouches(g: Signals) -> list[Event]:
    """Squats, lunges, reaching to the floor, sitting down and standing up: the hips go down."""
    stand = g.standing_hips()
    drop = smooth(1 - g.hip_up() / stand, 0.05 * g.fps)
    events = []
    for a, b in bouts(drop, DROPS, 0.08, g.s(0.25)):
        deepest = a + int(np.nanargmax(drop[a : b + 1]))
        numbers = {"drop": float(drop[deepest]), "lasts_s": (b - a + 1) / g.fps}
        low = np.flatnonzero(drop[a : b + 1] > 0.8 * drop[deepest])
        held = (low[-1] - low[0] + 1) / g.fps
        numbers["held_s"] = float(held)
        starts_low, ends_low = a == 0 or drop[0] > DROPS, b == g.frames - 1
        if ends_low and starts_low:
            events.append(Event("stays-low", a, b, numbers=numbers))
        elif ends_low and held > 0.7:
            events.append(Event("sit-down", a, a + int(low[0]), numbers=numbers))
        elif starts_low and held > 0.5:
            events.append(Event("stand-up", a + int(low[-1]), b, numbers=numbers))
        elif not ends_low and not starts_low:
            events.append(_dip(g, a, b, deepest, numbers))
    return events


def _dip(g: Signals, a: int, b: int, deepest: int, numbers: dict[str, float]) -> Event:
    """Down and up again: which way, by the hands, the knees and the trunk at the lowest."""
    near = slice(max(a, deepest - g.s(0.15)), min(b, deepest + g.s(0.15)) + 1)
    hands = [float(np.nanmin(g.up(f"{s}_wrist")[near], initial=np.inf)) for s in SIDES]
    knees = [float(np.nanmean(g.up(f"{s}_knee")[near])) for s in SIDES]
    apart = np.nanmean(np.abs(g.between("left_ankle", "right_ankle")[near]), axis=0)
    trunk = float(np.nanmin(g.torso_upright()[a : b + 1]))
    numbers = {
        **numbers,
        "hand_bh": min(hands),
        "knees_bh": abs(knees[0] - knees[1]),
        "feet_apart_bh": float(apart[0]),
        "trunk": trunk,
    }
    if min(hands) < 0.13 and trunk < 0.75:
        return Event("reach-down", a, b, numbers=numbers)
    if abs(knees[0] - knees[1]) > 0.07 or apart[0] > 0.33 + 0.05 * (trunk < 0.8):
        return Event("lunge", a, b, numbers=numbers)
    label = "squat" if numbers["drop"] > SQUATS else "bend-knees"
    return Event(label, a, b, numbers=numbers)


def bends(g: Signals) -> list[Event]:
    """Bows, and bending down to the feet with straight legs."""
    upright = smooth(g.torso_upright(), 0.05 * g.fps)
    nose = (g.neck[:, 1] - g.xy["nose"][:, 1]) / g.scale
    drop = 1 - g.hip_up() / g.standing_hips()
    events = []
    for a, b in bouts(1 - upright, 1 - BENDS_NOSE, 0.09, g.s(0.25)):
        lowest = a + int(np.nanargmin(upright[a : b + 1]))
        if upright[lowest] > BENDS and not nose[lowest] < 0.0:
            continue
        near = slice(max(a, lowest - g.s(0.2)), min(b, lowest + g.s(0.2)) + 1)
        hands = [float(np.nanmin(g.up(f"{s}_wrist")[near], initial=np.inf)) for s in SIDES]
        numbers = {
            "trunk": float(upright[lowest]),
            "hand_bh": min(hands),
            "drop": float(np.nanmax(drop[a : b + 1])),
        }
        if min(hands) < 0.13:
            events.append(Event("reach-down", a, b, numbers=numbers))
        elif numbers["drop"] > DROPS:
            continue
        elif numbers["trunk"] < 0.5 and max(hands) < 0.31:
            events.append(Event("reach-feet", a, b, numbers=numbers))
        else:
            starts, ends = a > 0, b < g.frames - 1
            label = {
                (True, True): "bow",
                (True, False): "bend",
                (False, True): "straighten-up",
                (False, False): "stays-bent",
            }[starts, ends]
            events.append(Event(label, a, b, numbers=numbers))
    return events


def stillness(g: Signals) -> Event | None:
    """The person keeps still: 95 % of the time no keypoint is faster than a quarter body height
    a second, and over the whole clip none strays by more than 0.06."""
    fast = np.zeros(g.frames)
    stray = 0.0
    for xy in g.xy.values():
        if np.isfinite(xy).mean() < 0.9:
            continue
        fast = np.fmax(fast, np.linalg.norm(g.velocity(xy), axis=1))
        spread = np.nanpercentile(xy, 97, axis=0) - np.nanpercentile(xy, 3, axis=0)
        stray = max(stray, float(np.linalg.norm(spread) / np.median(g.scale)))
    speed = float(np.percentile(fast, 95))
    if speed < 0.25 and stray < 0.06:
        return Event("still", 0, g.frames - 1, numbers={"speed_bh_s": speed, "stray_bh": stray})
    return None


def busy_parts(g: Signals) -> dict[str, float]:
    """Mean speed of arms and legs against the hips, and of the hips; body heights a second."""

    def speed(xy: F64) -> float:
        v = np.linalg.norm(g.velocity(xy), axis=1)
        return float(np.nanmean(v)) if np.isfinite(v).any() else float("nan")

    parts = {"body": speed(g.hip)}
    for side in SIDES:
        parts[f"{side} arm"] = speed(g.xy[f"{side}_wrist"] - g.xy[f"{side}_shoulder"])
        parts[f"{side} leg"] = speed(g.xy[f"{side}_ankle"] - g.xy[f"{side}_hip"])
    return parts


def head_turns(g: Signals) -> list[Event]:
    """Looking around: the head turns to both sides over a chest that does not."""
    ears = (g.xy["left_ear"] + g.xy["right_ear"])[:, 0] / 2
    nose = smooth((g.xy["nose"][:, 0] - ears) / g.scale, 0.1 * g.fps)
    chest = g.facing[np.isfinite(g.facing)]
    if np.isfinite(nose).mean() < 0.9 or np.ptp(np.percentile(chest, [5, 95])) > 0.4:
        return []
    looks = swings(bridged(nose), 0.05)
    if np.nanmin(g.torso_upright()) < 0.85:  # a bending trunk moves the nose as well
        return []
    if not looks or abs(float(np.median(chest))) < 0.5:
        return []
    numbers = {"turns": float(len(looks)), "nose_bh": float(np.nanmax(nose) - np.nanmin(nose))}
    return [Event("look-around", looks[0], looks[-1], numbers=numbers)]


def hands_on_hips(g: Signals) -> list[Event]:
    """Both hands rest at the hips with bent elbows, seen from the front or from behind."""
    closed = np.abs(g.facing) > 0.5
    for side in SIDES:
        hand = g.between(f"{side}_hip", f"{side}_wrist")
        elbow = g.joint_angle(f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist")
        # Hanging hands are below the hips' markers, resting ones above.
        closed &= (np.abs(hand[:, 0]) < 0.13) & (hand[:, 1] > 0.035) & (hand[:, 1] < 0.16)
        closed &= elbow < 150
    return [
        Event("hands-on-hips", a, b, numbers={"share": float(closed[a : b + 1].mean())})
        for a, b in bouts(closed.astype(float), 0.5, 0.5, g.s(1.0), bridge=g.s(0.2))
    ]


def standing(g: Signals) -> Event | None:
    """Stands where it is: hips that stay within 0.1 body heights and never come down."""
    if not np.isfinite(g.hip).all():
        return None
    spread = np.percentile(g.hip, 97, axis=0) - np.percentile(g.hip, 3, axis=0)
    stray = float(np.linalg.norm(spread) / np.median(g.scale))
    high = float(np.nanmin(g.hip_up())) if np.isfinite(g.hip_up()).any() else 0.0
    upright = float(np.nanmin(g.torso_upright()))
    if stray < 0.1 and high > 0.38 and upright > 0.85:
        return Event("stand", 0, g.frames - 1, numbers={"stray_bh": stray, "hips_bh": high})
    return None
