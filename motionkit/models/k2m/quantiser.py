"""Residual vector quantisation with running-mean (EMA) codebooks.

Everything that decides the next number is a buffer, so a checkpoint that holds the state dict
resumes exactly: codes, the running counts and sums behind them, and whether they were seeded.

The whole quantiser works on numbers without a graph, in 32 bits whatever autocast says. Its two
gradients are known in closed form (`_Through`), which saves autograd's copies of each residual.
Padding stays zero in every layer: its residual is zeroed at the start and what it chooses counts
nothing, so nothing has to be cut out of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn

from motionkit.models.k2m.config import QuantiserConfig


@dataclass(frozen=True)
class Quantised:
    """What the quantiser gives back."""

    latent: Tensor
    """[B, u, D] sum of the chosen codes; gradients pass straight through. Zero on padding."""
    tokens: Tensor
    """[B, u, N] int64; padding holds 0."""
    commitment: Tensor
    """Σₙ mean ‖rⁿ − sg[aⁿ]‖² over the real steps."""
    perplexity: Tensor
    """[N] effective number of codes this batch used (in training: of all ranks together); 0 for
    layers that were left out."""
    alive: Tensor
    """[N] share of each layer's codes whose running use is over the revival limit."""


class _Through(torch.autograd.Function):
    """(latent, total, commitment) → (total, commitment), with the gradients of both.

    d total / d latent is taken as 1 on real steps (straight through). The commitment's gradient
    is 2 Σₙ (rⁿ − aⁿ) / (M D), since a code is a constant: ``pull`` is that sum, scaled.
    """

    @staticmethod
    def forward(
        ctx: Any, latent: Tensor, total: Tensor, commitment: Tensor, pull: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """All but ``mask`` ([B, u, 1], or empty: all real) have or give the latent's shape."""
        ctx.save_for_backward(pull, mask)
        return total.to(latent.dtype), commitment

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, through: Tensor, weight: Tensor) -> tuple[Tensor | None, ...]:
        """``pull`` is zero on padding; what passes through is masked there."""
        pull, mask = ctx.saved_tensors
        masked = through * mask if mask.numel() else through
        return torch.addcmul(masked.to(pull.dtype), pull, weight).to(through.dtype), *[None] * 4


def _distances(rows: Tensor, codes: Tensor) -> Tensor:
    """Squared distances [M, K] of rows to codes [K, D], less ‖row‖², which decides nothing."""
    return torch.addmm(codes.square().sum(1), rows, codes.T, alpha=-2)


def _nearest(rows: Tensor, codes: Tensor) -> Tensor:
    """Index of the nearest code [K, D] for every row [M, D]."""
    return _distances(rows, codes).argmin(1)


def _ranks() -> int:
    """Processes that train together; 1 without torch.distributed."""
    ready = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if ready else 1


def _effective(counts: Tensor) -> Tensor:
    """Perplexity [N] of use counts [N, K]; 0 where nothing was used."""
    used = counts.sum(1)
    share = counts / used.clamp(min=1)[:, None]
    return torch.exp(-(share * (share + 1e-10).log()).sum(1)) * (used > 0)


class ResidualQuantiser(nn.Module):
    """N layers; layer n quantises what the layers before it left over.

    Under torch.distributed every rank holds the same codebooks: they follow the statistics of all
    ranks' batches together, and revived codes are the same latents everywhere.
    """

    codes: Tensor
    counts: Tensor
    sums: Tensor
    seeded: Tensor

    def __init__(self, config: QuantiserConfig) -> None:
        super().__init__()
        self.config = config
        books = 1 if config.shared else config.layers
        shape = (books, config.codes, config.dim)
        self.register_buffer("codes", torch.zeros(shape))
        self.register_buffer("counts", torch.zeros(shape[:2]))
        self.register_buffer("sums", torch.zeros(shape))
        self.register_buffer("seeded", torch.zeros((), dtype=torch.bool))

    def book(self, layer: int) -> int:
        """Which codebook a layer uses."""
        return 0 if self.config.shared else layer

    @torch.no_grad()
    def seed(self, rows: Tensor, rounds: int = 8) -> None:
        """Starts the codebooks from latents [M, D]: k-means on each layer's residuals.

        Draws from torch's global generator. Needs at least as many rows as codes. With several
        ranks the first one's codebooks count.
        """
        c = self.config
        if len(rows) < c.codes:
            raise ValueError(f"{len(rows)} latents cannot seed {c.codes} codes")
        left = rows.float().clone()
        for layer in range(c.layers):
            book = self.book(layer)
            if not (c.shared and layer > 0):
                codes = left[torch.randperm(len(left), device=left.device)[: c.codes]].clone()
                for _ in range(rounds):
                    nearest = _nearest(left, codes)
                    count = torch.bincount(nearest, minlength=c.codes).to(left.dtype)
                    total = torch.zeros_like(codes).index_add_(0, nearest, left)
                    codes = torch.where(
                        count[:, None] > 0, total / count[:, None].clamp(min=1), codes
                    )
                count = torch.bincount(_nearest(left, codes), minlength=c.codes).to(left.dtype)
                self.codes[book] = codes
                self.counts[book] = count * (c.codes / len(left))  # an even use counts 1
                self.sums[book] = codes * self.counts[book][:, None]
            left = left - self.codes[book][_nearest(left, self.codes[book])]
        self.seeded.fill_(True)
        if _ranks() > 1:
            for buffer in (self.codes, self.counts, self.sums):
                distributed.broadcast(buffer, 0)

    def _follow(self, book: int, rows: Tensor, nearest: Tensor, count: Tensor) -> None:
        """Moves the codes to the running mean of what chose them.

        ``count`` [K] of all ranks. Counts are kept relative to an even use (1 each), so the
        revival limit does not depend on the batch size.
        """
        c = self.config
        total = torch.zeros_like(self.sums[book]).index_add_(0, nearest, rows)
        if _ranks() > 1:
            distributed.all_reduce(total)
        unit = c.codes / count.sum().clamp(min=1)
        self.counts[book].lerp_(count * unit, 1 - c.decay)
        self.sums[book].lerp_(total.mul_(unit), 1 - c.decay)
        alive = self.counts[book] > 1e-3
        mean = self.sums[book] / self.counts[book].clamp(min=1e-3)[:, None]
        self.codes[book] = torch.where(alive[:, None], mean, self.codes[book])

    def _revive(self, book: int, rows: Tensor, real: Tensor) -> None:
        """Dead codes become latents of the batch: rows [M, D] where ``real`` [M] bool.

        Drawn from the batches of all ranks as if they were one, in the order of the ranks.
        """
        limit = self.config.revive_share
        dead = (self.counts[book] < limit).nonzero().squeeze(1)  # the same on every rank
        if not len(dead):
            return
        places = real.nonzero().squeeze(1)
        ranks = _ranks()
        lengths = torch.tensor([len(places)], device=rows.device)
        if ranks > 1:
            parts = [torch.zeros_like(lengths) for _ in range(ranks)]
            distributed.all_gather(parts, lengths)
            lengths = torch.cat(parts)
        if not int(lengths.sum()):
            return
        pick = torch.randint(int(lengths.sum()), (len(dead),), device=rows.device)
        if ranks > 1:
            distributed.broadcast(pick, 0)
            pick = pick - lengths[: distributed.get_rank()].sum()
            mine = (pick >= 0) & (pick < len(places))
            chosen = torch.zeros(len(dead), rows.shape[1], device=rows.device)
            chosen[mine] = rows[places[pick[mine]]]
            distributed.all_reduce(chosen)
        else:
            chosen = rows[places[pick]]
        self.codes[book, dead] = chosen
        self.counts[book, dead] = 2 * limit  # a few batches to prove itself
        self.sums[book, dead] = chosen * self.counts[book, dead][:, None]

    def _choose(self, rows: Tensor, codes: Tensor) -> Tensor:
        """The nearest code's index for every row; in training drawn, where there is a temperature.

        Drawn with probability ∝ exp(−‖row − code‖² / temperature), by Gumbel noise.
        """
        distances = _distances(rows, codes)
        temperature = self.config.sample_temperature
        if self.training and temperature > 0:
            noise = torch.empty_like(distances).exponential_().log_()
            distances.add_(noise, alpha=temperature)
        return distances.argmin(1)

    def forward(self, latent: Tensor, real: Tensor, *, depth: int | None = None) -> Quantised:
        """Quantises latent [B, u, D]; ``real`` [B, u] bool. ``depth`` layers, default all.

        In training mode the codebooks follow the batch's real steps. Padding neither chooses,
        moves nor revives a code.
        """
        with torch.autocast(latent.device.type, enabled=False):
            return self._forward(latent, real, self.config.layers if depth is None else depth)

    def _forward(self, latent: Tensor, real: Tensor, depth: int) -> Quantised:
        c = self.config
        if self.training and _ranks() > 1:  # each rank draws its own depth; sums need one
            shared = torch.tensor(depth, device=latent.device)
            distributed.broadcast(shared, 0)
            depth = int(shared)
        # On a CPU a look at the mask costs nothing and saves its products.
        look = latent.device.type == "cpu" and not torch.compiler.is_compiling()
        mask = None if look and bool(real.all()) else real.flatten()[:, None].float()
        graph = torch.is_grad_enabled() and latent.requires_grad
        with torch.no_grad():
            rows = latent.detach().float().flatten(0, 1)
            left = rows.clone() if mask is None else torch.where(mask > 0, rows, 0.0)
            use = rows.new_ones(len(rows)) if mask is None else mask.squeeze(1)
            total = torch.zeros_like(left)
            pull = torch.zeros_like(left) if graph else None
            squares = left.new_zeros(())
            tokens = real.new_zeros((len(left), c.layers), dtype=torch.long)
            counts = left.new_zeros((c.layers, c.codes))
            for layer in range(depth):
                chosen = self._step(left, use, mask, layer, tokens, counts)
                total.add_(chosen)
                left.sub_(chosen)
                squares += torch.linalg.vector_norm(left).square()
                if pull is not None:
                    pull.add_(left)
            size = use.sum().clamp(min=1) * c.dim
            commitment = squares / size
            total = total.view_as(latent)
            alive = self.alive()
        if pull is not None:
            keep = left.new_empty(0) if mask is None else mask.view(*real.shape, 1)
            pull = pull.mul_(2 / size).view_as(latent)
            given = (latent, total, commitment, pull, keep)
            total, commitment = _Through.apply(*given)  # type: ignore[no-untyped-call]
        return Quantised(
            total.to(latent.dtype),
            tokens.view(*real.shape, c.layers),
            commitment,
            _effective(counts),
            alive.expand(c.layers),
        )

    def _step(
        self,
        left: Tensor,
        use: Tensor,
        mask: Tensor | None,
        layer: int,
        tokens: Tensor,
        counts: Tensor,
    ) -> Tensor:
        """One layer: the codes [M, D] chosen for the residuals ``left``; training moves its book.

        Writes its column of ``tokens`` [M, N] and its row of ``counts`` [N, K].
        """
        book = self.book(layer)
        nearest = self._choose(left, self.codes[book])
        chosen = self.codes[book].index_select(0, nearest)
        tokens[:, layer] = nearest
        if mask is not None:
            chosen *= mask
            tokens[:, layer] *= mask.squeeze(1).long()
        counts[layer].index_add_(0, nearest, use)
        if self.training:
            if _ranks() > 1:
                distributed.all_reduce(counts[layer])
            self._follow(book, left, nearest, counts[layer])
            self._revive(book, left, use > 0)
        return chosen

    def look_up(self, tokens: Tensor) -> Tensor:
        """Tokens [B, u, n ≤ N] → sum of their codes [B, u, D]; a token of -1 adds nothing."""
        total = torch.zeros(*tokens.shape[:2], self.config.dim, device=self.codes.device)
        for layer in range(tokens.shape[2]):
            index = tokens[..., layer]
            code = self.codes[self.book(layer)][index.clamp(min=0)]
            total = total + code * (index >= 0)[..., None]
        return total

    def alive(self) -> Tensor:
        """[books] share of the codes whose running use is over the revival limit."""
        return (self.counts > self.config.revive_share).to(self.codes.dtype).mean(1)
