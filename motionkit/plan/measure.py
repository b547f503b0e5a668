"""A stage that also writes down what its work takes: seconds, memory, units.

The measured stage is the stage itself, of a class of its own: the engine runs it like any other,
in whatever processes it likes, and its rows and its fingerprint are the same. Every process
appends lines to a file of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from motionkit.stage import Chunk, Item, Outcome, Tables, units_of

_lock = threading.Lock()


def measured(stage: Any, folder: Path) -> Any:
    """``stage`` as one that writes the costs of its work into ``folder``; see `read_costs`.

    It has the parameters, the name and the fingerprint of ``stage``, which must be a dataclass.
    """
    kind = type(stage)
    made: Any = object.__new__(type(kind.__name__, (_Measured, kind), {}))
    vars(made).update(vars(stage), _inner=stage, _folder=folder)
    return made


def read_costs(folder: Path) -> list[dict[str, Any]]:
    """What measured stages wrote, sorted by time.

    ``role`` is ``setup``, ``process``, ``read``, ``infer``, ``finish``, ``follow`` or ``call``;
    ``start`` and ``end`` are seconds of the machine's monotonic clock, ``work_s`` those that were
    worked in between (a reader that waits for its chunk to be taken does not), ``cpu_s`` of all
    threads of the process; ``item`` and ``video`` as far as known, ``units`` that went through;
    ``peak`` is the process's highest memory in bytes so far, ``gpu_peak`` that of a CUDA device
    (both None where they cannot be known).
    """
    lines = [
        json.loads(line)
        for path in sorted(folder.glob("costs-*.jsonl"))
        for line in path.read_text("utf-8").splitlines()
    ]
    return sorted(lines, key=lambda line: line["start"])


def peak_memory() -> int | None:
    """Highest resident memory of this process so far, bytes; None where the system does not say.

    From /proc where there is one: what `getrusage` says of a process on Linux may be its
    parent's peak, carried over when it was started.
    """
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes there
    return None


def _gpu_peak() -> int | None:
    """Most memory that torch has held on this process's CUDA devices, bytes."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    return int(sum(torch.cuda.max_memory_reserved(i) for i in range(torch.cuda.device_count())))


class _Clock:
    """Wall and processor seconds of a piece of work, without the waiting in between."""

    def __init__(self) -> None:
        self.start = self._since = time.monotonic()
        self._cpu_since = time.process_time()
        self.work_s = self.cpu_s = 0.0

    def pause(self) -> None:
        self.work_s += time.monotonic() - self._since
        self.cpu_s += time.process_time() - self._cpu_since

    def go_on(self) -> None:
        self._since, self._cpu_since = time.monotonic(), time.process_time()


class _Measured:
    """Hands every call on to the stage, and times it."""

    _inner: Any
    _folder: Path

    def __reduce__(self) -> tuple[Any, ...]:
        return (measured, (self._inner, self._folder))

    def ids(self, tables: Tables) -> Iterator[tuple[str, str | None]]:
        if self._inner.name != "expressions":
            yield from self._inner.ids(tables)
            return
        for item in self.items(tables):
            yield item.id, item.stamp

    def items(self, tables: Tables, wanted: Container[str] | None = None) -> Iterator[Item]:
        found = self._inner.items(tables, wanted)
        if self._inner.name == "expressions":  # a split lists the sentences of all its videos
            found = (item for item in found if item.data.get("video") is not None)
        yield from found

    def setup(self) -> None:
        with self._timed("setup"):
            self._inner.setup()

    def setup_reader(self) -> None:
        with self._timed("setup"):
            self._inner.setup_reader()

    def process(self, item: Item) -> Outcome:
        with self._timed("process", item):
            return self._inner.process(item)

    def read(self, item: Item) -> Iterator[Chunk]:
        clock, units = _Clock(), 0
        chunks = iter(self._inner.read(item))
        try:
            while (chunk := next(chunks, None)) is not None:
                units += units_of(chunk)
                clock.pause()
                yield chunk
                clock.go_on()
            clock.pause()
        except GeneratorExit:
            raise
        except BaseException:
            clock.pause()
            raise
        finally:
            self._write("read", clock, item, units)

    def infer(self, units: Chunk) -> list[Any]:
        with self._timed("infer", units=units_of(units)):
            return self._inner.infer(units)

    def finish(self, item: Item, results: list[Any]) -> Outcome:
        with self._timed("finish", item):
            return self._inner.finish(item, results)

    def follow(self, item: Item, chunks: Iterator[Chunk]) -> Outcome:
        clock, units = _Clock(), 0

        def waited() -> Iterator[Chunk]:
            nonlocal units
            while True:
                clock.pause()
                chunk = next(chunks, None)
                clock.go_on()
                if chunk is None:
                    return
                units += units_of(chunk)
                yield chunk

        try:
            return self._inner.follow(item, waited())
        finally:
            clock.pause()
            self._write("follow", clock, item, units)

    def call(self, item: Item, chunks: list[Chunk]) -> Outcome:
        with self._timed("call", item):
            return self._inner.call(item, chunks)

    @contextlib.contextmanager
    def _timed(self, role: str, item: Item | None = None, units: int = 0) -> Iterator[None]:
        clock = _Clock()
        try:
            yield
        finally:
            clock.pause()
            self._write(role, clock, item, units)

    def _write(self, role: str, clock: _Clock, item: Item | None, units: int) -> None:
        line = {
            "role": role,
            "pid": os.getpid(),
            "start": clock.start,
            "end": time.monotonic(),
            "work_s": clock.work_s,
            "cpu_s": clock.cpu_s,
            "item": None if item is None else item.id,
            "video": None if item is None else video_of(item),
            "units": units,
            "peak": peak_memory(),
            "gpu_peak": _gpu_peak(),
        }
        path = self._folder / f"costs-{os.getpid()}.jsonl"
        with _lock, path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def video_of(item: Item) -> str:
    """The video that an item belongs to: its path for `ingest`, else its id, with which the ids
    of shots and clips begin."""
    if item.id.startswith(("src-", "row-")):
        return str(item.data.get("path"))
    video: Any = item.data.get("video_id") or item.data.get("video")
    if isinstance(video, dict):
        video = video.get("video_id")
    return str(video or item.id.partition("-")[0])
