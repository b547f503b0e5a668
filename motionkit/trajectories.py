"""Lang2Motion over a workspace: its training, and what it is worth on a split."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionkit.engines.local import Progress
from motionkit.errors import UsageError
from motionkit.workspace import Workspace, publish

if TYPE_CHECKING:
    from motionkit.pipeline import StepResult

MODEL = "lang2motion"


@dataclasses.dataclass(frozen=True)
class Lang2MotionEvaluation:
    """What `evaluate lang2motion` measures (recipe section [evaluate.lang2motion])."""

    split: str = "test"
    """Split of the shards: test, val or train."""
    frame_width: int = 640
    """Errors in pixels are stated for a frame of this width …"""
    frame_height: int = 360
    """… and this height."""
    seed: int = 0
    """Of the baseline that moves at random."""

    def __post_init__(self) -> None:
        if min(self.frame_width, self.frame_height) < 1:
            raise UsageError(
                f"a frame of {self.frame_width}×{self.frame_height} has no pixels.",
                hint="640 and 360 are usual here",
            )


def train_lang2motion(
    workspace: Workspace,
    config: Any,
    *,
    shards: Path | None = None,
    out: Path | None = None,
    overlays: Path | None = None,
    resume: bool = True,
    progress: Progress | None = None,
) -> StepResult:
    """Train on the workspace's shards (or any set with tracks)."""
    from motionkit.pipeline import StepResult
    from motionkit.shards.reader import open_shards
    from motionkit.training.lang2motion import train_lang2motion as train

    # A missing or damaged set is told before torch is loaded.
    folder = open_shards(shards or workspace.path / "shards").path
    target = out or workspace.path / "models" / MODEL
    if overlays is None and shards is None:
        overlays = export_overlays(workspace)

    def log(row: dict[str, Any]) -> None:
        if progress is not None:
            progress("train lang2motion", int(row["step"]), int(row["of"]))

    made = train(config, shards=folder, out=target, overlays=overlays, resume=resume, log=log)
    line = (
        f"{made.items} trajectories, {made.pairs} sentences, {made.steps} steps, "
        f"{made.seconds:.0f} s, pictures {made.pictures}, {made.model}"
    )
    if made.left_out:
        counts = ", ".join(f"{reason} {n}" for reason, n in sorted(made.left_out.items()))
        line += f"; samples left out: {counts}"
    if made.stopped_early:
        line += "; stopped early by max_minutes: run again to go on"
    return StepResult("train.lang2motion", dataclasses.asdict(made), line)


def estimate_lang2motion(
    workspace: Workspace, config: Any, *, shards: Path | None = None, overlays: Path | None = None
) -> Any:
    """What `train_lang2motion` would take: a `training.estimate.TrainingEstimate`."""
    from motionkit.shards.reader import open_shards
    from motionkit.training.lang2motion_estimate import estimate

    # A missing or damaged set is told before torch is loaded.
    folder = open_shards(shards or workspace.path / "shards").path
    return estimate(config, shards=folder, overlays=overlays)


def export_overlays(workspace: Workspace) -> Path | None:
    """The table `overlays` as features beside the shards (`shards.overlays`); their folder, or
    None where that stage has not run. What is there already is not written again."""
    from motionkit.records import unflatten
    from motionkit.shards.overlays import FOLDER, write_overlays
    from motionkit.stage import has_run

    if not has_run(workspace, "overlays"):
        return None
    run = workspace.fingerprint("overlays")
    first = next(workspace.rows("overlays", ["dim", "colour", "opacity", "backend"]), None)
    if first is None:
        return None
    from motionkit.backends.image_encoder import image_encoder

    def features() -> Any:
        for row in workspace.rows("overlays", ["clip_id", "dim", "features"]):
            yield row["clip_id"], unflatten(row["features"], -1, int(row["dim"]))

    drawing = {"colour": first["colour"], "opacity": first["opacity"], "run": run}
    made = write_overlays(
        workspace.path / FOLDER,
        image_encoder(first["backend"]).identity(),
        drawing,
        int(first["dim"]),
        features(),
    )
    return made.path


def evaluate_lang2motion(
    workspace: Path,
    config: Lang2MotionEvaluation,
    *,
    model: Path | None = None,
    shards: Path | None = None,
    overlays: Path | None = None,
    out: Path | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """The report of `evaluation.lang2motion`, also written to ``out``; and its lines for people.

    Model and shards are the workspace's unless they are named. UsageError without a model.
    """
    from motionkit.evaluation.lang2motion import evaluate_lang2motion as evaluate
    from motionkit.evaluation.lang2motion import lines_of

    place = model or workspace / "models" / MODEL
    if not place.exists():
        raise UsageError(f"there is no model at {place}.", hint="motionkit train lang2motion")
    report = evaluate(
        place,
        shards or workspace / "shards",
        split=config.split,
        overlays=overlays,
        frame_size=(config.frame_width, config.frame_height),
        seed=config.seed,
    )
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(report, indent=1, sort_keys=True) + "\n"
        publish(out, lambda path: path.write_text(text, "utf-8"))
    return report, lines_of(report)


def evaluation_path(workspace: Path, split: str) -> Path:
    """Where the report on a split lies by default: the page about the workspace shows it."""
    return workspace / "models" / MODEL / f"evaluation-{split}.json"


def evaluate_step(workspace: Workspace, config: Lang2MotionEvaluation) -> StepResult:
    """The recipe's step: the report in the model's folder, and a line."""
    from motionkit.pipeline import StepResult

    path = evaluation_path(workspace.path, config.split)
    report, _ = evaluate_lang2motion(workspace.path, config, out=path)
    forth = report["retrieval"]["model"]["text_to_trajectory"]
    rows = report["generation"]
    near = rows.get("nearest text")
    line = (
        f"{report['split']}: R@1 {forth['at']['1']:.1%} (chance {forth['chance']['1']:.1%}), "
        f"ADE {rows['model']['ade_px']:.1f} px (static {rows['static']['ade_px']:.1f}"
        + (f", nearest text {near['ade_px']:.1f}" if near else "")
        + f") of {config.frame_width}×{config.frame_height}, {path}"
    )
    return StepResult("evaluate.lang2motion", report, line)
