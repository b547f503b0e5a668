"""Commands about captions that are there: motionkit captions audit."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from motionkit.cli.app import app
from motionkit.cli.console import Console, clean, table
from motionkit.cli.steps import STEP_EPILOG, Settings, execute
from motionkit.engines.local import EngineOptions

_HELP = "Captions: which of them look wrong."
captions_app = typer.Typer(no_args_is_help=True, help=_HELP)
app.add_typer(captions_app, name="captions")

#: Characters of a caption and examples of a code that are printed; --json has them all.
_SHOWN, _EXAMPLES = 100, 2


@captions_app.callback()
def _captions() -> None:
    """Captions: which of them look wrong."""


@captions_app.command("audit", epilog=STEP_EPILOG)
def audit(
    context: typer.Context,
    list_: Annotated[
        bool, typer.Option("--list", help="Every flagged caption: clip, caption and why.")
    ] = False,
    code: Annotated[
        list[str] | None,
        typer.Option(
            "--code", metavar="CODE", help="Only this flag, or wrong, doubt, note; may be repeated."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Lines of --list; 0 prints all.")] = 50,
    settings: Settings = None,
) -> None:
    """Hold every caption against its clip's keypoints and the other captions, and say which look
    wrong: sides, motion words, copies, looks, language, traces of a model.

    What was audited already is not audited again. docs/audit.md explains the flags, and how to
    leave flagged captions out of the shards.

    Example: motionkit captions audit --list --code side-contradicted
    """
    from motionkit.flags import flag_codes, flag_counts, flagged

    console: Console = context.obj
    workspace = console.workspace()
    codes = flag_codes(code or [])
    result = execute(console, workspace, "audit", {}, settings, EngineOptions())
    counts = flag_counts(workspace)
    asked = bool(list_ or codes)
    found = flagged(workspace, codes, limit=limit or None if asked else None,
                    each=0 if asked else _EXAMPLES)  # fmt: skip
    data = {**result.summary, **counts, "examples": [dataclasses.asdict(f) for f in found]}
    lines = [
        f"audit: {counts['flagged']} of {counts['captions']} captions of {counts['clips']} clips "
        "have a flag"
    ]
    if counts["codes"] and not asked:
        rows = [[r["code"], r["severity"], r["captions"]] for r in counts["codes"]]
        lines += table(rows, ["flag", "severity", "captions"])
    for one in found:
        text = clean(one.text if asked else one.text[:_SHOWN])
        lines += [f"{one.code}  {one.clip_id}  {one.source}", f"    {text}"]
        lines += [f"    ({clean(one.why())})"] if one.why() else []
    total = sum(r["captions"] for r in counts["codes"] if not codes or r["code"] in codes)
    if asked and len(found) < total:
        lines.append(f"({total - len(found)} more: use --limit 0)")
    elif not asked and found:
        lines.append("all of them: motionkit captions audit --list")
    console.result(data, lines)
