"""Batches for the evaluator: different clips, one text each, and which pairs are no negatives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from motionkit.backends.text_encoder import TextEncoder
from motionkit.errors import TrainingError
from motionkit.mirror import mirrored_text
from motionkit.models.evaluator.losses import alike_by_features
from motionkit.training.evaluator_config import EvaluatorTrainConfig
from motionkit.training.k2m_data import Clip, mirrored, padded, spoiled
from motionkit.training.task import Batch

#: Words that turn one motion into another although a text encoder hardly sees them.
_DIRECTION = re.compile(
    r"\b(left|right|both|forward|backward|up|upward|down|downward|"
    r"clockwise|counter-?clockwise|anti-?clockwise)(?:s|wards?|most)?\b",
    re.IGNORECASE,
)


def directions_of(text: str) -> frozenset[str]:
    """The sides and directions that a text names."""
    return frozenset(word.lower().replace("-", "") for word in _DIRECTION.findall(text))


@dataclass(frozen=True)
class EvaluatorData:
    """Clips with the features of all their texts, and of the mirrored ones."""

    clips: Sequence[Clip]
    """As they came; indexed, so they may be read from the disk when they are asked for."""
    places: Sequence[int]
    """[N] those of ``clips`` that have a text."""
    captions: Sequence[frozenset[str]]
    """[N]"""
    heights: Tensor
    """[N] body height in pixels, for the noise."""
    texts: tuple[Sequence[Sequence[int]], Sequence[Sequence[int]]]
    """Rows of ``features`` of each clip: as it is, and mirrored."""
    features: Tensor
    """[M, text_dim] of all distinct texts, length 1."""
    directions: Tensor
    """[M] number of the set of directions that the text names; 0: none."""

    def __len__(self) -> int:
        return len(self.places)

    def clip(self, index: int) -> Clip:
        """One of the N."""
        return self.clips[self.places[index]]


def prepare(clips: Sequence[Clip], encoder: TextEncoder) -> EvaluatorData:
    """Encode every distinct text once. Clips without a text are left out."""
    places, captions, heights = [], [], []
    names: dict[str, int] = {}
    plain, swapped = [], []
    for place, clip in enumerate(clips):
        if not clip.texts:
            continue
        places.append(place)
        captions.append(frozenset(clip.texts))
        heights.append(_height(clip.m2d))
        plain.append([names.setdefault(text, len(names)) for text in clip.texts])
        swapped.append([names.setdefault(mirrored_text(t), len(names)) for t in clip.texts])
    sets: dict[frozenset[str], int] = {frozenset(): 0}
    numbers = [sets.setdefault(directions_of(text), len(sets)) for text in names]
    return EvaluatorData(
        clips,
        places,
        captions,
        torch.tensor(heights),
        (plain, swapped),
        torch.from_numpy(encoder.encode(list(names))),
        torch.tensor(numbers),
    )


def draw(data: EvaluatorData, config: EvaluatorTrainConfig) -> Batch:
    """A batch of different clips. All draws from torch.

    m2d [B, F, 18, 3], real [B, F], features [B, text_dim], alike [B, B].
    """
    count = min(config.batch, len(data))
    chosen = torch.randperm(len(data))[:count].tolist()
    flips = (torch.rand(count) < 0.5).tolist()
    places = torch.rand(2, count).tolist()
    motions, said, every, ids = [], [], [], []
    for index, flip, which, start in zip(chosen, flips, *places, strict=True):
        flip = flip and config.mirror
        clip = data.clip(index)
        m2d = clip.m2d
        first = int(start * max(1, len(m2d) - config.window + 1))
        m2d = m2d[first : first + config.window]
        motions.append(mirrored(m2d) if flip else m2d)
        rows = data.texts[flip][index]
        said.append(rows[int(which * len(rows))])
        every.append(rows)
        ids.append(clip.sample_id)
    m2d, real = padded(motions, down=1)
    m2d = spoiled(m2d, data.heights[chosen], noise=config.noise, hide=config.hide)
    alike = alike_pairs(data, every, config)
    tensors = {"m2d": m2d, "real": real, "features": data.features[said], "alike": alike}
    return Batch(tensors, tuple(ids))


def alike_pairs(
    data: EvaluatorData, texts: Sequence[Sequence[int]], config: EvaluatorTrainConfig
) -> Tensor:
    """[B, B] bool: clips, by the rows of their texts, that are no negatives of each other."""
    rows = torch.tensor([row for own in texts for row in own])
    owner = torch.tensor([i for i, own in enumerate(texts) for _ in own])
    features = data.features[rows]
    if config.directions:
        number = data.directions[rows]
        apart = (number[:, None] != number[None]) & (number[:, None] > 0) & (number[None] > 0)
    else:
        apart = torch.zeros(len(rows), len(rows), dtype=torch.bool)
    equal = rows[:, None] == rows[None]
    return alike_by_features(features, owner, len(texts), config.alike, apart=apart, equal=equal)


def need_clips(data: EvaluatorData) -> None:
    """TrainingError where nothing can be learned."""
    if len(set(data.captions)) < 2:
        raise TrainingError(
            "an evaluator needs clips with different captions; "
            f"{len(data)} of {len(data.clips)} training clips have any.",
            hint="run 'motionkit caption' and build the shards again",
        )


def _height(m2d: Tensor) -> float:
    """Pixels a body height, roughly: 90th percentile of the tallest seen extent."""
    seen = m2d[:, :17, 2] > 0
    y = m2d[:, :17, 1]
    low = torch.where(seen, y, torch.inf).amin(1)
    high = torch.where(seen, y, -torch.inf).amax(1)
    tall = torch.where(seen.any(1), high - low, 1.0)
    return max(1.0, float(torch.quantile(tall, 0.9)))
