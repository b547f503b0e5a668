"""Whether a clip may be used commercially: by its licence, and by the models that touched it.

Conservative on purpose. A licence counts as allowing commercial use only where its text is one
of the known forms below; an unknown one, or none, does not. A model counts only where its code
and weights are under a permissive licence. It is a first sieve and no legal advice: the data
card lists every licence text and model, so that the choice can be checked.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Final

from motionkit.weights.licences import licence_of


@dataclasses.dataclass(frozen=True)
class Terms:
    """What is known of a licence or a model. ``commercial`` is None where it is not known."""

    text: str
    commercial: bool | None


_VERSION = r"(?: \d(?: \d)?)?"
_TAIL = rf"{_VERSION}(?: international| unported| generic| universal)?(?: deed)?"
#: Licence texts, lower case and with single spaces for everything but letters and digits.
_FORMS: Final = tuple(
    (re.compile(pattern), commercial)
    for pattern, commercial in (
        # Creative Commons, as people, platforms and SPDX write them
        (rf"cc ?0{_TAIL}|cc zero{_TAIL}|creative commons zero{_TAIL}", True),
        (rf"public domain(?: mark{_VERSION})?(?: dedication)?|pdm{_VERSION}", True),
        (rf"cc by(?: sa)?{_TAIL}", True),
        (
            rf"creative commons attribution(?: share ?alike)?{_TAIL}(?: licen[cs]e)?"
            r"(?: reuse allowed)?",
            True,
        ),
        (r"https? (?:www )?creativecommons org licenses by(?: sa)? \d \d(?: .*)?", True),
        (r"https? (?:www )?creativecommons org publicdomain (?:zero|mark) 1 0(?: .*)?", True),
        # permissive licences of software and data
        (r"mit(?: licen[cs]e)?|apache(?: licen[cs]e)?(?: version)? 2 0", True),
        (r"bsd [23] clause(?: licen[cs]e)?|isc(?: licen[cs]e)?", True),
        (r"odc by(?: 1 0)?|pddl(?: 1 0)?|cdla permissive [12] 0", True),
        # known to forbid it
        (r".*(?:\bnc\b|non ?commercial|research only|academic|no derivatives|\bnd\b).*", False),
        (r"(?:standard )?youtube licen[cs]e|all rights reserved|proprietary", False),
    )
)


def licence_terms(licence: str | None) -> Terms:
    """Terms of a clip by the licence text in its row."""
    if not licence or not licence.strip():
        return Terms("not stated", None)
    plain = " ".join(re.findall(r"[a-z0-9]+", licence.lower()))
    for pattern, commercial in _FORMS:
        if pattern.fullmatch(plain):
            return Terms(licence, commercial)
    return Terms(licence, None)


def model_terms(name: str) -> Terms:
    """Terms of a backend or captioner by its name (``yolo:yolo11x-pose``, ``vitpose:b`` …)."""
    licence = licence_of(name)
    return Terms(licence.text, licence.commercial)


def why_not_commercial(licence: str | None, models: list[str]) -> str | None:
    """The reason to leave a clip out of a commercial set; None where nothing speaks against it."""
    allowed = licence_terms(licence).commercial
    if allowed is not True:
        return "licence-unknown" if allowed is None else "licence-not-commercial"
    verdicts = [model_terms(model).commercial for model in models]
    if False in verdicts:
        return "model-not-commercial"
    return "model-unknown" if None in verdicts else None
