"""Residual vector quantisation with running-mean (EMA) codebooks.

Everything that decides the next number is a buffer, so a checkpoint that holds the state dict
resumes exactly: codes, the running counts and sums behind them, and whether they were seeded.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from motionkit.models.k2m.config import QuantiserConfig


@dataclass(frozen=True)
class Quantised:
    """What the quantiser gives back."""

    latent: Tensor
    """[B, u, D] sum of the chosen codes; gradients pass straight through."""
    tokens: Tensor
    """[B, u, N] int64; padding holds 0."""
    commitment: Tensor
    """Σₙ mean ‖rⁿ − sg[aⁿ]‖² over the real steps."""
    perplexity: Tensor
    """[N] effective number of codes this batch used."""


def _nearest(rows: Tensor, codes: Tensor) -> Tensor:
    """Index of the nearest code [K, D] for every row [M, D]."""
    return torch.addmm(codes.square().sum(1), rows, codes.T, alpha=-2).argmin(1)


class ResidualQuantiser(nn.Module):
    """N layers; layer n quantises what the layers before it left over."""

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

        Draws from torch's global generator. Needs at least as many rows as codes.
        """
        c = self.config
        if len(rows) < c.codes:
            raise ValueError(f"{len(rows)} latents cannot seed {c.codes} codes")
        left = rows.clone()
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

    @torch.no_grad()
    def _follow(self, book: int, rows: Tensor, nearest: Tensor) -> None:
        """Moves the codes to the running mean of what chose them; revives dead ones.

        Counts are kept relative to an even use (1 each), so the revival limit does not depend
        on the batch size.
        """
        c = self.config
        unit = c.codes / max(1, len(rows))
        count = torch.bincount(nearest, minlength=c.codes).to(rows.dtype) * unit
        total = torch.zeros_like(self.sums[book]).index_add_(0, nearest, rows) * unit
        self.counts[book].lerp_(count, 1 - c.decay)
        self.sums[book].lerp_(total, 1 - c.decay)
        alive = self.counts[book] > 1e-3
        mean = self.sums[book] / self.counts[book].clamp(min=1e-3)[:, None]
        self.codes[book] = torch.where(alive[:, None], mean, self.codes[book])
        dead = (self.counts[book] < c.revive_share).nonzero().squeeze(1)
        if len(dead):
            chosen = rows[torch.randint(len(rows), (len(dead),), device=rows.device)]
            self.codes[book, dead] = chosen
            self.counts[book, dead] = 2 * c.revive_share  # a few batches to prove itself
            self.sums[book, dead] = chosen * self.counts[book, dead][:, None]

    def forward(self, latent: Tensor, real: Tensor, *, depth: int | None = None) -> Quantised:
        """Quantises latent [B, u, D]; ``real`` [B, u] bool. ``depth`` layers, default all.

        In training mode the codebooks follow the batch's real steps. Padding neither chooses,
        moves nor revives a code.
        """
        c = self.config
        depth = c.layers if depth is None else depth
        rows = latent[real]  # [M, D]
        left = rows
        total = torch.zeros_like(rows)
        commitment = latent.new_zeros(())
        tokens, perplexities = [], []
        for layer in range(c.layers):
            if layer >= depth:
                tokens.append(torch.zeros(len(rows), dtype=torch.long, device=rows.device))
                perplexities.append(rows.new_zeros(()))
                continue
            book = self.book(layer)
            nearest = _nearest(left.detach(), self.codes[book])
            chosen = self.codes[book][nearest]
            commitment = commitment + (left - chosen).square().mean()
            if self.training:
                self._follow(book, left.detach(), nearest)
            total = total + chosen
            left = left - chosen
            tokens.append(nearest)
            share = torch.bincount(nearest, minlength=c.codes).to(rows.dtype) / max(1, len(rows))
            perplexities.append(torch.exp(-(share * (share + 1e-10).log()).sum()))
        through = rows + (total - rows).detach()
        out = torch.zeros_like(latent)
        out[real] = through
        index = torch.zeros(*real.shape, c.layers, dtype=torch.long, device=latent.device)
        index[real] = torch.stack(tokens, -1)
        return Quantised(out, index, commitment, torch.stack(perplexities))

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
