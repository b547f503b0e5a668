"""Trains the evaluator from a shard set, and names what came out.

The weights that are kept are those with the best R-precision on the val split. The checkpoint's
identity (`identity`) is stamped on every score: scores of two evaluators cannot be compared.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from motionkit.backends.feature_cache import FeatureCache
from motionkit.backends.text_encoder import need_sentences, text_encoder
from motionkit.errors import TrainingError
from motionkit.models.evaluator.config import EvaluatorConfig
from motionkit.models.evaluator.network import DOWN, Evaluator
from motionkit.training import random_state
from motionkit.training.best import Best
from motionkit.training.checkpoint import load_checkpoint, pack, save_checkpoint, unpack
from motionkit.training.evaluator_config import EvaluatorTrainConfig
from motionkit.training.evaluator_data import need_clips, prepare
from motionkit.training.evaluator_task import EvaluatorTask
from motionkit.training.k2m_config import as_table, changed
from motionkit.training.k2m_data import Clip
from motionkit.training.loop import Clock, Place, fit
from motionkit.training.metric_log import MetricLog
from motionkit.training.options import FREE
from motionkit.training.ranks import Ranks, alone, together
from motionkit.training.shard_clips import open_clips

MODEL_FILE = "evaluator.safetensors"
LOG_FILE = "train_log.jsonl"
#: Features of the captions (`backends.feature_cache`); may be deleted.
FEATURES = "text_features"
STAGE = "evaluator"

Log = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class EvaluatorSummary:
    """What a training did."""

    model: Path
    identity: str
    """Stamped on every score (`identity`)."""
    steps: int
    best_step: int
    """Step of the weights that were kept."""
    val: dict[str, float]
    """R-precision of the val motions at that step; empty without a val split."""
    val_pool: int
    clips: int
    texts: int
    """Distinct captions of the training clips."""
    seconds: float
    stopped_early: bool
    """By `max_minutes`; a stop by `patience` is the usual end."""


def train(
    config: EvaluatorTrainConfig,
    *,
    shards: Path,
    out: Path,
    resume: bool = True,
    log: Log | None = None,
) -> EvaluatorSummary:
    """Trains on the shard set in ``shards``; writes checkpoint and log into ``out``.

    Clips of the train split teach, the val split chooses. TrainingError for unusable data or a
    loss that is not finite; UsageError where ``out`` holds a training with other settings.
    """
    return together(config, _from_shards, config, shards, out, resume, log=log)


def _from_shards(
    ranks: Ranks,
    log: Log | None,
    config: EvaluatorTrainConfig,
    shards: Path,
    out: Path,
    resume: bool,
) -> EvaluatorSummary:
    from motionkit.shards.reader import open_shards

    opened = open_shards(shards)
    clips = open_clips(opened, "train", down=DOWN, cache_mb=config.cache_mb)
    val = open_clips(opened, "val", down=DOWN, cache_mb=config.cache_mb)
    return _on_rank(ranks, log, config, clips, val, opened.manifest_hash, out, resume)


def train_on(
    config: EvaluatorTrainConfig,
    *,
    clips: Sequence[Clip],
    val: Sequence[Clip],
    data_hash: str,
    out: Path,
    resume: bool = True,
    log: Log | None = None,
) -> EvaluatorSummary:
    """`train` on clips in memory, in this process. ``data_hash`` names them in checkpoints."""
    return _on_rank(alone(config), log, config, clips, val, data_hash, out, resume)


def _on_rank(
    ranks: Ranks,
    log: Log | None,
    config: EvaluatorTrainConfig,
    clips: Sequence[Clip],
    val: Sequence[Clip],
    data_hash: str,
    out: Path,
    resume: bool,
) -> EvaluatorSummary:
    """The training as one of its processes sees it."""
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    need_sentences(config.encoder)
    encoder = text_encoder(config.encoder)
    kept: FeatureCache[str] = FeatureCache(out / FEATURES, encoder)
    data, held = prepare(clips, kept), prepare(val, kept)
    need_clips(data)
    sizes = dataclasses.replace(config.model, text_dim=encoder.dim)
    facts: dict[str, Any] = {
        "kind": "evaluator",
        "config": as_table(config),
        "sizes": dataclasses.asdict(sizes),
        "data": data_hash,
        "encoder": config.encoder,
        "encoder_weights": encoder.identity(),
    }
    place = Place(out, facts, ("config", "data", "encoder_weights"))
    if not resume and ranks.first:
        for path in (place.resume_file(STAGE), out / MODEL_FILE):
            path.unlink(missing_ok=True)
    ranks.wait()
    metrics = MetricLog(
        out / LOG_FILE if ranks.first else None,
        [STAGE],
        log,
        tensorboard=out / "tensorboard" if config.tensorboard else None,
    )
    random_state.seed_all(config.seed)
    model = Evaluator(sizes)
    ranks.part_ways(config.seed)
    task = EvaluatorTask(data, held, config)
    best = Best("val_score", config.patience)
    clock = Clock(config.max_minutes)
    state = fit(
        task, model, STAGE, config, config, place, ranks=ranks, log=metrics, clock=clock, best=best
    )
    metrics.close()
    weights = best.weights or {n: v.detach() for n, v in model.state_dict().items()}
    step = best.step if best.weights else state.step
    found = {"steps": state.step, "best_step": step, "val": best.numbers, "val_pool": task.val_pool}
    target = out / MODEL_FILE
    if ranks.first:
        save_checkpoint(target, pack("evaluator", weights), _recipe({**facts, **found}))
    ranks.wait()
    return EvaluatorSummary(
        model=target,
        identity=identity(*load_checkpoint(target)),
        steps=state.step,
        best_step=step,
        val=best.numbers,
        val_pool=task.val_pool,
        clips=len(data),
        texts=len(set().union(*data.captions)),
        seconds=clock.seconds(),
        stopped_early=state.step < config.steps and not best.tired,
    )


def _recipe(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts of a finished evaluator: what does not decide the outcome is left out, so that
    its identity does not change with it."""
    config = {k: v for k, v in facts["config"].items() if k not in FREE}
    return {**facts, "config": config}


def identity(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> str:
    """SHA-256 over an evaluator's tensors and facts: names it on every score."""
    total = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        total.update(f"\0{name} {tuple(value.shape)} {value.dtype}\0".encode())
        total.update(value.numpy().tobytes())
    return total.hexdigest()


def load_evaluator(path: Path) -> tuple[Evaluator, dict[str, Any], str]:
    """The trained network in eval mode, its facts and its identity; a file or its folder."""
    path = path / MODEL_FILE if path.is_dir() else path
    if not path.is_file():
        raise TrainingError(
            f"there is no evaluator at {path}.", hint="train one with 'motionkit train evaluator'"
        )
    tensors, facts = load_checkpoint(path)
    if facts.get("kind") != "evaluator":
        raise TrainingError(f"{path} is a checkpoint of {facts.get('kind')}, not an evaluator.")
    model = Evaluator(changed(EvaluatorConfig(), facts["sizes"], "sizes"))
    model.load_state_dict(unpack("evaluator", tensors))
    return model.eval(), facts, identity(tensors, facts)
