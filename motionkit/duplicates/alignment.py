"""Whether two videos show the same: at which offset in time, and how much of the shorter one.

Only instants at which something moves are evidence. The appearance of a room with a standing
camera is shared by every film taken there; what moves in it, and when, is not.
"""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motionkit.duplicates.words import (
    BITS,
    NOTHING,
    STRONG,
    WEAK,
    Words,
    distance,
    distinct,
    levels,
)

#: Bits (of 62) in which a copy's word of change may differ at one instant to count as matched.
#: Different films differ in 31 ± 7, copies in 4 and seldom in more than 12.
_CHANGE_BITS: Final = 20
#: Bits that two neighbouring words must share to be compared with: what flickers proves nothing.
_STEADY_BITS: Final = 16
#: Anchors of the shorter video that are looked for at every place of the longer one.
_ANCHORS: Final = 32
#: An anchor is found where this many bits differ at most, and an offset is worth a look if this
#: share of the anchors is found there.
_VOTE_BITS: Final = 18
_VOTES: Final = 0.3
#: Offsets that are looked at in full.
_OFFSETS: Final = 3
#: Stretches of this many instants may each lie one instant off: copies begin between instants,
#: and clocks drift.
_BLOCK: Final = 40


@dataclasses.dataclass(frozen=True)
class Alignment:
    """How two videos lie against each other at the best offset, in instants."""

    offset: int  # instant i of a lies at i + offset of b
    overlap: int  # instants that both have
    evidence: int  # instants of the shorter one at which something moves in either
    matched: int  # of those, the ones that show the same
    change_bits: float  # mean distance of the change words over the evidence
    appearance_bits: float  # mean distance of the appearance words over the overlap

    @property
    def score(self) -> float:
        """Share of the evidence that matches, 0..1; for still videos the likeness of pictures."""
        return self.matched / self.evidence if self.evidence else 1 - self.appearance_bits / BITS


def same(a: Words, b: Words) -> Alignment | None:
    """The alignment of two videos that show the same, or None."""
    if not len(a) or not len(b):
        return None
    found = align(a, b)
    if found is None or found.overlap < _OVERLAP * min(len(a), len(b)):
        return None
    if found.matched >= _MATCHED:
        near = found.change_bits <= _MEAN_CHANGE_BITS
        near &= found.change_bits + found.appearance_bits <= _MEAN_BITS
        return found if near and found.score >= _SHARE else None
    if not (_still(a) and _still(b)) or 2 * found.matched < found.evidence:
        return None
    return found if found.appearance_bits <= _STILL_BITS else None


def _still(video: Words) -> bool:
    """Whether all of a video shows one picture, and nothing in it moves."""
    return bool((levels(video[:, 1]) < STRONG).all() and (levels(video[:, 0]) >= WEAK).all())


#: What makes a pair: matched instants at least, their share of the evidence at least, mean bits
#: of change at most, and of change and appearance together. Measured (benchmarks.duplicates):
#: copies 11 and 22 at the worst hundredth; different people doing different things in one room 18
#: at the least, unrelated films 43 together.
_MATCHED: Final = 3
_SHARE: Final = 0.55
_MEAN_CHANGE_BITS: Final = 14.0
_MEAN_BITS: Final = 26.0
#: The longer video must hold this share of the shorter one.
_OVERLAP: Final = 0.5
#: Where nothing moves in either video from end to end, their pictures must be this much alike.
_STILL_BITS: Final = 6.0


def align(a: Words, b: Words) -> Alignment | None:
    """The best alignment of two videos; None where no offset is worth a look."""
    if len(b) < len(a):
        found = align(b, a)
        return found and dataclasses.replace(found, offset=-found.offset)
    tried = [_measure(a, b, offset) for offset in _offsets(a, b)]
    return max(tried, key=_merit, default=None)


def _merit(tried: Alignment) -> tuple[float, ...]:
    return tried.matched - tried.evidence / 2, -tried.change_bits, -abs(tried.offset)


def _offsets(short: Words, long: Words) -> list[int]:
    """Offsets at which changes of the shorter video recur in the longer one, likeliest first;
    0 where nothing moves in the shorter one."""
    level = levels(short[:, 1])
    moving = np.flatnonzero(level == STRONG)
    if len(moving) < 4:
        moving = np.flatnonzero(level >= WEAK)
    if not len(moving):
        return [0]
    step = max(1, -(-len(moving) // _ANCHORS))
    anchors = moving[step // 2 :: step]
    near = distance(short[anchors, 1][:, None], long[None, :, 1]) <= _VOTE_BITS
    near &= levels(long[:, 1]) >= WEAK
    hits = np.flatnonzero(near)
    if not len(hits):
        return []
    places = hits % len(long) - anchors[hits // len(long)] + len(short)
    votes = np.convolve(np.bincount(places), [0.5, 1.0, 0.5], "same")  # between two instants: both
    best = np.argsort(-votes, kind="stable")[:_OFFSETS]
    least = max(1.0, _VOTES * len(anchors))
    return [int(place) - len(short) for place in best if votes[place] >= least]


def _measure(short: Words, long: Words, offset: int) -> Alignment:
    """Compare at one offset, in blocks: each lies between ``offset`` and one neighbour of it."""
    early, late = _compare(short, long, offset - 1), _compare(short, long, offset)
    blocks = np.arange(0, len(short), _BLOCK)
    gain = [np.add.reduceat(64.0 * c.matched - c.share(), blocks) for c in (early, late)]
    take_late = (gain[1] >= gain[0])[np.arange(len(short)) // _BLOCK]
    both = _Comparison(*(
        np.where(take_late, getattr(late, f.name), getattr(early, f.name))
        for f in dataclasses.fields(_Comparison)
    ))  # fmt: skip
    return Alignment(
        offset,
        max(0, min(len(short), len(long) - offset) - max(0, -offset)),
        int(both.evidence.sum()),
        int(both.matched.sum()),
        _mean_bits(both.change[both.evidence], both.steady[both.evidence]),
        _mean_bits(both.look[both.seen], both.look_steady[both.seen]),
    )


@dataclasses.dataclass(frozen=True)
class _Comparison:
    """Arrays over the instants of the shorter video."""

    evidence: NDArray[np.bool_]  # something moves in either, and can be compared
    matched: NDArray[np.bool_]
    change: NDArray[np.float64]  # bits of the change words that differ
    steady: NDArray[np.float64]  # of how many
    seen: NDArray[np.bool_]  # both show a picture
    look: NDArray[np.float64]
    look_steady: NDArray[np.float64]

    def share(self) -> NDArray[np.float64]:
        """Bits of change that differ, of `BITS`; 0 where there is no evidence."""
        return np.where(self.evidence, self.change / np.maximum(self.steady, 1) * BITS, 0.0)


def _mean_bits(differ: NDArray[np.float64], steady: NDArray[np.float64]) -> float:
    """Differing bits scaled to whole words; a whole word where nothing can be compared."""
    total = float(steady.sum())
    return BITS * float(differ.sum()) / total if total else float(BITS)


def _compare(short: Words, long: Words, offset: int) -> _Comparison:
    """The shorter video against what lies between instants ``offset`` and ``offset`` + 1 of the
    longer one: a bit differs if it differs from both of them while these agree."""
    here, there = _between(long, offset, len(short))
    level = levels(short)
    low = np.minimum(levels(here), levels(there))
    high = np.maximum(levels(here), levels(there))
    differ = distinct(short, here, there).astype(np.float64)
    steady = (BITS - distance(here, there)).astype(np.float64)
    able = (level >= WEAK) & (low >= WEAK) & (steady >= _STEADY_BITS)
    seen, comparable = able[:, 0], able[:, 1]
    # One moves and the other does not: as unlike as two words can be expected to be.
    against = (level[:, 1] == STRONG) & (high[:, 1] == NOTHING)
    against |= (level[:, 1] == NOTHING) & (low[:, 1] == STRONG)
    change = np.where(against, BITS / 2, differ[:, 1])
    of = np.where(against, float(BITS), steady[:, 1])
    matched = comparable & seen & (change * BITS <= _CHANGE_BITS * of)
    return _Comparison(comparable | against, matched, change, of, seen, differ[:, 0], steady[:, 0])


def _between(words: Words, start: int, count: int) -> tuple[Words, Words]:
    """Instants ``start`` .. ``start`` + count - 1, and the ones after them. Beyond the ends there
    is nothing; between an end and nothing, the end."""
    place = np.arange(start, start + count + 1)
    inside = (place >= 0) & (place < len(words))
    out = np.zeros((count + 1, words.shape[1]), np.uint64)
    out[inside] = words[place[inside]]
    here, there = out[:-1], out[1:]
    alone = (inside[:-1] != inside[1:])[:, None]
    ends = here | there
    return np.where(alone, ends, here), np.where(alone, ends, there)
