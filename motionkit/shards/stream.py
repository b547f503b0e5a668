"""One worker's batches of an epoch: reads row groups as the plan needs them, and lets them go."""

from __future__ import annotations

import contextlib
import dataclasses
import queue
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from motionkit.shards.batches import Batch, Sample, collate, sample_of
from motionkit.shards.groups import Group, GroupFiles, SplitIndex
from motionkit.shards.order import Plan


@dataclasses.dataclass(frozen=True)
class Draws:
    """What is drawn for each sample of an epoch, whichever worker reads it.

    ``mirrored`` [N] bool; ``choice`` [N] in [0, 1) picks the caption of ``text``.
    """

    mirrored: NDArray[np.bool_]
    choice: NDArray[np.float64]


def draw(count: int, *, seed: int, epoch: int, mirror: float) -> Draws:
    """Draws for ``count`` samples; ``mirror`` is the share that is shown mirrored."""
    rng = np.random.default_rng([seed, epoch, 2])
    mirrored = rng.random(count) < mirror
    return Draws(mirrored, rng.random(count))


@dataclasses.dataclass(frozen=True)
class Reading:
    """The row groups to ``take`` before a batch and to ``drop`` after it."""

    take: list[int]
    drop: list[int]


@dataclasses.dataclass(frozen=True)
class WorkerPart:
    """The batches of a plan that one worker delivers, ``places`` in order.

    A row group is decoded when its first sample is due and let go after its last one, so what is
    held at a time is known beforehand: `peak_groups`. One that is needed at both ends of the
    part (where one lane begins, another has ended) is let go between and decoded again.
    """

    plan: Plan
    group: NDArray[np.int32]  # [N] row group of each sample
    places: Sequence[int]

    @cached_property
    def readings(self) -> list[Reading]:
        """What to take and to drop at each of ``places``."""
        found = [Reading([], []) for _ in self.places]
        long = len(found) // 2
        last: dict[int, int] = {}
        for step, place in enumerate(self.places):
            numbers = self.plan.samples[self.plan.batch(place)]
            for group in np.unique(self.group[numbers]).tolist():
                before = last.get(group)
                if before is not None and step - before > long:
                    found[before].drop.append(group)
                if before is None or step - before > long:
                    found[step].take.append(group)
                last[group] = step
        for group, step in last.items():
            found[step].drop.append(group)
        return found

    @cached_property
    def order(self) -> list[int]:
        """The row groups in the order in which they are decoded."""
        return [group for reading in self.readings for group in reading.take]

    def peak_groups(self) -> int:
        """The most row groups that are held at a time."""
        held = peak = 0
        for reading in self.readings:
            held += len(reading.take)
            peak = max(peak, held)
            held -= len(reading.drop)
        return peak


def read_ahead(
    index: SplitIndex, order: Sequence[int], columns: Sequence[str], threads: int
) -> Generator[Group, None, None]:
    """Row groups in the given order, decoded by ``threads`` threads (0: by this one).

    At most ``threads + 1`` of them wait to be taken. Each thread opens the files for itself.
    """
    if not threads:
        with contextlib.closing(GroupFiles(index, columns)) as files:
            yield from map(files.read, order)
        return
    opened: queue.SimpleQueue[GroupFiles] = queue.SimpleQueue()
    for _ in range(threads):
        opened.put(GroupFiles(index, columns))

    def read(group: int) -> Group:
        files = opened.get()
        try:
            return files.read(group)
        finally:
            opened.put(files)

    pool = ThreadPoolExecutor(threads, thread_name_prefix="shards")
    waiting: deque[Future[Group]] = deque()
    try:
        for group in order:
            waiting.append(pool.submit(read, group))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        while not opened.empty():
            opened.get().close()


def stream(
    part: WorkerPart,
    groups: Iterator[Group],
    index: SplitIndex,
    columns: Sequence[str],
    draws: Draws,
    *,
    pad: bool = True,
) -> Iterator[Batch]:
    """The batches of ``part``, padded and collated, or (``pad`` False) with lists of samples.

    ``groups`` gives the row groups in the order of ``part.order``.
    """
    held: dict[int, Group] = {}
    for place, reading in zip(part.places, part.readings, strict=True):
        for group in reading.take:
            held[group] = next(groups)
        where = part.plan.batch(place)
        samples: list[Sample] = []
        for number in part.plan.samples[where].tolist():
            where_read, row = held[int(index.group[number])], int(index.row[number])
            sample = sample_of(where_read, row, columns, mirrored=bool(draws.mirrored[number]))
            if "captions" in columns:
                texts = sample["captions"]
                sample["text"] = texts[int(draws.choice[number] * len(texts))] if texts else ""
            samples.append(sample)
        batch: Batch = collate(samples) if pad else {"samples": samples}
        batch["repeated"] = part.plan.repeated[where].copy()
        for group in reading.drop:
            del held[group]
        yield batch
