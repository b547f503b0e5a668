"""What K2M's second stage reads: every clip's tokens and texts, in files that are mapped.

``OUT/tokens/HASH/``: made once for a tokenizer and a data set, found again by a run that goes on.
Memory grows neither with the clips nor with the texts, but for the names of both.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor

from motionkit.errors import TrainingError

#: Version of the files.
CACHE_VERSION = 1
#: Texts whose features are in memory at a time.
_TEXT_BLOCK = 131_072
_FILES = ("tokens", "starts", "views", "pairs", "features")
#: Codes that fit 16 bits.
_MOST_CODES = 2**15


@dataclass(frozen=True)
class Entry:
    """A clip as one start and one side of the mirror gave it."""

    tokens: Tensor
    """[u, N]."""
    texts: Sequence[str]
    view: int
    """The view in which it starts (`transformers.view_of`)."""
    clip: str
    """Its sample."""


@dataclass(frozen=True)
class TokenCache:
    """Everything stage 2 reads: no pixels, no encoder. E entries, P pairs of entry and text."""

    tokens: Tensor
    """[S, N] int16, the entries one after another."""
    starts: Tensor
    """[E + 1] int64: entry e is ``tokens[starts[e] : starts[e + 1]]``."""
    views: Tensor
    """[E] int64: the view in which each entry starts (`transformers.view_of`)."""
    pairs: Tensor
    """[P, 2] int64: entry, and row of ``features``."""
    features: Tensor
    """[M, text_dim] float32, one row a distinct text."""
    ids: Sequence[str] = ()
    """[E] the clip of each entry, for messages."""

    def entry(self, number: int) -> Tensor:
        """Tokens [u, N] int64 of an entry."""
        return self.tokens[self.starts[number] : self.starts[number + 1]].long()


def token_cache(
    tokens: Sequence[Tensor],
    texts: Sequence[Sequence[int]],
    features: Tensor,
    views: Sequence[int],
    ids: Sequence[str] = (),
) -> TokenCache:
    """A cache in memory: ``tokens`` each [u, N], ``texts`` the rows of ``features`` of each."""
    lengths = torch.tensor([0, *(len(t) for t in tokens)])
    pairs = torch.tensor([(e, row) for e, rows in enumerate(texts) for row in rows]).long()
    flat = torch.cat(list(tokens)).to(torch.int16)
    return TokenCache(flat, lengths.cumsum(0), torch.tensor(views), pairs, features, ids)


def cache_key(model: torch.nn.Module, facts: Mapping[str, Any]) -> str:
    """Names a cache: the tokenizer's weights and codebooks, and ``facts`` (data, encoder …)."""
    total = hashlib.sha256(json.dumps([CACHE_VERSION, facts], sort_keys=True).encode())
    for name, value in sorted(model.state_dict().items()):
        total.update(f"\0{name} {tuple(value.shape)} {value.dtype}\0".encode())
        total.update(value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()[:16]


def open_tokens(folder: Path) -> TokenCache:
    """The cache in ``folder``, mapped: what is not read stays on the disk."""
    try:
        facts = json.loads((folder / "cache.json").read_text("utf-8"))
        arrays = {n: np.load(folder / f"{n}.npy", mmap_mode="c") for n in _FILES}
        ids = (folder / "ids.txt").read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"the tokens in {folder} cannot be read: {error}",
            hint="delete that folder: they are made again",
        ) from error
    if facts["version"] != CACHE_VERSION or len(ids) != len(arrays["views"]):
        raise TrainingError(
            f"the tokens in {folder} are damaged.", hint="delete that folder: they are made again"
        )
    return TokenCache(**{n: torch.from_numpy(a) for n, a in arrays.items()}, ids=ids)


def make_tokens(
    folder: Path,
    entries: Iterable[Entry],
    encode: Callable[[Sequence[str]], NDArray[np.float32]],
    dim: int,
) -> None:
    """Writes the cache of ``entries`` to ``folder``, whole or not at all.

    Every distinct text is encoded once. Other caches beside it, of earlier tokenizers, are
    deleted. TrainingError where no entry has a text.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for older in folder.parent.iterdir():
        shutil.rmtree(older)
    made = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
    try:
        names = _write_entries(made, entries)
        features = open_memmap(str(made / "features.npy"), "w+", np.float32, (len(names), dim))
        for first in range(0, len(names), _TEXT_BLOCK):
            part = names[first : first + _TEXT_BLOCK]
            features[first : first + len(part)] = encode(part)
        features.flush()
        (made / "cache.json").write_text(json.dumps({"version": CACHE_VERSION}), "utf-8")
        made.replace(folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _write_entries(folder: Path, entries: Iterable[Entry]) -> list[str]:
    """Everything but the features; returns the distinct texts in the order of their rows."""
    names: dict[str, int] = {}
    lengths, views, pairs = [0], [], []
    layers = 0
    raw = folder / "tokens.raw"
    with raw.open("wb") as tokens, (folder / "ids.txt").open("w", encoding="utf-8") as ids:
        for number, entry in enumerate(entries):
            layers = entry.tokens.shape[1]
            if int(entry.tokens.max()) >= _MOST_CODES:
                raise ValueError(f"a token of {int(entry.tokens.max())} does not fit 16 bits")
            tokens.write(entry.tokens.to(torch.int16).contiguous().numpy().tobytes())
            lengths.append(len(entry.tokens))
            views.append(entry.view)
            pairs += [(number, names.setdefault(text, len(names))) for text in entry.texts]
            ids.write(entry.clip.replace("\n", " ") + "\n")
    if not pairs:
        raise TrainingError(
            "no training clip has a caption, so text-to-motion has nothing to learn from.",
            hint="run 'motionkit caption' and build the shards again",
        )
    total = sum(lengths)
    flat = open_memmap(str(folder / "tokens.npy"), "w+", np.int16, (total, layers))
    flat[:] = np.memmap(raw, np.int16, "r", shape=(total, layers))
    flat.flush()
    raw.unlink()
    np.save(folder / "starts.npy", np.cumsum(np.array(lengths, np.int64)))
    np.save(folder / "views.npy", np.array(views, np.int64))
    np.save(folder / "pairs.npy", np.array(pairs, np.int64))
    return list(names)
