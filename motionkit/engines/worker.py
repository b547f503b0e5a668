"""One worker process: holds a stage with its models, and works on one item at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import multiprocessing.connection
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from motionkit.errors import InputError, MotionkitError
from motionkit.stage import Dropped, Item, Kept, Stage

_SPAWN = multiprocessing.get_context("spawn")  # fork and threaded libraries don't mix
_START_TIMEOUT_S = 300.0
_TRACEBACK_CHARACTERS = 8000


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
    """Process one item; an exception becomes a failed reply.

    A stage may have a method ``context(item)``: columns that are known before the work (the
    path, the ids), so that a failed row says what it is about.
    """
    context = getattr(stage, "context", None)
    known: dict[str, Any] = context(item) if context is not None else {}
    try:
        outcome = stage.process(item)
    except Exception as error:  # noqa: BLE001 - whatever an item raises is that item's failure
        return WorkerReply(
            item.id,
            "failed",
            row=known,
            reason=error.code if isinstance(error, InputError) else type(error).__name__,
            error_type=type(error).__name__,
            error_message=str(error) or type(error).__name__,
            error_traceback=traceback.format_exc()[-_TRACEBACK_CHARACTERS:],
        )
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
    raise AssertionError(f"{stage.name}.process returned {type(outcome).__name__}")


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
        self.pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(
            target=_serve, args=(theirs, self._stage), daemon=True, name=f"motionkit-{id(self)}"
        )
        with _one_thread_each():
            self._process.start()
        theirs.close()
        self._ready = False

    def wait_ready(self, tick: Callable[[], None] = lambda: None) -> None:
        """Wait until the models are loaded; raises what `setup` raised. ``tick`` is called about
        every second meanwhile."""
        if self._ready:
            return
        message: Any = None
        end = time.monotonic() + _START_TIMEOUT_S
        while not (said := self.pipe.poll(1.0)) and time.monotonic() < end:
            tick()
        if said:
            try:
                message = self.pipe.recv()
            except (EOFError, ConnectionError):
                message = None
        if message == "ready":
            self._ready = True
            return
        self._kill()
        if isinstance(message, MotionkitError):
            raise message
        what = message if isinstance(message, str) else self._death()
        raise MotionkitError(
            f"{self._stage.name}: a worker could not start: {what}",
            hint="check the installation with: motionkit doctor",
        )

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
        code = self._process.exitcode
        if code is not None and code < 0:
            return f"was ended by signal {-code} ({signal.Signals(-code).name})"
        return f"ended with exit code {code}"


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """The cores are shared out to processes: a worker's libraries start with one thread."""
    names = [n for n in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS") if n not in os.environ]
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]


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
    context = getattr(stage, "context", None)
    return WorkerReply(
        item.id,
        "failed",
        row=context(item) if context is not None else {},
        reason=code,
        error_type="WorkerLost",
        error_message=message,
    )


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
