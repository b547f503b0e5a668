"""`motionkit generate lang2motion` and `motionkit retrieve`: point trajectories from text."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motionkit.cli.console import Console, clean
from motionkit.cli.generate import generate_app, show_motions
from motionkit.errors import InputError, UsageError

if TYPE_CHECKING:
    from motionkit.generation.lang2motion import GeneratedTrajectory
    from motionkit.generation.lang2motion_index import TrajectoryIndex
    from motionkit.generation.lang2motion_model import TrajectoryModel
    from motionkit.shards.reader import ShardSet

Model = Annotated[
    Path | None, typer.Option(help="Trained model [default: WORKSPACE/models/lang2motion].")
]
Shards = Annotated[Path | None, typer.Option(help="Shard set [default: WORKSPACE/shards].")]
Overlays = Annotated[
    Path | None,
    typer.Option(help="Features of overlay frames [default: overlay_features by the shards]."),
]
Index = Annotated[
    Path | None,
    typer.Option(help="Folder of computed latents [default: WORKSPACE/trajectory_index]."),
]
Mask = Annotated[
    Path | None, typer.Option(help="Object on the first frame: a PNG, or JSON with COCO RLE.")
]
Box = Annotated[str | None, typer.Option(metavar="X,Y,W,H", help="A box in place of a mask.")]
Image = Annotated[
    Path | None, typer.Option(help="First frame (JPEG, PNG): trails are drawn on it.")
]
Size = Annotated[
    str | None,
    typer.Option(metavar="WIDTHxHEIGHT", help="Picture [default: image, mask; box: 640x360]."),
]
Frames = Annotated[
    int | None, typer.Option(help="Length, the first frame with it [default: trained].")
]
Fps = Annotated[
    float | None, typer.Option(help="Frames a second [default: the grid's sample's, else 10].")
]
Formats = Annotated[
    list[str] | None,
    typer.Option("--format", help="npz, json, png, mp4, gif; repeated or with commas [npz,mp4]."),
]
Colour = Annotated[
    str,
    typer.Option(
        help="Of the trails: place (each point its own), cyan, blue, white, red, green, yellow, "
        "black."
    ),
]
Opacity = Annotated[float, typer.Option(help="Of the trails, 0 to 1.")]
DeviceName = Annotated[
    str, typer.Option("--device", help="auto (CUDA, else the CPU), cpu, cuda:0.")
]


def place_of_model(console: Console, model: Path | None) -> Path:
    """UsageError where there is none."""
    place = model or console.workspace_path / "models" / "lang2motion"
    if not place.exists():
        raise UsageError(f"there is no model at {place}.", hint="motionkit train lang2motion")
    return place


def load_model(console: Console, model: Path | None, device: str) -> TrajectoryModel:
    """The model that the options name."""
    from motionkit.devices import find
    from motionkit.generation.lang2motion_model import TrajectoryModel

    place = place_of_model(console, model)
    return TrajectoryModel(place, device=find(device, "fp32")[0][0].name)


def find_shards(console: Console, shards: Path | None) -> ShardSet | None:
    """The set that the options name, or the workspace's; None where that has none."""
    from motionkit.shards.reader import open_shards

    folder = shards or console.workspace_path / "shards"
    return open_shards(folder) if shards is not None or folder.is_dir() else None


def with_pictures(model: TrajectoryModel, shards: ShardSet | None, overlays: Path | None) -> None:
    """Let the model see the overlay frames' features, where there are any."""
    from motionkit.shards.overlays import FOLDER

    if overlays is not None or shards is not None:
        beside = None if shards is None else shards.path.absolute().parent / FOLDER
        model.see(overlays or beside or Path(FOLDER))


def index_of(
    console: Console,
    model: TrajectoryModel,
    shards: ShardSet | None,
    folder: Path | None,
    split: str | None,
    hint: str = "name a set with --shards",
) -> Callable[[], TrajectoryIndex]:
    """What opens the index, or builds it, when it is needed."""
    from motionkit.generation.lang2motion_index import FOLDER, open_index

    def opened() -> TrajectoryIndex:
        if shards is None:
            raise UsageError(
                f"there are no shards at {console.workspace_path / 'shards'}.",
                hint=hint,
            )
        place = folder or console.workspace_path / FOLDER
        return open_index(model, shards, place, split=split, told=console.progress())

    return opened


def wanted_formats(formats: Sequence[str] | None, default: Sequence[str]) -> tuple[str, ...]:
    """Formats from repeated options with commas."""
    chosen = [f.strip() for part in formats or [] for f in part.split(",") if f.strip()]
    return tuple(dict.fromkeys(default if formats is None else chosen))


@generate_app.command("lang2motion", epilog="Exit codes: 0 done, 1 a prompt failed, 2 wrong usage.")
def generate_lang2motion(
    context: typer.Context,
    text: Annotated[
        str | None, typer.Argument(help="What the object does, in English.", show_default=False)
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="A file of prompts: a text a line, .csv or .jsonl (docs/generate.md)."),
    ] = None,
    mask: Mask = None,
    box: Box = None,
    image: Image = None,
    size: Size = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="SAMPLE|NPZ",
            help="The motion of this trajectory, in place of a text.",
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option(min=1, help="Motions of each prompt, with seeds SEED, SEED + 1, …")
    ] = 1,
    seed: Annotated[int, typer.Option(min=0, help="0: the text's own motion; others vary it.")] = 0,
    variation: Annotated[
        float, typer.Option(help="Degrees that other seeds turn the latent by.")
    ] = 30.0,
    frames: Frames = None,
    fps: Fps = None,
    grid: Annotated[
        int | None, typer.Option(help="Points a side; must be the model's [default].")
    ] = None,
    formats: Formats = None,
    colour: Colour = "place",
    opacity: Opacity = 0.8,
    model: Model = None,
    shards: Shards = None,
    overlays: Overlays = None,
    index: Index = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files [default: WORKSPACE/trajectories].")
    ] = None,
    device: DeviceName = "cpu",
) -> None:
    """Generate point trajectories from text: .npz, .json, and their trails as .png, .mp4, .gif.

    Without mask and box the first frame is that of the training sample whose sentence is nearest.

    Example: motionkit generate lang2motion "a ball falls and bounces" --box 280,40,80,80

    Example: motionkit generate lang2motion "it turns left" --image a.jpg --mask a.png --samples 3
    """
    from motionkit.generation.lang2motion import GenerateConfig, generate_trajectories
    from motionkit.generation.lang2motion_files import DEFAULT_FORMATS, Drawing, check_formats
    from motionkit.generation.lang2motion_grid import parse_size, start_grid
    from motionkit.generation.outputs import check_folder
    from motionkit.generation.prompts import FailedPrompt, Prompt, read_prompts

    console: Console = context.obj
    chosen = wanted_formats(formats, DEFAULT_FORMATS)
    check_formats(chosen)
    if text is not None and (prompts is not None or source is not None):
        raise UsageError("give a text, or --prompts, or --from: one of them.")
    if prompts is not None and source is not None:
        raise UsageError("--prompts and --from exclude each other.")
    alone = image is not None and (mask is not None or box is not None)
    if text is None and prompts is None and source is None and not alone:
        raise UsageError("give a text, a file with --prompts, or --from.",
                         hint="an --image with --mask or --box is a prompt too")  # fmt: skip
    config = GenerateConfig(
        frames=frames, fps=fps, size=parse_size(size) if size else None, variation=variation,
        drawing=Drawing(colour=colour, opacity=opacity),
    )  # fmt: skip
    if text is not None:
        _check_text(text)
    network = load_model(console, model, device)
    if grid is not None and grid != network.grid:
        raise UsageError(
            f"--grid {grid}: this model was trained with {network.grid}×{network.grid} points.",
            hint="train another one: motionkit track --grid, then train lang2motion",
        )
    picture = picture_of(image)
    try:
        start = start_grid(network.grid, mask=mask, box=box, image=picture, size=config.size)
    except InputError as error:
        raise UsageError(error.message, hint=error.hint) from error
    if picture is not None and start is None:
        raise UsageError("--image goes with --mask or --box: where is the object?")
    target = out or console.workspace_path / "trajectories"
    check_folder(target)
    found = find_shards(console, shards) if start is None or source is not None else None
    with_pictures(network, found, overlays)
    if text is None and prompts is None:
        made: list[Any] = _from_latent(
            network, source, picture, start, found, target, samples, seed, chosen, config
        )
    else:
        wanted = iter([Prompt((text,))]) if text is not None else read_prompts(prompts or Path())
        opened = index_of(console, network, found, index, "train",
                          "give --mask or --box, or name a set with --shards")  # fmt: skip
        made = []
        for one in generate_trajectories(
            network, wanted, out=target, start=start, index=opened, image=picture, seed=seed,
            samples=samples, formats=chosen, config=config,
        ):  # fmt: skip
            made.append(one if isinstance(one, FailedPrompt) else _row(one))
    if not made:
        raise UsageError(f"{prompts} holds no prompt.", hint="write a text a line")
    failed = [dataclasses.asdict(one) for one in made if isinstance(one, FailedPrompt)]
    show_motions(
        console, target, [one for one in made if isinstance(one, dict)], failed,
        lambda row: f"{row['frames']} frames from {clean(row['source'])}, for: "
        f"{clean(row['text'])}",
    )  # fmt: skip
    if failed:
        raise typer.Exit(1)


def _check_text(text: str) -> None:
    from motionkit.generation.prompts import Prompt, checked

    try:
        checked(Prompt((text,)))
    except InputError as error:
        raise UsageError(error.message, hint='"a ball moves to the left"') from error


def picture_of(image: Path | None) -> Any:
    """The picture [H, W, 3], or None; UsageError where it cannot be read."""
    from motionkit.video.frame_folder import read_picture

    if image is None:
        return None
    try:
        return read_picture(image)
    except InputError as error:
        raise UsageError(error.message, hint=error.hint or "give a JPEG or PNG file") from error


def _from_latent(
    model: TrajectoryModel,
    source: str | None,
    picture: Any,
    start: Any,
    shards: ShardSet | None,
    out: Path,
    samples: int,
    seed: int,
    formats: Sequence[str],
    config: Any,
) -> list[Any]:
    """Motions of a trajectory's latent, or of a picture's."""
    from motionkit.generation.lang2motion import latent_jobs, make_motions
    from motionkit.generation.lang2motion_operands import read_operands

    text, latent, own = "", None, start
    if source is not None:
        try:
            (operand,) = read_operands(model, [source], shards)
        except InputError as error:
            raise UsageError(error.message, hint=error.hint) from error
        if operand.kind == "text":
            raise UsageError(
                f"--from {source[:80]!r} is neither a sample nor an .npz.",
                hint="motionkit retrieve shows ids; a text needs no --from",
            )
        text, latent, own = operand.text, operand.latent, start or operand.start
    else:
        latent = model.picture(picture)
    jobs = latent_jobs(latent, own, text, range(seed, seed + samples), config)
    made = make_motions(model, jobs, out=out, image=picture, formats=formats, config=config)
    return [_row(one) for one in made]


def _row(one: GeneratedTrajectory) -> dict[str, Any]:
    return {
        "name": one.name,
        "text": one.text,
        "seed": one.seed,
        "source": one.source,
        "frames": len(one.motion.points),
        "fps": one.motion.fps,
        "paths": list(one.paths),
        "line": one.line,
    }
