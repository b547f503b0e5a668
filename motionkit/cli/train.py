"""`motionkit train …`: models from shards."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from motionkit.cli.app import app
from motionkit.cli.console import Console
from motionkit.cli.steps import Settings, show
from motionkit.errors import MotionkitError

TrainDevice = Annotated[
    str | None,
    typer.Option("--device", help="auto (CUDA, else the CPU), cpu, cuda, cuda:1; or a list."),
]
Devices = Annotated[
    int | None,
    typer.Option("--devices", min=1, help="Processes that train together, one a device."),
]
TrainPrecision = Annotated[
    str | None,
    typer.Option("--precision", help="auto (bf16 on CUDA, fp32 on the CPU), fp32, bf16."),
]
Estimate = Annotated[
    bool, typer.Option("--estimate", help="Say what memory and time it will take, and train not.")
]
_EPILOG = "Exit codes: 0 done, 1 failed, 2 wrong usage."
train_app = typer.Typer(no_args_is_help=True, help="Train a model on shards.")
app.add_typer(train_app, name="train")


@train_app.callback()
def _train() -> None:
    """Train a model on shards."""


@contextlib.contextmanager
def saying_how_to_go_on() -> Iterator[None]:
    """A training that was stopped and saved says so; Typer would end without a word."""
    try:
        yield
    except KeyboardInterrupt as error:
        if str(error):
            raise MotionkitError(str(error)) from None
        raise


def placed(config: Any, **options: Any) -> Any:
    """A training's configuration with the options that were given on the command line."""
    return dataclasses.replace(config, **{k: v for k, v in options.items() if v is not None})


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
    estimate: Estimate = False,
    device: TrainDevice = None,
    devices: Devices = None,
    precision: TrainPrecision = None,
    settings: Settings = None,
) -> None:
    """Train K2M: 3D human motion from 2D keypoints alone. Goes on where it was stopped.

    Ctrl-C saves after the running step.

    Example: motionkit train k2m --shards motion/shards --estimate
    """
    from motionkit.motions import estimate_k2m
    from motionkit.motions import train_k2m as train
    from motionkit.recipes import parse_settings, step_parameters

    console: Console = context.obj
    workspace = console.workspace(create=shards is not None)
    where = "train k2m"
    config = step_parameters("train.k2m", parse_settings(settings or [], where), where)
    config = placed(config, device=device, devices=devices, precision=precision)
    if estimate:
        found = estimate_k2m(workspace, config, shards=shards)
        console.result(found.as_dict(), found.lines())
        return
    with saying_how_to_go_on():
        result = train(
            workspace, config, shards=shards, out=out, resume=not fresh,
            progress=console.progress(),
        )  # fmt: skip
    show(console, result)


@train_app.command("evaluator", epilog=_EPILOG)
def train_evaluator(
    context: typer.Context,
    shards: Annotated[
        Path | None, typer.Option(help="Shard set [default: WORKSPACE/shards].")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Its folder [default: WORKSPACE/models/evaluator].")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start anew instead of going on where it stopped.")
    ] = False,
    settings: Settings = None,
) -> None:
    """Train the text-motion evaluator that `evaluate` judges by, on 2D motion and captions.

    Example: motionkit train evaluator --shards motion/shards
    """
    from motionkit.evaluating import train_evaluator as train
    from motionkit.recipes import parse_settings, step_parameters

    console: Console = context.obj
    workspace = console.workspace(create=shards is not None)
    where = "train evaluator"
    config = step_parameters("train.evaluator", parse_settings(settings or [], where), where)
    with saying_how_to_go_on():
        result = train(
            workspace, config, shards=shards, out=out, resume=not fresh,
            progress=console.progress(),
        )  # fmt: skip
    show(console, result)


@train_app.command("lang2motion", epilog=_EPILOG)
def train_lang2motion(
    context: typer.Context,
    shards: Annotated[
        Path | None, typer.Option(help="Shard set with tracks [default: WORKSPACE/shards].")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Its folder [default: WORKSPACE/models/lang2motion].")
    ] = None,
    overlays: Annotated[
        Path | None,
        typer.Option(help="Features of overlay frames [default: overlay_features by the shards]."),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start anew instead of going on where it stopped.")
    ] = False,
    estimate: Estimate = False,
    device: TrainDevice = None,
    devices: Devices = None,
    precision: TrainPrecision = None,
    settings: Settings = None,
) -> None:
    """Train Lang2Motion: point trajectories from text. Goes on where it was stopped.

    Ctrl-C saves after the running step.

    Example: motionkit train lang2motion --set preset=small --set epochs=50
    """
    from motionkit.recipes import parse_settings, step_parameters
    from motionkit.trajectories import estimate_lang2motion
    from motionkit.trajectories import train_lang2motion as train

    console: Console = context.obj
    workspace = console.workspace(create=shards is not None)
    where = "train lang2motion"
    config = step_parameters("train.lang2motion", parse_settings(settings or [], where), where)
    config = placed(config, device=device, devices=devices, precision=precision)
    if estimate:
        found = estimate_lang2motion(workspace, config, shards=shards, overlays=overlays)
        console.result(found.as_dict(), found.lines())
        return
    with saying_how_to_go_on():
        result = train(
            workspace, config, shards=shards, out=out, overlays=overlays, resume=not fresh,
            progress=console.progress(),
        )  # fmt: skip
    show(console, result)
