"""A text-to-tokens model small enough to run many times in a test."""

from dataclasses import replace

import torch

from motionkit.models.k2m.config import QuantiserConfig, small
from motionkit.models.k2m.transformers import TextToTokens


def text_model(*, layers: int = 3, shared: bool = True, seed: int = 0) -> TextToTokens:
    """12 codes, width 32, text features of 6 numbers; all ``layers`` are drawn."""
    torch.manual_seed(seed)
    base = small()
    sizes = replace(
        base,
        tokenizer=replace(
            base.tokenizer, quantiser=QuantiserConfig(layers=layers, codes=12, dim=8)
        ),
        transformer=replace(
            base.transformer,
            width=32,
            layers=1,
            heads=2,
            feed_forward=32,
            text_dim=6,
            dropout=0.0,
            sampled_layers=None,
            shared_weights=shared,
        ),
    )
    return TextToTokens(sizes)
