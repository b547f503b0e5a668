"""Commands of the model files: motionkit models list, fetch, path, verify."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import typer

from motionkit.cli.app import app
from motionkit.cli.console import Console, table
from motionkit.errors import MotionkitError, UsageError

_EPILOG = "Exit codes: 0 done, 1 failed, 2 wrong usage."
_HELP = "Model files: what is there, fetch, verify. They lie in MOTIONKIT_MODELS."
models_app = typer.Typer(no_args_is_help=True, help=_HELP)
app.add_typer(models_app, name="models")

Names = Annotated[
    list[str] | None,
    typer.Argument(help="KIND:NAME, as in a recipe: yolo:yolo11x-pose.", show_default=False),
]


@models_app.callback()
def _models() -> None:
    """Model files: what is there, fetch, verify. They lie in MOTIONKIT_MODELS."""


@models_app.command("list", epilog=_EPILOG)
def list_models(
    context: typer.Context,
    present: Annotated[bool, typer.Option("--present", help="Only those on this machine.")] = False,
) -> None:
    """The known models and those on this machine: task, size, licence, place.

    Example: motionkit models list --json
    """
    from motionkit.weights import models_folder
    from motionkit.weights.known import models

    console: Console = context.obj
    found = [model for model in models() if not present or model.state != "absent"]
    rows = [
        [m.spec, m.task, m.state, "-" if m.megabytes is None else f"{m.megabytes} MB", m.licence]
        for m in found
    ]
    lines = table(rows, ["model", "task", "state", "size", "licence"]) if rows else []
    lines += [f"  {m.spec}: {m.problem}" for m in found if m.problem]
    lines += ["", f"folder: {models_folder()}   (MOTIONKIT_MODELS)"]
    console.result(
        {"folder": models_folder(), "models": [dataclasses.asdict(model) for model in found]}, lines
    )


@models_app.command(epilog=_EPILOG)
def fetch(
    context: typer.Context,
    names: Names = None,
    recipe: Annotated[
        list[str] | None,
        typer.Option("--for", help="Fetch all that this recipe needs (name or path); repeatable."),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag, commit or release [default: see list].")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Replace what is there.")] = False,
) -> None:
    """Fetch models into MOTIONKIT_MODELS and record the SHA-256 of every file.

    Goes on where it was stopped. Example: motionkit models fetch --for motionweb
    """
    from motionkit.recipes import load_recipe
    from motionkit.weights.fetch import fetch as fetch_one
    from motionkit.weights.licences import licence_of
    from motionkit.weights.places import place_of
    from motionkit.weights.sources import needed_by_recipe

    console: Console = context.obj
    specs = dict.fromkeys(names or [])
    for name in recipe or []:
        specs.update(dict.fromkeys(needed_by_recipe(load_recipe(name).resolved())))
    if not specs and not recipe:
        raise UsageError("name a model, or a recipe with --for.", hint="motionkit models list")
    progress = _Megabytes(console)
    data: list[dict[str, Any]] = []
    lines = [] if specs else ["these recipes need no model files."]
    failed: list[MotionkitError] = []
    for spec in specs:
        try:
            new = fetch_one(spec, revision=revision, again=again, progress=progress)
        except MotionkitError as error:
            console.error(error)
            failed.append(error)
            continue
        place, licence = place_of(spec), licence_of(spec)
        data.append({"spec": place.spec, "path": place.path, "fetched": new,
                     "licence": licence.text, "meaning": licence.meaning})  # fmt: skip
        lines.append(f"{place.spec}: {'fetched' if new else 'was there'}, {place.path}")
        lines.append(f"  {licence.text}: {licence.meaning}")
    console.result({"models": data, "failed": len(failed)}, lines)
    if failed:
        raise typer.Exit(max(error.exit_code for error in failed))


@models_app.command(epilog=_EPILOG)
def path(context: typer.Context, name: Annotated[str, typer.Argument(help="KIND:NAME.")]) -> None:
    """Where a model lies, or is to be put by hand.

    Example: motionkit models path yolo:yolo11x-pose
    """
    from motionkit.weights.places import place_of

    place = place_of(name)
    console: Console = context.obj
    console.result(
        {"spec": place.spec, "path": place.path, "exists": place.exists()}, [str(place.path)]
    )


@models_app.command(epilog=_EPILOG)
def verify(
    context: typer.Context,
    names: Names = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Record what is there now, in place of the old record.")
    ] = False,
) -> None:
    """Read every file of the models (all that are here) and compare it with its SHA-256.

    Example: motionkit models verify yolo:yolo11x-pose
    """
    from motionkit.weights.known import here
    from motionkit.weights.known import verify as verify_one

    console: Console = context.obj
    if accept and not names:
        raise UsageError("--accept needs the names of the models whose change is yours.")
    data: list[dict[str, Any]] = []
    lines: list[str] = []
    code = 0
    for spec in names or here():
        try:
            kept = verify_one(spec, accept=accept)
        except MotionkitError as error:
            code = max(code, error.exit_code)
            data.append({"spec": spec, "ok": False, "problem": str(error)})
            lines.append(f"{spec}: {error}")
            lines += [f"  try: {error.hint}"] if error.hint else []
        else:
            data.append({"spec": spec, "ok": True, "sha256": kept.sha256, "source": kept.source})
            lines.append(f"{spec}: ok, {len(kept.files)} files, {kept.sha256[:16]} ({kept.source})")
    console.result({"models": data}, lines or ["there are no models on this machine."])
    if code:
        raise typer.Exit(code)


class _Megabytes:
    """Progress in megabytes, through the console's bars or lines."""

    def __init__(self, console: Console) -> None:
        self.show = console.progress()

    def __call__(self, what: str, done: int, total: int) -> None:
        if self.show is not None and total:
            self.show(f"{what} (MB)", done // 1_000_000, total // 1_000_000)
