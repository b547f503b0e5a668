"""Layers that respect padding: what stands behind a sequence's end never reaches its frames.

Every temporal convolution sees zeros there, exactly as at the end of the tensor, so a padded
sequence gives the same numbers as the sequence alone. Norms work on one time step at a time.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class TemporalConv(nn.Module):
    """1-D convolution over time of [B, T, C] that keeps T; masked by ``real`` [B, T, 1]."""

    def __init__(self, inside: int, outside: int, kernel: int = 3, dilation: int = 1) -> None:
        super().__init__()
        self.reach = dilation * (kernel // 2)
        self.dilation, self.kernel = dilation, kernel
        self.conv = nn.Conv1d(inside, outside, kernel, padding=self.reach, dilation=dilation)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """[B, T, inside] → [B, T, outside].

        As one matrix product over the taps: on CPUs the backward pass of short convolutions takes
        several times as long.
        """
        steps = x.shape[1]
        padded = nn.functional.pad(x * real, (0, 0, self.reach, self.reach))
        taps = [padded[:, k * self.dilation :][:, :steps] for k in range(self.kernel)]
        weight = self.conv.weight.permute(0, 2, 1).flatten(1)
        return nn.functional.linear(torch.cat(taps, -1), weight, self.conv.bias)


class ResidualBlock(nn.Module):
    """Norm, dilated convolution, GELU, pointwise, added to the input."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.conv = TemporalConv(width, width, 3, dilation)
        self.mix = nn.Linear(width, width)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """[B, T, C] → [B, T, C]; ``real`` [B, T, 1]."""
        h = nn.functional.gelu(self.conv(self.norm(x), real))
        return x + self.mix(h)


class Halve(nn.Module):
    """Two frames become one; the pair's concatenation is projected, so no frame is dropped."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.join = nn.Linear(2 * width, width)

    def forward(self, x: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T, C] and [B, T, 1] → [B, T/2, C] and [B, T/2, 1]."""
        pairs = (x * real).unflatten(1, (-1, 2)).flatten(2)
        return self.join(pairs), real.unflatten(1, (-1, 2)).amax(2)


class Attention(nn.Module):
    """Multi-head self-attention through PyTorch's fused kernel: no T × T matrix is kept.

    Sequences may lie side by side, [N, T, S, C]: over time for every joint, say. They stay where
    they are, as S · heads heads of N sequences, since to move them costs two copies.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def project(self, x: Tensor) -> Tensor:
        """[N, T, C] → queries, keys and values side by side, [N, T, 3C]: all of one, then all of
        the next. Of [N, T, S, C] → [N, T, S, 3C], the three head by head: only so do sequence
        and head, flattened, stand at even steps in memory."""
        if x.dim() == 3:
            return self.qkv(x)
        weight = self.qkv.weight.unflatten(0, (3, self.heads, -1)).transpose(0, 1).flatten(0, 2)
        bias = self.qkv.bias.unflatten(0, (3, self.heads, -1)).transpose(0, 1).flatten()
        return nn.functional.linear(x, weight, bias)

    def attend(self, projected: Tensor, keys: Tensor | None = None) -> Tensor:
        """What `project` gave → [N, T, C] or [N, T, S, C]; ``keys`` [N, T] bool."""
        if projected.dim() == 3:
            parts = projected.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        else:
            parts = projected.unflatten(-1, (self.heads, 3, -1)).flatten(2, 3)
            parts = parts.permute(3, 0, 2, 1, 4)
        q, k, v = parts.unbind()
        mask = None if keys is None else keys[:, None, None]  # [N, 1, 1, T]: never expanded
        dropout = self.dropout if self.training else 0.0
        y = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        return self.out(y.transpose(1, 2).reshape(*projected.shape[:-1], -1))

    def forward(self, x: Tensor, keys: Tensor | None = None) -> Tensor:
        """[N, T, C] or [N, T, S, C]; ``keys`` [N, T] bool marks what may be attended to."""
        return self.attend(self.project(x), keys)


class Recompute(enum.Enum):
    """What an attention block forgets in the forward pass and computes again in the backward.

    Of a block's 13 activations of the input's size, and of its 24 width² multiplications a token.
    """

    NOTHING = 0
    CHEAP = 1
    """The norms, and the MLP's inside: 6 stay, 8 % more arithmetic."""
    INSIDE = 2
    """The attention's inside as well: 2 stay, 21 % more arithmetic."""


class AttentionBlock(nn.Module):
    """Pre-norm self-attention and feed-forward."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.drop = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, keys: Tensor | None = None, recompute: Recompute = Recompute.NOTHING
    ) -> Tensor:
        """[N, T, C] → [N, T, C], or [N, T, S, C] (see `Attention`); ``keys`` [N, T] bool."""
        if recompute is Recompute.NOTHING:
            return self._transform(self._attend(self._project(x), x, keys))
        if recompute is Recompute.CHEAP:
            x = self._attend(self._again(self._project, x), x, keys)
        else:
            x = self._again(lambda y: self._attend(self._project(y), y, keys), x)
        return self._again(self._transform, x)

    def _project(self, x: Tensor) -> Tensor:
        return self.attention.project(self.norm1(x))

    def _attend(self, projected: Tensor, x: Tensor, keys: Tensor | None) -> Tensor:
        return x + self.drop(self.attention.attend(projected, keys))

    def _transform(self, x: Tensor) -> Tensor:
        return x + self.drop(self.mlp(self.norm2(x)))

    def _again(self, part: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """``part(x)``, of which only x is kept. The second run stops as soon as it has what the
        backward pass needs: a last matrix product is not repeated."""
        drops = self.training and self.drop.p > 0
        return checkpoint(part, x, use_reentrant=False, preserve_rng_state=drops)


def time_code(steps: int, width: int, like: Tensor) -> Tensor:
    """Sinusoidal positions [steps, width]: any length, nothing learned."""
    position = torch.arange(steps, device=like.device, dtype=like.dtype)[:, None]
    half = torch.arange((width + 1) // 2, device=like.device, dtype=like.dtype)
    angle = position * torch.exp(-half / max(1, len(half)) * 6.0)
    return torch.cat([angle.sin(), angle.cos()], -1)[:, :width]
