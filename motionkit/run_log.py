"""What the runs of a workspace's steps took: ``runs.jsonl``, one line a run, only ever appended to.

A run that was killed leaves no line; one that was interrupted or stopped by an error does.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from motionkit.workspace import Workspace

NAME = "runs.jsonl"


def record(
    workspace: Workspace, step: str, seconds: float, summary: dict[str, Any] | None, workers: int
) -> None:
    """Append one run of ``step``: wall seconds, and its summary (None: it did not end by itself).
    ``workers`` is what was asked for, 0 for one a core."""
    summary = summary or {"stopped": True}
    told = ("processed", "kept", "fingerprint", "devices")
    counts: dict[str, Any] = {key: summary[key] for key in told if key in summary}
    line: dict[str, Any] = {
        "step": step,
        "seconds": round(seconds, 3),
        "ended": "stopped" if summary.get("stopped") else "done",
        "workers": workers,
        "time": round(time.time(), 1),
        **counts,
    }
    # One short write to a file opened for appending: two runs side by side mix no lines.
    with (workspace.path / NAME).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def runs(workspace: Workspace) -> Iterator[dict[str, Any]]:
    """The runs, oldest first. A line that is damaged is passed over: it is no state."""
    try:
        with (workspace.path / NAME).open(encoding="utf-8", errors="replace") as file:
            for text in file:
                try:
                    line = json.loads(text)
                    yield {**line, "seconds": float(line["seconds"]), "time": float(line["time"])}
                except (ValueError, KeyError, TypeError):
                    continue
    except FileNotFoundError:
        return
