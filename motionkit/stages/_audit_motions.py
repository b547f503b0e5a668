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
    arms, legs = list(e.arms.values()), list(e.legs.values())
    seen = [leg.seen >= SEEN for leg in legs]
    if motion in ("still", "spin") or (motion in ("jump", "sit") and any(seen)):
        return _of_the_body(motion, e, legs)
    if motion in ("run", "walk", "kick", "move"):
        return _of_the_body(motion, e, legs) if all(seen) else None
    if not all(arm.seen >= SEEN for arm in arms):
        return None
    return _of_the_arms(motion, arms)


def _of_the_body(motion: str, e: Evidence, legs: list[LimbEvidence]) -> tuple[str, float] | None:
    going = max(e.net, e.hip_path)
    if motion == "jump" and e.bob < 0.04 and e.hop < 0.03:
        return "rise of the hips, bh", e.bob
    if motion == "run" and going < 0.25 and e.leg_stir < 0.12:
        return "speed of the legs, bh/s", e.leg_stir
    if motion == "walk" and going < 0.2 and e.leg_stir < 0.09:
        return "speed of the legs, bh/s", e.leg_stir
    if motion == "still" and e.rest_speed > 0.35 and going > 0.8:
        return "slowest half second of the hips, bh/s", e.rest_speed
    if motion == "sit" and e.sink < 0.1 and e.knee_deg > 150 and e.upright > 0.85:
        return "drop of the hips", e.sink
    if motion == "kick":
        top, speed = max(leg.top for leg in legs), max(leg.speed for leg in legs)
        if top < 0.06 and speed < 0.4:
            return "height of a foot over the other, bh", top
    if motion == "spin" and e.turned_range < 12 and not max(e.turned_left, e.turned_right) > 45:
        return "range of directions, degrees", e.turned_range
    if motion == "move" and e.stir < 0.05 and going < 0.1:
        return "speed of the busiest limb, bh/s", e.stir
    return None


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
