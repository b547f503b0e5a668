"""A kind of motion: its name, its script and its wordings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from motionkit.synth.puppet import Puppet
    from motionkit.synth.styles import Style


@dataclass(frozen=True)
class Kind:
    """One kind of motion. Left and right in the wordings are the person's own."""

    name: str
    script: Callable[[Puppet], None]
    wordings: tuple[str, ...]


def captions(kind: Kind, style: Style, rng: np.random.Generator) -> tuple[str, ...]:
    """All wordings in a seeded order; where the style has words, all but one use them."""
    order = rng.permutation(len(kind.wordings))
    texts = [kind.wordings[int(k)] for k in order]
    if style.adverbs:
        offset = int(rng.integers(len(style.adverbs)))
        texts = [
            f"{text} {style.adverbs[(offset + k) % len(style.adverbs)]}" if k else text
            for k, text in enumerate(texts)
        ]
        texts = [*texts[1:], texts[0]]
    return tuple(texts)


def sided(
    stem: str, script: Callable[[Puppet, str], None], wordings: tuple[str, ...]
) -> tuple[Kind, Kind]:
    """The left and the right kind of a one-sided script.

    The script gets 'left' or 'right'; ``{side}`` and ``{other}`` in the wordings are filled in.
    """

    def kind(side: str, other: str) -> Kind:
        texts = tuple(text.format(side=side, other=other) for text in wordings)
        return Kind(f"{stem}_{side}", lambda puppet: script(puppet, side), texts)

    return kind("left", "right"), kind("right", "left")
