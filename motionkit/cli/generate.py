"""`motionkit generate …`: motion from a trained model."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from motionkit.cli.app import app
from motionkit.cli.console import Console

_EPILOG = "Exit codes: 0 done, 1 failed, 2 wrong usage."
generate_app = typer.Typer(no_args_is_help=True, help="Generate motion with a trained model.")
app.add_typer(generate_app, name="generate")


@generate_app.callback()
def _generate() -> None:
    """Generate motion with a trained model."""


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
