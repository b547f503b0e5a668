"""How trails of points may look, for the stage that encodes them and the films of new ones."""

from __future__ import annotations

from typing import Final

from motionkit.errors import UsageError

#: The colours of the paper's ablation, RGB.
COLOURS: Final[dict[str, tuple[int, int, int]]] = {
    "cyan": (0, 255, 255),
    "blue": (0, 0, 255),
    "white": (255, 255, 255),
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "yellow": (255, 255, 0),
    "black": (0, 0, 0),
}


def check_trails(colour: str, opacity: float, trail: int) -> None:
    """UsageError for an unknown colour, an opacity outside 0..1, or a trail of no frame."""
    if colour not in COLOURS:
        raise UsageError(
            f"there is no colour {colour!r}.", hint=f"choose from: {', '.join(COLOURS)}"
        )
    if not 0 <= opacity <= 1:
        raise UsageError(f"opacity is {opacity}.", hint="give a number from 0 to 1")
    if trail < 1:
        raise UsageError(f"trail is {trail}.", hint="give 1 frame or more")
