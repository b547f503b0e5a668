"""Trains Lang2Motion from a shard set with point tracks, and loads what came out."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from motionkit.backends.text_encoder import TextEncoder
from motionkit.errors import TrainingError, UsageError
from motionkit.models.lang2motion.config import Lang2MotionConfig
from motionkit.models.lang2motion.model import Lang2Motion
from motionkit.training import random_state
from motionkit.training.checkpoint import load_checkpoint, pack, save_checkpoint, unpack
from motionkit.training.k2m_config import as_table, changed
from motionkit.training.lang2motion_config import Lang2MotionTrainConfig
from motionkit.training.lang2motion_data import TrackItem, load_items, prepare
from motionkit.training.lang2motion_task import Lang2MotionTask
from motionkit.training.loop import Clock, Place, fit
from motionkit.training.metric_log import Log, MetricLog
from motionkit.training.ranks import Ranks, together

#: What `train` leaves in its folder.
MODEL_FILE = "lang2motion.safetensors"
LOG_FILE = "train_log.jsonl"
#: Features of the captions (`backends.feature_cache`); may be deleted.
FEATURES = "text_features"
STAGE = "lang2motion"


@dataclass(frozen=True)
class Lang2MotionSummary:
    """What a training did."""

    model: Path
    log: Path
    steps: int
    items: int
    """Trajectories of the train split, each with its sentences."""
    pairs: int
    """Pairs of trajectory and sentence."""
    left_out: dict[str, int]
    """Samples of the train split that could not be used, by reason."""
    pictures: str
    """Whether the image branch is on, and if not why."""
    stopped_early: bool
    """`max_minutes` ran out."""
    seconds: float
    last: dict[str, float]
    """The last logged numbers."""


@dataclass(frozen=True)
class Pictures:
    """Features of overlay frames by sample id, their size, and a sentence on what there is."""

    said: str
    dim: int = 0
    features: Mapping[str, NDArray[np.float16]] | None = None


def train_lang2motion(
    config: Lang2MotionTrainConfig,
    *,
    shards: Path,
    out: Path,
    overlays: Path | None = None,
    resume: bool = True,
    log: Log | None = None,
) -> Lang2MotionSummary:
    """Trains on the tracks in ``shards``; writes checkpoints and log into ``out``.

    ``overlays``: folder of the picture features; None: ``overlay_features`` beside the shards.
    ``resume`` goes on from what ``out`` holds, if it was made with the same configuration and
    shards (UsageError if not); False starts again. ``log`` gets every logged row, and in it as
    ``of`` how many steps there will be. TrainingError
    for unusable data or a loss that is not finite.
    """
    return together(config, _train_shards, config, shards, out, overlays, resume, log=log)


def _train_shards(
    ranks: Ranks,
    log: Log | None,
    config: Lang2MotionTrainConfig,
    shards: Path,
    out: Path,
    overlays: Path | None,
    resume: bool,
) -> Lang2MotionSummary:
    from motionkit.shards.reader import open_shards

    opened = open_shards(shards)
    pictures = find_pictures(config, overlay_folder(shards, overlays))
    kind = None if config.kind == "all" else config.kind
    sizes = config.sizes()
    found = [
        load_items(
            opened.samples(split, kind=kind),
            grid=sizes.grid,
            frames=sizes.frames,
            length=config.length,
            min_frames=config.min_frames,
            images=pictures.features,
        )
        for split in ("train", "val")
    ]
    (items, left), (val, _) = found
    return _train(ranks, log, config, items, val, left, pictures, opened.manifest_hash, out, resume)


def train_on(
    config: Lang2MotionTrainConfig,
    *,
    items: Sequence[TrackItem],
    val: Sequence[TrackItem] = (),
    data_hash: str,
    out: Path,
    resume: bool = True,
    log: Log | None = None,
) -> Lang2MotionSummary:
    """`train_lang2motion` on given items. ``data_hash`` names the data in checkpoints."""
    dims = {item.images.shape[1] for item in items if item.images is not None}
    if len(dims) > 1:
        raise TrainingError("picture features of two sizes.", hint="take them of one encoder")
    pictures = Pictures("given", dims.pop()) if dims else Pictures("off: none were given")
    args = (config, items, val, Counter[str](), pictures, data_hash, out, resume)
    return together(config, _train, *args, log=log)


def overlay_folder(shards: Path, overlays: Path | None) -> Path:
    """The folder of the picture features: that given, or the one beside the shards."""
    from motionkit.shards.overlays import FOLDER

    return overlays or Path(shards).absolute().parent / FOLDER


def find_pictures(
    config: Lang2MotionTrainConfig, folder: Path, encoder: Mapping[str, str] | None = None
) -> Pictures:
    """The picture features in ``folder`` that are in the space of the text encoder, or the reason
    why there are none. TrainingError where the configuration insists. ``encoder``: the identity of
    the text encoder; None: of the one that the configuration names."""
    from motionkit.backends.text_encoder import text_encoder
    from motionkit.shards.overlays import find_overlays

    why = ""
    if config.pictures == "off":
        return Pictures("off: pictures = off")
    if not config.encoder.startswith("clip:"):
        why = f"the text encoder {config.encoder} has no pictures in its space"
    else:
        identity = text_encoder(config.encoder).identity() if encoder is None else encoder
        sets = find_overlays(folder, identity)
        if not sets:
            why = f"no features of overlay frames by {config.encoder} in {folder}"
        elif len(sets) > 1:
            names = "; ".join(f"{s.path.name}: {s.drawing}" for s in sets)
            raise TrainingError(
                f"{folder} holds features of {len(sets)} drawings ({names}).",
                hint="move the others away, or name a folder that has one with --overlays",
            )
        else:
            features = sets[0].load()
            said = f"on: features of {len(features)} samples in {sets[0].path}"
            return Pictures(said, sets[0].dim, features)
    if config.pictures == "on":
        raise TrainingError(f"pictures = on, but {why}.", hint="run 'motionkit overlays' first")
    return Pictures(f"off: {why}")


def _train(
    ranks: Ranks,
    heard: Log | None,
    config: Lang2MotionTrainConfig,
    items: Sequence[TrackItem],
    val: Sequence[TrackItem],
    left: Counter[str],
    pictures: Pictures,
    data_hash: str,
    out: Path,
    resume: bool,
) -> Lang2MotionSummary:
    """In one of the processes that train together."""
    from motionkit.backends.feature_cache import FeatureCache
    from motionkit.backends.text_encoder import text_encoder

    if not items:
        raise TrainingError(
            "the shard set has no trajectories to train on"
            + "".join(f"; {n} samples: {reason}" for reason, n in left.items())
            + ".",
            hint=f"track with --grid {config.sizes().grid}, caption, and build the shards again",
        )
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    encoder = text_encoder(config.encoder)
    sizes, vectors = sizes_for(config, encoder, pictures.dim)
    kept: FeatureCache[str] = FeatureCache(out / FEATURES, encoder)
    data, held = (prepare(part, sizes.grid, kept) for part in (items, val))
    stage = config.stage(len(data.pairs))
    facts = {
        "kind": "lang2motion",
        "config": as_table(config),
        "sizes": dataclasses.asdict(sizes),
        "data": data_hash,
        "encoder": config.encoder,
        "encoder_weights": encoder.identity(),
        "pictures": pictures.said,
    }
    place = Place(out, facts, same=("config", "sizes", "data", "encoder_weights"))
    if not resume and ranks.first:
        for path in (place.resume_file(STAGE), out / MODEL_FILE):
            path.unlink(missing_ok=True)
    ranks.wait()
    clock = Clock(config.max_minutes)
    log = MetricLog(
        out / LOG_FILE if ranks.first else None,
        (STAGE,),
        None if heard is None else lambda row: heard({**row, "of": stage.steps}),
        tensorboard=out / "tensorboard" if config.tensorboard else None,
    )
    random_state.seed_all(config.seed)
    model = Lang2Motion(sizes)
    model.reader.fit(data.features, vectors)
    ranks.part_ways(config.seed)
    task = Lang2MotionTask(data, held, config, stage.steps)
    state = fit(task, model, STAGE, stage, config, place, ranks=ranks, log=log, clock=clock)
    log.close()
    path = out / MODEL_FILE
    if ranks.first:
        tensors = pack("lang2motion", model.state_dict())
        save_checkpoint(path, tensors, {**facts, "steps": state.step})
    return Lang2MotionSummary(
        model=path,
        log=out / LOG_FILE,
        steps=state.step,
        items=len(items),
        pairs=len(data.pairs),
        left_out=dict(left),
        pictures=pictures.said,
        stopped_early=state.step < stage.steps,
        seconds=clock.seconds(),
        last=log.last.get(STAGE, {}),
    )


def sizes_for(
    config: Lang2MotionTrainConfig, encoder: TextEncoder, image: int = 0
) -> tuple[Lang2MotionConfig, torch.Tensor | None]:
    """The model's sizes, fitted to the text encoder and to picture features of ``image`` numbers,
    and where the model reads words, their vectors [V, D] for its reader.

    Latents are text features, unless a reader brings them to a size of their own.
    """
    sizes = config.sizes()
    latent = sizes.latent if sizes.reader.kind in ("mlp", "words") else encoder.dim
    made = dataclasses.replace(sizes, latent=latent, text=encoder.dim, image=image)
    if sizes.reader.kind != "words":
        return made, None
    words: Any = encoder
    vectors = torch.from_numpy(words.vectors())
    table = (vectors.shape[0], vectors.shape[1])
    return dataclasses.replace(made, word_vectors=table), vectors


def load_lang2motion(path: Path) -> tuple[Lang2Motion, dict[str, Any]]:
    """The trained model in eval mode and its facts, of a checkpoint or the folder that holds it.

    The facts name the text encoder (``encoder``, ``encoder_weights``) that its latents are of.
    """
    path = path / MODEL_FILE if path.is_dir() else path
    if not path.is_file():
        raise TrainingError(
            f"there is no Lang2Motion model at {path}.",
            hint="train one with 'motionkit train lang2motion'",
        )
    tensors, facts = load_checkpoint(path)
    if facts.get("kind") != "lang2motion":
        raise TrainingError(f"{path} is a checkpoint of {facts.get('kind')}, not of lang2motion.")
    try:
        model = Lang2Motion(changed(Lang2MotionConfig(), facts["sizes"], "sizes"))
        model.load_state_dict(unpack("lang2motion", tensors))
    except (RuntimeError, KeyError, UsageError) as error:
        raise TrainingError(
            f"{path} was written by a motionkit whose Lang2Motion has other layers: "
            f"{' '.join(str(error).split())[:300]}",
            hint="train again, or use the motionkit that wrote it",
        ) from error
    return model.eval(), facts
