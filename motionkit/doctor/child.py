"""A check in a process of its own: whatever it imports may crash, hang or print."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from typing import Any

_TIMEOUT_S = 60.0
#: What stands before the answer, among whatever else is printed.
_MARK = "motionkit-doctor:"


@dataclasses.dataclass
class Child:
    """A check that is going on; `answer` waits for it."""

    process: subprocess.Popen[bytes]

    def answer(self) -> dict[str, Any]:
        """What the check said last; with ``died`` and the reason where it crashed or hung."""
        try:
            out, error = self.process.communicate(timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            return {"died": f"not finished after {_TIMEOUT_S:g} s"}
        lines = out.decode("utf-8", "replace").splitlines()
        said = [line.removeprefix(_MARK) for line in lines if line.startswith(_MARK)]
        answer: dict[str, Any] = json.loads(said[-1]) if said else {}
        code = self.process.returncode
        if code or not said:
            last = error.decode("utf-8", "replace").strip().splitlines()[-1:]
            reason = last[0] if last else f"exit code {code}"
            answer["died"] = f"ended by signal {_signal(-code)}" if code < 0 else reason
        return answer


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def start(module: str, *arguments: str) -> Child:
    """Run ``python -m module arguments``, which prints what it knows with `answer`."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
    }
    return Child(
        subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment,
        )
    )  # fmt: skip


def answer(found: dict[str, Any]) -> None:
    """Say what is known so far; what is said last counts, also where the process then dies."""
    print(_MARK + json.dumps(found), flush=True)
