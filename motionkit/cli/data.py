"""Commands of the data path: from files to shards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from motionkit.cli.app import app
from motionkit.cli.console import Console, table
from motionkit.cli.steps import (
    STEP_EPILOG,
    Settings,
    Timeout,
    Workers,
    execute,
    parameters,
    run_command,
    show,
)


@app.command(epilog=STEP_EPILOG)
def ingest(
    context: typer.Context,
    sources: Annotated[list[str], typer.Argument(help="Files, folders or globs.")],
    settings: Settings = None,
    workers: Workers = 0,
    timeout: Timeout = 900.0,
) -> None:
    """Register videos: content hash, size, frame times, rotation, licence, sidecar captions.

    Example: motionkit ingest videos/ more/*.mp4
    """
    run_command(context, "ingest", {"sources": sources}, settings, workers, timeout, create=True)


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
    run_command(context, "scan", {}, settings, workers, timeout)


@app.command(epilog=STEP_EPILOG)
def detect(
    context: typer.Context,
    backend: Annotated[str | None, typer.Option(help="Person detector, e.g. mediapipe.")] = None,
    settings: Settings = None,
    workers: Workers = 0,
    timeout: Timeout = 900.0,
) -> None:
    """First pass: find the person in every shot.

    Example: motionkit detect --backend mediapipe
    """
    run_command(context, "detect", {"backend": backend}, settings, workers, timeout)


@app.command("filter", epilog=STEP_EPILOG)
def filter_(
    context: typer.Context,
    settings: Settings = None,
    workers: Workers = 0,
    timeout: Timeout = 900.0,
) -> None:
    """Cut shots into clips and judge them by thresholds over stored scores: no model, seconds.

    Example: motionkit filter --set camera_max=0.004
    """
    from motionkit.catalogue import query

    console: Console = context.obj
    workspace = console.workspace()
    result = execute(console, workspace, "filter", {}, settings, workers, timeout)
    rows = query(
        workspace,
        "SELECT coalesce(reason, 'kept') AS verdict, count(*) AS stretches, "
        "round(sum(t1_s - t0_s), 2) AS seconds, min(measured) AS lowest, "
        "max(measured) AS highest, any_value(threshold) AS threshold "
        "FROM candidates GROUP BY 1 ORDER BY seconds DESC, verdict",
    ).to_pylist()
    lines = [f"filter: {result.line}"]
    if rows:
        lines += table([list(row.values()) for row in rows], list(rows[0]))
    console.result({**result.summary, "verdicts": rows}, lines)


@app.command(epilog=STEP_EPILOG)
def pose(
    context: typer.Context,
    backend: Annotated[str | None, typer.Option(help="Pose estimator, e.g. mediapipe.")] = None,
    settings: Settings = None,
    workers: Workers = 0,
    timeout: Timeout = 900.0,
) -> None:
    """Second pass: 17 keypoints a frame at 30 frames a second, for every kept clip.

    Example: motionkit pose --backend mediapipe
    """
    run_command(context, "pose", {"backend": backend}, settings, workers, timeout)


@app.command(epilog=STEP_EPILOG)
def track(
    context: typer.Context,
    grid: Annotated[int | None, typer.Option(min=1, help="Points a side of the grid.")] = None,
    frames: Annotated[int | None, typer.Option(min=2, help="Frames to follow.")] = None,
    backend: Annotated[str | None, typer.Option(help="Point tracker.")] = None,
    settings: Settings = None,
    workers: Workers = 0,
    timeout: Timeout = 900.0,
) -> None:
    """Follow a grid of points on the person (or inside a mask file) through each clip.

    Example: motionkit track --grid 6
    """
    given = {"grid": grid, "frames": frames, "backend": backend}
    run_command(context, "track", given, settings, workers, timeout)


@app.command(epilog=STEP_EPILOG)
def caption(
    context: typer.Context,
    source: Annotated[
        str | None, typer.Option(help="auto, sidecar or kinematic; each is marked as such.")
    ] = None,
    settings: Settings = None,
    workers: Workers = 0,
    timeout: Timeout = 900.0,
) -> None:
    """Give every clip its captions: from sidecar files, and from what the keypoints show.

    Example: motionkit caption --source auto
    """
    run_command(context, "caption", {"source": source}, settings, workers, timeout)


@app.command(
    "build-shards",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage.",
)
def build_shards(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the set [default: WORKSPACE/shards].")
    ] = None,
    rows_per_shard: Annotated[int | None, typer.Option(min=1, help="Samples a shard.")] = None,
    salt: Annotated[str | None, typer.Option(help="Another salt gives another split.")] = None,
    settings: Settings = None,
) -> None:
    """Join keypoints, tracks and captions into Parquet shards with a manifest and a data card.

    Example: motionkit build-shards --out data/people
    """
    from motionkit.pipeline import make_shards

    console: Console = context.obj
    workspace = console.workspace()
    given: dict[str, Any] = {"rows_per_shard": rows_per_shard, "salt": salt}
    options = parameters(workspace, "shards", given, settings)
    show(console, make_shards(workspace, options, out=out))
