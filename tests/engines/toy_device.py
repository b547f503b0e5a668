"""Stages with a model on a device, and what may go wrong with them; importable by workers."""

import dataclasses
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from motionkit import devices
from motionkit.errors import InputError
from motionkit.stage import Chunk, Dropped, Early, Item, Kept, Outcome
from tests.engines.toy import Toy


@dataclasses.dataclass(frozen=True)
class Batched(Toy):
    """Item i has ``units`` + i frames of side 4 (odd ones: 6), whose value is 100 * i + its
    place; the model gives the mean of each. ``where`` says which process a bad act happens in."""

    units: int = 5
    where: str = "read"
    memory: int = 0  # units that fit; 0: any number
    frame: int = 0  # side of the frames, 0: see above

    name: ClassVar[str] = "toy-batched"
    mode: ClassVar[str] = "batches"

    def setup_reader(self) -> None:
        pass

    def setup(self) -> None:
        assert devices.current().precision == "fp32"

    def act(self, item: str, where: str) -> None:
        index = int(item[1:])
        act = dict(self.acts).get(index)
        if act is None or where != self.where:
            return
        if act == "die":
            os.kill(os.getpid(), signal.SIGSEGV)
        if act == "hang":
            time.sleep(3600)
        if act == "early":
            raise Early(Dropped("too-odd", 1.0, 0.5))
        if act == "input":
            raise InputError("not-a-number", f"{item} is no number")
        raise ZeroDivisionError(item)

    def read(self, item: Item) -> Iterator[Chunk]:
        index = int(item.id[1:])
        side = self.frame or (6 if index % 2 else 4)
        for at in range(self.units + index):
            if at == 2:
                self.act(item.id, "read")
            value = np.full((1, side, side), 100 * index + at, np.float32)
            yield {"frame": value, "whose": np.array([index])}

    def infer(self, units: Chunk) -> list[Any]:
        if self.memory and len(units["frame"]) > self.memory:
            raise MemoryError("out of memory")
        for index in np.unique(units["whose"]):
            self.act(f"v{index:04d}", "infer")
        return [float(frame.mean()) for frame in units["frame"]]

    def finish(self, item: Item, results: list[Any]) -> Outcome:
        self.act(item.id, "finish")
        camera = np.array(results, np.float32)
        return Kept({"video_id": item.id, "frames": len(camera), "camera": camera})


@dataclasses.dataclass(frozen=True)
class Streamed(Batched):
    """The same, one item at a time."""

    asked: int = 10**9  # chunks that are asked for

    name: ClassVar[str] = "toy-streamed"
    mode: ClassVar[str] = "streams"

    def follow(self, item: Item, chunks: Iterator[Chunk]) -> Outcome:
        results = []
        for number, chunk in enumerate(chunks):
            if number == self.asked:
                break
            self.act(item.id, "infer")
            results += [float(frame.mean()) for frame in chunk["frame"]]
        return self.finish(item, results)


@dataclasses.dataclass(frozen=True)
class Called(Batched):
    """The same in threads; item i waits, so that the first come last."""

    at_once: int = 3

    name: ClassVar[str] = "toy-called"
    mode: ClassVar[str] = "calls"
    needs_device: ClassVar[bool] = False

    def call(self, item: Item, chunks: list[Chunk]) -> Outcome:
        assert threading.current_thread() is not threading.main_thread()
        self.act(item.id, "infer")
        time.sleep(0.05 / (1 + int(item.id[1:])))
        return self.finish(item, [float(f.mean()) for chunk in chunks for f in chunk["frame"]])


@dataclasses.dataclass(frozen=True)
class Faulty(Batched):
    """A stage with a fault outside of its work on items."""

    def batch_start(self, cuda: bool) -> int:
        raise RuntimeError("no number")
