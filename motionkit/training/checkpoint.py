"""Checkpoints that are safe to load: one safetensors file, its facts as JSON in the header.

No pickle anywhere. A file appears under its name only when it is complete.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from motionkit.errors import MissingExtraError, TrainingError

#: Version of the checkpoint's layout; another one is refused.
CHECKPOINT_VERSION = 1


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Writes ``tensors`` and JSON-able ``facts`` to ``path``, atomically."""
    try:
        from safetensors.torch import save_file
    except ImportError as error:
        raise MissingExtraError("safetensors", "train", needed_for="saving a checkpoint") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    header = {"motionkit": json.dumps({"version": CHECKPOINT_VERSION, **facts}, sort_keys=True)}
    whole = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    save_file(whole, part, metadata=header)
    with part.open("rb") as handle:
        os.fsync(handle.fileno())
    part.replace(path)


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of a checkpoint; TrainingError where it is not one of ours."""
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
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise TrainingError(f"{path} cannot be read as a checkpoint: {error}") from error
    facts = json.loads(header.get("motionkit", "{}"))
    if facts.get("version") != CHECKPOINT_VERSION:
        raise TrainingError(
            f"{path} has checkpoint version {facts.get('version')}, "
            f"this motionkit reads {CHECKPOINT_VERSION}.",
            hint="train again, or use the motionkit that wrote it",
        )
    return tensors, facts


def pack(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict under ``prefix``."""
    return {f"{prefix}.{name}": value for name, value in state.items()}


def unpack(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict that was packed under ``prefix``."""
    start = prefix + "."
    return {n[len(start) :]: v for n, v in tensors.items() if n.startswith(start)}
