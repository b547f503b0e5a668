"""A stage for the engine's tests: squares numbers, and misbehaves on request."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Container, Iterator
from typing import Any, ClassVar

import numpy as np

from motionkit.errors import InputError
from motionkit.stage import Dropped, Item, Kept, Outcome, Tables


@dataclasses.dataclass(frozen=True)
class Toy:
    """Items are numbers as text; what an item does is in ``acts`` by number."""

    count: int = 4
    acts: tuple[tuple[int, str], ...] = ()
    power: int = 2
    pause_s: float = 0.0
    stamp: str | None = None

    name: ClassVar[str] = "scan"
    version: ClassVar[int] = 1
    table: ClassVar[str] = "scans"
    reads: ClassVar[tuple[str, ...]] = ()

    def identity(self, tables: Tables) -> dict[str, Any]:
        return {"power": self.power}

    def ids(self, tables: Tables) -> Iterator[tuple[str, str | None]]:
        for n in range(self.count):
            yield f"v{n:04d}", self.stamp

    def items(self, tables: Tables, wanted: Container[str] | None = None) -> Iterator[Item]:
        for n in range(self.count):
            if wanted is None or f"v{n:04d}" in wanted:
                yield Item(f"v{n:04d}", {"n": n}, self.stamp)

    def context(self, item: Item) -> dict[str, Any]:
        return {"video_id": item.id}

    def setup(self) -> None:
        if dict(self.acts).get(-1) == "no-setup":
            raise OSError("no such model")

    def process(self, item: Item) -> Outcome:
        n = item.data["n"]
        time.sleep(self.pause_s)
        act = dict(self.acts).get(n, "keep")
        if act == "drop":
            return Dropped("too-odd", measured=float(n), threshold=1.0)
        if act == "input":
            raise InputError("not-a-number", f"{n} is not a number")
        if act == "raise":
            raise ZeroDivisionError("division by zero")
        if act == "die":
            os.kill(os.getpid(), signal.SIGSEGV)
        if act == "hang":
            time.sleep(600)
        return Kept({"frames": n, "camera": np.full(n, n**self.power, np.float32)})
