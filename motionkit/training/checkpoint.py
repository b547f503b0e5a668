"""Checkpoints that are safe to load: one safetensors file, its facts as JSON in the header.

No pickle anywhere. A file appears under its name only when it is complete.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from motionkit.errors import MissingExtraError, TrainingError

#: Version of the checkpoint's layout; another one is refused.
CHECKPOINT_VERSION = 1

T = TypeVar("T")


def save_checkpoint(
    path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any], *, keep_last: int = 1
) -> None:
    """Writes ``tensors`` and JSON-able ``facts`` to ``path``, atomically.

    Whatever goes wrong, what stood at ``path`` stands there still. With ``keep_last`` over 1 it
    is kept beside the new one, with its ``step`` in its name. TrainingError where the disk is
    full or cannot be written.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.torch import save_file
    except ImportError as error:
        raise MissingExtraError("safetensors", "train", needed_for="saving a checkpoint") from error
    whole = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    header = {"motionkit": json.dumps({"version": CHECKPOINT_VERSION, **facts}, sort_keys=True)}
    size = sum(value.numel() * value.element_size() for value in whole.values())
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(path.parent).free
        if free < size:
            # Said before it is tried: a full disk can end a memory-mapped write with a signal.
            raise OSError(errno.ENOSPC, f"it takes {size / 1e6:.0f} MB, {free / 1e6:.0f} are free")
        save_file(whole, part, metadata=header)
        with part.open("rb") as handle:
            os.fsync(handle.fileno())
        if keep_last > 1 and path.exists():
            _keep(path, keep_last - 1)
        part.replace(path)
    except (OSError, SafetensorError) as error:
        part.unlink(missing_ok=True)
        kept = "; the one before it is whole" if path.exists() else ""
        raise TrainingError(
            f"the checkpoint {path} could not be written: {error}{kept}.",
            hint=f"free at least {2 * size / 1e6:.0f} MB, and run it again to go on",
        ) from error


def _keep(path: Path, count: int) -> None:
    """Gives the file at ``path`` a second name with its step; keeps ``count`` of those."""
    step = int(load_facts(path).get("step", 0))
    older = path.with_name(f"{path.stem}-{step:08d}{path.suffix}")
    older.unlink(missing_ok=True)
    try:
        os.link(path, older)
    except OSError:  # a file system without links
        shutil.copyfile(path, older)
    found = sorted(path.parent.glob(f"{path.stem}-{'[0-9]' * 8}{path.suffix}"))
    for old in found[:-count]:
        old.unlink()


def load_facts(path: Path) -> dict[str, Any]:
    """The facts of a checkpoint, without its tensors."""
    return _read(path, lambda file: None)[1]


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of a checkpoint; TrainingError where it is not one of ours."""
    return _read(path, lambda file: {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118


def _read(path: Path, take: Callable[[Any], T]) -> tuple[T, dict[str, Any]]:
    """What ``take`` takes of an opened checkpoint, and its facts."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise MissingExtraError(
            "safetensors", "train", needed_for="loading a checkpoint"
        ) from error
    if not path.is_file():
        raise TrainingError(
            f"there is no checkpoint at {path}.", hint="train one with 'motionkit train k2m'"
        )
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            taken = take(file)
        facts = json.loads(header.get("motionkit", "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read as a checkpoint: {error}") from error
    if facts.get("version") != CHECKPOINT_VERSION:
        raise TrainingError(
            f"{path} has checkpoint version {facts.get('version')}, "
            f"this motionkit reads {CHECKPOINT_VERSION}.",
            hint="train again, or use the motionkit that wrote it",
        )
    return taken, facts


def pack(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict under ``prefix``."""
    return {f"{prefix}.{name}": value for name, value in state.items()}


def unpack(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict that was packed under ``prefix``."""
    start = prefix + "."
    return {n[len(start) :]: v for n, v in tensors.items() if n.startswith(start)}
