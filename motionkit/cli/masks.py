"""The command `motionkit masks`."""

from __future__ import annotations

from typing import Annotated

import typer

from motionkit.cli.app import app
from motionkit.cli.steps import (
    STEP_EPILOG,
    Batch,
    Device,
    Precision,
    Settings,
    Timeout,
    Workers,
    run_command,
)
from motionkit.engines.local import EngineOptions


@app.command(epilog=STEP_EPILOG)
def masks(
    context: typer.Context,
    backend: Annotated[
        str | None,
        typer.Option(
            help="Who draws them: grabcut, file, yolo-seg:NAME or sam2:REPOSITORY (docs/masks.md)."
        ),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(min=0, help="A mask on every k-th frame; 0: on the first one only."),
    ] = None,
    settings: Settings = None,
    workers: Workers = 0,
    timeout: Timeout = 900.0,
    device: Device = "auto",
    precision: Precision = "auto",
    batch: Batch = 0,
) -> None:
    """Outline the person in the frames of every clip, for tracks and for the shards.

    Example: motionkit masks --backend sam2:facebook/sam2.1-hiera-large
    """
    engine = EngineOptions(workers, timeout, device=device, precision=precision, batch=batch)
    run_command(context, "masks", {"backend": backend, "every": every}, settings, engine)
