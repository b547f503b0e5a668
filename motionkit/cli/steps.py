"""What the stage commands share: parameters from options, the run, and what is printed."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import typer

from motionkit.cli.console import Console
from motionkit.engines.local import EngineOptions
from motionkit.pipeline import StepResult, run_step
from motionkit.recipes import build, parameters_of, parse_settings
from motionkit.workspace import Workspace

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any other parameter of this step (docs/parameters.md lists them); may be repeated.",
    ),
]
RecipeSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="STEP.KEY=VALUE",
        help="Another value than the recipe's, e.g. pose.backend=mmpose:NAME; may be repeated.",
    ),
]
Workers = Annotated[
    int, typer.Option("--workers", min=0, help="Worker processes; 0 means one a core.")
]
Timeout = Annotated[
    float, typer.Option("--timeout", min=1, help="Seconds after which one item counts as failed.")
]

Device = Annotated[
    str,
    typer.Option(
        "--device",
        help="Where the model runs: auto (CUDA, else the CPU), cpu, cuda, cuda:0,cuda:1.",
    ),
]
Precision = Annotated[
    str, typer.Option("--precision", help="auto (fp16 on CUDA, fp32 on the CPU), fp32, fp16, bf16.")
]
Batch = Annotated[
    int,
    typer.Option(
        "--batch", min=0, help="Pictures (or clips) in one call of the model; 0: found by trying."
    ),
]

STEP_EPILOG = (
    "Parameters that are not given stay as this workspace used them last. Failed items are "
    "recorded and never stop the run: see motionkit failures. "
    "Exit codes: 0 done, 1 failed, 2 wrong usage."
)


def parameters(
    workspace: Workspace, step: str, given: dict[str, Any], settings: list[str] | None
) -> Any:
    """A step's parameters: options over the workspace's last ones over the defaults."""
    cls = parameters_of(step)
    known = {field.name for field in dataclasses.fields(cls)}
    last = workspace.current(cls.table) if hasattr(cls, "table") else None
    base = {k: v for k, v in (last or {}).get("parameters", {}).items() if k in known}
    named = {key: value for key, value in given.items() if value is not None}
    chosen = parse_settings(settings or [], step)
    return build(cls, {**base, **named, **chosen}, step)


def run_command(
    context: typer.Context,
    step: str,
    given: dict[str, Any],
    settings: list[str] | None,
    engine: EngineOptions,
) -> StepResult:
    """Run one stage over the workspace and print its summary."""
    console: Console = context.obj
    result = execute(console, console.workspace(), step, given, settings, engine)
    show(console, result)
    return result


def execute(
    console: Console,
    workspace: Workspace,
    step: str,
    given: dict[str, Any],
    settings: list[str] | None,
    engine: EngineOptions,
) -> StepResult:
    """Run one stage over the workspace."""
    stage = parameters(workspace, step, given, settings)
    return run_step(workspace, step, stage, engine, progress=console.progress(), say=console.say)


def show(console: Console, result: StepResult) -> None:
    """Print a step's summary; failures name the command that explains them."""
    lines = [f"{result.step}: {result.line}"]
    if result.failed:
        lines.append("  see: motionkit failures")
    console.result(result.summary, lines)
