"""Commands that look at a workspace: status, failures, retry, query, report, doctor."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from motionkit.cli.app import app
from motionkit.cli.console import Console, clean, table
from motionkit.cli.steps import STEP_EPILOG, Timeout, Workers, show
from motionkit.errors import UsageError

_EPILOG = "Exit codes: 0 done, 1 failed, 2 wrong usage."


@app.command(epilog=_EPILOG)
def status(context: typer.Context) -> None:
    """What every stage kept, dropped (by reason), failed at (by code), and has yet to do; where
    there is a plan, what it predicted beside what came.

    Example: motionkit status
    """
    from motionkit.catalogue import status as stage_status
    from motionkit.cli.plan import compared_lines
    from motionkit.forecast import compare

    console: Console = context.obj
    workspace = console.workspace()
    stages = stage_status(workspace)
    compared = compare(workspace, stages)
    lines = []
    for row in stages:
        lines.append([row["stage"], row["kept"], _total(row["dropped"]), _total(row["failed"]),
                      row["pending"], _time_left(row)])  # fmt: skip
    text = table(lines, ["stage", "kept", "dropped", "failed", "pending", "time left"])
    for row in stages:
        for what in ("dropped", "failed"):
            for reason, count in sorted(row[what].items(), key=lambda pair: -pair[1]):
                text.append(f"  {row['stage']}: {count} {what}: {reason}")
    if not stages:
        text = ["nothing has run in this workspace yet. Start with: motionkit ingest VIDEOS"]
    data: dict[str, Any] = {"workspace": str(console.workspace_path), "stages": stages}
    if compared is not None:
        data["plan"] = compared
        text += compared_lines(compared)
    console.result(data, text)


def _time_left(row: dict[str, Any]) -> str:
    """Time left of the run that is going on, or of what is pending at the last run's rate."""
    seconds, running = row["seconds_left"], row["running"]
    where = f"{running['done']} of {running['total']} running" if running else ""
    if seconds is None:
        return where or "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    left = f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
    return f"{left} ({where})" if where else f"about {left}"


def _total(counts: dict[str, int]) -> int:
    return sum(counts.values())


Stage = Annotated[
    str | None, typer.Option("--stage", help="Only this stage: ingest, scan, detect, …")
]


def _check_stage(stage: str | None) -> None:
    from motionkit.pipeline import STAGES

    if stage is not None and stage not in STAGES:
        raise UsageError(f"there is no stage {stage!r}.", hint=f"stages are: {', '.join(STAGES)}")


@app.command(epilog=_EPILOG)
def failures(context: typer.Context, stage: Stage = None) -> None:
    """What failed, where, and why.

    Example: motionkit failures --stage ingest
    """
    from motionkit.catalogue import failures as failed_rows

    console: Console = context.obj
    _check_stage(stage)
    rows = failed_rows(console.workspace(), stage)
    lines = []
    for row in rows:
        where = clean(row["path"] or row["item_id"])
        tries = f", {row['attempts']} attempts" if row["attempts"] > 1 else ""
        lines += [f"{row['stage']}  {row['code']}{tries}  {where}", f"    {clean(row['message'])}"]
    if rows:
        lines.append("codes are explained in docs/codes.md; try again with: motionkit retry")
    console.result(rows, lines or ["nothing failed."])


@app.command(epilog=STEP_EPILOG)
def retry(
    context: typer.Context,
    stage: Stage = None,
    error: Annotated[
        list[str] | None, typer.Option("--error", help="Only this code; may be repeated.")
    ] = None,
    workers: Workers = 0,
    timeout: Timeout = 900.0,
) -> None:
    """Try failed items again, and only those.

    Example: motionkit retry --stage detect --error timeout
    """
    from motionkit.engines.local import EngineOptions
    from motionkit.pipeline import retry_failed

    console: Console = context.obj
    _check_stage(stage)
    engine = EngineOptions(workers=workers, timeout_s=timeout)
    results = retry_failed(
        console.workspace(), engine, stage, tuple(error or ()), progress=console.progress()
    )
    if console.json:
        console.result([result.summary for result in results], [])
        return
    for result in results:
        show(console, result)
    if not results:
        print("nothing to retry.")


@app.command(epilog=_EPILOG)
def query(
    context: typer.Context,
    sql: Annotated[str, typer.Argument(help="One SELECT over the views (docs/workspace.md).")],
    limit: Annotated[int, typer.Option(help="Rows to print; 0 prints all.")] = 50,
) -> None:
    """Ask the tables in SQL (DuckDB, read-only).

    Example: motionkit query "SELECT reason, count(*) FROM candidates GROUP BY ALL"
    """
    from motionkit.catalogue import query as run_query

    console: Console = context.obj
    found = run_query(console.workspace(), sql)
    shown = found if not limit or console.json else found.slice(0, limit)
    rows = [[_short(value) for value in row.values()] for row in shown.to_pylist()]
    lines = table(rows, found.column_names)
    if shown.num_rows < found.num_rows:
        lines.append(f"({found.num_rows - shown.num_rows} more rows: use --limit 0)")
    console.result(found.to_pylist() if console.json else None, lines)


def _short(value: object) -> object:
    if isinstance(value, (list, dict)):
        text = json.dumps(value, default=str)
        return text if len(text) <= 60 else text[:57] + "..."
    return value


@app.command(epilog=_EPILOG)
def report(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option("--out", help="HTML file [default: WORKSPACE/report.html].")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Headline of the page.")] = None,
) -> None:
    """Write one self-contained HTML page about the workspace: counts, pictures, curves, motions.

    Example: motionkit report --out people.html
    """
    from motionkit.pipeline import ReportOptions, make_report

    console: Console = context.obj
    options = ReportOptions(title) if title else ReportOptions()
    show(console, make_report(console.workspace(), options, out))


@app.command(epilog="Exit codes: 0 all well, 1 something is wrong, 2 wrong usage.")
def doctor(context: typer.Context) -> None:
    """Check Python, packages, decoders, disk and write access; every finding names its cure.

    Example: motionkit doctor
    """
    from motionkit.doctor import examine

    console: Console = context.obj
    findings = examine(console.workspace_path)
    marks = {"ok": "ok", "absent": "--", "wrong": "!!"}
    lines = []
    for finding in findings:
        lines.append(f"{marks[finding.state]}  {finding.name}: {finding.found}")
        if finding.cure:
            lines.append(f"      {finding.cure}")
    console.result([vars(finding) for finding in findings], lines)
    if any(finding.state == "wrong" for finding in findings):
        sys.exit(1)
