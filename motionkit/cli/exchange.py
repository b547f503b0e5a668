"""Commands that hand data sets on and take them in: release, rebuild, export, import."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from motionkit.cli.app import app
from motionkit.cli.console import Console, clean, table
from motionkit.errors import UsageError

_EPILOG = "Exit codes: 0 done, 1 failed, 2 wrong usage."
_Shards = Annotated[
    Path | None, typer.Option("--shards", help="Shard set [default: WORKSPACE/shards].")
]


@app.command(epilog=_EPILOG)
def release(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="Folder of the pack.")],
    shards: _Shards = None,
    commercial_only: Annotated[
        bool,
        typer.Option(
            "--commercial-only", help="Leave out what may not, or not surely, be used commercially."
        ),
    ] = False,
    addressed_only: Annotated[
        bool, typer.Option("--addressed-only", help="Leave out clips of videos without an address.")
    ] = False,
) -> None:
    """Write a release pack: links, time ranges, keypoints, tracks and text, without pixels.

    Example: motionkit release --out pack
    """
    from motionkit.exchange.release import release as make

    console: Console = context.obj
    workspace = console.workspace()
    made = make(
        shards or workspace.path / "shards",
        workspace,
        out,
        commercial_only=commercial_only,
        addressed_only=addressed_only,
    )
    lines = [
        f"{sum(made.set.samples.values())} clips of {made.videos} videos, "
        f"{made.set.hours * 60:.1f} min, {made.set.bytes / 1e6:.1f} MB in {made.set.path}"
    ]
    if made.no_address:
        lines.append(
            f"  {made.no_address} videos ({made.no_address_clips} clips) have no address: they "
            "can be found again by their SHA-256 alone"
        )
    if made.set.left_out:
        lines.append(f"  left out: {_counts(made.set.left_out)}")
    console.result(_plain(made), lines)


@app.command(
    epilog="Exit codes: 0 done (dead links are in the report), 1 no video at all, 2 usage."
)
def rebuild(
    context: typer.Context,
    pack: Annotated[Path, typer.Argument(help="Folder of a release pack.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for files and report.")],
    videos: Annotated[
        Path | None, typer.Option(help="Folder to look for the videos in, before they are fetched.")
    ] = None,
    pixels: Annotated[str, typer.Option(help="clips: cut every clip; none: only check.")] = "clips",
    offline: Annotated[bool, typer.Option("--offline", help="Fetch nothing.")] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Ask again for what failed before.")
    ] = False,
    cookies: Annotated[str, typer.Option(help="Cookies file for pages (Netscape's form).")] = "",
    max_height: Annotated[
        int | None, typer.Option(help="Largest picture height [default: the maker's].")
    ] = None,
    sleep: Annotated[float, typer.Option(min=0, help="Pause before each download, s.")] = 1.0,
    workers: Annotated[int, typer.Option(min=0, help="Worker processes; 0: one a core.")] = 0,
) -> None:
    """Fetch or find the videos of a release pack, check them, cut the clips, and report.

    Run it again to go on. The report is OUT/report.json and report.csv.

    Example: motionkit rebuild pack --out rebuilt
    """
    from motionkit.engines.local import EngineOptions
    from motionkit.exchange.rebuild import rebuild as bring_back
    from motionkit.stages.fetch import Fetch

    console: Console = context.obj
    manners = Fetch(cookies=cookies, sleep_s=sleep)
    made = bring_back(
        pack,
        out,
        videos=videos,
        pixels=pixels,
        fetch=manners,
        max_height=max_height,
        offline=offline,
        retry=retry,
        engine=EngineOptions(workers=workers, timeout_s=3600.0),
        progress=console.progress(),
    )
    lines = [f"videos: {_counts(made.videos)}", f"clips: {_counts(made.clips)}"]
    console.result(_plain(made), [*lines, f"report: {made.report}"])
    if not made.usable:
        raise typer.Exit(1)


export_app = typer.Typer(invoke_without_command=True, epilog=_EPILOG)
app.add_typer(export_app, name="export")


@export_app.callback()
def export(
    context: typer.Context,
    form: Annotated[
        str | None, typer.Option("--format", help="coco, webdataset, humanml3d or hf.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write.")] = None,
    shards: _Shards = None,
    split: Annotated[str | None, typer.Option(help="Only train, val or test.")] = None,
) -> None:
    """Write a shard set in another format (docs/exchange.md), or a trained model: export k2m.

    Example: motionkit export --format coco --out coco
    """
    from motionkit.exchange.formats import export_set

    if context.invoked_subcommand is not None:
        if any(value is not None for value in (form, out, shards, split)):
            raise UsageError(
                f"options of {context.invoked_subcommand} stand after its name.",
                hint=f"motionkit export {context.invoked_subcommand} --help",
            )
        return
    if form is None or out is None:
        missing = "--format" if form is None else "--out"
        raise UsageError(f"Missing option '{missing}'.", hint="motionkit export --help")
    console: Console = context.obj
    facts = export_set(shards or console.workspace_path / "shards", out, form, split=split)
    lines = [f"{split}: {_counts(counts)}" for split, counts in facts["splits"].items()]
    if facts.get("left_out"):
        lines.append(f"left out: {_counts(facts['left_out'])}")
    console.result({"path": str(out), **facts}, [*lines, f"in {out}"])


@export_app.command("k2m", epilog=_EPILOG)
def export_k2m(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    model: Annotated[
        Path | None, typer.Option(help="Trained model [default: WORKSPACE/models/k2m].")
    ] = None,
    form: Annotated[
        str, typer.Option("--format", help="onnx, or torch (.pt2 of torch.export).")
    ] = "onnx",
    tolerance: Annotated[
        float, typer.Option(min=0, help="Largest difference from the model.")
    ] = 1e-3,
) -> None:
    """Write a trained K2M as graphs that run without motionkit, each checked against the model.

    Example: motionkit export k2m --out k2m-onnx
    """
    from motionkit.generation.export import export_k2m as make

    console: Console = context.obj
    folder = model or console.workspace_path / "models" / "k2m"
    if not folder.exists():
        raise UsageError(f"there is no trained model at {folder}.", hint="motionkit train k2m")
    made = make(folder, out, form=form, tolerance=tolerance, progress=console.progress())
    lines = table(
        [(g.file, ", ".join(g.inputs), ", ".join(g.outputs), g.difference) for g in made.graphs],
        ("file", "in", "out", "difference"),
    )
    console.result(_plain(made), [*lines, f"{made.bytes / 1e6:.1f} MB in {made.path}"])


@app.command("import", epilog=_EPILOG)
def import_(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(help="File or folder to read.")],
    form: Annotated[
        str, typer.Option("--format", help="coco, webdataset, humanml3d, hf or amass.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the new shard set (or motions).")],
    fps: Annotated[
        float | None, typer.Option(help="Frame rate where the files state none.")
    ] = None,
) -> None:
    """Read samples of another format into a shard set, or AMASS files into motions.

    Example: motionkit import coco --format coco --out shards-from-coco
    """
    from motionkit.exchange.formats import import_set

    console: Console = context.obj
    made = import_set(source, out, form, fps=fps)
    if isinstance(made, dict):
        lines = [f"{made['motions']} motions, {made['seconds'] / 60:.1f} min in {out}"]
        left_out = made["failed"]
        data: Any = {"path": str(out), **made}
    else:
        splits = ", ".join(f"{count} {split}" for split, count in made.samples.items())
        lines = [f"{sum(made.samples.values())} samples ({splits}) in {made.path}"]
        left_out, data = made.left_out, _plain(made)
    if left_out:
        lines.append(f"left out: {_counts(left_out)}")
    console.result(data, lines)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {clean(name)}" for name, count in counts.items()) or "none"


def _plain(made: Any) -> dict[str, Any]:
    return dataclasses.asdict(made)
