"""The plan of one video: which objects, how they look and move, and what is said of them."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from motionkit.synth.objects.courses import SPEEDS, Course, Stage
from motionkit.synth.objects.motions import MOTIONS, Motion
from motionkit.synth.objects.relations import RELATED, relate
from motionkit.synth.objects.shapes import FLAT, ROUND, SHAPES
from motionkit.synth.objects.skins import COLOURS, PATTERNS
from motionkit.synth.objects.spec import WorldSpec
from motionkit.synth.objects.views import VIEWS, view_course
from motionkit.synth.objects.warp import Warp, after
from motionkit.synth.objects.wording import Look, Sentence, Speaker

F64 = NDArray[np.float64]

#: How objects deform, and the word for it.
DEFORMS = {"wobble": "wobbling", "breathe": "pulsing", "squash": "squashing"}
#: Half size of an object as a share of the picture's height, by the number of objects.
SIZES = {1: (0.15, 0.24), 2: (0.13, 0.20), 3: (0.12, 0.17), 4: (0.11, 0.15)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Thing:
    """One object of a video."""

    look: Look
    motion: str
    """A name of `MOTIONS`; of related objects that of their relation."""
    direction: str
    speed: str
    """'slow', 'normal', 'fast', or '' where the motion has none."""
    radius: float
    """Half size in the first frame, pixels."""
    deform: str
    """A key of `DEFORMS` or ''."""
    two_sided: bool
    warp: Warp
    transform: F64
    """[T, 6]: centre x, y in pixels, angle in radians (clockwise), size (1 in the first frame),
    turn in radians, and the camera's scale."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
    """One video's plan. Later things lie before earlier ones."""

    split: str
    number: int
    camera: str
    view: F64
    """[T, 2, 3]: scene pixels to picture pixels."""
    things: tuple[Thing, ...]
    sentences: tuple[Sentence, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """What the plan knows of an object before it is placed."""

    motion: str
    direction: str
    speed: str
    course: Course
    start: F64 | None = None
    """Where it starts; None: wherever its way fits."""
    look: Look
    radius: float
    flat: bool = False
    upright: bool = False


def plan_scene(spec: WorldSpec, split: str, number: int) -> Scene:
    """The plan of video ``number`` of a split. All motions and relations take turns in the lead."""
    rng = spec.rng(split, number)
    t = np.arange(spec.frames) / spec.fps
    order = spec.motions or (*MOTIONS, *RELATED)
    lead = order[number % len(order)]
    camera = _camera(spec, lead, rng)
    view = view_course(camera, spec.width, spec.height, t, rng)
    if lead in RELATED:
        parts = relate(spec, lead, t, rng, _look)
    else:
        parts = _independent(spec, lead, t, rng)
    starts = _place(spec, parts, rng)
    things = tuple(
        _thing(spec, part, start, t, view, rng) for part, start in zip(parts, starts, strict=True)
    )
    return Scene(
        split=split, number=number, camera=camera, view=view, things=things,
        sentences=_sentences(spec, split, things, lead, camera, rng),
    )  # fmt: skip


def _camera(spec: WorldSpec, lead: str, rng: np.random.Generator) -> str:
    moving = [name for name in VIEWS if name != "still"]
    if lead in MOTIONS and MOTIONS[lead].grows:  # a zoom would say the same, or the contrary
        moving = [name for name in moving if not name.startswith("zoom")]
    weights = np.array([VIEWS[name] for name in moving])
    chosen = str(rng.choice(moving, p=weights / weights.sum()))
    return chosen if rng.random() < spec.camera else "still"


def _look(rng: np.random.Generator, shapes: tuple[str, ...] = ()) -> Look:
    names = shapes or tuple(SHAPES)
    return Look(
        shape=names[int(rng.integers(len(names)))],
        colour=str(rng.choice(list(COLOURS))),
        pattern=str(rng.choice(PATTERNS)),
    )


def _shapes_for(motion: Motion) -> tuple[str, ...]:
    return ROUND if motion.rolls else FLAT if motion.flat else ()


def _independent(spec: WorldSpec, lead: str, t: F64, rng: np.random.Generator) -> list[Part]:
    """The leading motion, and others that sentences can tell from it; at times a twin."""
    count = int(rng.choice([1, 2, 3, 4], p=[0.35, 0.35, 0.2, 0.1]))
    count = min(count, 1 if spec.motions else spec.objects)
    names, looks = [lead], [_look(rng, _shapes_for(MOTIONS[lead]))]
    speeds = [str(rng.choice(SPEEDS))]
    if count > 1 and rng.random() < 0.3:  # two of a kind that move alike
        names.append(lead)
        others = [colour for colour in COLOURS if colour != looks[0].colour]
        looks.append(dataclasses.replace(looks[0], colour=str(rng.choice(others))))
        speeds.append(speeds[0])
    while len(names) < count:
        name = str(rng.choice(list(MOTIONS)))
        if name in names:
            continue
        shapes = _shapes_for(MOTIONS[name])
        alike = not shapes and rng.random() < 0.35
        # The same look, another motion: only the motion tells them apart.
        looks.append(looks[0] if alike else _other(looks, shapes, rng))
        names.append(name)
        speeds.append(str(rng.choice(SPEEDS)))
    return [
        _part(spec, name, speed, look, len(names), t, rng)
        for name, speed, look in zip(names, speeds, looks, strict=True)
    ]


def _other(looks: list[Look], shapes: tuple[str, ...], rng: np.random.Generator) -> Look:
    """A look with a colour that no other object has."""
    taken = {look.colour for look in looks}
    while True:
        look = _look(rng, shapes)
        if look.colour not in taken:
            return look


def _part(
    spec: WorldSpec, name: str, speed: str, look: Look, count: int, t: F64, rng: np.random.Generator
) -> Part:
    motion = MOTIONS[name]
    radius = rng.uniform(*SIZES[count]) * spec.height
    radius *= {1.0: 0.75, -1.0: 1.35}.get(motion.grows, 1.0)
    stage = Stage(
        width=spec.width, height=spec.height, t=t, radius=radius, speed=speed, rng=rng
    )  # fmt: skip
    course = motion.script(stage)
    said = speed if motion.has_speed else ""
    return Part(
        motion=name, direction=motion.direction, speed=said, course=course, look=look,
        radius=radius, flat=motion.flat, upright=motion.upright,
    )  # fmt: skip


def _place(spec: WorldSpec, parts: list[Part], rng: np.random.Generator) -> list[F64]:
    """Where the objects start: their ways in the picture, and apart in the first frame."""
    sides = np.array([spec.width, spec.height], float)
    starts: list[F64] = []
    for k, part in enumerate(parts):
        if part.start is not None:
            starts.append(part.start)
            continue
        room = 0.85 * part.radius * part.course.size[:, None]
        low = (room - part.course.shift).max(0)
        high = (sides - room - part.course.shift).min(0)
        # A way longer than the picture: whole in the first frame, and beyond the edge in the last.
        first = part.radius * np.ones(2), sides - part.radius
        tight = low > high
        middle = np.clip((low + high) / 2, *first)
        low, high = np.where(tight, middle, low), np.where(tight, middle, high)
        tries = rng.uniform(low, high, (24, 2))
        apart = np.full(24, np.inf)
        for other, at in zip(parts[:k], starts, strict=True):
            gap = np.linalg.norm(tries - at, axis=1) / (part.radius + other.radius)
            apart = np.minimum(apart, gap)
        good = np.flatnonzero(apart > 1.0)
        starts.append(tries[good[0] if len(good) else int(apart.argmax())])
    return starts


def _thing(
    spec: WorldSpec, part: Part, start: F64, t: F64, view: F64, rng: np.random.Generator
) -> Thing:
    deform = str(rng.choice(list(DEFORMS))) if rng.random() < spec.deforming else ""
    tilt = rng.uniform(-0.2, 0.2) if part.upright else rng.uniform(-0.5, 0.5)
    course = part.course
    stretch, wave = _deformation(deform, t, rng)
    axis = rng.uniform(0, np.pi)
    facing = np.cos(course.turn)
    # Never quite edge-on: the map must stay one that can be undone.
    across = np.where(np.abs(facing) < 0.04, np.where(facing < 0, -0.04, 0.04), facing)
    angle = tilt + course.angle
    linear = _turned(angle) @ _turned(np.full_like(t, axis)) @ _scaled(across, np.ones_like(t))
    linear = linear @ _turned(np.full_like(t, -axis)) @ _scaled(stretch, 1 / stretch)
    if deform == "breathe":
        linear = linear @ _scaled(stretch, stretch**3) / stretch[:, None, None]
    centre = start + course.shift
    inner = np.concatenate(
        [linear * (part.radius * course.size)[:, None, None], centre[..., None]], axis=-1
    )
    scale = view[:, 0, 0]
    affine = after(view, inner)
    transform = np.stack(
        [affine[:, 0, 2], affine[:, 1, 2], angle, course.size, course.turn, scale], axis=-1
    )
    return Thing(
        look=dataclasses.replace(part.look, deforms=DEFORMS.get(deform, "")),
        motion=part.motion, direction=part.direction, speed=part.speed, radius=part.radius,
        deform=deform, two_sided=part.flat, transform=transform,
        warp=Warp(affine=affine, wave=wave, facing=facing),
    )  # fmt: skip


def _deformation(deform: str, t: F64, rng: np.random.Generator) -> tuple[F64, F64]:
    """The stretch [T] along the object's own x, and its waves [T, 6]."""
    wave = np.zeros((len(t), 6))
    stretch = np.ones_like(t)
    phase = 2 * np.pi * rng.uniform(0.7, 1.1) * t + rng.uniform(0, 6.28)
    if deform in ("breathe", "squash"):
        stretch = 1 + rng.uniform(0.10, 0.16) * np.sin(phase)
    elif deform == "wobble":
        wave[:, 0], wave[:, 1] = rng.uniform(0.08, 0.13), rng.uniform(2.6, 4.2)
        wave[:, 3], wave[:, 4] = rng.uniform(0.06, 0.1), rng.uniform(2.6, 4.2)
        wave[:, 2], wave[:, 5] = phase, 0.8 * phase + 1.0
    return stretch, wave


def _turned(angle: F64) -> F64:
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)


def _scaled(x: F64, y: F64) -> F64:
    zero = np.zeros_like(x)
    return np.stack([np.stack([x, zero], -1), np.stack([zero, y], -1)], -2)


def _sentences(
    spec: WorldSpec,
    split: str,
    things: tuple[Thing, ...],
    lead: str,
    camera: str,
    rng: np.random.Generator,
) -> tuple[Sentence, ...]:
    """Of each object some, then those about several; no text twice about the same objects."""
    found: dict[tuple[str, tuple[int, ...]], Sentence] = {}

    def speaker() -> Speaker:
        return Speaker(rng, split != "train" and rng.random() < spec.held_out, camera)

    def add(sentence: Sentence) -> None:
        found.setdefault((sentence.text, sentence.objects), sentence)

    alike = {
        k
        for k, thing in enumerate(things)
        if any(_same(thing, other) for j, other in enumerate(things) if j != k)
    }
    for k, thing in enumerate(things):
        if lead in RELATED and k < 2:
            other = things[1 - k].look
            for _ in range(spec.sentences):
                for sentence in RELATED[lead].about(speaker(), k, things, other):
                    add(sentence)
        else:
            # Of two that move alike only the colour tells which.
            named = 1.0 if k in alike else 0.5
            for _ in range(spec.sentences):
                add(
                    speaker().single(
                        k, thing.look, thing.motion, thing.direction, thing.speed, named
                    )
                )
    if lead in RELATED:
        for _ in range(2):
            add(RELATED[lead].both(speaker(), things))
    elif len(alike) > 1:
        first = things[0]
        shape = first.look.shape
        for _ in range(2):
            add(
                speaker().group(
                    tuple(sorted(alike)), shape, first.motion, first.direction, first.speed
                )
            )
    return tuple(found.values())


def _same(a: Thing, b: Thing) -> bool:
    return (a.motion, a.speed) == (b.motion, b.speed)
