"""Text features → latents: as they are, centred, or through learned layers (beyond the paper)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from motionkit.models.lang2motion.config import Lang2MotionConfig


class TextReader(nn.Module):
    """Features of the text encoder [B, features] → latents [B, latent].

    Mean and spread are those of the training's sentences (`fit`), and part of the model.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, config: Lang2MotionConfig) -> None:
        super().__init__()
        self.kind = config.reader.kind
        if self.kind == "none":
            return
        size, hidden = config.features, config.reader.hidden
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        if self.kind == "mlp":
            self.layers = nn.Sequential(
                nn.Dropout(config.reader.dropout),
                nn.Linear(size, hidden),
                nn.GELU(),
                nn.Dropout(config.reader.dropout),
                nn.Linear(hidden, config.latent),
            )

    @torch.no_grad()
    def fit(self, features: Tensor) -> None:
        """Takes mean and spread from the training's features [M, features]. A number that hardly
        varies is not blown up: the spread counts for a tenth of the mean one at least."""
        if self.kind == "none":
            return
        self.mean.copy_(features.mean(0))
        spread = features.std(0, correction=0)
        self.scale.copy_(1 / spread.clamp(min=max(0.1 * float(spread.mean()), 1e-6)))

    def forward(self, features: Tensor) -> Tensor:
        """[…, features] → […, latent]."""
        if self.kind == "none":
            return features
        x = (features - self.mean) * self.scale
        if self.kind == "mlp":
            x = self.layers(x)
        return x
