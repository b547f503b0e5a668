"""The parent's side of the processes that hold models: one a device.

A worker is handed items ahead of its work. One that dies (memory, a crash inside a library) or
falls silent is replaced; the items that it held are then given out one by one, so that the one
at fault is found and recorded, and the others are not lost with it.
"""

from __future__ import annotations

import contextlib
import multiprocessing.connection
import os
import time
from collections import deque
from collections.abc import Callable, Iterator

from motionkit.engines.device_feed import STOP_S, TICK, LoopOptions
from motionkit.engines.device_loop import serve
from motionkit.engines.reader import SPAWN, Failure, death_of, threads
from motionkit.engines.worker import WorkerReply, await_started, failed_reply
from motionkit.stage import Item, Stage, mode_of

#: Items in hand beyond those that are being read: they wait for a batch to fill.
_AHEAD = 64
#: Beyond an item's limit, which the worker sees to itself, before it is taken for dead.
_GRACE_S = 30.0


class DeviceWorker:
    """One process with the models, on one device."""

    def __init__(self, stage: Stage, options: LoopOptions) -> None:
        self._stage, self._options = stage, options
        self.held: dict[str, Item] = {}
        self._suspects: deque[Item] = deque()
        self._alone: set[str] = set()
        mode = mode_of(stage)
        at_once = int(getattr(stage, "at_once", 1))
        ahead = {"batches": _AHEAD, "streams": 1, "calls": 2 * at_once}[mode]
        self._most = options.readers + ahead
        self._spawn()

    def _spawn(self) -> None:
        self.pipe, theirs = SPAWN.Pipe()
        # Not a daemon: it has processes of its own. It ends when this one's pipe closes.
        self._process = SPAWN.Process(
            target=serve, args=(theirs, self._stage, self._options, os.getpid())
        )
        with threads(self._options.device.threads):
            self._process.start()
        theirs.close()
        self._heard = time.monotonic()

    def wait_ready(self, tick: Callable[[], None]) -> None:
        """Wait until the models are loaded; raises what `setup` raised."""
        await_started(self.pipe, self._process, self._stage.name, tick)
        self._heard = time.monotonic()

    @property
    def busy(self) -> bool:
        """True while an item is in hand, or waits to be tried by itself."""
        return bool(self.held or self._suspects)

    @property
    def room(self) -> bool:
        """Whether it takes another item."""
        return not self._suspects and not self._alone and len(self.held) < self._most

    def give(self, item: Item) -> None:
        """Hand over an item."""
        if not self.held:
            self._heard = time.monotonic()
        self.held[item.id] = item
        with contextlib.suppress(BrokenPipeError, ConnectionError):  # its death is read next
            self.pipe.send(item)

    def replies(self, tick: Callable[[], None]) -> Iterator[WorkerReply]:
        """What it has said; the failures of a dead or silent worker's item."""
        try:
            while self.pipe.poll():
                said = self.pipe.recv()
                self._heard = time.monotonic()
                if said != TICK:
                    self.held.pop(said.item_id, None)
                    self._alone.discard(said.item_id)
                    yield said
        except (EOFError, ConnectionError, OSError):
            self._process.join(timeout=5.0)
            text = f"the worker process {death_of(self._process.exitcode)}"
            yield from self._replaced("worker-died", text, tick)
        else:
            limit = self._options.timeout_s + _GRACE_S
            if self.held and time.monotonic() - self._heard > limit:
                text = f"the worker process said nothing for {limit:g} s"
                yield from self._replaced("timeout", text, tick)
        if self._suspects and not self.held:
            item = self._suspects.popleft()
            self._alone.add(item.id)
            self.give(item)

    def _replaced(self, code: str, text: str, tick: Callable[[], None]) -> Iterator[WorkerReply]:
        self.stop()  # nothing that it says now would count
        held, self.held = list(self.held.values()), {}
        if len(held) == 1:
            (item,) = held
            self._alone.discard(item.id)
            yield failed_reply(self._stage, item, Failure(code, "WorkerLost", text, ""))
        else:
            self._suspects.extend(held)
        if held or self._suspects:
            self._spawn()
            self.wait_ready(tick)

    def stop(self, grace_s: float = 0.0) -> None:
        """End the process: it is left ``grace_s`` to put its readers away and to hear answers
        that are on the way, then it is killed, and its readers end with it."""
        self.pipe.close()
        if grace_s:
            self._process.join(timeout=grace_s)
        if self._process.exitcode is None:
            self._process.kill()
        self._process.join()


def device_replies(
    stage: Stage,
    items: Iterator[Item],
    options: list[LoopOptions],
    tick: Callable[[], None],
) -> Iterator[tuple[WorkerReply, Item]]:
    """Every item's reply, one worker for each entry of ``options``."""
    workers = [DeviceWorker(stage, each) for each in options]
    stubs: dict[str, Item] = {}  # without their payload: the workers hold that
    more = True
    try:
        for worker in workers:
            worker.wait_ready(tick)
        while more or any(worker.busy for worker in workers):
            # Round and round, so that several devices share a short queue.
            while more and any(worker.room for worker in workers):
                worker = min((w for w in workers if w.room), key=lambda w: len(w.held))
                item = next(items, None)
                if item is None:
                    more = False
                    break
                stubs[item.id] = Item(item.id, {}, item.stamp)
                worker.give(item)
            tick()
            multiprocessing.connection.wait([w.pipe for w in workers if w.busy], timeout=1.0)
            for worker in workers:
                if worker.busy:
                    for reply in worker.replies(tick):
                        yield reply, stubs.pop(reply.item_id)
    finally:
        for worker in workers:
            worker.stop(STOP_S)
