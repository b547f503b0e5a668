"""What a motion is made from: a text, a sample of a shard set, or an .npz of trajectories."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError, UsageError
from motionkit.generation.lang2motion_files import read_trajectory
from motionkit.generation.lang2motion_grid import StartGrid
from motionkit.generation.lang2motion_model import Float, TrajectoryModel
from motionkit.generation.prompts import Prompt, checked
from motionkit.rle import decode_rle
from motionkit.shards.reader import Sample, ShardSet
from motionkit.training.lang2motion_data import load_items

#: Ids as `build-shards` makes them: such a word is meant as one, not as a text.
_AN_ID: Final = re.compile(r"v[0-9a-f]{16}-[0-9a-f-]+")
#: What may stand before an operand to say what it is.
KINDS = ("text", "sample", "file")


@dataclass(frozen=True)
class Operand:
    """A latent, and for a trajectory where it starts."""

    name: str
    """As it was given."""
    kind: str
    """text, sample or file."""
    latent: Float
    """[D], length 1."""
    text: str
    """The text itself, or what is said of the trajectory; may be empty."""
    start: StartGrid | None = None
    """Of a trajectory."""
    points_px: NDArray[np.float32] | None = None
    """[T, N, 2] of a trajectory, as it is."""


def find_samples(shards: ShardSet, ids: Sequence[str]) -> dict[str, Sample]:
    """Those of ``ids`` that the set has, by id. Reads the column of ids, and whole row groups
    only where one is found."""
    import pyarrow.parquet as pq

    wanted = set(ids)
    found: dict[str, Sample] = {}
    for file in shards.files():
        if not wanted:
            break
        there = set(pq.read_table(file, columns=["sample_id"])["sample_id"].to_pylist())
        if not wanted & there:
            continue
        one = {**shards.manifest, "shards": [s for s in shards.manifest["shards"]
                                             if shards.path / s["path"] == file]}  # fmt: skip
        for sample in ShardSet(shards.path, one, shards.manifest_hash).samples():
            if sample.sample_id in wanted:
                found[sample.sample_id] = sample
                wanted.discard(sample.sample_id)
    return found


def read_operands(
    model: TrajectoryModel, names: Sequence[str], shards: ShardSet | None
) -> list[Operand]:
    """The operands called ``names``.

    ``text:…``, ``sample:ID`` and ``file:PATH`` say what they are; of the others, what ends with
    .npz is a file, the id of a sample of ``shards`` is that sample, and the rest are texts.
    InputError 'bad-prompt', 'sample-unknown', 'no-tracks', 'trajectory-unreadable', 'other-grid'.
    """
    split = [_kind(name) for name in names]
    asked = [rest for kind, rest in split if kind in ("sample", "")]
    found = find_samples(shards, asked) if shards is not None and asked else {}
    return [
        _operand(model, name, *part, found, shards) for name, part in zip(names, split, strict=True)
    ]


def _kind(name: str) -> tuple[str, str]:
    kind, colon, rest = name.partition(":")
    if colon and kind in KINDS:
        return kind, rest
    return ("file", name) if name.lower().endswith(".npz") else ("", name)


def _operand(
    model: TrajectoryModel,
    name: str,
    kind: str,
    rest: str,
    found: dict[str, Sample],
    shards: ShardSet | None,
) -> Operand:
    if kind == "file":
        return operand_of_file(model, Path(rest), name)
    if kind != "text" and rest in found:
        return operand_of_sample(model, found[rest], name)
    if kind == "sample" or (not kind and _AN_ID.fullmatch(rest)):
        where = f"{shards.path} has no sample" if shards is not None else "there are no shards for"
        raise InputError(
            "sample-unknown",
            f"{where} {rest[:80]!r}",
            hint="motionkit retrieve shows ids; --shards names another set",
        )
    text = rest.strip()
    checked(Prompt((text,)))
    return Operand(name, "text", model.texts([text])[0], text)


def operand_of_file(model: TrajectoryModel, path: Path, name: str | None = None) -> Operand:
    """The trajectory of an .npz; InputError as `read_operands`."""
    read = read_trajectory(path)
    points, real = model.fit(read.points_px, read.visible, read.size, model.training.length)
    latent = model.encode(points[None], real[None])[0]
    start = StartGrid(read.points_px[0], read.size, f"file {path.name}", fps=read.fps)
    return Operand(name or str(path), "file", latent, read.text, start, read.points_px)


def operand_of_sample(model: TrajectoryModel, sample: Sample, name: str | None = None) -> Operand:
    """The tracks of a sample, with the features of its overlay frames where the model has them;
    InputError as `read_operands`."""
    items, left = load_items(
        [sample], grid=model.grid, frames=model.frames, length=model.training.length,
        images=model.images, need_text=False,
    )  # fmt: skip
    if not items:
        (reason,) = left
        points = "no" if sample.tracks is None else str(sample.tracks.points.shape[1])
        raise InputError(
            reason,
            f"the sample {sample.sample_id} has {points} tracked points; this model reads "
            f"{model.grid**2}, over 2 frames or more",
            hint=f"track with --grid {model.grid}, or name another sample",
        )
    (item,) = items
    pictures = model.pictures_of([item.images])
    latent = model.encode(item.points[None], item.real[None], pictures)[0]
    tracks = sample.tracks
    assert tracks is not None
    size = (sample.width, sample.height)
    source = f"sample {sample.sample_id}"
    start = StartGrid(tracks.points[0], size, source, mask_of(sample), sample.fps)
    text = next((text for text, _ in sample.captions), "")
    return Operand(name or sample.sample_id, "sample", latent, text, start, tracks.points)


def mask_of(sample: Sample) -> NDArray[np.bool_] | None:
    """The sample's mask on its first tracked frame, where the shard has one."""
    if sample.masks is None or sample.tracks is None or sample.tracks.first >= len(sample.masks):
        return None
    counts = sample.masks[sample.tracks.first]
    if counts is None:
        return None
    try:
        return decode_rle({"size": [sample.height, sample.width], "counts": counts})
    except ValueError:
        return None  # the grid is there all the same; a mask is only shown


def start_of(operands: Sequence[Operand]) -> StartGrid | None:
    """Where the first trajectory among the operands starts; None where all are texts."""
    return next((o.start for o in operands if o.start is not None), None)


def need_start(start: StartGrid | None) -> StartGrid:
    """UsageError where there is no grid to start from."""
    if start is None:
        raise UsageError(
            "nothing says where the motion starts.",
            hint="give --mask, --box, or --shards that one may be retrieved from",
        )
    return start
