"""`motionkit lift`: 2D motion in, 3D out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from motionkit.cli.app import app
from motionkit.cli.console import Console, clean, table
from motionkit.errors import UsageError


@app.command(epilog="Exit codes: 0 done, 1 a clip failed, 2 wrong usage.")
def lift(
    context: typer.Context,
    clips: Annotated[
        list[str] | None,
        typer.Argument(help="Clip ids, or files of keypoints (.npz, .json, COCO)."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every clip of the workspace (or of --shards).")
    ] = False,
    shards: Annotated[
        Path | None, typer.Option(help="Look the clips up in this shard set.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="All clips of this split of the shard set.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Trained model [default: WORKSPACE/models/k2m].")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files [default: WORKSPACE/lifted].")
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="npz, bvh, glb, mp4; repeated or with commas [npz,mp4]."),
    ] = None,
    through_tokens: Annotated[
        bool, typer.Option("--through-tokens", help="As generation decodes them; less exact.")
    ] = False,
    flip_average: Annotated[
        bool, typer.Option(help="Lift the mirrored clip too and average; twice the time.")
    ] = True,
    window: Annotated[
        int | None,
        typer.Option(min=0, help="Frames at once [default: as trained]; 0: the whole clip."),
    ] = None,
    smooth: Annotated[
        int, typer.Option(min=1, help="Frames of a smoothing filter over the motion; 1: none.")
    ] = 1,
    refine: Annotated[
        int, typer.Option(min=0, help="Steps of fitting each clip to its keypoints; 0: none.")
    ] = 120,
    camera: Annotated[
        bool, typer.Option("--camera", help="Keep the camera's frame in the .npz as well.")
    ] = False,
    fps: Annotated[
        float | None, typer.Option(min=0.1, help="Frame rate of files that state none.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Picture of files that state none.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto (CUDA, else the CPU), cpu, cuda:0.")] = "auto",
) -> None:
    """Lift 2D keypoints to 3D motion with a trained K2M: .npz, .bvh, .glb, and a .mp4 to judge by.

    What is lifted already with the same model and options is passed over.

    Example: motionkit lift --all

    Example: motionkit lift keypoints.json --size 1280x720 --fps 25 --format npz,bvh
    """
    from motionkit.devices import find
    from motionkit.generation.lift import FORMATS, LiftOptions
    from motionkit.generation.lift import lift as make
    from motionkit.keypoint_sources import gather

    console: Console = context.obj
    wanted = [f for part in formats or ["npz,mp4"] for f in part.split(",") if f]
    options = LiftOptions(
        formats=tuple(f for f in FORMATS if f in wanted)
        + tuple(f for f in wanted if f not in FORMATS),
        through_tokens=through_tokens, flip_average=flip_average, window=window, smooth=smooth,
        refine=refine, camera=camera, device=find(device, "fp32")[0][0].name,
    )  # fmt: skip
    total, found = gather(
        clips or [], console.workspace_path, shards=shards, split=split, everything=everything,
        fps=fps, size=_size(size),
    )  # fmt: skip
    folder = model or console.workspace_path / "models" / "k2m"
    if not folder.exists():
        raise UsageError(f"there is no trained model at {folder}.", hint="motionkit train k2m")
    made = make(
        folder, found, out or console.workspace_path / "lifted", options,
        total=total, progress=console.progress(),
    )  # fmt: skip
    lines = table(
        [(clean(r.name), r.outcome, r.frames, r.error_percent, 100 * r.seen, 100 * r.facing)
         for r in made.rows if r.outcome != "failed"],
        ("clip", "outcome", "frames", "error %", "seen %", "facing %"),
    ) if len(made.failed) < len(made.rows) else []  # fmt: skip
    lines += [f"{clean(r.name)}: {clean(r.note)}" for r in made.rows if r.note and not r.code]
    lines += [f"failed: {r.code}: {clean(r.note)}" for r in made.failed]
    lines.append(f"{len(made.rows) - len(made.failed)} of {len(made.rows)} clips in {made.out}")
    console.result(
        {"out": made.out, "model": made.model, "failed": len(made.failed),
         "clips": [dataclasses.asdict(r) for r in made.rows]},
        lines,
    )  # fmt: skip
    if made.failed:
        raise typer.Exit(1)


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise UsageError(f"--size is WIDTHxHEIGHT, not {text!r}.", hint="--size 1280x720")
    return int(width), int(height)
