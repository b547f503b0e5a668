"""Holds what a caption says of left and right against the keypoints.

A limb's side is the person's own, in captions as in keypoints. A claim is contradicted where

- both limbs were seen and the other one clearly did more of what is claimed, or
- the claimed limb was hidden and the other one surely did it, or
- the other limb was hidden and the claimed one surely did not do it.

For a way or a turn "to the left" can be the person's own or the picture's. Where the words do
not say whose, ``directions`` does; with 'either', both readings must fail.
"""

from __future__ import annotations

import json
import math
from typing import Any

from motionkit.backends.kinematics import Evidence, LimbEvidence
from motionkit.stages._audit_claims import LimbClaim, WayClaim
from motionkit.stages._audit_text import Found

OTHER = {"left": "right", "right": "left"}

#: Share of the frames in which a limb must be seen to be judged by; below it is hidden.
SEEN = 0.5
#: manner → (measure, nothing, one): how much of it a limb does is the largest of its measures,
#: each scaled so that ``nothing`` becomes 0 and ``one``, a plain case of it, becomes 1.
SCALES: dict[str, tuple[tuple[str, float, float], ...]] = {
    "raise": (("top", -0.22, -0.08), ("rise", 0.05, 0.18)),
    "extend": (("out", 0.1, 0.22), ("rise", 0.05, 0.18)),
    "move": (("path", 0.0, 0.35), ("rise", 0.05, 0.18)),
    "way": (("path", 0.0, 0.35),),
    "act": (("path", 0.0, 0.35), ("rise", 0.05, 0.18), ("out", 0.12, 0.27)),
    "act leg": (("top", 0.0, 0.14), ("ground", 0.0, 0.16)),
    "kick": (("top", 0.0, 0.14),),
    "step": (("ground", 0.0, 0.16),),
    "support": (("top", 0.0, 0.1),),
}
#: The other limb did it from here on, seen beside the claimed one and by itself; the claimed one
#: did not below this share of the other (and this much), or, by itself, below this.
DID, DID_ALONE = 0.6, 1.0
SHARE, MOST, DID_NOT = 0.5, 1.5, 0.6
#: A small movement tells, too, where the claimed limb is next to still.
STIRS, STIRS_NOT, STIRS_SHARE = 0.22, 0.3, 0.4
#: What moves a little beside a hidden limb proves less.
MOVED_ALONE = 1.5
#: How a limb acts when the words only say that it does.
_MOVING = ("move", "act")
#: The same where the caption also names the other limb, or tells of one moment.
DID_NOT_AT_ALL = 0.35

#: Body heights that a way must have to support or contradict a side, and degrees of a turn.
GOES, GOES_NOT = 0.35, 0.12
TURNS, TURNS_NOT = 40.0, 30.0
#: A turn to the other side leaves so much to the claimed one: its share, and degrees.
TURNS_BACK, TURNS_MOST = 0.5, 60.0
#: Degrees of a turn that is a way of its own.
CURVES, CURVES_SURELY = 60.0, 75.0
#: A way aside that no turn makes doubtful.
GOES_SURELY = 1.0


def limb_finding(claim: LimbClaim, e: Evidence, *, alone: bool = True) -> Found | None:
    """``side-contradicted`` with how much of it the claimed limb did, or None.

    ``alone``: the caption says nothing of the other limb. Where it does, both may act, and a
    hidden limb proves nothing."""
    if claim.manner == "act" and not alone:
        return None
    limbs = e.arms if claim.limb == "arm" else e.legs
    # Who stands on the left leg lifts the right one.
    side = OTHER[claim.side] if claim.manner == "support" else claim.side
    claimed, other = limbs[side], limbs[OTHER[side]]
    manner = "act leg" if (claim.limb, claim.manner) == ("leg", "act") else claim.manner
    did, others = (_amount(manner, limb) for limb in (claimed, other))
    seen = (claimed.seen >= SEEN, other.seen >= SEEN)
    if seen == (True, True):
        wrong = others >= DID and did <= min(SHARE * others, MOST)
        if claim.manner == "move":
            for kind in ("move", "way"):
                mine, theirs = (_amount(kind, limb) for limb in (claimed, other))
                wrong |= theirs >= STIRS and mine <= min(STIRS_SHARE * theirs, STIRS_NOT)
        if claim.manner == "support" or not alone:  # at one time this limb, at another that
            wrong = wrong and did <= DID_NOT_AT_ALL
    elif seen == (False, True):
        wrong = alone and others >= (MOVED_ALONE if claim.manner in _MOVING else DID_ALONE)
    elif seen == (True, False):
        wrong = alone and did <= DID_NOT
    else:
        wrong = False
    if not wrong:
        return None
    about: dict[str, Any] = {"says": f"{claim.side} {claim.limb}", "words": claim.words}
    about["manner"] = claim.manner
    about["hidden"] = {(True, True): "", (False, True): "claimed", (True, False): "other"}[seen]
    about["other"] = round(others, 2) if seen[1] else None
    return "side-contradicted", round(did, 2) if seen[0] else None, as_json(about)


def _amount(manner: str, limb: LimbEvidence) -> float:
    """How much of what is claimed a limb did: 0 nothing, 1 plainly; nan where nothing is known."""
    amounts = [
        (getattr(limb, name) - nothing) / (one - nothing) for name, nothing, one in SCALES[manner]
    ]
    known = [value for value in amounts if math.isfinite(value)]
    return max(0.0, *known) if known else float("nan")


def way_finding(claim: WayClaim, e: Evidence, directions: str) -> Found | None:
    """``direction-contradicted``, or None. ``directions``: 'either', 'own' or 'picture' for words
    that do not say whose left they mean."""
    frame = claim.frame
    if frame == "open":
        frame = {"either": "open", "own": "own", "picture": "picture"}[directions]
    readings = []
    if frame in ("own", "open"):
        readings += _own(claim, e)
    if frame in ("picture", "open"):
        readings.append(_picture(claim, e))
    known = [value for value in readings if math.isfinite(value)]
    # Each reading: above 0 it holds, below it fails, 0 it is silent.
    if not known or max(known) > 0 or not min(known) < 0:
        return None
    about = {"says": claim.side, "kind": claim.kind, "of": claim.frame, "words": claim.words}
    return "direction-contradicted", round(min(known), 2), as_json(about)


def _own(claim: WayClaim, e: Evidence) -> list[float]:
    """Readings of the person's own side."""
    sign = 1 if claim.side == "left" else -1
    mine, other = (e.turns.turned_left, e.turns.turned_right)[::sign]
    if claim.kind == "turn":
        if other >= TURNS and mine < max(TURNS_NOT, min(TURNS_BACK * other, TURNS_MOST)):
            return [-other]
        return [_verdict(sign, e.turns.turned_left, e.turns.turned_right, TURNS, TURNS_NOT)]
    way = _verdict(sign, e.travel.own_left, e.travel.own_right, GOES, GOES_NOT)
    if claim.kind == "side-step":
        return [way]
    # Who turns left and walks on goes to the left, too, and not to the right; a walk with a turn
    # looks like a small way aside.
    if mine - other > CURVES:
        return [way, 1.0]
    if other - mine > (CURVES if way == 0 else CURVES_SURELY) and mine < TURNS_NOT:
        return [-other] if not way >= GOES_SURELY else [0.0]
    return [way]


def _picture(claim: WayClaim, e: Evidence) -> float:
    sign = 1 if claim.side == "left" else -1
    way = _verdict(sign, e.travel.leftward, e.travel.rightward, GOES, GOES_NOT)
    if claim.kind != "turn":
        return way
    # Somebody turns to where they then look or go.
    ends, began = e.turns.ends_aside, e.turns.began_aside
    if not math.isfinite(ends):
        return way
    already = max(0.0, -sign * began) if math.isfinite(began) else 0.0
    looks = -sign * ends - 0.5 * already
    if looks > 0.3 or way > 0:
        return max(looks, way)
    return -1.0 if looks < -0.3 else min(way, 0.0)


def _verdict(sign: int, left: float, right: float, least: float, most: float) -> float:
    """Above 0 where the claimed side was taken, below where only the other one was."""
    if not (math.isfinite(left) and math.isfinite(right)):
        return float("nan")
    mine, other = (left, right) if sign > 0 else (right, left)
    if mine >= least or (mine > most and mine > 0.5 * other):
        return mine
    return -other if other >= least and mine < max(most, 0.25 * other) else 0.0


def as_json(value: dict[str, Any]) -> str:
    """A finding's detail, without what is empty."""
    kept = {key: one for key, one in value.items() if one not in ("", None)}
    return json.dumps(kept, sort_keys=True, ensure_ascii=False)
