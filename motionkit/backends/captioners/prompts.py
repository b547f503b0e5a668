"""The prompts, by name. A prompt's hash stands in every caption that it led to."""

from __future__ import annotations

import hashlib
from typing import Final

from motionkit.errors import UsageError

PROMPTS: Final[dict[str, str]] = {
    # MotionWeb's, word for word (the paper of K2M, section 4).
    "motion-in-red-box": (
        "Use one or two concise sentences to describe the motion of the person within the red "
        "bounding box in chronological order, without referencing their physical appearance."
    ),
}


def prompt_text(name: str) -> str:
    """The prompt of a name; UsageError, naming the choices, where there is none."""
    if name not in PROMPTS:
        raise UsageError(
            f"there is no prompt '{name}'", hint=f"choose from: {', '.join(sorted(PROMPTS))}"
        )
    return PROMPTS[name]


def prompt_hash(name: str) -> str:
    """First 16 hex digits of the SHA-256 of the prompt's text."""
    return hashlib.sha256(prompt_text(name).encode()).hexdigest()[:16]
