"""The whole plan: take stock, draw, try, predict."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from motionkit.engines.local import EngineOptions
from motionkit.errors import UsageError
from motionkit.forecast import Forecast, Range, StepForecast
from motionkit.intake import intake_steps
from motionkit.plan.estimate import Estimator, FloatArray, Totals, range_of
from motionkit.plan.measure import peak_memory
from motionkit.plan.population import Population, take_stock
from motionkit.plan.sample import draw
from motionkit.plan.timing import seconds, slowdown, start_s
from motionkit.plan.trial import StepTrial, Trial, Tried, lay_out
from motionkit.recipes import Recipe
from motionkit.stages.ingest import Ingest

#: The same work takes a little more or less from run to run: no range of hours is narrower.
_RUN_TO_RUN: Final = 0.1
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
    made = _forecast(recipe, steps, options, population, tried, trials, count, took)
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


def _forecast(
    recipe: Recipe,
    steps: Mapping[str, Any],
    options: PlanOptions,
    population: Population,
    tried: Sequence[Tried],
    trials: Sequence[StepTrial],
    count: int,
    took: float,
) -> Forecast:
    estimator = Estimator(population, tried, options.seed)
    numbers = sorted({*options.workers, count})
    resolved = recipe.resolved()
    found: list[StepForecast] = []
    hours: dict[str, FloatArray] = {}
    sums: dict[str, FloatArray] = {}
    clips: Totals | None = None
    for trial in trials:
        if trial.mode == "whole":
            totals = estimator.scaled(trial, clips if trial.grows else None)
        else:
            totals = estimator.totals(trial)
            clips = totals
        by_workers = {str(n): seconds(trial, totals, population, n, count) / 3600 for n in numbers}
        size = totals.of["bytes"] + trial.bytes_fixed
        for name, values in by_workers.items():
            hours[name] = hours.get(name, 0.0) + values
        for name in ("prompt_tokens", "completion_tokens"):
            sums[name] = sums.get(name, 0.0) + totals.of[name]
        sums["bytes"] = sums.get("bytes", 0.0) + size
        whole = trial.step in ("ingest", "scan", "expressions")
        length = population.seconds if whole else population.used_s
        busy = totals.of["work_s"] + totals.of["device_s"] + totals.of["call_s"]
        kept = sum(cost.kept for cost in trial.costs)
        found.append(
            StepForecast(
                step=trial.step,
                mode=trial.mode,
                parameters=resolved.get(trial.step, {}),
                items=totals.range("items"),
                kept=totals.range("kept"),
                kept_share=kept / trial.items if trial.items and trial.mode != "whole" else None,
                sample_items=trial.items,
                per_video_s=float(busy[0]) / length if length else None,
                start_s=start_s(trial, count),
                slowdown=slowdown(trial, count, count),
                processor_s=totals.range("cpu_s"),
                hours={name: totals.range(v, _RUN_TO_RUN) for name, v in by_workers.items()},
                bytes=totals.range(size),
                memory={str(n): _memory(trial, n) for n in numbers},
                gpu_memory=trial.peak_gpu,
                prompt_tokens=totals.range("prompt_tokens"),
                completion_tokens=totals.range("completion_tokens"),
                notes=trial.notes,
            )
        )
    known = estimator.known
    prompt, completion = sums["prompt_tokens"], sums["completion_tokens"]
    cost: Range | None = None
    if options.price_in is not None or options.price_out is not None:
        paid = prompt * (options.price_in or 0.0) + completion * (options.price_out or 0.0)
        cost = range_of(paid / 1e6, known)
    return Forecast(
        recipe=recipe.name,
        made=round(time.time(), 1),
        seed=options.seed,
        workers=count,
        machine=machine(),
        whole={
            "videos": len(population.videos),
            "seconds": population.seconds,
            "used_s": population.used_s,
            "bytes": sum(v.bytes for v in population.videos if v.kind == "file"),
            "probed": population.probed,
            "unreadable": population.unreadable,
        },
        sample={
            "videos": [
                {
                    "path": one.drawn.video.path,
                    "seconds": one.drawn.video.seconds,
                    "tried_s": one.drawn.video.seconds * one.share,
                    "weight": one.drawn.weight,
                }
                for one in tried
            ],
            "trial_s": took,
        },
        steps=found,
        hours={name: range_of(values, known, _RUN_TO_RUN) for name, values in hours.items()},
        disk_bytes=range_of(sums["bytes"], known),
        prompt_tokens=range_of(prompt, known),
        completion_tokens=range_of(completion, known),
        cost=cost,
        notes=_notes(found, population),
    )


def _memory(trial: StepTrial, workers: int) -> int | None:
    """Bytes of all processes of a step at their peaks together; None where unknown."""
    parent = peak_memory()
    if parent is None or trial.mode in ("whole", "parent"):
        return parent
    if trial.peak_worker is None and trial.peak_device is None:
        return None
    return parent + workers * (trial.peak_worker or 0) + trial.devices * (trial.peak_device or 0)


def _notes(steps: Sequence[StepForecast], population: Population) -> list[str]:
    notes = []
    if population.probed < len(population.videos):
        notes.append(
            f"{population.probed} of {len(population.videos)} headers were read; the other "
            "lengths follow from the files' sizes"
        )
    if population.unreadable:
        notes.append(f"{population.unreadable} files cannot be opened: they take no time")
    if peak_memory() is None:
        notes.append("this system does not say how much memory a process took")
    for step in steps:
        notes += [f"{step.step}: {note}" for note in step.notes]
    return notes


def machine() -> dict[str, Any]:
    """What the plan was measured on: cores, memory in bytes, names of the GPUs."""
    import platform
    import sys

    gpus: list[str] = []
    torch: Any = sys.modules.get("torch")  # not imported for this: it takes seconds
    if torch is not None and torch.cuda.is_available():
        gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    memory: int | None = None
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"cores": os.cpu_count(), "memory": memory, "gpus": gpus,
            "system": platform.platform(), "python": platform.python_version()}  # fmt: skip
