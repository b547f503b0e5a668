"""From events to one sentence: which rules win where they overlap, and how it is worded.

Wording: "their left" and "the left arm" are the person's own left; "the left of the picture" is
the viewer's. The two are never mixed, and a side that is not certain is not named.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionkit.backends.kinematics import body, limbs, travel
from motionkit.backends.kinematics.events import Event, swings
from motionkit.backends.kinematics.signals import Signals, bridged, measure

#: Raised whenever other words or rules give another caption.
RULES_VERSION = 1
#: Most things one caption tells, in the order they happen.
MOST_PHRASES = 4

#: label → labels that it explains: where the two overlap by half, the second is not told.
#: Never both ways, or neither would be told.
EXPLAINS: dict[str, tuple[str, ...]] = {
    "jumping-jacks": (
        "jump", "raise-arm", "lower-arm", "wave", "clap", "throw", "punch", "step-in-place",
        "march", "jog-in-place", "squat", "hold-arm-up", "lunge", "bend-knees",
    ),
    "walk": (
        "clap", "turn", "jump", "kick", "march", "jog-in-place", "step-in-place", "stand-on-leg",
        "punch",
    ),
    "run": (
        "turn", "jump", "kick", "march", "jog-in-place", "step-in-place", "stand-on-leg", "punch",
        "throw", "clap", "raise-arm",
    ),
    "side-step": (
        "clap", "jump", "lunge", "squat", "march", "jog-in-place", "step-in-place", "kick",
        "stand-on-leg", "bend-knees",
    ),
    "jog-in-place": (
        "jump", "kick", "stand-on-leg", "turn", "punch", "clap", "squat", "bend-knees",
    ),
    "march": ("clap", "jump", "kick", "stand-on-leg", "turn", "punch", "squat", "bend-knees"),
    "jump": (
        "raise-arm", "lower-arm", "squat", "throw", "punch", "bow", "bend", "kick", "turn",
        "bend-knees",
    ),
    "reach-down": (
        "walk", "squat", "lunge", "bow", "bend", "raise-arm", "lower-arm", "punch", "turn",
        "bend-knees",
    ),
    "squat": (
        "walk", "hands-on-hips", "bow", "bend", "raise-arm", "lower-arm", "punch", "turn",
        "step-in-place",
    ),
    "lunge": (
        "hands-on-hips", "bow", "bend", "raise-arm", "step-in-place", "march", "walk", "turn",
        "stand-on-leg", "bend-knees",
    ),
    "sit-down": ("walk", "bow", "bend", "squat", "turn", "raise-arm", "bend-knees"),
    "stand-up": (
        "walk", "bow", "bend", "squat", "turn", "raise-arm", "bend-knees", "straighten-up",
    ),
    "kick": (
        "stand-on-leg", "raise-arm", "step-in-place", "turn", "punch", "throw", "bend", "lunge",
    ),
    "wave": ("raise-arm", "lower-arm", "hold-arm-up"),
    "clap": ("raise-arm", "lower-arm", "throw"),
    "throw": ("twist", "raise-arm", "lower-arm", "punch", "turn", "wave"),
    "punch": ("wave", "clap", "raise-arm", "lower-arm", "turn", "hold-arm-up"),
    "bow": ("walk", "raise-arm", "lower-arm", "throw", "punch"),
    "reach-feet": ("walk", "raise-arm", "lower-arm", "throw", "punch", "bow", "bend"),
    "bend": ("raise-arm", "lower-arm"),
    "stand-on-leg": ("step-in-place",),
    "twist": ("look-around", "turn", "punch"),
    "turn": ("look-around", "step-in-place", "bend-knees"),
    "straighten-up": ("walk", "raise-arm", "lower-arm", "punch", "throw"),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Description:
    """``text`` is None where nothing is certain; ``detail`` names the rules and numbers."""

    text: str | None
    detail: dict[str, Any]


def describe(m2d: NDArray[np.floating], fps: float = 30.0) -> Description:
    """What the keypoints M_2D [F, 18, 3] (pixels, confidence) show, as one English sentence.

    Says nothing (``text`` None) for clips under half a second, or where torso and legs were
    hardly seen.
    """
    detail: dict[str, Any] = {"rules_version": RULES_VERSION, "events": []}
    if len(m2d) < max(5, round(0.5 * fps)):
        return Description(None, detail)
    g = measure(m2d, fps)
    known = np.isfinite(g.hip[:, 0] + g.neck[:, 0] + g.floor + g.scale)
    if known.mean() < 0.6:
        return Description(None, detail)
    told = sorted(chosen(detect(g)), key=lambda e: (e.a, e.label, e.side))
    if not told:
        quiet = body.stillness(g) or body.standing(g)
        told = [quiet] if quiet else []
    detail["events"] = [
        {
            "rule": e.label,
            "t0_s": round(float(e.a / fps), 3),
            "t1_s": round(float(e.b / fps), 3),
            **({"side": e.side} if e.side else {}),
            **{k: round(float(v), 3) for k, v in e.numbers.items()},
        }
        for e in told
    ]
    phrases = _phrases(told)
    if phrases and told[0].label != "stand":
        return Description(f"a person {_sentence(phrases[:MOST_PHRASES])}", detail)
    parts = body.busy_parts(g)
    detail["speeds_bh_s"] = {k: round(float(v), 3) for k, v in parts.items() if np.isfinite(v)}
    vague = _vaguely(parts)
    if vague is None and phrases:
        vague = f"a person {phrases[0]}"
    return Description(vague, detail)


def detect(g: Signals) -> list[Event]:
    """All events of all detectors, overlapping or not."""
    events = [*travel.travel(g), *travel.on_the_spot(g), *travel.turns(g)]
    events += travel.twists(g)
    events += [*body.jumps(g), *body.crouches(g), *body.bends(g)]
    events += [*limbs.raises(g), *limbs.waves(g), *limbs.claps(g), *limbs.punches(g)]
    events += [*limbs.throws(g), *limbs.kicks(g), *limbs.balances(g)]
    events += [*body.head_turns(g), *body.hands_on_hips(g), *jumping_jacks(g)]
    return events


def jumping_jacks(g: Signals) -> list[Event]:
    """Arms and feet that open and close together, at least twice."""
    hands = bridged(np.minimum(g.wrist_up("left"), g.wrist_up("right")))
    feet = bridged(np.abs(g.between("left_ankle", "right_ankle")[:, 0]))
    if not np.isfinite(hands + feet).all():
        return []
    up = [t for t in swings(hands, 0.3) if hands[t] > 0.05]
    found = []
    for group in limbs.grouped(up, g.s(1.8)):
        if len(group) < 2:
            continue
        a, b = group[0], group[-1]
        spread = float(np.corrcoef(hands[a : b + 1], feet[a : b + 1])[0, 1])
        wide = float(np.ptp(feet[a : b + 1]))
        if spread > 0.6 and wide > 0.12:
            a, b = max(0, a - g.s(0.4)), min(g.frames - 1, b + g.s(0.4))
            numbers = {"times": float(len(group)), "together": spread, "feet_bh": wide}
            found.append(Event("jumping-jacks", a, b, numbers=numbers))
    return found


def chosen(events: list[Event]) -> list[Event]:
    """Events without those that another one explains."""
    kept = []
    for event in events:
        explained = any(
            event.label in EXPLAINS.get(other.label, ()) and other.overlap(event) >= 0.5
            for other in events
            if other is not event and not _means_something(event, other)
        )
        if not explained:
            kept.append(event)
    return kept


def _means_something(event: Event, other: Event) -> bool:
    """An arm over the head is told beside a squat, and one arm alone beside a jump: for balance
    arms come to shoulder height, and for a jump both swing up."""
    if event.label != "raise-arm" or event.numbers["top_bh"] <= limbs.OVERHEAD:
        return False
    return other.label == "squat" or (other.label == "jump" and event.side != "both")


def _phrases(events: list[Event]) -> list[str]:
    """One phrase for each event, the same thing several times counted in one."""
    phrases: list[str] = []
    i = 0
    while i < len(events):
        same = [events[i]]
        while i + len(same) < len(events):
            following = events[i + len(same)]
            if following.label != same[0].label or not _countable(same[0], following):
                break
            same.append(following)
        phrase = _phrase(same)
        if phrase and (not phrases or phrases[-1] != phrase):
            phrases.append(phrase)
        i += len(same)
    return phrases


def _countable(one: Event, other: Event) -> bool:
    if one.label in ("punch", "kick"):
        return True
    return one.label in (
        "jump",
        "squat",
        "lunge",
        "reach-down",
        "reach-feet",
        "bow",
        "throw",
        "raise-arm",
    ) and (one.side == other.side)


def _times(count: int) -> str:
    words = {1: "", 2: " twice", 3: " three times", 4: " four times", 5: " five times"}
    return words.get(count, " several times")


def _arm(side: str, noun: str = "arm") -> str:
    if side == "both":
        return f"both {noun}s"
    return f"the {side} {noun}" if side else f"one {noun}"


def _phrase(same: list[Event]) -> str:
    event, count = same[0], len(same)
    sides = {e.side for e in same}
    side = event.side if len(sides) == 1 else ""
    label = event.label
    if label in ("walk", "run"):
        return _travel_phrase(event)
    if label == "side-step":
        own = "left" if event.numbers["leftward"] > 0 else "right"
        return f"side-steps to their {own}, {_where(event.numbers)}"
    if label == "turn":
        return _turn_phrase(event)
    if label in ("raise-arm", "lower-arm", "hold-arm-up"):
        high = " above the head" if event.numbers["top_bh"] > limbs.OVERHEAD else ""
        if label == "raise-arm":
            return f"raises {_arm(side)}{high}{_times(count)}"
        return f"lowers {_arm(side)}" if label == "lower-arm" else f"holds {_arm(side, 'hand')} up"
    if label == "wave":
        return f"waves {_arm(side, 'hand')}" if side else "waves"
    if label in ("punch", "kick"):
        noun = "fist" if label == "punch" else "leg"
        if sides == {"left", "right"}:
            return f"{label}{'es' if label == 'punch' else 's'} with both {noun}s in turn"
        with_ = f" with the {side} {noun}" if side else ""
        return f"{label}{'es' if label == 'punch' else 's'}{with_}{_times(count)}"
    if label == "throw":
        return f"swings {_arm(side)} forward as in a throw{_times(count)}"
    if label == "stand-on-leg":
        return f"stands on {'the ' + side if side else 'one'} leg"
    plain = {
        "clap": "claps",
        "jumping-jacks": "does jumping jacks",
        "march": "marches in place",
        "jog-in-place": "jogs in place",
        "step-in-place": "steps in place",
        "sit-down": "sits down",
        "stand-up": "stands up",
        "still": "stands almost still",
        "stand": "stands in place",
        "twist": "twists the upper body from side to side",
        "bend": "bends forward",
        "straighten-up": "straightens up",
        "stays-bent": "",
        "look-around": "looks around",
        "hands-on-hips": "holds the hands on the hips",
        "stays-low": "",
    }
    counted = {
        "jump": "jumps",
        "squat": "squats",
        "bend-knees": "bends the knees",
        "lunge": "lunges",
        "reach-down": "reaches down to the floor",
        "reach-feet": "bends down and reaches for the feet",
        "bow": "bows",
    }
    return counted[label] + _times(count) if label in counted else plain[label]


def _travel_phrase(event: Event) -> str:
    n = event.numbers
    verb = {"walk": "walks", "run": "runs"}[event.label]
    back = " backwards" if n["forward"] < -0.7 else ""
    turned = n.get("turned_deg", 0.0)
    if abs(turned) > 75:
        return f"{verb}{back} in a curve to their {'left' if turned > 0 else 'right'}"
    return f"{verb}{back} {_where(n)}"


def _where(n: dict[str, float]) -> str:
    """Direction of travel, as the viewer sees it."""
    dx, dz = n["across_bh"], n["nearer_bh"]
    where = []
    if abs(dz) > 0.5 * abs(dx):
        where.append("towards the camera" if dz > 0 else "away from the camera")
    if abs(dx) > 0.5 * abs(dz):
        where.append(f"to the {'right' if dx > 0 else 'left'} of the picture")
    return " and ".join(where)


def _turn_phrase(event: Event) -> str:
    n = event.numbers
    to = f" to their {event.side}" if event.side else ""
    if abs(n["turned_deg"]) > 300:
        return f"turns all the way round{to}"
    if abs(n["turned_deg"]) > 130 or (not to and n["from"] * n["to"] < -0.5):
        return f"turns around{to}"
    return f"turns{to}" if to else "turns"


def _sentence(phrases: list[str]) -> str:
    if len(phrases) == 1:
        return phrases[0]
    if len(phrases) == 2:
        return f"{phrases[0]}, then {phrases[1]}"
    return f"{', '.join(phrases[:-1])}, then {phrases[-1]}"


def _vaguely(parts: dict[str, float]) -> str | None:
    """What moves, where no rule knows what it is; None where hardly anything does."""
    moving = {name for name, speed in parts.items() if speed > 0.1}
    arms = {"left arm", "right arm"} & moving
    legs = {"left leg", "right leg"} & moving
    if arms and not legs and parts["body"] < 0.08:
        if len(arms) == 2:
            return "a person moves both arms"
        return f"a person moves the {min(arms)}"
    return "a person moves" if moving else None
