"""A trained evaluator in use: embeddings of motions and texts, and the name it goes by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionkit.backends.text_encoder import TextEncoder, text_encoder
from motionkit.errors import UsageError
from motionkit.metrics.protocol import Items
from motionkit.models.evaluator.network import DOWN, Evaluator
from motionkit.shards.reader import ShardSet
from motionkit.training.evaluator import load_evaluator
from motionkit.training.evaluator_task import embed_clips

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Judge:
    """An evaluator with its text encoder."""

    network: Evaluator
    encoder: TextEncoder
    facts: dict[str, Any]
    identity: str

    @staticmethod
    def load(path: Path) -> Judge:
        """From a checkpoint or its folder. UsageError where the text encoder's weights are not
        those it was trained with: the same sentence would mean something else."""
        network, facts, identity = load_evaluator(path)
        return Judge(network, same_encoder(facts, path), facts, identity)

    def motions(self, clips: Iterable[Tensor]) -> Float:
        """[N, dim] of motions M_2D [F, 18, 3] in pixels; a few hundred are held at once."""
        return embed_clips(self.network, clips)

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> Float:
        """[N, dim] of sentences."""
        features = torch.from_numpy(self.encoder.encode(list(texts)))
        found: Float = self.network.embed_text(features).double().numpy()
        return found

    def stamp(self) -> dict[str, Any]:
        """What every score of this evaluator carries: its hash and its recipe."""
        kept = ("data", "encoder", "encoder_weights", "config", "sizes", "steps", "best_step",
                "val", "val_pool")  # fmt: skip
        return {"identity": self.identity, **{key: self.facts.get(key) for key in kept}}


def same_encoder(facts: dict[str, Any], path: Path) -> TextEncoder:
    """The text encoder that a checkpoint was trained with. UsageError for other weights."""
    encoder = text_encoder(str(facts["encoder"]))
    trained_with = facts.get("encoder_weights")
    if trained_with is not None and trained_with != encoder.identity():
        raise UsageError(
            f"{path} was trained with other weights of the text encoder {facts['encoder']} "
            f"({trained_with}) than are here ({encoder.identity()}).",
            hint="put the same weights there, or train again",
        )
    return encoder


@dataclass(frozen=True)
class RealSet:
    """The real motions of a split, embedded."""

    items: Items
    frames: tuple[int, ...]
    """[N] frames of each as it was judged."""
    ids: tuple[str, ...]
    left_out: dict[str, int]
    """Clips that could not be used, by reason."""


def read_real(
    judge: Judge, shards: ShardSet, split: str, *, down: int = DOWN, most_frames: int | None = None
) -> RealSet:
    """Embed the clips of a split, a few hundred in memory at a time.

    Clips are cut to a multiple of ``down`` frames and to ``most_frames``, as generated motions
    are. Clips without captions, or shorter than two steps, are left out and counted.
    """
    captions: list[tuple[str, ...]] = []
    frames: list[int] = []
    ids: list[str] = []
    left_out: dict[str, int] = {}

    def clips() -> Iterable[Tensor]:
        for sample in shards.samples(split, tracks=False, kind="person"):
            length = min(len(sample.m2d), most_frames or len(sample.m2d)) // down * down
            texts = tuple(dict.fromkeys(text for text, _ in sample.captions))
            reason = "no-caption" if not texts else "too-short" if length < 2 * down else ""
            if reason:
                left_out[reason] = left_out.get(reason, 0) + 1
                continue
            captions.append(texts)
            frames.append(length)
            ids.append(sample.sample_id)
            yield torch.from_numpy(np.array(sample.m2d[:length], np.float32))

    motions = judge.motions(clips())
    if len(motions) < 2:
        raise UsageError(
            f"the {split} split has {len(motions)} captioned clips; scores need more.",
            hint="choose another --split, or build shards from more videos",
        )
    names = dict.fromkeys(text for own in captions for text in own)
    rows = {text: row for row, text in enumerate(names)}
    items = Items(motions, captions, rows, judge.texts(list(names)))
    return RealSet(items, tuple(frames), tuple(ids), left_out)
