"""Batches that span items: units of model input are gathered by shape, and their results given
back to the items they belong to.

A batch always has the same number of units: a last one that is not full is filled up with copies
of a unit, whose results are thrown away. So a unit's result depends neither on how many others
were ready when the device was free, nor on the number of readers.
"""

from __future__ import annotations

import dataclasses
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from motionkit import devices
from motionkit.engines.reader import Failure
from motionkit.stage import Chunk, Item, units_of

#: Shapes that are gathered at once; a further one sends the oldest off, full or not.
_MOST_SHAPES = 8
#: A larger batch must be faster by this factor to be kept.
_WORTH = 1.05


@dataclasses.dataclass
class OpenItem:
    """An item between its first unit and its outcome."""

    item: Item
    results: list[Any] = dataclasses.field(default_factory=list)
    units: int = 0
    missing: int = 0  # units whose result is not there yet
    read: bool = False  # all its units have come
    failure: Failure | None = None

    @property
    def complete(self) -> bool:
        """Whether it can be finished."""
        return self.failure is not None or (self.read and self.missing == 0)


class BatchSize:
    """Units in one call of the model.

    ``wanted`` above 0 is taken as it is, until memory forces less. 0 on a CPU is ``start``; 0 on
    a CUDA device grows from ``start`` by doubling for as long as that is faster.
    """

    def __init__(self, wanted: int, start: int, grow: bool, most: int = 512) -> None:
        self.size = wanted or start
        self.growing = grow and not wanted
        self.most = most
        self._best = 0.0

    def measured(self, units: int, seconds: float) -> None:
        """A full batch took so long."""
        if not self.growing or units < self.size:
            return
        rate = units / max(seconds, 1e-9)
        if rate < self._best * _WORTH:
            self.size = max(1, self.size // 2)
            self.growing = False
        elif self.size * 2 > self.most:
            self.growing = False
        else:
            self._best = rate
            self.size *= 2

    def too_large(self) -> bool:
        """Memory was too small: half of it from now on. False where it cannot be halved."""
        self.growing = False
        if self.size <= 1:
            return False
        self.size //= 2
        return True


class _Group:
    """Units of one shape, in a buffer of a batch's size."""

    def __init__(self, chunk: Chunk, size: int) -> None:
        self.arrays = {
            name: np.empty((size, *values.shape[1:]), values.dtype)
            for name, values in chunk.items()
        }
        self.size = size
        self.owners: list[tuple[OpenItem, int]] = []

    def add(self, chunk: Chunk, start: int, stop: int, owner: OpenItem) -> None:
        at = len(self.owners)
        for name, values in chunk.items():
            self.arrays[name][at : at + stop - start] = values[start:stop]
        for _ in range(start, stop):
            self.owners.append((owner, owner.units))
            owner.results.append(None)
            owner.units += 1
            owner.missing += 1


class Batcher:
    """Gathers units and runs them. ``infer`` is the stage's; `run` returns the items that a
    batch completed."""

    def __init__(self, infer: Callable[[Chunk], list[Any]], size: BatchSize) -> None:
        self._infer, self.size = infer, size
        self._groups: OrderedDict[Any, _Group] = OrderedDict()
        self.oom = 0  # how often memory was too small
        self.warm: set[Any] = set()  # shapes that were run before: the first run is slower

    @property
    def waiting(self) -> bool:
        """Whether units wait for a batch to fill."""
        return bool(self._groups)

    def add(self, chunk: Chunk, owner: OpenItem) -> Iterator[list[OpenItem]]:
        """Take a chunk's units; batches that fill up are run, and what they complete is
        yielded. The arrays are free for reuse when the iterator has ended."""
        key = tuple((name, values.dtype.str, values.shape[1:]) for name, values in chunk.items())
        start, count = 0, units_of(chunk)
        while start < count and owner.failure is None:
            group = self._groups.get(key)
            if group is None:
                if len(self._groups) >= _MOST_SHAPES:
                    yield self._run(next(iter(self._groups)))
                group = self._groups[key] = _Group(chunk, self.size.size)
            room = group.size - len(group.owners)
            stop = min(count, start + room)
            group.add(chunk, start, stop, owner)
            start = stop
            if len(group.owners) == group.size:
                yield self._run(key)

    def flush(self) -> list[OpenItem]:
        """Run the group that has waited longest, full or not."""
        return self._run(next(iter(self._groups)))

    def _run(self, key: Any) -> list[OpenItem]:
        group = self._groups.pop(key)
        count = len(group.owners)
        for values in group.arrays.values():
            values[count:] = values[count - 1]
        touched = {id(owner): owner for owner, _ in group.owners}
        started = time.perf_counter()
        try:
            results = self._call(group.arrays, group.size)
        except Exception as error:  # noqa: BLE001 - some item's: found out below
            if devices.is_out_of_memory(error) and group.size > 1:
                error.__traceback__ = None  # its frames hold the tensors
                self._in_halves(group)
            else:
                self._one_by_one(group, error)
        else:
            if key in self.warm:
                self.size.measured(count, time.perf_counter() - started)
            self.warm.add(key)
            self._give(group, results)
        return [owner for owner in touched.values() if owner.complete]

    def _call(self, arrays: Chunk, size: int) -> list[Any]:
        results = self._infer(arrays)
        assert len(results) == size, f"infer gave {len(results)} results for {size} units"
        return results

    def _give(self, group: _Group, results: list[Any]) -> None:
        for (owner, index), result in zip(group.owners, results[: len(group.owners)], strict=True):
            owner.results[index] = result
            owner.missing -= 1

    def _in_halves(self, group: _Group) -> None:
        """Memory was too small: smaller batches from now on, beginning with this one's units."""
        self.oom += 1
        devices.release()
        self.size.too_large()
        while self.size.size >= group.size and self.size.too_large():
            pass
        step = self.size.size
        for start in range(0, len(group.owners), step):
            part = _Group({name: v[:1] for name, v in group.arrays.items()}, step)
            part.owners = group.owners[start : start + step]
            count = len(part.owners)
            for name, values in group.arrays.items():
                part.arrays[name][:count] = values[start : start + count]
                part.arrays[name][count:] = values[start + count - 1]
            try:
                self._give(part, self._call(part.arrays, step))
            except Exception as error:  # noqa: BLE001 - some item's: found out below
                if devices.is_out_of_memory(error) and step > 1:
                    error.__traceback__ = None
                    self._in_halves(part)
                else:
                    self._one_by_one(part, error)

    def _one_by_one(self, group: _Group, error: Exception) -> None:
        """A call failed: each item's units by themselves, to find whose they are."""
        owners = {id(owner): owner for owner, _ in group.owners}
        if len(owners) == 1:
            (owner,) = owners.values()
            owner.failure = _failure(error)
            return
        for owner in owners.values():
            places = [at for at, (whose, _) in enumerate(group.owners) if whose is owner]
            part = _Group({name: v[:1] for name, v in group.arrays.items()}, group.size)
            part.owners = [group.owners[at] for at in places]
            for name, values in group.arrays.items():
                part.arrays[name][: len(places)] = values[places]
                part.arrays[name][len(places) :] = values[places[-1]]
            try:
                self._give(part, self._call(part.arrays, part.size))
            except Exception as own:  # noqa: BLE001 - this item's failure
                owner.failure = _failure(own)


def _failure(error: Exception) -> Failure:
    found = Failure.of(error)
    if devices.is_out_of_memory(error):
        return dataclasses.replace(found, code="out-of-memory")
    return found
