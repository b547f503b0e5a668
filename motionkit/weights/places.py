"""From a spec to a place on the disk, and which files there are the model."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path
from typing import Final

from motionkit.errors import UsageError
from motionkit.weights.errors import ModelMissing

_KIND: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
# One part of a name. It cannot start with a dot, so neither '..' nor a hidden file is one.
PART: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}")
#: Endings of files that can run code when they are loaded, or that need weights-only loading.
PICKLES: Final = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack", ".ot")
#: Files that come with a model and that nothing loads.
_BESIDE: Final = re.compile(r"(?i)(?:readme|licen[cs]e|notice|copying|changelog)(?:[._-].*)?")
#: Single-file models: what the file is called, from the name.
COTRACKER: Final = {"offline": "scaled_offline.pth", "online": "scaled_online.pth"}
#: The files of CoTracker3's code: a whole checkout and what fetch takes of it are the same model.
_CODE: Final = re.compile(r"cotracker/.*\.py|hubconf\.py")
#: What must be in a checkout of CoTracker3's code.
COTRACKER_CODE: Final = ("cotracker/predictor.py",)


def models_folder() -> Path:
    """``MOTIONKIT_MODELS``, or ``~/.cache/motionkit/models``."""
    given = os.environ.get("MOTIONKIT_MODELS")
    return Path(given).absolute() if given else Path.home() / ".cache" / "motionkit" / "models"


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the model ``spec`` lies: ``path`` is a folder or a file, and may not exist yet."""

    spec: str
    kind: str
    name: str
    path: Path

    @property
    def record(self) -> Path:
        """The JSON beside the model that holds what was recorded of it."""
        return self.path.with_name(self.path.name + ".motionkit.json")

    def exists(self) -> bool:
        """Whether something lies there, whole or not."""
        return self.path.exists()

    def files(self) -> list[str]:
        """The files that are the model, as names with ``/`` inside ``path``, sorted; [""] where
        the model is one file. `ModelMissing` where it is absent or not whole."""
        if not self.path.exists():
            raise ModelMissing(
                self.spec, f"the model {self.spec} is not on this machine: {self.path} is not there"
            )
        if self.path.is_file():
            if not self.path.stat().st_size:
                raise ModelMissing(
                    self.spec, f"the model {self.spec} is an empty file: {self.path}"
                )
            return [""]
        names = _loaded(self.path)
        if (self.kind, self.name) == ("cotracker3", "code"):
            names = [name for name in names if _CODE.fullmatch(name)]
        lacks = _lacking(self, names)
        if lacks:
            raise ModelMissing(
                self.spec, f"the model {self.spec} is not whole: {self.path} has no {lacks}"
            )
        return names


def place_of(spec: str) -> Place:
    """The place of ``KIND:NAME``. UsageError where the text is no such spec: what is not made of
    plain letters, digits and ``._+-`` never becomes a path."""
    kind, colon, name = spec.partition(":")
    parts = name.split("/")
    if not colon or not _KIND.fullmatch(kind) or not all(PART.fullmatch(part) for part in parts):
        raise UsageError(
            f"{spec!r} names no model: write KIND:NAME with plain letters.",
            hint="motionkit models list",
        )
    if parts[-1].endswith(".motionkit.json"):
        raise UsageError(f"{spec!r} names a record, not a model", hint="motionkit models list")
    folder = models_folder() / kind
    if kind.startswith("yolo"):
        name = name.removesuffix(".pt")
        return Place(f"{kind}:{name}", kind, name, folder / f"{name}.pt")
    if kind == "cotracker3" and name in COTRACKER:
        file = COTRACKER[name]
        places = [folder / file, folder / name / file, folder / f"{name}.pth", folder / name]
        return Place(spec, kind, name, next((p for p in places if p.is_file()), places[0]))
    return Place(spec, kind, name, folder.joinpath(*parts))


def _loaded(folder: Path) -> list[str]:
    """The files below ``folder`` that something could load: no hidden ones, no caches, nothing
    that only people read, and no pickles where there are safetensors."""
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if any(part.startswith(".") or part == "__pycache__" for part in name.parts):
            continue
        if path.is_file() and not _BESIDE.fullmatch(path.name) and path.suffix.lower() != ".md":
            found.append(name.as_posix())
    if any(name.endswith(".safetensors") for name in found):
        found = [name for name in found if not name.lower().endswith(PICKLES)]
    return found


def _lacking(place: Place, names: list[str]) -> str | None:
    """The first thing that a whole model has and this one has not; None where it is whole."""
    if place.kind == "cotracker3" and place.name == "code":
        return next((name for name in COTRACKER_CODE if name not in names), None)
    if place.kind == "mmpose":  # a configuration and its checkpoint
        return next(
            (
                ending
                for ending in (".py", ".pth")
                if not any(name.endswith(ending) for name in names)
            ),
            None,
        )
    if "config.json" not in names:
        return "config.json"
    weights = [name for name in names if name.endswith((".safetensors", *PICKLES))]
    if not weights:
        return "weights (model.safetensors)"
    for index in (name for name in names if name.endswith(".index.json")):
        for shard in _shards(place.path / index):
            if shard not in names and not shard.endswith(PICKLES):
                return shard
    return next((name for name in weights if not (place.path / name).stat().st_size), None)


def _shards(index: Path) -> list[str]:
    """The files that a ``model.safetensors.index.json`` names."""
    try:
        table = json.loads(index.read_text("utf-8"))["weight_map"]
        return sorted({str(name) for name in table.values()})
    except (ValueError, KeyError, TypeError, AttributeError):
        return [f"readable {index.name}"]
