"""Decoding tokens from text: iterative unmasking of the base layer, then the residual layers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from motionkit.models.k2m.transformers import TextToTokens

#: Of the predicted distribution of lengths.
LENGTH_QUANTILE = 0.75


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How tokens are drawn."""

    steps: int = 20
    """Passes of the masked transformer."""
    guidance: float = 2.0
    """Classifier-free guidance of the base layer: 1 is none. From 3 on, models trained on few
    clips leave what they have seen: bodies turn, and arms go where no clip has them."""
    residual_guidance: float = 1.0
    temperature: float = 0.7
    residual_temperature: float = 0.5
    view_temperature: float = 0.0
    """Of the starting view; 0 takes the likeliest. Generated bodies are turned to face ahead, so
    another view shows nothing new, only what few clips were lifted from."""
    layers: int | None = None
    """Quantiser layers to draw; None: as the model's configuration says."""
    top_share: float = 0.1
    """Only this share of the codes, the likeliest, can be drawn."""


def _draw(
    logits: Tensor, temperature: float, top_share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draws a code for every step; returns codes [B, u] and their probabilities."""
    keep = max(1, math.ceil(top_share * logits.shape[-1]))
    limit = logits.topk(keep, -1).values[..., -1:]
    logits = logits.masked_fill(logits < limit, -torch.inf)
    share = (logits / max(temperature, 1e-4)).softmax(-1)
    flat = torch.multinomial(share.flatten(0, 1), 1, generator=generator).view(logits.shape[:2])
    return flat, torch.take_along_dim(share, flat[..., None], -1).squeeze(-1)


def _guided(logits: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance: the first half of the batch had the text, the second had not."""
    with_text, without = logits.chunk(2)
    return without + scale * (with_text - without)


@torch.no_grad()
def sample_tokens(
    model: TextToTokens,
    text: Tensor,
    lengths: Tensor,
    *,
    generator: torch.Generator,
    config: SamplingConfig | None = None,
) -> tuple[Tensor, Tensor]:
    """Tokens [B, u, N] and which are real [B, u], for texts [B, text_dim] and lengths [B].

    ``generator`` decides every draw: the same one gives the same tokens. Layers that are not
    drawn hold -1, which adds nothing (`ResidualQuantiser.look_up`).
    """
    config = config or SamplingConfig()
    batch, steps = len(text), int(lengths.max())
    real = torch.arange(steps, device=text.device)[None] < lengths[:, None]
    twice = torch.cat([text, text])
    real2 = torch.cat([real, real])
    drop = torch.arange(2 * batch, device=text.device) >= batch
    masked = model.masked
    likely = (model.view(text) / max(config.view_temperature, 1e-4)).softmax(-1)
    view = torch.multinomial(likely, 1, generator=generator).squeeze(1)
    view = torch.cat([view, view])
    tokens = torch.full((batch, steps), masked.mask_id, device=text.device)
    sure = torch.zeros(batch, steps, device=text.device)  # probability of what was kept
    for i in range(config.steps):
        logits = masked(torch.cat([tokens, tokens]), real2, twice, drop, view)
        logits = _guided(logits, config.guidance)
        drawn, share = _draw(logits, config.temperature, config.top_share, generator)
        hidden = tokens == masked.mask_id
        tokens = torch.where(hidden, drawn, tokens)
        sure = torch.where(hidden, share, torch.ones_like(share))
        left = (lengths * math.cos(math.pi / 2 * (i + 1) / config.steps)).floor()
        if i + 1 < config.steps:
            order = torch.where(real, sure, torch.inf).argsort(1).argsort(1)
            tokens = torch.where((order < left[:, None]) & real, masked.mask_id, tokens)
    layers = model.residual.layers
    wanted = min(config.layers or model.sampled_layers, layers)
    out = torch.zeros(batch, steps, layers, dtype=torch.long, device=text.device)
    out[..., 0] = torch.where(real, tokens, 0)
    for j in range(1, wanted):
        layer = torch.full((2 * batch,), j, device=text.device)
        logits = model.residual(torch.cat([out, out]), layer, real2, twice, drop, view)
        logits = _guided(logits, config.residual_guidance)
        drawn, _ = _draw(logits, config.residual_temperature, config.top_share, generator)
        out[..., j] = torch.where(real, drawn, 0)
    out[..., wanted:] = -1
    return out, real


@torch.no_grad()
def predicted_lengths(model: TextToTokens, text: Tensor) -> Tensor:
    """Length in tokens [B] for these texts [B, text_dim]: three in four are not longer.

    Not the likeliest one: videos cut a motion short more often than they draw it out, and a
    generated wave should end.
    """
    below = model.length(text).softmax(-1).cumsum(-1) < LENGTH_QUANTILE
    return (below.sum(-1) + 1).clamp(max=below.shape[-1])
