"""Zero-shot classes: a trajectory's latent held against those of class names in a sentence."""

from __future__ import annotations

import csv
import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError, UsageError
from motionkit.evaluation.skeleton_points import as_grid
from motionkit.evaluation.skeletons import read_skeletons
from motionkit.generation.lang2motion_files import read_trajectory
from motionkit.generation.lang2motion_index import Told, TrajectoryIndex
from motionkit.generation.lang2motion_model import Float, TrajectoryModel
from motionkit.generation.prompts import Prompt, checked

TEMPLATE: Final = "{}"
#: Classes named with each item.
SHOWN: Final = 5
_LARGEST: Final = 4 << 20
_MOST: Final = 10_000
_SKELETONS: Final = (".skeleton", ".json")


@dataclass(frozen=True)
class Classified:
    """An item, and the classes nearest to it."""

    item: str
    """A file's name below what was given, or a sample's id."""
    classes: tuple[str, ...]
    """Up to five, the nearest first."""
    similarities: tuple[float, ...]
    label: str | None = None
    """The true class, where it is known and in the list."""
    rank: int | None = None
    """Of the true class; 1 is right. A tie counts against it."""
    bodies: int | None = None
    """Of a skeleton file: how many bodies it shows."""
    body: str | None = None
    """Which of them was classified: its id in the file, where it has one."""
    chosen_by: str | None = None
    """Why that one, where there are several (`SkeletonClip.chosen_by`): motion, scores."""


@dataclass(frozen=True)
class Unclassified:
    """An item that could not be read; the others go on."""

    item: str
    code: str
    message: str


def read_classes(given: str) -> list[str]:
    """Class names of a file (one a line; of ``number<TAB or comma>name`` lines the name), or of a
    text with commas. UsageError for fewer than two, one twice, or a file too large."""
    path = Path(given)
    one = "\n" not in given and "," not in given and len(given) < 1024
    if one and (path.is_dir() or (path.suffix and not path.exists())):
        said = "is a folder" if path.is_dir() else "is not there"
        raise UsageError(f"{path} {said}.", hint="--classes takes a file, or run,jump,sit")
    if "\n" not in given and len(given) < 1024 and path.is_file():
        try:
            if path.stat().st_size > _LARGEST:
                raise UsageError(f"{path} is too large for a list of classes.")
            lines = path.read_bytes().decode("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} cannot be read as a list of classes: {error}") from error
        names = [re.sub(r"^\s*A?\d{1,5}\s*[\t,.:;]\s*", "", line).strip() for line in lines]
    else:
        names = [name.strip() for name in given.split(",")]
    names = [name for name in names if name]
    twice = [name for name, count in Counter(map(str.casefold, names)).items() if count > 1]
    if twice or not 2 <= len(names) <= _MOST:
        said = f"--classes names {len(names)}, where 2 to {_MOST} belong"
        if twice:
            said = f"the class {twice[0][:80]!r} stands there twice"
        raise UsageError(
            f"{said}.", hint="give a file with a class a line, or names with commas: run,jump,sit"
        )
    return names


def class_latents(model: TrajectoryModel, classes: Sequence[str], template: str) -> Float:
    """[C, D]; ``template`` has one {} for the name. UsageError for another one."""
    if template.count("{}") != 1:
        raise UsageError(
            f"the template {template[:80]!r} has not one {{}}.", hint="write: 'a person is {}'"
        )
    texts = [template.replace("{}", name) for name in classes]
    for text, name in zip(texts, classes, strict=True):
        try:
            checked(Prompt((text,)))
        except InputError as error:
            raise UsageError(
                f"the class {name[:80]!r}: {error.message}", hint="give names in words"
            ) from error
    return model.texts(texts)


class Classifier:
    """A model and its classes."""

    def __init__(
        self,
        model: TrajectoryModel,
        classes: Sequence[str],
        *,
        template: str = TEMPLATE,
        length: str = "resample",
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """``length``: how a skeleton or file of other than the model's frames is fitted
        (`lang2motion_data.fitted`); resample shows the model all of an action. ``labels``: true
        classes by item, before what the files say."""
        self.model, self.classes, self.length = model, list(classes), length
        self.latents = class_latents(model, classes, template)
        self.labels = dict(labels or {})
        self._place = {name.casefold(): i for i, name in enumerate(classes)}

    def files(
        self, paths: Iterable[Path], told: Told | None = None
    ) -> Iterator[Classified | Unclassified]:
        """Files and folders of skeletons (.skeleton, .json) and of trajectories (.npz). UsageError
        for a path that is not there, or no such file in a folder; a file that cannot be read comes
        out as `Unclassified`."""
        given = list(_expanded(paths))
        for done, (path, name) in enumerate(given, 1):
            try:
                yield self._file(path, name)
            except InputError as error:
                yield Unclassified(name, error.code, error.message)
            if told is not None:
                told("classify", done, len(given))

    def index(self, index: TrajectoryIndex) -> Iterator[Classified]:
        """All trajectories of a shard set; a class is known where a sentence is its name."""
        for latent, facts in index.rows():
            own = [t for t in facts["texts"] if t.strip().casefold() in self._place]
            yield self._judge(facts["item_id"], np.asarray(latent), own[0] if own else None, None)

    def _file(self, path: Path, name: str) -> Classified:
        if path.suffix.lower() == ".npz":
            read = read_trajectory(path)
            latent = self._latent(read.points_px, read.visible, read.size)
            return self._judge(name, latent, read.text or None, None)
        clip = read_skeletons(path)
        main = clip.bodies[0]
        if main.visible.any(1).sum() < 2:
            raise InputError("too-short", f"{path.name} shows its main body in one frame alone.")
        body = as_grid(main, clip.bones, self.model.grid)
        latent = self._latent(body.points, body.visible, clip.size)
        several = len(clip.bodies) > 1
        return dataclasses.replace(
            self._judge(name, latent, clip.label, clip.label_index),
            bodies=len(clip.bodies),
            body=main.name or None,
            chosen_by=clip.chosen_by if several else None,
        )

    def _latent(
        self, points: NDArray[np.float32], visible: NDArray[np.bool_], size: tuple[int, int]
    ) -> Float:
        fitted, real = self.model.fit(points, visible, size, self.length)
        return self.model.encode(fitted[None], real[None])[0]

    def _judge(self, name: str, latent: Float, label: str | None, index: int | None) -> Classified:
        scores = self.latents @ latent
        order = np.argsort(-scores, kind="stable")[:SHOWN]
        true = self._true(name, label, index)
        rank = None
        if true is not None:
            others = np.delete(scores, true)
            rank = int((others >= scores[true]).sum()) + 1
        return Classified(
            name,
            tuple(self.classes[i] for i in order),
            tuple(round(float(scores[i]), 6) for i in order),
            None if true is None else self.classes[true],
            rank,
        )

    def _true(self, name: str, label: str | None, index: int | None) -> int | None:
        """The class by the given labels, by the file's own name for it, or by its number."""
        given = self.labels.get(name)
        for text in (given, label):
            if text is not None and text.strip().casefold() in self._place:
                return self._place[text.strip().casefold()]
        if given is None and label is None and index is not None:
            return index if 0 <= index < len(self.classes) else None
        return None


def _expanded(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Files, and those below folders in the order of their names, each with a name to print."""
    kinds = (*_SKELETONS, ".npz")
    for path in paths:
        if not path.exists():
            raise UsageError(f"there is no {path}.", hint=f"give {', '.join(kinds)} or folders")
        if not path.is_dir():
            yield path, path.name
            continue
        below = [p for p in sorted(path.rglob("*")) if p.suffix.lower() in kinds and p.is_file()]
        if not below:
            raise UsageError(f"{path} holds no file to classify.", hint=f"give {', '.join(kinds)}")
        yield from ((file, str(file.relative_to(path))) for file in below)


def read_labels(path: Path) -> dict[str, str]:
    """A CSV with the columns item and label. UsageError for anything else."""
    try:
        if path.stat().st_size > 16 * _LARGEST:
            raise UsageError(f"{path} is too large for a list of labels.")
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            if not {"item", "label"} <= set(reader.fieldnames or ()):
                raise UsageError(f"{path} has no columns item and label.", hint="item,label")
            return {row["item"]: row["label"] for row in reader if row["item"] and row["label"]}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as a list of labels: {error}") from error


def summary(
    found: Sequence[Classified | Unclassified], classes: Sequence[str], most: int = 10
) -> dict[str, Any]:
    """Counts, top-1 and top-5 over those whose class is known, and what is taken for what."""
    judged = [one for one in found if isinstance(one, Classified)]
    known = [one for one in judged if one.rank is not None]
    failed = Counter(one.code for one in found if isinstance(one, Unclassified))
    made: dict[str, Any] = {
        "items": len(judged),
        "failed": dict(sorted(failed.items())),
        "several_bodies": sum((one.bodies or 1) > 1 for one in judged),
        "labelled": len(known),
        "classes": len(classes),
        "predicted": dict(Counter(one.classes[0] for one in judged).most_common(most)),
    }
    if not known:
        return made
    ranks = np.array([one.rank for one in known])
    pairs = Counter((one.label, one.classes[0]) for one in known if one.rank != 1)
    groups: dict[str, list[int]] = {}
    for one in known:
        groups.setdefault(str(one.label), []).append(int(one.rank == 1))
    made |= {
        "top_1": round(float((ranks <= 1).mean()), 6),
        "top_5": round(float((ranks <= SHOWN).mean()), 6),
        "chance_1": round(1 / len(classes), 6),
        "chance_5": round(min(1.0, SHOWN / len(classes)), 6),
        "per_class": {
            name: {"items": len(hits), "top_1": round(float(np.mean(hits)), 6)}
            for name, hits in sorted(groups.items())
        },
        "confused": [
            {"true": true, "taken_for": said, "items": count}
            for (true, said), count in pairs.most_common(most)
        ],
    }
    return made


def rows_of(found: Iterable[Classified | Unclassified]) -> list[dict[str, Any]]:
    """JSON-able."""
    return [dataclasses.asdict(one) for one in found]
