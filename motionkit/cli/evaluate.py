"""`motionkit evaluate …`: scores of trained models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motionkit.cli.app import app
from motionkit.cli.console import Console, table
from motionkit.cli.steps import Settings

_EPILOG = "Exit codes: 0 done, 1 failed, 2 wrong usage."
evaluate_app = typer.Typer(no_args_is_help=True, help="Score a trained model on held-out clips.")
app.add_typer(evaluate_app, name="evaluate")


@evaluate_app.callback()
def _evaluate() -> None:
    """Score a trained model on held-out clips."""


@evaluate_app.command("k2m", epilog=_EPILOG)
def evaluate_k2m(
    context: typer.Context,
    model: Annotated[
        Path | None, typer.Option(help="Trained K2M [default: WORKSPACE/models/k2m].")
    ] = None,
    evaluator: Annotated[
        Path | None, typer.Option(help="Evaluator [default: WORKSPACE/models/evaluator].")
    ] = None,
    shards: Annotated[
        Path | None, typer.Option(help="Shard set [default: WORKSPACE/shards].")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of it: test, val or train.")] = "test",
    runs: Annotated[int, typer.Option(min=1, help="Repetitions, for the 95 % intervals.")] = 20,
    pool: Annotated[int, typer.Option(min=2, help="Motions that a text is ranked against.")] = 32,
    generations: Annotated[
        int, typer.Option(min=0, help="Generated sets; 0: one a run. Fewer take turns.")
    ] = 0,
    lengths: Annotated[
        str, typer.Option(help="Of generated motions: real (their clips') or predicted.")
    ] = "real",
    reconstruct: Annotated[
        bool, typer.Option("--reconstruct", help="Also score real motions through the tokens.")
    ] = False,
    multimodality: Annotated[
        int, typer.Option(min=0, help="Texts for Multimodality (100 is usual); 0: left out.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Another seed, other draws.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Also write the report as JSON.")] = None,
    critic: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="CHECKOUT CHECKPOINT", help="Also score with MotionCritic (docs/evaluate.md)."
        ),
    ] = None,
    trust_critic: Annotated[
        bool, typer.Option("--trust-critic", help="Allow the checkout's Python code to run.")
    ] = False,
    settings: Settings = None,
) -> None:
    """Score K2M's motions for the captions of held-out clips, beside the real motions.

    Needs an evaluator (motionkit train evaluator). Example: motionkit evaluate k2m --runs 5
    """
    from motionkit.evaluating import evaluate_k2m as evaluate
    from motionkit.evaluating import remarks, table_of
    from motionkit.recipes import parse_settings, step_parameters

    console: Console = context.obj
    given = {
        "split": split, "runs": runs, "pool": pool, "generations": generations,
        "lengths": lengths, "reconstruct": reconstruct, "multimodality": multimodality,
        "seed": seed,
    }  # fmt: skip
    where = "evaluate k2m"
    chosen = {**given, **parse_settings(settings or [], where)}
    config = step_parameters("evaluate.k2m", chosen, where)
    report = evaluate(
        console.workspace_path, config, model=model, evaluator=evaluator, shards=shards, out=out,
        critic=critic, trust_critic=trust_critic, progress=console.progress(),
    )  # fmt: skip
    rows, header = table_of(report)
    lines = [*table(rows, header), "", *remarks(report)]
    console.result(report, lines + ([f"report: {out}"] if out else []))


@evaluate_app.command("lang2motion", epilog=_EPILOG)
def evaluate_lang2motion(
    context: typer.Context,
    model: Annotated[
        Path | None, typer.Option(help="Trained model [default: WORKSPACE/models/lang2motion].")
    ] = None,
    shards: Annotated[
        Path | None, typer.Option(help="Shard set [default: WORKSPACE/shards].")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of it: test, val or train.")] = "test",
    frame: Annotated[
        tuple[int, int], typer.Option(metavar="WIDTH HEIGHT", help="Frame that pixels are of.")
    ] = (640, 360),
    seed: Annotated[int, typer.Option(help="Of the baseline that moves at random.")] = 0,
    overlays: Annotated[
        Path | None,
        typer.Option(help="Features of overlay frames [default: overlay_features by the shards]."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="JSON report [default: WORKSPACE/models/lang2motion/evaluation-SPLIT.json, which "
            "the page of motionkit report shows; none with another --model or --shards]."
        ),
    ] = None,
) -> None:
    """Score Lang2Motion: retrieval both ways, and trajectories from text, beside baselines.

    Example: motionkit evaluate lang2motion --split test --frame 1280 720
    """
    from motionkit.trajectories import Lang2MotionEvaluation, evaluation_path
    from motionkit.trajectories import evaluate_lang2motion as evaluate

    console: Console = context.obj
    width, height = frame
    config = Lang2MotionEvaluation(split=split, frame_width=width, frame_height=height, seed=seed)
    if out is None and model is None and shards is None:
        out = evaluation_path(console.workspace_path, split)
    report, lines = evaluate(
        console.workspace_path, config, model=model, shards=shards, overlays=overlays, out=out
    )
    console.result(report, lines + ([f"report: {out}"] if out else []))
