"""The whole plan: take stock, draw, try, predict."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from motionkit.engines.local import EngineOptions
from motionkit.errors import UsageError
from motionkit.forecast import Forecast
from motionkit.intake import intake_steps
from motionkit.plan.population import take_stock
from motionkit.plan.predict import forecast
from motionkit.plan.sample import draw
from motionkit.plan.trial import Trial, lay_out
from motionkit.recipes import Recipe
from motionkit.stages.ingest import Ingest

#: More load than this share of the cores, before the trial begins, is worth a note.
_BUSY: Final = 0.5


@dataclasses.dataclass(frozen=True)
class PlanOptions:
    """How a plan is made."""

    sample: int = 8
    """Videos to try."""
    seconds_each: float = 60.0
    """Of a video that is much longer, a stretch of so many seconds is tried; 0: all of it."""
    seed: int = 0
    """Another seed draws another sample."""
    workers: tuple[int, ...] = ()
    """Numbers of workers to predict for, beside the one a run takes by itself."""
    probe: int = 5000
    """Most headers to read; the other files' lengths follow from their sizes."""
    price_in: float | None = None
    """Price of a million prompt tokens of the captioner."""
    price_out: float | None = None
    """Price of a million tokens that the captioner writes."""
    skip: tuple[str, ...] = ()
    """Steps to leave out of the trial, and so of the plan."""

    def __post_init__(self) -> None:
        if self.sample < 1:
            raise UsageError(f"--sample must be at least 1, not {self.sample}")
        if self.probe < 1:
            raise UsageError(f"--probe must be at least 1, not {self.probe}")
        if any(count < 1 for count in self.workers):
            raise UsageError("--workers takes numbers from 1 on, such as 1,4,16")


def make_plan(
    recipe: Recipe,
    sources: Sequence[str],
    options: PlanOptions | None = None,
    *,
    engine: EngineOptions | None = None,
    folder: Path | None = None,
    say: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Forecast:
    """Measure ``recipe`` on a sample of ``sources`` and predict the whole.

    The sample is worked on in a temporary folder (inside ``folder``, else the system's), which
    is removed. Raises UsageError where there is nothing to try, for addresses (they would have to
    be fetched), and whatever stops a step from starting.
    """
    options = options or PlanOptions()
    engine = engine or recipe.engine
    steps = _steps(recipe, sources, options)
    for parameters in steps.values():  # a model that is missing is told before anything is tried
        check = getattr(parameters, "check", None)
        if check is not None:
            check()
    ingest: Ingest = steps["ingest"]
    count = engine.workers or os.cpu_count() or 1
    population = take_stock(
        ingest.sources, frame_rate=ingest.frame_rate, most=options.probe, seed=options.seed,
        workers=count, progress=progress,
    )  # fmt: skip
    drawn = draw(population, options.sample, options.seed)
    if say is not None:
        say(f"{len(population.videos)} videos, {population.seconds / 3600:.2f} h "
            f"({population.probed} headers read); {len(drawn)} are tried")  # fmt: skip
    began, load = time.monotonic(), _load()
    busy = load is not None and load > _BUSY * (os.cpu_count() or 1)
    with tempfile.TemporaryDirectory(prefix="motionkit-plan-", dir=folder) as name:
        tried = lay_out(drawn, Path(name), options.seconds_each, options.seed)
        trial = Trial(Path(name), tried, engine, recipe.resolved(), say, busy)
        trials = trial.run(steps)
    took = time.monotonic() - began
    made = forecast(
        recipe, population, tried, trials, workers=count, others=options.workers,
        seed=options.seed, prices=(options.price_in, options.price_out), took_s=took,
    )  # fmt: skip
    if busy:
        made.notes.insert(
            0, f"the machine was busy with other work (load {load:.1f}): these are times of a "
            "busy machine; what workers cost each other is taken from processor time",
        )  # fmt: skip
    return made


def _load() -> float | None:
    """Processes that wanted a core in the last minute; None where the system does not say."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def _steps(recipe: Recipe, sources: Sequence[str], options: PlanOptions) -> dict[str, Any]:
    unknown = [step for step in options.skip if step not in recipe.steps]
    if unknown or "ingest" in options.skip:
        raise UsageError(
            f"--skip {(unknown or ['ingest'])[0]}: there is no such step that can be left out.",
            hint=f"its steps are: {', '.join(recipe.steps)}",
        )
    steps = intake_steps(recipe.steps, sources)
    if "ingest" not in steps:
        raise UsageError(f"the recipe {recipe.name} takes no videos in: there is nothing to plan.")
    if "fetch" in steps or "search" in steps:
        raise UsageError(
            "plan measures files that are here, and the sources name addresses or searches.",
            hint="fetch some first: motionkit ingest ADDRESSES; then plan --source "
            "WORKSPACE/downloads",
        )
    return {step: parameters for step, parameters in steps.items() if step not in options.skip}
