"""The ways objects take: a script for every kind of motion, and what speed words mean in numbers.

Lengths are shares of the picture: of its width for sideways motion, of its height for up and down
(a diagonal takes the share of both). A motion's speed word draws a number from the range that
stands for it; the ranges do not touch, so that the word can be told from the track.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Range = tuple[float, float]

SPEEDS: Final = ("slow", "normal", "fast")
#: Shares of the picture's side a second, for motion along a line.
LINEAR: Final[dict[str, Range]] = {
    "slow": (0.10, 0.16),
    "normal": (0.22, 0.30),
    "fast": (0.38, 0.48),
}
#: Cycles a second, for what repeats: bounces, swings, circles, flips.
CYCLES: Final[dict[str, Range]] = {
    "slow": (0.34, 0.44),
    "normal": (0.62, 0.74),
    "fast": (0.95, 1.10),
}
#: Degrees a second of a spin.
TURNS: Final[dict[str, Range]] = {"slow": (35, 55), "normal": (85, 115), "fast": (170, 220)}
#: Logarithm of the growth a second, of what approaches; the shrinking of what recedes.
GROWTH: Final[dict[str, Range]] = {
    "slow": (0.12, 0.18),
    "normal": (0.28, 0.36),
    "fast": (0.46, 0.56),
}
#: Seconds that a fall of 0.55 of the height takes; and a jump.
FALLS: Final[dict[str, Range]] = {"slow": (1.6, 1.8), "normal": (1.15, 1.3), "fast": (0.75, 0.88)}

_TURN: Final = 2 * np.pi


@dataclasses.dataclass(frozen=True, kw_only=True)
class Course:
    """One object's way through T frames, from where it stands in the first."""

    shift: F64
    """[T, 2] pixels."""
    angle: F64
    """[T] radians in the picture, clockwise."""
    size: F64
    """[T] times its size."""
    turn: F64
    """[T] radians about an axis in the picture: the card is edge-on at a quarter turn."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """What a motion is worked out for."""

    width: int
    height: int
    t: F64
    """[T] seconds."""
    radius: float
    """Half size of the object, pixels."""
    speed: str
    rng: np.random.Generator

    def draw(self, ranges: dict[str, Range]) -> float:
        """A number from the range of the speed word."""
        return float(self.rng.uniform(*ranges[self.speed]))

    def course(
        self,
        x: F64 | float = 0.0,
        y: F64 | float = 0.0,
        *,
        angle: F64 | float = 0.0,
        size: F64 | float = 1.0,
        turn: F64 | float = 0.0,
    ) -> Course:
        """A course from shares of the picture."""
        full = np.zeros_like(self.t)
        shift = np.stack([full + x * self.width, full + y * self.height], -1)
        return Course(shift=shift, angle=full + angle, size=full + size, turn=full + turn)


Script = Callable[[Stage], Course]


#: Direction → unit steps in shares of the picture (y downwards).
WAYS: Final[dict[str, tuple[float, float]]] = {
    "left": (-1, 0),
    "right": (1, 0),
    "up": (0, -1),
    "down": (0, 1),
    "up_left": (-1, -1),
    "up_right": (1, -1),
    "down_left": (-1, 1),
    "down_right": (1, 1),
}


def along(way: str, far: F64) -> tuple[F64, F64]:
    """Shares x, y of a way ``far`` in a direction."""
    x, y = WAYS[way]
    share = 0.75 if x and y else 1.0
    return x * share * far, y * share * far


def move(way: str) -> Script:
    """Along a line, evenly."""

    def script(s: Stage) -> Course:
        return s.course(*along(way, s.draw(LINEAR) * s.t))

    return script


def roll(way: str) -> Script:
    """Along a line, turning as a wheel does."""

    def script(s: Stage) -> Course:
        x, y = along(way, s.draw(LINEAR) * s.t)
        return s.course(x, y, angle=x * s.width / s.radius)

    return script


def accelerate(way: str) -> Script:
    """From rest, ever faster."""

    def script(s: Stage) -> Course:
        return s.course(*along(way, s.draw(LINEAR) * s.t**2 / 1.5))

    return script


def slow_down(way: str) -> Script:
    """Ever slower, to rest."""

    def script(s: Stage) -> Course:
        t = np.minimum(s.t, 1.5)
        return s.course(*along(way, s.draw(LINEAR) * 2 * t * (1 - t / 3)))

    return script


def stop_and_go(way: str) -> Script:
    """Stretches of motion and of rest."""

    def script(s: Stage) -> Course:
        whole, part = np.divmod(s.t, 0.9)
        return s.course(*along(way, 1.5 * s.draw(LINEAR) * (0.5 * whole + np.minimum(part, 0.5))))

    return script


def turn_back(way: str) -> Script:
    """Along a line and back."""

    def script(s: Stage) -> Course:
        return s.course(*along(way, s.draw(LINEAR) * (0.75 - np.abs(s.t - 0.75))))

    return script


def zigzag(way: str) -> Script:
    """Along a jagged line."""

    def script(s: Stage) -> Course:
        x, y = along(way, s.draw(LINEAR) * s.t)
        side = triangle(1.25 * s.t) * s.rng.uniform(0.11, 0.15)
        return s.course(x, y - side) if y.any() == 0 else s.course(x + side, y)

    return script


def triangle(phase: F64) -> F64:
    """0 → 1 → 0 → -1 → 0 as the phase goes 0 → 1, in straight lines."""
    p = (phase + 0.25) % 1.0
    return 1 - 4 * np.abs(p - 0.5)


def hop(way: str) -> Script:
    """Bounces, along a line or ('') in place."""

    def script(s: Stage) -> Course:
        x, _ = along(way, s.draw(LINEAR) * s.t) if way else (s.t * 0, None)
        p = s.draw(CYCLES) * 1.15 * s.t % 1.0
        return s.course(x, -s.rng.uniform(0.24, 0.32) * 4 * p * (1 - p))

    return script


def jump(s: Stage) -> Course:
    """One jump."""
    lasts = s.draw(FALLS)
    p = np.clip((s.t - 0.15) / lasts, 0, 1)
    return s.course(0.0, -s.rng.uniform(0.32, 0.4) * 4 * p * (1 - p))


def fall(s: Stage) -> Course:
    """Down, ever faster, until it lies."""
    p = np.minimum(s.t / s.draw(FALLS), 1)
    return s.course(0.0, 0.55 * p**2)


def flutter(s: Stage) -> Course:
    """Down, swaying and tilting."""
    phase = _TURN * 0.9 * s.t
    y = 0.8 * s.draw(LINEAR) * s.t
    sway = s.rng.uniform(0.07, 0.1) * s.height / s.width
    return s.course(
        sway * np.sin(phase), y, angle=0.35 * np.sin(phase), turn=1.1 * np.sin(1.5 * phase)
    )


def spin(sign: int) -> Script:
    """About its middle; 1: clockwise."""

    def script(s: Stage) -> Course:
        return s.course(angle=sign * np.radians(s.draw(TURNS)) * s.t)

    return script


def circle(sign: int) -> Script:
    """Round, from the top; 1: clockwise."""

    def script(s: Stage) -> Course:
        phase = _TURN * 0.85 * s.draw(CYCLES) * s.t
        r = s.rng.uniform(0.17, 0.22)
        return s.course(sign * r * s.height / s.width * np.sin(phase), r * (1 - np.cos(phase)))

    return script


def eight(s: Stage) -> Course:
    """A lying eight."""
    phase = _TURN * 0.6 * s.draw(CYCLES) * s.t
    return s.course(0.15 * np.sin(phase), -0.13 * np.sin(2 * phase))


def grow(sign: int) -> Script:
    """Larger (1) or smaller (-1)."""

    def script(s: Stage) -> Course:
        return s.course(size=np.exp(sign * s.draw(GROWTH) * s.t))

    return script


def swing(s: Stage) -> Course:
    """As a pendulum, from its left end."""
    top = np.radians(s.rng.uniform(30, 38))
    angle = -top * np.cos(_TURN * 0.85 * s.draw(CYCLES) * s.t)
    far = 0.5
    x = far * s.height / s.width * (np.sin(angle) - np.sin(-top))
    return s.course(x, far * (np.cos(angle) - np.cos(top)), angle=-(angle + top))


def shuttle(s: Stage) -> Course:
    """To and fro."""
    return s.course(s.rng.uniform(0.11, 0.14) * np.sin(_TURN * s.draw(CYCLES) * s.t))


def bob(s: Stage) -> Course:
    """Up and down."""
    return s.course(0.0, -s.rng.uniform(0.11, 0.14) * np.sin(_TURN * s.draw(CYCLES) * s.t))


def flip(s: Stage) -> Course:
    """Over and over, showing its back."""
    return s.course(turn=_TURN * 0.6 * s.draw(CYCLES) * s.t)


def rock(s: Stage) -> Course:
    """Tilting to both sides."""
    return s.course(angle=0.45 * np.sin(_TURN * s.draw(CYCLES) * s.t))


def tremble(s: Stage) -> Course:
    """Shaking a little."""
    x = 0.007 * np.sin(_TURN * 4.1 * s.t) + 0.004 * np.sin(_TURN * 2.3 * s.t)
    return s.course(x, 0.006 * np.sin(_TURN * 3.3 * s.t))


def still(s: Stage) -> Course:
    """Not at all."""
    return s.course()
