"""A tiny K2M of random weights as a checkpoint, and keypoints to lift with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from motionkit.models.k2m.config import AdapterConfig, K2MConfig, small
from motionkit.models.k2m.tokenizer import Tokenizer
from motionkit.models.k2m.transformers import TextToTokens
from motionkit.training.checkpoint import pack, save_checkpoint
from motionkit.training.k2m_config import as_table

WINDOW = 16


def tiny_sizes() -> K2MConfig:
    base = small()
    tokenizer = replace(
        base.tokenizer,
        adapter=AdapterConfig(width=8, heads=2, patch_frames=2),
        quantiser=replace(base.tokenizer.quantiser, layers=3, codes=16, dim=16),
        width=16,
        blocks=1,
    )
    transformer = replace(
        base.transformer, width=16, layers=1, heads=2, feed_forward=16, max_tokens=20
    )
    return K2MConfig(tokenizer=tokenizer, transformer=transformer)


def tiny_checkpoint(path: Path, *, seed: int = 0, text_dim: int = 384) -> Path:
    """Writes k2m.safetensors into the folder ``path``."""
    torch.manual_seed(seed)
    sizes = tiny_sizes()
    sizes = replace(sizes, transformer=replace(sizes.transformer, text_dim=text_dim))
    tokenizer, text = Tokenizer(sizes.tokenizer), TextToTokens(sizes)
    tokenizer.quantiser.seed(torch.randn(64, sizes.tokenizer.quantiser.dim))
    with torch.no_grad():
        tokenizer.decoder.leave.weight.mul_(5)  # a random network hardly moves otherwise
    path.mkdir(parents=True, exist_ok=True)
    save_checkpoint(
        path / "k2m.safetensors",
        {**pack("tokenizer", tokenizer.state_dict()), **pack("text", text.state_dict())},
        {
            "kind": "k2m",
            "sizes": as_table(sizes),
            "encoder": "minilm",
            "config": {"tokenizer": {"window": WINDOW}},
        },
    )
    return path


def person(frames: int, seed: int = 0) -> np.ndarray:
    """A standing figure that sways and drifts to the right: M_2D [F, 18, 3] of 640 × 360."""
    rng = np.random.default_rng(seed)
    y = np.array([-47, -48, -48, -46, -46, -36, -36, -20, -20, -8, -8, 0, 0, 25, 25, 50, 50.0])
    x = np.array([0, 1, -1, 3, -3, 9, -9, 11, -11, 12, -12, 6, -6, 6, -6, 6, -6.0])
    sway = 6 * np.sin(np.arange(frames)[:, None, None] / 7 + rng.uniform(0, 6, (17, 2)))
    m2d = np.ones((frames, 18, 3), np.float32)
    m2d[:, :17, :2] = np.stack([x, y], -1) * 2 + np.array([300, 180]) + sway
    m2d[:, :17, 0] += np.arange(frames)[:, None]
    m2d[:, 17] = [640, 360, 1]
    return m2d
