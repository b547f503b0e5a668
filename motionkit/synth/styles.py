"""Manners of moving: what 'energetic' or 'tired' change in a script, and the words for them."""

from __future__ import annotations

from dataclasses import dataclass

from motionkit.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Style:
    """Factors on a script. Angles in degrees."""

    tempo: float = 1.0
    """Factor on the speed of everything."""
    amplitude: float = 1.0
    """Factor on how far limbs go."""
    slouch: float = 0.0
    """Forward bend of the spine at all times."""
    nod: float = 0.0
    """Lowering of the head at all times."""
    swing: float = 1.0
    """Factor on the swing of the arms in gaits."""
    bounce: float = 1.0
    """Factor on the up and down of the pelvis."""
    adverbs: tuple[str, ...] = ()
    """Words for captions."""


STYLES: dict[str, Style] = {
    "neutral": Style(),
    "energetic": Style(
        tempo=1.2,
        amplitude=1.15,
        slouch=-3,
        nod=-4,
        swing=1.5,
        bounce=1.5,
        adverbs=("energetically", "with a lot of energy", "vigorously"),
    ),
    "tired": Style(
        tempo=0.78,
        amplitude=0.82,
        slouch=14,
        nod=16,
        swing=0.5,
        bounce=0.6,
        adverbs=("tiredly", "slowly and wearily", "as if exhausted"),
    ),
    "relaxed": Style(
        tempo=0.9,
        amplitude=0.95,
        slouch=4,
        nod=2,
        swing=1.1,
        adverbs=("in a relaxed way", "casually", "at ease"),
    ),
    "stiff": Style(
        tempo=0.95,
        amplitude=0.85,
        slouch=-2,
        nod=-2,
        swing=0.3,
        bounce=0.4,
        adverbs=("stiffly", "like a robot", "in a rigid manner"),
    ),
    "proud": Style(
        tempo=0.98,
        amplitude=1.08,
        slouch=-7,
        nod=-8,
        swing=1.2,
        adverbs=("proudly", "confidently", "with the chest out"),
    ),
}


def style_named(name: str) -> Style:
    """The style with this name; `UsageError` where there is none."""
    try:
        return STYLES[name]
    except KeyError:
        raise UsageError(
            f"unknown motion style {name!r}.", hint="known styles: " + ", ".join(STYLES)
        ) from None
