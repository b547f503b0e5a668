"""Runs the steps of a recipe, one after another, over one workspace."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from motionkit.catalogue import connect, failed_ids
from motionkit.conditions import select_samples
from motionkit.engines.local import EngineOptions, Progress, StageSummary, run_stage
from motionkit.errors import MotionkitError, UsageError
from motionkit.evaluating import evaluate_k2m_step, train_evaluator
from motionkit.intake import INTAKE, again, at_work, intake_steps
from motionkit.motions import train_k2m
from motionkit.recipes import STEPS, Recipe, build, parameters_of
from motionkit.run_log import record
from motionkit.trajectories import evaluate_step, train_lang2motion
from motionkit.weights import ModelMissing
from motionkit.workspace import Workspace, publish

#: The steps that are stages of the engine; the rest have functions of their own below.
STAGES = (
    "search",
    "fetch",
    "ingest",
    "expressions",
    "scan",
    "detect",
    "filter",
    "pose",
    "masks",
    "track",
    "overlays",
    "caption",
    "audit",
)


#: Steps that train, and their model's folder in models/.
TRAINED = {"train.k2m": "k2m", "train.evaluator": "evaluator", "train.lang2motion": "lang2motion"}


@dataclasses.dataclass(frozen=True)
class ShardOptions:
    """Parameters of `build-shards` (recipe section [shards])."""

    rows_per_shard: int = 4096
    """Most samples in one shard file; about half of it is usual (docs/shards.md)."""
    max_shard_size: str = "256MB"
    """Largest shard file, for example 256MB or 64MiB; empty: not limited."""
    where: str = ""
    """SQL condition over the view `samples`: clips for which it does not hold are left out."""
    train: float = 0.8
    """Share of the groups of near-duplicate videos in the training split."""
    val: float = 0.05
    """Share of the groups in the validation split."""
    test: float = 0.15
    """Share of the groups in the test split."""
    official_splits: bool = True
    """Keep the split that expressions came with (MeViS: train; valid_u and valid become test)."""
    salt: str = "motionkit"
    """Another salt gives another split."""
    min_s: float = 2.0
    """Shortest clip of a person that becomes a sample, seconds (K2M's clip rule)."""
    max_s: float = 10.0
    """Longest clip of a person that becomes a sample, seconds (K2M's clip rule)."""
    require_captions: bool = True
    """Leave clips without a caption out (counted in the manifest)."""
    require_tracks: bool = False
    """Leave clips without point tracks out (counted in the manifest)."""
    require_masks: bool = True
    """Leave expressions without masks out (counted in the manifest)."""
    commercial_only: bool = False
    """Leave out what may not, or not surely, be used commercially: by the clip's licence and by
    every model that touched it (docs/shards.md)."""
    person_masks: bool = True
    """Put the masks of persons in, where `masks` made some; docs/masks.md says what they cost.
    Expressions always have theirs."""
    drop_flagged: tuple[str, ...] = ()
    """Leave out captions with one of these flags of `motionkit captions audit` (docs/audit.md),
    and clips of which no caption is left; 'wrong' stands for all codes of that severity."""


@dataclasses.dataclass(frozen=True)
class ReportOptions:
    """Parameters of `report` (recipe section [report])."""

    title: str = "motionkit report"
    """Headline of the page."""


@dataclasses.dataclass(frozen=True)
class StepResult:
    """What one step did: its name, a summary as plain values, and one line for people."""

    step: str
    summary: dict[str, Any]
    line: str
    failed: int = 0


def run_recipe(
    workspace: Workspace,
    recipe: Recipe,
    sources: Sequence[str],
    *,
    engine: EngineOptions | None = None,
    progress: Progress | None = None,
    on_step: Callable[[StepResult], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> list[StepResult]:
    """Run every step of ``recipe``; what is done already is not done again.

    ``sources`` replaces the recipe's own sources for ingest. The resolved recipe is written to
    ``recipes/NAME.json`` of the workspace. Raises MotionkitError where a step cannot run; a
    failed item never stops the run.
    """
    options = engine or recipe.engine
    write_resolved(workspace, recipe)
    results: list[StepResult] = []
    steps = intake_steps(recipe.steps, sources)
    _check(steps, recipe.name)
    for step, parameters in steps.items():
        result = run_step(
            workspace,
            step,
            parameters,
            options,
            recipe=recipe.resolved(),
            progress=progress,
            say=say,
        )
        results.append(result)
        if on_step is not None:
            on_step(result)
    return results


def _check(steps: dict[str, Any], recipe: str) -> None:
    """What is missing for any step is told now, all of it, and not in ten hours."""
    missing: list[MotionkitError] = []
    for step, parameters in steps.items():
        check = getattr(parameters, "check", None)
        if check is not None and step not in INTAKE:
            try:
                check()
            except MotionkitError as error:
                missing.append(error)
    if len(missing) == 1:
        raise missing[0]
    if missing:
        hints = dict.fromkeys(str(error.hint) for error in missing if error.hint)
        if any(isinstance(error, ModelMissing) for error in missing):
            hints = {h: None for h in hints if "models fetch" not in h}
            hints[f"on a machine with network: motionkit models fetch --for {recipe}"] = None
        lines = "".join(f"\n  - {error}" for error in missing)
        raise MotionkitError(
            f"{len(missing)} things are missing for this recipe:{lines}",
            hint="\n       ".join(hints),
        )


def run_step(
    workspace: Workspace,
    step: str,
    parameters: Any,
    engine: EngineOptions,
    *,
    recipe: dict[str, Any] | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> StepResult:
    """Run one step by name, and record what it took (`run_log`). ``say`` takes remarks for
    people."""
    started = time.monotonic()
    summary: dict[str, Any] | None = None
    try:
        result = _run_step(workspace, step, parameters, engine, recipe, progress, say)
        summary = result.summary
        return result
    except KeyboardInterrupt:
        summary = {"stopped": True}
        raise
    finally:
        # A call that was refused, or found nothing to do, is no run.
        if summary is not None and summary.get("processed", 1):
            record(workspace, step, time.monotonic() - started, summary, engine.workers)


def _run_step(
    workspace: Workspace,
    step: str,
    parameters: Any,
    engine: EngineOptions,
    recipe: dict[str, Any] | None,
    progress: Progress | None,
    say: Callable[[str], None] | None,
) -> StepResult:
    if step in STAGES:
        parameters, engine = at_work(workspace, step, parameters, engine)
        summary = run_stage(workspace, parameters, engine, progress=progress, say=say)
        return StepResult(step, summary.as_dict(), describe(summary), summary.failed.total())
    if step == "shards":
        return make_shards(workspace, parameters, recipe)
    if step in TRAINED and (workspace.path / "shards").is_dir():
        _keep_former(workspace, TRAINED[step], say)
    if step == "train.k2m":
        return train_k2m(workspace, parameters, progress=progress)
    if step == "train.evaluator":
        return train_evaluator(workspace, parameters, progress=progress)
    if step == "train.lang2motion":
        return train_lang2motion(workspace, parameters, progress=progress)
    if step == "evaluate.k2m":
        return evaluate_k2m_step(workspace, parameters, progress=progress)
    if step == "evaluate.lang2motion":
        return evaluate_step(workspace, parameters)
    if step == "report":
        return make_report(workspace, parameters)
    raise UsageError(f"there is no step '{step}'.", hint=f"steps are: {', '.join(STEPS)}")


def _keep_former(workspace: Workspace, name: str, say: Callable[[str], None] | None) -> None:
    """A recipe that finds other shards than its model was trained on trains anew beside it."""
    from motionkit.shards.reader import open_shards
    from motionkit.training.former import set_aside

    data = open_shards(workspace.path / "shards").manifest_hash
    aside = set_aside(workspace.path / "models" / name, data)
    if aside is not None and say is not None:
        say(f"the shards have changed: models/{name} is trained anew, the former one is {aside}")


def retry_failed(
    workspace: Workspace,
    engine: EngineOptions,
    stage: str | None = None,
    codes: tuple[str, ...] = (),
    *,
    progress: Progress | None = None,
) -> list[StepResult]:
    """Try the failed items of one stage (or all), of some codes (or any), again."""
    results = []
    for step in STAGES if stage is None else (stage,):
        cls: Any = parameters_of(step)
        current = workspace.current(cls.table)
        ids = failed_ids(workspace, step, codes) if current else set()
        if current is None or not ids:
            continue
        parameters: Any = build(cls, current["parameters"], step)
        if step in INTAKE:  # the last call may have named other files or addresses
            parameters = again(workspace, step, parameters, ids)
        parameters, options = at_work(workspace, step, parameters, engine)
        summary = run_stage(
            workspace, parameters, options, retry=ids.__contains__, progress=progress
        )
        results.append(
            StepResult(step, summary.as_dict(), describe(summary), summary.failed.total())
        )
    return results


def write_resolved(workspace: Workspace, recipe: Recipe) -> None:
    """Keep the recipe with every default filled in beside what it made."""
    folder = workspace.path / "recipes"
    folder.mkdir(exist_ok=True)
    text = json.dumps(recipe.resolved(), indent=1)
    publish(folder / f"{recipe.name}.json", lambda path: path.write_text(text + "\n", "utf-8"))


def make_shards(
    workspace: Workspace,
    options: ShardOptions,
    recipe: dict[str, Any] | None = None,
    out: Path | None = None,
) -> StepResult:
    """Build the shard set ``shards`` of the workspace (or at ``out``)."""
    from motionkit.flags import flag_codes
    from motionkit.shards.build import build_shards
    from motionkit.shards.split import SplitShares
    from motionkit.shards.write import parse_size

    target = out or workspace.path / "shards"
    wanted = None
    if options.where.strip():
        with connect(workspace) as connection:
            wanted = select_samples(connection, options.where)
    made = build_shards(
        workspace,
        target,
        rows_per_shard=options.rows_per_shard,
        max_bytes=parse_size(options.max_shard_size),
        wanted=wanted,
        where=options.where.strip(),
        official_splits=options.official_splits,
        require_masks=options.require_masks,
        commercial_only=options.commercial_only,
        drop_flagged=flag_codes(options.drop_flagged),
        person_masks=options.person_masks,
        split=SplitShares(options.train, options.val, options.test),
        salt=options.salt,
        recipe=recipe,
        min_s=options.min_s,
        max_s=options.max_s,
        require_captions=options.require_captions,
        require_tracks=options.require_tracks,
    )
    summary = {**dataclasses.asdict(made), "path": str(made.path)}
    splits = ", ".join(f"{count} {split}" for split, count in made.samples.items())
    line = (
        f"{sum(made.samples.values())} samples ({splits}), {made.hours * 60:.1f} min, "
        f"{made.captions} captions, {made.bytes / 1e6:.1f} MB in {made.path}"
    )
    if made.reused:
        line += f"; {made.reused} of {made.shards} shards are unchanged"
    if made.left_out:
        line += "; left out: " + _counts(made.left_out)
    return StepResult("shards", summary, line)


def make_report(
    workspace: Workspace, options: ReportOptions, out: Path | None = None
) -> StepResult:
    """Write the HTML report of the workspace."""
    from motionkit.report.build import build_report

    shards = workspace.path / "shards"
    models = workspace.path / "models"
    target = out or workspace.path / "report.html"
    path = build_report(
        workspace,
        target,
        shards=shards if shards.is_dir() else None,
        train_logs=sorted(models.glob("*/train_log.jsonl")),
        held_out=sorted(models.glob("*/held_out.json")),
        generated=sorted((workspace.path / "generated").glob("*.npz")),
        lang2motion=models / "lang2motion",
        trajectories=sorted((workspace.path / "trajectories").glob("*.npz")),
        title=options.title,
    )
    return StepResult("report", {"path": str(path)}, f"open {path} in a browser")


def describe(summary: StageSummary) -> str:
    """One line for people: what became of the items."""
    pieces = [f"{summary.kept} kept"]
    if summary.dropped:
        pieces.append(f"{summary.dropped.total()} dropped ({_counts(summary.dropped)})")
    if summary.failed:
        pieces.append(f"{summary.failed.total()} failed ({_counts(summary.failed)})")
    if summary.done_before:
        pieces.append(f"{summary.done_before} done before")
    if not summary.processed and summary.done_before:
        return f"nothing new, {summary.done_before} done before"
    return ", ".join(pieces) + f", {summary.seconds:.1f} s"


def _counts(counter: dict[str, int]) -> str:
    ordered = sorted(counter.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{name} {count}" for name, count in ordered)
