"""The training loop, once for all models.

Read `fit` from top to bottom: draw, forward, backward, clip, step, running mean, log, look at
held-out data, picture, save. Killed at any step and started again, a run goes on from its last
checkpoint and ends with the numbers of an undisturbed one.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from motionkit.errors import TrainingError, UsageError
from motionkit.training import random_state
from motionkit.training.best import Best
from motionkit.training.checkpoint import load_facts
from motionkit.training.interrupt import Interrupted, Interruption
from motionkit.training.metric_log import MetricLog
from motionkit.training.options import FREE, RunOptions, StageOptions
from motionkit.training.pictures import write_png
from motionkit.training.ranks import Ranks
from motionkit.training.stage_state import StageState, rate_of
from motionkit.training.task import Batch, Task

#: What the command line prints after a stop, and where it stopped.
_GO_ON = "saved after step {step} of {stage} in {out}; run the same command again to go on."


@dataclass(frozen=True)
class Place:
    """Where a stage keeps what it needs to go on, and what that must agree with."""

    out: Path
    facts: Mapping[str, Any]
    """``config`` and what else is kept in checkpoints."""
    same: tuple[str, ...] = ("config", "data")
    """Keys of ``facts`` that must be equal where a run goes on."""

    def resume_file(self, stage: str) -> Path:
        """The checkpoint that a stage goes on from."""
        return self.out / f"resume_{stage}.safetensors"


class Clock:
    """How long a training may take."""

    def __init__(self, minutes: float | None) -> None:
        self.start, self.minutes = time.monotonic(), minutes

    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.start

    def over(self) -> bool:
        """Whether the minutes have passed."""
        return self.minutes is not None and self.seconds() > 60 * self.minutes


class StepModule(nn.Module):
    """Forward of one draw: what several devices wrap is a module that computes the loss."""

    def __init__(self, task: Task[Any], model: nn.Module, ranks: Ranks) -> None:
        super().__init__()
        self.model, self.task, self.ranks = model, task, ranks

    def forward(
        self, tensors: Mapping[str, Tensor], ids: tuple[str, ...], step: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """`Task.loss` of a batch, in the precision of the run."""
        with self.ranks.autocast():
            return self.task.loss(self.model, Batch(tensors, ids), step)


def fit(
    task: Task[Any],
    model: nn.Module,
    stage: str,
    options: StageOptions,
    run: RunOptions,
    place: Place,
    *,
    ranks: Ranks,
    log: MetricLog,
    clock: Clock,
    best: Best | None = None,
) -> StageState:
    """Trains ``model`` on ``task`` until the steps or the minutes are over; returns its state.

    Goes on from the checkpoint in ``place``, if there is one. At the end the model has the weights
    to export: the running mean where there is one. Raises `Interrupted` after Ctrl-C or SIGTERM,
    TrainingError, with the samples' ids, before a loss or gradient that is not finite reaches
    the weights, and UsageError where the checkpoint is of another training.
    """
    module = ranks.wrap(StepModule(task, model, ranks))
    state = StageState.begin(model, stage, options)
    _resume(state, place, ranks, log, best)
    saved = state.step
    model.train()
    with Interruption(patient=ranks.world > 1) as asked:
        while state.step < options.steps and not (best is not None and best.tired):
            if ranks.any(asked.asked or clock.over()):
                break
            task.begin(model, state.step)
            draws, losses, numbers = [], [], []
            for draw in range(options.accumulate):
                batch = task.draw(state.step).to(ranks.device)
                with ranks.sharing(module, last=draw == options.accumulate - 1):
                    loss, terms = module(batch.tensors, batch.ids, state.step)
                    ranks.backward(loss / options.accumulate if options.accumulate > 1 else loss)
                draws.append(batch.ids)
                losses.append(loss.detach())
                numbers.append(terms)
            norm = state.gradient_norm(options.clip_norm)
            _need_finite(state, losses, norm, draws, ranks)
            state.apply(rate_of(state.step, options))

            at, end = state.step, options.steps
            if _due(at, run.log_every, end):
                log.write(stage, at, {**_means(numbers), "gradient": float(norm)})
            if _due(at, run.val_every, end):
                _look(task, state, log, best, ranks)
            if _due(at, run.picture_every, end) and run.picture_every:
                _picture(task, state, log, place.out, ranks)
            if _due(at, run.save_every, end) or at == end:
                _save(state, place, run, ranks, best)
                saved = at
        if state.step > saved:
            _save(state, place, run, ranks, best)
        if ranks.any(asked.asked):
            _stopped(state, place, options)
    if state.ema is not None:
        state.ema.copy_to_model()
    model.eval()
    return state


def _due(step: int, every: int, steps: int) -> bool:
    return every > 0 and (step % every == 0 or step == steps)


def _means(numbers: list[dict[str, Tensor]]) -> dict[str, float]:
    """The means over the draws of a step."""
    if len(numbers) == 1:
        return {name: float(value) for name, value in numbers[0].items()}
    names = dict.fromkeys(name for terms in numbers for name in terms)
    found = {name: [float(t[name]) for t in numbers if name in t] for name in names}
    return {name: sum(values) / len(values) for name, values in found.items()}


def _need_finite(
    state: StageState, losses: list[Tensor], norm: Tensor, draws: list[Any], ranks: Ranks
) -> None:
    """TrainingError, in every process alike, where a loss or the gradient is not finite.

    One loss that is not makes the shared gradient so as well: all processes see it.
    """
    values = torch.stack([norm.float(), *(loss.float() for loss in losses)]).tolist()
    if all(math.isfinite(value) for value in values) and ranks.world == 1:
        return
    if ranks.world > 1 and math.isfinite(values[0]):
        return
    bad = [(v, ids) for v, ids in zip(values[1:], draws, strict=True) if not math.isfinite(v)]
    found = [pair for pairs in ranks.gather(bad) for pair in pairs]
    where = f"at step {state.step}; the weights were left as they were"
    hint = "lower learning_rate, or look at these samples"
    if found:
        names = list(dict.fromkeys(name for _, ids in found for name in ids))
        raise TrainingError(
            f"the {state.stage} loss became {found[0][0]} {where}.{_listed(names)}", hint=hint
        )
    names = [name for part in ranks.gather(draws) for ids in part for name in ids]
    raise TrainingError(
        f"the {state.stage} gradient is not finite {where}.{_listed(list(dict.fromkeys(names)))}",
        hint=hint,
    )


def _listed(names: list[str], most: int = 64) -> str:
    if not names:
        return ""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f" Samples of the batch: {', '.join(names[:most])}{more}"


def _look(
    task: Task[Any], state: StageState, log: MetricLog, best: Best | None, ranks: Ranks
) -> None:
    """Held-out data, by the weights that would be exported; the others wait for the first."""
    found: dict[str, float] = {}
    if ranks.first:
        with random_state.preserved(), state.shown(), torch.no_grad():
            state.model.eval()
            found = task.validate(state.model)
            state.model.train()
            if best is not None:
                best.look(state.model, state.step, found)
        if found:
            log.write(state.stage, state.step, found)
    if best is not None and ranks.world > 1:
        best.misses = ranks.gather(best.misses)[0]
    ranks.wait()


def _picture(task: Task[Any], state: StageState, log: MetricLog, out: Path, ranks: Ranks) -> None:
    """OUT/pictures/STAGE-step-000200.png, or a note on why there is none."""
    if ranks.first:
        with random_state.preserved(), state.shown(), torch.no_grad():
            state.model.eval()
            try:
                image = task.picture(state.model)
                if image is not None:
                    name = f"{state.stage}-step-{state.step:06d}.png"
                    write_png(out / "pictures" / name, image)
                    log.picture(state.stage, state.step, image)
            except ImportError as error:
                log.note(state.stage, state.step, f"no picture: {error}")
            state.model.train()
    ranks.wait()


def _save(
    state: StageState, place: Place, run: RunOptions, ranks: Ranks, best: Best | None
) -> None:
    """The checkpoint, written by the first process with the random states of all."""
    randoms = ranks.gather(random_state.capture())
    if ranks.first:
        facts = {**place.facts, **({} if best is None else {"best": best.facts()})}
        state.save(
            place.resume_file(state.stage),
            facts,
            randoms,
            more={} if best is None else best.weights,
            keep_last=run.keep_last,
        )
    ranks.wait()


def _resume(
    state: StageState, place: Place, ranks: Ranks, log: MetricLog, best: Best | None
) -> None:
    """Takes over the saved state of this stage, if there is one of this training."""
    path = place.resume_file(state.stage)
    if path.exists():
        need_same(load_facts(path), place)
        facts, more = state.load(path, rank=ranks.rank, world=ranks.world)
        if best is not None and "best" in facts:
            best.load(facts["best"], more)
    if not _later(log, state.stage, place):
        log.cut(state.stage, state.step)
    ranks.wait()


def _later(log: MetricLog, stage: str, place: Place) -> bool:
    """Whether a later stage has begun: then the log of this one is whole."""
    after = log.stages[log.stages.index(stage) + 1 :]
    return any(place.resume_file(other).exists() for other in after)


def need_same(saved: Mapping[str, Any], place: Place) -> None:
    """UsageError unless the saved training is the one that is to go on."""
    for key in place.same:
        wanted = json.loads(json.dumps(place.facts.get(key)))
        if key in saved and _decisive(saved[key]) != _decisive(wanted):
            raise UsageError(
                f"{place.out} holds a training with another {_named(key, saved[key], wanted)}.",
                hint="choose another folder, or start anew with --fresh",
            )


def _decisive(value: Any) -> Any:
    """A configuration without what does not decide the outcome."""
    if not isinstance(value, dict):
        return value
    return {k: v for k, v in value.items() if k not in FREE}


def _named(key: str, saved: Any, wanted: Any) -> str:
    """The key, and for tables the first entry that differs."""
    while isinstance(saved, dict) and isinstance(wanted, dict):
        differing = [k for k in (*wanted, *saved) if saved.get(k) != wanted.get(k)]
        differing = [k for k in differing if k not in FREE]
        if not differing:
            break
        key = f"{key}.{differing[0]}"
        saved, wanted = saved.get(differing[0]), wanted.get(differing[0])
    return f"{key} ({saved!r}, now {wanted!r})" if "." in key else key


def _stopped(state: StageState, place: Place, options: StageOptions) -> None:
    if state.step >= options.steps:
        raise Interrupted(f"interrupted; {state.stage} is done. Run it again to go on.")
    text = _GO_ON.format(step=state.step, stage=state.stage, out=place.out)
    raise Interrupted(f"interrupted; {text}")
