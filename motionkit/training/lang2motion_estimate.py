"""`train lang2motion --estimate`: memory and time, before the first step.

The text encoder's features are not in it: they are computed once, before the training.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

import torch

from motionkit.backends.text_encoder import text_encoder
from motionkit.errors import TrainingError
from motionkit.models.lang2motion.model import Lang2Motion
from motionkit.training import random_state
from motionkit.training.estimate import TrainingEstimate, estimate_stage, machine_memory
from motionkit.training.lang2motion import find_pictures, overlay_folder, sizes_for
from motionkit.training.lang2motion_config import Lang2MotionTrainConfig
from motionkit.training.lang2motion_data import TrackItem, load_items, prepare
from motionkit.training.lang2motion_task import Lang2MotionTask
from motionkit.training.ranks import alone

#: Samples that are looked at for what a batch costs; all are counted for the steps.
_SAMPLES = 64


def estimate(
    config: Lang2MotionTrainConfig, *, shards: Path, overlays: Path | None = None
) -> TrainingEstimate:
    """Measures a step on samples of the shard set; see `estimate.estimate_stage`. TrainingError
    where there are none to train on."""
    from motionkit.shards.reader import open_shards

    opened = open_shards(shards)
    pictures = find_pictures(config, overlay_folder(shards, overlays))
    sizes, kind = config.sizes(), None if config.kind == "all" else config.kind
    videos = opened.tracked_videos("train", grid=sizes.grid, kind=kind)
    few = set(itertools.islice(videos, _SAMPLES))
    items, _ = load_items(
        itertools.islice(opened.samples("train", kind=kind, videos=few), _SAMPLES),
        grid=sizes.grid,
        frames=sizes.frames,
        length=config.length,
        min_frames=config.min_frames,
        images=pictures.features,
    )
    return estimate_on(config, items, samples=sum(videos.values()), image=pictures.dim)


def estimate_on(
    config: Lang2MotionTrainConfig, items: Sequence[TrackItem], *, samples: int, image: int = 0
) -> TrainingEstimate:
    """`estimate` on items in memory; ``samples``: those of the whole set, a sentence each, from
    which the steps of ``epochs`` follow."""
    if not items:
        raise TrainingError(
            "the shard set has no trajectories to train on.",
            hint=f"track with --grid {config.sizes().grid}, caption, and build the shards again",
        )
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    ranks = alone(dataclasses.replace(config, devices=1))
    encoder = text_encoder(config.encoder)
    sizes, _ = sizes_for(config, encoder, image)
    data = prepare(items, sizes.grid, encoder)
    random_state.seed_all(config.seed)
    stage = config.stage(samples)
    found = estimate_stage(
        "lang2motion",
        Lang2Motion(sizes),
        stage,
        lambda options: Lang2MotionTask(
            data, data, dataclasses.replace(config, batch=options.batch), stage.steps
        ),
        ranks,
        at_step=stage.steps,
    )
    return TrainingEstimate(
        (found,), ranks.device.type, ranks.precision, config.devices, machine_memory(ranks.device)
    )
