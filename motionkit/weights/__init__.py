"""Model files: the one folder where they lie, and how a backend finds its own.

`motionkit models fetch` fills the folder and records a SHA-256 of every file; backends only look.
The place of ``KIND:NAME`` is ``$MOTIONKIT_MODELS/KIND/NAME``, and what was recorded of it lies
beside it in ``NAME.motionkit.json`` (`motionkit.weights.record`).
"""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

from motionkit.weights import record
from motionkit.weights.errors import ModelChanged, ModelMissing
from motionkit.weights.licences import licence_of
from motionkit.weights.places import models_folder, place_of

__all__ = ["ModelChanged", "ModelFiles", "ModelMissing", "find", "models_folder"]

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ModelFiles:
    """A model that is on this machine. ``path`` is a folder (Hugging Face layout, a checkout) or a
    file; ``sha256`` is over its files, and part of the identity of what the model makes."""

    spec: str
    path: Path
    sha256: str
    licence: str


def find(spec: str) -> ModelFiles:
    """The files of the model ``KIND:NAME`` (``vitpose:usyd-community/vitpose-plus-huge``,
    ``yolo:yolo11x-pose``, ``sam2:facebook/sam2.1-hiera-large``, ``cotracker3:offline``,
    ``cotracker3:code``). Fetches nothing.

    Files that were recorded are compared by size and time, and read again only where one of these
    differs; a model that somebody placed by hand is recorded now, and a line in the log says so.
    `ModelMissing`, naming the command that fetches it, where it is absent or not whole;
    `ModelChanged` where a file is not what was recorded; UsageError where the spec is none.
    """
    place = place_of(spec)
    files = place.files()
    kept = record.read(place)
    if kept is None:
        kept = record.make(place, files, source="placed by hand")
        written = record.write_if_possible(place, kept)
        _log.warning(
            "%s was placed by hand: its SHA-256 (%s) is %s",
            spec, kept.sha256[:16], f"recorded in {place.record}" if written else "not recorded: "
            f"{place.record.parent} cannot be written",
        )  # fmt: skip
    elif not record.looks_same(kept, place, files):
        kept = record.compare(place, files, kept)
        record.write_if_possible(place, kept)
    return ModelFiles(place.spec, place.path, kept.sha256, licence_of(place.spec).text)
