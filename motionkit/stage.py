"""What a stage is.

A stage reads tables, yields the items it could work on, and turns one item into an outcome.
It writes no files, shows no bars, retries nothing and knows nothing of where it runs: the
engine owns order, workers, devices, decode-ahead, batches, timeouts, progress, resume and atomic
output.

How a stage works on its items is its ``mode`` (absent: "items"):

- items: `process` does all of it, in one of many worker processes (decoding, small CPU models).
- batches: `read` (in a reader process) turns an item into units of model input, `infer` (in the
  device's process) takes units of several items at once, `finish` makes the outcome.
- streams: `follow` consumes one item's chunks in their order: models with a memory.
- calls: `call` gets all chunks of an item, in one of ``at_once`` threads: requests to a server.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import UsageError

#: A piece of an item as `read` yields it: arrays by name, whose first axis counts the **units** of
#: model input (person crops, frames, windows), the same number in each.
Chunk = dict[str, NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class Item:
    """One unit of work. ``id`` names the input; ``data`` travels to the worker (picklable, small:
    paths, ids, ranges, stored scores). ``stamp`` is the version of an input that can change under
    the same id (a file's size and time, the texts beside it): an item whose row has another stamp
    is worked on again, and the newer row counts."""

    id: str
    data: dict[str, Any]
    stamp: str | None = None


@dataclasses.dataclass(frozen=True)
class Kept:
    """The item has a result: the payload of the stage's table (numpy arrays may be flat or not)."""

    row: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Dropped:
    """The item was measured and turned down. ``reason`` is stable and documented (docs/codes.md);
    ``row`` may hold the part of the payload that explains it."""

    reason: str
    measured: float | None = None
    threshold: float | None = None
    row: dict[str, Any] = dataclasses.field(default_factory=dict)


#: What ``process`` returns. A failure is an exception: `InputError` gives its code, any other
#: exception gives its type's name, and both are recorded with a traceback.
Outcome = Kept | Dropped


class Early(Exception):  # an outcome, and no error
    """Raised by `ReadingStage.read` where the item's outcome is known without the model (a mask
    too small, nobody there): ``outcome`` becomes the item's row."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Lookup(Protocol):
    """Rows of a table by one of their columns; see `Tables.lookup`."""

    def get(self, value: str) -> dict[str, Any] | None:
        """The row (of several: the first by item id), or None."""
        ...


class Tables(Protocol):
    """What a stage may read: the latest row of every item, by the table's current fingerprint."""

    def rows(
        self,
        table: str,
        columns: Iterable[str],
        *,
        outcome: str | None = "kept",
        only: tuple[str, Container[str]] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Rows as dicts of Python and numpy values (list columns as flat numpy arrays, lists of
        structs as lists of dicts), ``item_id`` always among them; bounded memory. ``outcome``
        None gives kept, dropped and failed rows alike. ``only`` is a column of strings and the
        values wanted: other rows are not decoded. A name ``column.field`` reads that field alone
        of a list of structs; the row has it under ``column``."""
        ...

    def elements(self, table: str, column: str, fields: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Fields of the structs in a list column of the kept rows, one tuple an element: the
        shots of all videos, say. Reads those fields alone."""
        ...

    def lookup(self, table: str, key: str, columns: Iterable[str]) -> Lookup:
        """Kept rows by the string column ``key``, read when asked for: memory holds the keys and
        the row groups last read, never the payload of the table."""
        ...

    def fingerprint(self, table: str) -> str:
        """The current fingerprint of a table; UsageError where the stage has not run."""
        ...


class Stage(Protocol):
    """See the module's text. Implementations are frozen dataclasses of their parameters."""

    name: str  # the command: ingest, scan, detect …
    version: int  # raised when the same parameters give other results
    table: str  # the table it writes
    reads: tuple[str, ...]  # the tables it reads

    def identity(self, tables: Tables) -> dict[str, Any]:
        """Everything beside the item's id that decides the result: parameters, backend and
        weights, fingerprints of what was read. Its hash is the fingerprint of the rows."""
        ...

    def ids(self, tables: Tables) -> Iterator[tuple[str, str | None]]:
        """Id and stamp of every item, done or not. Reads ids only: a million take seconds."""
        ...

    def items(self, tables: Tables, wanted: Container[str] | None = None) -> Iterator[Item]:
        """The items whose id is in ``wanted`` (all: None), in a stable order. Lazy: the payload
        of an item is read when it is its turn, and only if it is wanted."""
        ...

    def setup(self) -> None:
        """Load models. Called once in each worker, and never in the parent."""
        ...

    def process(self, item: Item) -> Outcome:
        """Turn one item into a result. Raises for a failure."""
        ...


class ReadingStage(Stage, Protocol):
    """What the modes with a device's process share. ``setup`` loads the models there, on
    `devices.current()`; readers call `setup_reader` and `read` only."""

    @property
    def mode(self) -> str:
        """batches, streams or calls; may depend on the parameters, never on the item."""
        ...

    def setup_reader(self) -> None:
        """What a reader process needs (OpenCV's threads, a processor); loads no weights."""
        ...

    def read(self, item: Item) -> Iterator[Chunk]:
        """The item's model input, decoded once and in order, in chunks of a few megabytes.
        Raises for a failure of the item, and `Early` where its outcome is already known. Nothing
        at all is a legal answer."""
        ...


class BatchStage(ReadingStage, Protocol):
    """Mode "batches"."""

    def infer(self, units: Chunk) -> list[Any]:
        """One small result (arrays, a dataclass) a unit, in their order. The units have one shape
        and may belong to several items; a result depends on its own unit alone."""
        ...

    def finish(self, item: Item, results: list[Any]) -> Outcome:
        """The outcome, from the results of all units of the item in the order of `read`."""
        ...


class StreamStage(ReadingStage, Protocol):
    """Mode "streams"."""

    def follow(self, item: Item, chunks: Iterator[Chunk]) -> Outcome:
        """The outcome of one item. A chunk is valid until the next one is asked for."""
        ...


class CallStage(ReadingStage, Protocol):
    """Mode "calls"."""

    @property
    def at_once(self) -> int:
        """Most calls in flight."""
        ...

    def call(self, item: Item, chunks: list[Chunk]) -> Outcome:
        """The outcome of one item; called from several threads at once."""
        ...


def mode_of(stage: Stage) -> str:
    """How a stage works on its items; see the module's text."""
    return str(getattr(stage, "mode", "items"))


def run_alone(stage: Any, item: Item, batch: int = 8) -> Outcome:
    """One item from beginning to end in this process, whatever the stage's mode: for tests and
    for looking into one item. Raises what the stage raises."""
    mode = mode_of(stage)
    if mode == "items":
        return stage.process(item)
    try:
        if mode == "streams":
            return stage.follow(item, stage.read(item))
        if mode == "calls":
            return stage.call(item, list(stage.read(item)))
        results: list[Any] = []
        for chunk in stage.read(item):
            for units in pieces(chunk, batch):
                results += stage.infer(units)
        return stage.finish(item, results)
    except Early as early:
        return early.outcome


def units_of(chunk: Chunk) -> int:
    """Number of units in a chunk."""
    return len(next(iter(chunk.values()))) if chunk else 0


def pieces(chunk: Chunk, most: int) -> Iterator[Chunk]:
    """A chunk cut into pieces of at most ``most`` units (views)."""
    for start in range(0, units_of(chunk), most):
        yield {name: values[start : start + most] for name, values in chunk.items()}


def joined(chunks: Sequence[Chunk]) -> Chunk:
    """Chunks of units of the same shapes as one."""
    if len(chunks) == 1:
        return chunks[0]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def has_run(tables: Tables, table: str) -> bool:
    """Whether the stage of a table has run."""
    try:
        tables.fingerprint(table)
    except UsageError:
        return False
    return True


def fingerprint_of(stage: Stage, tables: Tables) -> str:
    """32 hex digits over the stage's name, version and identity."""
    return digest(
        {"stage": stage.name, "version": stage.version, "identity": stage.identity(tables)}
    )


def digest(value: Any, length: int = 32) -> str:
    """Hex SHA-256 of the canonical JSON of ``value``, cut to ``length`` digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # Names of files need not be Unicode.
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:length]


def shot_id(video_id: str, first: int, last: int) -> str:
    """Deterministic id of a stretch of a video (source frames, both inside)."""
    return f"{video_id}-{first:06d}-{last:06d}"


def clip_id(video_id: str, first: int, last: int, person: str) -> str:
    """Deterministic id of one person in a stretch of a video. ``person`` is a digest of the boxes
    that name the person, so that another first pass gives another clip."""
    return f"{shot_id(video_id, first, last)}-{person}"
