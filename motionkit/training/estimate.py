"""What a training will take, from one real step at a small batch: memory and time.

Counted: weights, gradients, the optimiser's moments, the running mean, and the activations that
autograd keeps for the backward pass. Temporary buffers inside an operation and the framework's own
memory are not; on the CPU they add little, on CUDA plan 10 to 20 % above.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from motionkit.training import random_state
from motionkit.training.options import StageOptions
from motionkit.training.ranks import Ranks
from motionkit.training.stage_state import StageState
from motionkit.training.task import Task

#: Steps that are timed, after one that is not.
_TIMED = 3


@dataclass(frozen=True)
class StageEstimate:
    """Memory in bytes and time of a stage."""

    stage: str
    parameters: int
    """Number of trained values."""
    weights: int
    """Bytes of parameters and buffers."""
    gradients: int
    optimiser: int
    """Moments, and the running mean where there is one."""
    activations: int
    """For the whole batch, scaled from ``measured_batch``."""
    measured_batch: int
    """Samples in the step that was measured."""
    step_seconds: float
    """Of a whole step, on an idle machine, without looks, pictures and checkpoints."""
    steps: int

    @property
    def memory(self) -> int:
        """Bytes at the fullest moment of a step."""
        return self.weights + self.gradients + self.optimiser + self.activations

    @property
    def seconds(self) -> float:
        """All steps."""
        return self.steps * self.step_seconds

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {**dataclasses.asdict(self), "memory": self.memory, "seconds": self.seconds}


@dataclass(frozen=True)
class TrainingEstimate:
    """What the stages of a training will take."""

    stages: tuple[StageEstimate, ...]
    device: str
    precision: str
    devices: int
    available: int | None
    """Free bytes of the device (of the machine, on the CPU); None: unknown."""

    @property
    def too_large(self) -> tuple[str, ...]:
        """Stages that do not fit. On the CPU all processes share the memory."""
        share = self.devices if self.device == "cpu" else 1
        if self.available is None:
            return ()
        return tuple(s.stage for s in self.stages if s.memory * share > self.available)

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "stages": [stage.as_dict() for stage in self.stages],
            "device": self.device,
            "precision": self.precision,
            "devices": self.devices,
            "available": self.available,
            "too_large": list(self.too_large),
            "seconds": sum(stage.seconds for stage in self.stages),
        }

    def lines(self) -> list[str]:
        """For people."""
        found = []
        for s in self.stages:
            found.append(
                f"{s.stage}: {s.parameters / 1e6:.1f} M parameters; {_size(s.memory)} = "
                f"{_size(s.weights)} weights + {_size(s.gradients)} gradients + "
                f"{_size(s.optimiser)} optimiser + {_size(s.activations)} activations"
            )
            found.append(
                f"  {s.step_seconds * 1e3:.0f} ms a step, {s.steps} steps: {_time(s.seconds)}"
            )
        total = sum(s.seconds for s in self.stages)
        found.append(f"together {_time(total)} on {self.devices} × {self.device}, {self.precision}")
        if self.available is not None:
            found.append(f"free memory: {_size(self.available)}")
        for name in self.too_large:
            found.append(
                f"does not fit: {name}. Lower its batch and raise its accumulate, or choose a "
                "smaller model"
            )
        return found


def estimate_stage(
    stage: str,
    model: nn.Module,
    options: StageOptions,
    task: Callable[[StageOptions], Task[Any]],
    ranks: Ranks,
    *,
    at_step: int,
) -> StageEstimate:
    """Measures ``task`` at two small batches and scales to ``options.batch``.

    ``task`` makes the stage for other options; ``at_step`` is the step whose loss is computed, one
    in which all of its parts are on. The random state is left as it was; the model is not.
    """
    model.to(ranks.device).train()
    small, less = max(1, min(8, options.batch)), max(1, min(2, options.batch))
    with random_state.preserved():
        kept, seconds = _measured(
            task(dataclasses.replace(options, batch=small)), model, options, ranks, at_step
        )
        kept_less, seconds_less = kept, seconds
        if less < small:
            kept_less, seconds_less = _measured(
                task(dataclasses.replace(options, batch=less)), model, options, ranks, at_step
            )
    own = [p for p in model.parameters() if p.requires_grad]
    floats = sum(p.numel() * p.element_size() for p in own)
    return StageEstimate(
        stage=stage,
        parameters=sum(p.numel() for p in own),
        weights=sum(v.numel() * v.element_size() for v in (*own, *model.buffers())),
        gradients=floats,
        optimiser=floats * (3 if options.ema else 2),
        activations=round(_line(less, kept_less, small, kept, options.batch)),
        measured_batch=small,
        step_seconds=options.accumulate * _line(less, seconds_less, small, seconds, options.batch),
        steps=options.steps,
    )


def _line(x0: float, y0: float, x1: float, y1: float, x: float) -> float:
    """The line through two points, at ``x``; never less than in proportion to nothing."""
    slope = (y1 - y0) / (x1 - x0) if x1 > x0 else 0.0
    if x1 == x0 or slope <= 0:  # the clock was disturbed: in proportion is the careful answer
        return y1 * x / x1
    return max(y1 + slope * (x - x1), 0.0)


def _measured(
    task: Task[Any], model: nn.Module, options: StageOptions, ranks: Ranks, step: int
) -> tuple[float, float]:
    """Bytes kept for the backward pass, and seconds a draw with its optimiser step."""
    state = StageState.begin(model, "estimate", options)
    best = float("inf")
    kept = 0
    for turn in range(1 + _TIMED):
        began = time.perf_counter()
        batch = task.draw(step).to(ranks.device)
        with ranks.autocast(), _counted(model) as counter:
            loss, _ = task.loss(model, batch, step)
        loss.backward()
        state.gradient_norm(options.clip_norm)
        state.apply(0.0)
        if ranks.device.type == "cuda":
            torch.cuda.synchronize(ranks.device)
        if turn:
            best = min(best, time.perf_counter() - began)
        kept = max(kept, counter.bytes)
    return kept, best


@dataclass
class _Counter:
    bytes: int = 0


@contextmanager
def _counted(model: nn.Module) -> Iterator[_Counter]:
    """Counts the storages that autograd keeps inside, the model's own left out."""
    counter = _Counter()
    seen = {p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())}
    held: list[Tensor] = []  # so that no address is used twice

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            counter.bytes += storage.nbytes()
            held.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield counter
    held.clear()


def machine_memory(device: torch.device) -> int | None:
    """Bytes that are free on the device, or in the machine; None where nobody says."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        return None
    return None


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
