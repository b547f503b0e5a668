"""Holds the motion words of a caption against the keypoints.

Only what cannot be is contradicted: somebody who jumps leaves the ground or at least goes up and
down; somebody who walks moves the legs; who stands still does not cross the picture all the
time. Each rule has a wide margin, since a caption may tell of a moment and keypoints are noisy.
"""

from __future__ import annotations

import math

from motionkit.backends.kinematics import Evidence, LimbEvidence
from motionkit.stages._audit_claims import MotionClaim
from motionkit.stages._audit_sides import as_json
from motionkit.stages._audit_text import Found

#: Share of the frames in which arms or legs must be seen to be judged.
SEEN = 0.6


def motion_finding(claim: MotionClaim, e: Evidence) -> Found | None:
    """``motion-contradicted`` with the value that decided, or None."""
    value = _against(claim.motion, e)
    if value is None:
        return None
    name, measured = value
    about = {"says": claim.words, "motion": claim.motion, "measure": name}
    return "motion-contradicted", round(measured, 3), as_json(about)


def _against(motion: str, e: Evidence) -> tuple[str, float] | None:
    if motion in ("still", "spin"):
        return _of_the_body(motion, e)
    if motion in ("jump", "sit"):
        return _of_the_body(motion, e) if max(e.seen("leg")) >= SEEN else None
    if motion in ("run", "walk", "kick", "move"):
        return _of_the_body(motion, e) if min(e.seen("leg")) >= SEEN else None
    return _of_the_arms(motion, list(e.arms.values())) if min(e.seen("arm")) >= SEEN else None


def _of_the_body(motion: str, e: Evidence) -> tuple[str, float] | None:
    if motion == "jump" and e.rises.bob < 0.04 and e.rises.hop < 0.03:
        return "rise of the hips, bh", e.rises.bob
    if motion == "run" and e.leg_stir < 0.12 and _going(e) < 0.25:
        return "speed of the legs, bh/s", e.leg_stir
    if motion == "walk" and e.leg_stir < 0.09 and _going(e) < 0.2:
        return "speed of the legs, bh/s", e.leg_stir
    if motion == "still" and e.travel.rest_speed > 0.35 and _going(e) > 0.8:
        return "slowest half second of the hips, bh/s", e.travel.rest_speed
    if motion == "sit":
        low = e.posture
        if low.sink < 0.1 and low.knee_deg > 150 and low.upright > 0.85:
            return "drop of the hips", low.sink
    if motion == "kick":
        legs = e.legs.values()
        top, speed = max(leg.top for leg in legs), max(leg.speed for leg in legs)
        if top < 0.06 and speed < 0.4:
            return "height of a foot over the other, bh", top
    if motion == "spin":
        turns = e.turns
        if turns.turned_range < 12 and not max(turns.turned_left, turns.turned_right) > 45:
            return "range of directions, degrees", turns.turned_range
    if motion == "move" and e.stir < 0.05 and _going(e) < 0.1:
        return "speed of the busiest limb, bh/s", e.stir
    return None


def _going(e: Evidence) -> float:
    return max(e.travel.net, e.travel.hip_path)


def _of_the_arms(motion: str, arms: list[LimbEvidence]) -> tuple[str, float] | None:
    tops = [arm.top for arm in arms]
    rises = [arm.rise for arm in arms]
    if not all(math.isfinite(value) for value in tops):
        return None
    if motion == "raise-arms" and min(tops) < -0.22 and min(rises) < 0.06:
        return "height of the lower wrist over its shoulder, bh", min(tops)
    if motion in ("raise-arm", "wave") and max(tops) < -0.2 and max(rises) < 0.06:
        return "height of a wrist over its shoulder, bh", max(tops)
    speed = max(arm.speed for arm in arms)
    # A raised hand that waves with its fingers hardly moves the wrist.
    if motion == "punch" and speed < 0.2:
        return "fastest wrist, bh/s", speed
    return None
