"""Clips whose motion and text belong together: small, quick to learn, made of sines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from motionkit.shards.from_samples import write_set
from motionkit.training.k2m_data import Clip

_Y = np.array([-47, -48, -48, -46, -46, -36, -36, -20, -20, -8, -8, 0, 0, 25, 25, 50, 50.0])
_X = np.array([0, 1, -1, 3, -3, 9, -9, 11, -11, 12, -12, 6, -6, 6, -6, 6, -6.0])
#: The part that moves, and its keypoints.
PARTS = {
    "left hand": (7, 9), "right hand": (8, 10), "left foot": (13, 15), "right foot": (14, 16),
    "head": (0, 1, 2, 3, 4), "hips": (11, 12),
}  # fmt: skip
HOW = {"quickly": 0.9, "slowly": 0.3}
TEXTS = [f"a person moves the {part} {how}" for part in PARTS for how in HOW]


class Words:
    """A text encoder for tests: the bag of a text's words, length 1; no package needed."""

    dim = 64

    def __init__(self, version: str = "1") -> None:
        self.version = version

    def identity(self) -> dict[str, str]:
        return {"name": "words", "version": self.version}

    def encode(self, texts: list[str]) -> np.ndarray:
        rows = np.zeros((len(texts), self.dim), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.split():
                row += np.random.default_rng(list(word.encode())).normal(size=self.dim)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def m2d_of(text: str, seed: int, frames: int = 32) -> np.ndarray:
    """M_2D [F, 18, 3] of what a text of `TEXTS` says, with a body, a place and noise of its own."""
    rng = np.random.default_rng(seed)
    part = next(p for p in PARTS if p in text)
    speed = next(v for h, v in HOW.items() if h in text)
    xy = np.stack([_X, _Y], -1) * rng.uniform(1.5, 2.5) + rng.uniform(250, 350, 2)
    m2d = np.ones((frames, 18, 3), np.float32)
    m2d[:, :17, :2] = xy + rng.normal(0, 0.5, (frames, 17, 2))
    swing = 40 * np.sin(speed * np.arange(frames) + rng.uniform(0, 6))
    m2d[:, list(PARTS[part]), 0] += swing[:, None]
    m2d[:, 17] = [640, 600, 1]
    return m2d


def clips(count: int, *, first: int = 0) -> list[Clip]:
    """Clips of all texts in turn; every third is shorter."""
    made = []
    for i in range(first, first + count):
        text = TEXTS[i % len(TEXTS)]
        m2d = m2d_of(text, i, 32 if i % 3 else 25)
        made.append(Clip(f"s{i}", torch.from_numpy(m2d), (text,)))
    return made


def shard_set(out: Path, *, train: int = 48, val: int = 24, test: int = 36) -> Path:
    """A shard set of such clips."""
    rows: list[dict[str, Any]] = []
    number = 0
    for split, count in (("train", train), ("val", val), ("test", test)):
        for clip in clips(count, first=number):
            rows.append(
                {"sample_id": f"{clip.sample_id}-{split}", "split": split, "fps": 30.0,
                 "frames": len(clip.m2d), "width": 640, "height": 600, "m2d": clip.m2d.numpy(),
                 "captions": list(clip.texts)}
            )  # fmt: skip
        number += count
    write_set(rows, out, origin={"kind": "test"})
    return out
