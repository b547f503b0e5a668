"""What the three ways of feeding a device share: items in, chunks from the readers, replies out."""

from __future__ import annotations

import dataclasses
import multiprocessing.connection
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from motionkit import devices
from motionkit.engines.batches import OpenItem
from motionkit.engines.reader import Failure, Message, Reader
from motionkit.engines.worker import WorkerReply, as_reply, failed_reply
from motionkit.errors import MotionkitError
from motionkit.stage import Item

TICK = "tick"
#: What the parent waits for this process at the end of a run, seconds.
STOP_S = 15.0


@dataclasses.dataclass(frozen=True)
class LoopOptions:
    """How one device is fed. ``batch`` 0: found by trying; ``readers`` processes decode ahead;
    ``timeout_s`` for one item's next chunk."""

    device: devices.Device
    readers: int
    batch: int
    timeout_s: float


class ParentGone(Exception):
    """The pipe to the parent is closed."""


class ReadFailed(Exception):
    """An item could not be read."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def await_ready(reader: Reader) -> None:
    """Wait until a reader has started; raises what kept it from that."""
    message = reader.receive()
    if message.kind == "broken":
        if isinstance(message.value, MotionkitError):
            raise message.value
        raise RuntimeError(f"a reader could not start: {message.value}")


class DeviceFeed:
    """What the three modes share: items in, chunks from the readers, replies out."""

    def __init__(self, pipe: Any, stage: Any, options: LoopOptions, readers: list[Reader]) -> None:
        self.pipe, self.stage, self.options, self.readers = pipe, stage, options, readers
        self.queue: deque[Item] = deque()
        self.open: dict[str, OpenItem] = {}
        self.deadlines: dict[int, float] = {}  # of a busy reader, by its identity
        self.ticked = 0.0

    def run(self) -> None:
        """Until the parent is gone."""
        raise NotImplementedError

    def reply(self, reply: WorkerReply) -> None:
        """Send an item's outcome."""
        self.pipe.send(reply)

    def tick(self) -> None:
        """Say that this process is alive, about once a second."""
        now = time.monotonic()
        if now - self.ticked > 1.0:
            self.ticked = now
            self.pipe.send(TICK)

    def take(self, wait_s: float) -> bool:
        """Items from the parent, waiting at most so long; whether one came."""
        came = False
        while self.pipe.poll(0.0 if came else wait_s):
            try:
                self.queue.append(self.pipe.recv())
            except (EOFError, ConnectionError) as error:
                raise ParentGone from error
            came = True
        return came

    def assign(self) -> None:
        """Give idle readers their next items."""
        for reader in self.readers:
            if reader.item is None and self.queue:
                item = self.queue.popleft()
                self.open[item.id] = OpenItem(item)
                self.deadlines[id(reader)] = time.monotonic() + self.options.timeout_s
                reader.start(item)

    def extend(self, seconds: float) -> None:
        """The readers could not be served for so long: that is not their delay."""
        for key in self.deadlines:
            self.deadlines[key] += seconds

    def message_of(self, reader: Reader) -> Message:
        """The reader's next message. Its death becomes the failure of the item it had."""
        item = reader.item
        assert item is not None
        self.deadlines[id(reader)] = time.monotonic() + self.options.timeout_s
        try:
            return reader.receive()
        except EOFError as death:
            return self._lost(reader, item, "worker-died", f"the reader process {death}")

    def overdue(self, reader: Reader) -> Message | None:
        """The failure of a reader that has said nothing for too long; it is replaced."""
        item = reader.item
        if item is None or time.monotonic() < self.deadlines[id(reader)]:
            return None
        limit = f"{self.options.timeout_s:g} s"
        return self._lost(
            reader, item, "timeout", f"no frame came for {limit}, the limit for one item"
        )

    def _lost(self, reader: Reader, item: Item, code: str, text: str) -> Message:
        reader.replace()
        await_ready(reader)
        return Message("failed", item.id, value=Failure(code, "WorkerLost", text, ""))

    def chunks(self, wait_s: float) -> Iterator[tuple[Reader, Message]]:
        """Messages of busy readers that are there within ``wait_s`` (one each)."""
        busy = [reader for reader in self.readers if reader.item is not None]
        if busy:
            ready = multiprocessing.connection.wait([r.pipe for r in busy], timeout=wait_s)
            for reader in busy:
                if reader.pipe in ready:
                    yield reader, self.message_of(reader)
                else:
                    late = self.overdue(reader)
                    if late is not None:
                        yield reader, late

    def settle(self, owner: OpenItem, work: Callable[[], Any]) -> None:
        """The item's outcome is what ``work`` returns or raises; replies once."""
        if self.open.pop(owner.item.id, None) is None:
            return
        if owner.failure is not None:
            self.reply(failed_reply(self.stage, owner.item, owner.failure))
            return
        try:
            outcome = work()
        except Exception as error:  # noqa: BLE001 - whatever an item raises is its failure
            failure = error.failure if isinstance(error, ReadFailed) else Failure.of(error)
            self.reply(failed_reply(self.stage, owner.item, failure))
        else:
            self.reply(as_reply(self.stage, owner.item, outcome))
