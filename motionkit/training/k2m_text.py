"""One step of K2M's second stage: text to tokens; and the tokens that it reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionkit.backends.text_encoder import TextEncoder
from motionkit.errors import TrainingError
from motionkit.mirror import mirrored_text
from motionkit.models.k2m.tokenizer import Tokenizer
from motionkit.models.k2m.transformers import TextToTokens, view_of
from motionkit.training.k2m_config import TextTraining
from motionkit.training.k2m_data import Clip, mirrored, padded
from motionkit.training.task import Batch


@dataclass(frozen=True)
class TokenCache:
    """Everything stage 2 reads: no pixels, no encoder."""

    tokens: list[Tensor]
    """Each [u, N]."""
    texts: list[list[int]]
    """Rows of ``features`` for each entry."""
    features: Tensor
    """[M, text_dim]."""
    views: list[int]
    """The view in which each entry starts (`transformers.view_of`)."""
    ids: Sequence[str] = ()
    """The clip of each entry, for messages."""


@torch.no_grad()
def cache_tokens(
    model: Tokenizer, clips: list[Clip], config: TextTraining, encoder: TextEncoder
) -> TokenCache:
    """Tokenises every clip once per shift and mirror; encodes every distinct text once."""
    model.eval()
    names: dict[str, int] = {}
    tokens, texts, views, ids = [], [], [], []
    for clip in clips:
        if not clip.texts:
            continue
        for flip in (False, True):
            m2d = mirrored(clip.m2d) if flip else clip.m2d
            words = [mirrored_text(t) if flip else t for t in clip.texts]
            rows = [names.setdefault(word, len(names)) for word in words]
            for shift in range(min(config.shifts, len(m2d) - model.config.down + 1)):
                batch, real = padded([m2d[shift:]], down=model.config.down)
                seen = model.observe(batch, real)
                quantised = model.tokens(seen)
                views.append(int(view_of(seen.cue[0, :15].mean(0))))
                tokens.append(quantised.tokens[0])
                texts.append(rows)
                ids.append(clip.sample_id)
    if not tokens:
        raise TrainingError(
            "no training clip has a caption, so text-to-motion has nothing to learn from.",
            hint="run 'motionkit caption' and build the shards again",
        )
    features = torch.from_numpy(encoder.encode(list(names)))
    return TokenCache(tokens, texts, features, views, ids)


@dataclass(frozen=True)
class TextStage:
    """Stage 2: text to tokens."""

    cache: TokenCache
    config: TextTraining

    def begin(self, model: TextToTokens, step: int) -> None:
        """Nothing to start."""

    def draw(self, step: int) -> Batch:
        """Every pair of clip and text is as likely.

        Drawn clip by clip, a clip cut short that has one text would outweigh, for that text, a
        whole one that has it among four.

        ``tokens`` [B, u, N], ``lengths`` [B], ``text`` [B, text_dim], ``view`` [B] and the draws
        ``drop`` [B, 2] that decide which texts are hidden.
        """
        c = self.config
        pairs = [(i, row) for i, rows in enumerate(self.cache.texts) for row in rows]
        drawn = [pairs[k] for k in torch.randint(len(pairs), (c.batch,)).tolist()]
        chosen, rows = [i for i, _ in drawn], [row for _, row in drawn]
        lengths = torch.tensor([len(self.cache.tokens[i]) for i in chosen])
        tokens = torch.zeros(c.batch, int(lengths.max()), self.cache.tokens[0].shape[1]).long()
        for row, i in enumerate(chosen):
            tokens[row, : lengths[row]] = self.cache.tokens[i]
        drawn_batch = {
            "tokens": tokens,
            "lengths": lengths,
            "text": self.cache.features[rows],
            "drop": torch.rand(2, c.batch).T,
            "view": torch.tensor([self.cache.views[i] for i in chosen]),
        }
        ids = self.cache.ids
        return Batch(drawn_batch, tuple(ids[i] for i in chosen) if ids else ())

    def loss(
        self, model: TextToTokens, batch: Batch, step: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum of the parts' losses on one batch."""
        c = self.config
        tokens, lengths, text = batch["tokens"], batch["lengths"], batch["text"]
        view, drop = batch["view"], batch["drop"]
        real = torch.arange(tokens.shape[1], device=tokens.device)[None] < lengths[:, None]
        hidden = drop[:, 0] < c.condition_drop
        masked = model.masked.loss(tokens[..., 0], real, text, hidden, view)
        length = model.length.loss(text, lengths - 1)
        start = model.view.loss(text, view)
        loss = masked + length + start
        numbers = {"masked": masked, "length": length, "view": start}
        if (step + 1) % c.residual_every == 0:
            hidden = drop[:, 1] < c.residual_condition_drop
            numbers["residual"] = model.residual.loss(tokens, real, text, hidden, view)
            loss = loss + numbers["residual"]
        numbers["loss"] = loss
        return loss, {name: value.detach() for name, value in numbers.items()}

    def validate(self, model: TextToTokens) -> dict[str, float]:
        """Nothing yet: there are no held-out texts in the cache."""
        return {}

    def picture(self, model: TextToTokens) -> NDArray[np.uint8] | None:
        """None: a motion takes the tokenizer as well."""
        return None
