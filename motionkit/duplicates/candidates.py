"""Pairs of videos worth comparing, without comparing every video with every other.

A few hundred words stand for each video. They are sorted several times, each time by another
stretch of their bits first, and every word is compared with its neighbours in that order: words
that differ in few bits are neighbours in one order or another. The fewer words there are the
more neighbours are compared; in small collections that is all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motionkit.duplicates.words import (
    BITS,
    STRONG,
    WEAK,
    Words,
    distance,
    levels,
    signs,
    unmirrored,
)

#: Sorted orders; each starts this many bits after the one before.
_ORDERS: Final = 12
_TURN: Final = 5
#: Words that differ in at most this many bits speak for their pair, the closer the louder.
_NEAR_BITS: Final = 10
#: Comparisons in each of the two indexes, and neighbours at least. Collections of
#: 5,000 videos of nine minutes and larger ones get the least.
_COMPARISONS: Final = 300_000_000
_NEIGHBOURS: Final = 8
_CHUNK: Final = 1 << 20
#: Each video is compared with at most so many others: those that share most with it.
_PARTNERS: Final = 50
#: Hits that are kept before they are summed up by pair.
_HITS: Final = 1 << 23
#: Pictures of a longer video that are looked at.
_VIEWS: Final = 200
#: Videos of at most this many instants are indexed in full.
_SHORT: Final = 40


def candidate_pairs(videos: Sequence[Words]) -> NDArray[np.int64]:
    """Pairs of positions [P, 2], the smaller first, sorted."""
    support: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
    for pick, word in ((_moving, 1), (_views, 0)):
        chosen = [pick(video) for video in videos]
        owner = np.repeat(np.arange(len(videos)), [len(c) for c in chosen])
        if len(owner):
            entries = np.concatenate(
                [video[c, word] for video, c in zip(videos, chosen, strict=True)]
            )
            support.append(_near(signs(unmirrored(entries)), owner, len(videos)))
    if not support:
        return np.zeros((0, 2), np.int64)
    codes, weights = _summed(support)
    return _best(codes, weights, len(videos))


def _moving(video: Words) -> NDArray[np.int64]:
    """Instants whose change word differs least from its neighbours': the ones that a copy which
    begins between two instants still hits. All instants of a short video."""
    moving = levels(video[:, 1])
    if len(video) <= _SHORT:
        return np.flatnonzero(moving >= WEAK)
    steps = distance(video[1:, 1], video[:-1, 1]).astype(np.int64)
    unrest = np.concatenate([[BITS], steps]) + np.concatenate([steps, [BITS]])
    unrest[moving < STRONG] = 4 * BITS
    around = np.pad(unrest, 2, constant_values=4 * BITS)
    least = np.lib.stride_tricks.sliding_window_view(around, 5).min(1)
    return np.flatnonzero((unrest == least) & (moving == STRONG))


def _views(video: Words) -> NDArray[np.int64]:
    """Instants whose pictures stand for the others of the video (within 4 bits)."""
    left = np.flatnonzero(levels(video[:, 0]) >= WEAK)
    if len(video) > _SHORT:
        left = left[:: max(4, len(left) // _VIEWS)]
    chosen = []
    while len(left):
        chosen.append(int(left[0]))
        left = left[distance(video[left, 0], video[left[0], 0]) > 4]
    return np.array(chosen, np.int64)


def _near(
    words: NDArray[np.uint64], owner: NDArray[np.int64], videos: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Pairs of owners with near words, as codes first * videos + second, and their weights."""
    count = len(words)
    orders = _ORDERS
    width = max(_NEIGHBOURS, _COMPARISONS // (count * orders))
    if width * orders >= count:  # comparing all in one order is less work
        orders, width = 1, count
    found: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
    hits = 0
    for turn in range(orders):
        order = np.argsort(_turned(words, turn * _TURN), kind="stable")
        sorted_words, sorted_owner = words[order], owner[order].astype(np.int32)
        for step in range(1, min(width, count - 1) + 1):
            for begin in range(0, count - step, _CHUNK):
                end = min(begin + _CHUNK, count - step)
                bits = distance(sorted_words[begin:end], sorted_words[begin + step : end + step])
                near = np.flatnonzero(bits <= _NEAR_BITS)
                a = sorted_owner[begin + near].astype(np.int64)
                b = sorted_owner[begin + step + near].astype(np.int64)
                other = a != b
                if not other.any():
                    continue
                a, b, bits = a[other], b[other], bits[near[other]]
                weight = (_NEAR_BITS + 1 - bits.astype(np.float64)) ** 2
                found.append((np.minimum(a, b) * videos + np.maximum(a, b), weight))
                hits += len(a)
                if hits > _HITS:
                    found = [_summed(found)]
                    hits = len(found[0][0])
    return _summed(found)


def _turned(words: NDArray[np.uint64], by: int) -> NDArray[np.uint64]:
    """The sign bits, rotated."""
    if not by:
        return words
    return signs((words << np.uint64(by)) | (words >> np.uint64(BITS - by)))


def _summed(
    parts: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Each code once, with the sum of its weights (whole numbers: the order does not matter)."""
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0)
    codes, place = np.unique(np.concatenate([c for c, _ in parts]), return_inverse=True)
    weights = np.zeros(len(codes))
    np.add.at(weights, place.ravel(), np.concatenate([w for _, w in parts]))
    return codes, weights


def _best(codes: NDArray[np.int64], weights: NDArray[np.float64], videos: int) -> NDArray[np.int64]:
    """The pairs that are among the best of one of their two videos."""
    kept = np.zeros(len(codes), bool)
    for side in (codes // videos, codes % videos):
        # of both sides at once would need twice the memory; a pair may count on either
        order = np.lexsort((codes, -weights, side))
        sorted_side = side[order]
        first = np.searchsorted(sorted_side, sorted_side, "left")
        kept[order[np.arange(len(order)) - first < _PARTNERS]] = True
    return np.stack([codes[kept] // videos, codes[kept] % videos], -1)
