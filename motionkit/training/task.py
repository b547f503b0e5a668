"""What the loop trains: a task draws batches, computes their loss, and looks at the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module, contravariant=True)


@dataclass(frozen=True)
class Batch:
    """One drawn batch: named tensors [B, …], and the ids of its samples for messages."""

    tensors: Mapping[str, Tensor]
    ids: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def to(self, device: Any) -> Batch:
        """The batch on a device."""
        moved = {k: v.to(device, non_blocking=True) for k, v in self.tensors.items()}
        return Batch(moved, self.ids)


class Task(Protocol[Model]):
    """A stage of a training.

    All randomness comes from the global generators (torch's first of all): their state is what a
    checkpoint keeps as the position in the data. ``loss`` runs inside the wrapper that several
    devices need, so everything that needs gradients happens there.
    """

    def begin(self, model: Model, step: int) -> None:
        """Called before the draws of every step: starts codebooks and the like."""

    def draw(self, step: int) -> Batch:
        """A batch of this process, on the CPU. Called ``accumulate`` times a step."""

    def loss(self, model: Model, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """A scalar with gradients, and detached scalars to log, among them ``loss``."""

    def validate(self, model: Model) -> dict[str, float]:
        """Numbers on held-out data, ``model`` in eval mode; {} where there are none."""

    def picture(self, model: Model) -> NDArray[np.uint8] | None:
        """A picture [H, W, 3] RGB of what the model makes, in eval mode; None: there is none."""
