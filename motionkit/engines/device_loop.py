"""The process that holds a stage's models: feeds one device from its readers.

It owns its readers, so that one which crashes or hangs is replaced without loading the models
again. The parent (engines/device_worker.py) hands it items ahead of the work and gets a reply for
each; a message `TICK` in between says that it is alive.
"""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from motionkit import devices
from motionkit.engines.batches import Batcher, BatchSize, OpenItem
from motionkit.engines.device_feed import (
    STOP_S,
    DeviceFeed,
    LoopOptions,
    ParentGone,
    ReadFailed,
    await_ready,
)
from motionkit.engines.reader import Failure, Message, Reader, end_with
from motionkit.errors import MotionkitError
from motionkit.stage import Chunk, Early, Outcome, mode_of

#: Units that wait for their batch to fill are run after so long without a new one.
_IDLE_S = 0.5
#: Units in a batch where the stage does not say.
_START_CPU, _START_CUDA = 4, 16


class _Batches(DeviceFeed):
    """Units of several items in one call of the model."""

    def run(self) -> None:
        """See `DeviceFeed.run`."""
        cuda = self.options.device.is_cuda
        start = getattr(self.stage, "batch_start", None)
        start = start(cuda) if start else (_START_CUDA if cuda else _START_CPU)
        size = BatchSize(self.options.batch, start, grow=cuda)
        self.batcher = Batcher(self.stage.infer, size)
        last = time.monotonic()
        while True:
            self.tick()
            self.assign()
            busy = any(reader.item is not None for reader in self.readers)
            came = self.take(0.0 if busy or self.batcher.waiting else 1.0)
            for reader, message in self.chunks(0.05):
                came = True
                self._handle(reader, message)
            now = time.monotonic()
            if came:
                last = now
            elif (
                self.batcher.waiting
                and (not busy or now - last > _IDLE_S)
                and (busy or not self.take(0.05))  # the parent may have more
            ):
                self._timed(self.batcher.flush)

    def _handle(self, reader: Reader, message: Message) -> None:
        owner = self.open.get(message.item_id)
        if message.kind == "chunk":
            if owner is not None and owner.failure is None:
                batches = self.batcher.add(reader.arrays(message), owner)
                while self._timed(lambda: next(batches, None)) is not None:
                    pass
            reader.free(message)
        elif owner is not None:
            if message.kind == "failed":
                owner.failure = message.value
            owner.read = True
            if message.kind == "early":
                self.settle(owner, lambda: message.value)
            elif owner.complete:
                self._finish(owner)

    def _timed(self, work: Callable[[], list[OpenItem] | None]) -> list[OpenItem] | None:
        """Run what may call the model; the items that it completed are finished."""
        started = time.monotonic()
        done = work()
        self.extend(time.monotonic() - started)
        for owner in done or ():
            self._finish(owner)
        self.tick()
        return done

    def _finish(self, owner: OpenItem) -> None:
        self.settle(owner, lambda: self.stage.finish(owner.item, owner.results))


class _Streams(DeviceFeed):
    """One item after another; the readers are at the next ones meanwhile."""

    def run(self) -> None:
        """See `DeviceFeed.run`."""
        order: deque[Reader] = deque()
        while True:
            self.tick()
            self.take(0.0 if order else 1.0)
            idle = [reader for reader in self.readers if reader.item is None]
            self.assign()
            order.extend(reader for reader in idle if reader.item is not None)
            if order:
                self._follow(order.popleft())

    def _follow(self, reader: Reader) -> None:
        item = reader.item
        assert item is not None
        self.deadlines[id(reader)] = time.monotonic() + self.options.timeout_s
        chunks = _Chunks(self, reader)

        def work() -> Outcome:
            try:
                return self.stage.follow(item, chunks)
            except Early as early:
                return early.outcome

        self.settle(self.open[item.id], work)
        chunks.drain()  # of an item that failed in the middle

    def next_of(self, reader: Reader) -> Message:
        """The reader's next message, whatever time it takes up to the limit."""
        while True:
            self.tick()
            if reader.pipe.poll(0.5):
                return self.message_of(reader)
            late = self.overdue(reader)
            if late is not None:
                return late


class _Chunks:
    """One item's chunks, each a view that holds until the next is asked for."""

    def __init__(self, loop: _Streams, reader: Reader) -> None:
        self._loop, self._reader = loop, reader
        self._held: Message | None = None
        self._ended = False

    def __iter__(self) -> _Chunks:
        return self

    def __next__(self) -> Chunk:
        message = self._following()
        if message is None:
            raise StopIteration
        if message.kind == "chunk":
            return self._reader.arrays(message)
        if message.kind == "early":
            raise Early(message.value)
        raise ReadFailed(message.value)

    def _following(self) -> Message | None:
        if self._held is not None:
            self._reader.free(self._held)
            self._held = None
        if self._ended:
            return None
        message = self._loop.next_of(self._reader)
        if message.kind == "chunk":
            self._held = message
            return message
        self._ended = True
        return None if message.kind == "end" else message

    def drain(self) -> None:
        """Pass over what was not asked for."""
        while self._following() is not None:
            pass


class _Calls(DeviceFeed):
    """Whole items in threads: requests to a server."""

    def run(self) -> None:
        """See `DeviceFeed.run`."""
        most = max(1, int(self.stage.at_once))
        running: dict[Future[Outcome], tuple[OpenItem, float]] = {}
        pool = ThreadPoolExecutor(most, thread_name_prefix="motionkit-call")
        try:
            self._serve(most, running, pool)
        except (ParentGone, BrokenPipeError, ConnectionError):
            # Answers on the way are paid for: they are heard, and kept.
            awaited = [f for f, (owner, _) in running.items() if owner.item.id in self.open]
            wait(awaited, timeout=STOP_S - 5)
            raise

    def _serve(
        self,
        most: int,
        running: dict[Future[Outcome], tuple[OpenItem, float]],
        pool: ThreadPoolExecutor,
    ) -> None:
        while True:
            self.tick()
            self.take(0.0 if self.open else 1.0)
            if len(self.open) < 2 * most:
                self.assign()
            busy = any(reader.item is not None for reader in self.readers)
            for reader, message in self.chunks(0.05):
                owner = self._collect(reader, message)
                if owner is not None:
                    limit = time.monotonic() + self.options.timeout_s
                    future = pool.submit(self.stage.call, owner.item, owner.results)
                    running[future] = owner, limit
            wait(running, timeout=0.0 if busy else 0.05, return_when=FIRST_COMPLETED)
            self._collect_calls(running)

    def _collect(self, reader: Reader, message: Message) -> OpenItem | None:
        """Take a message; the item when all its chunks are there."""
        owner = self.open.get(message.item_id)
        if message.kind == "chunk":
            if owner is not None:
                arrays = reader.arrays(message)
                owner.results.append({name: np.array(value) for name, value in arrays.items()})
            reader.free(message)
        elif owner is not None:
            if message.kind == "end":
                return owner
            if message.kind == "failed":
                owner.failure = message.value
            self.settle(owner, lambda: message.value)
        return None

    def _collect_calls(self, running: dict[Future[Outcome], tuple[OpenItem, float]]) -> None:
        now = time.monotonic()
        for future, (owner, limit) in list(running.items()):
            if future.done():
                del running[future]
                self.settle(owner, future.result)
            elif now > limit and owner.item.id in self.open:
                text = f"not finished after {self.options.timeout_s:g} s, the limit for one item"
                owner.failure = Failure("timeout", "WorkerLost", text, "")
                self.settle(owner, future.result)  # its thread ends by itself, and is not heard


def serve(pipe: Any, stage: Any, options: LoopOptions, parent: int) -> None:
    """The process's main function: runs until the parent closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(parent)
    readers = []
    try:
        readers = [Reader(stage) for _ in range(options.readers)]  # they start up meanwhile
        devices.use(options.device)
        stage.setup()
        for reader in readers:
            await_ready(reader)
    except MotionkitError as error:
        pipe.send(error)
        return
    except Exception as error:  # noqa: BLE001 - reported to the parent, which stops the run
        pipe.send(f"{type(error).__name__}: {error}")
        return
    code = 0
    try:
        pipe.send("ready")
        kind = {"batches": _Batches, "streams": _Streams, "calls": _Calls}[mode_of(stage)]
        kind(pipe, stage, options, readers).run()
    except (ParentGone, BrokenPipeError, ConnectionError):
        pass
    except Exception:  # noqa: BLE001 - a fault of this loop: shown, and the parent sees the code
        traceback.print_exc()
        code = 1
    for reader in readers:
        reader.stop()
    os._exit(code)  # a call that hangs in a thread is not waited for
