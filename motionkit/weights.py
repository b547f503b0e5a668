"""Model files: the one folder where they lie, and how a backend finds its own.

`motionkit models fetch` fills the folder and records a SHA-256 of every file; backends only look.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from motionkit.errors import MotionkitError


@dataclasses.dataclass(frozen=True)
class ModelFiles:
    """A model that is on this machine. ``path`` is a folder (Hugging Face layout, a checkout) or a
    file; ``sha256`` is over its files, and part of the identity of what the model makes."""

    spec: str
    path: Path
    sha256: str
    licence: str


class ModelMissing(MotionkitError):
    """The model's files are not on this machine."""


def models_folder() -> Path:
    """``MOTIONKIT_MODELS``, or ``~/.cache/motionkit/models``."""
    given = os.environ.get("MOTIONKIT_MODELS")
    return Path(given).absolute() if given else Path.home() / ".cache" / "motionkit" / "models"


def find(spec: str) -> ModelFiles:
    """The files of the model ``KIND:NAME`` (``vitpose:usyd-community/vitpose-plus-huge``,
    ``yolo:yolo11x-pose``, ``sam2:facebook/sam2.1-hiera-large``, ``cotracker3:offline``,
    ``cotracker3:code``). Fetches nothing. `ModelMissing`, naming the command that fetches it,
    where it is absent or not whole."""
    raise NotImplementedError
