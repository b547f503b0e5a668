"""The order of an epoch, planned before anything is read.

A plan is a function of seed, epoch, batch size, the number of ranks and lanes, and nothing else:
not of worker processes, of timing, or of where a run was interrupted. So a position in it is
enough to go on exactly.

**Mixing.** The row groups of all shards are put into a random order. A sample of the group at
place ``p`` is drawn at ``p + window * u``, u uniform in [-1/2, 1/2), reflected at both ends: at
any moment the next sample comes from ``window`` row groups with equal chances, and from at least
half as many near the ends of the order. With no more row groups than ``window``, the order is a
uniform random permutation.

**Lanes.** The batches are cut into ``ranks * lanes`` stretches of equal length, delivered in turn.
A worker that takes whole lanes reads few row groups twice; all lanes together mix wider.

**Buckets.** Within ``bucket_batches`` batches of a lane, the samples are sorted by length before
they are cut into batches, whose order is random. The padding of such a window is less than
``batch_size * (longest - shortest)`` frames: the steps from batch to batch add up to no more.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import UsageError

Remainder = Literal["spread", "drop", "repeat"]
IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class PlanOptions:
    """What the order depends on."""

    batch_size: int = 32
    """Samples in a batch."""
    seed: int = 0
    """Seed of every draw."""
    shuffle: bool = True
    """False keeps the stored order, without lanes and without buckets."""
    window: int = 16
    """Row groups that are mixed at a time in a lane."""
    bucket_batches: int = 16
    """Batches whose samples are sorted by length together; 1 turns buckets off."""
    remainder: Remainder = "spread"
    """What becomes of samples that fill no full round of batches. spread: every sample once, the
    last batches are smaller; drop: they are left out of this epoch; repeat: samples come twice."""
    ranks: int = 1
    """Training processes. Each gets the same number of batches."""
    lanes: int = 1
    """Stretches of the order that one rank reads side by side."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "window", "bucket_batches", "ranks", "lanes"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}.", hint="give at least 1")
        if self.seed < 0:
            raise UsageError(f"seed is {self.seed}.", hint="give 0 or more")
        if self.remainder not in ("spread", "drop", "repeat"):
            raise UsageError(f"remainder is {self.remainder!r}.", hint="use spread, drop or repeat")


@dataclasses.dataclass(frozen=True)
class Plan:
    """The batches of one epoch, in the order in which all ranks together deliver them.

    Batch ``j`` belongs to rank ``j % ranks``. It holds ``samples[starts[j] : starts[j + 1]]``,
    numbers of samples; ``repeated`` is True where a sample comes a second time.
    """

    samples: IntArray  # [S]
    repeated: NDArray[np.bool_]  # [S]
    starts: IntArray  # [M + 1]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def batch(self, j: int) -> slice:
        """Where batch ``j`` stands in ``samples`` and ``repeated``."""
        return slice(int(self.starts[j]), int(self.starts[j + 1]))

    def padding(self, lengths: NDArray[np.integer]) -> float:
        """Share of frames that are padding, 0..1, when batches are padded to their longest."""
        if not len(self.samples):
            return 0.0
        taken = lengths[self.samples].astype(np.int64)
        longest = np.maximum.reduceat(taken, self.starts[:-1])
        return 1 - float(taken.sum()) / float((longest * np.diff(self.starts)).sum())


def make_plan(
    groups: NDArray[np.integer], lengths: NDArray[np.integer], options: PlanOptions, epoch: int
) -> Plan:
    """Plan one epoch over samples 0..N-1, with the row group [N] and the frames [N] of each.

    UsageError where the samples do not fill one batch for every rank.
    """
    count = len(groups)
    sizes = _sizes(count, options)
    rng = np.random.default_rng([options.seed, epoch, 1])
    sequence = _mixed(groups, options.window, rng) if options.shuffle else np.arange(count)
    total = int(sizes.sum())
    repeated = np.arange(total) >= count
    sequence = np.resize(sequence, total)  # cut by drop, begun again by repeat
    if not options.shuffle:
        return Plan(sequence, repeated, _starts(sizes))
    lanes = options.ranks * options.lanes
    delivered = _lane_order(len(sizes), lanes)  # batch b of the lanes laid end to end → its place
    sizes = sizes[delivered]
    lane = delivered % lanes
    window = lane * len(sizes) + (delivered // lanes) // options.bucket_batches
    by_length = np.lexsort((rng.random(len(sizes)), window))  # shortest batch first, to place
    sample_window = np.repeat(window, sizes)
    taken = lengths[sequence]
    sorted_samples = np.lexsort((rng.random(total), taken, sample_window))
    cut = _starts(sizes[by_length])
    place = np.argsort(delivered[by_length], kind="stable")  # delivered j → its cut
    order = _ranges(cut[place], sizes[by_length][place])
    chosen = sorted_samples[order]
    return Plan(sequence[chosen], repeated[chosen], _starts(sizes[by_length][place]))


def _sizes(count: int, options: PlanOptions) -> IntArray:
    """Sizes of the batches as delivered. Their number is a multiple of the ranks."""
    size, ranks = options.batch_size, options.ranks
    if options.remainder == "drop":
        rounds = count // (size * ranks)
    else:
        rounds = -(-count // (size * ranks))
    if not rounds:
        raise UsageError(
            f"{count} samples do not fill a batch of {size} on each of {ranks} ranks.",
            hint="use fewer ranks or smaller batches, or remainder='spread' or 'repeat'",
        )
    if options.remainder != "spread":
        return np.full(rounds * ranks, size)
    last = min(2, rounds) * ranks
    rest = count - (rounds * ranks - last) * size
    if rest < last:
        raise UsageError(
            f"{count} samples cannot be spread over {ranks} ranks in batches of {size}.",
            hint="use remainder='drop' or 'repeat', or fewer ranks",
        )
    even = np.full(last, rest // last)
    even[: rest % last] += 1
    return np.concatenate([np.full(rounds * ranks - last, size), even])


def _mixed(groups: NDArray[np.integer], window: int, rng: np.random.Generator) -> IntArray:
    """Sample numbers in mixed order. Only ``random`` is drawn: its values are stable."""
    names, position = np.unique(groups, return_inverse=True)
    count = len(names)
    place = np.argsort(np.argsort(rng.random(count), kind="stable"), kind="stable")
    key = rng.random(len(groups))
    if count > window:
        key = np.abs(place[position] + 0.5 + window * (key - 0.5))
        key = np.minimum(key, 2 * count - key)
    return np.argsort(key, kind="stable")


def _lane_order(batches: int, lanes: int) -> IntArray:
    """Place at which each batch is delivered, batches counted lane after lane."""
    places = np.arange(batches)
    return places[np.lexsort((places // lanes, places % lanes))]


def _starts(sizes: IntArray) -> IntArray:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _ranges(starts: IntArray, sizes: IntArray) -> IntArray:
    """The numbers of the ranges ``starts[i]`` … ``starts[i] + sizes[i] - 1``, one after another."""
    offsets = _starts(sizes)[:-1]
    return np.repeat(starts - offsets, sizes) + np.arange(int(sizes.sum()))
