"""Commands of the data path: from files to shards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from motionkit.cli.app import app
from motionkit.cli.console import Console
from motionkit.cli.steps import (
    STEP_EPILOG,
    Batch,
    Device,
    Precision,
    Settings,
    Timeout,
    Workers,
    execute,
    parameters,
    run_command,
    show,
)
from motionkit.engines.local import EngineOptions
from motionkit.errors import UsageError
from motionkit.intake import intake_steps


@app.command(epilog=STEP_EPILOG)
def ingest(
    context: typer.Context,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, folders, globs, manifests (CSV, JSON lines, Parquet), "
            "addresses (https://, s3://, gs:// …)."
        ),
    ] = None,
    search: Annotated[
        list[str] | None,
        typer.Option(
            "--search",
            metavar="FILE|TEXT",
            help="Search the web: a text, a file with one a line, or the shipped list "
            "motion-keywords; may be repeated.",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Links for each search.")] = None,
    cookies: Annotated[
        Path | None, typer.Option(help="Cookies file (Netscape format) for web pages.")
    ] = None,
    settings: Settings = None,
    workers: Workers = 0,
    timeout: Timeout = 900.0,
) -> None:
    """Bring videos in: search and fetch them where they are on the web, then register each one:
    content hash, size, frame times, rotation, licence, captions, ranges.

    Parameters of the first two steps are --set search.KEY=VALUE and --set fetch.KEY=VALUE.

    Example: motionkit ingest videos/ more/*.mp4 list.csv https://example.org/walk.mp4
    """
    from motionkit.pipeline import run_step

    console: Console = context.obj
    own: dict[str, list[str]] = {"search": [], "fetch": [], "ingest": []}
    for word in settings or []:
        step, dot, rest = word.partition(".")
        own[step if dot and step in own else "ingest"].append(rest if dot and step in own else word)
    kept = str(cookies.absolute()) if cookies is not None else None
    given: dict[str, dict[str, Any]] = {
        "search": {"queries": search or [], "limit": limit, "cookies": kept},
        "fetch": {"addresses": [], "searches": [], "cookies": kept},
        "ingest": {"sources": sources or []},
    }
    workspace = console.workspace(create=True)
    steps = {step: parameters(workspace, step, given[step], own[step]) for step in given}
    engine = EngineOptions(workers=workers, timeout_s=timeout)
    results = []
    for step, chosen in intake_steps(steps, []).items():
        results.append(run_step(workspace, step, chosen, engine, progress=console.progress()))
        if not console.json:
            show(console, results[-1])
    if console.json:
        earlier = {result.step: result.summary for result in results[:-1]}
        console.result({**results[-1].summary, **earlier}, [])


@app.command(epilog=STEP_EPILOG)
def expressions(
    context: typer.Context,
    settings: Settings = None,
    workers: Workers = 0,
    timeout: Timeout = 900.0,
) -> None:
    """Read the sentences of ingested MeViS folders, each with the masks of its objects.

    Example: motionkit expressions --workspace mevis
    """
    run_command(context, "expressions", {}, settings, EngineOptions(workers, timeout))


@app.command(epilog=STEP_EPILOG)
def scan(
    context: typer.Context,
    settings: Settings = None,
    workers: Workers = 0,
    timeout: Timeout = 900.0,
) -> None:
    """Decode each video once: shots, camera motion a frame, thumbnails.

    Example: motionkit scan
    """
    run_command(context, "scan", {}, settings, EngineOptions(workers, timeout))


@app.command(epilog=STEP_EPILOG)
def detect(
    context: typer.Context,
    backend: Annotated[
        str | None, typer.Option(help="Person detector: mediapipe, yolo:yolo11x-pose, …")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Whom to keep: largest, central or all.")
    ] = None,
    settings: Settings = None,
    workers: Workers = 0,
    timeout: Timeout = 900.0,
    device: Device = "auto",
    precision: Precision = "auto",
    batch: Batch = 0,
) -> None:
    """First pass: find the person in every shot.

    Example: motionkit detect --backend yolo:yolo11x-pose --target all
    """
    engine = EngineOptions(workers, timeout, device=device, precision=precision, batch=batch)
    run_command(context, "detect", {"backend": backend, "target": target}, settings, engine)


@app.command("filter", epilog=STEP_EPILOG)
def filter_(
    context: typer.Context,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="THRESHOLD=VALUE",
            help="Another threshold, e.g. camera.max=0.002 (docs/filter.md lists them); may be "
            "repeated.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Write nothing: show what it would keep, beside today's."),
    ] = False,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            "--sweep",
            metavar="THRESHOLD[=V1,V2…]|all",
            help="Show what several values of a threshold would keep; writes nothing; may be "
            "repeated.",
        ),
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option(
            metavar="CLIP",
            help="Say why a clip, shot, video or file (FILE@SECONDS: a moment of it) was kept or "
            "dropped; writes nothing.",
        ),
    ] = None,
    workers: Workers = 0,
    timeout: Timeout = 900.0,
) -> None:
    """Cut shots into clips and judge them by thresholds over stored scores: no model, seconds.

    Example: motionkit filter --set camera.max=0.002 --dry-run
    """
    from motionkit.cli.filter import show_explanation, show_verdicts, show_what_if
    from motionkit.thresholds import settings_in_full

    console: Console = context.obj
    workspace = console.workspace()
    chosen = settings_in_full(settings or [])
    if explain is not None:
        if chosen or dry_run or sweep:
            raise UsageError("--explain goes by the thresholds in force: leave out the others.")
        show_explanation(console, workspace, explain)
    elif dry_run or sweep:
        show_what_if(console, workspace, chosen, sweep or [])
    else:
        show_verdicts(
            console,
            workspace,
            execute(
                console,
                workspace,
                "filter",
                {},
                chosen,
                EngineOptions(workers=workers, timeout_s=timeout),
            ),
        )


@app.command(epilog=STEP_EPILOG)
def pose(
    context: typer.Context,
    backend: Annotated[
        str | None, typer.Option(help="Pose estimator: mediapipe, vitpose, mmpose:CONFIG, …")
    ] = None,
    flip_test: Annotated[
        bool | None,
        typer.Option(help="Measure the mirrored picture too: twice the time (ViTPose, mmpose)."),
    ] = None,
    settings: Settings = None,
    workers: Workers = 0,
    timeout: Timeout = 900.0,
    device: Device = "auto",
    precision: Precision = "auto",
    batch: Batch = 0,
) -> None:
    """Second pass: 17 keypoints a frame at 30 frames a second, for every kept clip.

    Example: motionkit pose --backend vitpose --no-flip-test
    """
    engine = EngineOptions(workers, timeout, device=device, precision=precision, batch=batch)
    run_command(context, "pose", {"backend": backend, "flip_test": flip_test}, settings, engine)


@app.command(epilog=STEP_EPILOG)
def track(
    context: typer.Context,
    grid: Annotated[int | None, typer.Option(min=1, help="Points a side of the grid.")] = None,
    frames: Annotated[int | None, typer.Option(min=2, help="Frames to follow.")] = None,
    backend: Annotated[str | None, typer.Option(help="Point tracker.")] = None,
    settings: Settings = None,
    workers: Workers = 0,
    timeout: Timeout = 900.0,
    device: Device = "auto",
    precision: Precision = "auto",
    batch: Batch = 0,
) -> None:
    """Follow a grid of points on the person (or inside a mask file) through each clip.

    Example: motionkit track --grid 6
    """
    given = {"grid": grid, "frames": frames, "backend": backend}
    engine = EngineOptions(workers, timeout, device=device, precision=precision, batch=batch)
    run_command(context, "track", given, settings, engine)


@app.command(epilog=STEP_EPILOG)
def overlays(
    context: typer.Context,
    encoder: Annotated[
        str | None, typer.Option(help="clip:OWNER/NAME, the one that training uses.")
    ] = None,
    colour: Annotated[
        str | None,
        typer.Option(help="Of the trails: cyan, blue, white, red, green, yellow, black."),
    ] = None,
    opacity: Annotated[float | None, typer.Option(min=0, max=1, help="Of the trails.")] = None,
    settings: Settings = None,
    workers: Workers = 0,
    timeout: Timeout = 900.0,
    device: Device = "auto",
    precision: Precision = "auto",
    batch: Batch = 0,
) -> None:
    """Draw the tracks on their frames and keep CLIP's features of them, for Lang2Motion.

    Example: motionkit overlays --colour cyan --opacity 0.5
    """
    given = {"encoder": encoder, "colour": colour, "opacity": opacity}
    engine = EngineOptions(workers, timeout, device=device, precision=precision, batch=batch)
    run_command(context, "overlays", given, settings, engine)


@app.command(epilog=STEP_EPILOG)
def caption(
    context: typer.Context,
    source: Annotated[
        str | None,
        typer.Option(help="auto, sidecar, model or kinematic; each is marked as such."),
    ] = None,
    captioner: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="A model that looks at the clips: openai:MODEL (a server: docs/captions.md) or "
            'transformers:REPO; "" for none.',
        ),
    ] = None,
    captions_each: Annotated[
        int | None, typer.Option(min=1, max=2, help="Captions the model writes of a clip.")
    ] = None,
    settings: Settings = None,
    workers: Workers = 0,
    timeout: Timeout = 900.0,
    device: Device = "auto",
    precision: Precision = "auto",
    batch: Batch = 0,
) -> None:
    """Give every clip its captions: from sidecar files, from a model that sees the person in a red
    box, and from what the keypoints show.

    Example: motionkit caption --captioner openai:Qwen/Qwen2.5-VL-7B-Instruct
    """
    given = {"source": source, "captioner": captioner, "captions_each": captions_each}
    engine = EngineOptions(workers, timeout, device=device, precision=precision, batch=batch)
    run_command(context, "caption", given, settings, engine)


@app.command(
    "build-shards",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage.",
)
def build_shards(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the set [default: WORKSPACE/shards].")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(metavar="SQL", help="Condition over the view `samples`; see docs/shards.md."),
    ] = None,
    rows_per_shard: Annotated[int | None, typer.Option(min=1, help="Most samples a shard.")] = None,
    max_shard_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Largest shard file, e.g. 256MB.")
    ] = None,
    commercial_only: Annotated[
        bool | None,
        typer.Option(
            "--commercial-only",
            help="Leave out what may not, or not surely, be used commercially.",
        ),
    ] = None,
    drop_flagged: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FLAG",
            help="Leave out captions that `motionkit captions audit` gave this flag, or one of "
            "wrong, doubt, note; may be repeated.",
        ),
    ] = None,
    salt: Annotated[str | None, typer.Option(help="Another salt gives another split.")] = None,
    settings: Settings = None,
) -> None:
    """Join keypoints, tracks and captions into Parquet shards with a manifest and a data card.

    Shards of the set that is there are kept where nothing in them changed.

    Example: motionkit build-shards --where "box_height > 0.5 AND captions > 1"
    """
    from motionkit.pipeline import make_shards

    console: Console = context.obj
    workspace = console.workspace()
    given: dict[str, Any] = {
        "where": where,
        "rows_per_shard": rows_per_shard,
        "max_shard_size": max_shard_size,
        "commercial_only": commercial_only,
        "drop_flagged": tuple(drop_flagged) if drop_flagged else None,
        "salt": salt,
    }
    options = parameters(workspace, "shards", given, settings)
    show(console, make_shards(workspace, options, out=out))
