"""Commands that do a whole job: run, synth, demo."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from motionkit.cli.app import app
from motionkit.cli.console import Console
from motionkit.cli.steps import Batch, Device, Precision, RecipeSettings, Workers
from motionkit.engines.local import EngineOptions
from motionkit.pipeline import StepResult, run_recipe

_EPILOG = "Exit codes: 0 done, 1 failed, 2 wrong usage."


@app.command(epilog=_EPILOG)
def run(
    context: typer.Context,
    recipe: Annotated[
        str, typer.Argument(help="A recipe file, or the name of a shipped one (people, demo).")
    ],
    source: Annotated[
        list[str] | None,
        typer.Option("--source", help="File, folder, glob, list or address; may be repeated."),
    ] = None,
    settings: RecipeSettings = None,
    workers: Workers = 0,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", min=1, help="Seconds after which one item counts as failed."),
    ] = None,
    device: Device | None = None,
    precision: Precision | None = None,
    batch: Batch = 0,
) -> None:
    """Run a whole recipe. What is done already is not done again; failed items never stop it.

    Example: motionkit run pipelines/people.toml --source videos/
    """
    from motionkit.catalogue import failures
    from motionkit.recipes import load_recipe

    console: Console = context.obj
    loaded = load_recipe(recipe, settings or ())
    asked = {
        "workers": workers or None,
        "timeout_s": timeout,
        "device": device,
        "precision": precision,
        "batch": batch or None,
    }
    given = {key: value for key, value in asked.items() if value is not None}
    engine: EngineOptions = dataclasses.replace(loaded.engine, **given)
    workspace = console.workspace(create=True)
    results = run_recipe(
        workspace, loaded, source or [], engine=engine,
        progress=console.progress(),
        on_step=lambda result: console.say(f"{result.step:<10} {result.line}"),
        say=console.say,
    )  # fmt: skip
    failed = len(failures(workspace))  # of this run and of those before
    lines = [f"done: {loaded.title}, in {console.workspace_path}"]
    if failed:
        what = "item" if failed == 1 else "items"
        lines.append(f"  {failed} {what} failed, recorded with the reason: motionkit failures")
    data = {"recipe": loaded.name, "steps": [_as_dict(r) for r in results], "failed": failed}
    console.result(data, lines)


def _as_dict(result: StepResult) -> dict[str, object]:
    return {"step": result.step, **result.summary}


@app.command(epilog=_EPILOG)
def synth(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder to fill.")],
    count: Annotated[int, typer.Option(min=1, help="Videos.")] = 24,
    seed: Annotated[int, typer.Option(help="Another seed, other videos.")] = 0,
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of each video.")] = 4.0,
    width: Annotated[int, typer.Option(min=64)] = 640,
    height: Annotated[int, typer.Option(min=64)] = 360,
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", help="Only this motion; may be repeated.")
    ] = None,
    static_only: Annotated[
        bool, typer.Option("--static-only", help="Standing cameras and single persons only.")
    ] = False,
    workers: Workers = 0,
) -> None:
    """Render a library of human motions as videos, with the truth beside them.

    Example: motionkit synth bench/ --count 48 --seed 7
    """
    import os

    from motionkit.synth.library import render_library

    console: Console = context.obj
    progress = console.progress()
    made = render_library(
        folder, count=count, seed=seed, seconds=seconds, width=width, height=height,
        kinds=kinds or None, static_only=static_only, workers=workers or os.cpu_count() or 1,
        progress=(lambda done, total: progress("synth", done, total)) if progress else None,
    )  # fmt: skip
    data = {"folder": str(folder), "videos": len(made)}
    lines = [f"{len(made)} videos in {folder}, their truth in {folder / 'truth'}",
             f"  go on with: motionkit run people --source {folder}"]  # fmt: skip
    console.result(data, lines)


@app.command(epilog=_EPILOG)
def demo(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder for all that it makes.")] = Path("demo"),
    workers: Workers = 0,
) -> None:
    """The whole way on rendered videos: data set, small K2M, three motions from text, a report.

    Example: motionkit demo
    """
    from motionkit.demo import run_demo

    console: Console = context.obj
    result = run_demo(folder, workers=workers, progress=console.progress(), say=console.say)
    console.result(result.as_dict(), result.lines())
