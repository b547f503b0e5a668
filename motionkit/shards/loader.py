"""Training batches from shards: shuffled, length-bucketed, resumable; docs/loader.md.

`ShardLoader` streams batches; `ShardDataset` gives single samples by number. Both need pyarrow
and numpy alone; torch is imported where worker processes or tensors are asked for.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from motionkit.errors import MissingExtraError, UsageError
from motionkit.shards.batches import Batch, Sample, sample_of
from motionkit.shards.groups import (
    GroupCache,
    GroupFiles,
    read_index,
    stored_columns,
)
from motionkit.shards.order import Plan, PlanOptions, Remainder, make_plan
from motionkit.shards.reader import ShardSet, open_shards
from motionkit.shards.stream import WorkerPart, draw, read_ahead, stream

_STATE_VERSION: Final = 1


@dataclasses.dataclass(frozen=True)
class LoaderOptions:
    """What a loader delivers. All but ``workers`` decide the batches and are kept in its state."""

    columns: tuple[str, ...] = ("m2d", "captions")
    """What to read: m2d, captions, caption_sources, tracks, masks, and plain columns (fps,
    width, height, video_id, licence …). What is not named stays on the disk."""
    batch_size: int = 32
    """Samples in a batch."""
    seed: int = 0
    """Seed of the order, the mirroring and the choice of captions."""
    shuffle: bool = True
    """False keeps the stored order, without length buckets."""
    window: int = 16
    """Row groups that a lane mixes at a time. Memory grows with it."""
    bucket_batches: int = 16
    """Batches whose samples are sorted by length together; 1 turns buckets off."""
    remainder: Remainder = "spread"
    """Samples that fill no full round over the ranks: spread (each once, the last batches are
    smaller), drop (left out of this epoch) or repeat (some come twice, marked ``repeated``)."""
    mirror: float = 0.0
    """Share of the samples that are shown mirrored, in points, masks and words."""
    kinds: tuple[str, ...] | None = None
    """Kinds of samples: person, object. None: those that have keypoints where m2d is asked for
    (person), else all."""
    workers: int = 0
    """Worker processes; 0 reads in this one. Needs torch."""
    threads: int = 2
    """Threads that decode ahead where there are no worker processes (0: none)."""
    lanes: int = 0
    """Stretches of the order that are read side by side, on each rank. 0: one a worker. A worker
    reads little twice where the workers divide the lanes."""
    tensors: bool = False
    """Give torch tensors in place of numpy arrays."""
    pad: bool = True
    """False gives {"samples": [sample, …]}, none of them padded."""

    def __post_init__(self) -> None:
        stored_columns(self.columns)
        if not 0 <= self.mirror <= 1:
            raise UsageError(f"mirror is {self.mirror}.", hint="give a share, 0 to 1")
        for name in ("workers", "threads", "lanes"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is {getattr(self, name)}.", hint="give 0 or more")
        if not self.pad and (self.tensors or self.workers):
            raise UsageError(
                "unpadded samples are read in this process, as numpy arrays.",
                hint="leave out tensors and workers, or pad",
            )

    @property
    def stored(self) -> tuple[str, ...]:
        """Columns with those that mirroring needs."""
        wide = {"tracks", "masks"} & set(self.columns)
        return tuple(dict.fromkeys((*self.columns, *(("width", "height") if wide else ()))))


def _kinds(kinds: Sequence[str] | None, columns: Sequence[str]) -> tuple[str, ...] | None:
    return tuple(kinds) if kinds is not None else ("person",) if "m2d" in columns else None


class ShardDataset:
    """Samples of a split by number, in stored order: ``len(dataset)``, ``dataset[i]``.

    A sample is a dict, see `motionkit.shards.batches.sample_of`; arrays are not padded and are
    yours to change. The ``cache_groups`` row groups used last stay decoded; a random walk over
    more of them than that decodes one for nearly every sample: to read all, use `ShardLoader`.
    Works as a map-style dataset of torch with ``collate_fn=motionkit.shards.batches.collate``.
    """

    def __init__(
        self,
        shards: ShardSet | Path | str,
        split: str | None = "train",
        *,
        columns: Sequence[str] = ("m2d", "captions"),
        kinds: Sequence[str] | None = None,
        cache_groups: int = 16,
    ) -> None:
        self.columns = tuple(columns)
        self._files_columns = LoaderOptions(columns=self.columns).stored
        opened = shards if isinstance(shards, ShardSet) else open_shards(Path(shards))
        self.index = read_index(opened, split, _kinds(kinds, columns))
        self.cache_groups = cache_groups
        self._cache()

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, number: int) -> Sample:
        return self.sample(number)

    def sample(self, number: int, *, mirrored: bool = False) -> Sample:
        """Sample ``number``; negative numbers count from the end. IndexError beyond it."""
        count = len(self)
        if not -count <= number < count:
            raise IndexError(f"sample {number} of {count}")
        number %= count
        group = self._groups.get(int(self.index.group[number]))
        found = sample_of(group, int(self.index.row[number]), self.columns, mirrored=mirrored)
        return {k: v.copy() if hasattr(v, "shape") else v for k, v in found.items()}

    def _cache(self) -> None:
        self._groups = GroupCache(GroupFiles(self.index, self._files_columns), self.cache_groups)

    def __getstate__(self) -> dict[str, Any]:  # open files stay where they were opened
        return {k: v for k, v in self.__dict__.items() if k != "_groups"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._cache()


class ShardLoader:
    """Batches of a split, epoch after epoch; each ``for`` loop runs to the end of one epoch.

    A loop that was left in the middle is gone on with by the next one. ``rank`` and ``world``
    say which part of every epoch this training process gets: the parts hold the same number of
    batches, so that no process waits for another. Options are fields of `LoaderOptions`.
    """

    def __init__(
        self,
        shards: ShardSet | Path | str,
        split: str | None = "train",
        *,
        rank: int = 0,
        world: int = 1,
        options: LoaderOptions | None = None,
        **changes: Any,
    ) -> None:
        if not 0 <= rank < world:
            raise UsageError(f"rank {rank} of {world}.", hint="ranks count from 0")
        self.options = _changed(options or LoaderOptions(), changes)
        self.shards = shards if isinstance(shards, ShardSet) else open_shards(Path(shards))
        self.split, self.rank, self.world = split, rank, world
        self.index = read_index(
            self.shards, split, _kinds(self.options.kinds, self.options.columns)
        )
        self.epoch = 0
        self._done = 0  # batches of this epoch and rank that were delivered
        self._lanes = self.options.lanes or max(1, self.options.workers)
        len(self)  # too few samples show now

    def __len__(self) -> int:
        """Batches in an epoch of this rank."""
        return len(self.plan) // self.world

    @property
    def plan(self) -> Plan:
        """The order of the current epoch, of all ranks."""
        key = (self.epoch, self._lanes)
        if self.__dict__.get("_plan_key") != key:
            o = self.options
            order = PlanOptions(
                batch_size=o.batch_size,
                seed=o.seed,
                shuffle=o.shuffle,
                window=o.window,
                bucket_batches=o.bucket_batches,
                remainder=o.remainder,
                ranks=self.world,
                lanes=self._lanes,
            )
            self._plan = make_plan(self.index.group, self.index.frames, order, self.epoch)
            self._plan_key = key
        return self._plan

    def part(self, worker: int = 0, workers: int = 1) -> WorkerPart:
        """What is left of the epoch for one of ``workers`` workers of this rank."""
        left = range(self._done + worker, len(self), workers)
        places = [self.world * place + self.rank for place in left]
        return WorkerPart(self.plan, self.index.group, places)

    def batches(self, worker: int = 0, workers: int = 1) -> Iterator[Batch]:
        """The batches of `part` as numpy, read in this process; the position stays as it is.

        Worker 0, 1 … in turn give the batches in their order.
        """
        o = self.options
        draws = draw(len(self.index), seed=o.seed, epoch=self.epoch, mirror=o.mirror)
        part = self.part(worker, workers)
        threads = o.threads if workers == 1 else 0
        with contextlib.closing(read_ahead(self.index, part.order, o.stored, threads)) as groups:
            yield from stream(part, groups, self.index, o.columns, draws, pad=o.pad)

    def __iter__(self) -> Iterator[Batch]:
        if self.options.workers or self.options.tensors:
            source = _torch().worker_batches(self)
        else:
            source = self.batches()
        epoch = self.epoch
        for batch in source:
            if self.epoch != epoch:
                raise UsageError("the loader was set to another epoch inside a loop.")
            self._done += 1
            yield batch
        self.epoch, self._done = epoch + 1, 0

    def torch_dataset(self) -> Any:
        """What is left of the epoch as an IterableDataset, for a DataLoader of your own.

        Give that ``batch_size=None``; it splits the batches over its workers and keeps their
        order. This loader does not see how far it is read: only its own loop counts.
        """
        return _torch().ShardBatches(self)

    def set_epoch(self, epoch: int) -> None:
        """Begin epoch ``epoch`` with the next loop; a no-op where that epoch is under way."""
        if epoch != self.epoch:
            self.epoch, self._done = epoch, 0

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands, as JSON-ready values: after the batch delivered last."""
        whole = self._done == len(self)
        return {
            "version": _STATE_VERSION,
            "epoch": self.epoch + whole,
            "batches": 0 if whole else self._done,
            "lanes": self._lanes,
            **self._facts(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state`` was taken: the batches to come are those of the run before.

        The number of workers may differ. UsageError where data, options or ranks do.
        """
        if state.get("version") != _STATE_VERSION:
            raise UsageError(f"a loader state of version {state.get('version')!r}.")
        differing = [k for k, v in self._facts().items() if state.get(k) != v]
        if differing:
            name = differing[0]
            raise UsageError(
                f"the loader's state was taken with another {name}: {state.get(name)!r}, now "
                f"{self._facts()[name]!r}.",
                hint="open the same shards with the same options and ranks, or begin anew",
            )
        if not 0 <= state["batches"] < max(1, len(self)):
            raise UsageError(
                f"the loader's state counts {state['batches']} batches of {len(self)}."
            )
        self.epoch, self._done, self._lanes = state["epoch"], state["batches"], state["lanes"]

    def _facts(self) -> dict[str, Any]:
        """What the batches depend on beside the position; JSON-ready."""
        free = ("workers", "threads", "lanes", "tensors", "pad")
        chosen = {k: v for k, v in dataclasses.asdict(self.options).items() if k not in free}
        listed = {k: list(v) if isinstance(v, tuple) else v for k, v in chosen.items()}
        place = {"shards": self.shards.manifest_hash, "split": self.split, "world": self.world}
        return {**place, **listed}


def _torch() -> Any:
    try:
        import torch  # noqa: F401 - the next import needs it
    except ImportError as error:
        raise MissingExtraError(
            "torch", "train", needed_for="loading with worker processes or tensors"
        ) from error
    from motionkit.shards import torch_loader

    return torch_loader


def _changed(options: LoaderOptions, changes: Mapping[str, Any]) -> LoaderOptions:
    known = {f.name for f in dataclasses.fields(LoaderOptions)}
    for name in changes:
        if name not in known:
            raise UsageError(f"a loader has no option {name!r}.", hint=f"choose from {known}")
    return dataclasses.replace(options, **changes)
