"""Detectors of locomotion: walking, running, side steps, stepping on the spot, turning."""

from __future__ import annotations

import itertools

import numpy as np

from motionkit.backends.kinematics.events import F64, Event, bouts, swings
from motionkit.backends.kinematics.signals import SIDES, Signals, bridged, smooth

#: Body heights a second above which a person travels, and below which the bout ends.
MOVES, RESTS = 0.16, 0.07
#: Body heights that must be covered for "walks".
COVERED = 0.35
#: Signs of running: speed in body heights a second and steps a second together, or either with
#: feet that swing this high, or feet that swing higher than any walker's.
RUN_SPEED, RUN_STEPS_S, RUN_LIFT, RUN_HIGH = 0.95, 2.4, 0.13, 0.165


def travel(g: Signals) -> list[Event]:
    """Walks, runs and side steps, with their direction in the picture."""
    # Smoothed over more than a step, or the sway of the hips would count as travel.
    across = smooth(np.gradient(smooth(g.hip[:, 0], 0.2 * g.fps)) * g.fps / g.scale, 0.3 * g.fps)
    nearer = g.focal_bh * smooth(_growth(g), 0.3 * g.fps)
    speed = np.hypot(across, nearer)
    events = []
    for a, b in bouts(speed, MOVES, RESTS, g.s(0.6), bridge=g.s(0.25)):
        dx = float(np.nansum(across[a : b + 1])) / g.fps
        dz = float(np.nansum(nearer[a : b + 1])) / g.fps
        path = float(np.nansum(speed[a : b + 1])) / g.fps
        # Depth is the weaker measure; who goes round in a circle covers ground all the same.
        net = float(np.hypot(dx, 0.6 * dz))
        if net < COVERED and not (path > 4 * COVERED and abs(_turned(g, a, b) or 0.0) > 150):
            continue
        event = _kind_of_travel(g, a, b, dx, dz, path)
        if event is not None:
            events.append(event)
    return events


def _growth(g: Signals) -> F64:
    """Relative growth of the person in the picture, per second.

    From the torso alone: legs change their length in the picture with every step.
    """
    torso = np.linalg.norm(g.hip - g.neck, axis=1)
    growth = np.gradient(np.log(np.maximum(smooth(bridged(torso), 0.35 * g.fps), 1e-6))) * g.fps
    # A trunk that bends changes its length as well: then nothing is known.
    bent = smooth((g.torso_upright() < 0.88).astype(float), 0.2 * g.fps) > 0.2
    return np.where(bent, 0.0, growth)


def _kind_of_travel(g: Signals, a: int, b: int, dx: float, dz: float, path: float) -> Event | None:
    seconds = (b - a + 1) / g.fps
    rate = stepping(g, a, b)
    if not rate > 0:
        return None
    lift = max(float(np.nanpercentile(g.up(f"{s}_ankle")[a : b + 1], 92)) for s in SIDES)
    speed = path / seconds
    numbers = {
        "across_bh": dx,
        "nearer_bh": dz,
        "speed_bh_s": speed,
        "steps_s": rate,
        "lift_bh": lift,
        "facing": float(np.nanmean(g.facing[a : b + 1])),
    }
    forward, leftward = _along_the_body(g, a, b, dx, dz)
    numbers["forward"], numbers["leftward"] = forward, leftward
    if np.hypot(dx, dz) > 0.7 * path and abs(leftward) > 0.85:
        return Event("side-step", a, b, numbers=numbers)
    signs = (speed > RUN_SPEED) + (rate > RUN_STEPS_S) + (lift > RUN_LIFT)
    high = lift > RUN_HIGH and speed > 0.6
    turned = _turned(g, a, b)
    if turned is not None:
        numbers["turned_deg"] = turned
    return Event("run" if signs >= 2 or high else "walk", a, b, numbers=numbers)


def stepping(g: Signals, a: int, b: int) -> float:
    """Steps a second in frames a..b; 0 for fewer than two.

    Steps are the swings of left against right leg along the direction in which they differ
    most, whatever the view. Across the picture only as far as the person is seen from the side:
    seen from the front that would be legs that spread, not legs that step.
    """
    sideways = np.sqrt(1 - np.clip(g.facing[a : b + 1], -1, 1) ** 2)
    legs = []
    for joint in ("ankle", "knee"):
        apart = g.between(f"right_{joint}", f"left_{joint}")[a : b + 1]
        legs += [bridged(apart[:, 0] * sideways), bridged(apart[:, 1])]
    both = np.stack(legs, 1)
    if not np.isfinite(both).all():
        return 0.0
    both = both - smooth(both, 1.0 * g.fps)
    _, _, axes = np.linalg.svd(both, full_matrices=False)
    along = both @ axes[0]
    size = max(0.03, 0.5 * float(np.percentile(np.abs(along), 90)))
    found = swings(along, size)
    if len(found) < 2:
        return 0.0
    return (len(found) - 1) / ((found[-1] - found[0]) / g.fps)


def _turned(g: Signals, a: int, b: int) -> float | None:
    angle = yaw(g)[a : b + 1]
    if np.isfinite(angle).mean() < 0.8:
        return None
    return float(np.degrees(bridged(angle)[-1] - bridged(angle)[0]))


def _along_the_body(g: Signals, a: int, b: int, dx: float, dz: float) -> tuple[float, float]:
    """The path's direction seen from the body: shares forward and to its own left, -1..1.

    Both 0 where the head does not tell which way the chest faces and the view needs it.
    """
    facing, aside = g.facing[a : b + 1], g.aside[a : b + 1]
    known = np.isfinite(aside)
    if known.mean() < 0.5 and float(np.nanmean(np.abs(facing))) < 0.85:
        return 0.0, 0.0
    aside = np.nan_to_num(aside)
    length = max(float(np.hypot(dx, dz)), 1e-9)
    # A chest to the camera (facing 1) has its own left at the picture's right.
    forward = float(np.nanmean(aside * dx + facing * dz)) / length
    leftward = float(np.nanmean(facing * dx - aside * dz)) / length
    return forward, leftward


def on_the_spot(g: Signals) -> list[Event]:
    """Marching, jogging and stepping without getting anywhere."""
    difference = bridged(g.up("left_ankle") - g.up("right_ankle"))
    if not np.isfinite(difference).all():
        return []
    turns = swings(smooth(difference, 0.05 * g.fps), 0.07)
    groups: list[list[int]] = []
    for t in turns:
        if groups and t - groups[-1][-1] <= g.s(1.0):
            groups[-1].append(t)
        else:
            groups.append([t])
    events = []
    for group in groups:
        if len(group) < 4:
            continue
        a, b = group[0], group[-1]
        moved = np.linalg.norm(g.hip[b] - g.hip[a]) / np.nanmean(g.scale[a : b + 1])
        grown = abs(np.log(g.scale[b] / g.scale[a])) * np.nanmean(g.focal_bh[a : b + 1])
        rate = (len(group) - 1) / ((b - a) / g.fps)
        knees = [float(np.nanpercentile(g.up(f"{s}_knee")[a : b + 1], 95)) for s in SIDES]
        numbers = {"steps": float(len(group)), "steps_s": float(rate), "knee_bh": min(knees)}
        if not np.hypot(moved, grown) < 0.6:
            continue
        if rate > 2.2:
            label = "jog-in-place"
        else:
            label = "march" if min(knees) > 0.31 else "step-in-place"
        events.append(Event(label, a, b, numbers=numbers))
    return events


def yaw(g: Signals) -> F64:
    """Direction of the chest in radians, unwrapped: 0 faces the camera, growing to the person's
    own left (a person who faces the camera and turns left turns to the picture's right)."""
    angle = np.arctan2(bridged(g.aside), bridged(g.facing))
    return np.unwrap(angle) if np.isfinite(angle).all() else np.full(g.frames, np.nan)


def turns(g: Signals) -> list[Event]:
    """Turns of the whole body of at least 60 degrees.

    Where the head does not tell left from right often enough, only a change between facing the
    camera and facing away is reported, without a side.
    """
    chest = bridged(g.facing)
    if not np.isfinite(chest).all():
        return []
    known = np.isfinite(g.aside)
    told = known | (np.abs(chest) > 0.85)  # facing the camera or away the head needs tell nothing
    events = []
    if told.mean() > 0.85 and known.mean() > 0.1:
        angle = np.degrees(smooth(yaw(g), 0.1 * g.fps))
        for a, b in _one_way(angle, 60.0):
            by = float(angle[b] - angle[a])
            numbers = {"from": float(chest[a]), "to": float(chest[b]), "turned_deg": by}
            certain = told[a : b + 1].mean() > 0.9 and known[a : b + 1].mean() > 0.35
            side = ("left" if by > 0 else "right") if certain else ""
            # A head that turns over a resting chest changes the sine, but not the cosine.
            rests = float(np.ptp(chest[a : b + 1])) < 0.2
            if not rests and _hips_turn_too(g, a, b):
                events.append(Event("turn", a, b, side=side, numbers=numbers))
    else:
        for a, b in _one_way(np.degrees(np.arccos(np.clip(chest, -1, 1))), 100.0):
            numbers = {"from": float(chest[a]), "to": float(chest[b]), "turned_deg": 0.0}
            events.append(Event("turn", a, b, numbers=numbers))
    return events


def _hips_turn_too(g: Signals, a: int, b: int) -> bool:
    """False where only the shoulders turn, as in a twist of the trunk."""
    hips = smooth(g.between("right_hip", "left_hip")[:, 0], 0.15 * g.fps)[a : b + 1]
    trunk = smooth(g.between("right_shoulder", "left_shoulder")[:, 0], 0.15 * g.fps)[a : b + 1]
    if not np.isfinite(hips + trunk).any():
        return False
    wide = float(np.nanmax(trunk) - np.nanmin(trunk))
    return bool(np.nanmax(hips) - np.nanmin(hips) > max(0.22 * wide, 0.016))


def _one_way(angle: F64, least: float) -> list[tuple[int, int]]:
    """Stretches in which the angle (degrees) goes one way by at least ``least``."""
    corners = [0, *swings(angle, 25.0), len(angle) - 1]
    found = []
    for a, b in itertools.pairwise(corners):
        if abs(angle[b] - angle[a]) < least:
            continue
        # Without the still frames at the ends.
        part = (angle[a : b + 1] - angle[a]) / (angle[b] - angle[a])
        inside = np.flatnonzero((part > 0.05) & (part < 0.95))
        found.append((a + int(inside[0]), a + int(inside[-1])) if len(inside) else (a, b))
    return found


def twists(g: Signals) -> list[Event]:
    """The trunk turns to and fro over hips that hardly do; seen from the side or at an angle."""
    trunk = bridged(smooth(g.between("right_shoulder", "left_shoulder")[:, 0], 0.1 * g.fps))
    hips = bridged(smooth(g.between("right_hip", "left_hip")[:, 0], 0.1 * g.fps))
    if not np.isfinite(trunk + hips).all():
        return []
    found = swings(trunk, 0.09)
    if len(found) < 3:
        return []
    a, b = found[0], found[-1]
    wide = float(np.ptp(trunk[a : b + 1]))
    share = float(np.ptp(hips[a : b + 1])) / wide
    if share > 0.22:
        return []
    numbers = {"swings": float(len(found)), "wide_bh": wide, "hips_share": share}
    return [Event("twist", a, b, numbers=numbers)]
