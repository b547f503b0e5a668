"""Contrastive losses in which no negative is a positive.

A batch pairs every motion with one of its texts. The other texts of the batch are negatives,
except those that say the same: alike by the frozen text encoder (TMR leaves out those above
0.80), or a text of the same clip. Random shifts as negatives, as in Guo et al.'s code, can be 0
and then punish the right answer; here negatives come from a mask.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Stands for minus infinity where a row may have no negative at all.
_NEVER = -1e9


def info_nce(motions: Tensor, texts: Tensor, alike: Tensor, *, temperature: float) -> Tensor:
    """Symmetric InfoNCE of embeddings [B, dim] of length 1.

    ``alike`` [B, B] bool: pairs that are no negatives; its diagonal, the positives, is ignored.
    """
    logits = motions @ texts.T / temperature
    eye = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(alike & ~eye, _NEVER)
    wanted = torch.arange(len(logits), device=logits.device)
    there = torch.nn.functional.cross_entropy(logits, wanted)
    back = torch.nn.functional.cross_entropy(logits.T, wanted)
    return (there + back) / 2


def margin_loss(motions: Tensor, texts: Tensor, alike: Tensor, *, margin: float) -> Tensor:
    """d² of the pairs plus max(0, margin - d)² of all negatives (Guo et al. 2022).

    Embeddings have length 1, so distances lie in 0..2 and so does a sensible margin.
    """
    square = (motions[:, None] - texts[None]).square().sum(-1)
    eye = torch.eye(len(square), dtype=torch.bool, device=square.device)
    negative = ~(alike | eye)
    distance = square.clamp(min=1e-12).sqrt()
    apart = (margin - distance).clamp(min=0).square() * negative
    return square.diagonal().mean() + apart.sum() / negative.sum().clamp(min=1)


def alike_by_features(
    features: Tensor,
    owner: Tensor,
    count: int,
    threshold: float,
    *,
    apart: Tensor,
    equal: Tensor,
) -> Tensor:
    """[count, count] bool: clips of which any two texts are alike.

    ``features`` [T, D] of length 1: all texts of the batch's clips; ``owner`` [T] the clip of
    each, 0..count-1. ``apart`` [T, T] bool: texts that are not alike whatever their features say;
    ``equal`` [T, T] bool: those that are the same. Several captions of a clip count, not only the
    drawn one: two clips that share one sentence show the same thing.
    """
    near = ((features @ features.T > threshold) & ~apart) | equal
    belongs = torch.nn.functional.one_hot(owner, count).to(features.dtype)  # [T, count]
    linked = belongs.T @ near.to(features.dtype) @ belongs > 0
    return linked | torch.eye(count, dtype=torch.bool, device=features.device)
