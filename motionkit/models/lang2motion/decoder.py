"""Latent and first frame → trajectory (paper, section 3.1).

The first frame of an answer is the given one, bit for bit: positions are carried, never
recomputed from it. A latent counts by its direction alone: the cosine losses leave its length
open, and text features have length 1, so both are brought to length √dim here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from motionkit.errors import UsageError
from motionkit.models.lang2motion.config import Lang2MotionConfig


def as_direction(latent: Tensor) -> Tensor:
    """[B, dim] brought to length √dim; zero stays zero."""
    length = latent.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    return latent / length * latent.shape[-1] ** 0.5


class _Mlp(nn.Module):
    """(latent + 2N) → hidden → hidden → out, its first layer in two parts.

    The part that reads the latent is the same at every step of a motion, so it is computed once:
    W·[z; p] = W_z·z + W_p·p.
    """

    def __init__(self, config: Lang2MotionConfig, out: int) -> None:
        super().__init__()
        hidden = config.decoder.hidden
        self.from_latent = nn.Linear(config.latent, hidden)
        self.from_points = nn.Linear(config.points * 2, hidden, bias=False)
        self.middle = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, out)
        # Both parts as one layer of latent + 2N inputs would start.
        bound = (config.latent + config.points * 2) ** -0.5
        for part in (self.from_latent, self.from_points):
            nn.init.uniform_(part.weight, -bound, bound)
        with torch.no_grad():  # a new model leaves the points where they are, nearly
            self.last.weight.mul_(0.1)
            self.last.bias.zero_()

    def forward(self, latent: Tensor, points: Tensor) -> Tensor:
        """``latent``: `from_latent`'s output; ``points`` [..., 2N]."""
        x = nn.functional.gelu(latent + self.from_points(points))
        out: Tensor = self.last(nn.functional.gelu(self.middle(x)))
        return out


class AutoregressiveDecoder(nn.Module):
    """Δp_t = D(z, p_{t−1}); p̂_t = p_{t−1} + Δp_t, |Δ| below ``max_step`` in each axis."""

    def __init__(self, config: Lang2MotionConfig) -> None:
        super().__init__()
        self.mlp = _Mlp(config, config.points * 2)
        self.max_step = config.decoder.max_step

    def _step(self, latent: Tensor, points: Tensor) -> Tensor:
        out = self.mlp(latent, points)
        return points + self.max_step * torch.tanh(out / self.max_step)

    def taught(self, latent: Tensor, points: Tensor) -> Tensor:
        """Teacher forcing: every p̂_t from the true p_{t−1}, all t in one call.

        ``points`` [B, T, N, 2] → [B, T, N, 2], the first frame as given.
        """
        start = self.mlp.from_latent(as_direction(latent))[:, None]
        made = self._step(start, points[:, :-1].flatten(2)).unflatten(-1, points.shape[2:])
        return torch.cat([points[:, :1], made], 1)

    def mixed(self, latent: Tensor, points: Tensor, own: Tensor) -> Tensor:
        """Scheduled sampling: p̂_t from the decoder's own p̂_{t−1} where ``own`` [B, T] holds, else
        from the true one. Gradients flow through its own answers."""
        start = self.mlp.from_latent(as_direction(latent))
        true = points.flatten(2)
        made = [true[:, 0]]
        for t in range(1, points.shape[1]):
            before = torch.where(own[:, t - 1, None], made[-1], true[:, t - 1])
            made.append(self._step(start, before))
        return torch.stack(made, 1).unflatten(-1, points.shape[2:])

    def free(self, latent: Tensor, first: Tensor, frames: int) -> Tensor:
        """Generation: [B, latent] and first frames [B, N, 2] → [B, frames, N, 2]."""
        start = self.mlp.from_latent(as_direction(latent))
        at = first.flatten(1)
        made = [at]
        for _ in range(frames - 1):
            at = self._step(start, at)
            made.append(at)
        return torch.stack(made, 1).unflatten(-1, first.shape[1:])


class DirectDecoder(nn.Module):
    """All frames at once: p̂_t = p_0 + D(z, p_0)_t, each |p̂_t − p_0| below t · ``max_step``."""

    def __init__(self, config: Lang2MotionConfig) -> None:
        super().__init__()
        self.mlp = _Mlp(config, (config.frames - 1) * config.points * 2)
        self.frames = config.frames
        reach = config.decoder.max_step * torch.arange(1, config.frames)
        self.register_buffer("reach", reach[:, None, None], persistent=False)

    reach: Tensor

    def free(self, latent: Tensor, first: Tensor, frames: int) -> Tensor:
        """As `AutoregressiveDecoder.free`, up to the trained length (UsageError beyond it)."""
        if frames > self.frames:
            raise UsageError(
                f"a direct decoder of {self.frames} frames cannot make {frames}.",
                hint="train the autoregressive decoder for other lengths",
            )
        out = self.mlp(self.mlp.from_latent(as_direction(latent)), first.flatten(1))
        out = out.unflatten(-1, (self.frames - 1, *first.shape[1:]))
        made = first[:, None] + self.reach * torch.tanh(out / self.reach)
        return torch.cat([first[:, None], made[:, : frames - 1]], 1)

    def taught(self, latent: Tensor, points: Tensor) -> Tensor:
        """The same as `free`: there are no steps to teach."""
        return self.free(latent, points[:, 0], points.shape[1])

    def mixed(self, latent: Tensor, points: Tensor, own: Tensor) -> Tensor:
        """The same as `free`."""
        return self.taught(latent, points)


def make_decoder(config: Lang2MotionConfig) -> Any:
    """The decoder that the configuration names; all have `taught`, `mixed` and `free`."""
    return (
        DirectDecoder(config) if config.decoder.kind == "direct" else AutoregressiveDecoder(config)
    )
