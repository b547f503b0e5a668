"""K2M over a workspace: its training, what that will take, and motions from texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionkit.engines.local import Progress
from motionkit.errors import UsageError
from motionkit.workspace import Workspace

if TYPE_CHECKING:
    from motionkit.pipeline import StepResult


def train_k2m(
    workspace: Workspace,
    config: Any,
    *,
    shards: Path | None = None,
    out: Path | None = None,
    resume: bool = True,
    progress: Progress | None = None,
) -> StepResult:
    """Train K2M on the workspace's shards (or on any shard set)."""
    from motionkit.pipeline import StepResult
    from motionkit.shards.reader import open_shards
    from motionkit.training.k2m import stage_steps, train

    # A missing or damaged set is told before torch is loaded.
    folder = open_shards(shards or workspace.path / "shards").path
    target = out or workspace.path / "models" / "k2m"
    stages = stage_steps(config)
    before = {name: sum(list(stages.values())[:i]) for i, name in enumerate(stages)}

    def log(row: dict[str, Any]) -> None:
        if progress is not None:
            done = before[row["stage"]] + int(row["step"])
            progress("train k2m", done, sum(stages.values()))

    made = train(config, shards=folder, out=target, resume=resume, log=log)
    summary = dataclasses.asdict(made)
    steps = " + ".join(map(str, made.steps.values()))
    line = f"{made.clips} clips, {steps} steps, {made.seconds:.0f} s, {made.model}"
    if made.stopped_early:
        line += "; stopped early by max_minutes: run again to go on"
    return StepResult("train.k2m", summary, line)


def estimate_k2m(workspace: Workspace, config: Any, *, shards: Path | None = None) -> Any:
    """What `train_k2m` would take: a `training.k2m_estimate.K2MEstimate`. Trains nothing."""
    from motionkit.shards.reader import open_shards
    from motionkit.training.k2m_estimate import estimate

    # A missing or damaged set is told before torch is loaded.
    folder = open_shards(shards or workspace.path / "shards").path
    return estimate(config, shards=folder)


def generate_motion(
    workspace: Workspace,
    text: str,
    *,
    model: Path | None = None,
    out: Path | None = None,
    seconds: float | None = None,
    seed: int = 0,
) -> Any:
    """Generate a motion from text with the workspace's K2M (or another model folder)."""
    from motionkit.generation.k2m import generate

    folder = model or workspace.path / "models" / "k2m"
    if not folder.is_dir():
        raise UsageError(f"there is no trained model at {folder}.", hint="motionkit train k2m")
    target = out or workspace.path / "generated"
    return generate(folder, text, out=target, seconds=seconds, seed=seed)


def generate_motions(
    workspace: Path, prompts: Iterable[Any], *, model: Path | None = None, **options: Any
) -> Iterator[Any]:
    """Generate the motions of prompts with the K2M of the workspace (or another model).

    ``options`` are those of `generation.k2m.generate_many`; a workspace need not be there where
    a model is named.
    """
    from motionkit.generation.k2m import generate_many

    folder = model or workspace / "models" / "k2m"
    if not folder.exists():
        raise UsageError(f"there is no trained model at {folder}.", hint="motionkit train k2m")
    return generate_many(folder, prompts, **options)
