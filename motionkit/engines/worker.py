"""One worker process: holds a stage with its models, and works on one item at a time."""

from __future__ import annotations

import dataclasses
import multiprocessing.connection
import signal
import time
from collections.abc import Callable
from typing import Any

from motionkit.engines.reader import SPAWN, Failure, death_of, threads
from motionkit.errors import MotionkitError
from motionkit.stage import Dropped, Item, Kept, Outcome, Stage

_START_TIMEOUT_S = 600.0


@dataclasses.dataclass(frozen=True)
class WorkerReply:
    """The outcome of one item, ready to become a row."""

    item_id: str
    outcome: str  # kept | dropped | failed
    row: dict[str, Any] = dataclasses.field(default_factory=dict)
    reason: str | None = None
    measured: float | None = None
    threshold: float | None = None
    error_type: str | None = None
    error_message: str | None = None
    error_traceback: str | None = None


def run_one(stage: Stage, item: Item) -> WorkerReply:
    """Process one item; an exception becomes a failed reply."""
    try:
        outcome = stage.process(item)
    except Exception as error:  # noqa: BLE001 - whatever an item raises is that item's failure
        return failed_reply(stage, item, Failure.of(error))
    return as_reply(stage, item, outcome)


def known_columns(stage: Stage, item: Item) -> dict[str, Any]:
    """Columns that are known before the work (the path, the ids), so that a failed row says what
    it is about: a stage may have a method ``context(item)``."""
    context = getattr(stage, "context", None)
    return context(item) if context is not None else {}


def failed_reply(stage: Stage, item: Item, failure: Failure) -> WorkerReply:
    """The reply of an item that failed."""
    return WorkerReply(
        item.id,
        "failed",
        row=known_columns(stage, item),
        reason=failure.code,
        error_type=failure.type,
        error_message=failure.message,
        error_traceback=failure.traceback or None,
    )


def as_reply(stage: Stage, item: Item, outcome: Outcome) -> WorkerReply:
    """The reply of an item that was kept or dropped."""
    known = known_columns(stage, item)
    if isinstance(outcome, Kept):
        return WorkerReply(item.id, "kept", row={**known, **outcome.row})
    if isinstance(outcome, Dropped):
        return WorkerReply(
            item.id,
            "dropped",
            row={**known, **outcome.row},
            reason=outcome.reason,
            measured=outcome.measured,
            threshold=outcome.threshold,
        )
    raise AssertionError(f"{stage.name} returned {type(outcome).__name__} for an item")


class Worker:
    """Parent's side of one worker process, which is replaced when it dies or hangs."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._item: Item | None = None
        self._deadline = 0.0
        self._limit_s = 0.0
        self._spawn()

    @property
    def busy(self) -> bool:
        """True while an item is in work."""
        return self._item is not None

    def _spawn(self) -> None:
        self.pipe, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(
            target=_serve, args=(theirs, self._stage), daemon=True, name=f"motionkit-{id(self)}"
        )
        with threads(1):
            self._process.start()
        theirs.close()
        self._ready = False

    def wait_ready(self, tick: Callable[[], None] = lambda: None) -> None:
        """Wait until the models are loaded; raises what `setup` raised. ``tick`` is called about
        every second meanwhile."""
        if self._ready:
            return
        await_started(self.pipe, self._process, self._stage.name, tick)
        self._ready = True

    def start(self, item: Item, timeout_s: float) -> None:
        """Hand over an item."""
        self.wait_ready()
        self._item, self._limit_s = item, timeout_s
        self._deadline = time.monotonic() + timeout_s
        try:
            self.pipe.send(item)
        except (BrokenPipeError, ConnectionError):
            self._deadline = min(self._deadline, time.monotonic() + 1.0)  # its death is read next

    def reply(self) -> WorkerReply | None:
        """The finished item's reply, or the failure of a dead or overdue worker, or None."""
        assert self._item is not None
        item = self._item
        reply: WorkerReply | None = None
        if self.pipe.poll():
            try:
                reply = self.pipe.recv()
            except (EOFError, ConnectionError):
                self._kill()
                reply = _lost(
                    self._stage, item, "worker-died", f"the worker process {self._death()}"
                )
        elif time.monotonic() > self._deadline:
            self._kill()
            limit = f"{self._limit_s:g} s"
            reply = _lost(
                self._stage, item, "timeout", f"not finished after {limit}, the limit for one item"
            )
        if reply is None:
            return None
        self._item = None
        if not self._process.is_alive() and reply.outcome == "failed":
            self.pipe.close()
            self._spawn()
        return reply

    @property
    def deadline(self) -> float:
        """Monotonic time at which the item in work is overdue."""
        return self._deadline

    def stop(self) -> None:
        """End the process, whatever it does."""
        self._kill()
        self.pipe.close()

    def _kill(self) -> None:
        if self._process.exitcode is None:
            self._process.kill()  # it holds nothing that needs an orderly end
        self._process.join()

    def _death(self) -> str:
        return death_of(self._process.exitcode)


def await_started(pipe: Any, process: Any, name: str, tick: Callable[[], None]) -> None:
    """Wait until a worker says that its models are loaded; raises what its ``setup`` raised, and
    ends the process then."""
    message: Any = None
    end = time.monotonic() + _START_TIMEOUT_S
    while not (said := pipe.poll(1.0)) and time.monotonic() < end:
        tick()
    if said:
        try:
            message = pipe.recv()
        except (EOFError, ConnectionError):
            message = None
    if message == "ready":
        return
    if process.exitcode is None and not isinstance(message, (str, MotionkitError)) and not said:
        process.kill()
    process.join(timeout=5.0)
    if process.exitcode is None:
        process.kill()
        process.join()
    if isinstance(message, MotionkitError):
        raise message
    what = message if isinstance(message, str) else f"it {death_of(process.exitcode)}"
    raise MotionkitError(
        f"{name}: a worker could not start: {what}",
        hint="check the installation with: motionkit doctor",
    )


def wait(
    workers: list[Worker], tick: Callable[[], None] = lambda: None
) -> list[tuple[Worker, WorkerReply]]:
    """Wait until at least one busy worker has a reply (or is dead or overdue). ``tick`` is
    called about every second meanwhile."""
    while True:
        tick()
        first = min(worker.deadline for worker in workers)
        left = max(0.0, min(first - time.monotonic() + 0.01, 1.0))
        multiprocessing.connection.wait([worker.pipe for worker in workers], timeout=left)
        found = [(worker, worker.reply()) for worker in workers]
        replies = [(worker, reply) for worker, reply in found if reply is not None]
        if replies:
            return replies


def _lost(stage: Stage, item: Item, code: str, message: str) -> WorkerReply:
    return failed_reply(stage, item, Failure(code, "WorkerLost", message, ""))


def _serve(pipe: Any, stage: Stage) -> None:
    """The worker's loop: runs until the parent closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    try:
        stage.setup()
    except MotionkitError as error:
        pipe.send(error)
        return
    except Exception as error:  # noqa: BLE001 - reported to the parent, which stops the run
        pipe.send(f"{type(error).__name__}: {error}")
        return
    pipe.send("ready")
    while True:
        try:
            item = pipe.recv()
        except EOFError:
            return
        pipe.send(run_one(stage, item))
