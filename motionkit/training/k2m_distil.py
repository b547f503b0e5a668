"""The second round of lifting: learn from one's own refined answers, seen from everywhere.

Reprojection teaches a network what fits the picture, and says little of depth. The first round's
answers, refined on each training clip (`models.k2m.refine`), are 3D motions that fit the 2D of
their own view; projected into new views and onto other bodies they give pairs of 2D and 3D. The
errors of the labels point along their own lines of sight, so from elsewhere, and over many clips,
they average out. All of it is made from 2D.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionkit.keypoints import MIRROR
from motionkit.models.k2m.cycle import cycle_loss, second_view
from motionkit.models.k2m.tokenizer import Tokenizer
from motionkit.training.k2m_config import DistilTraining
from motionkit.training.k2m_tokenizer import TokenizerStage
from motionkit.training.pose_labels import PoseLabels, as_lifted
from motionkit.training.task import Batch


@dataclass(frozen=True)
class DistilStage:
    """Reprojection on real windows, without its cycle, and labels in new views."""

    tokenizer: TokenizerStage
    """The first round."""
    labels: PoseLabels
    config: DistilTraining

    @functools.cached_property
    def first(self) -> TokenizerStage:
        """The first round as it goes on beside the labels."""
        kept = dataclasses.replace(self.tokenizer.config, cycle_share=0.0, batch=self.config.batch)
        return dataclasses.replace(self.tokenizer, config=kept)

    def begin(self, model: Tokenizer, step: int) -> None:
        """Nothing to start: the codebooks run since the first round."""

    def draw(self, step: int) -> Batch:
        """``m2d`` and ``real`` as in the first round, and the labels' windows."""
        real = self.first.draw(step)
        count = max(1, round(self.config.batch * self.config.share))
        down = self.first.source.down
        windows, pieces = self.labels.windows(count, self.first.source.window, down)
        return Batch({**real.tensors, **windows}, real.ids + self._names(pieces))

    def _names(self, pieces: Sequence[int]) -> tuple[str, ...]:
        return tuple(self.labels.ids[p] for p in pieces)

    def loss(self, model: Tokenizer, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The first round's loss at its end, and that of the labels."""
        base, terms = self.first.loss(model, batch, self.first.config.steps)
        label, commitment = self._labels(model, batch)
        weight = self.first.config.losses.rvq
        loss = base + self.config.weight * label + weight * commitment
        return loss, {**terms, "label": label.detach(), "loss": loss.detach()}

    def _labels(self, model: Tokenizer, batch: Batch) -> tuple[Tensor, Tensor]:
        real = batch["label_real"]
        first = as_lifted(batch["label"], batch["label_betas"])
        m2d, target = second_view(model, first, self.config.view)
        flip = torch.rand(len(real), device=real.device) < 0.5
        m2d, points = _mirrored(m2d, target.points, flip)
        seen = model.observe(m2d, real)
        lifted, commitment, _ = self.first.lift(model, seen, model.config.quantiser.layers)
        placed = model.place(lifted, seen.height, seen.centre, seen.size)
        target = dataclasses.replace(target, points=points)
        return cycle_loss(real, target, placed), commitment

    def validate(self, model: Tokenizer) -> dict[str, float]:
        """As in the first round."""
        return self.first.validate(model)

    def picture(self, model: Tokenizer) -> NDArray[np.uint8] | None:
        """As in the first round."""
        return self.first.picture(model)


def _mirrored(m2d: Tensor, points: Tensor, flip: Tensor) -> tuple[Tensor, Tensor]:
    """Some of the views [B, F, 18, 3] and their points [B, F, 17, 3] as a mirror shows them."""
    swap = torch.tensor([*MIRROR, 17], device=m2d.device)
    other = m2d[:, :, swap].clone()
    other[:, :, :17, 0] = m2d[:, :1, 17:, 0] - other[:, :, :17, 0]
    turned = points[:, :, swap[:17]] * points.new_tensor([-1.0, 1.0, 1.0])
    where = flip[:, None, None, None]
    return torch.where(where, other, m2d), torch.where(where, turned, points)
