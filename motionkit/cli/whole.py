"""Commands that do a whole job: run, synth, demo."""

from __future__ import annotations

import dataclasses
import enum
import os
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


class SynthKind(str, enum.Enum):
    """What `synth` renders."""

    people = "people"
    objects = "objects"


@app.command(epilog=_EPILOG)
def synth(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder to fill.")],
    kind: Annotated[
        SynthKind, typer.Option(help="People: video files. Objects: a world in MeViS' layout.")
    ] = SynthKind.people,
    count: Annotated[int, typer.Option("--videos", "--count", min=1, help="Videos.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other videos.")] = 0,
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of each video of people.")] = 4.0,
    frames: Annotated[int, typer.Option(min=2, help="Frames of each video of objects.")] = 40,
    width: Annotated[int, typer.Option(min=64)] = 640,
    height: Annotated[int, typer.Option(min=64)] = 360,
    motions: Annotated[
        list[str] | None, typer.Option("--motion", help="Only this motion; may be repeated.")
    ] = None,
    static_only: Annotated[
        bool, typer.Option("--static-only", help="Standing cameras, and single persons only.")
    ] = False,
    splits: Annotated[
        str, typer.Option(help="Objects: splits with their shares of the videos.")
    ] = "train=0.8,valid_u=0.15,valid=0.05",
    sentences: Annotated[int, typer.Option(min=1, help="Objects: sentences about each.")] = 3,
    held_out: Annotated[
        float, typer.Option(min=0, max=1, help="Objects: share of new wordings in valid splits.")
    ] = 0.5,
    workers: Workers = 0,
) -> None:
    """Render videos with the truth beside them: human motions, or a world of moving objects.

    Example: motionkit synth bench/ --videos 48 --seed 7

    Example: motionkit synth world/ --kind objects --videos 200 --splits train=0.8,valid_u=0.2
    """
    console: Console = context.obj
    progress = console.progress()
    cores = workers or os.cpu_count() or 1
    tell = (lambda done, total: progress("synth", done, total)) if progress else None
    if kind is SynthKind.objects:
        from motionkit.synth.objects.spec import WorldSpec
        from motionkit.synth.objects.write import counts_of, read_shares, write_world

        spec = WorldSpec(
            seed=seed, width=width, height=height, frames=frames, sentences=sentences,
            held_out=held_out, motions=tuple(motions or ()), camera=0.0 if static_only else 0.36,
        )  # fmt: skip
        counts = counts_of(count, read_shares(splits))
        world = write_world(folder, spec, counts, workers=cores, progress=tell)
        console.result(world.as_dict(), world.lines())
        return
    from motionkit.synth.library import render_library

    made = render_library(
        folder, count=count, seed=seed, seconds=seconds, width=width, height=height,
        kinds=motions or None, static_only=static_only, workers=cores, progress=tell,
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
