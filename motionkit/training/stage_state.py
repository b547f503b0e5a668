"""One object that holds all that resuming needs, and how it becomes a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from motionkit.errors import UsageError
from motionkit.training import random_state
from motionkit.training.checkpoint import load_checkpoint, pack, save_checkpoint, unpack
from motionkit.training.ema import Ema
from motionkit.training.options import StageOptions


@dataclass
class StageState:
    """A model in training. The random state decides the data too, so it is the data position."""

    model: nn.Module
    optimiser: torch.optim.Optimizer
    stage: str
    step: int = 0
    ema: Ema | None = None

    @staticmethod
    def begin(model: nn.Module, stage: str, options: StageOptions) -> StageState:
        """A fresh state; ``model`` is where it will stay."""
        ema = Ema(model, options.ema) if options.ema else None
        return StageState(model, optimiser_of(model, options), stage, 0, ema)

    def save(
        self,
        path: Path,
        facts: dict[str, Any],
        randoms: list[dict[str, Tensor]],
        *,
        more: Mapping[str, Tensor] | None = None,
        keep_last: int = 1,
    ) -> None:
        """Everything into one file: weights, codebooks, mean weights, moments, random states (of
        every rank), step; and ``more``."""
        tensors = pack("model", self.model.state_dict())
        for index, parameter in enumerate(self.model.parameters()):
            for key, value in self.optimiser.state.get(parameter, {}).items():
                tensors[f"optimiser.{index}.{key}"] = torch.as_tensor(value)
        if self.ema is not None:
            tensors.update(pack("ema", self.ema.mean))
        for rank, state in enumerate(randoms):
            tensors.update(pack(f"random.{rank}", state))
        tensors.update(pack("more", more or {}))
        facts = {**facts, "stage": self.stage, "step": self.step, "ranks": len(randoms)}
        save_checkpoint(path, tensors, facts, keep_last=keep_last)

    def load(
        self, path: Path, *, rank: int = 0, world: int = 1
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Takes over a saved state of the same stage; returns the facts and what else was saved."""
        tensors, facts = load_checkpoint(path)
        if facts.get("ranks", 1) != world:
            raise UsageError(
                f"{path} was trained on {facts.get('ranks', 1)} devices, not on {world}.",
                hint="give the same --devices, or start anew with --fresh",
            )
        self.model.load_state_dict(unpack("model", tensors))
        for index, parameter in enumerate(self.model.parameters()):
            entry = unpack(f"optimiser.{index}", tensors)
            if entry:
                self.optimiser.state[parameter] = {
                    k: v if k == "step" else v.to(parameter.device) for k, v in entry.items()
                }
        if self.ema is not None:
            self.ema.load(unpack("ema", tensors))
        random_state.restore(unpack(f"random.{rank}", tensors))
        self.step = int(facts["step"])
        return facts, unpack("more", tensors)

    def gradient_norm(self, clip_norm: float) -> Tensor:
        """The gradient's norm, after which it is no longer than ``clip_norm`` (0: as it is)."""
        limit = clip_norm or math.inf
        return nn.utils.clip_grad_norm_(self.model.parameters(), limit)

    def apply(self, rate: float) -> None:
        """One step of the optimiser along the gradients."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        if self.ema is not None:
            self.ema.follow(self.step)

    def shown(self) -> AbstractContextManager[None]:
        """Inside, the model has the weights that are looked at and exported."""
        return nullcontext() if self.ema is None else self.ema.shown()


def optimiser_of(model: nn.Module, options: StageOptions) -> torch.optim.Optimizer:
    """Adam or AdamW over the model's parameters."""
    if options.optimizer == "adam":
        return torch.optim.Adam(
            model.parameters(),
            lr=options.learning_rate,
            betas=options.betas,
            weight_decay=options.weight_decay,
        )
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": options.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=options.learning_rate, betas=options.betas)


def rate_of(step: int, options: StageOptions) -> float:
    """Learning rate of step number ``step`` (from 0) of a stage."""
    return rate_at(
        step,
        steps=options.steps,
        peak=options.learning_rate,
        warm_up=options.warm_up,
        final=options.final_rate,
        schedule=options.schedule,
    )


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
