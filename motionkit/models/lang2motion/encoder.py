"""Trajectory (and the features of its overlay frames) → latent (paper, section 3.1)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from motionkit.models.lang2motion.config import Lang2MotionConfig


def position_code(count: int, width: int, like: Tensor) -> Tensor:
    """Sinusoidal code [count, width] of the places 0 … count − 1: any length, nothing learned."""
    at = torch.arange(count, device=like.device, dtype=torch.float32)[:, None]
    rates = torch.exp(
        torch.arange(0, width, 2, device=like.device, dtype=torch.float32)
        * (-math.log(10_000.0) / width)
    )
    code = torch.stack([torch.sin(at * rates), torch.cos(at * rates)], -1).flatten(1)
    return code.to(like.dtype)


class TrajectoryEncoder(nn.Module):
    """Points [B, T, N, 2] → z_p [B, latent].

    A frame's flattened points and the CLIP feature of its overlay go through a linear layer each
    and are added; the transformer's output at a learned prefix token is the latent. Norms stand
    before attention and feed-forward (the paper does not say): trains without warm-up.
    """

    def __init__(self, config: Lang2MotionConfig) -> None:
        super().__init__()
        e = config.encoder
        self.relative = e.relative
        width = e.width or config.latent
        self.points_in = nn.Linear(config.points * 2, width)
        self.image_in = nn.Linear(config.image, width, bias=False) if config.image else None
        self.prefix = nn.Parameter(torch.randn(width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width,
            e.heads,
            e.feed_forward,
            e.dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.layers = nn.TransformerEncoder(layer, e.layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        same = width == config.latent
        self.out = nn.Identity() if same else nn.Linear(width, config.latent)

    def forward(
        self, points: Tensor, real: Tensor | None = None, images: Tensor | None = None
    ) -> Tensor:
        """``real`` [B, T] False keeps a padded frame out. ``images`` [B, T, image]: features of
        the overlay frames; a sample whose row is all 0 has none, and then, as without ``images``,
        nothing is added: the layer has no bias."""
        if self.relative:
            points = points - points[:, :1].mean(2, keepdim=True)
        x = self.points_in(points.flatten(2))
        if self.image_in is not None and images is not None:
            x = x + self.image_in(images)
        x = torch.cat([self.prefix.expand(len(x), 1, -1), x], 1)
        x = x + position_code(x.shape[1], x.shape[2], x)
        padding = None
        if real is not None and not bool(real.all()):
            padding = ~torch.cat([real.new_ones(len(real), 1), real], 1)
        return self.out(self.norm(self.layers(x, src_key_padding_mask=padding)[:, 0]))
