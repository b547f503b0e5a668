"""One object that holds all that resuming needs, and how it becomes a checkpoint."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from motionkit.errors import TrainingError
from motionkit.training.checkpoint import load_checkpoint, pack, save_checkpoint, unpack


@dataclass
class TrainState:
    """A model in training. The random state decides the data too, so it is the data position."""

    model: nn.Module
    optimiser: torch.optim.Adam
    stage: str
    step: int = 0

    def save(
        self, path: Path, facts: dict[str, Any], more: dict[str, Tensor] | None = None
    ) -> None:
        """Everything into one file: weights, codebooks, Adam's moments, random state, step."""
        tensors = pack("model", self.model.state_dict())
        for index, (name, entry) in enumerate(_adam(self.optimiser, self.model)):
            for key, value in entry.items():
                tensors[f"adam.{index}.{key}"] = torch.as_tensor(value)
            del name
        tensors["random.torch"] = torch.get_rng_state()
        tensors.update(more or {})
        save_checkpoint(path, tensors, {**facts, "stage": self.stage, "step": self.step})

    def load(self, path: Path) -> dict[str, Any]:
        """Takes over a saved state of the same stage; returns the facts."""
        tensors, facts = load_checkpoint(path)
        self.model.load_state_dict(unpack("model", tensors))
        for index, parameter in enumerate(self.model.parameters()):
            entry = unpack(f"adam.{index}", tensors)
            if entry:
                self.optimiser.state[parameter] = entry
        torch.set_rng_state(tensors["random.torch"])
        self.step = int(facts["step"])
        return facts

    def apply(self, loss: Tensor, *, rate: float, clip_norm: float) -> float:
        """One optimiser step; returns the gradient's norm.

        A loss or gradient that is not finite raises TrainingError while the weights still are.
        """
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the {self.stage} loss became {loss.item()} at step {self.step}; "
                "the weights were left as they were.",
                hint="lower learning_rate, or look at the samples of this step's batch",
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), clip_norm))
        if not math.isfinite(norm):
            raise TrainingError(
                f"the {self.stage} gradient is not finite at step {self.step}; "
                "the weights were left as they were.",
                hint="lower learning_rate, or look at the samples of this step's batch",
            )
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        self.step += 1
        return norm


def _adam(optimiser: torch.optim.Adam, model: nn.Module) -> list[tuple[str, dict[str, Any]]]:
    return [(name, dict(optimiser.state.get(p, {}))) for name, p in model.named_parameters()]


def rate_at(
    step: int, *, steps: int, peak: float, warm_up: int, final: float, schedule: str = "cosine"
) -> float:
    """A line up over ``warm_up`` steps, then down to ``final`` · peak: a cosine, a line, or not."""
    if step < warm_up:
        return peak * (step + 1) / warm_up
    share = min(1.0, (step - warm_up) / max(1, steps - warm_up))
    if schedule == "constant":
        return peak
    if schedule == "linear":
        return peak * (1 + (final - 1) * share)
    return peak * (final + (1 - final) * (1 + math.cos(math.pi * share)) / 2)
