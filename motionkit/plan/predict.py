"""From the sample's costs to the forecast of every step, and their sums."""

from __future__ import annotations

import os
import platform
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from motionkit.forecast import Forecast, Range, StepForecast
from motionkit.plan.estimate import WHOLE_VIDEOS, Estimator, FloatArray, Totals, range_of
from motionkit.plan.measure import peak_memory
from motionkit.plan.population import Population
from motionkit.plan.timing import seconds, slowdown, start_s
from motionkit.plan.trial import StepTrial, Tried
from motionkit.recipes import Recipe

#: The same work takes a little more or less from run to run: no range of hours is narrower.
_RUN_TO_RUN: Final = 0.1


def forecast(
    recipe: Recipe,
    population: Population,
    tried: Sequence[Tried],
    trials: Sequence[StepTrial],
    *,
    workers: int,
    others: Sequence[int] = (),
    seed: int = 0,
    prices: tuple[float | None, float | None] = (None, None),
    took_s: float = 0.0,
) -> Forecast:
    """The plan that the trials give. ``workers`` is the number that was tried, ``others`` are
    further ones to predict for; ``prices`` are of a million tokens in and out."""
    estimator = Estimator(population, tried, seed)
    numbers = sorted({*others, workers})
    resolved = recipe.resolved()
    steps: list[StepForecast] = []
    hours: defaultdict[str, Any] = defaultdict(float)
    sums: defaultdict[str, Any] = defaultdict(float)
    clips: Totals | None = None
    for trial in trials:
        if trial.mode == "whole":
            totals = estimator.scaled(trial, clips if trial.grows else None)
        else:
            clips = totals = estimator.totals(trial)
        by_workers = {
            str(n): seconds(trial, totals, population, n, workers) / 3600 for n in numbers
        }
        step = _step(trial, totals, population, by_workers, workers, resolved.get(trial.step, {}))
        steps.append(step)
        for name, values in by_workers.items():
            hours[name] = hours[name] + values
        sums["bytes"] = sums["bytes"] + totals.of["bytes"] + trial.bytes_fixed
        for name in ("prompt_tokens", "completion_tokens"):
            sums[name] = sums[name] + totals.of[name]
    known = estimator.known
    return Forecast(
        recipe=recipe.name,
        made=round(time.time(), 1),
        seed=seed,
        workers=workers,
        machine=machine(trials),
        whole=_whole(population),
        sample={"videos": [_tried(one) for one in tried], "trial_s": took_s},
        steps=steps,
        hours={name: range_of(values, known, _RUN_TO_RUN) for name, values in hours.items()},
        disk_bytes=range_of(sums["bytes"], known),
        prompt_tokens=range_of(sums["prompt_tokens"], known),
        completion_tokens=range_of(sums["completion_tokens"], known),
        cost=_cost(sums, prices, known),
        notes=_notes(steps, population),
    )


def _step(
    trial: StepTrial,
    totals: Totals,
    population: Population,
    by_workers: dict[str, FloatArray],
    workers: int,
    parameters: dict[str, Any],
) -> StepForecast:
    length = population.seconds if trial.step in WHOLE_VIDEOS else population.used_s
    busy = totals.of["work_s"] + totals.of["device_s"] + totals.of["call_s"]
    kept = sum(cost.kept for cost in trial.costs)
    return StepForecast(
        step=trial.step,
        mode=trial.mode,
        parameters=parameters,
        items=totals.range("items"),
        kept=totals.range("kept"),
        kept_share=kept / trial.items if trial.items and trial.mode != "whole" else None,
        sample_items=trial.items,
        per_video_s=float(busy[0]) / length if length else None,
        start_s=start_s(trial, workers),
        slowdown=slowdown(trial, workers, workers),
        processor_s=totals.range("cpu_s"),
        hours={name: totals.range(values, _RUN_TO_RUN) for name, values in by_workers.items()},
        bytes=totals.range(totals.of["bytes"] + trial.bytes_fixed),
        memory={name: _memory(trial, int(name)) for name in by_workers},
        gpu_memory=trial.peak_gpu,
        prompt_tokens=totals.range("prompt_tokens"),
        completion_tokens=totals.range("completion_tokens"),
        notes=trial.notes,
    )


def _whole(population: Population) -> dict[str, Any]:
    return {
        "videos": len(population.videos),
        "seconds": population.seconds,
        "used_s": population.used_s,
        "bytes": sum(video.bytes for video in population.videos if video.kind == "file"),
        "probed": population.probed,
        "unreadable": population.unreadable,
    }


def _tried(one: Tried) -> dict[str, Any]:
    video = one.drawn.video
    return {
        "path": video.path,
        "seconds": video.seconds,
        "tried_s": video.seconds * one.share,
        "weight": one.drawn.weight,
    }


def _cost(
    sums: dict[str, FloatArray], prices: tuple[float | None, float | None], known: bool
) -> Range | None:
    if prices == (None, None):
        return None
    paid = sums["prompt_tokens"] * (prices[0] or 0.0) + sums["completion_tokens"] * (
        prices[1] or 0.0
    )
    return range_of(paid / 1e6, known)


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


def machine(trials: Sequence[StepTrial]) -> dict[str, Any]:
    """What the plan was measured on: cores, memory in bytes, and the devices that were used."""
    memory: int | None = None
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    devices = sorted({name for trial in trials for name in trial.device_names})
    return {"cores": os.cpu_count(), "memory": memory, "devices": devices,
            "system": platform.platform(), "python": platform.python_version()}  # fmt: skip
