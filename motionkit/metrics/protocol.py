"""The protocol of text-to-motion scores: runs, intervals, and what stands beside every number.

A score without n, pool size, chance level and floor cannot be read: `Row` and `Settings` carry
them all. Embeddings come in, whatever made them; nothing here knows a model.

Each run draws one caption an item, the pools, the halves and the pairs anew, from the seed and
the run's number. FID is given twice: of all items, and of halves (one half of the set against
the *other* half of the real one), where the real set's own row is the floor at the same n.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import UsageError
from motionkit.metrics.fid import fid
from motionkit.metrics.matching import TOP, chance, diversity, mm_dist, pools, r_precision

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What decides the scores, besides the embeddings."""

    runs: int = 20
    """Repetitions; the interval is 1.96 σ / √runs over them."""
    pool: int = 32
    """Motions a text is ranked against, its own among them."""
    diversity_pairs: int = 300
    """Most pairs; half of the items where that is fewer."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.runs < 1:
            raise UsageError(f"{self.runs} runs are none.", hint="--runs 20 is usual")
        if self.pool < 2:
            raise UsageError(f"a pool of {self.pool} has no choice.", hint="--pool 32 is usual")


@dataclass(frozen=True)
class Interval:
    """Mean of the runs, half the width of its 95 % interval, and the runs themselves."""

    mean: float
    half: float
    runs: tuple[float, ...]

    def __str__(self) -> str:
        return "-" if math.isnan(self.mean) else f"{self.mean:.3f} ±{self.half:.3f}"


def interval(values: Sequence[float]) -> Interval:
    """1.96 σ / √runs; σ of the runs themselves, as published evaluations take it."""
    found = np.asarray(values, np.float64)
    half = 1.96 * float(found.std()) / math.sqrt(len(found))
    return Interval(float(found.mean()), half, tuple(float(v) for v in found))


@dataclass(frozen=True)
class Row:
    """One set of motions, scored."""

    name: str
    n: int
    scores: Mapping[str, Interval]
    """Metric → interval: fid, fid_halves, top_1, top_2, top_3, mm_dist, diversity."""

    def plain(self) -> dict[str, Any]:
        """As JSON; nan as null."""
        return {
            "name": self.name,
            "n": self.n,
            "scores": {key: _plain(value) for key, value in self.scores.items()},
        }


@dataclass(frozen=True)
class Items:
    """The real set: embeddings of its motions and of all its captions."""

    motions: Array
    """[N, D] of the real motions."""
    captions: Sequence[tuple[str, ...]]
    """All captions of each item; at least one."""
    text_row: Mapping[str, int]
    """Caption → row of ``texts``."""
    texts: Array
    """[M, D] of the distinct captions."""

    def __post_init__(self) -> None:
        if not len(self.motions) == len(self.captions):
            raise ValueError("one set of captions for each motion")
        if any(not captions for captions in self.captions):
            raise ValueError("an item without captions cannot be matched")

    def drawn(self, run: int, seed: int) -> list[str]:
        """The caption of every item in this run."""
        rng = np.random.default_rng([seed, run, 1])
        places = rng.random(len(self.captions))
        return [c[int(p * len(c))] for c, p in zip(self.captions, places, strict=True)]

    def embedded(self, captions: Sequence[str]) -> Array:
        """[N, D] of these captions."""
        return self.texts[[self.text_row[text] for text in captions]]


def score_run(
    items: Items, motions: Array, run: int, settings: Settings, *, captions_of: int | None = None
) -> dict[str, float]:
    """All metrics of ``motions`` [N, D]: the real ones, or others for the same captions.

    ``captions_of``: the run whose captions the motions answer; None: this one.
    """
    own = motions is items.motions
    texts = items.embedded(items.drawn(run if captions_of is None else captions_of, settings.seed))
    rng = np.random.default_rng([settings.seed, run, 2])
    pool = pools([frozenset(c) for c in items.captions], settings.pool, rng)
    found = r_precision(texts, motions, pool)
    order = np.random.default_rng([settings.seed, run, 3]).permutation(len(motions))
    half = len(order) // 2
    first, second = order[:half], order[half : 2 * half]
    enough = half >= 2
    pairs = np.random.default_rng([settings.seed, run, 4])
    return {
        "fid": float("nan") if own else fid(motions, items.motions),
        "fid_halves": fid(motions[first], items.motions[second]) if enough else float("nan"),
        **{f"top_{k}": value for k, value in found.items()},
        "mm_dist": mm_dist(texts, motions),
        "diversity": diversity(motions, settings.diversity_pairs, pairs)[0],
    }


def row(name: str, runs: Sequence[Mapping[str, float]], n: int) -> Row:
    """The intervals of several runs' scores."""
    scores = {key: interval([run[key] for run in runs]) for key in runs[0]}
    return Row(name, n, scores)


def beside(items: Items, settings: Settings) -> dict[str, Any]:
    """What every table and file says beside the scores."""
    n, dim = items.motions.shape
    return {
        **asdict(settings),
        "n": n,
        "distinct_captions": len({text for c in items.captions for text in c}),
        "embedding": dim,
        "fid_halves_n": n // 2,
        "fid_covariance_full": bool(n // 2 > dim),
        "diversity_pairs": min(settings.diversity_pairs, n // 2),
        "chance": {f"top_{k}": value for k, value in chance(settings.pool, TOP).items()},
        "pool_rule": "no item of a pool shares a caption with its query",
    }


def _plain(value: Interval) -> dict[str, Any]:
    def number(x: float) -> float | None:
        return None if math.isnan(x) else x

    return {
        "mean": number(value.mean),
        "interval_95": number(value.half),
        "runs": [number(x) for x in value.runs],
    }
