"""Two objects whose motions belong together: crossing, following, parting, meeting."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from motionkit.synth.objects.courses import LINEAR, SPEEDS, Course
from motionkit.synth.objects.wording import RELATIONS, Look, Sentence, Speaker

if TYPE_CHECKING:
    from motionkit.synth.objects.scene import Part, Thing
    from motionkit.synth.objects.spec import WorldSpec

F64 = NDArray[np.float64]
LookOf = Callable[[np.random.Generator], Look]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Relation:
    """How two objects move together, and what is said of each and of both."""

    name: str
    rule: str
    words: tuple[str, str, str]
    """Keys of `RELATIONS` for the first object, the second, and both; '' for the plain motion."""

    def about(
        self, speaker: Speaker, k: int, things: tuple[Thing, ...], other: Look
    ) -> Iterator[Sentence]:
        """A sentence about one of the two."""
        thing, key = things[k], self.words[k]
        if key and speaker.rng.random() < 0.6:
            yield speaker.said(
                RELATIONS[key],
                (k,),
                self.name,
                thing.direction,
                thing.speed,
                n=speaker.noun(thing.look, 1.0),
                m=speaker.noun(other, 1.0),
            )
            return
        motion = f"move_{thing.direction}"
        plain = speaker.single(k, thing.look, motion, thing.direction, thing.speed)
        yield dataclasses.replace(plain, motion=self.name)

    def both(self, speaker: Speaker, things: tuple[Thing, ...]) -> Sentence:
        """A sentence about the two."""
        first, second = things[:2]
        direction = first.direction if first.direction == second.direction else ""
        return speaker.said(
            RELATIONS[self.words[2]],
            (0, 1),
            self.name,
            direction,
            first.speed,
            n=speaker.noun(first.look, 1.0),
            m=speaker.noun(second.look, 1.0),
        )


RELATED: Final[dict[str, Relation]] = {
    relation.name: relation
    for relation in (
        Relation(
            name="cross",
            words=("cross_behind", "cross_front", "cross"),
            rule="two objects cross each other's way at a `LINEAR` speed, and meet after 0.75 s",
        ),
        Relation(
            name="follow",
            words=("follow", "lead", "train"),
            rule="two objects in a row at the same `LINEAR` speed, never fast",
        ),
        Relation(
            name="apart",
            words=("", "", "apart"),
            rule="two objects leave each other at a `LINEAR` speed each, never fast",
        ),
        Relation(
            name="together",
            words=("", "", "together"),
            rule="two objects near each other at a `LINEAR` speed, never fast, until they meet",
        ),
    )
}


def relate(
    spec: WorldSpec, name: str, t: F64, rng: np.random.Generator, look: LookOf
) -> list[Part]:
    """The two objects of a relation, the one behind first."""
    from motionkit.synth.objects.scene import Part

    speed = str(rng.choice(SPEEDS if name == "cross" else SPEEDS[:2]))  # or they leave the picture
    way = str(rng.choice(["left", "right"]))
    sign = 1.0 if way == "right" else -1.0
    back = "left" if way == "right" else "right"
    radius = rng.uniform(0.12, 0.17, 2) * spec.height
    rate = rng.uniform(*LINEAR[speed]) * spec.width
    touch = float(radius.sum())
    middle = spec.width * rng.uniform(0.44, 0.56)
    gap = sign * touch
    if name == "cross":
        starts = middle - 0.75 * rate * sign, middle + 0.75 * rate * sign
        if abs(starts[0] - starts[1]) < 0.8 * touch:  # slow ones start side by side
            starts = middle - 0.4 * gap, middle + 0.4 * gap
        shifts, ways = (sign * rate * t, -sign * rate * t), (way, back)
    elif name == "follow":
        far = rate * float(t[-1])
        front = float(
            np.clip(
                0.5 * spec.width + sign * (0.55 * touch - far / 2),
                radius[1],
                spec.width - radius[1],
            )
        )
        starts, shifts, ways = (front - 1.15 * gap, front), (sign * rate * t,) * 2, (way, way)
    elif name == "apart":
        starts = middle - 0.55 * gap, middle + 0.55 * gap
        shifts, ways = (-sign * rate * t, sign * rate * t), (back, way)
    else:
        far = min(1.5 * rate, 0.42 * spec.width - 0.55 * touch)
        run = np.minimum(rate * t, far)
        starts = middle - 0.55 * gap - sign * far, middle + 0.55 * gap + sign * far
        shifts, ways = (sign * run, -sign * run), (way, back)
    line = rng.uniform(0.3, 0.7) * spec.height
    looks = [look(rng)]
    while len(looks) < 2:
        other = look(rng)
        if other.colour != looks[0].colour:
            looks.append(other)
    still = np.zeros_like(t)
    parts = []
    for k in range(2):
        y = line + rng.uniform(-0.12, 0.12) * radius[k]
        course = Course(
            shift=np.stack([shifts[k], still], -1), angle=still, size=still + 1, turn=still
        )
        parts.append(
            Part(
                motion=name,
                direction=ways[k],
                speed=speed,
                course=course,
                start=np.array([starts[k], y]),
                look=looks[k],
                radius=float(radius[k]),
            )
        )
    return parts
