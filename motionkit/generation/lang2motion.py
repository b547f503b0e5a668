"""Text (or a picture, or another motion) and a first frame → point trajectories → files.

The network has no noise in it: text and grid decide a motion. What samples of one prompt differ in
is therefore stated here. **Seed 0** is the text's own motion, on the grid given or, without one, on
that of the training sample whose sentence is nearest. **Another seed** turns the latent by
`GenerateConfig.variation` degrees towards a direction drawn with the seed and, without a grid of
its own, starts from one of the `GenerateConfig.pool` nearest samples, drawn as well.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from motionkit.errors import InputError, UsageError
from motionkit.generation.lang2motion_files import (
    DEFAULT_FORMATS,
    FPS,
    Drawing,
    Frame,
    Trajectory,
    check_formats,
    trajectory,
    write_trajectory,
)
from motionkit.generation.lang2motion_grid import StartGrid, placed
from motionkit.generation.lang2motion_index import TrajectoryIndex
from motionkit.generation.lang2motion_model import Float, TrajectoryModel, varied
from motionkit.generation.outputs import Manifest, check_folder, stem_of
from motionkit.generation.prompts import FailedPrompt, Prompt, checked

#: Prompts worked on at a time.
_BLOCK: Final = 256
#: Points of all frames that are held at a time (16 MB).
_POINTS: Final = 2_000_000
#: Longer motions are refused: they are written in one go.
LONGEST: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class GenerateConfig:
    """How trajectories are made."""

    frames: int | None = None
    """Length, the first frame among them; None: the trained one."""
    fps: float | None = None
    """Frames a second of what is written; None: the sample's that the grid is of, else 10. The
    network knows no seconds: it moves as its training tracks did from frame to frame."""
    size: tuple[int, int] | None = None
    """Picture that a retrieved grid is placed in; None: its own."""
    variation: float = 30.0
    """Degrees that seeds other than 0 turn the latent by; 0: not at all."""
    pool: int = 8
    """Nearest samples that a grid is drawn from, for seeds other than 0."""
    drawing: Drawing = field(default_factory=Drawing)

    def __post_init__(self) -> None:
        if self.frames is not None and not 1 <= self.frames <= LONGEST:
            raise UsageError(f"{self.frames} frames.", hint=f"ask for 1 to {LONGEST}")
        if self.fps is not None and not 0 < self.fps <= 240:
            raise UsageError(f"{self.fps} frames a second.", hint="ask for more than 0, up to 240")
        if not 0 <= self.variation <= 90:
            raise UsageError(f"variation is {self.variation}.", hint="give 0 to 90 degrees")
        if self.pool < 1:
            raise UsageError(f"pool is {self.pool}.", hint="give 1 or more")


@dataclass(frozen=True)
class GeneratedTrajectory:
    """One motion and its files."""

    name: str
    paths: tuple[Path, ...]
    text: str
    seed: int
    source: str
    """What the grid is from."""
    motion: Trajectory
    line: int | None = None
    """The prompt's line in its file."""


@dataclass(frozen=True)
class Job:
    """A motion to make."""

    latent: Float
    start: StartGrid
    text: str
    seed: int
    asked: dict[str, Any] = field(default_factory=dict)
    """What else was asked for: goes into the name and the list."""
    line: int | None = None


def generate_trajectories(
    model: TrajectoryModel,
    prompts: Iterable[Prompt | FailedPrompt],
    *,
    out: Path,
    start: StartGrid | None = None,
    index: Callable[[], TrajectoryIndex] | None = None,
    image: Frame | None = None,
    seed: int = 0,
    samples: int = 1,
    formats: Sequence[str] = DEFAULT_FORMATS,
    config: GenerateConfig | None = None,
) -> Iterator[GeneratedTrajectory | FailedPrompt]:
    """``samples`` motions of every prompt, with seeds ``seed``, ``seed`` + 1, … (or from a prompt's
    own on), each yielded as its files are written.

    ``start`` is the first frame of all; without it every motion's grid is retrieved from
    ``index``, which is opened then. ``image`` is what trails are drawn on. A prompt that gives no
    motion comes out as `FailedPrompt`, and the others go on. All are listed in
    ``out``/generated.jsonl. UsageError for an unknown format, or neither grid nor index.
    """
    config = config or GenerateConfig()
    check_formats(formats)
    if samples < 1:
        raise UsageError(f"{samples} samples.", hint="ask for 1 or more")
    if not 0 <= seed <= 2**63 - samples:
        raise UsageError(f"seed {seed} and {samples} samples.",
                         hint="seeds go from 0 to 2^63 - 1")  # fmt: skip
    check_folder(out)
    _check_start(model, start)
    if start is None and index is None:
        raise UsageError("there is neither a grid nor an index to retrieve one from.")
    found = index() if start is None and index is not None else None
    return _run(model, prompts, out, start, found, image, range(seed, seed + samples), formats,
                config)  # fmt: skip


def make_motions(
    model: TrajectoryModel,
    jobs: Sequence[Job],
    *,
    out: Path,
    image: Frame | None = None,
    formats: Sequence[str] = DEFAULT_FORMATS,
    config: GenerateConfig | None = None,
) -> list[GeneratedTrajectory]:
    """Motions of given latents on given grids, written and listed as `generate_trajectories`."""
    check_formats(formats)
    check_folder(out)
    for job in jobs:
        _check_start(model, job.start)
    manifest = Manifest(out)
    try:
        return list(finish(model, jobs, out, manifest, image, formats, config or GenerateConfig()))
    finally:
        manifest.close()


def latent_jobs(
    latent: Float, start: StartGrid, text: str, seeds: Iterable[int], config: GenerateConfig
) -> list[Job]:
    """Jobs of one latent on one grid with several seeds; ``text`` is only what it is called."""
    mark = hashlib.sha256(np.ascontiguousarray(latent).tobytes()).hexdigest()[:16]
    return [
        Job(varied(latent, config.variation, seed), start, text, seed,
            {**_asked(config, seed, start), "latent": mark})
        for seed in seeds
    ]  # fmt: skip


def _check_start(model: TrajectoryModel, start: StartGrid | None) -> None:
    if start is not None and len(start.points) != model.grid**2:
        raise UsageError(
            f"the given grid has {len(start.points)} points; this model moves {model.grid**2} "
            f"({model.grid}×{model.grid}).",
            hint="use a model that was trained with that grid",
        )


def _run(
    model: TrajectoryModel,
    prompts: Iterable[Prompt | FailedPrompt],
    out: Path,
    start: StartGrid | None,
    index: TrajectoryIndex | None,
    image: Frame | None,
    seeds: Sequence[int],
    formats: Sequence[str],
    config: GenerateConfig,
) -> Iterator[GeneratedTrajectory | FailedPrompt]:
    manifest = Manifest(out)
    waiting = iter(prompts)
    try:
        while taken := list(itertools.islice(waiting, max(1, _BLOCK // len(seeds)))):
            good: list[Prompt] = []
            for prompt in taken:
                failed = prompt if isinstance(prompt, FailedPrompt) else refused(prompt)
                if failed is not None:
                    manifest.add(dataclasses.asdict(failed))
                    yield failed
                elif isinstance(prompt, Prompt):
                    good.append(prompt)
            jobs = _jobs(model, good, seeds, start, index, config)
            while block := list(itertools.islice(jobs, _BLOCK)):
                yield from finish(model, block, out, manifest, image, formats, config)
    finally:
        manifest.close()


def refused(prompt: Prompt) -> FailedPrompt | None:
    """What is wrong with a prompt, or None. A motion has one text here, and frames, not seconds."""
    try:
        checked(prompt)
        if len(prompt.texts) != 1:
            raise InputError("bad-prompt", "a trajectory has one text, not several.")
        if prompt.seconds is not None:
            raise InputError("bad-prompt", "trajectories have no seconds; --frames is their length")
    except InputError as error:
        return FailedPrompt(prompt.line, prompt.title, error.code, error.message)
    return None


def _jobs(
    model: TrajectoryModel,
    prompts: Sequence[Prompt],
    seeds: Sequence[int],
    start: StartGrid | None,
    index: TrajectoryIndex | None,
    config: GenerateConfig,
) -> Iterator[Job]:
    """The prompts' jobs, each made when it is asked for: samples may be many."""
    texts = [prompt.texts[0] for prompt in prompts]
    starts: dict[int, StartGrid] = {}
    for prompt, text, latent in zip(prompts, texts, model.texts(texts), strict=True):
        near = index.spoken_of(latent, config.pool) if index is not None and start is None else []
        for number in seeds:
            seed = number if prompt.seed is None else prompt.seed + number - seeds[0]
            own = start
            if own is None:
                if index is None or not near:
                    raise UsageError(
                        "no training sample has a sentence to retrieve a grid by.",
                        hint="give --mask or --box",
                    )
                row = _drawn(near, seed)
                if row not in starts:
                    starts[row] = placed(index.start(row), config.size)
                own = starts[row]
            asked = _asked(config, seed, start)
            yield Job(varied(latent, config.variation, seed), own, text, seed, asked, prompt.line)


def _drawn(rows: Sequence[int], seed: int) -> int:
    """The nearest for seed 0, else any of them."""
    return (
        rows[0] if seed == 0 else rows[int(np.random.default_rng([0x6D, seed]).integers(len(rows)))]
    )


def _asked(config: GenerateConfig, seed: int, start: StartGrid | None) -> dict[str, Any]:
    """What differs from the defaults and changes the motion."""
    default = GenerateConfig()
    asked: dict[str, Any] = {} if start is None else {"grid": start.digest()}
    for name in ("frames", "fps", "size"):
        if getattr(config, name) is not None:
            asked[name] = getattr(config, name)
    for name in ("variation", "pool"):
        if seed and getattr(config, name) != getattr(default, name):
            asked[name] = getattr(config, name)
    return asked


def finish(
    model: TrajectoryModel,
    jobs: Sequence[Job],
    out: Path,
    manifest: Manifest,
    image: Frame | None,
    formats: Sequence[str],
    config: GenerateConfig,
) -> Iterator[GeneratedTrajectory]:
    """Decode some jobs together, as many as fit into `_POINTS`, and write them one by one."""
    frames = config.frames or model.frames
    block = max(1, _POINTS // (frames * model.grid**2))
    for first in range(0, len(jobs), block):
        some = jobs[first : first + block]
        points = model.decode(
            np.stack([job.latent for job in some]),
            np.stack([job.start.normalised() for job in some]),
            config.frames,
        )
        yield from _written(model, some, points, out, manifest, image, formats, config)


def _written(
    model: TrajectoryModel,
    jobs: Sequence[Job],
    points: Float,
    out: Path,
    manifest: Manifest,
    image: Frame | None,
    formats: Sequence[str],
    config: GenerateConfig,
) -> Iterator[GeneratedTrajectory]:
    for job, way in zip(jobs, points, strict=True):
        stem = stem_of([job.text], job.seed, job.asked)
        facts = {
            "seed": job.seed,
            "checkpoint": model.hash,
            "encoder": str(model.facts["encoder"]),
            "asked": job.asked,
        }
        fps = config.fps or job.start.fps or FPS
        made = trajectory(way, job.start, fps, job.text, job.latent, facts)
        paths = write_trajectory(made, out, stem, formats, image=image, drawing=config.drawing)
        manifest.add(
            {
                "name": stem,
                "text": job.text,
                "line": job.line,
                "frames": len(way),
                "fps": fps,
                "source": job.start.source,
                "size": list(job.start.size),
                "files": [path.name for path in paths],
                **facts,
            }
        )
        yield GeneratedTrajectory(stem, paths, job.text, job.seed, job.start.source, made, job.line)
