"""The local engine: runs a stage over its pending items on this machine.

Items run in worker processes, because a corrupt file can crash or hang a decoder in a way
that no `except` sees. The parent owns order, timeouts, counting and output; a worker that
dies or hangs costs the one item it held, which is recorded as failed.

Finished rows are published every few seconds. What a kill loses is the work since the last
part; nothing is ever counted twice, because an item is done when, and only when, it has a row.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections import Counter
from collections.abc import Callable, Container, Iterator
from typing import Any

import numpy as np

from motionkit import devices
from motionkit.engines.device_feed import LoopOptions
from motionkit.engines.device_worker import device_replies
from motionkit.engines.heartbeat import Heartbeat
from motionkit.engines.worker import Worker, WorkerReply, run_one, wait
from motionkit.errors import MotionkitError
from motionkit.stage import Item, Stage, fingerprint_of, mode_of
from motionkit.workspace import Workspace

_FLUSH_SECONDS = 5.0
_FLUSH_ROWS = 4096
_FLUSH_BYTES = 64 << 20
#: Parts written by a run before they are merged.
_COMPACT_EVERY = 64


@dataclasses.dataclass(frozen=True)
class EngineOptions:
    """How a stage is run; never part of a fingerprint."""

    workers: int = 0
    """Worker processes; 0 means one a core. Where a model runs on a device, the processes that
    decode ahead of each device; 0: as many as keep it busy."""
    timeout_s: float = 900.0
    """Longest time for one item; a slower one is recorded as failed with code `timeout`."""
    max_failures: int = 0
    """Stop the run after this many failed items; 0 means never."""
    device: str = "auto"
    """Where models run: auto (every CUDA device, else the CPU), cpu, cuda, or cuda:0,cuda:1."""
    precision: str = "auto"
    """fp32, fp16 or bf16; auto is fp16 on CUDA and fp32 on the CPU. Rows say which it was."""
    batch: int = 0
    """Units in one call of the model; 0: a few on the CPU, found by trying on CUDA."""


@dataclasses.dataclass
class StageSummary:
    """What one run of a stage did. Counts are items."""

    stage: str
    table: str
    fingerprint: str
    done_before: int = 0
    kept: int = 0
    dropped: Counter[str] = dataclasses.field(default_factory=Counter)
    failed: Counter[str] = dataclasses.field(default_factory=Counter)
    seconds: float = 0.0
    devices: list[str] = dataclasses.field(default_factory=list)
    """Where the models ran, e.g. 'cuda:0 fp16'; empty where the stage has none."""

    @property
    def processed(self) -> int:
        """Items of this run, whatever became of them."""
        return self.kept + self.dropped.total() + self.failed.total()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for ``--json``."""
        return {
            "stage": self.stage,
            "done_before": self.done_before,
            "processed": self.processed,
            "kept": self.kept,
            "dropped": dict(sorted(self.dropped.items())),
            "failed": dict(sorted(self.failed.items())),
            "seconds": round(self.seconds, 2),
            "fingerprint": self.fingerprint,
            **({"devices": self.devices} if self.devices else {}),
        }


#: Called at the start and after every item: stage name, items finished in this run, and the
#: number that were pending at its start.
Progress = Callable[[str, int, int], None]


def run_stage(
    workspace: Workspace,
    stage: Stage,
    options: EngineOptions | None = None,
    *,
    retry: Callable[[str], bool] | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> StageSummary:
    """Run ``stage`` over every item that has no row of its fingerprint and stamp yet.

    ``retry`` says for the id of a failed item whether to try it again (default: no). ``say`` takes
    remarks for people (where the models run, and why not on a GPU).
    Raises MotionkitError where the stage cannot start at all (a missing extra, an upstream
    stage that has not run) or where ``max_failures`` was reached; never for a single item.
    """
    options = options or EngineOptions()
    started = time.monotonic()
    check = getattr(stage, "check", None)
    if check is not None:  # what would stop every worker is found before one is started
        check()
    heartbeat = Heartbeat(workspace, stage.name)
    heartbeat.claim()  # before anything is written: a second run changes nothing
    fingerprint = fingerprint_of(stage, workspace)
    workspace.set_current(
        stage.table,
        fingerprint,
        {
            "stage": stage.name,
            "version": stage.version,
            "identity": stage.identity(workspace),
            "parameters": dataclasses.asdict(stage),  # type: ignore[call-overload]
        },
    )
    summary = StageSummary(stage.name, stage.table, fingerprint)
    done = workspace.done(stage.table, fingerprint)

    attempts: dict[str, int] = {}  # pending id → which attempt this is
    seen: set[str] = set()  # an input may be named twice: the first counts, here and in items()
    for item_id, stamp in stage.ids(workspace):
        if item_id in seen:
            continue
        seen.add(item_id)
        known = done.get(item_id)
        if known is None:
            attempts[item_id] = 1
        elif known.stamp != stamp or (
            known.outcome == "failed" and retry is not None and retry(item_id)
        ):
            attempts[item_id] = known.attempt + 1
    summary.done_before = len(done)
    total = len(attempts)
    del done, seen
    if total:
        loops = _loops(stage, options, total, say)
        summary.devices = [f"{each.device.name} {each.device.precision}" for each in loops]
        output = _Output(workspace, stage, summary)
        heartbeat.begin(total)
        if progress is not None:
            progress(stage.name, 0, total)
        try:
            items = _each_once(stage.items(workspace, attempts), attempts)
            for reply, item in _replies(
                stage, items, total, options, loops, lambda: heartbeat.beat(summary.processed)
            ):
                output.add(reply, attempts[item.id], item.stamp)
                heartbeat.beat(summary.processed)
                if progress is not None:
                    progress(stage.name, summary.processed, total)
                if options.max_failures and summary.failed.total() >= options.max_failures:
                    raise MotionkitError(
                        f"{stage.name}: {summary.failed.total()} items failed, the limit of this "
                        f"run ({_counts(summary.failed)}).",
                        hint="see them with: motionkit failures",
                    )
        finally:  # also after Ctrl-C: what is finished is kept
            output.flush()
            heartbeat.end(summary.processed)
    if total or len(workspace.parts(stage.table, fingerprint)) > _COMPACT_EVERY:
        workspace.compact(stage.table, fingerprint)
    summary.seconds = time.monotonic() - started
    return summary


def _each_once(items: Iterator[Item], wanted: Container[str]) -> Iterator[Item]:
    """The wanted items, each id once: a stage may name an input twice."""
    seen: set[str] = set()
    for item in items:
        if item.id in wanted and item.id not in seen:
            seen.add(item.id)
            yield item


def _replies(
    stage: Stage,
    items: Iterator[Item],
    total: int,
    options: EngineOptions,
    loops: list[LoopOptions],
    tick: Callable[[], None],
) -> Iterator[tuple[WorkerReply, Item]]:
    """Every item's reply. ``tick`` is called about every second, however long one item takes."""
    if loops:
        yield from device_replies(stage, items, loops, tick)
        return
    if getattr(stage, "in_process", False):  # no decoding, no model: nothing that could crash
        stage.setup()
        for item in items:
            yield run_one(stage, item), item
        return
    count = min(options.workers or os.cpu_count() or 1, total)
    workers = [Worker(stage) for _ in range(count)]
    try:
        for worker in workers:
            worker.wait_ready(tick)
        idle = list(workers)
        held: dict[str, Item] = {}
        more = True
        while more or len(idle) < len(workers):
            while idle and more:
                following = next(items, None)
                if following is None:
                    more = False
                    break
                held[following.id] = Item(following.id, {}, following.stamp)  # not its payload
                idle.pop().start(following, options.timeout_s)
            busy = [worker for worker in workers if worker.busy]
            for worker, reply in wait(busy, tick) if busy else ():
                idle.append(worker)
                yield reply, held.pop(reply.item_id)
    finally:
        for worker in workers:
            worker.stop()


def _loops(
    stage: Stage, options: EngineOptions, total: int, say: Callable[[str], None] | None
) -> list[LoopOptions]:
    """How each device is fed; empty for a stage that needs none."""
    mode = mode_of(stage)
    if mode == "items":
        return []
    cores = os.cpu_count() or 1
    needs_device = getattr(stage, "needs_device", True)  # a captioner elsewhere needs none
    if needs_device:
        found, note = devices.find(options.device, options.precision)
        if note is not None and say is not None:
            say(f"{stage.name}: {note}")
    else:
        found = [devices.Device()]
    found = found[:total]
    on_cpu = not found[0].is_cuda
    # A model on the CPU wants the cores itself, and is slower than one decoder.
    readers = options.workers or (1 + cores // 8 if on_cpu else max(1, min(8, cores // len(found))))
    if on_cpu and needs_device:
        found = [dataclasses.replace(each, threads=cores) for each in found]
    return [
        LoopOptions(each, min(readers, total), options.batch, options.timeout_s) for each in found
    ]


class _Output:
    """Collects finished rows, counts them, and publishes them as parts."""

    def __init__(self, workspace: Workspace, stage: Stage, summary: StageSummary) -> None:
        self.workspace, self.stage, self.summary = workspace, stage, summary
        self.rows: list[dict[str, Any]] = []
        self.bytes = 0
        self.parts = 0
        self.flushed = time.monotonic()

    def add(self, reply: WorkerReply, attempt: int, stamp: str | None) -> None:
        row = dict(reply.row)
        row.update(
            item_id=reply.item_id,
            fingerprint=self.summary.fingerprint,
            stamp=stamp,
            outcome=reply.outcome,
            reason=reply.reason,
            measured=reply.measured,
            threshold=reply.threshold,
            attempt=attempt,
            error_type=reply.error_type,
            error_message=reply.error_message,
            error_traceback=reply.error_traceback,
        )
        self.rows.append(row)
        self.bytes += sum(np.asarray(v).nbytes for v in row.values() if isinstance(v, np.ndarray))
        if reply.outcome == "kept":
            self.summary.kept += 1
        elif reply.outcome == "dropped":
            self.summary.dropped[str(reply.reason)] += 1
        else:
            self.summary.failed[str(reply.reason)] += 1
        late = time.monotonic() - self.flushed > _FLUSH_SECONDS
        if late or len(self.rows) >= _FLUSH_ROWS or self.bytes >= _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        if self.rows:
            # Sorted, so that the bytes don't depend on which worker was quicker.
            self.rows.sort(key=lambda row: (row["item_id"], row["attempt"]))
            self.workspace.write_part(self.stage.table, self.rows)
            self.parts += 1
            if self.parts % _COMPACT_EVERY == 0:
                self.workspace.compact(self.stage.table, self.summary.fingerprint)
        self.rows, self.bytes, self.flushed = [], 0, time.monotonic()


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common())
