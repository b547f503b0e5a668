"""The models that motionkit's recipes and docs name, and what of all models is on this machine."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Final

from motionkit.errors import MotionkitError, UsageError
from motionkit.weights import record
from motionkit.weights.licences import licence_of
from motionkit.weights.places import COTRACKER, models_folder, place_of
from motionkit.weights.sources import HUB_KINDS, YOLO_KINDS

_SAFE: Final = "safetensors"
_RUNS: Final = ".pt: can run code when loaded"
_WEIGHTS: Final = "weights only"


#: What models of a kind do.
_TASKS: Final = {
    "yolo": "detect", "vitpose": "pose", "mmpose": "pose", "cotracker3": "track",
    "yolo-seg": "masks", "sam2": "masks", "transformers": "caption", "clip": "encode",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Known:
    """A model by its spec; ``megabytes`` about, of what is fetched."""

    spec: str
    source: str
    megabytes: int
    format: str


def _hub(kind: str, sizes: dict[str, int]) -> list[Known]:
    return [Known(f"{kind}:{repo}", repo, mb, _SAFE) for repo, mb in sizes.items()]


#: Any other name of these kinds can be fetched too.
KNOWN: Final = (
    *(
        Known(f"yolo:yolo11{size}-pose", "ultralytics/assets", mb, _RUNS)
        for size, mb in {"n": 6, "s": 20, "m": 42, "l": 53, "x": 118}.items()
    ),
    *_hub(
        "vitpose",
        {
            "usyd-community/vitpose-plus-small": 133,
            "usyd-community/vitpose-base-simple": 360,
            "usyd-community/vitpose-base": 360,
            "usyd-community/vitpose-plus-base": 502,
            "usyd-community/vitpose-plus-huge": 3600,
        },
    ),
    Known("cotracker3:offline", "facebook/cotracker3", 102, _WEIGHTS),
    Known("cotracker3:online", "facebook/cotracker3", 102, _WEIGHTS),
    Known("cotracker3:code", "facebookresearch/co-tracker", 1, "code: it is run"),
    *(
        Known(f"yolo-seg:yolo11{size}-seg", "ultralytics/assets", mb, _RUNS)
        for size, mb in {"n": 6, "s": 20, "m": 45, "l": 56, "x": 125}.items()
    ),
    *_hub(
        "sam2",
        {
            "facebook/sam2.1-hiera-tiny": 156,
            "facebook/sam2.1-hiera-small": 184,
            "facebook/sam2.1-hiera-base-plus": 323,
            "facebook/sam2.1-hiera-large": 898,
        },
    ),
    *_hub(
        "transformers",
        {"Qwen/Qwen2.5-VL-3B-Instruct": 7500, "Qwen/Qwen2.5-VL-7B-Instruct": 16600},
    ),
    Known("clip:openai/clip-vit-base-patch32", "openai/clip-vit-base-patch32", 605,
          _WEIGHTS),
    *_hub("clip", {"openai/clip-vit-large-patch14": 1710}),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class ModelState:
    """One line of `motionkit models list`. ``state`` is present, absent or broken (with
    ``problem``); ``megabytes`` as recorded where it is there, else about."""

    spec: str
    task: str
    state: str
    megabytes: int | None
    licence: str
    meaning: str
    format: str
    source: str
    path: Path
    sha256: str | None = None
    problem: str | None = None


def models() -> list[ModelState]:
    """The known models in their order, then the others that are in the models folder.

    Reads no model: sizes and hashes are those recorded.
    """
    known = {entry.spec: entry for entry in KNOWN}
    others = [spec for spec in here() if spec not in known]
    return [state_of(spec, known.get(spec)) for spec in [*known, *others]]


def here() -> list[str]:
    """The specs of what lies in the models folder, recorded or not, sorted."""
    found = set()
    for path in models_folder().glob("*/**/*.motionkit.json"):
        found.add(_spec_at(path.with_name(path.name.removesuffix(".motionkit.json"))))
    for kind in HUB_KINDS:
        found.update(
            _spec_at(path.parent) for path in models_folder().glob(f"{kind}/*/*/config.json")
        )
    for kind in YOLO_KINDS:
        found.update(_spec_at(path) for path in models_folder().glob(f"{kind}/*.pt"))
    return sorted(spec for spec in found if spec is not None)


def _spec_at(path: Path) -> str | None:
    """The spec whose place is ``path``; None where there is none."""
    kind, *parts = path.relative_to(models_folder()).parts
    name = "/".join(parts)
    for guess in (*COTRACKER, name, name.removesuffix(".pt")):
        try:
            place = place_of(f"{kind}:{guess}")
        except UsageError:
            continue  # some other file's name
        if place.path == path:
            return place.spec
    return None


def state_of(spec: str, known: Known | None = None) -> ModelState:
    """Whether ``spec`` is there and looks as recorded; reads no model."""
    place = place_of(spec)
    licence = licence_of(place.spec)
    state, problem, kept = "absent", None, None
    try:
        if place.exists():
            files = place.files()
            kept = record.read(place)
            state = "present"
            if kept is not None and not record.looks_same(kept, place, files):
                state, problem = "broken", "its files differ from what was recorded"
    except MotionkitError as error:
        state, problem = "broken", str(error)
    size = _megabytes(kept) if kept is not None else known.megabytes if known else None
    return ModelState(
        spec=place.spec,
        task=_TASKS.get(place.kind, ""),
        state=state,
        megabytes=size,
        licence=licence.text,
        meaning=licence.meaning,
        format=known.format if known else "",
        source=kept.source if kept is not None else known.source if known else "",
        path=place.path,
        sha256=kept.sha256 if kept is not None else None,
        problem=problem,
    )


def verify(spec: str, *, accept: bool = False) -> record.Record:
    """Read every file of the model and compare it with its record; the record.

    A model without one gets one. ``accept`` records what is there in place of an older record.
    ModelMissing where it is absent or not whole, ModelChanged where a file differs.
    """
    place = place_of(spec)
    files = place.files()
    kept = None if accept else record.read(place)
    if kept is None:
        kept = record.make(place, files, source="placed by hand")
    else:
        kept = record.compare(place, files, kept, every=True)
    record.write(place, kept)
    return kept


def _megabytes(kept: record.Record) -> int:
    return max(1, round(sum(file.bytes for file in kept.files.values()) / 1e6))
