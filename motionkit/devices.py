"""Where a model runs: the device and the precision that this process was given.

The engine chooses them and says so before a stage's `setup`; a backend asks `current()`. They are
no parameters of a stage: the same recipe on another machine makes rows of the same fingerprint.
Half precision moves keypoints by hundredths of a pixel, so every row names the precision it was
made with.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

from motionkit.errors import MissingExtraError, UsageError

PRECISIONS = ("auto", "fp32", "fp16", "bf16")


@dataclasses.dataclass(frozen=True)
class Device:
    """``name`` as torch writes it (``cpu``, ``cuda:1``); ``precision`` fp32, fp16 or bf16;
    ``threads`` for CPU work, 0 for the library's own choice."""

    name: str = "cpu"
    precision: str = "fp32"
    threads: int = 0

    @property
    def is_cuda(self) -> bool:
        """Whether this is a CUDA device."""
        return self.name.startswith("cuda")

    def prepare(self) -> None:
        """Set the number of torch's threads; call before a model is loaded."""
        import torch

        if self.threads:
            torch.set_num_threads(self.threads)

    @contextlib.contextmanager
    def inference(self) -> Iterator[None]:
        """No gradients, and autocast where the precision is a half one."""
        import torch

        with torch.inference_mode():
            if self.precision == "fp32":
                yield
            else:
                half = torch.float16 if self.precision == "fp16" else torch.bfloat16
                with torch.autocast(self.name.partition(":")[0], dtype=half):
                    yield


_current = Device()


def current() -> Device:
    """The device of this process; the CPU in fp32 until `use` was called."""
    return _current


def use(device: Device) -> None:
    """Say where the models of this process run."""
    global _current
    _current = device


def find(wanted: str = "auto", precision: str = "auto") -> tuple[list[Device], str | None]:
    """The devices to use, one worker each, and a sentence about a fallback (None: there is none).

    ``wanted``: ``auto`` (all CUDA devices, else the CPU), ``cpu``, ``cuda`` (all), or a list like
    ``cuda:0,cuda:2``. ``precision`` auto is fp16 on CUDA and fp32 on the CPU. UsageError for a
    device that is not there: what was asked for by name is never replaced.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"--precision is one of {', '.join(PRECISIONS)}, not '{precision}'")
    there = 0 if wanted == "cpu" else _cuda_devices()
    note = None
    if wanted == "auto":
        names = [f"cuda:{i}" for i in range(there)] or ["cpu"]
        if not there:
            note = "no CUDA device was found: the models run on the CPU, in fp32"
    elif wanted == "cuda":
        names = [f"cuda:{i}" for i in range(there)]
    else:
        names = [name.strip() for name in wanted.split(",")]
    known = {"cpu", *(f"cuda:{i}" for i in range(there))}
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        has = ", ".join(sorted(known))
        raise UsageError(
            f"--device {wanted}: this machine has no such device.",
            hint=f"there are: {has}; motionkit doctor says why a GPU may be missing",
        )
    if len(set(names)) < len(names):
        raise UsageError(f"--device {wanted} names a device twice")
    return [Device(name, _precision(name, precision)) for name in names], note


def _cuda_devices() -> int:
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch", "train", needed_for="models on a device") from error
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _precision(name: str, wanted: str) -> str:
    if wanted == "auto":
        return "fp16" if name.startswith("cuda") else "fp32"
    if wanted == "fp16" and name == "cpu":
        raise UsageError("--precision fp16 needs a CUDA device; the CPU takes fp32 or bf16")
    return wanted


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that the device's (or the machine's) memory was too small."""
    if isinstance(error, MemoryError):
        return True
    kind = type(error).__name__
    if kind == "OutOfMemoryError":  # torch.cuda.OutOfMemoryError, torch.OutOfMemoryError
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text
    )


def release() -> None:
    """Hand cached device memory back, after an out-of-memory error."""
    device: Any = current()
    if device.is_cuda:
        import torch

        torch.cuda.empty_cache()
