"""What a trained Lang2Motion makes of held-out sentences, beside the truth.

A choice is read, never a whole split: whole videos, by the hash of their ids, so that the samples
of one trajectory stay together. torch and the text encoder are loaded here and only where there
is a model; whatever is missing comes back as a sentence.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from motionkit.errors import MotionkitError, need_packages
from motionkit.metrics.retrieval import cosine_scores
from motionkit.metrics.trajectories import ade
from motionkit.shards.reader import Sample, ShardSet, open_shards
from motionkit.stage import digest

if TYPE_CHECKING:
    from motionkit.training.lang2motion_data import TrackData, TrackItem

Float = NDArray[np.floating]

#: Prompts drawn, and of those the ones whose search is shown, with so many answers each.
PROMPTS: Final = 12
SEARCHES: Final = 6
ANSWERS: Final = 3
#: Videos read at a time, and samples read at most.
_VIDEOS: Final = 40
_SAMPLES: Final = 800
#: Splits that training learns nothing from, the first that has anything.
_HELD_OUT: Final = ("test", "val")
#: Name of a finished model in its folder (`training.lang2motion.MODEL_FILE`, which needs torch).
CHECKPOINT: Final = "lang2motion.safetensors"
_TRAIN: Final = "motionkit train lang2motion"


@dataclass(frozen=True)
class Drawn:
    """A sentence, the trajectory that it was said of, and the one generated from it.

    ``true`` and ``made`` [T, N, 2] normalised (−1 and 1 at the picture's edges), ``visible``
    [T, N]; padding is cut off. ``ade_px`` and ``still_px`` are NaN where no point is seen after
    the first frame. ``problem`` says why nothing is drawn."""

    prompt: str
    size: tuple[int, int]
    true: Float
    visible: NDArray[np.bool_]
    made: Float
    ade_px: float
    still_px: float
    problem: str = ""


@dataclass(frozen=True)
class Answer:
    """A trajectory that a search found; ``said`` is the first sentence about it."""

    points: Float
    size: tuple[int, int]
    said: str
    right: bool


@dataclass(frozen=True)
class Search:
    """A sentence, the trajectories nearest to it, and the rank of the (best) right one."""

    prompt: str
    answers: tuple[Answer, ...]
    rank: int


@dataclass(frozen=True)
class Trajectories:
    """What the section shows; ``problem`` says why there is nothing, ``command`` what helps."""

    problem: str = ""
    command: str = ""
    remarks: tuple[str, ...] = ()
    split: str = ""
    grid: int = 0
    frames: int = 0
    drawn: tuple[Drawn, ...] = ()
    searches: tuple[Search, ...] = ()
    items: int = 0
    """Trajectories that were searched among …"""
    videos: int = 0
    """… of so many videos …"""
    of_videos: int = 0
    """… of the split's."""
    frame_size: tuple[int, int] = field(default=(640, 360))
    """Errors are in pixels of such a frame."""


def look_at(model: Path | None, shards: Path | None, frame_size: tuple[int, int]) -> Trajectories:
    """Generate for and search with sentences of a held-out split. Never raises for what is
    missing or damaged: `Trajectories.problem` then says so."""
    if model is None or not model.exists():
        return Trajectories("No Lang2Motion model was trained yet.", _TRAIN)
    if not (model / CHECKPOINT).is_file():
        return Trajectories("The training of the Lang2Motion model has not ended yet.", _TRAIN)
    if shards is None or not shards.exists():
        return Trajectories(
            "There is a Lang2Motion model, but no shards to take held-out trajectories from.",
            "motionkit build-shards",
        )
    try:
        need_packages(("torch", "safetensors"), "train", "drawing generated trajectories")
        return _look(model, open_shards(shards), frame_size)
    except MotionkitError as error:
        hint = f" ({error.hint})" if error.hint else ""
        return Trajectories(f"No trajectory can be shown: {error.message.rstrip('.')}.{hint}")


def _look(model: Path, opened: ShardSet, frame_size: tuple[int, int]) -> Trajectories:
    from motionkit.backends.text_encoder import text_encoder
    from motionkit.training.lang2motion import load_lang2motion
    from motionkit.training.lang2motion_config import from_table
    from motionkit.training.lang2motion_data import prepare
    from motionkit.training.lang2motion_task import generate_pairs

    try:
        network, facts = load_lang2motion(model)
        config, sizes = from_table(facts["config"]), network.config
        name, weights = str(facts["encoder"]), facts["encoder_weights"]
    except KeyError as error:  # of another version: other facts
        return Trajectories(
            f"No trajectory can be shown: the model does not fit this motionkit ({_first(error)}).",
            _TRAIN,
        )
    try:
        held = _held_out(opened, config, sizes.grid, sizes.frames)
    except (OSError, ValueError, pa.ArrowException) as error:
        return Trajectories(
            f"No trajectory can be shown: the shards cannot be read ({_first(error)}).",
            "motionkit build-shards",
        )
    items = held.items
    if not items:
        said = _nothing_held_out(opened, held.left, sizes.grid)
        return Trajectories(said, "motionkit build-shards")
    encoder = text_encoder(name)
    if encoder.identity() != weights:
        return Trajectories(
            "No trajectory can be shown: the model was trained with another text encoder "
            f"({_named(weights)}) than the one here "
            f"({_named(encoder.identity())})."
        )
    prompts = _prompts(items, held.video_of)
    asked = [
        dataclasses.replace(item, texts=(prompts[i],) if i in prompts else (), images=None)
        for i, item in enumerate(items)
    ]
    data = prepare(asked, sizes.grid, encoder)
    made = generate_pairs(network, data)
    order = {index: row for row, index in enumerate(prompts)}  # as chosen, not as stored
    rows = sorted(range(len(data.pairs)), key=lambda r: order[int(data.pairs[r, 0])])
    return Trajectories(
        remarks=tuple(_remarks(opened, facts, held.split, bool(sizes.image))),
        split=held.split,
        grid=sizes.grid,
        frames=sizes.frames,
        drawn=tuple(_drawn(data, row, made[row], frame_size) for row in rows),
        searches=tuple(_searches(network, data, items, rows[:SEARCHES])),
        items=len(items),
        videos=held.videos,
        of_videos=held.of_videos,
        frame_size=frame_size,
    )


@dataclass
class _HeldOut:
    """Items of one split, and what was not read or could not be used."""

    split: str = ""
    items: list[TrackItem] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)
    videos: int = 0
    """Read …"""
    of_videos: int = 0
    """… of so many."""
    video_of: dict[str, str] = field(default_factory=dict)
    """By sample id."""

    def noted(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """``samples``, as many as are read at most, each with its video remembered."""
        for sample in itertools.islice(samples, _SAMPLES - len(self.video_of)):
            self.video_of[sample.sample_id] = sample.video_id
            yield sample


def _held_out(opened: ShardSet, config: Any, grid: int, frames: int) -> _HeldOut:
    """Items of the first held-out split that has any."""
    from motionkit.training.lang2motion_data import load_items

    kind = None if config.kind == "all" else config.kind
    found = _HeldOut()
    for split in _HELD_OUT:
        found = _HeldOut(split)
        counts = opened.tracked_videos(split, grid=grid, kind=kind)
        ranked = sorted(counts, key=digest)
        found.of_videos = len(ranked)
        while found.videos < len(ranked) and len(found.items) < PROMPTS:
            room = _SAMPLES - len(found.video_of)
            chosen = ranked[found.videos : found.videos + _VIDEOS]
            while len(chosen) > 1 and sum(counts[video] for video in chosen) > room:
                chosen.pop()
            if room <= 0:
                break
            items, left = load_items(
                found.noted(opened.samples(split, kind=kind, videos=frozenset(chosen))),
                grid=grid,
                frames=frames,
                length=config.length,
                min_frames=config.min_frames,
            )
            found.items += items
            found.left += left
            found.videos += len(chosen)
        if found.items:
            break
    return found


def _nothing_held_out(opened: ShardSet, left: Counter[str], grid: int) -> str:
    counts = " and ".join(f"{opened.count(split)} in {split}" for split in _HELD_OUT)
    said = (
        f"The shards hold no held-out trajectory that the model can read: of the samples ({counts})"
        f" none has tracks of {grid}×{grid} points and a sentence."
    )
    reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(left.items()))
    return f"{said} Left out: {reasons}." if reasons else said


def _first(error: BaseException) -> str:
    """The first line of an error, cut: some hold a whole table."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _named(weights: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in sorted(weights.items()))


def _remarks(opened: ShardSet, facts: dict[str, Any], split: str, sees: bool) -> list[str]:
    said = []
    if facts.get("data") != opened.manifest_hash:
        said.append(
            "The model was trained on another shard set than this one: what is held out here may "
            "have been among what it learned from."
        )
    if split != _HELD_OUT[0]:
        said.append("The test split has nothing to show; these are of the val split.")
    if sees:
        said.append(
            "This model also reads pictures. Here it searches by the tracks alone, which finds "
            "less than it can."
        )
    return said


def _prompts(items: Sequence[TrackItem], video_of: Mapping[str, str]) -> dict[int, str]:
    """Sentences of up to `PROMPTS` items, no two the same: an item of each video first."""
    turns: dict[str, list[int]] = {}
    for index in sorted(range(len(items)), key=lambda i: digest(items[i].item_id)):
        turns.setdefault(video_of[items[index].item_id], []).append(index)
    ranked = sorted(
        (turn, digest(items[index].item_id), index)
        for mine in turns.values()
        for turn, index in enumerate(mine)
    )
    chosen: dict[int, str] = {}
    for _, _, index in ranked:
        texts = [t for t in items[index].texts if t.strip() and t not in chosen.values()]
        if texts and len(chosen) < PROMPTS:
            chosen[index] = min(texts, key=digest)
    return chosen


def _drawn(data: TrackData, row: int, made: Float, frame_size: tuple[int, int]) -> Drawn:
    index, sentence = (int(n) for n in data.pairs[row, :2])
    item = data.items[index]
    length = int(item.real.sum())
    prompt = data.sentences[sentence]
    true, seen, made = item.points[:length], item.visible[:length], made[:length]
    if not np.isfinite(made).all():
        problem = "the model gave no finite motion"
        return Drawn(prompt, item.size, true, seen, made, math.nan, math.nan, problem)
    still = np.repeat(true[:1], length, 0)
    off, stays_off = (ade(way, true, seen, frame_size) for way in (made, still))
    return Drawn(prompt, item.size, true, seen, made, off, stays_off)


def _searches(
    network: Any, data: TrackData, items: Sequence[TrackItem], rows: Sequence[int]
) -> list[Search]:
    """``items`` are those of ``data`` with all their sentences: the same words said of another
    trajectory make that one right as well."""
    from motionkit.training.lang2motion_task import embed_items, read_texts

    asked, said, item_of = read_texts(network, data)
    scores = cosine_scores(asked, embed_items(network, data, pictures=False))
    spoken = [{text.strip().casefold() for text in item.texts} for item in items]
    made = []
    for row in rows:
        words = said[row].strip().casefold()
        right = np.array([words in texts for texts in spoken])
        right[item_of[row]] = True
        best = scores[row][right].max()
        nearest = np.argsort(-scores[row], kind="stable")[:ANSWERS].tolist()
        answers = tuple(
            Answer(
                items[i].points[: int(items[i].real.sum())],
                items[i].size,
                next((t for t in items[i].texts if t.strip()), ""),
                bool(right[i]),
            )
            for i in nearest
        )
        rank = 1 + int((scores[row][~right] >= best).sum())
        made.append(Search(said[row], answers, rank))
    return made
