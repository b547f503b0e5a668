"""The weights with the best number on held-out data, and when to stop looking for better ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn


@dataclass
class Best:
    """Keeps a copy of the model whenever ``number`` of a validation is higher than before."""

    number: str
    """Which of the numbers of `Task.validate`; more is better."""
    patience: int = 0
    """Looks without a better one after which training ends; 0: never."""
    step: int = 0
    """Of the weights that are kept."""
    numbers: dict[str, float] = field(default_factory=dict)
    """Of that look."""
    misses: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)

    @property
    def tired(self) -> bool:
        """Whether there were too many looks without a better one."""
        return bool(self.patience and self.misses >= self.patience)

    def look(self, model: nn.Module, step: int, numbers: Mapping[str, float]) -> None:
        """After a validation at ``step``, ``model`` with the weights that were looked at."""
        if self.number not in numbers:
            return
        if not self.numbers or numbers[self.number] > self.numbers[self.number]:
            self.weights = {n: v.detach().clone() for n, v in model.state_dict().items()}
            self.step, self.numbers, self.misses = step, dict(numbers), 0
        else:
            self.misses += 1

    def facts(self) -> dict[str, Any]:
        """What a checkpoint holds besides the weights."""
        return {"step": self.step, "numbers": self.numbers, "misses": self.misses}

    def load(self, facts: Mapping[str, Any], weights: dict[str, Tensor]) -> None:
        """Takes over what a checkpoint held."""
        self.step, self.misses = int(facts["step"]), int(facts["misses"])
        self.numbers, self.weights = dict(facts["numbers"]), weights
