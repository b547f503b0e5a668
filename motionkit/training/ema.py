"""A running mean of a model's weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn


class Ema:
    """The mean of ``model``'s parameters. Buffers (codebooks) are the model's own.

    The decay grows with the steps, min(decay, (1 + t) / (10 + t)), so the random start is
    forgotten at once.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay = model, decay
        self.mean = {n: p.detach().clone() for n, p in model.named_parameters()}

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """After step number ``step`` (from 1)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        live = [p.detach() for p in self.model.parameters()]
        torch._foreach_lerp_(list(self.mean.values()), live, 1 - decay)

    @torch.no_grad()
    def copy_to_model(self) -> None:
        """Overwrites the model's weights with the mean."""
        for name, parameter in self.model.named_parameters():
            parameter.copy_(self.mean[name])

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Inside, the model has the mean for its weights."""
        live = {n: p.detach().clone() for n, p in self.model.named_parameters()}
        self.copy_to_model()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in self.model.named_parameters():
                    parameter.copy_(live[name])

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes over a saved mean."""
        for name, value in self.mean.items():
            value.copy_(state[name])
