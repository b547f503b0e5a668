"""Sentences about the objects of a video: by name, by motion, and of several at once.

Every sentence states direction and speed (normal speed may go without a word, as it does in
speech). What else decides the path is the same for all videos, and written in the data's README.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import numpy as np

from motionkit.synth.objects import phrases
from motionkit.synth.objects.motions import MOTIONS

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """What an object can be called by."""

    shape: str
    colour: str
    pattern: str
    deforms: str = ""
    """'', 'wobbling', 'pulsing' or 'squashing'."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sentence:
    """One expression and what it says."""

    text: str
    objects: tuple[int, ...]
    motion: str
    """A name of `MOTIONS`, or 'cross', 'follow', 'apart', 'together'."""
    direction: str
    speed: str
    held_out: bool
    """Whether its words are such as training sentences never have."""

    def facts(self) -> dict[str, Any]:
        """Further keys of the expression in the file of sentences."""
        return {
            "motion": self.motion,
            "direction": self.direction,
            "speed": self.speed,
            "held_out": self.held_out,
        }


class Speaker:
    """Draws words; a sentence that is ``held_out`` has a verb or a relation that training
    sentences never have, and half of its other words are such, too."""

    def __init__(self, rng: np.random.Generator, held_out: bool, camera: str) -> None:
        self.rng, self.held_out, self.camera = rng, held_out, camera

    def one(self, choices: tuple[T, ...]) -> T:
        """One of them."""
        return choices[int(self.rng.integers(len(choices)))]

    def half(self, halves: tuple[tuple[T, ...], tuple[T, ...]], share: float = 0.5) -> T:
        """From the half for training; where held out, with a chance of ``share`` from the other."""
        other = self.held_out and self.rng.random() < share
        return self.one(halves[1] if other else halves[0])

    def noun(self, look: Look, full: float = 0.5) -> str:
        """'striped red star', 'red star', 'star', 'red object' …"""
        bare = self.one(phrases.NOUNS.get(look.shape, (look.shape,)))
        drawn = self.rng.random()
        if drawn < full:
            words = [look.colour, bare]
        elif drawn < full + 0.2 and look.pattern != "plain":
            words = [look.pattern, look.colour, bare]
        elif drawn < full + 0.35:
            words = [bare]
        else:
            words = [look.colour, self.one(phrases.ANY)]
        if look.deforms and self.rng.random() < 0.35:
            words.insert(0, look.deforms)
        return " ".join(words)

    def clause(self, motion: str, direction: str, speed: str) -> tuple[str, str]:
        """The finite and the participle form of what it does."""
        finite, participle = self.half(phrases.VERBS[MOTIONS[motion].family], 1.0)
        return self._with(finite, direction, speed), self._with(participle, direction, speed)

    def _with(self, verb: str, direction: str, speed: str) -> str:
        # Drawn once for both forms: the caller takes one of them.
        way = self._way(verb, direction)
        adverb = self.half(phrases.ADVERBS[speed]) if speed else ""
        if adverb.endswith("ly") and " " not in adverb and self.rng.random() < 0.3:
            return " ".join(filter(None, [adverb, verb, way]))
        parts = [verb, way, adverb] if self.rng.random() < 0.5 else [verb, adverb, way]
        return " ".join(filter(None, parts))

    def _way(self, verb: str, direction: str) -> str:
        words = set(verb.split())
        if not direction or (direction == "down" and words & _DOWNWARD):  # said already
            return ""
        return self.half(phrases.DIRECTIONS[direction])

    def view(self, text: str) -> str:
        """With the camera's move, where it has one that carries the picture away."""
        said = phrases.CAMERA.get(self.camera)
        return text if said is None else f"{text} {self.half(said)}"

    def single(
        self,
        number: int,
        look: Look,
        motion: str,
        direction: str,
        speed: str,
        named: float = 0.5,
    ) -> Sentence:
        """A sentence about one object; ``named``: how often by its colour and shape."""
        finite, participle = self.clause(motion, direction, speed)
        template = self.half(phrases.TEMPLATES)
        text = template.format(n=self.noun(look, named), f=finite, p=participle)
        return self._sentence(text, (number,), motion, direction, speed)

    def group(
        self, numbers: tuple[int, ...], shape: str, motion: str, direction: str, speed: str
    ) -> Sentence:
        """A sentence about two objects of one shape that move alike."""
        _, participle = self.clause(motion, direction, speed)
        template = self.half(phrases.GROUPS)
        names = phrases.NOUNS.get(shape, (shape,)) if shape else phrases.ANY
        noun = self.one(names)
        text = template.format(n=phrases.PLURALS.get(noun, f"{noun}s"), p=participle)
        return self._sentence(text, numbers, motion, direction, speed)

    def said(
        self,
        halves: phrases.Halves,
        numbers: tuple[int, ...],
        kind: str,
        direction: str,
        speed: str,
        **fill: str,
    ) -> Sentence:
        """A sentence from templates of a relation, with {d} direction and {a} adverb."""
        way = self.half(phrases.DIRECTIONS[direction]) if direction else ""
        adverb = self.half(phrases.ADVERBS[speed])
        text = self.half(halves, 1.0).format(d=way, a=adverb, **fill)
        return self._sentence(text, numbers, kind, direction, speed)

    def _sentence(
        self, text: str, objects: tuple[int, ...], motion: str, direction: str, speed: str
    ) -> Sentence:
        text = " ".join(self.view(text).split())
        for vowel in "aeiou":
            text = f" {text}".replace(f" a {vowel}", f" an {vowel}")[1:]
        return Sentence(
            text=text, objects=objects, motion=motion, direction=direction, speed=speed,
            held_out=self.held_out,
        )  # fmt: skip


_DOWNWARD = {
    "down",
    "downwards",
    "falls",
    "falling",
    "drops",
    "dropping",
    "tumbles",
    "tumbling",
    "sinks",
    "sinking",
}

#: {n} this object, {m} the other one, {d} direction, {a} adverb.
RELATIONS: dict[str, phrases.Halves] = {
    "cross_front": (
        (
            "the {n} that moves {d} {a} and passes in front of the {m}",
            "the {n} moving {a} {d}, crossing before the {m}",
        ),
        ("a {n} heading {d} {a} that covers the {m} on its way",),
    ),
    "cross_behind": (
        (
            "the {n} that moves {d} {a} and passes behind the {m}",
            "the {n} moving {a} {d}, crossing behind the {m}",
        ),
        ("a {n} heading {d} {a} that the {m} hides for a moment",),
    ),
    "cross": (
        (
            "the {n} and the {m} crossing each other's way {a}",
            "two objects that pass each other {a}",
        ),
        ("the {n} and the {m} swap sides {a}",),
    ),
    "follow": (
        ("the {n} following the {m} {d} {a}", "the {n} that {a} moves {d} behind the {m}"),
        ("the {n} which trails the {m} {d} {a}",),
    ),
    "lead": (
        ("the {n} moving {d} {a} with the {m} behind it", "the {n} that leads the {m} {d} {a}"),
        ("the {n} which the {m} trails {d} {a}",),
    ),
    "train": (
        (
            "two objects moving {d} {a}, one following the other",
            "the {m} and the {n} that follows it {d} {a}",
        ),
        ("the {n} and the {m} in single file {d} {a}",),
    ),
    "apart": (
        ("the {n} and the {m} moving apart {a}", "two objects moving away from each other {a}"),
        ("the {n} and the {m} parting {a}",),
    ),
    "together": (
        ("the {n} and the {m} moving towards each other {a}", "two objects that come together {a}"),
        ("the {n} and the {m} converging {a}",),
    ),
}
