"""Captions that are true of a motion in three dimensions, by rules that know nothing of the audit:
which hand is raised, which arm moves more, which foot is lifted or steps, in several wordings."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.skeleton import JOINT

Float = NDArray[np.float64]

#: What is true → how people say it. {s} is the side, {p} a possessive.
WORDINGS: dict[str, tuple[str, ...]] = {
    "raise": (
        "A person raises the {s} arm.",
        "the person lifts {p} {s} hand",
        "The {s} hand goes up and comes down again.",
        "A person standing upright raises {p} {s} hand above shoulder height, then lowers it.",
        "someone moves, with the {s} arm raised",
    ),
    "wave": (
        "A person waves the {s} hand.",
        "the {s} hand waves",
        "Standing in place, the person is waving with {p} {s} hand.",
        "a person waves hello with the {s} arm",
    ),
    "move": (
        "A person gestures with the {s} hand.",
        "the person moves {p} {s} arm",
        "the {s} arm swings while the other one hardly moves",
        "A person makes a gesture, using {p} {s} hand.",
    ),
    "kick": (
        "A person kicks with {p} {s} leg.",
        "the {s} foot is lifted off the ground",
        "lifts the {s} leg and puts it down again",
        "A person lifts {p} {s} knee.",
    ),
    "step": (
        "A person steps with the {s} foot.",
        "the person takes a step forward with {p} {s} foot",
        "the {s} leg steps aside",
    ),
    "side-step": (
        "A person walks sideways to {p} {s}.",
        "the person side-steps towards {p} own {s}",
    ),
    "turn": ("A person turns to {p} {s}.", "the person is turning to {p} own {s} while moving"),
}
#: True of both sides, or of none: must not be flagged, and has nothing to swap.
BOTH: dict[str, tuple[str, ...]] = {
    "raise": ("A person raises both arms.", "the left arm and the right arm go up",
              "lifts the left hand, then the right hand"),
    "walk": ("A person walks.", "the person steps with the left foot, then with the right foot"),
    "quiet": ("A person stands and moves a little.",),
}  # fmt: skip
_PRONOUNS = ("his", "her", "their")


@dataclasses.dataclass(frozen=True)
class TrueCaption:
    """A caption and the fact it states; ``side`` is '' where it names none or both."""

    fact: str
    side: str
    text: str


def true_captions(joints: Float, world: Float, fps: float, number: int) -> list[TrueCaption]:
    """Captions of every fact of joints [F, 24, 3] (metres, y up); ``number`` chooses pronouns."""
    found = []
    sided, both = facts(joints, world, fps)
    for fact, side in sided:
        for k, text in enumerate(WORDINGS[fact]):
            words = text.format(s=side, p=_PRONOUNS[(number + k) % len(_PRONOUNS)])
            found.append(TrueCaption(fact, side, words))
    found += [TrueCaption(fact, "", text) for fact in both for text in BOTH[fact]]
    return found


def facts(joints: Float, world: Float, fps: float) -> tuple[list[tuple[str, str]], list[str]]:
    """(fact, side) that one side clearly does, and facts of both sides. Metres and seconds."""
    at = {name: joints[:, j] for name, j in JOINT.items()}
    tops, rises, ways, lifts, grounds = {}, {}, {}, {}, {}
    for side, other in (("left", "right"), ("right", "left")):
        hand = at[f"{side}_wrist"] - at[f"{side}_shoulder"]
        tops[side] = np.percentile(hand[:, 1], 95)
        rises[side] = tops[side] - np.percentile(hand[:, 1], 5)
        ways[side] = _way(hand, fps)
        lift = at[f"{side}_ankle"][:, 1] - at[f"{other}_ankle"][:, 1]
        lifts[side] = np.percentile(lift, 96)
        grounds[side] = _way(at[f"{side}_ankle"], fps)
    sided: list[tuple[str, str]] = []
    for a, b in (("left", "right"), ("right", "left")):
        raised = tops[a] > -0.05 and rises[a] > 0.3 and tops[b] < tops[a] - 0.3 and tops[b] < -0.25
        busy = ways[a] > 0.8 and ways[a] > 2.5 * ways[b]
        if raised:
            sided.append(("raise", a))
        if raised and busy and ways[a] > 2.5:
            sided.append(("wave", a))
        if busy:
            sided.append(("move", a))
        if lifts[a] > 0.3 and lifts[b] < 0.5 * lifts[a]:
            sided.append(("kick", a))
        if grounds[a] > 0.35 and grounds[b] < 0.1:
            sided.append(("step", a))
    sided += _ways_and_turns(at["pelvis"], world[:, JOINT["pelvis"]], fps)
    both = []
    if min(tops.values()) > -0.02 and min(rises.values()) > 0.4:
        both.append("raise")
    if np.linalg.norm(at["pelvis"][-1, [0, 2]] - at["pelvis"][0, [0, 2]]) > 1.2:
        both.append("walk")
    if not sided and not both and min(ways.values()) > 0.1:
        both.append("quiet")
    return sided, both


def _ways_and_turns(pelvis: Float, world: Float, fps: float) -> list[tuple[str, str]]:
    """Side steps and turns of the whole body, to the person's own side."""
    front = world[:, :, 2]
    yaw = np.degrees(np.unwrap(np.arctan2(front[:, 0], front[:, 2])))
    turned = float(yaw[-1] - yaw[0])
    step = np.diff(pelvis, axis=0) * fps
    leftward = float((step * world[:-1, :, 0]).sum(1).mean() * len(step) / fps)
    forward = float((step * front[:-1]).sum(1).mean() * len(step) / fps)
    found = []
    if abs(leftward) > 0.8 and abs(leftward) > 2.5 * abs(forward) and abs(turned) < 40:
        found.append(("side-step", "left" if leftward > 0 else "right"))
    if abs(turned) > 70:
        found.append(("turn", "left" if turned > 0 else "right"))
    return found


def _way(points: Float, fps: float) -> float:
    """Length of the way of points [F, 3], metres, over 1/6 s means, without 0.15 m/s of sway."""
    width = max(1, round(fps / 6))
    kernel = np.ones(width) / width
    soft = np.stack([np.convolve(points[:, k], kernel, "valid") for k in range(3)], 1)
    if len(soft) < 2:
        return 0.0
    speed = np.linalg.norm(np.diff(soft, axis=0), axis=1) * fps
    return float(np.maximum(speed - 0.15, 0).sum() / fps)
