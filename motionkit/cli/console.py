"""What the command line prints: results on standard output, progress and errors on the other."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from motionkit.engines.local import Progress
from motionkit.errors import MotionkitError
from motionkit.workspace import Workspace

_PLAIN_LINE_EVERY_S = 20.0


@dataclasses.dataclass
class Console:
    """The global options of one call, and the ways to print that obey them."""

    workspace_path: Path
    json: bool = False
    quiet: bool = False
    debug: bool = False

    def workspace(self, *, create: bool = False) -> Workspace:
        """Open (or make) the workspace that the user named."""
        return (Workspace.create if create else Workspace)(self.workspace_path)

    def result(self, data: Any, lines: Sequence[str]) -> None:
        """The command's result: ``data`` with ``--json``, else ``lines``."""
        if self.json:
            print(json.dumps(data, indent=1, ensure_ascii=False, default=str))
        else:
            for line in lines:
                print(line)

    def say(self, line: str) -> None:
        """A remark on the way; not with ``--quiet``."""
        if not self.quiet:
            print(line, file=sys.stderr, flush=True)

    def progress(self) -> Progress | None:
        """A progress callback: a bar on a terminal, plain lines now and then when piped."""
        if self.quiet:
            return None
        return _Bars() if sys.stderr.isatty() else _Lines()

    def error(self, error: MotionkitError) -> None:
        """An error and the next thing to try."""
        if self.json:
            print(json.dumps({"error": str(error), "hint": error.hint}, ensure_ascii=False))
        print(f"motionkit: {error}", file=sys.stderr)
        if error.hint:
            print(f"  try: {error.hint}", file=sys.stderr)


class _Bars:
    """One tqdm bar a step, with rate and time left."""

    def __init__(self) -> None:
        self.bar: Any = None
        self.step = ""

    def __call__(self, step: str, done: int, total: int) -> None:
        if self.bar is None or self.step != step:
            if self.bar is not None:
                self.bar.close()
            self.step = step
            # What was done before this run began counts in the bar, and not in its rate.
            self.bar = tqdm(
                total=total, initial=done, desc=f"{step:<10}", unit="item", dynamic_ncols=True
            )
        self.bar.n = done
        self.bar.refresh()
        if done >= total:
            self.bar.close()
            self.bar = None


class _Lines:
    """A line every few seconds."""

    def __init__(self) -> None:
        self.started = self.printed = time.monotonic()
        self.step = ""
        self.first = 0

    def __call__(self, step: str, done: int, total: int) -> None:
        now = time.monotonic()
        if step != self.step:
            self.step, self.started, self.printed, self.first = step, now, now, done
        if now - self.printed < _PLAIN_LINE_EVERY_S:
            return
        self.printed = now
        rate = (done - self.first) / (now - self.started)
        left = f", {(total - done) / rate:.0f} s left" if rate > 0 else ""
        print(f"{step}: {done} of {total}, {rate:.1f}/s{left}", file=sys.stderr, flush=True)


def table(rows: Sequence[Sequence[Any]], header: Sequence[str]) -> list[str]:
    """Rows as aligned plain lines; numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(header)]
    right = [all(isinstance(row[i], (int, float)) for row in rows) for i in range(len(header))]

    def line(values: Sequence[str]) -> str:
        padded = (
            value.rjust(width) if to_right else value.ljust(width)
            for value, width, to_right in zip(values, widths, right, strict=True)
        )
        return "  ".join(padded).rstrip()

    return [line(header), line(["-" * width for width in widths]), *(line(row) for row in cells)]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return clean(str(value))


def clean(text: str) -> str:
    """Untrusted text (paths, captions) that cannot move the cursor or fake a line."""
    return "".join(c if c.isprintable() else "?" for c in text)


def default_workspace() -> Path:
    """``MOTIONKIT_WORKSPACE``, else ./motion."""
    return Path(os.environ.get("MOTIONKIT_WORKSPACE") or "motion")
