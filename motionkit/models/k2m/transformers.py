"""Text → tokens: the masked transformer (base layer), the residual transformer, the length.

All three read one text feature a sentence. Sequences are padded; padding is never attended to
and never enters a loss.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from motionkit.models.k2m.config import K2MConfig, TransformerConfig
from motionkit.models.k2m.layers import AttentionBlock, time_code

#: Directions that a motion can be told to start in: 30° each, 0 faces the camera.
VIEWS = 12


def view_of(cue: Tensor) -> Tensor:
    """Which of `VIEWS` a view cue [..., 2] (sine, cosine) points to."""
    angle = torch.atan2(cue[..., 0], cue[..., 1])
    return (angle / (2 * math.pi) * VIEWS).round().long() % VIEWS


class TextConditioning(nn.Module):
    """Text feature [B, text_dim] → [B, width]; a learned vector stands for 'no text'.

    Sentence encoders put all descriptions of human motion into one narrow cone ("waves the left
    hand" and "… the right hand" differ by a few per cent), so the features are centred and
    scaled by what training has seen.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(config.text_dim))
        self.register_buffer("scale", torch.ones(()))
        self.project = nn.Sequential(
            nn.Linear(config.text_dim, config.width),
            nn.GELU(),
            nn.Linear(config.width, config.width),
        )
        self.none = nn.Parameter(torch.randn(config.width) * 0.02)

    def fit(self, features: Tensor) -> None:
        """Takes mean and scale from the training texts [N, text_dim]."""
        self.mean.copy_(features.mean(0))
        spread = (features - self.mean).square().mean().sqrt()
        self.scale.copy_(1 / spread.clamp(min=1e-3))

    def forward(self, text: Tensor, drop: Tensor) -> Tensor:
        """``drop`` [B] bool: condition on nothing."""
        projected = self.project((text - self.mean) * self.scale)
        return torch.where(drop[:, None], self.none, projected)


class Trunk(nn.Module):
    """Transformer over [condition, tokens]; the condition is also added to every token."""

    times: Tensor

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.text = TextConditioning(config)
        # Tokens are of a view. Told which, the samples do not jump between the views (and mirror
        # images) that a text was seen from, which looks like a person who cannot stop turning.
        self.view = nn.Embedding(VIEWS, config.width)
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            AttentionBlock(config.width, config.heads, config.feed_forward, config.dropout)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width)
        times = time_code(config.max_tokens, config.width, torch.zeros(()))
        self.register_buffer("times", times, persistent=False)

    def condition(self, text: Tensor, drop: Tensor, view: Tensor | None = None) -> Tensor:
        """What to condition on [B, width], from texts [B, text_dim], ``drop`` [B], views [B]."""
        condition = self.text(text, drop)
        return condition if view is None else condition + self.view(view)

    def forward(self, x: Tensor, real: Tensor | None, condition: Tensor) -> Tensor:
        """x [B, u, width], real [B, u] (None: all are), condition [B, width] → [B, u, width]."""
        steps = x.shape[1]
        longer = steps > len(self.times)
        times = time_code(steps, x.shape[2], x) if longer else self.times[:steps]
        x = x + times + condition[:, None]
        x = self.drop(torch.cat([condition[:, None], x], 1))
        keys = None if real is None else torch.cat([torch.ones_like(real[:, :1]), real], 1)
        for block in self.blocks:
            x = block(x, keys)
        return self.norm(x)[:, 1:]


class MaskedTransformer(nn.Module):
    """Predicts hidden base-layer tokens from the others and the text (MaskGIT, MoMask)."""

    def __init__(self, config: TransformerConfig, codes: int) -> None:
        super().__init__()
        self.codes = codes
        self.mask_id = codes
        self.embed = nn.Embedding(codes + 1, config.width)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.trunk = Trunk(config)
        self.leave = nn.Linear(config.width, codes)

    def forward(
        self, tokens: Tensor, real: Tensor, text: Tensor, drop: Tensor, view: Tensor | None = None
    ) -> Tensor:
        """Tokens [B, u] (``mask_id`` where hidden) → logits [B, u, codes]; ``view`` [B]."""
        x = self.embed(tokens.clamp(0, self.mask_id))
        return self.leave(self.trunk(x, real, self.trunk.condition(text, drop, view)))

    def loss(
        self, tokens: Tensor, real: Tensor, text: Tensor, drop: Tensor, view: Tensor | None = None
    ) -> Tensor:
        """Negative log-likelihood of the hidden tokens.

        The share hidden is cos(π t / 2), t uniform. Of the chosen tokens 10 % become random ones,
        88 % of the rest the mask, the others stay: so the network also learns to doubt what it
        sees. Draws from torch's global generator.
        """
        batch, steps = tokens.shape
        device = tokens.device
        share = torch.cos(torch.rand(batch, device=device) * math.pi / 2)
        count = (share * real.sum(1)).round().clamp(min=1)
        order = torch.where(real, torch.rand(batch, steps, device=device), torch.inf)
        chosen = (order.argsort(1).argsort(1) < count[:, None]) & real
        fate = torch.rand(batch, steps, device=device)
        anything = torch.randint(self.codes, (batch, steps), device=device)
        hidden = torch.where(chosen & (fate < 0.1), anything, tokens)
        hidden = torch.where(
            chosen & (fate >= 0.1) & (fate < 0.1 + 0.9 * 0.88), self.mask_id, hidden
        )
        return _likelihood(self(hidden, real, text, drop, view), tokens, chosen)


class ResidualTransformer(nn.Module):
    """Predicts the tokens of layer j from the sum of the layers before it, text and j.

    With ``config.shared_weights`` a layer's tokens are read and predicted with one table, once:
    logits are y · tableᵀ + bias.
    """

    def __init__(self, config: TransformerConfig, codes: int, layers: int) -> None:
        super().__init__()
        self.codes, self.layers = codes, layers
        shape = (layers, codes, config.width)
        self.embed = nn.Parameter(torch.randn(shape) * 0.02)
        self.which = nn.Embedding(layers, config.width)
        self.trunk = Trunk(config)
        own = None if config.shared_weights else torch.randn(shape) * config.width**-0.5
        self.leave = None if own is None else nn.Parameter(own)
        self.bias = nn.Parameter(torch.zeros(layers, codes))

    @property
    def table(self) -> Tensor:
        """What tokens are predicted with [layers, codes, width]."""
        return self.embed if self.leave is None else self.leave

    def embedded(self, tokens: Tensor, layer: int) -> Tensor:
        """Embeddings [B, u, width] of one layer's tokens [B, u]; -1 (not drawn) adds nothing."""
        return self.embed[layer][tokens.clamp(min=0)] * (tokens >= 0)[..., None]

    def forward(
        self,
        tokens: Tensor,
        layer: Tensor,
        real: Tensor,
        text: Tensor,
        drop: Tensor,
        view: Tensor | None = None,
    ) -> Tensor:
        """Tokens [B, u, N] (only layers before ``layer`` [B] are read) → logits [B, u, codes]."""
        x = torch.zeros(*tokens.shape[:2], self.embed.shape[-1], device=tokens.device)
        for j in range(self.layers - 1):
            use = (j < layer)[:, None, None].to(x.dtype)
            x = x + self.embedded(tokens[..., j], j) * use
        condition = self.trunk.condition(text, drop, view) + self.which(layer)
        y = self.trunk(x, real, condition)
        return torch.einsum("buw,bkw->buk", y, self.table[layer]) + self.bias[layer][:, None]

    def loss(
        self, tokens: Tensor, real: Tensor, text: Tensor, drop: Tensor, view: Tensor | None = None
    ) -> Tensor:
        """Negative log-likelihood of one drawn layer's tokens; early layers more often.

        ValueError for a quantiser of one layer, which leaves nothing to learn.
        """
        if self.layers < 2:
            raise ValueError("a quantiser of one layer has no residual tokens")
        u = torch.rand(len(tokens), device=tokens.device)
        layer = ((1 - torch.cos(math.pi * u / 2)) * (self.layers - 2)).round().long() + 1
        logits = self(tokens, layer, real, text, drop, view)
        target = torch.take_along_dim(tokens, layer[:, None, None], 2).squeeze(2)
        return _likelihood(logits, target, real)


def _likelihood(logits: Tensor, target: Tensor, where: Tensor) -> Tensor:
    """Mean negative log-likelihood of the targets [B, u] ``where`` [B, u] says, of [B, u, codes].

    Of fixed shape, so that a device need not wait to hear how many there are.
    """
    wanted = torch.where(where, target, -100)
    return nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=-100)


class ChoicePredictor(nn.Module):
    """From a text to a distribution over choices: lengths in tokens, or starting views."""

    def __init__(self, config: TransformerConfig, choices: int) -> None:
        super().__init__()
        self.text = TextConditioning(config)
        self.leave = nn.Sequential(
            nn.LayerNorm(config.width), nn.GELU(), nn.Linear(config.width, choices)
        )

    def forward(self, text: Tensor) -> Tensor:
        """[B, text_dim] → logits [B, choices]."""
        drop = torch.zeros(len(text), dtype=torch.bool, device=text.device)
        return self.leave(self.text(text, drop))

    def loss(self, text: Tensor, choice: Tensor) -> Tensor:
        """Cross-entropy against the true choice [B]."""
        return nn.functional.cross_entropy(self(text), choice)


class TextToTokens(nn.Module):
    """All that stage 2 trains. ``length``: entry i stands for i + 1 tokens."""

    def __init__(self, config: K2MConfig) -> None:
        super().__init__()
        quantiser = config.tokenizer.quantiser
        self.masked = MaskedTransformer(config.transformer, quantiser.codes)
        self.residual = ResidualTransformer(config.transformer, quantiser.codes, quantiser.layers)
        self.length = ChoicePredictor(config.transformer, config.transformer.max_tokens)
        self.view = ChoicePredictor(config.transformer, VIEWS)
        #: Tokens of the longest motion.
        self.longest = config.transformer.max_tokens
        self.sampled_layers = config.transformer.sampled_layers or quantiser.layers

    def fit_text(self, features: Tensor) -> None:
        """Centres and scales the text features on the training texts [N, text_dim]."""
        parts = (self.masked.trunk, self.residual.trunk, self.length, self.view)
        for part in parts:
            part.text.fit(features)
