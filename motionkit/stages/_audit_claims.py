"""What a caption claims that keypoints can answer: which limb does something, which way somebody
goes or turns, and what kind of motion it is. Words alone; nothing is judged here.

A caption is cut into clauses at stops, commas, "then", "while" and at an "and" before a verb.
What a clause says of another person, denies, intends or compares with is no claim.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from typing import Final

from motionkit.stages._audit_words import (
    ADDRESSED,
    ARM,
    BESIDE,
    HEDGES,
    LEG,
    MANNERS,
    MOTIONS,
    OBJECTS,
    OTHERS,
    PRETENDS,
    RESTS,
    TRAVELS,
    TURN_NOUNS,
    TURNS,
    VERB,
    WAY_NOUNS,
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
    """Goes (``kind`` 'travel'; 'side-step': sideways), turns ('turn') or either ('go') to the left
    or right. ``frame`` says whose left:
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


_PERSON: Final = (
    r"(?:player|person|man|woman|boy|girl|batter|hitter|pitcher|boxer|fighter|stance|bowler|golfer)"
)
_CUT: Final = re.compile(
    r"[.;:!?,()\n]|--|—|\b(?:then|while|whilst|before|after|as|when|until|followed\s+by|but|"
    r"whereas|though|although)\b|\band\b(?=\s+(?:\w+ly\s+)?(?:" + VERB + r")\b)",
    re.IGNORECASE,
)
_SIDE: Final = r"(?P<side>left|right)"
#: "left-hand turn" is a way. "right-handed player" tells of a person, not of the motion.
_LIMB: Final = re.compile(
    rf"\b{_SIDE}(?P<other>\s+(?:and|or)\s+(?:the\s+)?(?:left|right))?[\s-]*"
    rf"(?:(?:upper|lower|front|back|rear|bent|straight|stretched|extended|outstretched|raised|own)\s+)?"
    rf"(?:(?P<arm>{ARM}|(?:handed|armed)(?!\s+{_PERSON}))|(?P<leg>{LEG}|(?:footed|legged)(?!\s+{_PERSON})))\b"
    rf"(?!\s+(?:side|corner|edge|{TURN_NOUNS})\b)",
    re.IGNORECASE,
)
#: "waves with his left", "kicks, using the right": the verb tells of which limb.
_ELLIPSIS: Final = re.compile(
    r"\b(?:with|using)\s+(?:only\s+)?(?:the|his|her|their|its)\s+(?:own\s+)?(?P<side>left|right)"
    r"(?=\s*$|\s+(?:in|at|to|from|above|over|several|once|twice|again|and)\b)",
    re.IGNORECASE,
)
#: The other limb of a pair without its name: then the left, and the other one.
_SECOND: Final = re.compile(
    r"\b(?:then|and|by|before|after)\s+(?:(?:with|the|his|her|their|its|also)\s+)*"
    r"(?:(?P<side>left|right)|other)(?:\s+one)?(?=\s*(?:$|[.,;!?])|\s+(?:too|again|one|follows?)\b)",
    re.IGNORECASE,
)
#: Movement in, a wave of the limb that follows: it acts. The palm of the hand is no act.
_ACTS: Final = re.compile(
    r"(?:\b(?:waves?|move|movements?|motions?|gestures?|swings?|lift|raise|flicks?|kicks?|shakes?|"
    r"flutter|strikes?|punch|throw)\s+(?:in|with|by|from)|\b(?!palm|back|side|front|sole|top|tip|"
    r"inside|outside|end|fingers?|heel|ball|height|level|position|view|image|instead|out|because)\w+\s+of)\s+"
    r"(?:(?:the|his|her|their|its)\s+)?(?:own\s+)?$",
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
_VIEWER: Final = r"(?:viewer|camera|observer|watcher|onlooker|spectator|screen|frame|image|picture)"
_WAY: Final = re.compile(
    r"\b(?:(?:from\s+(?:the\s+)?(?P<start>left|right)\s+)?to(?:wards?)?\s+(?P<article>the\s+|his\s+|"
    rf"her\s+|their\s+|its\s+)?(?:(?P<viewer>{_VIEWER})['’]?s?\s+|(?P<whose>\w+['’]s?)\s+)?"
    r"(?P<own>own\s+)?(?:far\s+)?(?P<side>left|right)(?:[\s-]+(?:hand\s+)?side)?"
    r"(?P<tail>\s+(?:side\s+|edge\s+|half\s+|corner\s+)?of\s+(?:the|its|our)\s+(?:picture|frame|"
    r"screen|image|camera|view|viewer|video|scene|shot|room|court|stage|field)|\s+edge)?"
    rf"|(?P<noun>left|right)(?:wards?)?(?:[\s-]+hand(?:ed)?)?\s+(?:(?P<turning>{TURN_NOUNS})|"
    rf"(?P<going>{WAY_NOUNS}))\b"
    r"|(?:takes?|taking|took|makes?|making|made|hangs?|hanging|hung)\s+(?:a|another)\s+(?:\w+\s+)?"
    r"(?P<taken>left|right)(?=\s*$|\s+(?:and|at|in|into|onto|around)\b)"
    r"|(?:(?P<screen>screen|camera|image|frame)[\s-]+)?(?<!the\s)(?<!his\s)(?<!her\s)(?<!their\s)"
    r"(?<!stage\s)(?P<bare>left|right)(?P<wards>wards?)?(?=\s*$|\s+(?:in|and|with|at|across|along|"
    r"several|once|twice|for|again|quickly|slowly|on|by|through|around|round|a|an|one|two|three|four|"
    r"some|past|over|from|into|toward|towards|to|facing|\w+ly|side-?ways)\b))"
    r"(?!\s+(?:" + ARM + "|" + LEG + r")\b)",
    re.IGNORECASE,
)
#: Names what a way is seen by, wherever it stands in the clause.
_SEEN: Final = re.compile(
    rf"\b(?:from\s+(?:the\s+)?{_VIEWER}['’]?s?\s+(?:point|perspective|view|side)|across\s+(?:the\s+)?"
    r"(?:frame|screen|picture|image|shot|view)|(?:in|of|out\s+of)\s+(?:the\s+)?(?:frame|screen|"
    r"picture|image|shot|view))\b",
    re.IGNORECASE,
)
_WORDS: Final = 60
#: Letters of a clause that are read: its verbs are looked for round every side, so time grows with
#: the square of its length.
_CLAUSE: Final = 400
#: Letters between a verb and the side that it goes to.
_NEAR: Final = 32


@functools.cache
def _word(pattern: str) -> re.Pattern[str]:
    """Whole words of a pattern of `_audit_words`."""
    return re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE)


def read_claims(text: str) -> Claims:
    """The claims of a caption; nothing where the words leave room for doubt."""
    limbs: list[LimbClaim] = []
    ways: list[WayClaim] = []
    motions: list[MotionClaim] = []
    for clause in _CUT.split(text.replace("’", "'")):
        clause = " ".join(clause.split())[:_CLAUSE]
        hedge = re.search(HEDGES, clause, re.IGNORECASE)
        if hedge:  # what stands before a denial or an intention still holds
            clause = clause[: hedge.start()].strip()
        addressed = re.sub(ADDRESSED, " ", clause, flags=re.IGNORECASE)
        if not clause or re.search(OTHERS, addressed, re.IGNORECASE):
            continue
        limbs += _limbs(clause)
        ways += _ways(clause)
        motions += _motions(re.split(PRETENDS, clause, maxsplit=1, flags=re.IGNORECASE)[0])
    named = {("arm" if m["arm"] else "leg", m["side"].lower()) for m in _LIMB.finditer(text)}
    for second in _SECOND.finditer(text):
        sides = (second["side"].lower(),) if second["side"] else ("left", "right")
        named |= {(limb, side) for limb in ("arm", "leg") for side in sides}
    if any(
        s["side"] and any(s["side"].lower() != w.side for w in ways) for s in _SECOND.finditer(text)
    ):  # goes left, then right
        ways = []
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
    return claims or _unnamed(clause)


def _unnamed(clause: str) -> list[LimbClaim]:
    """A side without its limb: who waves with the left waves the hand, who kicks the leg."""
    match = None if _LIMB.search(clause) else _ELLIPSIS.search(clause)
    if not match:
        return []
    for limb, manner in (("leg", "kick"), ("arm", "raise"), ("arm", "extend"), ("arm", "move")):
        pattern = MANNERS[limb][manner] if limb == "arm" else r"kick(?:s|ed|ing)?"
        if _word(pattern).search(clause[: match.start()]):
            return [LimbClaim(match["side"].lower(), limb, manner, clause[:_WORDS])]
    return []


def _manner(clause: str, match: re.Match[str], limb: str) -> str | None:
    """How the limb acts, by the nearest verb that tells; None where it rests or is an object."""
    before, after = clause[: match.start()], clause[match.end() :]
    if limb == "leg" and _SUPPORT.search(before):
        return "support"
    acts = bool(_ACTS.search(before))
    if not acts and _TARGET.search(before):
        return None
    verbs: list[tuple[int, str]] = []
    spans: list[tuple[int, int]] = []
    for manner, pattern in MANNERS[limb].items():
        for verb in _word(pattern).finditer(clause):
            gap = match.start() - verb.end() if verb.start() < match.start() else (
                verb.start() - match.end() + 2)  # fmt: skip
            verbs.append((max(gap, 0), manner))
            spans.append(verb.span())
    held_up = any(a < match.start() < b for a, b in spans)  # holds the left hand up
    if not (acts or held_up) and _TOUCHED.search(before):
        return None
    rests = [
        min(abs(match.start() - rest.end()), abs(rest.start() - match.end()))
        for rest in _word(RESTS).finditer(clause)
        if not any(a <= rest.start() and rest.end() <= b for a, b in spans)  # held high
    ]
    if _word(BESIDE).search(after):
        return None
    if verbs:
        return None if rests and min(rests) < min(verbs)[0] else min(verbs)[1]
    return None if rests or (_STATE.search(after) and not acts) else "act"


#: The limb is said to be so, or to have, or is a thing among others: nothing that it does.
_STATE: Final = re.compile(
    r"^\s+(?:(?:is|are|was|were|has|have|had|looks?|seems?|appears?)\b(?!\s+(?:\w+ing|the\s+(?:one|only)|"
    r"(?:in|the)\s+(?:motion|movement|busy|active))\b)|(?:of|and|or)\b)",
    re.IGNORECASE,
)


def _ways(clause: str) -> list[WayClaim]:
    claims = []
    for match in _WAY.finditer(clause):
        side = next(match[n] for n in ("side", "noun", "taken", "bare") if match[n]).lower()
        before = clause[: match.start()]
        kind = _kind(match, before, clause)
        if clause[match.end() :].lstrip().startswith("of ") and not match["tail"]:
            continue  # beside something
        if kind is None or _LIMB.search(before) or _word(_PARTS).search(before):
            continue
        article = (match["article"] or "").strip().lower()
        if match["start"] or match["tail"] or match["viewer"] or match["screen"]:
            frame = "picture"
        elif match["own"] or match["whose"] or article in ("his", "her", "their", "its"):
            frame = "own"
        else:
            frame = "picture" if _SEEN.search(clause) else "open"
        if kind in ("travel", "go") and re.search(_SIDEWAYS, clause, re.IGNORECASE):
            kind = "side-step"
        claims.append(WayClaim(side, kind, frame, clause[:_WORDS]))
    if len({claim.side for claim in claims}) > 1:
        return []  # to and fro
    return claims


def _kind(match: re.Match[str], before: str, clause: str) -> str | None:
    """'turn' or 'travel', by the noun behind the side or the last verb before it; 'go' where the
    verb does not say which; None: neither."""
    if match["turning"] or match["taken"]:
        return "turn"
    verbs = [
        (verb.end(), kind)
        for kind, pattern in (("turn", TURNS), ("travel", TRAVELS))
        for verb in _word(pattern).finditer(before)
    ]
    if verbs and len(before) - max(verbs)[0] <= _NEAR:
        return max(verbs)[1]
    if match["going"]:
        return "travel" if not verbs else None
    # Any other verb before "to the left": goes or turns, whichever it is.
    return (
        "go"
        if (match["side"] or match["bare"])
        and _VERBAL.search(before)
        and not _PLACED.search(clause)
        else None
    )


_VERBAL: Final = re.compile(
    r"\b(?!this\b|clothes\b|always\b|besides\b)\w{2,}(?:s|ed|ing|aught|ook|ade|ame|ew|ung)\b", re.I
)
#: Something is there, looks there, or is handled that way.
_PLACED: Final = re.compile(
    r"\b(?:(?:is|are|was|were|stands?|standing|sits?|sitting|stood|sat|lies|lying|remains?|stays?|located|placed|"
    r"positioned|situated|seen|visible|appears?)\b(?!\s+\w+ing)|there\s+is|objects?|box|chair|table|ball|"
    r"(?:throw|push|pull|pass|hand|toss|carr|mov|put|plac|bring|dribbl|hit|wip|wav|gestur|sign|show|"
    r"indicat|stretch|extend|reach|twist|rais|lift|lower)\w*)",
    re.IGNORECASE,
)


_SIDEWAYS: Final = (
    r"\b(?:sideways?|sidewards?|side-?step\w*|sidl\w+|strafe?\w*|lateral\w*|crab\w*|shuffl\w+|"
    r"side\s+to\s+side|(?:facing|looking)\s+(?:forwards?|ahead|the\s+same|the\s+camera)\b)"
)
#: A turned head or a leaning trunk is neither a turn nor a way.
_PARTS: Final = (
    r"head|(?:the|his|her|their)\s+face|weight|gaze|eyes?|torso|trunk|waist|hips?|shoulders?|upper\s+body|neck|hands?|arms?|"
    r"wrists?|feet|foot|legs?|knees?|ball|wheel|sword|stick|bat|racket|looks?|looking|glanc\w+|"
    r"lean\w*|(?<!path\s)(?<!route\s)(?<!course\s)bend\w*|tilt\w*|sway\w*|point\w*|gestur\w+|reach\w*|swing\w*(?!\s+a?round)|kick\w*|punch\w*|throw\w*"
)


def _motions(clause: str) -> list[MotionClaim]:
    claims = []
    for motion, (pattern, unless) in MOTIONS.items():
        match = _word(pattern).search(clause)
        if match and not (unless and _word(unless).search(clause)):
            claims.append(MotionClaim(motion, match.group()[:_WORDS]))
    return claims
