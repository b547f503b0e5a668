"""Commands of the models: train and generate."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from motionkit.cli.app import app
from motionkit.cli.console import Console
from motionkit.cli.steps import Settings, show

_EPILOG = "Exit codes: 0 done, 1 failed, 2 wrong usage."
train_app = typer.Typer(no_args_is_help=True, help="Train a model on shards.")
generate_app = typer.Typer(no_args_is_help=True, help="Generate motion with a trained model.")
app.add_typer(train_app, name="train")
app.add_typer(generate_app, name="generate")


@train_app.callback()
def _train() -> None:
    """Train a model on shards."""


@generate_app.callback()
def _generate() -> None:
    """Generate motion with a trained model."""


@train_app.command("k2m", epilog=_EPILOG)
def train_k2m(
    context: typer.Context,
    shards: Annotated[
        Path | None, typer.Option(help="Shard set [default: WORKSPACE/shards].")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the model [default: WORKSPACE/models/k2m].")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start anew instead of going on where it stopped.")
    ] = False,
    settings: Settings = None,
) -> None:
    """Train K2M: 3D human motion from 2D keypoints alone. Goes on where it was stopped.

    Example: motionkit train k2m --shards motion/shards
    """
    from motionkit.pipeline import train_k2m as train
    from motionkit.recipes import parse_settings, step_parameters

    console: Console = context.obj
    workspace = console.workspace(create=shards is not None)
    config = step_parameters("train.k2m", parse_settings(settings or [], "train k2m"), "train k2m")
    result = train(
        workspace, config, shards=shards, out=out, resume=not fresh, progress=console.progress()
    )
    show(console, result)


@generate_app.command("k2m", epilog=_EPILOG)
def generate_k2m(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="What the person does, in English.")],
    model: Annotated[
        Path | None, typer.Option(help="Trained model [default: WORKSPACE/models/k2m].")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files [default: WORKSPACE/generated].")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.5, max=10, help="Length [default: predicted].")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another motion.")] = 0,
) -> None:
    """Generate a 3D motion from text: .npz (SMPL parameters and joints), .bvh and .mp4.

    Example: motionkit generate k2m "a person waves the left hand"
    """
    from motionkit.pipeline import generate_motion

    console: Console = context.obj
    made = generate_motion(
        console.workspace(create=model is not None),
        text, model=model, out=out, seconds=seconds, seed=seed,
    )  # fmt: skip
    data = dataclasses.asdict(made)
    data.pop("joints", None)
    lines = [f"{made.seconds:.1f} s of motion for: {text}"]
    lines += [f"  {path}" for path in made.paths]
    console.result(data, lines)
