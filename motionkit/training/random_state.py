"""The random state of a process: it decides the data, so it is the position in the data."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

#: Between the seeds of two processes that train together.
_APART = 1_000_003


def seed_all(seed: int, rank: int = 0) -> None:
    """Seeds torch, NumPy and Python; another stream for every rank."""
    torch.manual_seed(seed + _APART * rank)
    np.random.seed((seed + _APART * rank) % 2**32)
    random.seed(seed + _APART * rank)


def capture() -> dict[str, Tensor]:
    """The state of every global generator, as tensors."""
    version, words, gauss = random.getstate()
    _, keys, place, has_gauss, held = np.random.get_state(legacy=True)
    state = {
        "torch": torch.get_rng_state(),
        "numpy": torch.from_numpy(np.array(keys, np.int64)),
        "numpy_rest": torch.tensor([place, has_gauss, held], dtype=torch.float64),
        "python": torch.tensor([version, *words], dtype=torch.int64),
        "python_rest": torch.tensor(
            [float("nan") if gauss is None else gauss], dtype=torch.float64
        ),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore(state: Mapping[str, Tensor]) -> None:
    """Takes back what `capture` gave. Parts that are missing are left as they are."""
    if "torch" in state:
        torch.set_rng_state(state["torch"].cpu())
    if "numpy" in state:
        place, has_gauss, held = state["numpy_rest"].tolist()
        keys = state["numpy"].numpy().astype(np.uint32)
        np.random.set_state(("MT19937", keys, int(place), int(has_gauss), held))
    if "python" in state:
        version, *words = state["python"].tolist()
        gauss = float(state["python_rest"])
        random.setstate((version, tuple(words), None if gauss != gauss else gauss))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())


@contextlib.contextmanager
def preserved() -> Iterator[None]:
    """What is drawn inside leaves no trace: looking at a model does not change its training."""
    state = capture()
    try:
        yield
    finally:
        restore(state)
