"""The evaluator over a workspace: its training, and what it says of a model."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionkit.engines.local import Progress
from motionkit.errors import UsageError
from motionkit.workspace import Workspace, publish

if TYPE_CHECKING:
    from motionkit.pipeline import StepResult

#: Metrics in the order of the table: key, heading, and which way is better.
METRICS = (
    ("fid", "FID ↓"),
    ("fid_halves", "FID halves ↓"),
    ("top_1", "top-1 ↑"),
    ("top_2", "top-2 ↑"),
    ("top_3", "top-3 ↑"),
    ("mm_dist", "MM-Dist ↓"),
    ("diversity", "Diversity →"),
)


def train_evaluator(
    workspace: Workspace,
    config: Any,
    *,
    shards: Path | None = None,
    out: Path | None = None,
    resume: bool = True,
    progress: Progress | None = None,
) -> StepResult:
    """Train an evaluator on the workspace's shards (or on any shard set)."""
    from motionkit.pipeline import StepResult
    from motionkit.shards.reader import open_shards
    from motionkit.training.evaluator import train

    # A missing or damaged set is told before torch is loaded.
    folder = open_shards(shards or workspace.path / "shards").path
    target = out or workspace.path / "models" / "evaluator"

    def log(row: dict[str, Any]) -> None:
        if progress is not None:
            progress("train evaluator", int(row["step"]), config.steps)

    made = train(config, shards=folder, out=target, resume=resume, log=log)
    top = made.val.get("val_top1")
    line = f"{made.clips} clips, {made.texts} captions, {made.steps} steps, {made.seconds:.0f} s, "
    if top is None:
        line += "no val split to choose by: the last weights are kept, "
    else:
        line += (
            f"step {made.best_step} kept: top-1 {top:.3f} on val clips in pools of "
            f"{made.val_pool} (chance {1 / made.val_pool:.3f}), "
        )
    line += f"{made.model}"
    if made.stopped_early:
        line += "; stopped early by max_minutes: run again to go on"
    return StepResult("train.evaluator", dataclasses.asdict(made), line)


def evaluate_k2m(
    workspace: Path,
    config: Any,
    *,
    model: Path | None = None,
    evaluator: Path | None = None,
    shards: Path | None = None,
    out: Path | None = None,
    critic: tuple[Path, Path] | None = None,
    trust_critic: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """The report of `evaluation.k2m_report.evaluate_k2m`, also written to ``out``.

    Models and shards are the workspace's unless they are named.
    """
    from motionkit.evaluation.k2m_report import CriticRequest
    from motionkit.evaluation.k2m_report import evaluate_k2m as evaluate
    from motionkit.generation.world import to_world

    places = {
        "k2m": model or workspace / "models" / "k2m",
        "evaluator": evaluator or workspace / "models" / "evaluator",
    }
    for name, place in places.items():
        if not place.exists():
            raise UsageError(f"there is no {name} at {place}.", hint=f"motionkit train {name}")
    request = None
    if critic is not None:
        request = CriticRequest(critic[0], critic[1], trust_critic, to_world)
    report = evaluate(
        places["k2m"],
        places["evaluator"],
        shards or workspace / "shards",
        config,
        critic=request,
        progress=progress or (lambda step, done, total: None),
    )
    if out is not None:
        text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        out.parent.mkdir(parents=True, exist_ok=True)
        publish(out, lambda path: path.write_text(text, "utf-8"))
    return report


def evaluate_k2m_step(
    workspace: Workspace, config: Any, *, progress: Progress | None = None
) -> StepResult:
    """The recipe's step: the report in the model's folder, and a line."""
    from motionkit.pipeline import StepResult

    path = workspace.path / "models" / "k2m" / f"evaluation-{config.split}.json"
    report = evaluate_k2m(workspace.path, config, out=path, progress=progress)
    truth, made = report["rows"][0]["scores"], report["rows"][-1]["scores"]
    line = (
        f"{config.split}: top-1 {_cell(made['top_1'])} (real {_cell(truth['top_1'])}, chance "
        f"{1 / config.pool:.3f}), FID halves {_cell(made['fid_halves'])} (real "
        f"{_cell(truth['fid_halves'])}), {path}"
    )
    return StepResult("evaluate.k2m", report, line)


def table_of(report: dict[str, Any]) -> tuple[list[list[Any]], list[str]]:
    """Rows and headings of the table that people read; chance stands under it."""
    header = ["", "n", *(heading for _, heading in METRICS)]
    rows = []
    for scored in report["rows"]:
        cells = [_cell(scored["scores"][key]) for key, _ in METRICS]
        rows.append([scored["name"], str(scored["n"]), *cells])
    by_chance = report["settings"]["chance"]
    rows.append(["chance", "", *(
        f"{by_chance[key]:.3f}" if key in by_chance else "" for key, _ in METRICS
    )])  # fmt: skip
    return rows, header


def remarks(report: dict[str, Any]) -> list[str]:
    """What has to be read with the table."""
    s, e = report["settings"], report["evaluator"]
    lines = [
        f"mean ± 95 % interval of {s['runs']} runs, {s['generations']} generated sets, "
        f"seed {s['seed']}; pools of {s['pool']}; {s['n']} clips with "
        f"{s['distinct_captions']} different captions",
        f"FID halves: a half against the other half of the real set, {s['fid_halves_n']} each; "
        "its ground-truth row is the floor",
        "still figure: what a motion's length alone says; R-precision counts from there",
        f"Diversity: {s['diversity_pairs']} pairs; embeddings: {s['embedding']} numbers, length 1",
        f"evaluator {e['identity'][:16]}; shards {report['shards']['manifest'][:16]} "
        f"{report['shards']['split']}",
    ]
    if found := report.get("multimodality"):
        lines.append(
            f"Multimodality {found['mean']:.3f} ±{found['interval_95']:.3f}: {found['texts']} "
            f"texts x {found['samples']} motions, {found['pairs']} pairs each"
        )
    if found := report.get("critic"):
        lines.append(
            f"MotionCritic: mean {found['mean']:.3f}, max {found['max']:.3f}, min "
            f"{found['min']:.3f}, std {found['std']:.3f} over {found['n']} motions, first "
            f"{found['frames']} frames; {found['shorter_and_held']} shorter ones held at the end"
        )
    if left := report["shards"]["left_out"]:
        lines.append("left out: " + ", ".join(f"{k} {v}" for k, v in sorted(left.items())))
    return lines + [f"note: {text}" for text in report["notes"]]


def _cell(value: dict[str, Any]) -> str:
    if value["mean"] is None:
        return "-"
    return f"{value['mean']:.3f} ±{value['interval_95']:.3f}"
