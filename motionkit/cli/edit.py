"""`motionkit edit`: motions made of other motions by a trained Lang2Motion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motionkit.cli.app import app
from motionkit.cli.console import Console, clean
from motionkit.cli.latents import OPERAND, operands_of
from motionkit.cli.trajectories import (
    Box,
    Colour,
    DeviceName,
    Formats,
    Fps,
    Frames,
    Image,
    Index,
    Mask,
    Model,
    Opacity,
    Overlays,
    Shards,
    Size,
    find_shards,
    index_of,
    load_model,
    picture_of,
    wanted_formats,
    with_pictures,
)
from motionkit.errors import InputError, UsageError

if TYPE_CHECKING:
    from motionkit.generation.lang2motion_operands import Operand

_EPILOG = "Exit codes: 0 done, 1 failed, 2 wrong usage."
edit_app = typer.Typer(
    no_args_is_help=True, help="Make motions of other motions: style, interpolate, arithmetic."
)
app.add_typer(edit_app, name="edit")
Out = Annotated[
    Path | None, typer.Option(help="Folder for the files [default: WORKSPACE/trajectories].")
]


@edit_app.callback()
def _edit() -> None:
    """Make motions of other motions: style, interpolate, arithmetic."""


@edit_app.command("style", epilog=_EPILOG)
def edit_style(
    context: typer.Context,
    content: Annotated[str, typer.Argument(help=OPERAND)],
    like: Annotated[str, typer.Argument(metavar="STYLE", help=OPERAND)],
    strength: Annotated[float, typer.Option(help="How much of the style is added.")] = 1.0,
    mask: Mask = None,
    box: Box = None,
    image: Image = None,
    size: Size = None,
    frames: Frames = None,
    fps: Fps = None,
    formats: Formats = None,
    colour: Colour = "place",
    opacity: Opacity = 0.8,
    model: Model = None,
    shards: Shards = None,
    overlays: Overlays = None,
    index: Index = None,
    out: Out = None,
    device: DeviceName = "cpu",
) -> None:
    """Add the style of one motion to another.

    Example: motionkit edit style SAMPLE_ID "it zig-zags" --strength 0.7
    """
    from motionkit.generation.lang2motion_edit import style

    edit = _Edit(context.obj, locals())
    one, other = edit.operands([content, like])
    edit.write(style(one, other, strength), [one, other])


@edit_app.command("interpolate", epilog=_EPILOG)
def edit_interpolate(
    context: typer.Context,
    one: Annotated[str, typer.Argument(metavar="A", help=OPERAND)],
    other: Annotated[str, typer.Argument(metavar="B", help=OPERAND)],
    steps: Annotated[int, typer.Option(help="Motions, A and B among them.")] = 5,
    mask: Mask = None,
    box: Box = None,
    image: Image = None,
    size: Size = None,
    frames: Frames = None,
    fps: Fps = None,
    formats: Formats = None,
    colour: Colour = "place",
    opacity: Opacity = 0.8,
    model: Model = None,
    shards: Shards = None,
    overlays: Overlays = None,
    index: Index = None,
    out: Out = None,
    device: DeviceName = "cpu",
) -> None:
    """Motions from A to B, at equal steps between their latents.

    Example: motionkit edit interpolate "it goes left" "it goes up" --steps 7 --box 300,160,60,60
    """
    from motionkit.generation.lang2motion_edit import interpolate

    edit = _Edit(context.obj, locals())
    ends = edit.operands([one, other])
    edit.write(interpolate(ends[0], ends[1], steps), ends)


@edit_app.command("arithmetic", epilog=_EPILOG)
def edit_arithmetic(
    context: typer.Context,
    terms: Annotated[list[str], typer.Argument(metavar="A - B + C", help=OPERAND)],
    mask: Mask = None,
    box: Box = None,
    image: Image = None,
    size: Size = None,
    frames: Frames = None,
    fps: Fps = None,
    formats: Formats = None,
    colour: Colour = "place",
    opacity: Opacity = 0.8,
    model: Model = None,
    shards: Shards = None,
    overlays: Overlays = None,
    index: Index = None,
    out: Out = None,
    device: DeviceName = "cpu",
) -> None:
    """The motion of a sum and difference of others.

    Example: motionkit edit arithmetic "it jumps left" - "it goes left" + "it goes right"
    """
    from motionkit.generation.lang2motion_edit import arithmetic, parse_terms

    signed = parse_terms(terms)
    edit = _Edit(context.obj, locals())
    found = edit.operands([name for _, name in signed])
    edit.write(
        arithmetic([(sign, operand) for (sign, _), operand in zip(signed, found, strict=True)]),
        found,
    )


class _Edit:
    """What the three edits share: the options, the model, where motions start, what is printed."""

    def __init__(self, console: Console, given: dict[str, Any]) -> None:
        from motionkit.generation.lang2motion import GenerateConfig
        from motionkit.generation.lang2motion_files import (
            DEFAULT_FORMATS,
            Drawing,
            check_formats,
        )
        from motionkit.generation.lang2motion_grid import parse_size
        from motionkit.generation.outputs import check_folder

        self.console, self.given = console, given
        self.formats = wanted_formats(given["formats"], DEFAULT_FORMATS)
        check_formats(self.formats)
        self.config = GenerateConfig(
            frames=given["frames"], fps=given["fps"],
            size=parse_size(given["size"]) if given["size"] else None,
            drawing=Drawing(colour=given["colour"], opacity=given["opacity"]),
        )  # fmt: skip
        self.out = given["out"] or console.workspace_path / "trajectories"
        check_folder(self.out)
        self.model = load_model(console, given["model"], given["device"])
        self.shards = find_shards(console, given["shards"])
        with_pictures(self.model, self.shards, given["overlays"])
        self.image = picture_of(given["image"])

    def operands(self, names: Sequence[str]) -> list[Operand]:
        return operands_of(self.model, names, self.shards)

    def write(self, edit: Any, operands: Sequence[Operand]) -> None:
        """On the mask or box given, else on the first trajectory's grid, else on one retrieved
        for the first text."""
        from motionkit.generation.lang2motion_edit import run_edit
        from motionkit.generation.lang2motion_grid import placed, start_grid
        from motionkit.generation.lang2motion_operands import start_of

        try:
            start = start_grid(
                self.model.grid, mask=self.given["mask"], box=self.given["box"], image=self.image,
                size=self.config.size,
            )  # fmt: skip
        except InputError as error:
            raise UsageError(error.message, hint=error.hint) from error
        if self.image is not None and start is None:
            raise UsageError("--image goes with --mask or --box: where is the object?")
        if start is None:
            start = start_of(operands)
            if start is None:
                opened = index_of(
                    self.console,
                    self.model,
                    self.shards,
                    self.given["index"],
                    "train",
                    "give --mask or --box, or name a set with --shards",
                )()
                start = opened.nearest_start(operands[0].latent)
            start = placed(start, self.config.size)
        made, sheets = run_edit(
            self.model, edit, operands, start, out=self.out, image=self.image, formats=self.formats,
            config=self.config,
        )  # fmt: skip
        lines = [f"{clean(o.name)[:80]}: a {o.kind}" for o in operands]
        lines.append(f"{len(made[0].motion.points)} frames from {clean(start.source)}")
        for label, one in zip(edit.labels, made, strict=True):
            lines += [f"{clean(label)}:", *(f"  {path}" for path in one.paths)]
        lines += [f"all together: {path}" for path in sheets]
        rows = [
            {"label": label, "name": one.name, "paths": list(one.paths), "source": one.source}
            for label, one in zip(edit.labels, made, strict=True)
        ]
        named = [{"name": o.name, "kind": o.kind, "text": o.text} for o in operands]
        data = {"out": self.out, "operands": named, "motions": rows, "sheets": sheets}
        self.console.result(data, lines)
