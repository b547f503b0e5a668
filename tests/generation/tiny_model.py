"""A K2M of random weights small enough to generate with in a test, and a text encoder for it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from motionkit.models.k2m.config import small
from motionkit.models.k2m.tokenizer import Tokenizer
from motionkit.models.k2m.transformers import TextToTokens
from motionkit.training.checkpoint import pack, save_checkpoint
from motionkit.training.k2m_config import as_table


class Words:
    """Random features, the same for the same text."""

    dim = 384

    def identity(self) -> dict[str, str]:
        return {"name": "words"}

    def encode(self, texts: list[str]) -> np.ndarray:
        rows = [np.random.default_rng(list(t.encode())).normal(size=384) for t in texts]
        return np.array(rows, np.float32)


def tiny_checkpoint(folder: Path, *, seed: int = 0, max_tokens: int = 20) -> Path:
    """3 layers of 16 codes; all are drawn. Embeddings of the size that training gives them, so
    that texts and neighbours matter."""
    torch.manual_seed(seed)
    base = small()
    sizes = replace(
        base,
        tokenizer=replace(
            base.tokenizer, quantiser=replace(base.tokenizer.quantiser, layers=3, codes=16)
        ),
        transformer=replace(base.transformer, layers=1, max_tokens=max_tokens, sampled_layers=None),
    )
    tokenizer, text = Tokenizer(sizes.tokenizer), TextToTokens(sizes)
    torch.nn.init.normal_(text.masked.embed.weight, std=0.5)
    torch.nn.init.normal_(text.residual.embed, std=0.2)
    tokenizer.quantiser.seed(torch.randn(64, 64))
    path = folder / "k2m.safetensors"
    save_checkpoint(
        path,
        {**pack("tokenizer", tokenizer.state_dict()), **pack("text", text.state_dict())},
        {"kind": "k2m", "sizes": as_table(sizes), "encoder": "minilm"},
    )
    return path
