"""What `motionkit filter` prints: verdicts, what other thresholds would keep, explanations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from motionkit.cli.console import Console, clean, table
from motionkit.cli.steps import parameters
from motionkit.pipeline import StepResult
from motionkit.workspace import Workspace

#: Stretches of a video and ranges of a filter that are printed; --json has them all.
_STRETCHES, _RANGES = 40, 3


def show_verdicts(console: Console, workspace: Workspace, result: StepResult) -> None:
    """The summary of a run, and what each reason took."""
    from motionkit.catalogue import query

    rows = query(
        workspace,
        "SELECT coalesce(reason, 'kept') AS verdict, count(*) AS stretches, "
        "round(sum(t1_s - t0_s), 2) AS seconds, min(measured) AS lowest, "
        "max(measured) AS highest, any_value(threshold) AS threshold "
        "FROM candidates GROUP BY 1 ORDER BY seconds DESC, verdict",
    ).to_pylist()
    lines = [f"filter: {result.line}"]
    if rows:
        lines += table([list(row.values()) for row in rows], list(rows[0]))
    console.result({**result.summary, "verdicts": rows}, lines)


def show_what_if(
    console: Console, workspace: Workspace, settings: list[str], sweeps: list[str]
) -> None:
    """What other thresholds would keep beside today's; nothing is written."""
    from motionkit.thresholds import parse_sweep
    from motionkit.what_if import what_if

    today = parameters(workspace, "filter", {}, [])
    changed = parameters(workspace, "filter", {}, settings)
    asked: dict[str, list[float]] = {}
    for text in sweeps:
        asked.update(parse_sweep(text, changed))
    progress = console.progress()
    report = None if progress is None else lambda done, total: progress("what if", done, total)
    found = what_if(workspace, today, changed, asked, progress=report)
    data = found.as_dict()
    changes = ", ".join(f"{n} {a:g} → {b:g}" for n, (a, b) in found.changes.items())
    lines = [f"{found.shots} shots judged again, nothing written: {changes or 'no change'}"]
    header = ["verdict", "today", "hours today"]
    header += ["changed", "hours changed", "±", "± hours"] if changes else []
    lines += table([_verdict_cells(row, bool(changes)) for row in data["verdicts"]], header)
    if data["alone"]:
        lines += ["", "each change by itself keeps:"]
        lines += table(
            [[r["parameter"], r["value"], r["clips"], _hours(r["hours"])] for r in data["alone"]],
            ["threshold", "value", "clips", "hours"],
        )
    if data["sweeps"]:
        lines += ["", "other values keep" + (" (with the change):" if changes else ":")]
        lines += table(
            [_sweep_cells(row, found) for row in data["sweeps"]],
            ["threshold", "value", "clips", "hours", "± clips", "± hours", ""],
        )
    console.result(data, lines)


def _verdict_cells(row: Mapping[str, Any], changed: bool) -> list[Any]:
    cells = [row["verdict"], row["stretches"], _hours(row["hours"])]
    if changed:
        cells += [row["changed_stretches"], _hours(row["changed_hours"]),
                  row["changed_stretches"] - row["stretches"],
                  _hours(row["changed_hours"] - row["hours"])]  # fmt: skip
    return cells


def _sweep_cells(row: Mapping[str, Any], found: Any) -> list[Any]:
    now = getattr(found.today, row["parameter"]) == row["value"]
    changed = getattr(found.changed, row["parameter"]) == row["value"]
    note = "today" if now else "changed" if changed else ""
    return [row["parameter"], row["value"], row["clips"], _hours(row["hours"]),
            row["clips"] - found.before.clips, _hours(row["hours"] - found.before.kept_hours),
            note]  # fmt: skip


def _hours(value: float) -> float:
    return round(value, 3 if abs(value) < 10 else 1)


def show_explanation(console: Console, workspace: Workspace, asked: str) -> None:
    """Why something was kept or dropped, with its numbers."""
    from motionkit.explain import explain

    found = explain(workspace, asked)
    lines = [f"{found.kind} {clean(found.asked)}: {clean(found.summary)}"]
    if found.path:
        lines.append(f"  file: {clean(found.path)}")
    if found.camera_kind:
        lines.append(f"  camera of the shot: {found.camera_kind}")
    if found.frame:
        lines.append("  at the moment: " + _pairs(found.frame))
    if found.checks:
        lines += _one_candidate(found)
    elif found.candidates:
        shown = found.candidates[:_STRETCHES]
        header = ["stretch", "from", "to", "verdict", "measured", "limit"]
        cells = [_stretch_cells(c) for c in shown]
        if found.people > 1:
            header.append("person")
            cells = [[*line, c["person"]] for line, c in zip(cells, shown, strict=True)]
        lines += ["", *table(cells, header)]
        if len(found.candidates) > len(shown):
            lines.append(f"and {len(found.candidates) - len(shown)} more (all with --json)")
    single = [word for word in found.words if len(found.words) <= 12 or word.outcome != "kept"]
    header = ["stage", "outcome", "reason", "measured", "limit", "message"]
    lines += ["", *table([_word_cells(word) for word in single[:_STRETCHES]], header)]
    console.result(found.as_dict(), lines)


def _one_candidate(found: Any) -> list[str]:
    (candidate,) = found.candidates
    t0_s, t1_s = candidate["t0_s"], candidate["t1_s"]
    lines = [f"  {candidate['clip_id']}: {t0_s:.2f} to {t1_s:.2f} s, frames "
             f"{candidate['first']} to {candidate['last']}"]  # fmt: skip
    lines += [f"  {where} it: {text}" for where, text in
              (("before", found.before), ("after", found.after)) if text]  # fmt: skip
    lines += ["", *table([_check_cells(c) for c in found.checks],
                         ["filter", "threshold", "limit", "worst", "", "fails at"])]  # fmt: skip
    if len(found.remedies) > 1 or (found.remedies and len(found.remedies[0]) == 1):
        lines += ["", "most of it would be kept with any one of:"]
    elif found.remedies:
        lines += ["", "most of it would be kept with:"]
    elif candidate["outcome"] == "dropped":
        lines += ["", "no thresholds would keep it"]
    lines += ["  " + " ".join(f"--set {n}={v:.6g}" for n, v in change.items())
              for change in found.remedies]  # fmt: skip
    return lines


def _check_cells(check: Mapping[str, Any]) -> list[Any]:
    ranges = check["ranges"]
    text = ", ".join(f"{a:.2f}-{b:.2f} s" for a, b in ranges[:_RANGES])
    if len(ranges) > _RANGES:
        text += f" and {len(ranges) - _RANGES} more"
    verdict = "FAILS" if not check["passed"] else "let pass" if ranges else "ok"
    return [check["reason"], check["parameter"], check["limit"], check["measured"], verdict, text]


def _stretch_cells(candidate: Mapping[str, Any]) -> list[Any]:
    verdict = candidate["reason"] or "kept"
    span = [round(candidate["t0_s"], 2), round(candidate["t1_s"], 2)]
    return [candidate["clip_id"], *span, verdict, candidate["measured"], candidate["threshold"]]


def _word_cells(word: Any) -> list[Any]:
    return [word.stage, word.outcome, word.reason, word.measured, word.threshold, word.message]


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
        if value is not None
    )
