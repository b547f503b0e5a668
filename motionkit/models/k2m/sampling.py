"""Decoding tokens from text: iterative unmasking of the base layer, then the residual layers.

Tokens can be given: they stay, bit for bit, and the rest is drawn to fit them. Every sample has a
generator of its own, so it does not depend on what else is in the batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from motionkit.errors import UsageError
from motionkit.models.k2m.transformers import VIEWS, TextToTokens, Trunk

#: Of the predicted distribution of lengths.
LENGTH_QUANTILE = 0.75


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How tokens are drawn."""

    steps: int = 20
    """Passes of the masked transformer, at most: one that would keep no token is left out."""
    guidance: float = 2.0
    """Classifier-free guidance of the base layer: 1 is none, and halves the work. From 3 on,
    models trained on few clips leave what they have seen: bodies turn, and arms go where no clip
    has them."""
    residual_guidance: float = 1.0
    """Guidance of the other layers."""
    temperature: float = 0.7
    """Of the base layer; 0 takes the likeliest code."""
    residual_temperature: float = 0.5
    """Of the other layers."""
    view_temperature: float = 0.0
    """Of the starting view; 0 takes the likeliest. Generated bodies are turned to face ahead, so
    another view shows nothing new, only what few clips were lifted from."""
    view: int | None = None
    """The starting view itself: 0 faces the camera, 3 the picture's right, 6 away, 9 its left;
    None: drawn from the text."""
    layers: int | None = None
    """Quantiser layers to draw; None: as the model's configuration says."""
    top_share: float = 0.1
    """Only this share of the codes, the likeliest, can be drawn (top-k)."""
    top_p: float = 1.0
    """Of these, only the likeliest whose probabilities reach this sum can be drawn (top-p)."""

    def __post_init__(self) -> None:
        temperatures = (self.temperature, self.residual_temperature, self.view_temperature)
        for good, rule in (
            (self.steps >= 1, f"steps must be at least 1, not {self.steps}"),
            (min(temperatures) >= 0, f"a temperature is at least 0, not {min(temperatures)}"),
            (0 < self.top_share <= 1, f"top_share is over 0 and at most 1, not {self.top_share}"),
            (0 < self.top_p <= 1, f"top_p is over 0 and at most 1, not {self.top_p}"),
            (self.layers is None or self.layers >= 1, f"layers is at least 1, not {self.layers}"),
            (
                self.view is None or 0 <= self.view < VIEWS,
                f"view is one of 0 to {VIEWS - 1}, not {self.view}",
            ),
            (
                all(map(math.isfinite, (self.guidance, self.residual_guidance, *temperatures))),
                "guidance and temperatures must be finite",
            ),
        ):
            if not good:
                raise UsageError(f"sampling: {rule}.")


def _draw(
    logits: Tensor, uniform: Tensor, temperature: float, config: SamplingConfig
) -> tuple[Tensor, Tensor]:
    """A code for each row of logits [M, codes], and its probability, from uniform numbers [M]."""
    keep = max(1, math.ceil(config.top_share * logits.shape[-1]))
    values, codes = logits.topk(keep, -1)  # the likeliest first
    share = (values / max(temperature, 1e-4)).softmax(-1)
    below = share.cumsum(-1)
    if config.top_p < 1:
        share = share * (below - share < config.top_p)
        below = share.cumsum(-1)
    total = below[:, -1:]
    place = torch.searchsorted(below, uniform[:, None] * total, right=True).clamp(max=keep - 1)
    sure = share.gather(1, place) / total
    return codes.gather(1, place).squeeze(1), sure.squeeze(1)


def _guided(y: Tensor, where: Tensor, scale: float) -> Tensor:
    """Rows [M, width] of features [B or 2 B, u, width] where [B, u]; the latter are guided.

    The first half had the text, the second had not. Guidance of the logits is a straight line,
    and logits are a linear map of the features, so it is done here, on fewer numbers.
    """
    if len(y) == len(where):
        return y[where]
    with_text, without = y.chunk(2)
    return torch.lerp(without[where], with_text[where], scale)


@dataclass(frozen=True)
class _Request:
    """What one call of `sample_tokens` works on, B samples of at most u tokens."""

    config: SamplingConfig
    text: Tensor  # [B, text_dim]
    view: Tensor  # [B]
    keys: Tensor | None  # [B, u] real steps; None: all are
    given: Tensor  # [B, u, N]
    known: Tensor  # [B, u] given
    free: Tensor  # [B, u] to be drawn
    counts: list[int]  # of free, a sample
    noise: Tensor  # [B, passes, u] uniform

    def condition(self, trunk: Trunk, guided: bool) -> Tensor:
        """[B or 2 B, width], projected once for all passes."""
        none = torch.zeros(len(self.text), dtype=torch.bool, device=self.text.device)
        if not guided:
            return trunk.condition(self.text, none, self.view)
        return trunk.condition(
            self.text.repeat(2, 1), torch.cat([none, ~none]), self.view.repeat(2)
        )

    def keys_for(self, guided: bool) -> Tensor | None:
        return self.keys.repeat(2, 1) if guided and self.keys is not None else self.keys


@torch.no_grad()
def sample_tokens(
    model: TextToTokens,
    text: Tensor,
    lengths: Tensor,
    *,
    generator: torch.Generator | Sequence[torch.Generator],
    config: SamplingConfig | None = None,
    given: Tensor | None = None,
    view: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Tokens [B, u, N] and which are real [B, u], for texts [B, text_dim] and lengths [B].

    ``generator``: one a sample, which decides all of that sample's draws, whatever else is in
    the batch and however long it is (the networks' sums can differ in the last bit from batch to
    batch; a draw falls the other way for it about never). A single one seeds one for each.
    ``given`` [B, u, N]: where its base layer is not negative, a token is kept in all layers, and
    the others are drawn to fit. ``view`` [B]: the starting views; None: as ``config`` says.

    Layers that are not drawn hold -1, which adds nothing (`ResidualQuantiser.look_up`).
    """
    config = config or SamplingConfig()
    generators = _one_each(generator, len(text))
    layers, sizes = model.residual.layers, [int(n) for n in lengths]
    steps, device = max(sizes), text.device
    if view is None:
        view = start_views(model, text, generators, config)
    real = torch.arange(steps, device=device)[None] < torch.tensor(sizes, device=device)[:, None]
    if given is None:
        given = torch.full((len(text), steps, layers), -1, device=device)
    known = (given[..., 0] >= 0) & real
    noise = torch.zeros(len(text), config.steps + layers, steps)
    for row, (own, size) in enumerate(zip(generators, sizes, strict=True)):
        noise[row, :, :size] = torch.rand(config.steps + layers, size, generator=own)
    free = real & ~known
    request = _Request(
        config, text, view, None if min(sizes) == steps else real, given, known, free,
        free.sum(1).tolist(), noise.to(device),
    )  # fmt: skip
    base = _unmask(model, request)
    return _residual(model, request, base), real


def _one_each(
    generator: torch.Generator | Sequence[torch.Generator], count: int
) -> list[torch.Generator]:
    if isinstance(generator, torch.Generator):
        seeds = torch.randint(2**62, (count,), generator=generator, device=generator.device)
        return [torch.Generator().manual_seed(seed) for seed in seeds.tolist()]
    if len(generator) != count:
        raise ValueError(f"{len(generator)} generators for {count} samples")
    return list(generator)


def start_views(
    model: TextToTokens, text: Tensor, generators: Sequence[torch.Generator], config: SamplingConfig
) -> Tensor:
    """Starting views [B]. One number is drawn a sample, whether it is needed or not."""
    uniform = torch.cat([torch.rand(1, generator=own) for own in generators]).to(text.device)
    if config.view is not None:
        return torch.full((len(text),), config.view, device=text.device)
    every = SamplingConfig(top_share=1.0)
    return _draw(model.view(text), uniform, config.view_temperature, every)[0]


def _unmask(model: TextToTokens, r: _Request) -> Tensor:
    """The base layer [B, u]: all free tokens hidden, then the surest kept, pass by pass."""
    c, masked = r.config, model.masked
    guided = c.guidance != 1
    condition, keys = r.condition(masked.trunk, guided), r.keys_for(guided)
    tokens = torch.where(r.free, masked.mask_id, r.given[..., 0].clamp(min=0) * r.known)
    now = r.counts
    for i in range(c.steps):
        share = math.cos(math.pi / 2 * (i + 1) / c.steps) if i + 1 < c.steps else 0.0
        left = [math.floor(count * share) for count in r.counts]
        if left == now:
            continue  # nothing would be kept: the next pass sees the same
        hidden = tokens == masked.mask_id
        x = masked.embed(tokens)
        y = masked.trunk(torch.cat([x, x]) if guided else x, keys, condition)
        logits = masked.leave(_guided(y, hidden, c.guidance))
        drawn, sure = _draw(logits, r.noise[:, i][hidden], c.temperature, c)
        tokens = tokens.masked_scatter(hidden, drawn)
        if any(left):
            doubt = torch.full(tokens.shape, torch.inf, device=tokens.device)
            doubt = doubt.masked_scatter(hidden, sure)
            order = doubt.argsort(dim=1, stable=True).argsort(1)
            again = order < torch.tensor(left, device=tokens.device)[:, None]
            tokens = torch.where(again, masked.mask_id, tokens)
        now = left
    return tokens


def _residual(model: TextToTokens, r: _Request, base: Tensor) -> Tensor:
    """All layers [B, u, N], one after another on top of ``base`` [B, u]."""
    c, residual = r.config, model.residual
    guided = c.residual_guidance != 1
    layers = residual.layers
    wanted = min(c.layers or model.sampled_layers, layers)
    out = torch.where(r.known[..., None], r.given, 0)
    out[..., 0] = base
    out[..., wanted:] = torch.where(r.known[..., None], r.given[..., wanted:], -1)
    if wanted < 2 or not any(r.counts):
        return out
    condition, keys = r.condition(residual.trunk, guided), r.keys_for(guided)
    x = torch.zeros(*base.shape, residual.embed.shape[-1], device=base.device)
    for j in range(1, wanted):
        x = x + residual.embedded(out[..., j - 1], j - 1)
        y = residual.trunk(
            torch.cat([x, x]) if guided else x, keys, condition + residual.which.weight[j]
        )
        rows = _guided(y, r.free, c.residual_guidance)
        logits = torch.addmm(residual.bias[j], rows, residual.table[j].T)
        noise = r.noise[:, c.steps + j - 1][r.free]
        drawn, _ = _draw(logits, noise, c.residual_temperature, c)
        out[..., j] = out[..., j].masked_scatter(r.free, drawn)
    return out


@torch.no_grad()
def predicted_lengths(model: TextToTokens, text: Tensor) -> Tensor:
    """Length in tokens [B] for these texts [B, text_dim]: three in four are not longer.

    Not the likeliest one: videos cut a motion short more often than they draw it out, and a
    generated wave should end.
    """
    below = model.length(text).softmax(-1).cumsum(-1) < LENGTH_QUANTILE
    return (below.sum(-1) + 1).clamp(max=below.shape[-1])
