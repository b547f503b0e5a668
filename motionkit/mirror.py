"""Words of the mirrored video: left and right change places where they are sides.

Swapped: left/right and what is built on them (left-handed, leftmost, rightwards, righty), and
clockwise/counterclockwise. Case is kept. Not swapped, where it can be told from the words
around: "left" of *to leave* (he left the room, what is left, left behind), and "right" that is
no side (right now, right before, right in front of, a right angle, the right way, all right).

What cannot be told is taken for a side. Where the swapped word would no longer read as a side
("steps left before …" → "steps right before …"), it becomes "to the right". So a text mirrored
twice says the same again, and in the same words unless it had such a place or the spelling
"anticlockwise" (which comes back as "counterclockwise").
"""

from __future__ import annotations

import re

_SWAP = {
    "left": "right",
    "right": "left",
    "clockwise": "counterclockwise",
    "counterclockwise": "clockwise",
    "anticlockwise": "clockwise",
}
_WORD = re.compile(
    r"(?<![\w])(?:(?P<side>left|right)(?P<tail>s|y|ies|most|wards?|handed|hander|footed|side)?"
    r"|(?P<turn>(?:(?:counter|anti)[\s-]?)?clockwise))(?![\w])",
    re.IGNORECASE,
)

#: A word before that makes left or right a side, whatever follows: to the right before …
_SIDE_BEFORE = re.compile(
    r"(?:\b(?:the|a|an|his|her|hers|their|its|my|your|our|own|to|on|from|toward|towards|of|far|"
    r"stage|left|right|upper|lower|front|back|rear|slight|slightly|sharp|sharply|hard|forward|"
    r"(?:turn|veer|swerve|face|look|lean|tilt|slide|shuffle|shift|sway|strafe|sidestep|step|"
    r"swing|point|glance|bend|twist|rotate|spin|pivot)(?:s|d|ed|ing|ped|ping|ted|ting|ning)?|"
    r"swung|slid|leant|bent|spun|facing|sliding|shuffling|swaying|strafing|glancing|rotating|"
    r"swerving)|[-–/])\s*$",
    re.IGNORECASE,
)
_DETERMINER = re.compile(r"\b(?:the|his|her|their|its|my|your|our)\s+$", re.IGNORECASE)
#: "right" that is no side, by what follows …
_RIGHT_NOW = re.compile(r"\s+(?:now|away)\b", re.IGNORECASE)
_RIGHT_AFTER = re.compile(
    r"\s+(?:here|there|after|before|when|as|while|behind|beside|next\s+to|"
    r"in\s+front|in\s+the\s+(?:middle|centre|center)|in\s+(?:place|time)|"
    r"at\s+the\s+(?:start|end|beginning|moment|same)|on\s+(?:top|time|cue)|"
    r"above|below|under|underneath|beneath|up\s+(?:to|against|close|until)|"
    r"back\s+(?:up|down|to|into|again)|himself|herself|itself|themselves|oneself|yourself)\b",
    re.IGNORECASE,
)
#: … also behind "the" or "a" …
_RIGHT_NOUN = re.compile(
    r"(?:\s+(?:way|amount|time|moment|answer|thing|order|triangles?|of\s+way)\b"
    r"|[\s-]+angled?s?\b)",
    re.IGNORECASE,
)
#: … or by what stands before: all right; human rights; "…, right?" is looked at apart.
_RIGHT_BEFORE = re.compile(r"\b(?:all|that's|that’s|human|civil)\s+$", re.IGNORECASE)

#: Letters before and after a word that are looked at.
_NEAR = 60

_BODY = (
    r"(?!\s+(?:hand|arm|foot|leg|knee|elbow|shoulder|hip|ankle|wrist|fist|heel|toe|toes|thigh|"
    r"side|eye|ear|palm|thumb|finger|hook|jab|punch|kick|step|turn|cross)s?\b)"
)
#: Pairs of what stands before and after "left" where it is the verb or "remaining".
_LEFT_VERB = tuple(
    (re.compile(before, re.IGNORECASE), re.compile(after, re.IGNORECASE))
    for before, after in (
        # he left the room; she left. they left quickly
        (
            r"\b(?:he|she|they|we|i|who|everyone|everybody|nobody|person|man|woman|boy|girl|player|dancer)"
            r"(?:\s+(?:just|then|already|never|finally))?\s+$",
            r"(?:\s+(?:the|a|an|his|her|their|its|him|it|them|for|with|without|early|late|home|"
            r"quickly|slowly|quietly|alone|behind|again|in|at|from|after|before|when|and|then)\b"
            r"|\s*[.,;!?]|\s*$)",
        ),
        # has left, having left the stage
        (r"\b(?:has|have|had|having|'ve|’ve)(?:\s+(?:just|already|never))?\s+$", _BODY),
        # is left standing, was left behind
        (
            r"\b(?:is|are|was|were|be|been|being|gets?|got)\s+$",
            r"\s+(?:alone|behind|out|over|with|without|unattended|empty|open|standing|hanging|"
            r"lying|sitting|waiting|speechless)\b",
        ),
        # what is left, nothing left, no time left
        (
            r"(?:\b(?:what|all|that|who)(?:'s|’s|\s+is|\s+was|\s+were|\s+are)|"
            r"\b(?:nothing|anything|something|none|much|little|seconds?|minutes?|time))\s+$",
            _BODY + r"(?!\s+of\b)",
        ),
        # the man left the room: what one leaves, not "to the left the"
        (
            r"(?<!\bthe)(?<!\bhis)(?<!\bher)(?<!\bits)(?<!\btheir)(?<!\bmy)(?<!\byour)(?<!\bto)(?<!\bon)(?<!\bfrom)"
            r"(?<!\bturns)(?<!\bturn)(?<!\bturned)\s+$",
            r"\s+(?:the|his|her|their|its)\s+(?:room|house|stage|frame|scene|picture|field|court|"
            r"ring|building|screen|view|floor|ground|shot|pitch|mat|car|gym|pool|water|ice|track|"
            r"bench|table|chair|home|office|shop|party)\b",
        ),
    )
)


def mirrored_text(text: str) -> str:
    """The text of the mirrored motion; see the module for what is swapped and what is not."""
    found: list[str] = []
    at = 0
    for match in _WORD.finditer(text):
        start, end = match.span()
        before, after = text[max(0, start - _NEAR) : start], text[end : end + _NEAR]
        if match["turn"]:
            word = _cased(_SWAP[re.sub(r"[\s-]", "", match["turn"].lower())], match["turn"])
        elif _is_side(match["side"], match["tail"] or "", before, after):
            other = _cased(_SWAP[match["side"].lower()], match["side"])
            so_far = ("".join(found[-_NEAR:]) + text[at:start])[-_NEAR:]
            if not _is_side(other, match["tail"] or "", so_far, after):
                other = _cased(f"to the {other.lower()}", match["side"])
            word = other + (match["tail"] or "")
        else:
            continue
        found += (text[at:start], word)
        at = end
    return "".join(found) + text[at:]


def _is_side(word: str, tail: str, before: str, after: str) -> bool:
    """Whether left or right names a side, from the text before and after it."""
    if word.lower() == "left":
        return bool(tail) or not any(a.match(after) and b.search(before) for b, a in _LEFT_VERB)
    if tail:
        return tail.lower() != "s" or not _rights(before, after)
    if _RIGHT_NOUN.match(after) or _RIGHT_BEFORE.search(before):
        return False
    if after.startswith("?") and before.rstrip().endswith(","):
        return False
    if _RIGHT_NOW.match(after):  # also behind a verb: turn right now
        return bool(_DETERMINER.search(before))
    return not _RIGHT_AFTER.match(after) or bool(_SIDE_BEFORE.search(before))


def _rights(before: str, after: str) -> bool:
    """Whether "rights" is a claim, or what a fallen one does: human rights; he rights himself."""
    return bool(
        _RIGHT_BEFORE.search(before)
        or re.match(r"\s+(?:reserved|himself|herself|itself|themselves)\b", after, re.IGNORECASE)
    )


def _cased(word: str, like: str) -> str:
    """``word`` in the case of ``like``: lower, Capital or UPPER."""
    if like.isupper():
        return word.upper()
    return word[0].upper() + word[1:] if like[0].isupper() else word
