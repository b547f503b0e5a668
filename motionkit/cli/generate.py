"""`motionkit generate …`: motion from a trained model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motionkit.cli.app import app
from motionkit.cli.console import Console, clean
from motionkit.cli.steps import Settings
from motionkit.errors import InputError, UsageError

if TYPE_CHECKING:
    from motionkit.generation.k2m import Around
    from motionkit.generation.lift_inputs import KeypointClip

_EPILOG = "Exit codes: 0 done, 1 a prompt failed, 2 wrong usage."
generate_app = typer.Typer(no_args_is_help=True, help="Generate motion with a trained model.")
app.add_typer(generate_app, name="generate")


@generate_app.callback()
def _generate() -> None:
    """Generate motion with a trained model."""


@generate_app.command("k2m", epilog=_EPILOG)
def generate_k2m(
    context: typer.Context,
    text: Annotated[
        str | None, typer.Argument(help="What the person does, in English.", show_default=False)
    ] = None,
    then: Annotated[
        list[str] | None,
        typer.Option("--then", help="What the person does after that; may be repeated."),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="A file of prompts: a text a line, .csv or .jsonl (docs/generate.md)."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Length drawn for each text [default: predicted].")
    ] = None,
    samples: Annotated[
        int, typer.Option(min=1, help="Motions of each prompt, with seeds SEED, SEED + 1, …")
    ] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another motion.")] = 0,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MOTION|CLIP",
            help="Go on from this: an .npz of this command, a clip's id, or a keypoint file.",
        ),
    ] = None,
    keep_first: Annotated[
        float | None,
        typer.Option(min=0, help="With --from: keep its first seconds, draw the rest anew."),
    ] = None,
    keep_last: Annotated[
        float | None,
        typer.Option(min=0, help="With --from: keep its last seconds, draw the rest anew."),
    ] = None,
    between: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="A B", help="Draw what leads from A to B, each as for --from."),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="npz, bvh, glb, mp4; repeated or with commas."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Trained model [default: WORKSPACE/models/k2m].")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files [default: WORKSPACE/generated].")
    ] = None,
    shards: Annotated[
        Path | None, typer.Option(help="Look clips up here [default: the workspace's keypoints].")
    ] = None,
    device: Annotated[str, typer.Option(help="auto (CUDA, else the CPU), cpu, cuda:0.")] = "cpu",
    settings: Settings = None,
) -> None:
    """Generate 3D motion from text: .npz (SMPL parameters, joints, tokens), .bvh, .glb, .mp4.

    Example: motionkit generate k2m "a person waves the left hand"

    Example: motionkit generate k2m "a person walks" --then "a person sits down" --samples 3
    """  # fmt: skip
    from motionkit.devices import find
    from motionkit.generation.k2m import GenerateConfig
    from motionkit.generation.outputs import DEFAULT_FORMATS
    from motionkit.generation.prompts import FailedPrompt, Prompt, checked, read_prompts
    from motionkit.motions import generate_motions
    from motionkit.recipes import parse_settings
    from motionkit.training.k2m_config import changed

    console: Console = context.obj
    if model is None or out is None:
        console.workspace(create=model is not None)
    if (text is None) == (prompts is None):
        raise UsageError("give a text, or a file with --prompts.")
    if prompts is not None and (then or seconds is not None):
        raise UsageError("--then and --seconds go with one text.",
                         hint="a .jsonl file states both for each prompt")  # fmt: skip
    try:
        wanted = (
            read_prompts(prompts) if prompts is not None
            else iter([checked(Prompt((text or "", *(then or [])), seconds))])
        )  # fmt: skip
        around = _around(console.workspace_path, shards, start, between, keep_first, keep_last)
    except InputError as error:
        raise UsageError(error.message, hint=error.hint) from error
    table = {"device": find(device, "fp32")[0][0].name}
    config = changed(
        GenerateConfig(), {**table, **parse_settings(settings or [], "generate k2m")},
        "generate.k2m",
    )  # fmt: skip
    chosen = [f for part in formats or [] for f in part.split(",") if f] or DEFAULT_FORMATS
    target = out or console.workspace_path / "generated"
    made: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for motion in generate_motions(
        console.workspace_path, wanted, model=model, out=target, seed=seed, samples=samples,
        formats=tuple(dict.fromkeys(chosen)), config=config, around=around,
    ):  # fmt: skip
        if isinstance(motion, FailedPrompt):
            failed.append(dataclasses.asdict(motion))
            continue
        row = {f.name: getattr(motion, f.name) for f in dataclasses.fields(motion)}
        row.pop("joints")
        made.append(row)
        if len(made) % 10 == 0:
            console.say(f"{len(made)} motions")
    show_motions(
        console, target, made, failed,
        lambda row: f"{row['seconds']:.1f} s of motion for: {clean(row['caption'])}",
    )  # fmt: skip
    if failed:
        raise typer.Exit(1)


def show_motions(
    console: Console,
    out: Path,
    made: Sequence[dict[str, Any]],
    failed: Sequence[dict[str, Any]],
    says: Callable[[dict[str, Any]], str],
) -> None:
    """What was made, ``says`` a line of each, with its files; which prompts failed, and why."""
    lines = []
    for row in made:
        lines += [says(row), *(f"  {path}" for path in row["paths"])]
    lines += [
        f"failed: line {row['line']}: {row['code']}: {clean(row['message'])}" for row in failed
    ]
    if len(made) + len(failed) > 1:
        lines.append(f"{len(made)} motions, {len(failed)} prompts failed; listed in {out}")
    console.result({"out": out, "motions": made, "failed": failed}, lines)


def _around(
    workspace: Path,
    shards: Path | None,
    start: str | None,
    between: tuple[str, str] | None,
    keep_first: float | None,
    keep_last: float | None,
) -> Around | None:
    from motionkit.generation.k2m import Around

    if start is not None and between is not None:
        raise UsageError("--from and --between exclude each other.")
    if (keep_first is not None or keep_last is not None) and start is None:
        raise UsageError("--keep-first and --keep-last go with --from.")
    if between is not None:
        one, other = (_given(name, workspace, shards) for name in between)
        return Around(one, other)
    if start is None:
        return None
    return Around(_given(start, workspace, shards), keep_first=keep_first, keep_last=keep_last)


def _given(name: str, workspace: Path, shards: Path | None) -> Path | KeypointClip:
    """A generated motion's file, or a clip: by its id, or from a file of keypoints."""
    from motionkit.generation.given import is_motion
    from motionkit.generation.lift_inputs import UnreadClip
    from motionkit.keypoint_sources import gather

    if is_motion(Path(name)):
        return Path(name)
    clips = list(gather([name], workspace, shards=shards)[1])
    if len(clips) != 1:
        raise UsageError(f"{name} holds {len(clips)} people; it takes one to go on from.")
    if isinstance(clips[0], UnreadClip):
        raise InputError(clips[0].code, clips[0].message)
    return clips[0]
