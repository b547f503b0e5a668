"""`motionkit retrieve` and `classify`: nearest by a trained Lang2Motion's latents."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motionkit.cli.app import app
from motionkit.cli.console import Console, clean, table
from motionkit.cli.trajectories import (
    DeviceName,
    Index,
    Model,
    Overlays,
    Shards,
    find_shards,
    index_of,
    load_model,
    with_pictures,
)
from motionkit.errors import InputError, UsageError

if TYPE_CHECKING:
    from motionkit.generation.lang2motion_model import TrajectoryModel
    from motionkit.generation.lang2motion_operands import Operand
    from motionkit.shards.reader import ShardSet

_EPILOG = "Exit codes: 0 done, 1 failed, 2 wrong usage."
#: Help of whatever names a motion.
OPERAND = "A text, a sample's id or an .npz; text:…, sample:… and file:… say which."
Split = Annotated[
    str | None, typer.Option(help="Only this split: train, val or test [default: all].")
]


@app.command(epilog=_EPILOG)
def retrieve(
    context: typer.Context,
    query: Annotated[str, typer.Argument(help=OPERAND)],
    to: Annotated[
        str | None,
        typer.Option(help="trajectories or texts [default: the other kind than the query]."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 10,
    split: Split = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Also draw the trajectories found into this PNG.")
    ] = None,
    model: Model = None,
    shards: Shards = None,
    overlays: Overlays = None,
    index: Index = None,
    device: DeviceName = "cpu",
) -> None:
    """Find the trajectories nearest to a text, or the texts nearest to a trajectory.

    Example: motionkit retrieve "a bird flies to the left" --top 5

    Example: motionkit retrieve trajectories/it-goes-up-0.npz
    """
    from motionkit.generation.outputs import check_folder

    console: Console = context.obj
    if to not in (None, "trajectories", "texts"):
        raise UsageError(f"--to {to!r}.", hint="choose trajectories or texts")
    if sheet is not None:
        if sheet.suffix.lower() != ".png":
            raise UsageError(f"--sheet {sheet} is no .png.", hint="name it found.png")
        check_folder(sheet.parent)
    network = load_model(console, model, device)
    found = find_shards(console, shards)
    with_pictures(network, found, overlays)
    (operand,) = operands_of(network, [query], found)
    wanted = to or ("trajectories" if operand.kind == "text" else "texts")
    if sheet is not None and wanted == "texts":
        raise UsageError("--sheet draws trajectories.", hint="add --to trajectories")
    opened = index_of(console, network, found, index, split)()
    if wanted == "texts":
        hits = opened.sentences(operand.latent, top)
    else:
        hits = opened.trajectories(operand.latent, top)
    rows = [
        [hit.rank, f"{hit.similarity:.4f}", hit.item_id or ", ".join(hit.items),
         _cut(" | ".join(hit.texts), 90)]
        for hit in hits
    ]  # fmt: skip
    lines = [f"{wanted} nearest to the {operand.kind} {clean(_cut(operand.name, 80))}, of "
             f"{opened.about['texts' if wanted == 'texts' else 'items']}:"]  # fmt: skip
    lines += table(rows, ["rank", "similarity", "id" if wanted != "texts" else "said of", "text"])
    if sheet is not None and found is not None:
        from motionkit.generation.lang2motion_edit import draw_samples

        draw_samples(found, [hit.item_id or "" for hit in hits[:24]], sheet)
        lines.append(f"sheet: {sheet}")
    data = {
        "query": {"name": operand.name, "kind": operand.kind, "text": operand.text},
        "to": wanted,
        "index": opened.about,
        "hits": [dataclasses.asdict(hit) for hit in hits],
        "sheet": sheet,
    }
    console.result(data, lines)


@app.command(epilog="Exit codes: 0 done, 1 a file failed, 2 wrong usage.")
def classify(
    context: typer.Context,
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(help="NTU .skeleton, Kinetics .json, trajectories .npz; or folders."),
    ] = None,
    classes: Annotated[
        str, typer.Option(help="Class names: a file with one a line, or run,jump,sit.")
    ] = "",
    template: Annotated[
        str, typer.Option(help="Sentence of a class, {} for its name: 'a person is {}'.")
    ] = "{}",
    labels: Annotated[
        Path | None, typer.Option(help="True classes: a CSV with the columns item and label.")
    ] = None,
    length: Annotated[
        str, typer.Option(help="Files longer than the model: resample (all of it), pad (cut).")
    ] = "resample",
    split: Split = None,
    model: Model = None,
    shards: Shards = None,
    overlays: Overlays = None,
    index: Index = None,
    out: Annotated[Path | None, typer.Option(help="Also write every item as JSON lines.")] = None,
    device: DeviceName = "cpu",
) -> None:
    """Name the class nearest to each trajectory or skeleton; the classes need no training.

    Without files: all trajectories of the shards.

    Example: motionkit classify nturgbd/ --classes ntu-classes.txt --template "a person is {}"

    Example: motionkit classify --classes "moving left,moving right" --split test
    """
    from motionkit.generation.lang2motion_classify import (
        Classifier,
        Unclassified,
        read_classes,
        read_labels,
        rows_of,
        summary,
    )
    from motionkit.generation.outputs import check_folder

    console: Console = context.obj
    if not classes:
        raise UsageError("name the classes with --classes.", hint="--classes run,jump,sit")
    if length not in ("resample", "pad"):
        raise UsageError(f"--length {length!r}.", hint="choose resample or pad")
    names = read_classes(classes)
    known = read_labels(labels) if labels is not None else {}
    if out is not None:
        check_folder(out.parent)
    network = load_model(console, model, device)
    judge = Classifier(network, names, template=template, length=length, labels=known)
    if inputs:
        found = list(judge.files(inputs, console.progress()))
    else:
        opened = find_shards(console, shards)
        with_pictures(network, opened, overlays)
        found = list(judge.index(index_of(console, network, opened, index, split)()))
    rows = rows_of(found)
    if out is not None:
        from motionkit.workspace import publish

        body = "".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows)
        publish(out, lambda path: path.write_text(body, "utf-8"))
    made = summary(found, names)
    lines = _classified_lines(rows, made) + ([f"all items: {out}"] if out else [])
    console.result({"summary": made, "items": rows if out is None else [], "out": out}, lines)
    if any(isinstance(one, Unclassified) for one in found):
        raise typer.Exit(1)


def _classified_lines(rows: Sequence[dict[str, Any]], made: dict[str, Any]) -> list[str]:
    shown = [row for row in rows if "classes" in row][:20]
    lines = table(
        [[row["item"], row["classes"][0], row["similarities"][0], row["label"]] for row in shown],
        ["item", "class", "similarity", "true"],
    )
    if made["items"] > len(shown):
        lines.append(f"... and {made['items'] - len(shown)} more (--out FILE, --json)")
    failed = [row for row in rows if "code" in row]
    lines += [
        f"failed: {clean(r['item'])}: {r['code']}: {clean(r['message'])}" for r in failed[:20]
    ]
    lines.append(
        f"{made['items']} items, {len(failed)} failed, {made['labelled']} with a known class"
    )
    if made["several_bodies"]:
        lines.append(
            f"{made['several_bodies']} files show several people: NTU's who moves most, Kinetics' "
            "whose scores are highest was classified"
        )
    if "top_1" in made:
        lines.append(
            f"top-1 {made['top_1']:.1%} (chance {made['chance_1']:.1%}), "
            f"top-5 {made['top_5']:.1%} (chance {made['chance_5']:.1%})"
        )
        lines += [
            f"  {pair['items']} × {clean(pair['true'])} taken for {clean(pair['taken_for'])}"
            for pair in made["confused"]
        ]
    return lines


def operands_of(
    model: TrajectoryModel, names: Sequence[str], shards: ShardSet | None
) -> list[Operand]:
    """The operands that words name; UsageError for one that is nothing."""

    from motionkit.generation.lang2motion_operands import read_operands

    try:
        return read_operands(model, names, shards)
    except InputError as error:
        raise UsageError(error.message, hint=error.hint or _TRY.get(error.code)) from error


#: The next thing to try where what is read says none.
_TRY = {"bad-prompt": 'describe a motion: "a ball moves to the left"'}


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
