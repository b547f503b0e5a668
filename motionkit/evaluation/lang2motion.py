"""Lang2Motion on a split: retrieval both ways, and generation from text, beside its baselines.

Every number stands beside what needs no model (`metrics.trajectory_baselines`): without those an
ADE says nothing, since most objects hardly move. A query is a pair of a sentence and its
trajectory, so an item with five sentences counts five times; R@K says how many of each there are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from motionkit.errors import UsageError
from motionkit.metrics.retrieval import KS, Recall, both_ways, recall, relevance_of
from motionkit.metrics.trajectories import FRAME_SIZE, Quality, quality
from motionkit.metrics.trajectory_baselines import (
    borrowed,
    displacements,
    mean_motion,
    nearest_text,
    random_motion,
    static,
)
from motionkit.models.lang2motion.model import Lang2Motion
from motionkit.training.lang2motion import (
    FEATURES,
    find_pictures,
    load_lang2motion,
    overlay_folder,
)
from motionkit.training.lang2motion_config import Lang2MotionTrainConfig, from_table
from motionkit.training.lang2motion_data import TrackData, TrackItem, load_items, prepare
from motionkit.training.lang2motion_task import embed_items, generate_pairs, read_texts

VERSION = 1


def evaluate_lang2motion(
    model: Path,
    shards: Path,
    *,
    split: str = "test",
    overlays: Path | None = None,
    frame_size: tuple[int, int] = FRAME_SIZE,
    seed: int = 0,
    ks: tuple[int, ...] = KS,
) -> dict[str, Any]:
    """The report on ``split`` of the shards, JSON-ready; baselines learn from the train split.

    Pixel errors are stated for ``frame_size``. UsageError where the split has nothing to judge by,
    or another text encoder is installed than the model was trained with.
    """
    from motionkit.backends.feature_cache import FeatureCache
    from motionkit.backends.text_encoder import of_sentences, text_encoder
    from motionkit.shards.reader import open_shards

    network, facts = load_lang2motion(model)
    config = from_table(facts["config"])
    encoder = text_encoder(facts["encoder"])
    if encoder.identity() != facts["encoder_weights"]:
        raise UsageError(
            f"the model was trained with {facts['encoder_weights']}, here is {encoder.identity()}.",
            hint="use the machine or the weights it was trained with",
        )
    folder = model if model.is_dir() else model.parent
    kept: FeatureCache[str] = FeatureCache(folder / FEATURES, encoder)
    opened = open_shards(shards)
    features = None
    if network.config.image:
        features = find_pictures(
            config, overlay_folder(shards, overlays), encoder.identity()
        ).features
    sets, left = [], {}
    for name in (split, "train"):
        items, out = _items(opened.samples(name, kind=_kind(config)), network, config, features)
        left[name] = dict(out)
        sets.append(prepare(items, network.config.grid, kept))
    data, train = sets
    if not len(data.pairs):
        raise UsageError(
            f"the split {split} has no trajectory with a sentence ({left[split]}).",
            hint="choose another --split, or build shards with tracks and captions",
        )
    sentences, like = of_sentences(facts["encoder"]), kept
    if sentences != facts["encoder"]:
        like = FeatureCache(folder / FEATURES, text_encoder(sentences))
    report = measure(
        network, data, train, frame_size=frame_size, seed=seed, ks=ks, like=like.encode
    )
    return {
        "version": VERSION,
        "model": str(model),
        "split": split,
        "shards": opened.manifest_hash,
        "encoder": facts["encoder"],
        "pictures": facts["pictures"],
        "left_out": left,
        **report,
    }


def _kind(config: Lang2MotionTrainConfig) -> str | None:
    return None if config.kind == "all" else config.kind


def _items(
    samples: Any,
    network: Lang2Motion,
    config: Lang2MotionTrainConfig,
    features: Mapping[str, NDArray[np.float16]] | None,
) -> tuple[list[TrackItem], Mapping[str, int]]:
    return load_items(
        samples,
        grid=network.config.grid,
        frames=network.config.frames,
        length=config.length,
        min_frames=config.min_frames,
        images=features,
    )


def measure(
    network: Lang2Motion,
    data: TrackData,
    train: TrackData,
    *,
    frame_size: tuple[int, int] = FRAME_SIZE,
    seed: int = 0,
    ks: tuple[int, ...] = KS,
    like: Callable[[list[str]], NDArray[np.float32]] | None = None,
) -> dict[str, Any]:
    """Retrieval and generation on ``data``; ``train`` lends its motions to the baselines.

    ``like``: features of sentences in which the nearest training sentence is looked for; None:
    the text encoder's own.

    ``{"retrieval": {method: {direction: …}}, "generation": {method: …}, …}``; methods other than
    ``model`` are baselines. Without training items only those that need none are there.
    """
    network.eval()
    asked, said, item_of = read_texts(network, data)
    latents = embed_items(network, data)
    relevant = relevance_of(said, item_of.tolist(), len(data.items))
    true = np.stack([item.points for item in data.items])[item_of]
    seen = np.stack([item.visible for item in data.items])[item_of]
    first = true[:, 0]
    made: dict[str, NDArray[Any]] = {
        "model": generate_pairs(network, data),
        "static": static(first, true.shape[1]),
    }
    retrieval = {"model": both_ways(asked, latents, relevant, ks)}
    if len(train.pairs):
        lent = np.stack([item.points for item in train.items])
        shown = np.stack([item.visible for item in train.items])
        # By the text encoder's own features: a baseline borrows nothing from the model.
        own_features, _, _ = data.own_texts()
        known, known_said, of_train = train.own_texts()
        nearest = nearest_text(
            own_features.numpy() if like is None else like(said),
            known.numpy() if like is None else like(known_said),
            of_train,
        )
        made["mean motion"] = mean_motion(first, lent, shown)
        made["nearest text"] = borrowed(first, lent, nearest)
        made["random"] = random_motion(first, lent, seed=seed)
        scores = _likeness(lent[nearest], data)
        retrieval["nearest text"] = {
            "text_to_trajectory": recall(scores, relevant, ks),
            "trajectory_to_text": recall(scores.T, relevant.T, ks),
        }
    own = {name: quality(m, true, seen, frame_size=frame_size) for name, m in made.items()}
    own["teacher forcing"] = quality(
        _reconstructed(network, latents, data, item_of), true, seen, frame_size=frame_size
    )
    table = {name: _row(q, _similarity(network, made.get(name), asked)) for name, q in own.items()}
    return {
        "retrieval": {
            name: {way: _recall(found) for way, found in ways.items()}
            for name, ways in retrieval.items()
        },
        "generation": table,
        "frame_size": list(frame_size),
        "items": len(data.items),
        "sentences": len(said),
        "train_items": len(train.items),
        "similarity_true": _similarity(network, true, asked),
        "visibility": "not predicted: every generated point is said to be visible",
    }


def _likeness(lent: NDArray[np.floating], data: TrackData) -> NDArray[np.float64]:
    """Scores [P, items]: minus the mean distance between a lent motion and an item's, as
    displacements, over what is seen of the item."""
    moves = displacements(np.stack([item.points for item in data.items]))
    seen = np.stack([item.visible for item in data.items])
    count = np.maximum(seen.sum((1, 2)), 1)
    scores = np.zeros((len(lent), len(moves)))
    for row, motion in enumerate(displacements(lent)):
        gap = np.linalg.norm(moves - motion, axis=-1)
        scores[row] = -np.where(seen, gap, 0.0).sum((1, 2)) / count
    return scores


@torch.no_grad()
def _reconstructed(
    network: Lang2Motion, latents: NDArray[np.float32], data: TrackData, item_of: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Decoded from z_p with the true last position at every step, as in training: the paper's
    "teacher forcing" row. No generated motion, and no baseline."""
    device = next(network.parameters()).device
    points = torch.from_numpy(np.stack([item.points for item in data.items])).to(device)
    made = network.decoder.taught(torch.from_numpy(latents).to(device), points)
    found: NDArray[np.float32] = made.float().cpu().numpy()[item_of]
    return found


@torch.no_grad()
def _similarity(
    network: Lang2Motion, points: NDArray[Any] | None, asked: NDArray[np.float32]
) -> float | None:
    """Mean cosine of the latents of trajectories with their sentences, without pictures."""
    if points is None:
        return None
    device = next(network.parameters()).device
    total = 0.0
    for start in range(0, len(points), 256):
        part = torch.from_numpy(points[start : start + 256].astype(np.float32)).to(device)
        latent = network.encode(part).float().cpu()
        text = torch.from_numpy(asked[start : start + 256])
        total += float(torch.nn.functional.cosine_similarity(latent, text, dim=-1).sum())
    return total / len(points)


def _row(found: Quality, similarity: float | None) -> dict[str, Any]:
    row = dataclasses.asdict(found)
    del row["frame_size"], row["count"]
    numbers = {k: None if v != v else round(v, 6) for k, v in row.items()}
    return {**numbers, "similarity": None if similarity is None else round(similarity, 6)}


def _recall(found: Recall) -> dict[str, Any]:
    def shares(values: Mapping[int, float]) -> dict[str, float]:
        return {str(k): round(v, 6) for k, v in values.items()}

    return {**dataclasses.asdict(found), "at": shares(found.at), "chance": shares(found.chance)}


def lines_of(report: Mapping[str, Any]) -> list[str]:
    """The report for people: two tables."""
    out = []
    ways: tuple[tuple[str, str], ...] = (
        ("text_to_trajectory", "text → trajectory"),
        ("trajectory_to_text", "trajectory → text"),
    )
    for way, title in ways:
        found = report["retrieval"]["model"][way]
        out.append(
            f"{title}: {found['queries']} queries, {found['gallery']} to choose from, "
            f"{found['relevant']:.2f} right a query"
        )
        rows = {name: ways[way]["at"] for name, ways in report["retrieval"].items()}
        rows["chance"] = found["chance"]
        for name, at in rows.items():
            out.append(f"  {name:<16}" + "  ".join(f"R@{k} {v:6.1%}" for k, v in at.items()))
    width, height = report["frame_size"]
    out.append(f"generation from text; px of a {width}×{height} frame; AJ, OA as TAP-Vid (256×256)")
    number: Callable[[Any, str], str] = lambda v, f: "-" if v is None else format(v, f)  # noqa: E731
    head = "  ".join(f"{n:>7}" for n in ("ADE px", "FDE px", "ADE", "FDE"))
    out.append(f"  {'':<16}{head}  {'smooth':>7}  {'AJ':>6}  {'OA':>6}  {'sim':>6}")
    for name, row in report["generation"].items():
        out.append(
            f"  {name:<16}{number(row['ade_px'], '7.2f')}  {number(row['fde_px'], '7.2f')}  "
            f"{number(row['ade'], '7.4f')}  {number(row['fde'], '7.4f')}  "
            f"{number(row['smoothness'], '7.4f')}  {number(row['average_jaccard'], '6.3f')}  "
            f"{number(row['occlusion_accuracy'], '6.3f')}  {number(row['similarity'], '6.3f')}"
        )
    out.append(f"{report['items']} trajectories, {report['sentences']} sentences; "
               f"{report['train_items']} training trajectories; points' visibility is "
               f"{report['visibility']}")  # fmt: skip
    return out
