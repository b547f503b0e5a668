"""From seconds of work to hours, for a number of workers.

A step takes, with W workers,

    start(W) + max( (work × slowdown(W) + gaps) / W + tail(W), gaps, longest item )

- start: from the call to the first item: processes, imports, models. Measured with one worker and
  with all; in between it follows a line, beyond it stays.
- work: what the items take in their workers, measured with one worker. slowdown(W) is what an item
  takes with W workers over what it takes alone: 1 for one worker, as measured for all, a line in
  between. More workers than this machine has cores are taken as workers elsewhere with cores of
  their own: the slowdown stays what it is with all.
- gaps: what the engine itself does in its one process (reading items, writing and merging tables).
  It goes on while workers work, and no number of workers makes it shorter.
- tail: at the end workers have nothing to do while the last ones finish: (1 - 1/W) of half an item.

Stages with a model on a device read in W processes while the device works, on its own:
start + max(reading / W, device / devices) + merging. Calls to a server go out so many at once:
start + max(reading / W, calls / at once) + merging.
"""

from __future__ import annotations

import numpy as np

from motionkit.plan.estimate import FloatArray, Totals
from motionkit.plan.population import Population
from motionkit.plan.trial import StepTrial


def slowdown(trial: StepTrial, workers: int, measured_with: int) -> float:
    """What an item takes with so many workers, over what it takes with one."""
    if measured_with < 2:
        return 1.0
    share = min(1.0, (workers - 1) / (measured_with - 1))
    return 1.0 + (trial.slowdown - 1.0) * share


def start_s(trial: StepTrial, workers: int) -> float:
    """Seconds before the first item is in work."""
    known = sorted(trial.start_s)
    if not known:
        return 0.0
    return float(np.interp(workers, known, [trial.start_s[count] for count in known]))


def seconds(
    trial: StepTrial, totals: Totals, population: Population, workers: int, measured_with: int
) -> FloatArray:
    """Wall seconds [1 + R] of a step over the whole set with so many workers."""
    start = start_s(trial, workers)
    work = totals.of["work_s"]
    if trial.mode == "whole":
        return start + work
    gaps = trial.gap_s * totals.scale
    if trial.mode == "parent":
        return start + work + gaps
    if trial.mode == "items":
        work = work * slowdown(trial, workers, measured_with)
        half, longest = _last_items(trial, work, population)
        shared = (work + gaps) / workers + (1 - 1 / workers) * half
        return start + np.maximum(np.maximum(shared, gaps), longest)
    served = totals.of["device_s"] / trial.devices
    if trial.mode == "calls":
        served = totals.of["call_s"] / trial.at_once
    return start + np.maximum(work / workers, served) + trial.end_s


def _last_items(
    trial: StepTrial, work: FloatArray, population: Population
) -> tuple[FloatArray, FloatArray]:
    """Half of an item, as a worker meets it that just ends, and the longest item."""
    if trial.step in ("ingest", "scan"):  # an item is a video, and all of them are known
        lengths = np.array([video.seconds for video in population.videos])
        total = max(1e-9, float(lengths.sum()))
        half = float((lengths**2).sum()) / total / 2
        return work * half / total, work * float(lengths.max()) / total
    mean = sum(cost.work_s for cost in trial.costs) / max(1, trial.items)
    half = trial.mean_square_s2 / mean / 2 if mean else 0.0
    return np.full_like(work, half), np.full_like(work, trial.longest_s)
