"""Ctrl-C and SIGTERM end a training after the running step, with a checkpoint."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupted(KeyboardInterrupt):
    """A training was asked to stop, and saved. The text says how to go on."""


class Interruption:
    """Inside, the first SIGINT or SIGTERM sets ``asked``; another SIGINT ends at once.

    ``patient``: further ones change nothing, for processes that train together. Does nothing
    outside the main thread, where Python hands out no signals.
    """

    def __init__(self, *, patient: bool = False) -> None:
        self.asked = False
        self.patient = patient
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT and not self.patient:
            raise KeyboardInterrupt
        self.asked = True
