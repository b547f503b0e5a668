"""Training logs as charts: which metrics stand together, thinned to what a screen can show."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

#: Points of a line that are drawn; a longer one is averaged over equal stretches of points.
MAX_POINTS: Final = 240
#: More lines than this are spread over several charts.
MAX_LINES: Final = 6
#: A logarithmic axis reaches down to the highest value over this.
DECADES: Final = 1e4
#: K2M logs its loss terms by these names.
_K2M_TERMS: Final = frozenset(
    "rvq rec smooth vel boundary pose shape path yaw_cue masked residual length".split()  # noqa: SIM905
)
_UNITS: Final = {"percent": "%", "mm": "mm", "px": "pixels", "deg": "degrees"}
_NOT_METRICS: Final = {"step", "stage", "epoch", "done", "total", "time", "time_s", "seconds"}
_SIDES: Final = re.compile(r"^(train|val|valid|test|eval)[/_.](.+)$")

#: A metric of each layer of something: perplexity_0, perplexity_1 …
_LAYER: Final = re.compile(r"^(.+)_(\d+)$")


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of a chart: steps and values of equal length."""

    name: str
    steps: list[float]
    values: list[float]


@dataclasses.dataclass(frozen=True)
class CurveChart:
    """Lines that share an axis. ``logarithmic``: all values are positive and span decades."""

    title: str
    lines: list[Line]
    logarithmic: bool


@dataclasses.dataclass(frozen=True)
class StageCurves:
    """The charts of one training stage of one log."""

    log: str
    stage: str
    charts: list[CurveChart]
    #: Metrics with one value, which make no line: name, step, value.
    single: list[tuple[str, int, float]]
    records: int
    last_step: int


def read_log(path: Path) -> tuple[list[StageCurves], int]:
    """Charts of a train_log.jsonl, and the number of lines that could not be read.

    A run that was resumed repeats steps: the last line of a step counts.
    """
    stages: dict[str, dict[str, dict[int, float]]] = {}
    counts: dict[str, int] = {}
    bad = 0
    for record in _records(path):
        if record is None:
            bad += 1
            continue
        stage = str(record.get("stage", "training"))
        counts[stage] = counts.get(stage, 0) + 1
        for name, value in _numbers(record):
            series = stages.setdefault(stage, {}).setdefault(name, {})
            series[record["step"]] = value
    found = []
    for stage, metrics in stages.items():
        last = max(step for series in metrics.values() for step in series)
        lines = {name: series for name, series in metrics.items() if len(series) > 1}
        single = [(n, *next(iter(s.items()))) for n, s in sorted(metrics.items()) if len(s) == 1]
        folder = path.parent.name
        found.append(StageCurves(folder, stage, _charts(lines), single, counts[stage], last))
    return found, bad


def _records(path: Path) -> Iterator[dict[str, Any] | None]:
    with path.open(encoding="utf-8", errors="replace") as stream:
        for text in stream:
            if not text.strip():
                continue
            try:
                record = json.loads(text)
            except ValueError:  # the last line of a killed run may be cut short
                yield None
                continue
            good = isinstance(record, dict) and isinstance(record.get("step"), int)
            yield record if good else None


def _numbers(record: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{name}/")
        elif (
            name not in _NOT_METRICS
            and isinstance(value, (int, float))
            and not isinstance(value, bool)
            and math.isfinite(value)
        ):
            yield prefix + name, float(value)


def _charts(metrics: dict[str, dict[int, float]]) -> list[CurveChart]:
    """The total loss first, then the loss terms together, then each other metric.

    Training and validation values of one metric share a chart, and so do the layers of one.
    """
    groups: dict[str, list[tuple[str, str, str]]] = {}
    for name in sorted(metrics):
        match = _SIDES.match(name)
        side, base = (match[1], match[2]) if match else ("", name)
        layer = _LAYER.match(base)
        if layer is not None:
            title = f"{_plain(layer[1])} by layer"
            groups.setdefault(title, []).append((name, f"layer {layer[2]}", side))
        elif _is_term(base):
            groups.setdefault("loss terms", []).append((name, _plain(_plain_term(base)), side))
        else:
            groups.setdefault(_plain(base), []).append((name, _plain(base), side))
    order = {"loss": 0, "loss terms": 1}
    charts = []
    for title in sorted(groups, key=lambda t: (order.get(t, 2), t)):
        members = groups[title]
        parts = [members[i : i + MAX_LINES] for i in range(0, len(members), MAX_LINES)]
        for number, part in enumerate(parts, 1):
            shown = title if len(parts) == 1 else f"{title}, {number} of {len(parts)}"
            charts.append(_chart(shown, part, metrics))
    return charts


def _chart(
    title: str, members: list[tuple[str, str, str]], metrics: dict[str, dict[int, float]]
) -> CurveChart:
    one_metric = len({label for _, label, _ in members}) == 1
    lines = []
    for name, label, side in members:
        if one_metric:
            label = side or ("train" if len(members) > 1 else label)
        elif side:
            label = f"{label} ({side})"
        lines.append(_line(label, metrics[name]))
    if len(members) == 1 and members[0][2]:
        title = f"{title} ({members[0][2]})"
    if not _spans_decades(lines):
        return CurveChart(title, lines, False)
    floor = max(v for line in lines for v in line.values) / DECADES
    low = [line.name for line in lines if sum(v > floor for v in line.values) < 2]
    if low:
        title += f" (about 0: {', '.join(low)})"
    return CurveChart(title, [_above(ln, floor) for ln in lines if ln.name not in low], True)


def _is_term(base: str) -> bool:
    return base in _K2M_TERMS or base.startswith(("loss_", "loss/", "loss."))


def _plain_term(base: str) -> str:
    return re.sub(r"^loss[_/.]", "", base)


def _plain(base: str) -> str:
    text = re.sub(r"_(percent|mm|px|deg)$", lambda m: f", {_UNITS[m[1]]}", base)
    return text.replace("_", " ")


def _line(name: str, series: dict[int, float]) -> Line:
    steps = sorted(series)
    size = -(-len(steps) // MAX_POINTS)
    groups = [steps[i : i + size] for i in range(0, len(steps), size)]
    return Line(
        name,
        [sum(g) / len(g) for g in groups],
        [sum(series[s] for s in g) / len(g) for g in groups],
    )


def _above(line: Line, floor: float) -> Line:
    """The part of a line that a logarithmic axis shows."""
    kept = [(s, v) for s, v in zip(line.steps, line.values, strict=True) if v > floor]
    return Line(line.name, [s for s, _ in kept], [v for _, v in kept])


def _spans_decades(lines: list[Line]) -> bool:
    values = [v for line in lines for v in line.values]
    positive = [v for v in values if v > 0]
    return min(values) >= 0 and bool(positive) and max(positive) / min(positive) > 30
