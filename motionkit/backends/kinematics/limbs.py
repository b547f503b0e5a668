"""Detectors of arms and legs: raising, waving, clapping, punching, throwing, kicking, balancing."""

from __future__ import annotations

import numpy as np

from motionkit.backends.kinematics.events import F64, Event, bouts, runs, swings
from motionkit.backends.kinematics.signals import SIDES, Signals, bridged, smooth

#: Height of the wrist over the shoulder: hanging, raised, overhead.
HANGS, RAISED, OVERHEAD = -0.14, -0.035, 0.13
#: Confidence that a limb's keypoints need for its side to be named.
CERTAIN = 0.5


def certain_side(g: Signals, side: str, joints: tuple[str, ...], a: int, b: int) -> str:
    """``side`` where it is certain in frames a..b, else ''.

    The limb's keypoints must be confident. Seen side on, a pose estimator may take one limb for
    the other: there the limb nearer to the camera must not be the one it is less sure of.
    """
    names = tuple(f"{side}_{joint}" for joint in joints)
    if g.confidence(names, a, b) < CERTAIN:
        return ""
    facing, aside = g.facing[a : b + 1], g.aside[a : b + 1]
    if np.nanmean(np.abs(facing)) < 0.35 and np.isfinite(aside).any():
        # Who faces the picture's right turns the right side to the camera.
        near, far = SIDES[::-1] if np.nanmean(aside) > 0 else SIDES
        sure = [g.confidence(tuple(f"{s}_{j}" for j in joints), a, b) for s in (near, far)]
        if sure[0] < sure[1] - 0.1:
            return ""
    return side


def raises(g: Signals) -> list[Event]:
    """Arms that go up from hanging, come down again, or are held up throughout."""
    events = []
    for side in SIDES:
        high = smooth(g.wrist_up(side), 0.05 * g.fps)
        if np.isfinite(high).mean() < 0.6:
            continue
        filled = bridged(high)
        up = bouts(filled, RAISED + 0.01, RAISED - 0.05, g.s(0.35), bridge=g.s(0.15))
        for a, b in up:
            numbers = {"top_bh": float(filled[a : b + 1].max()), "held_s": (b - a + 1) / g.fps}
            named = certain_side(g, side, ("shoulder", "elbow", "wrist"), a, b)
            before = np.flatnonzero(filled[:a] < HANGS)
            after = np.flatnonzero(filled[b:] < HANGS)
            if len(before):
                events.append(Event("raise-arm", int(before[-1]), b, named, numbers))
            elif len(after):
                events.append(Event("lower-arm", b, b + int(after[0]), named, numbers))
            elif b - a + 1 > 0.85 * g.frames:
                events.append(Event("hold-arm-up", a, b, named, numbers))
    return _both_sides(events, g.s(0.4))


def _both_sides(events: list[Event], apart: int) -> list[Event]:
    """Two arms that do the same at the same time become one event of both."""
    left = [e for e in events if e.side == "left"]
    right = [e for e in events if e.side == "right"]
    merged = [e for e in events if e.side not in SIDES]
    for one in left:
        twin = next(
            (
                o
                for o in right
                if o.label == one.label
                and (abs(o.a - one.a) <= apart or abs(o.b - one.b) <= apart)
                and o.overlap(one) > 0.5
            ),
            None,
        )
        if twin is None:
            merged.append(one)
        else:
            right.remove(twin)
            numbers = {k: min(v, twin.numbers[k]) for k, v in one.numbers.items()}
            whole = Event(one.label, min(one.a, twin.a), max(one.b, twin.b), "both", numbers)
            merged.append(whole)
    return merged + right


def waves(g: Signals) -> list[Event]:
    """A raised hand that swings from side to side while its elbow hardly moves."""
    events = []
    for side in SIDES:
        shoulder, elbow, wrist = (f"{side}_{j}" for j in ("shoulder", "elbow", "wrist"))
        raised = g.wrist_up(side) > -0.02
        above = g.between(elbow, wrist)[:, 1] > 0.04
        for a, b in runs(raised & above, g.s(0.8)):
            hand = bridged(g.between(elbow, wrist)[a : b + 1, 0])
            hand = hand - smooth(hand, 0.5 * g.fps)
            arm = bridged(g.between(shoulder, elbow)[a : b + 1, 0])
            arm = arm - smooth(arm, 0.5 * g.fps)
            turns = swings(hand, 0.05)
            if len(turns) < 4:
                continue
            first, last = turns[0], turns[-1]
            rate = (len(turns) - 1) / 2 / ((last - first) / g.fps)
            part = slice(first, last + 1)
            ratio = float(arm[part].std() / max(hand[part].std(), 1e-6))
            if not 0.8 <= rate <= 5 or ratio > 0.7:
                continue
            numbers = {"swings": float(len(turns)), "per_s": rate, "elbow_share": ratio}
            named = certain_side(g, side, ("shoulder", "elbow", "wrist"), a + first, a + last)
            events.append(Event("wave", a + first, a + last, named, numbers))
    return _both_sides(events, g.s(1.0))


def claps(g: Signals) -> list[Event]:
    """Hands that meet before the body again and again, seen from the front or from behind."""
    apart = bridged(np.linalg.norm(g.between("left_wrist", "right_wrist"), axis=1))
    if not np.isfinite(apart).all():
        return []
    # Side on the hands hide each other and always seem to meet.
    frontal = np.abs(g.facing) > 0.5
    high = np.fmax(g.wrist_up("left"), g.wrist_up("right"))
    level = np.abs(g.wrist_up("left") - g.wrist_up("right")) < 0.12
    turns = swings(apart, 0.05)
    meet = [
        t
        for i, t in enumerate(turns)
        if apart[t] < 0.1
        and frontal[t]
        and level[t]
        and -0.27 < high[t] < 0.2
        and any(0 <= i + k < len(turns) and apart[turns[i + k]] > apart[t] + 0.04 for k in (-1, 1))
    ]
    events = []
    for group in grouped(meet, g.s(0.9)):
        if len(group) < 2:
            continue
        near = slice(max(0, group[0] - g.s(0.3)), group[-1] + g.s(0.3) + 1)
        # Both hands move alike: one that passes a resting one does not clap.
        left, right = (
            bridged(((g.xy[f"{s}_wrist"] - g.neck)[near, 0]) / g.scale[near]) for s in SIDES
        )
        middle, width = float(np.std((left + right) / 2)), float(np.std(left - right))
        if middle < 0.3 * width:
            numbers = {"times": float(len(group)), "closest_bh": float(apart[group].min())}
            events.append(Event("clap", group[0], group[-1], numbers=numbers))
    return events


def grouped(frames: list[int], gap: int) -> list[list[int]]:
    """Frames in groups whose neighbours are at most ``gap`` apart."""
    groups: list[list[int]] = []
    for t in frames:
        if groups and t - groups[-1][-1] <= gap:
            groups[-1].append(t)
        else:
            groups.append([t])
    return groups


def punches(g: Signals) -> list[Event]:
    """A fist held at shoulder height shoots out and comes back.

    Seen from the side the hand goes away from the shoulder; at other angles the elbow opens
    while both fists are up. A punch straight at the camera shows neither, and is not told.
    """
    events = []
    for side, other in (SIDES, SIDES[::-1]):
        reach, away, opens = _arm(g, side)
        _, twin_away, twin_opens = _arm(g, other)
        guard = np.fmin(g.wrist_up(side), g.wrist_up(other)) > -0.17
        fast = [(a, b, away, 0.08, 0.06) for a, b in bouts(_pace(g, away), 0.6, 0.12, 2)]
        fast += [(a, b, opens, 45.0, 30.0) for a, b in bouts(_pace(g, opens), 250.0, 60.0, 2)]
        found: list[Event] = []
        for a, b, signal, out, back in fast:
            start, end = max(0, a - g.s(0.05)), min(b + g.s(0.05), g.frames - 1)
            high = g.wrist_up(side)[[start, end]]
            after = signal[end : end + g.s(0.6)]
            if not np.isfinite([*high, *signal[[start, end]]]).all() or high[0] < -0.17:
                continue
            if signal[end] - signal[start] < out or signal[end] - np.nanmin(after) < back:
                continue
            if abs(high[1]) > 0.12 or np.linalg.norm(reach[end] - reach[start]) < 0.05:
                continue
            # An angle alone is a weak sign: the fists must be up, the arm long enough to have one.
            if signal is opens and not (guard[start] and away[end] > 0.09):
                continue
            if opens[start] > 125 or (signal is away and away[end] < 0.2):
                continue
            twin = twin_opens if signal is opens else twin_away
            if twin[end] - twin[start] > 0.5 * (signal[end] - signal[start]):
                continue  # both arms together
            named = certain_side(g, side, ("shoulder", "elbow", "wrist"), start, end)
            numbers = {"reach_bh": float(away[end]), "elbow_deg": float(opens[end])}
            event = Event("punch", start, end, named, numbers)
            if not any(event.overlap(known) > 0 for known in found):
                found.append(event)
        events += found
    return events


def _arm(g: Signals, side: str) -> tuple[F64, F64, F64]:
    """Shoulder to wrist [F, 2], its length in body heights, and the elbow's angle in degrees."""
    reach = g.between(f"{side}_shoulder", f"{side}_wrist")
    elbow = g.joint_angle(f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist")
    soft = 0.02 * g.fps
    return reach, smooth(np.linalg.norm(reach, axis=1), soft), smooth(elbow, soft)


def _pace(g: Signals, signal: F64) -> F64:
    return np.gradient(signal) * g.fps


def throws(g: Signals) -> list[Event]:
    """One hand goes from beside the head fast to the front and down while the elbow opens."""
    events = []
    for side in SIDES:
        high = smooth(g.wrist_up(side), 0.03 * g.fps)
        reach = g.xy[f"{side}_wrist"] - g.xy[f"{side}_shoulder"]
        speed = np.linalg.norm(g.velocity(reach, 0.04), axis=1)
        elbow = g.joint_angle(f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist")
        for a, b in bouts(speed, 0.75, 0.3, 2):
            loaded = slice(max(0, a - g.s(0.3)), a + 1)
            after = slice(b, min(b + g.s(0.15), g.frames - 1) + 1)
            if b - a > g.s(0.5) or not np.isfinite(high[loaded]).any():
                continue
            if np.nanmax(high[loaded]) < 0.04 or np.nanmean(high[after]) > -0.02:
                continue
            if not (np.isfinite(elbow[loaded]).any() and np.isfinite(elbow[after]).any()):
                continue
            opens = np.nanmin(elbow[loaded]) < 120 and np.nanmax(elbow[after]) > 140
            if not opens or np.nanmean(high[after]) < -0.22:
                continue
            numbers = {
                "speed_bh_s": float(np.nanmax(speed[a : b + 1])),
                "elbow_deg": float(np.nanmin(elbow[loaded])),
            }
            named = certain_side(g, side, ("shoulder", "elbow", "wrist"), a, b)
            events.append(Event("throw", max(0, a - g.s(0.6)), b + g.s(0.3), named, numbers))
    return events


def kicks(g: Signals) -> list[Event]:
    """One foot swings up with the leg stretched while the other stands."""
    events = []
    for side, other in (SIDES, SIDES[::-1]):
        foot, stands = g.up(f"{side}_ankle"), g.up(f"{other}_ankle")
        thigh = g.between(f"{side}_hip", f"{side}_knee")
        shin = g.between(f"{side}_knee", f"{side}_ankle")
        lifted = smooth(foot - stands, 0.03 * g.fps)
        for a, b in bouts(lifted, 0.2, 0.05, g.s(0.12)):
            top = a + int(np.nanargmax(lifted[a : b + 1]))
            if b - a + 1 > g.s(1.6) or not stands[top] < 0.08:
                continue
            speed = np.linalg.norm(g.velocity(g.xy[f"{side}_ankle"], 0.04)[a : b + 1], axis=1)
            # A lifted knee carries the foot below it; a kick brings the foot up to the knee.
            numbers = {
                "foot_bh": float(lifted[top]),
                "speed_bh_s": float(np.nanmax(speed)),
                "shin_drop_bh": float(-shin[top, 1]),
                "thigh_drop_bh": float(-thigh[top, 1]),
            }
            if numbers["speed_bh_s"] < 0.9 or numbers["shin_drop_bh"] > 0.2:
                continue
            if numbers["thigh_drop_bh"] > 0.13:
                continue
            named = certain_side(g, side, ("hip", "knee", "ankle"), a, b)
            events.append(Event("kick", a, b, named, numbers))
    return events


def balances(g: Signals) -> list[Event]:
    """Stands on one leg for at least a second; the side is that of the standing leg."""
    events = []
    for side, other in (SIDES, SIDES[::-1]):
        lifted = smooth(g.up(f"{other}_ankle") - g.up(f"{side}_ankle"), 0.05 * g.fps)
        for a, b in bouts(lifted, 0.09, 0.06, g.s(1.0)):
            if _steady(g, side, a, b):
                named = certain_side(g, side, ("hip", "knee", "ankle"), a, b)
                numbers = {"foot_bh": float(lifted[a : b + 1].max())}
                events.append(Event("stand-on-leg", a, b, named, numbers))
    return events


def _steady(g: Signals, side: str, a: int, b: int) -> bool:
    foot: F64 = g.xy[f"{side}_ankle"][a : b + 1]
    spread = np.nanpercentile(foot, 95, axis=0) - np.nanpercentile(foot, 5, axis=0)
    return bool(np.linalg.norm(spread) / np.nanmean(g.scale[a : b + 1]) < 0.06)
