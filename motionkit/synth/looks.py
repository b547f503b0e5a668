"""Seeded appearances: skin, hair, clothes and light."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionkit.synth.figure import Cut
from motionkit.synth.mesh import ZONES

Float = NDArray[np.float64]

_SKIN = (
    (236, 196, 168),
    (222, 174, 142),
    (198, 148, 112),
    (160, 112, 80),
    (118, 80, 58),
    (92, 62, 46),
)
_HAIR = ((40, 30, 24), (74, 48, 30), (112, 74, 40), (166, 124, 70), (28, 26, 28), (128, 124, 120))
_LIPS = (0.86, 0.56, 0.54)


@dataclass(frozen=True)
class Look:
    """Colours by zone and the cut of one person."""

    colours: Float
    """[zones, 3] RGB 0..255, in the order of `mesh.ZONES`."""
    cut: Cut


@dataclass(frozen=True)
class Light:
    """One sun or lamp, and what the surroundings throw back."""

    direction: Float
    """[3] unit vector from the scene towards the light, world."""
    strength: float
    ambient: float
    tint: Float
    """[3] factor on RGB."""
    shadow: float
    """Darkness of cast shadows, 0..1."""


def _cloth(rng: np.random.Generator, low: float, high: float) -> tuple[float, ...]:
    hue, saturation = rng.uniform(), rng.uniform(0.15, 0.75)
    rgb = colorsys.hsv_to_rgb(hue, saturation, rng.uniform(low, high))
    return tuple(255 * v for v in rgb)


def random_look(rng: np.random.Generator) -> Look:
    """A person's appearance."""
    tone = int(rng.integers(len(_SKIN)))
    skin = np.array(_SKIN[tone], dtype=float) * rng.uniform(0.96, 1.04)
    hair = np.array(_HAIR[int(rng.integers(len(_HAIR)))], dtype=float)
    if tone >= 4:
        hair = np.minimum(hair, 50)
    shirt = np.array(_cloth(rng, 0.45, 0.92))
    shirt2 = shirt * 0.6 if shirt.mean() > 110 else np.minimum(shirt * 1.6 + 30, 240)
    trousers = np.array(_cloth(rng, 0.18, 0.6))
    if rng.uniform() < 0.4:  # jeans
        trousers = np.array([52.0, 70.0, 104.0]) * rng.uniform(0.7, 1.3)
    shoe = np.array([[235, 235, 232], [40, 40, 44], [150, 60, 52], [60, 84, 130]][rng.integers(4)])
    colours = {
        "skin": skin,
        "shirt": shirt,
        "shirt2": shirt2,
        "sleeve": shirt * 0.97,
        "trousers": trousers,
        "shorts_leg": trousers,
        "shoe": shoe,
        "sole": np.array([225.0, 222, 214]) if shoe.mean() < 200 else np.array([150.0, 148, 142]),
        "hair": hair,
        "eye": np.array([246.0, 244, 240]),
        "iris": np.array([46.0, 34, 26]) if rng.uniform() < 0.7 else np.array([60.0, 92, 116]),
        "brow": np.minimum(hair, 110) * 0.8,
        "lips": skin * np.array(_LIPS),
        "nose": skin * 1.03,
        "ear": skin * 0.93,
        "belt": trousers * 0.55,
        "seat": np.array([150.0, 104, 66]) * rng.uniform(0.6, 1.3),
    }
    cut = Cut(
        sleeve=float(rng.choice([0.45, 0.47, 0.97, 0.97])),
        trousers=float(rng.choice([0.985, 0.985, 0.985, 0.46])),
        hair=str(rng.choice(["short", "short", "short", "long", "bun", "bald"])),
        girth=float(rng.uniform(0.93, 1.1)),
        stripes=bool(rng.uniform() < 0.25),
    )
    return Look(np.array([colours[name] for name in ZONES]), cut)


def random_light(rng: np.random.Generator, *, outdoors: bool) -> Light:
    """A light from above, more or less from the side."""
    turn, lift = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(48, 72))
    flat = np.cos(lift)
    direction = np.array([flat * np.sin(turn), np.sin(lift), flat * np.cos(turn)])
    warm = rng.uniform(-0.06, 0.08)
    return Light(
        direction,
        strength=float(rng.uniform(0.55, 0.7)),
        ambient=float(rng.uniform(0.42, 0.52)),
        tint=np.array([1 + warm, 1.0, 1 - warm]),
        shadow=0.5 if outdoors else 0.36,
    )
