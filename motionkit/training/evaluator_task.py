"""What the loop asks of the evaluator's training: draw, loss, a look at the val split."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionkit.errors import UsageError
from motionkit.metrics.matching import pools, r_precision
from motionkit.models.evaluator.losses import info_nce, margin_loss
from motionkit.models.evaluator.network import Evaluator
from motionkit.training.evaluator_config import EvaluatorTrainConfig
from motionkit.training.evaluator_data import EvaluatorData, draw
from motionkit.training.k2m_data import padded
from motionkit.training.task import Batch

#: Motions embedded at once where no gradient is needed.
EMBED_BATCH = 64
#: Motions read before they are put in batches of like lengths.
_AHEAD = 512
#: Pools drawn for one look at the val split.
_LOOKS = 5


@dataclass
class EvaluatorTask:
    """One stage: pairs of motion and text."""

    data: EvaluatorData
    val: EvaluatorData
    config: EvaluatorTrainConfig
    val_pool: int = field(init=False)
    """Pool of the looks at the val split, as large as its texts allow; 0: there is no look."""

    def __post_init__(self) -> None:
        self.val_pool = largest_pool(self.val.captions, self.config.val_pool)

    def begin(self, model: Evaluator, step: int) -> None:
        """Nothing to start."""

    def draw(self, step: int) -> Batch:
        """m2d [B, F, 18, 3], real [B, F], features [B, text_dim], alike [B, B]."""
        return draw(self.data, self.config)

    def loss(self, model: Evaluator, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """InfoNCE, and the margin loss where it has a weight."""
        c = self.config
        motions, texts = model(batch["m2d"], batch["real"], batch["features"])
        with torch.autocast(motions.device.type, enabled=False):
            motions, texts = motions.float(), texts.float()
            loss = info_nce(motions, texts, batch["alike"], temperature=c.temperature)
            numbers = {"info_nce": loss.detach()}
            if c.margin_weight:
                apart = margin_loss(motions, texts, batch["alike"], margin=c.margin)
                numbers["margin"] = apart.detach()
                loss = loss + c.margin_weight * apart
        near = (motions @ texts.T).argmax(1).eq(torch.arange(len(texts), device=texts.device))
        return loss, {**numbers, "batch_top1": near.float().mean(), "loss": loss.detach()}

    def validate(self, model: Evaluator) -> dict[str, float]:
        """R-precision of the val motions, in pools drawn the same way every time."""
        if not self.val_pool:
            return {}
        motions = embed_clips(model, (self.val.clip(i).m2d for i in range(len(self.val))))
        with torch.no_grad():
            features = self.val.features.to(next(model.parameters()).device)
            texts = model.embed_text(features).double().cpu().numpy()
        found: dict[int, list[float]] = {1: [], 2: [], 3: []}
        for look in range(_LOOKS):
            rng = np.random.default_rng([77, look])
            said = [rows[int(rng.random() * len(rows))] for rows in self.val.texts[0]]
            pool = pools(self.val.captions, self.val_pool, rng)
            for top, value in r_precision(texts[said], motions, pool).items():
                found[top].append(value)
        means = {top: float(np.mean(values)) for top, values in found.items()}
        return {
            **{f"val_top{top}": value for top, value in means.items()},
            "val_score": sum(means.values()) / 3,
        }

    def picture(self, model: Evaluator) -> NDArray[np.uint8] | None:
        """There is nothing to see."""
        return None


def largest_pool(texts: Sequence[frozenset[str]], wanted: int) -> int:
    """The largest pool up to ``wanted`` that every item can have; 0 where no two fit."""
    for size in range(min(wanted, len(texts)), 1, -1):
        try:
            pools(texts, size, np.random.default_rng(0))
        except UsageError:
            continue
        return size
    return 0


@torch.no_grad()
def embed_clips(model: Evaluator, clips: Iterable[Tensor]) -> NDArray[np.float64]:
    """Embeddings [N, dim] of motions M_2D [F, 18, 3] of any lengths, in their order.

    Memory: a few hundred motions. Batches hold like lengths; padding changes nothing but the
    last bits.
    """
    found = [np.zeros((0, model.config.dim))]
    source = iter(clips)
    while held := list(itertools.islice(source, _AHEAD)):
        found.append(_embedded(model, held))
    return np.concatenate(found)


def _embedded(model: Evaluator, clips: list[Tensor]) -> NDArray[np.float64]:
    device = next(model.parameters()).device
    order = sorted(range(len(clips)), key=lambda i: len(clips[i]))
    out = np.zeros((len(clips), model.config.dim))
    for start in range(0, len(order), EMBED_BATCH):
        chosen = order[start : start + EMBED_BATCH]
        m2d, real = padded([clips[i] for i in chosen], down=1)
        out[chosen] = model.embed_motion(m2d.to(device), real.to(device)).double().cpu().numpy()
    return out
