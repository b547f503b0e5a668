"""Motions made of other motions: style, interpolation, arithmetic, all on directions of latents."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from motionkit.errors import InputError, UsageError
from motionkit.generation.lang2motion import GenerateConfig, GeneratedTrajectory, Job, make_motions
from motionkit.generation.lang2motion_files import Frame, Trajectory, film, still, write_png
from motionkit.generation.lang2motion_grid import StartGrid
from motionkit.generation.lang2motion_model import Float, TrajectoryModel, between, combined
from motionkit.generation.lang2motion_operands import Operand
from motionkit.shards.reader import ShardSet

#: More are refused: they are one sheet and one film.
MOST_STEPS = 64
#: So are more terms of a sum, each of which is shown as well.
MOST_TERMS = 16


@dataclass(frozen=True)
class Edit:
    """Latents to decode, each with a label."""

    name: str
    """style, interpolate or arithmetic."""
    labels: tuple[str, ...]
    latents: tuple[Float, ...]
    asked: dict[str, Any]


def style(content: Operand, like: Operand, strength: float) -> Edit:
    """The content's motion in the style of another: direction of content + strength · style."""
    if not -8 <= strength <= 8:
        raise UsageError(f"strength is {strength}.", hint="give a number from -8 to 8; 1 is usual")
    with _as_usage():
        latent = combined([(1.0, content.latent), (strength, like.latent)])
    sign = "-" if strength < 0 else "+"
    label = f"{_short(content)} {sign} {abs(strength):g} x {_short(like)}"
    return Edit("style", (label,), (latent,), {"strength": strength})


def interpolate(one: Operand, other: Operand, steps: int) -> Edit:
    """``steps`` motions from one to the other, both ends among them, at equal angles."""
    if not 2 <= steps <= MOST_STEPS:
        raise UsageError(f"{steps} steps.", hint=f"ask for 2 to {MOST_STEPS}")
    with _as_usage():
        latents = between(one.latent, other.latent, steps)
    labels = tuple(f"{i / (steps - 1):.0%}" for i in range(steps))
    return Edit("interpolate", labels, tuple(latents), {"steps": steps})


def arithmetic(terms: Sequence[tuple[float, Operand]]) -> Edit:
    """The direction of a signed sum."""
    with _as_usage():
        latent = combined([(weight, operand.latent) for weight, operand in terms])
    words = [f"{'-' if weight < 0 else '+'} {_short(operand)}" for weight, operand in terms]
    label = " ".join(words).removeprefix("+ ")
    return Edit("arithmetic", (label,), (latent,), {"signs": [weight for weight, _ in terms]})


@contextlib.contextmanager
def _as_usage() -> Iterator[None]:
    """Latents that cancel each other are a wrong request."""
    try:
        yield
    except InputError as error:
        raise UsageError(error.message, hint="name motions that differ") from error


def parse_terms(words: Sequence[str]) -> list[tuple[float, str]]:
    """``A - B + C`` as given by a shell, one word each, as signs and names. UsageError unless
    operands and signs alternate."""
    names, signs = list(words[::2]), list(words[1::2])
    wrong = [sign for sign in signs if sign not in ("+", "-")]
    misplaced = [name for name in names if name in ("+", "-")]
    if len(words) % 2 == 0 or len(names) < 2 or wrong or misplaced:
        raise UsageError(
            f"{' '.join(words)[:200]!r} is no sum.",
            hint="write it with spaces, and texts in quotes: A - B + 'it goes up'",
        )
    if len(names) > MOST_TERMS:
        raise UsageError(
            f"the sum has {len(names)} terms, more than {MOST_TERMS}.", hint="name fewer"
        )
    return list(zip([1.0, *(1.0 if sign == "+" else -1.0 for sign in signs)], names, strict=True))


def run_edit(
    model: TrajectoryModel,
    edit: Edit,
    operands: Sequence[Operand],
    start: StartGrid,
    *,
    out: Path,
    image: Frame | None = None,
    formats: Sequence[str],
    config: GenerateConfig | None = None,
) -> tuple[list[GeneratedTrajectory], list[Path]]:
    """Write the edit's motions, and one picture and one film of all of them beside what they were
    made from; the motions, and those two files."""
    config = config or GenerateConfig()
    text = f"{edit.name}: {' | '.join(_short(operand) for operand in operands)}"
    inputs = [hashlib.sha256(operand.latent.tobytes()).hexdigest()[:16] for operand in operands]
    asked = {**edit.asked, "edit": edit.name, "inputs": inputs, "grid": start.digest()}
    asked |= {k: v for k in ("frames", "fps") if (v := getattr(config, k)) is not None}
    jobs = [Job(latent, start, text, place, asked) for place, latent in enumerate(edit.latents)]
    made = make_motions(model, jobs, out=out, image=image, formats=formats, config=config)
    shown = [(label, one.motion) for label, one in zip(edit.labels, made, strict=True)]
    if edit.name != "interpolate":
        shown = [*_inputs(model, operands, start, config), *shown]
    stem = made[0].name + "-sheet"
    paths = [out / f"{stem}.png", out / f"{stem}.mp4"]
    write_sheet(shown, paths[0], image, config)
    write_sheet_film(shown, paths[1], image, config)
    return made, paths


def _inputs(
    model: TrajectoryModel, operands: Sequence[Operand], start: StartGrid, config: GenerateConfig
) -> list[tuple[str, Trajectory]]:
    """What each operand alone makes of the same grid."""
    from motionkit.generation.lang2motion_files import FPS, trajectory

    latents = np.stack([operand.latent for operand in operands])
    firsts = np.repeat(start.normalised()[None], len(operands), 0)
    ways = model.decode(latents, firsts, config.frames)
    return [
        (_short(operand), trajectory(way, start, config.fps or start.fps or FPS, operand.text,
                                     operand.latent, {}))
        for operand, way in zip(operands, ways, strict=True)
    ]  # fmt: skip


def write_sheet(
    motions: Sequence[tuple[str, Trajectory]],
    path: Path,
    image: Frame | None,
    config: GenerateConfig,
) -> None:
    """One picture of all motions, each with its whole trails and a label."""
    from motionkit.video.draw import contact_sheet

    cells = [still(motion, image, config.drawing) for _, motion in motions]
    sheet = contact_sheet(cells, labels=[_plain(label) for label, _ in motions], cell_width=320)
    write_png(path, sheet)


def write_sheet_film(
    motions: Sequence[tuple[str, Trajectory]],
    path: Path,
    image: Frame | None,
    config: GenerateConfig,
) -> None:
    """One film of all motions beside each other; a shorter one stays at its end."""
    from motionkit.video.draw import contact_sheet
    from motionkit.video.film import write_film

    labels = [_plain(label) for label, _ in motions]

    def frames() -> Iterator[Frame]:
        films = [film(motion, image, config.drawing) for _, motion in motions]
        last: list[Frame] = []
        for cells in itertools.zip_longest(*films):
            last = [
                cell if cell is not None else old
                for cell, old in itertools.zip_longest(cells, last)
            ]
            yield contact_sheet(last, labels=labels, cell_width=320)

    write_film(path, frames(), fps=motions[0][1].fps)


def draw_samples(shards: ShardSet, ids: Sequence[str], path: Path) -> None:
    """One picture of the trajectories of samples, in their order, as they are in the shards."""
    from motionkit.generation.lang2motion_operands import find_samples, mask_of

    found = find_samples(shards, ids)
    shown = []
    for place, name in enumerate(ids, 1):
        sample = found.get(name)
        if sample is None or sample.tracks is None:
            continue
        size = (sample.width, sample.height)
        start = StartGrid(sample.tracks.points[0], size, name, mask_of(sample), sample.fps)
        points = sample.tracks.points
        text = next((text for text, _ in sample.captions), name)
        motion = Trajectory(points, points, start, sample.fps, text, np.zeros(1, np.float32))
        shown.append((f"{place} {text}"[:44], motion))
    write_sheet(shown, path, None, GenerateConfig())


def _short(operand: Operand) -> str:
    """A text, or the last part of what names a trajectory."""
    name = operand.text if operand.kind == "text" else operand.name
    name = Path(name).name if operand.kind == "file" else name
    return name if len(name) <= 36 else name[:33] + "..."


def _plain(label: str) -> str:
    """OpenCV's font has no more than ASCII."""
    return label.encode("ascii", "replace").decode()
