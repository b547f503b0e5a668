"""One step of K2M's second stage: text to tokens; and the tokens that it reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionkit.mirror import mirrored_text
from motionkit.models.k2m.tokenizer import Tokenizer
from motionkit.models.k2m.transformers import TextToTokens, view_of
from motionkit.training.k2m_config import TextTraining
from motionkit.training.k2m_data import Clip, mirrored, padded
from motionkit.training.k2m_picture import generated_sheet
from motionkit.training.task import Batch
from motionkit.training.token_cache import Entry, TokenCache, cache_key


def tokens_key(model: Tokenizer, config: TextTraining, facts: Mapping[str, Any]) -> str:
    """Names the tokens of a tokenizer; ``facts`` say what else decides: data, text encoder."""
    return cache_key(model, {**facts, "shifts": config.shifts})


@torch.no_grad()
def entries(model: Tokenizer, clips: Sequence[Clip], config: TextTraining) -> Iterator[Entry]:
    """Every clip that has a text, tokenised once per shift and mirror."""
    model.eval()
    where = model.quantiser.codes.device
    for clip in clips:
        if not clip.texts:
            continue
        for flip in (False, True):
            m2d = mirrored(clip.m2d) if flip else clip.m2d
            words = [mirrored_text(t) if flip else t for t in clip.texts]
            for shift in range(min(config.shifts, len(m2d) - model.config.down + 1)):
                batch, real = padded([m2d[shift:]], down=model.config.down)
                seen = model.observe(batch.to(where), real.to(where))
                tokens = model.tokens(seen).tokens[0].cpu()
                view = int(view_of(seen.cue[0, :15].mean(0)))
                yield Entry(tokens, words, view, clip.sample_id)


@dataclass(frozen=True)
class TextStage:
    """Stage 2: text to tokens."""

    cache: TokenCache
    config: TextTraining
    tokenizer: Tokenizer | None = None
    """For pictures alone."""

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
        drawn = self.cache.pairs[torch.randint(len(self.cache.pairs), (c.batch,))]
        chosen = drawn[:, 0].tolist()
        found = [self.cache.entry(i) for i in chosen]
        lengths = torch.tensor([len(tokens) for tokens in found])
        drawn_batch = {
            "tokens": torch.nn.utils.rnn.pad_sequence(found, batch_first=True),
            "lengths": lengths,
            "text": self.cache.features[drawn[:, 1]],
            "drop": torch.rand(2, c.batch).T,
            "view": self.cache.views[drawn[:, 0]],
        }
        ids = self.cache.ids
        return Batch(drawn_batch, tuple(ids[i] for i in chosen) if ids else ())

    def loss(
        self, model: TextToTokens, batch: Batch, step: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum of the parts' losses on one batch; of a clip longer than the model's longest motion,
        its start counts."""
        c = self.config
        longest = model.longest
        tokens, lengths = batch["tokens"][:, :longest], batch["lengths"].clamp(max=longest)
        text, view, drop = batch["text"], batch["view"], batch["drop"]
        real = torch.arange(tokens.shape[1], device=tokens.device)[None] < lengths[:, None]
        hidden = drop[:, 0] < c.condition_drop
        masked = model.masked.loss(tokens[..., 0], real, text, hidden, view)
        length = model.length.loss(text, lengths - 1)
        start = model.view.loss(text, view)
        loss = masked + length + start
        numbers = {"masked": masked, "length": length, "view": start}
        if model.residual.layers > 1 and (step + 1) % c.residual_every == 0:
            hidden = drop[:, 1] < c.residual_condition_drop
            numbers["residual"] = model.residual.loss(tokens, real, text, hidden, view)
            loss = loss + numbers["residual"]
        numbers["loss"] = loss
        return loss, {name: value.detach() for name, value in numbers.items()}

    def validate(self, model: TextToTokens) -> dict[str, float]:
        """Nothing yet: there are no held-out texts in the cache."""
        return {}

    def picture(self, model: TextToTokens) -> NDArray[np.uint8] | None:
        """Motions of the data and generated ones; None without a tokenizer to decode them."""
        if self.tokenizer is None:
            return None
        return generated_sheet(self.tokenizer, model, self.cache)
