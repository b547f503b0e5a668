"""What a caption claims that keypoints can answer: which limb does something, which way somebody
goes or turns, and what kind of motion it is. Words alone; nothing is judged here.

A caption is cut into clauses at stops, commas, "then", "while" and at an "and" before a verb.
What a clause says of another person, denies, intends or compares with is no claim.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Final

from motionkit.stages._audit_words import (
    ARM,
    BESIDE,
    HEDGES,
    LEG,
    MANNERS,
    MOTIONS,
    OBJECTS,
    OTHERS,
    RESTS,
    TRAVELS,
    TURNS,
    VERB,
)


@dataclasses.dataclass(frozen=True)
class LimbClaim:
    """The person's ``side`` 'left' or 'right' ``limb`` 'arm' or 'leg' does something; ``manner``
    is what decides whether it does: raise, extend, move, kick, step or support."""

    side: str
    limb: str
    manner: str
    words: str


@dataclasses.dataclass(frozen=True)
class WayClaim:
    """Goes (``kind`` 'travel') or turns ('turn') to the left or right. ``frame`` says whose left:
    'own', 'picture', or 'open' where the words do not say."""

    side: str
    kind: str
    frame: str
    words: str


@dataclasses.dataclass(frozen=True)
class MotionClaim:
    """A kind of motion: a key of `_audit_words.MOTIONS`."""

    motion: str
    words: str


@dataclasses.dataclass(frozen=True)
class Claims:
    """All claims of a caption, in the order of the text."""

    limbs: tuple[LimbClaim, ...]
    ways: tuple[WayClaim, ...]
    motions: tuple[MotionClaim, ...]
    named: frozenset[tuple[str, str]] = frozenset()
    """(limb, side) of every limb that the caption names, acting or not."""

    def __bool__(self) -> bool:
        return bool(self.limbs or self.ways or self.motions)


_CUT: Final = re.compile(
    r"[.;:!?,()\n]|--|—|\b(?:then|while|whilst|before|after|as|when|until|followed\s+by|but|"
    r"whereas|though|although)\b|\band\b(?=\s+(?:\w+ly\s+)?(?:" + VERB + r")\b)",
    re.IGNORECASE,
)
_LIMB: Final = re.compile(
    rf"\b(?P<side>left|right)(?P<other>\s+(?:and|or)\s+(?:the\s+)?(?:left|right))?[\s-]+"
    rf"(?:(?:upper|lower|front|back|rear|bent|straight|stretched|extended|outstretched|raised)\s+)?"
    rf"(?:(?P<arm>{ARM})|(?P<leg>{LEG}))\b",
    re.IGNORECASE,
)
#: What is touched or pointed at is no limb that acts: on the left shoulder, towards the right foot.
_TARGET: Final = re.compile(
    r"(?:\b(?:on|onto|to|toward|towards|at|of|near|over|across|against|behind|under|beneath|"
    r"above|below|past|around|from|into|beside|in)\s+(?:top\s+of\s+)?(?:(?:the|his|her|their|its|"
    r"one's|a)\s+)?(?:own\s+)?)$",
    re.IGNORECASE,
)
_TOUCHED: Final = re.compile(
    rf"\b(?:{OBJECTS})\s+(?:(?:the|his|her|their|its)\s+)?(?:own\s+)?$", re.IGNORECASE
)
_SUPPORT: Final = re.compile(
    r"\b(?:stand(?:s|ing)?|balanc(?:e|es|ing)|hop(?:s|ping)?|jump(?:s|ing)?|land(?:s|ing)?)\b"
    r"[^.,;]{0,24}\bon\s+(?:only\s+)?(?:(?:the|his|her|their|its)\s+)?(?:own\s+)?$",
    re.IGNORECASE,
)
_WAY: Final = re.compile(
    r"\b(?:(?:from\s+(?:the\s+)?(?P<start>left|right)\s+)?to(?:wards?)?\s+(?P<article>the\s+|his\s+|"
    r"her\s+|their\s+|its\s+)?(?P<own>own\s+)?(?P<side>left|right)(?:[\s-]+(?:hand\s+)?side)?"
    r"(?P<tail>\s+(?:side\s+)?of\s+the\s+(?:picture|frame|screen|image|camera|view|video|scene|"
    r"shot|room|court|stage|field)|\s+edge)?"
    r"|(?P<bare>left|right)(?P<wards>wards?)?(?=\s*$|\s+(?:in|and|with|at|across|along|several|once|"
    r"twice|for|again|quickly|slowly|on)\b))(?!\s+(?:" + ARM + "|" + LEG + r")\b)",
    re.IGNORECASE,
)
_WORDS: Final = 60


def read_claims(text: str) -> Claims:
    """The claims of a caption; nothing where the words leave room for doubt."""
    limbs: list[LimbClaim] = []
    ways: list[WayClaim] = []
    motions: list[MotionClaim] = []
    for clause in _CUT.split(text.replace("’", "'")):
        clause = " ".join(clause.split())
        hedge = re.search(HEDGES, clause, re.IGNORECASE)
        if hedge:  # what stands before a denial or an intention still holds
            clause = clause[: hedge.start()].strip()
        if not clause or re.search(OTHERS, clause, re.IGNORECASE):
            continue
        limbs += _limbs(clause)
        ways += _ways(clause)
        motions += _motions(clause)
    named = {("arm" if m["arm"] else "leg", m["side"].lower()) for m in _LIMB.finditer(text)}
    return Claims(tuple(limbs), tuple(ways), tuple(motions), frozenset(named))


def _limbs(clause: str) -> list[LimbClaim]:
    found = list(_LIMB.finditer(clause))
    sides = {
        limb: {m["side"].lower() for m in found if m[limb]} | {m["other"] for m in found if m[limb]}
        for limb in ("arm", "leg")
    }
    claims = []
    for match in found:
        limb = "arm" if match["arm"] else "leg"
        if len(sides[limb] - {None}) != 1:
            continue  # left and right limb of one kind in one clause: too tangled to judge
        manner = _manner(clause, match, limb)
        if manner:
            claims.append(LimbClaim(match["side"].lower(), limb, manner, clause[:_WORDS]))
    return claims


def _manner(clause: str, match: re.Match[str], limb: str) -> str | None:
    """How the limb acts, by the nearest verb that tells; None where it rests or is an object."""
    before, after = clause[: match.start()], clause[match.end() :]
    if limb == "leg" and _SUPPORT.search(before):
        return "support"
    if _TARGET.search(before) or _TOUCHED.search(before):
        return None
    verbs: list[tuple[int, str]] = []
    for manner, pattern in MANNERS[limb].items():
        for verb in re.finditer(rf"\b(?:{pattern})\b", clause, re.IGNORECASE):
            gap = match.start() - verb.end() if verb.start() < match.start() else (
                verb.start() - match.end() + 2)  # fmt: skip
            verbs.append((max(gap, 0), manner))
    rests = [
        min(abs(match.start() - rest.end()), abs(rest.start() - match.end()))
        for rest in re.finditer(rf"\b(?:{RESTS})\b", clause, re.IGNORECASE)
    ]
    if re.search(rf"\b(?:{BESIDE})\b", after, re.IGNORECASE):
        return None
    if not verbs or (rests and min(rests) < min(verbs)[0]):
        return None
    return min(verbs)[1]


def _ways(clause: str) -> list[WayClaim]:
    claims = []
    for match in _WAY.finditer(clause):
        side = (match["side"] or match["bare"]).lower()
        before = clause[: match.start()]
        verbs = [
            (verb.end(), kind)
            for kind, pattern in (("turn", TURNS), ("travel", TRAVELS))
            for verb in re.finditer(rf"\b(?:{pattern})\b", before, re.IGNORECASE)
        ]
        if not verbs or _LIMB.search(before) or re.search(rf"\b(?:{_PARTS})\b", before):
            continue
        kind = max(verbs)[1]
        if len(before) - max(verbs)[0] > 28:
            continue
        article = (match["article"] or "").strip().lower()
        if match["start"] or match["tail"]:
            frame = "picture"
        elif match["own"] or article in ("his", "her", "their", "its"):
            frame = "own"
        else:
            frame = "open"
        claims.append(WayClaim(side, kind, frame, clause[:_WORDS]))
    if len({claim.side for claim in claims}) > 1:
        return []  # to and fro
    return claims


#: A turned head or a leaning trunk is neither a turn nor a way.
_PARTS: Final = (
    r"head|face|gaze|eyes?|torso|trunk|waist|hips?|shoulders?|upper\s+body|neck|hands?|arms?|"
    r"wrists?|feet|foot|legs?|knees?|ball|wheel|sword|stick|bat|racket|looks?|looking|glanc\w+|"
    r"lean\w*|bend\w*|tilt\w*|sway\w*|point\w*|gestur\w+|reach\w*|swing\w*|kick\w*|punch\w*|throw\w*"
)


def _motions(clause: str) -> list[MotionClaim]:
    claims = []
    for motion, (pattern, unless) in MOTIONS.items():
        match = re.search(rf"\b(?:{pattern})\b", clause, re.IGNORECASE)
        if match and not (unless and re.search(rf"\b(?:{unless})\b", clause, re.IGNORECASE)):
            claims.append(MotionClaim(motion, match.group()[:_WORDS]))
    return claims
