"""Decode-ahead: a process that turns items into model input while the device works.

A reader fills a ring of shared memory with chunks and says where they lie; whoever consumes them
says when they are free again. So the memory that runs ahead is bounded by the ring, whatever the
length of a video, and a frame crosses the border between the processes without being copied into
a pipe. A decoder that crashes or hangs costs the reader, never the process that holds the models.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import mmap
import multiprocessing.reduction
import os
import pickle
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError, MotionkitError
from motionkit.stage import Chunk, Early, Item, pieces, units_of

SPAWN = multiprocessing.get_context("spawn")  # fork and threaded libraries don't mix
#: Bytes of model input that one reader may be ahead.
RING_BYTES = 64 << 20
_ALIGN = 64
_TRACEBACK_CHARACTERS = 8000


class SharedMemory:
    """``size`` bytes that a process and the one it starts both see; ``bytes`` is them as uint8.

    A file without a name, handed down open: nothing is left behind by a kill, and (on Linux) it
    needs no room in /dev/shm, whose 64 MB in containers would end a process with SIGBUS.
    """

    def __init__(self, size: int) -> None:
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("motionkit")
        else:
            with tempfile.TemporaryFile() as file:
                fd = os.dup(file.fileno())
        os.ftruncate(fd, size)
        self._open(fd, size)

    def _open(self, fd: int, size: int) -> None:
        self._fd = fd
        self.bytes: NDArray[np.uint8] = np.frombuffer(mmap.mmap(fd, size), np.uint8)

    def __getstate__(self) -> tuple[Any, int]:
        return multiprocessing.reduction.DupFd(self._fd), len(self.bytes)

    def __setstate__(self, state: tuple[Any, int]) -> None:
        handed, size = state
        self._open(handed.detach(), size)

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            os.close(self._fd)


@dataclasses.dataclass(frozen=True)
class Failure:
    """An exception as plain values: what a failed row holds."""

    code: str
    type: str
    message: str
    traceback: str

    @staticmethod
    def of(error: BaseException) -> Failure:
        """From an exception in its handler."""
        return Failure(
            error.code if isinstance(error, InputError) else type(error).__name__,
            type(error).__name__,
            str(error) or type(error).__name__,
            "".join(traceback.format_exception(error))[-_TRACEBACK_CHARACTERS:],
        )


@dataclasses.dataclass(frozen=True)
class Message:
    """What a reader says. ``kind``: ready, chunk, end, early (``value`` an outcome), failed
    (``value`` a `Failure`) or broken (it could not start). A chunk's arrays lie in the ring, or
    in ``value`` where one unit is larger than that."""

    kind: str
    item_id: str = ""
    value: Any = None
    layout: tuple[tuple[str, str, tuple[int, ...], int], ...] = ()  # name, dtype, shape, offset
    bytes: int = 0  # of the ring that it takes


class Reader:
    """The consumer's side of one reader process."""

    def __init__(self, stage: Any, ring_bytes: int = RING_BYTES) -> None:
        self._stage, self._ring_bytes = stage, ring_bytes
        self.item: Item | None = None
        self._spawn()

    def _spawn(self) -> None:
        self._ring = SharedMemory(self._ring_bytes)
        self.pipe, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(
            target=_serve, args=(theirs, self._ring, self._stage, os.getpid()), daemon=True
        )
        with threads(1):
            self._process.start()
        theirs.close()

    def start(self, item: Item) -> None:
        """Read an item; its messages follow, the last one is end, early or failed."""
        self.item = item
        with contextlib.suppress(BrokenPipeError, ConnectionError):  # its death is read next
            self.pipe.send(item)

    def receive(self) -> Message:
        """The next message; waits for it. EOFError where the process has died."""
        try:
            message: Message = self.pipe.recv()
        except (EOFError, ConnectionError, OSError, pickle.UnpicklingError) as error:
            raise EOFError(self._death()) from error
        if message.kind in ("end", "early", "failed"):
            self.item = None
        return message

    def arrays(self, message: Message) -> Chunk:
        """A chunk's arrays: views that hold until `free`."""
        if not message.layout:
            return dict(message.value)
        ring = self._ring.bytes
        chunk = {}
        for name, kind, shape, offset in message.layout:
            dtype = np.dtype(kind)
            size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            chunk[name] = ring[offset : offset + size].view(dtype).reshape(shape)
        return chunk

    def free(self, message: Message) -> None:
        """Hand a chunk's part of the ring back, in the order of the chunks."""
        with contextlib.suppress(BrokenPipeError, ConnectionError):  # its death is read next
            self.pipe.send(message.bytes)

    def replace(self) -> None:
        """End the process, whatever it does, and start another."""
        self.stop()
        self.item = None
        self._spawn()

    def stop(self) -> None:
        """End the process."""
        if self._process.exitcode is None:
            self._process.kill()
        self._process.join()
        self.pipe.close()

    def _death(self) -> str:
        self._process.join(timeout=1.0)
        return death_of(self._process.exitcode)


def death_of(code: int | None) -> str:
    """How a process ended, in words."""
    if code is not None and code < 0:
        return f"was ended by signal {-code} ({signal.Signals(-code).name})"
    return f"ended with exit code {code}"


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """The libraries of a process that starts here get so many threads (0: their own choice), and
    those that wait for others leave their core to the readers, where the user has not said
    otherwise. (Waiting by spinning costs a model on a busy CPU a tenth of its speed.)"""
    wanted = {"OMP_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count} if count else {}
    setting = {**{k: str(v) for k, v in wanted.items()}, "OMP_WAIT_POLICY": "PASSIVE"}
    mine = {name: value for name, value in setting.items() if name not in os.environ}
    os.environ.update(mine)
    try:
        yield
    finally:
        for name in mine:
            del os.environ[name]


def end_with(parent: int) -> None:
    """Let this process die with its parent, also where that one is killed (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it was quicker
            os._exit(1)


class _Ring:
    """Where the next chunk goes; the consumer frees in the order in which it was written."""

    def __init__(self, pipe: Any, memory: SharedMemory) -> None:
        self.pipe = pipe
        self.bytes = memory.bytes
        self.head = 0
        self.used = 0

    def put(self, item_id: str, chunk: Chunk) -> Message:
        """Copy the arrays in, waiting until there is room."""
        arrays = {name: np.ascontiguousarray(values) for name, values in chunk.items()}
        sizes = [-(-values.nbytes // _ALIGN) * _ALIGN for values in arrays.values()]
        need = sum(sizes)
        size = len(self.bytes)
        if need > size:
            return Message("chunk", item_id, value=arrays)
        while True:
            if self.used == 0:
                self.head = 0
            skipped = size - self.head if self.head + need > size else 0
            if self.used + skipped + need <= size:
                break
            self.used -= self.pipe.recv()
        if skipped:
            self.head = 0
        layout = []
        for (name, values), length in zip(arrays.items(), sizes, strict=True):
            place = self.bytes[self.head : self.head + values.nbytes]
            place.view(values.dtype).reshape(values.shape)[...] = values
            layout.append((name, values.dtype.str, values.shape, self.head))
            self.head += length
        self.used += skipped + need
        return Message("chunk", item_id, layout=tuple(layout), bytes=skipped + need)


def _serve(pipe: Any, memory: SharedMemory, stage: Any, parent: int) -> None:
    """The reader's loop, until the consumer closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(parent)
    try:
        stage.setup_reader()
    except Exception as error:  # noqa: BLE001 - reported to the consumer, which stops the run
        pipe.send(Message("broken", value=error if isinstance(error, MotionkitError) else
                          f"{type(error).__name__}: {error}"))  # fmt: skip
        return
    pipe.send(Message("ready"))
    ring = _Ring(pipe, memory)
    while True:
        try:
            said = pipe.recv()
        except (EOFError, ConnectionError):
            return
        if isinstance(said, int):  # a chunk of the item before was freed
            ring.used -= said
            continue
        try:
            for chunk in stage.read(said):
                for piece in _fitting(chunk, len(ring.bytes) // 4):
                    pipe.send(ring.put(said.id, piece))
            pipe.send(Message("end", said.id))
        except Early as early:
            pipe.send(Message("early", said.id, value=early.outcome))
        except (BrokenPipeError, EOFError):
            return
        except Exception as error:  # noqa: BLE001 - whatever an item raises is its failure
            pipe.send(Message("failed", said.id, value=Failure.of(error)))


def _fitting(chunk: Chunk, most_bytes: int) -> Iterator[Chunk]:
    """A chunk in pieces that leave room in the ring for the next ones."""
    count = units_of(chunk)
    each = sum(values.nbytes for values in chunk.values()) // max(count, 1)
    yield from pieces(chunk, max(1, most_bytes // max(each, 1)))
