"""The command `plan`, and what `status` prints of a plan."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from motionkit.cli.app import app
from motionkit.cli.console import Console, table
from motionkit.cli.steps import Batch, Device, Precision, RecipeSettings, Timeout
from motionkit.engines.local import EngineOptions
from motionkit.errors import UsageError
from motionkit.forecast import NAME, Forecast, Range

_EPILOG = (
    "Nothing is written into the workspace but plan.json, where the workspace exists: status then "
    "compares. A captioner that is paid for is asked about the sample's clips. "
    "Exit codes: 0 done, 1 failed, 2 wrong usage."
)


@app.command(epilog=_EPILOG)
def plan(
    context: typer.Context,
    recipe: Annotated[
        str, typer.Argument(help="A recipe file, or the name of a shipped one (people, demo).")
    ],
    source: Annotated[
        list[str] | None,
        typer.Option("--source", help="File, folder, glob or list; may be repeated."),
    ] = None,
    settings: RecipeSettings = None,
    sample: Annotated[int, typer.Option(min=1, help="Videos to try.")] = 8,
    seconds_each: Annotated[
        float, typer.Option(min=0, help="Most of a long video to try, seconds; 0: all of it.")
    ] = 60.0,
    workers: Annotated[
        str, typer.Option(help="Numbers of workers to predict for: 1,4,16. All cores always.")
    ] = "",
    skip: Annotated[
        list[str] | None, typer.Option("--skip", help="Leave a step out; may be repeated.")
    ] = None,
    price_in: Annotated[
        float | None, typer.Option(min=0, help="Price of a million prompt tokens.")
    ] = None,
    price_out: Annotated[
        float | None, typer.Option(min=0, help="Price of a million written tokens.")
    ] = None,
    probe: Annotated[
        int, typer.Option(min=1, help="Headers to read at most; the rest by file size.")
    ] = 5000,
    seed: Annotated[int, typer.Option(help="Another seed, another sample.")] = 0,
    timeout: Timeout = 900.0,
    device: Device | None = None,
    precision: Precision | None = None,
    batch: Batch = 0,
    out: Annotated[Path | None, typer.Option("--out", help="Also write the plan here.")] = None,
) -> None:
    """Try a recipe on a small sample, and predict hours, memory, disk and cost for all of it.

    Example: motionkit plan people --source videos/ --sample 8 --workers 1,4,16
    """
    from motionkit.plan.build import PlanOptions, make_plan
    from motionkit.recipes import load_recipe

    console: Console = context.obj
    loaded = load_recipe(recipe, settings or ())
    asked = {"device": device, "precision": precision, "batch": batch or None}
    given = {key: value for key, value in asked.items() if value is not None}
    engine: EngineOptions = dataclasses.replace(loaded.engine, timeout_s=timeout, **given)
    options = PlanOptions(
        sample=sample, seconds_each=seconds_each, seed=seed, workers=_numbers(workers),
        probe=probe, price_in=price_in, price_out=price_out, skip=tuple(skip or ()),
    )  # fmt: skip
    made = make_plan(loaded, source or [], options, engine=engine, say=console.say)
    if (console.workspace_path / "workspace.json").is_file():
        made.save(console.workspace_path / NAME)
    if out is not None:
        made.save(out)
    console.result(made.as_dict(), plan_lines(made))


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.replace(" ", "").split(",") if word)
    except ValueError as error:
        raise UsageError(f"--workers takes numbers, such as 1,4,16, not {text!r}") from error


def plan_lines(made: Forecast) -> list[str]:
    """A plan for people."""
    whole, sample = made.whole, made.sample
    lines = [
        f"{whole['videos']} videos, {duration(whole['seconds'])}; tried {len(sample['videos'])} of "
        f"them in {duration(sample['trial_s'])} on {made.machine['cores']} cores",
        "",
    ]
    here = str(made.workers)
    rows: list[list[Any]] = []
    for step in made.steps:
        share = "-" if step.kept_share is None else f"{step.kept_share:.0%}"
        per_s = "-" if step.per_video_s is None else f"{step.per_video_s:.3g}"
        rows.append(
            [step.step, f"{step.items.value:,.0f}", share, per_s, f"{step.start_s:.1f}",
             _hours(step.hours[here]), size(step.memory[here]), size(step.gpu_memory),
             size(step.bytes.value)]
        )  # fmt: skip
    lines += table(
        rows,
        ["step", "items", "go on", "s per s", "start s", "time", "memory", "GPU", "disk"],
    )
    lines.append("")
    for workers, hours in made.hours.items():
        mark = "   (what a run takes by itself)" if workers == here else ""
        lines.append(f"with {workers:>3} workers: {_hours(hours)}{mark}")
    lines.append(f"disk: {_span(made.disk_bytes, size)}")
    if made.prompt_tokens.value or made.completion_tokens.value:
        lines.append(
            f"caption tokens: {_span(made.prompt_tokens, _count)} in, "
            f"{_span(made.completion_tokens, _count)} out"
        )
    if made.cost is not None:
        lines.append(f"caption cost: {_span(made.cost, lambda value: f'{value:,.2f}')}")
    lines += [f"note: {note}" for note in made.notes]
    return lines


def compared_lines(compared: dict[str, Any]) -> list[str]:
    """Predicted and actual, for `status`."""
    rows = []
    for step in compared["steps"]:
        predicted, actual = step["predicted_s"], step["actual_s"]
        off = "-"
        if predicted and actual is not None and step["complete"] in (True, None):
            off = f"{actual / predicted - 1:+.0%}"
        rows.append(
            [step["step"], duration(predicted), duration(actual), off,
             step["predicted_items"], step["items"], size(step["predicted_bytes"]),
             size(step["bytes"])]
        )  # fmt: skip
    header = ["plan", "predicted", "actual", "off", "items", "actual", "disk", "actual"]
    lines = ["", *table(rows, header)]
    lines.append(
        f"  of the steps that ran: {duration(compared['predicted_s'])} predicted with "
        f"{compared['workers']} workers, {duration(compared['actual_s'])} actual"
    )
    changed = [step["step"] for step in compared["steps"] if step["same_parameters"] is False]
    if changed:
        lines.append(f"  planned with other parameters: {', '.join(changed)}")
    return lines


def duration(seconds: float | None) -> str:
    """Seconds for people."""
    if seconds is None:
        return "-"
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 6000:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:,.1f} h"


def size(count: float | None) -> str:
    """Bytes for people."""
    if count is None:
        return "-"
    for unit, step in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= step:
            return f"{count / step:.3g} {unit}"
    return f"{count / 1e3:.3g} kB"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _hours(hours: Range) -> str:
    return _span(hours, lambda value: duration(value * 3600))


def _span(what: Range, text: Any) -> str:
    if what.low is None or what.high is None:
        return f"{text(what.value)} (range unknown)"
    return f"{text(what.value)} ({text(what.low)} to {text(what.high)})"
