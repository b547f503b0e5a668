"""Where the files of a model are fetched from, and which models a backend's spec needs."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from motionkit.errors import UsageError
from motionkit.weights.places import COTRACKER, Place, place_of

#: Kinds whose names are repositories of the Hugging Face Hub, as ``OWNER/NAME``.
HUB_KINDS: Final = ("vitpose", "sam2", "clip", "transformers")
#: Kinds whose names are files of the ultralytics releases.
YOLO_KINDS: Final = ("yolo", "yolo-seg")
#: What a backend's name alone stands for.
DEFAULTS: Final = {"yolo": "yolo11x-pose", "vitpose": "usyd-community/vitpose-plus-huge"}
#: The commits that motionkit was written against.
COTRACKER_CODE_COMMIT: Final = "82e02e8029753ad4ef13cf06be7f4fc5facdda4d"
COTRACKER_COMMIT: Final = "b748ec5e5cd4b9f525a94cc544f0be34bbcc22e2"
_CODE_FILES: Final = r"cotracker/(?:[a-z0-9_]+/)*[A-Za-z0-9_]+\.py|hubconf\.py|LICENSE\.md"


@dataclasses.dataclass(frozen=True)
class Hub:
    """A repository of the Hugging Face Hub; ``file`` where the model is one file of it."""

    repo: str
    revision: str
    file: str | None = None


@dataclasses.dataclass(frozen=True)
class Url:
    """One file."""

    url: str


@dataclasses.dataclass(frozen=True)
class Archive:
    """A tar.gz of a repository at a commit; ``files`` is a pattern for the names that are kept,
    without the archive's first folder."""

    url: str
    files: str


def hub_endpoint() -> str:
    """The Hub's address: ``HF_ENDPOINT``, or https://huggingface.co."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"


def source_of(spec: str, revision: str | None = None) -> Hub | Url | Archive:
    """Where ``spec`` is fetched from. UsageError where motionkit cannot fetch it, saying why."""
    place = place_of(spec)
    if revision is not None and not re.fullmatch(
        r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)*", revision
    ):
        raise UsageError(f"{revision!r} is no branch, tag, commit or release")
    if place.kind in YOLO_KINDS:
        return _ultralytics(place, revision)
    if place.kind == "cotracker3":
        return _cotracker(place, revision)
    if place.kind in HUB_KINDS:
        if place.name.count("/") != 1:
            raise UsageError(
                f"{spec}: write the model as on the Hugging Face Hub, {place.kind}:OWNER/NAME",
                hint="motionkit models list",
            )
        return Hub(place.name, revision or "main")
    kinds = ", ".join([*YOLO_KINDS, "cotracker3", *HUB_KINDS])
    raise UsageError(
        f"{spec}: models of the kind '{place.kind}' are not fetched; put the files at {place.path}",
        hint=f"what can be fetched: {kinds} (motionkit models list)",
    )


def _ultralytics(place: Place, revision: str | None) -> Url:
    name = place.name
    if not re.fullmatch(r"yolo[a-z0-9]+(?:-[a-z]+)?", name):
        raise UsageError(f"{place.spec}: no such file in the ultralytics releases")
    # Each generation came with its own release; yolo26 is the first that v8.3.0 lacks.
    release = revision or ("v8.4.0" if name.startswith("yolo26") else "v8.3.0")
    base = os.environ.get("MOTIONKIT_GITHUB", "").rstrip("/") or "https://github.com"
    return Url(f"{base}/ultralytics/assets/releases/download/{release}/{name}.pt")


def _cotracker(place: Place, revision: str | None) -> Hub | Archive:
    if place.name in COTRACKER:
        return Hub("facebook/cotracker3", revision or COTRACKER_COMMIT, COTRACKER[place.name])
    if place.name == "code":
        base = os.environ.get("MOTIONKIT_GITHUB", "").rstrip("/") or "https://github.com"
        commit = revision or COTRACKER_CODE_COMMIT
        return Archive(f"{base}/facebookresearch/co-tracker/archive/{commit}.tar.gz", _CODE_FILES)
    raise UsageError(
        f"there is no model {place.spec}", hint="cotracker3:offline, cotracker3:online or :code"
    )


def needed_by(backend: str) -> list[str]:
    """The models that a backend's spec needs: itself, nothing for the embedded ones, and for
    CoTracker3 its code beside the weights."""
    kind, _, name = backend.partition(":")
    if kind == "cotracker3":  # without a name, the length of the video decides which
        return [f"cotracker3:{model}" for model in ([name] if name else COTRACKER)] + [
            "cotracker3:code"
        ]
    name = name or DEFAULTS.get(kind, "")
    if name and kind in (*YOLO_KINDS, *HUB_KINDS):
        return [place_of(f"{kind}:{name}").spec]
    return []


def needed_by_recipe(resolved: Mapping[str, Any]) -> list[str]:
    """The models of a recipe's parameters (`Recipe.resolved`), each once, in their order."""
    found: dict[str, None] = {}
    for text in _strings(resolved):
        if re.fullmatch(r"[a-z0-9-]+(?::[A-Za-z0-9_][\w./+-]*)?", text):
            found.update(dict.fromkeys(needed_by(text)))
    return list(found)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _strings(inner)
