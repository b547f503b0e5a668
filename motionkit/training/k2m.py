"""Trains K2M from a shard set: first the tokenizer, then text to tokens.

Both stages go through `loop.fit`; this file says what they train on and what becomes of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from motionkit.errors import TrainingError
from motionkit.models.k2m.tokenizer import Tokenizer
from motionkit.models.k2m.transformers import TextToTokens
from motionkit.training import random_state
from motionkit.training.checkpoint import load_checkpoint, pack, save_checkpoint, unpack
from motionkit.training.k2m_config import K2MTrainConfig, as_table, check_tokens_per_step
from motionkit.training.k2m_data import Clip, WindowSource
from motionkit.training.k2m_distil import DistilStage
from motionkit.training.k2m_text import TextStage, entries, tokens_key
from motionkit.training.k2m_tokenizer import TokenizerStage
from motionkit.training.loop import Clock, Place, fit
from motionkit.training.metric_log import Log, MetricLog
from motionkit.training.pose_labels import PoseLabels, make_labels, open_labels
from motionkit.training.ranks import Ranks, together
from motionkit.training.scenes import Scenes, SceneSource, need_scenes, scenes_of
from motionkit.training.shard_clips import open_clips
from motionkit.training.token_cache import cache_key, make_tokens, open_tokens

#: What `train` leaves in its folder.
MODEL_FILE = "k2m.safetensors"
LOG_FILE = "train_log.jsonl"
#: Features of the captions (`backends.feature_cache`); may be deleted.
FEATURES = "text_features"
#: Tokens of the clips (`token_cache`); may be deleted.
TOKENS = "tokens"
#: The tokenizer's own answers, refined (`pose_labels`); a run in its second round needs them.
LABELS = "pose_labels"
FIRST, LAST = "tokenizer", "text"
#: Texts that centre and scale the features: more would change nothing.
_FIT_TEXTS = 100_000


@dataclass(frozen=True)
class TrainSummary:
    """What a training did."""

    model: Path
    """The checkpoint that `generate` reads."""
    log: Path
    steps: dict[str, int]
    """Steps by stage."""
    stopped_early: bool
    """`max_minutes` ran out."""
    seconds: float
    """Of this call; resumed work is not counted."""
    last: dict[str, dict[str, float]]
    """The last logged numbers by stage."""
    clips: int


def train(
    config: K2MTrainConfig,
    *,
    shards: Path,
    out: Path,
    resume: bool = True,
    log: Log | None = None,
) -> TrainSummary:
    """Trains on the shard set in ``shards``; writes checkpoints and log into ``out``.

    ``resume`` goes on from what ``out`` holds, if it was made with the same configuration and
    shards (UsageError if not); False starts again. ``log`` gets every logged row. TrainingError
    for unusable data or a loss that is not finite; `interrupt.Interrupted` after Ctrl-C or
    SIGTERM, when the running step is done and saved.
    """
    check_tokens_per_step(config)
    return together(config, _train_shards, config, shards, out, resume, log=log)


def _train_shards(
    ranks: Ranks, log: Log | None, config: K2MTrainConfig, shards: Path, out: Path, resume: bool
) -> TrainSummary:
    from motionkit.shards.reader import open_shards

    opened = open_shards(shards)
    down = config.sizes().tokenizer.down
    clips, val = (
        open_clips(opened, split, down=down, cache_mb=config.cache_mb) for split in ("train", "val")
    )
    scenes = scenes_of(opened, "train") if config.tokenizer.multi_view else []
    return _train(ranks, log, config, clips, val, opened.manifest_hash, out, resume, scenes)


def train_on(
    config: K2MTrainConfig,
    *,
    clips: Sequence[Clip],
    val: Sequence[Clip],
    data_hash: str,
    out: Path,
    resume: bool = True,
    log: Log | None = None,
) -> TrainSummary:
    """`train` on given clips. ``data_hash`` names the data in checkpoints."""
    check_tokens_per_step(config)
    return together(config, _train, config, clips, val, data_hash, out, resume, log=log)


def _train(
    ranks: Ranks,
    heard: Log | None,
    config: K2MTrainConfig,
    clips: Sequence[Clip],
    val: Sequence[Clip],
    data_hash: str,
    out: Path,
    resume: bool,
    scenes: Scenes = (),
) -> TrainSummary:
    """All stages, in one of the processes that train together."""
    from motionkit.backends.feature_cache import FeatureCache
    from motionkit.backends.text_encoder import need_sentences, text_encoder

    if not clips:
        raise TrainingError(
            "the shard set has no training clips.", hint="build shards from more videos"
        )
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    # Opened before the hours of the first stage: what is missing is said now.
    need_sentences(config.text.encoder)
    encoder = text_encoder(config.text.encoder)
    sizes = config.sizes()
    features = dataclasses.replace(sizes.transformer, text_dim=encoder.dim)
    sizes = dataclasses.replace(sizes, transformer=features)
    facts = {
        "kind": "k2m",
        "config": as_table(config),
        "sizes": dataclasses.asdict(sizes),
        "data": data_hash,
        "encoder": config.text.encoder,
        "encoder_weights": encoder.identity(),
    }
    stages = tuple(stage_steps(config))
    place = Place(out, facts, same=("config", "data", "encoder_weights"))
    if not resume and ranks.first:
        for path in (*(place.resume_file(stage) for stage in stages), out / MODEL_FILE):
            path.unlink(missing_ok=True)
    ranks.wait()
    clock = Clock(config.max_minutes)
    log = MetricLog(
        out / LOG_FILE if ranks.first else None,
        stages,
        heard,
        tensorboard=out / "tensorboard" if config.tensorboard else None,
    )
    steps: dict[str, int] = {}

    random_state.seed_all(config.seed)
    tokenizer = Tokenizer(sizes.tokenizer)
    ranks.part_ways(config.seed)
    t, x = config.tokenizer, config.text
    down = sizes.tokenizer.down
    views = None
    if t.multi_view:
        need_scenes(scenes)
        views = SceneSource(clips, scenes, t.window, down)
    one = TokenizerStage(WindowSource(clips, t.window, down, t.mirror), t, val, views)
    state = fit(one, tokenizer, FIRST, t, config, place, ranks=ranks, log=log, clock=clock)
    steps[FIRST] = state.step
    if not bool(tokenizer.quantiser.seeded):
        one.seed_codebooks(tokenizer)  # stopped before its time, or steps < seed_codebooks
    for number, stage in enumerate(stages[1:-1]):
        if not clock.over():
            labels = _labels(ranks, config, tokenizer, clips, data_hash, out / LABELS / stage)
            random_state.seed_all(config.seed + 2 + number)
            ranks.part_ways(config.seed + 2 + number)
            again = DistilStage(one, labels, config.distil)
            state = fit(
                again, tokenizer, stage, config.distil, config, place,
                ranks=ranks, log=log, clock=clock,
            )  # fmt: skip
            steps[stage] = state.step

    kept: FeatureCache[str] = FeatureCache(out / FEATURES, encoder)
    known = {"data": data_hash, "encoder": encoder.identity()}
    folder = out / TOKENS / ranks.gather(tokens_key(tokenizer, x, known))[0]
    if ranks.first and not folder.exists():
        make_tokens(folder, entries(tokenizer, clips, x), kept.encode, kept.dim)
    ranks.wait()
    cache = open_tokens(folder)
    random_state.seed_all(config.seed + 1)  # whether features were computed or found: no odds
    text = TextToTokens(sizes)
    text.fit_text(cache.features[:_FIT_TEXTS])
    ranks.part_ways(config.seed + 1)
    two = TextStage(cache, x, tokenizer)
    state = fit(two, text, LAST, x, config, place, ranks=ranks, log=log, clock=clock)
    steps[LAST] = state.step
    log.close()

    model = out / MODEL_FILE
    if ranks.first:
        tensors = {
            **pack("tokenizer", tokenizer.state_dict()),
            **pack("text", text.state_dict()),
        }
        save_checkpoint(model, tensors, {**facts, "steps": steps})
    stopped = any(steps.get(stage, 0) < n for stage, n in stage_steps(config).items())
    return TrainSummary(
        model, out / LOG_FILE, steps, stopped, clock.seconds(), log.last, len(clips)
    )


def stage_steps(config: K2MTrainConfig) -> dict[str, int]:
    """The stages of a training, in their order, and the steps of each."""
    rounds = config.distil.rounds if config.distil.steps else 0
    names = ["distil", *(f"distil_{number}" for number in range(2, rounds + 1))][:rounds]
    again = dict.fromkeys(names, config.distil.steps)
    return {FIRST: config.tokenizer.steps, **again, LAST: config.text.steps}


def _labels(
    ranks: Ranks,
    config: K2MTrainConfig,
    tokenizer: Tokenizer,
    clips: Sequence[Clip],
    data_hash: str,
    folder: Path,
) -> PoseLabels:
    """The labels that a round begins with: made now, or when the round began."""
    d = config.distil
    known = {"data": data_hash, "refine": dataclasses.asdict(d.refine), "clips": d.most_clips}
    place = folder / ranks.gather(cache_key(tokenizer, known))[0]
    if ranks.first and not place.exists():
        make_labels(place, tokenizer, clips, d.refine, most=d.most_clips)
    ranks.wait()
    return open_labels(place)


def load_model(path: Path) -> tuple[Tokenizer, TextToTokens, dict[str, Any]]:
    """The trained parts and the facts of a checkpoint file, or of the folder that holds it."""
    from motionkit.models.k2m.config import K2MConfig
    from motionkit.training.k2m_config import changed

    path = path / MODEL_FILE if path.is_dir() else path
    tensors, facts = load_checkpoint(path)
    if facts.get("kind") != "k2m":
        raise TrainingError(f"{path} is a checkpoint of {facts.get('kind')}, not of k2m.")
    sizes = changed(K2MConfig(), facts["sizes"], "sizes")
    tokenizer, text = Tokenizer(sizes.tokenizer), TextToTokens(sizes)
    try:
        tokenizer.load_state_dict(unpack("tokenizer", tensors))
        text.load_state_dict(unpack("text", tensors))
    except RuntimeError as error:
        raise TrainingError(
            f"{path} was written by a motionkit whose K2M has other layers: {error}",
            hint="train again, or use the motionkit that wrote it",
        ) from error
    return tokenizer.eval(), text.eval(), facts
