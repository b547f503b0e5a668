"""A task that a loop can be tested on in milliseconds: a line with noise, and a counting buffer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from motionkit.errors import TrainingError
from motionkit.training import random_state
from motionkit.training.best import Best
from motionkit.training.loop import Clock, Place, fit
from motionkit.training.metric_log import MetricLog
from motionkit.training.options import RunOptions, StageOptions
from motionkit.training.ranks import Ranks
from motionkit.training.task import Batch


class ToyModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.drop = nn.Dropout(0.2)
        self.last = nn.Linear(4, 1)
        self.rare = nn.Linear(4, 1)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        return self.last(self.drop(torch.tanh(self.first(x)))).squeeze(-1)


@dataclass
class ToyTask:
    """``poison``: the step whose loss is not a number. Draws from torch, NumPy and Python."""

    batch: int = 8
    poison: int | None = None
    drawn: list[tuple[str, ...]] = field(default_factory=list)
    begun: list[int] = field(default_factory=list)

    def begin(self, model: ToyModel, step: int) -> None:
        self.begun.append(step)

    def draw(self, step: int) -> Batch:
        x = torch.randn(self.batch, 3)
        x[:, 0] += torch.from_numpy(np.random.normal(size=self.batch)).float()
        ids = tuple(f"s{int(v)}" for v in torch.randint(1000, (self.batch,)))
        self.drawn.append(ids)
        return Batch({"x": x, "y": x.sum(1)}, ids)

    def loss(self, model: ToyModel, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        x = batch["x"]
        out = model(x)
        loss = (out - batch["y"]).square().mean()
        if step % 3 == 2:
            loss = loss + 0.1 * model.rare(torch.tanh(model.first(x))).square().mean()
        if step == self.poison:
            loss = loss * float("nan")
        return loss, {"loss": loss.detach(), "mean": out.detach().mean()}

    def validate(self, model: ToyModel) -> dict[str, float]:
        x = torch.randn(64, 3, generator=torch.Generator().manual_seed(1))
        torch.rand(5)  # looking must leave no trace
        np.random.random()
        return {"val": -float((model(x) - x.sum(1)).square().mean())}

    def picture(self, model: ToyModel) -> Any:
        torch.rand(1)
        return np.full((8, 12, 3), 200, np.uint8)


def options(**changes: Any) -> StageOptions:
    return StageOptions(**{"steps": 12, "batch": 8, "learning_rate": 0.01, "warm_up": 2, **changes})


def run_options(**changes: Any) -> RunOptions:
    base = {"log_every": 1, "save_every": 4, "val_every": 5, "picture_every": 6, "device": "cpu"}
    return RunOptions(**{**base, **changes})


class Exact(MetricLog):
    """A log that also keeps the numbers as they are, not rounded."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.curve: dict[tuple[str, int, str], float] = {}

    def write(self, stage: str, step: int, numbers: dict[str, float]) -> None:
        self.curve.update({(stage, step, name): value for name, value in numbers.items()})
        super().write(stage, step, numbers)


@dataclass
class ToyRun:
    model: ToyModel
    step: int
    curve: dict[tuple[str, int, str], float]
    task: ToyTask


def train(
    out: Path,
    stage: StageOptions,
    run: RunOptions,
    *,
    task: ToyTask | None = None,
    ranks: Ranks | None = None,
    heard: Any = None,
    best: Best | None = None,
    minutes: float | None = None,
) -> ToyRun:
    """One stage, "line", in ``out``."""
    ranks = ranks or Ranks()
    random_state.seed_all(3)
    model = ToyModel()
    ranks.part_ways(3)
    log = Exact(
        out / "log.jsonl" if ranks.first else None, ["line"], heard,
        tensorboard=out / "tensorboard" if run.tensorboard else None,
    )  # fmt: skip
    place = Place(out, {"config": {"stage": str(stage)}, "data": "d"})
    task = task or ToyTask(stage.batch)
    state = fit(
        task,
        model,
        "line",
        stage,
        run,
        place,
        ranks=ranks,
        log=log,
        clock=Clock(minutes),
        best=best,
    )
    log.close()
    return ToyRun(model, state.step, log.curve, task)


def train_in_ranks(ranks: Ranks, heard: Any, out: Path) -> dict[str, Any]:
    """In one of several processes: a whole training, one that stops at step 4, and its end."""
    torch.set_num_threads(1)
    stage, run = options(steps=6, accumulate=2, ema=0.9), run_options(devices=2, save_every=3)
    found: dict[str, Any] = {}
    for name, folder, task in (
        ("whole", "a", ToyTask(8)),
        ("poisoned", "b", ToyTask(8, poison=4)),
        ("again", "b", ToyTask(8)),
    ):
        try:
            made = train(out / folder, stage, run, task=task, ranks=ranks, heard=heard)
        except TrainingError as error:
            found[name] = str(error)
            continue
        weights = {n: p.tolist() for n, p in made.model.named_parameters()}
        found[name] = {
            "curve": made.curve,
            "weights": ranks.gather(weights),
            "drawn": ranks.gather(task.drawn),
        }
    return found
