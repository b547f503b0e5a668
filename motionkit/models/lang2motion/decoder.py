"""Latent and first frame → trajectory (paper, section 3.1).

The first frame of an answer is the given one, bit for bit: positions are carried, never
recomputed from it. A latent counts by its direction alone: the cosine losses leave its length
open, and text features have length 1, so both are brought to length √dim here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from motionkit.errors import UsageError
from motionkit.models.lang2motion.config import Lang2MotionConfig


def as_direction(latent: Tensor) -> Tensor:
    """[B, dim] brought to length √dim; zero stays zero."""
    length = latent.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    return latent / length * latent.shape[-1] ** 0.5


#: Sines (and as many cosines) of the clock: of half a turn, one, … of the trained length.
_WAVES = 8


def clock_code(frames: int) -> Tensor:
    """[frames, 1 + 2 · waves]: u = t/(frames − 1), then sin and cos of kπu."""
    u = torch.arange(frames, dtype=torch.float32)[:, None] / (frames - 1)
    phase = u * torch.pi * torch.arange(1, _WAVES + 1)
    return torch.cat([u, torch.sin(phase), torch.cos(phase)], 1)


class _Mlp(nn.Module):
    """(latent + inputs) → hidden → hidden → out, its first layer in two parts.

    The part that reads the latent is the same at every step of a motion, so it is computed once:
    W·[z; p] = W_z·z + W_p·p.
    """

    def __init__(self, config: Lang2MotionConfig, inputs: int, out: int) -> None:
        super().__init__()
        hidden = config.decoder.hidden
        self.from_latent = nn.Linear(config.latent, hidden)
        self.from_points = nn.Linear(inputs, hidden, bias=False)
        self.middle = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, out)
        # Both parts as one layer of latent + inputs would start.
        bound = (config.latent + inputs) ** -0.5
        for part in (self.from_latent, self.from_points):
            nn.init.uniform_(part.weight, -bound, bound)
        with torch.no_grad():  # a new model leaves the points where they are, nearly
            self.last.weight.mul_(0.1)
            self.last.bias.zero_()

    def forward(self, latent: Tensor, points: Tensor) -> Tensor:
        """``latent``: `from_latent`'s output; ``points`` [..., inputs]."""
        x = nn.functional.gelu(latent + self.from_points(points))
        out: Tensor = self.last(nn.functional.gelu(self.middle(x)))
        return out


@dataclass(frozen=True)
class _Start:
    """What is the same at every step of a motion."""

    hidden: Tensor
    """[B, (1,) hidden]: the latent's share of the first layer, and the first frame's."""
    centre: Tensor | None
    """[B, (1,) 1, 2]: of the first frame."""

    def of_steps(self) -> _Start:
        """For all steps in one call: [B, 1, …]."""
        centre = None if self.centre is None else self.centre[:, None]
        return _Start(self.hidden[:, None], centre)


class AutoregressiveDecoder(nn.Module):
    """Δp_t = D(z, p_{t−1}); p̂_t = p_{t−1} + Δp_t, |Δ| below ``max_step`` in each axis.

    What it sees beside p_{t−1}, and in which form it answers, is the configuration's matter.
    """

    clock: Tensor

    def __init__(self, config: Lang2MotionConfig) -> None:
        super().__init__()
        self.config = config.decoder
        size = config.points * 2
        inputs = size
        if self.config.clock:
            self.register_buffer("clock", clock_code(config.frames), persistent=False)
            inputs += self.clock.shape[1]
        if self.config.velocity:
            inputs += size
        self.mlp = _Mlp(config, inputs, size + (6 if self.config.affine else 0))
        self.from_first = (
            nn.Linear(size, config.decoder.hidden, bias=False) if self.config.relative else None
        )

    def _begin(self, latent: Tensor, first: Tensor) -> _Start:
        """``latent`` [B, latent], ``first`` [B, N, 2]."""
        hidden = self.mlp.from_latent(as_direction(latent))
        if self.from_first is None:
            return _Start(hidden, None)
        centre = first.mean(1, keepdim=True)
        return _Start(hidden + self.from_first((first - centre).flatten(1)), centre)

    def _step(self, start: _Start, at: Tensor, before: Tensor, times: Tensor) -> Tensor:
        """p̂_t [..., N, 2] from ``at`` = p_{t−1} and ``before`` = p_{t−2}; ``times`` are the t − 1,
        one each or one for all."""
        shown = [(at if start.centre is None else at - start.centre).flatten(-2)]
        if self.config.velocity:
            # Displacements are some hundredths: brought to the size of positions.
            shown.append(((at - before) * 10).flatten(-2))
        if self.config.clock:
            code = self.clock[times.clamp(max=len(self.clock) - 1)]
            shown.append(code.expand(*at.shape[:-2], -1))
        out = self.mlp(start.hidden, torch.cat(shown, -1) if len(shown) > 1 else shown[0])
        size = at.shape[-2] * 2
        step = out[..., :size].unflatten(-1, at.shape[-2:])
        if self.config.affine:
            linear = out[..., size : size + 4].unflatten(-1, (2, 2))
            step = step + (at - at.mean(-2, keepdim=True)) @ linear + out[..., None, size + 4 :]
        limit = self.config.max_step
        moved: Tensor = at + limit * torch.tanh(step / limit)
        return moved

    def taught(self, latent: Tensor, points: Tensor) -> Tensor:
        """Teacher forcing: every p̂_t from the true p_{t−1}, all t in one call.

        ``points`` [B, T, N, 2] → [B, T, N, 2], the first frame as given.
        """
        start = self._begin(latent, points[:, 0]).of_steps()
        before = torch.cat([points[:, :1], points[:, :-2]], 1)
        times = torch.arange(points.shape[1] - 1, device=points.device)
        made = self._step(start, points[:, :-1], before[:, : points.shape[1] - 1], times)
        return torch.cat([points[:, :1], made], 1)

    def mixed(self, latent: Tensor, points: Tensor, own: Tensor) -> Tensor:
        """Scheduled sampling: p̂_t from the decoder's own p̂_{t−1} where ``own`` [B, T] holds, else
        from the true one. Gradients flow through its own answers."""
        start = self._begin(latent, points[:, 0])
        made = [points[:, 0]]
        before = points[:, 0]
        for t in range(1, points.shape[1]):
            at = torch.where(own[:, t - 1, None, None], made[-1], points[:, t - 1])
            made.append(self._step(start, at, before, torch.tensor(t - 1, device=at.device)))
            before = at
        return torch.stack(made, 1)

    def free(self, latent: Tensor, first: Tensor, frames: int) -> Tensor:
        """Generation: [B, latent] and first frames [B, N, 2] → [B, frames, N, 2]."""
        start = self._begin(latent, first)
        made = [first]
        at = before = first
        for t in range(frames - 1):
            at, before = self._step(start, at, before, torch.tensor(t, device=at.device)), at
            made.append(at)
        return torch.stack(made, 1)


class DirectDecoder(nn.Module):
    """All frames at once: p̂_t = p_0 + D(z, p_0)_t, each |p̂_t − p_0| below t · ``max_step``."""

    def __init__(self, config: Lang2MotionConfig) -> None:
        super().__init__()
        self.mlp = _Mlp(config, config.points * 2, (config.frames - 1) * config.points * 2)
        self.relative = config.decoder.relative
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
        shown = first - first.mean(1, keepdim=True) if self.relative else first
        out = self.mlp(self.mlp.from_latent(as_direction(latent)), shown.flatten(1))
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
