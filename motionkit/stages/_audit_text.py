"""What a caption's text alone gives away: its length, its language, and traces of the model that
wrote it. No keypoints are needed. Every check yields findings: code, measured value, words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

#: A code, the value that decided (None where there is none), and the words it was found in.
Found = tuple[str, float | None, str]

WORD: Final = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")

_TAGS = re.compile(
    r"</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>|<\|[^|>]{1,40}\|>|\[/?INST\]|&(?:[a-z]{2,8}|#\d{1,6});"
    r"|\*\*|__\w|^\s*#{1,6}\s|```|`[^`]+`|^\s*[-*•]\s|^\s*\d+[.)]\s|!?\[[^\]]*\]\([^)]*\)"
    r"|https?://|www\.|\\[nrt](?![a-z])|[{}]|^\s*(?:assistant|user|system|human|answer|caption"
    r"|description|output)\s*:",
    re.IGNORECASE | re.MULTILINE,
)
_ECHO = re.compile(
    r"\bbounding\s*-?\s*box\w*|\bred\s+(?:box|rectangle|frame|outline)\b|\bchronological(?:ly)?\b"
    r"|\bphysical\s+appearance\b|\b(?:one|two|1|2)\s+(?:or\s+(?:two|2)\s+)?(?:concise\s+)?"
    r"sentences?\b|\bconcise\s+(?:sentence|description)|\b(?:the|this|your)\s+(?:prompt|instruction)s?\b",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"\b(?:i|we)(?:\s+am|['’]m|\s+are|['’]re)?\s+(?:sorry|unable|not\s+able|cannot|can\s*not|"
    r"can['’]t|could\s+not|couldn['’]t|do\s+not\s+see|don['’]t\s+see|won['’]t|apologi[sz]e)\b"
    r"|\bas\s+an?\s+(?:ai|language|large)\b|\bi\s+(?:need|would\s+need)\s+more\b"
    r"|\b(?:no|not\s+any|isn['’]t\s+any)\s+(?:person|people|one|human|individual)\s+(?:is\s+|are\s+|"
    r"can\s+be\s+)?(?:visible|seen|present|shown|in\s+the\s+(?:video|clip|frame|image|picture))"
    r"|\bthere\s+is\s+no(?:body|\s+one|\s+person|\s+video|\s+visible)\b"
    r"|\bthe\s+(?:video|clip|image|footage|frames?)\s+(?:does|do|did)\s*(?:not|n['’]t)\s+(?:show|contain|provide|depict)"
    r"|\b(?:cannot|can\s*not|can['’]t|not\s+possible\s+to|impossible\s+to)\s+(?:be\s+)?"
    r"(?:determined?|described?|provided?|identif(?:y|ied)|seen?|tell|told)\b"
    r"|\bplease\s+(?:provide|upload|share)\b",
    re.IGNORECASE,
)

_COLOURS = (
    "red|blue|green|yellow|black|white|gr[ae]y|brown|pink|purple|orange|beige|navy|dark|light|"
    "striped|plaid|denim|leather|floral|checkered|camouflage|khaki|maroon|turquoise"
)
_CLOTHES = (
    r"shirts?|t-?shirts?|tee|trousers|pants|jeans|shorts|skirt|blouse|jackets?|coats?|sweaters?|"
    r"sweatshirts?|hoodies?|suits?|tuxedo|uniforms?|leggings|tights|leotards?|swimsuits?|bikini|"
    r"hats?|caps?|helmets?|scarf|scarves|gloves?|shoes?|sneakers|boots?|sandals|heels|socks?|"
    r"tie|vests?|tank\s+top|gi|kimono|robe|apron|glasses|sunglasses|goggles|headband|jersey|"
    r"clothes|clothing|outfit|attire|garments?|costumes?|necklace|earrings?|bracelet|tattoos?"
)
#: Words of looks. Those with another meaning (a dress, heels, a tie, a light) need company.
_LOOKS = re.compile(
    rf"\b(?:wearing|wears|wore|dressed|clad|clothed|barefoot|bare-?(?:chested|footed)|shirtless)\b"
    rf"|\b(?:{_COLOURS})[\s-]+(?:and\s+(?:{_COLOURS})[\s-]+)?(?:[\w-]+\s+)?(?:{_CLOTHES}|dress|top|belt)\b"
    rf"|\bin\s+(?:an?|the|his|her|their)\s+(?:[\w-]+\s+){{0,2}}(?:{_CLOTHES}|dress)\b"
    r"|\b(?:blond|blonde|brunette|bald|bearded|mustached|moustached|ponytail|redhead|"
    r"haired|skinned|muscular|chubby|overweight|obese|slender|slim|petite|handsome|beautiful|"
    r"pretty\s+(?:woman|girl)|attractive|caucasian|asian|african|hispanic|latin[ao])\b"
    r"|\b(?:long|short|dark|curly|straight|black|brown|blonde?|red|gr[ae]y|white|his|her|their)\s+"
    r"(?:\w+\s+)?(?:hair|beard|moustache|mustache)\b"
    r"|\b(?:clothes|clothing|outfit|attire|t-?shirts?|jeans|hoodie|sneakers|sunglasses|"
    r"swimsuit|leotard|tuxedo|leggings)\b"
    r"|\b(?:young|younger|old|older|elderly|middle-?aged|teenage|adolescent|tall|skinny|thin|fat)\s+"
    r"(?:\w+\s+)?(?:man|men|woman|women|person|people|boy|girl|lady|gentleman|guy|male|female|adult|"
    r"individual|child|kid|couple|player|dancer|performer|athlete)\b"
    r"|\b(?:teenager|toddler|in\s+(?:his|her|their)\s+(?:\w+\s+)?(?:teens|twenties|thirties|forties|"
    r"fifties|sixties|seventies))\b",
    re.IGNORECASE,
)
_GENDER = re.compile(
    r"\b(?:m[ae]n|wom[ae]n|boys?|girls?|lad(?:y|ies)|gentlem[ae]n|guys?|males?|females?|he|she|"
    r"his|hers?|him|himself|herself)\b",
    re.IGNORECASE,
)
#: Function words of the languages most met beside English, none of them a usual English word.
_FOREIGN_WORDS = """
der das und ist ein eine einen mit sich auf nach seine ihre dann nicht von dem
le les une et est avec dans sur puis vers son elle il du aux qui
el los las una con su sus hacia luego y en del se mientras está
uma com seu sua os para ele ela então não ao
gli della si poi verso mentre suo
het zijn naar haar zich met van
"""
_ENGLISH_WORDS = """
a an the is are was and or of to in on at with by for from into as it its he she they their
his her them person man woman someone then while before after up down left right both one
two forward forwards backward backwards around over under out off walks walking runs
"""
_FOREIGN = frozenset(_FOREIGN_WORDS.split())
_ENGLISH = frozenset(_ENGLISH_WORDS.split())
#: Fewer words ("person jumps twice") do not tell their language.
_TELLS_FROM: Final = 5


def text_findings(text: str, *, words_min: int, words_max: int) -> Iterator[Found]:
    """Everything that the text alone gives away; at most one finding a code."""
    words = WORD.findall(text)
    if len(words) < words_min:
        yield "few-words", float(len(words)), ""
    if len(words) > words_max:
        yield "many-words", float(len(words)), ""
    share = _foreign(text, words)
    if share is not None:
        yield "not-english", share, ""
    for code, pattern in (
        ("markup", _TAGS),
        ("prompt-echo", _ECHO),
        ("refusal", _REFUSAL),
        ("appearance", _LOOKS),
        ("gendered", _GENDER),
    ):
        hits = [match.group().strip() for match in pattern.finditer(text)]
        if hits:
            yield code, float(len(hits)), hits[0][:60]
    repeated = _repeated(text, [word.lower() for word in words])
    if repeated is not None:
        yield "repeated-phrase", *repeated


def normalised(text: str) -> str:
    """The text as duplicates are counted: words alone, in lower case; "" where it has none."""
    return " ".join(word.lower() for word in WORD.findall(text))


def _foreign(text: str, words: list[str]) -> float | None:
    """Share of letters outside the Latin alphabet, or of foreign function words; None where the
    text may be English."""
    letters = [c for c in text if c.isalpha()]
    if not letters:
        return None
    other = sum(ord(c) > 0x24F for c in letters) / len(letters)
    if other > 0.2:
        return round(other, 3)
    lower = [word.lower() for word in words]
    if len(lower) < _TELLS_FROM:
        return None
    foreign = sum(word in _FOREIGN for word in lower)
    english = sum(word in _ENGLISH for word in lower)
    if foreign >= 2 and foreign > english:
        return round(foreign / len(lower), 3)
    return 1.0 if english == 0 and len(lower) >= 2 * _TELLS_FROM else None


def _repeated(text: str, words: list[str]) -> tuple[float, str] | None:
    """How often a sentence, a phrase in a row, or a single word in a row comes again."""
    sentences = Counter(
        normalised(part) for part in re.split(r"[.!?\n]+", text) if len(part.split()) >= 4
    )
    if sentences:
        sentence, count = max(sentences.items(), key=lambda pair: pair[1])
        if count >= 2:
            return float(count), sentence[:60]
    for size, most in ((1, 3), (2, 4), (3, 3), (4, 3), (5, 3), (6, 3), (8, 3), (10, 2)):
        row = _in_a_row(words, size)
        if row is not None and row[0] >= most:
            return float(row[0]), " ".join(words[row[1] : row[1] + size])
    return None


def _in_a_row(words: list[str], size: int) -> tuple[int, int] | None:
    """(times, place) of the phrase of ``size`` words that comes most often without a gap."""
    best: tuple[int, int] | None = None
    run = 0
    for i in range(size, len(words)):
        run = run + 1 if words[i] == words[i - size] else 0
        times = run // size + 1
        if times > 1 and (best is None or times > best[0]):
            best = (times, i - run - size + 1)
    return best
