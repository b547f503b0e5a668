"""Trains K2M from a shard set: first the tokeniser, then text to tokens.

One loop, read from top to bottom: step, log, look at val, save. Killed and started again, a
run goes on from its last checkpoint and ends with the numbers of an undisturbed one: the
checkpoint holds weights, codebooks, Adam's moments and the random state that draws the data.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from motionkit.errors import TrainingError, UsageError
from motionkit.models.k2m.tokenizer import Tokenizer
from motionkit.models.k2m.transformers import TextToTokens
from motionkit.training.checkpoint import load_checkpoint, pack, save_checkpoint, unpack
from motionkit.training.k2m_config import K2MTrainConfig, as_table
from motionkit.training.k2m_data import Clip, WindowSource, load_clips
from motionkit.training.k2m_text import TextStage, cache_tokens
from motionkit.training.k2m_tokenizer import TokenizerStage
from motionkit.training.state import TrainState, rate_at

#: What `train` leaves in its folder.
MODEL_FILE = "k2m.safetensors"
LOG_FILE = "train_log.jsonl"
#: Features of the captions (`backends.feature_cache`); may be deleted.
FEATURES = "text_features"
_RESUME = {"tokenizer": "resume_tokenizer.safetensors", "text": "resume_text.safetensors"}

Log = Callable[[dict[str, Any]], None]


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


class _Metrics:
    """train_log.jsonl: one JSON object a line. A resumed run cuts what lies after its step."""

    def __init__(self, path: Path, log: Log | None) -> None:
        self.path, self.log = path, log
        self.last: dict[str, dict[str, float]] = {}
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def cut(self, stage: str | None, step: int) -> None:
        """Forgets lines of ``stage`` after ``step`` and of later stages (None: everything)."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        kept = []
        order = list(_RESUME)
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:
                continue  # the kill cut this line in two
            if stage is None:
                continue
            mine, theirs = order.index(stage), order.index(row["stage"])
            if theirs < mine or (theirs == mine and row["step"] <= step):
                kept.append(json.dumps(row))
        part = self.path.with_name(self.path.name + ".part")
        part.write_text("".join(line + "\n" for line in kept))
        part.replace(self.path)

    def write(self, stage: str, step: int, numbers: dict[str, float]) -> None:
        row = {"stage": stage, "step": step, **{k: round(v, 6) for k, v in numbers.items()}}
        self.last[stage] = {**self.last.get(stage, {}), **numbers}
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        if self.log is not None:
            self.log(row)


class _Clock:
    def __init__(self, minutes: float | None) -> None:
        self.start, self.minutes = time.monotonic(), minutes

    def seconds(self) -> float:
        return time.monotonic() - self.start

    def over(self) -> bool:
        return self.minutes is not None and self.seconds() > 60 * self.minutes


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
    for unusable data or a loss that is not finite.
    """
    from motionkit.shards.reader import open_shards

    opened = open_shards(shards)
    down = config.sizes().tokenizer.down
    clips = load_clips(opened.samples("train", tracks=False, kind="person"), down=down)
    val = load_clips(opened.samples("val", tracks=False, kind="person"), down=down)
    return train_on(
        config,
        clips=clips,
        val=val,
        data_hash=opened.manifest_hash,
        out=out,
        resume=resume,
        log=log,
    )


def train_on(
    config: K2MTrainConfig,
    *,
    clips: list[Clip],
    val: list[Clip],
    data_hash: str,
    out: Path,
    resume: bool = True,
    log: Log | None = None,
) -> TrainSummary:
    """`train` on clips in memory. ``data_hash`` names the data in checkpoints."""
    from motionkit.backends.feature_cache import FeatureCache
    from motionkit.backends.text_encoder import text_encoder

    if not clips:
        raise TrainingError(
            "the shard set has no training clips.", hint="build shards from more videos"
        )
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    sizes = config.sizes()
    # Opened before the hours of the first stage: what is missing is said now.
    encoder = text_encoder(config.text.encoder)
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
    clock = _Clock(config.max_minutes)
    metrics = _Metrics(out / LOG_FILE, log)
    if not resume:
        for name in (*_RESUME.values(), MODEL_FILE):
            (out / name).unlink(missing_ok=True)
    steps: dict[str, int] = {}

    torch.manual_seed(config.seed)
    tokenizer = Tokenizer(sizes.tokenizer)
    t = config.tokenizer
    one = TokenizerStage(WindowSource(clips, t.window, sizes.tokenizer.down, t.mirror), t, val)
    state = _start("tokenizer", tokenizer, t.learning_rate, out, facts, metrics)
    while state.step < t.steps and not clock.over():
        rate = _rate(state.step, t.steps, t)
        loss, numbers = _step(one, tokenizer, state.step)
        numbers["gradient"] = state.apply(loss, rate=rate, clip_norm=t.clip_norm)
        _after(state, t.steps, numbers, config, metrics, out, facts)
        if val and _due(state.step, config.val_every, t.steps):
            metrics.write("tokenizer", state.step, _looked(one, tokenizer))
    steps["tokenizer"] = state.step
    if not bool(tokenizer.quantiser.seeded):
        one.seed_codebooks(tokenizer)  # stopped before its time, or steps < seed_codebooks
    tokenizer.eval()

    kept: FeatureCache[str] = FeatureCache(out / FEATURES, encoder)
    cache = cache_tokens(tokenizer, clips, config.text, kept)
    torch.manual_seed(config.seed + 1)  # whether features were computed or found makes no odds
    text = TextToTokens(sizes)
    text.fit_text(cache.features)
    x = config.text
    two = TextStage(cache, x)
    state = _start("text", text, x.learning_rate, out, facts, metrics)
    while state.step < x.steps and not clock.over():
        rate = _rate(state.step, x.steps, x)
        loss, numbers = _step(two, text, state.step)
        numbers["gradient"] = state.apply(loss, rate=rate, clip_norm=x.clip_norm)
        _after(state, x.steps, numbers, config, metrics, out, facts)
    steps["text"] = state.step
    text.eval()

    model = out / MODEL_FILE
    tensors = {
        **pack("tokenizer", tokenizer.state_dict()),
        **pack("text", text.state_dict()),
    }
    save_checkpoint(model, tensors, {**facts, "steps": steps})
    stopped = steps["tokenizer"] < t.steps or steps["text"] < x.steps
    return TrainSummary(
        model, metrics.path, steps, stopped, clock.seconds(), metrics.last, len(clips)
    )


def _step(task: Any, model: nn.Module, step: int) -> tuple[Any, dict[str, float]]:
    task.begin(model, step)
    loss, numbers = task.loss(model, task.draw(step), step)
    return loss, {name: float(value) for name, value in numbers.items()}


def _looked(task: Any, model: nn.Module) -> dict[str, float]:
    model.eval()
    numbers = task.validate(model)
    model.train()
    return numbers


def _rate(step: int, steps: int, stage: Any) -> float:
    return rate_at(
        step, steps=steps, peak=stage.learning_rate, warm_up=stage.warm_up, final=stage.final_rate
    )


def _due(step: int, every: int, steps: int) -> bool:
    return every > 0 and (step % every == 0 or step == steps)


def _start(
    stage: str, model: nn.Module, rate: float, out: Path, facts: dict[str, Any], metrics: _Metrics
) -> TrainState:
    """A fresh state, or the saved one of this stage."""
    model.train()
    optimiser = torch.optim.Adam(model.parameters(), lr=rate, betas=(0.9, 0.99))
    state = TrainState(model, optimiser, stage)
    path = out / _RESUME[stage]
    if path.exists():
        _, saved = load_checkpoint(path)
        for key in ("config", "data", "encoder_weights"):
            if key == "encoder_weights" and key not in saved:
                continue  # written before this was kept
            if saved.get(key) != json.loads(json.dumps(facts[key])):
                raise UsageError(
                    f"{out} holds a training with another {key}.",
                    hint="choose another folder, or start anew with --fresh",
                )
        state.load(path)
        if stage == "text" or not (out / _RESUME["text"]).exists():
            metrics.cut(stage, state.step)
    elif stage == "tokenizer":
        metrics.cut(None, 0)
    else:
        metrics.cut(stage, 0)
    return state


def _after(
    state: TrainState,
    steps: int,
    numbers: dict[str, float],
    config: K2MTrainConfig,
    metrics: _Metrics,
    out: Path,
    facts: dict[str, Any],
) -> None:
    """Logs and saves when it is time."""
    if _due(state.step, config.log_every, steps):
        metrics.write(state.stage, state.step, numbers)
    if _due(state.step, config.save_every, steps):
        state.save(out / _RESUME[state.stage], facts)


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
    tokenizer.load_state_dict(unpack("tokenizer", tensors))
    text.load_state_dict(unpack("text", tensors))
    return tokenizer.eval(), text.eval(), facts
