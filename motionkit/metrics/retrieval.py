"""Recall at K between texts and trajectories where an item may have several texts.

Relevance is a table bool [texts, items]: which text speaks of which item. Several expressions of
one object are several rows with the same item; the same sentence about two objects is a row with
two items, or two such rows. numpy alone.

text → trajectory: every text is a query; it succeeds where one of its items is among the K
nearest. trajectory → text: every item is a query; it succeeds where one of its texts is. So the
second is the easier one where items have many texts, and chance is stated for each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.floating]
Bool = NDArray[np.bool_]

#: The paper's.
KS = (1, 3, 5, 10)


@dataclass(frozen=True)
class Recall:
    """Of one direction. Shares 0..1 by K."""

    at: dict[int, float]
    chance: dict[int, float]
    """What a random order gives on average, with these relevances."""
    median_rank: float
    """Of the best relevant one; 1 is the first."""
    queries: int
    gallery: int
    relevant: float
    """Relevant ones a query, on average."""


def relevance_of(texts: Sequence[str], item_of: Sequence[int], items: int) -> Bool:
    """bool [texts, items]: text i speaks of item ``item_of[i]``, and of every item that has the
    same words (compared without case and outer spaces)."""
    named: dict[str, set[int]] = {}
    for text, item in zip(texts, item_of, strict=True):
        named.setdefault(text.strip().casefold(), set()).add(item)
    table = np.zeros((len(texts), items), np.bool_)
    for row, text in enumerate(texts):
        table[row, list(named[text.strip().casefold()])] = True
    return table


def cosine_scores(queries: Float, gallery: Float) -> Float:
    """Cosine similarity [Q, G] of rows; a row of zeros is like nothing (0)."""

    def unit(rows: Float) -> Float:
        rows = np.asarray(rows, np.float64)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)

    made: Float = unit(queries) @ unit(gallery).T
    return made


def ranks(scores: Float, relevant: Bool) -> NDArray[np.int64]:
    """Rank [Q] of each query's best relevant one, 1 the first; a tie counts against it.

    So scores that are all the same, as of a collapsed model, do not look like success. ValueError
    for a query without a relevant one, or scores that are not finite.
    """
    scores, relevant = np.asarray(scores, np.float64), np.asarray(relevant, np.bool_)
    if scores.shape != relevant.shape or scores.ndim != 2:
        raise ValueError(f"scores {scores.shape} and relevance {relevant.shape} differ")
    if not np.isfinite(scores).all():
        raise ValueError("scores hold numbers that are not finite")
    if not relevant.any(1).all():
        raise ValueError("a query has no relevant answer")
    best = np.where(relevant, scores, -np.inf).max(1, keepdims=True)
    found: NDArray[np.int64] = ((scores >= best) & ~relevant).sum(1) + 1
    return found


def chance(relevant: Bool, k: int) -> float:
    """Share of queries that a random order answers among its first ``k``: the mean of
    1 − C(G − m, k) / C(G, k), m the relevant ones of G."""
    gallery = relevant.shape[1]
    k = min(k, gallery)
    hits = [1 - math.comb(gallery - int(m), k) / math.comb(gallery, k) for m in relevant.sum(1)]
    return float(np.mean(hits))


def recall(scores: Float, relevant: Bool, ks: Sequence[int] = KS) -> Recall:
    """Recall of queries [Q] in a gallery [G] from scores [Q, G], higher is nearer."""
    found = ranks(scores, relevant)
    return Recall(
        at={k: float((found <= k).mean()) for k in ks},
        chance={k: chance(np.asarray(relevant, np.bool_), k) for k in ks},
        median_rank=float(np.median(found)),
        queries=scores.shape[0],
        gallery=scores.shape[1],
        relevant=float(np.asarray(relevant).sum(1).mean()),
    )


def both_ways(
    texts: Float, trajectories: Float, relevant: Bool, ks: Sequence[int] = KS
) -> dict[str, Recall]:
    """``text_to_trajectory`` and ``trajectory_to_text`` from features [texts, D] and [items, D]."""
    scores = cosine_scores(texts, trajectories)
    return {
        "text_to_trajectory": recall(scores, relevant, ks),
        "trajectory_to_text": recall(scores.T, np.asarray(relevant).T, ks),
    }


def paired_similarity(texts: Float, trajectories: Float, item_of: Sequence[int]) -> float:
    """Mean cosine of each text with its own trajectory: the paper's "CLIP similarity"."""
    scores = cosine_scores(texts, trajectories)
    return float(scores[np.arange(len(scores)), np.asarray(item_of)].mean())
