"""Who is running a stage, how far it is and how fast: a small file that is written anew.

It serves two ends: `status` can tell the time left, and a second process does not do the same
work over again. It is no lock: a run that was killed leaves a stale file, which is told by its
process being gone or by its age.
"""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from motionkit.errors import MotionkitError
from motionkit.workspace import Workspace, process_alive, publish

_EVERY_S = 2.0
#: A file not written for so long belongs to a run that is gone.
STALE_S = 60.0


@dataclasses.dataclass
class Heartbeat:
    """Written by `run_stage` about every two seconds, however long an item takes, and when the
    run ends."""

    workspace: Workspace
    stage: str
    total: int = 0
    started: float = dataclasses.field(default_factory=time.monotonic)
    written: float = 0.0
    _ended: bool = False

    def claim(self) -> None:
        """MotionkitError where another living process runs the same stage here."""
        other = read_heartbeat(self.workspace, self.stage)
        if other is not None and other["pid"] != os.getpid():
            raise MotionkitError(
                f"{self.stage} is running in this workspace already (process {other['pid']} on "
                f"{other['host']}, {other['done']} of {other['total']} items).",
                hint="wait for it (motionkit status), or end that process and run this again",
            )

    def begin(self, total: int) -> None:
        """The run begins: so many items are pending."""
        self.total, self.started = total, time.monotonic()
        self.beat(0)

    def beat(self, done: int) -> None:
        """Say how many items are finished; writes only now and then."""
        now = time.monotonic()
        if self.written and now - self.written < _EVERY_S:
            return
        self.written = now
        seconds = now - self.started
        state = {
            "stage": self.stage,
            "pid": None if self._ended else os.getpid(),
            "host": socket.gethostname(),
            "done": done,
            "total": self.total,
            "per_s": round(done / seconds, 4) if done and seconds > 0 else None,
            "time": round(time.time(), 1),
        }
        path = _path(self.workspace, self.stage)
        path.parent.mkdir(exist_ok=True)
        publish(path, lambda temporary: temporary.write_text(json.dumps(state) + "\n", "utf-8"))

    def end(self, done: int) -> None:
        """Say that the run is over; its rate is kept."""
        self.written = 0.0
        self._ended = True
        self.beat(done)


def read_heartbeat(workspace: Workspace, stage: str) -> dict[str, Any] | None:
    """What a running process last said of a stage; None where nobody runs it."""
    try:
        state = json.loads(_path(workspace, stage).read_text("utf-8"))
        fresh = time.time() - float(state["time"]) < STALE_S
        here = state["host"] == socket.gethostname()
        if state["pid"] is None:
            return None
        if fresh and not (here and not process_alive(int(state["pid"]))):
            return {key: state[key] for key in ("pid", "host", "done", "total", "per_s")}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):  # written by something else: it tells us nothing
        return None
    return None


def last_rate(workspace: Workspace, stage: str) -> float | None:
    """Items a second of the last run, whether it ended or was killed; None where unknown."""
    try:
        rate = json.loads(_path(workspace, stage).read_text("utf-8"))["per_s"]
        return float(rate) if rate else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _path(workspace: Workspace, stage: str) -> Path:
    return workspace.path / "running" / f"{stage}.json"
