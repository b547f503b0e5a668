"""Charts as inline SVG. Colours come from the page's style sheet, so that both themes fit.

`Markup.format` escapes every label; every chart has a title that is read aloud.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from motionkit.report.curves import CurveChart

_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 18, 44


def histogram(
    edges: Sequence[float],
    series: Sequence[tuple[str, Sequence[int], str]],
    *,
    title: str,
    x_label: str,
    y_label: str,
    marks: Sequence[float] = (),
    width: int = 520,
    height: int = 240,
) -> Markup:
    """Stacked bars. ``series``: (name, counts of each bin, CSS class); ``marks``: limits on x."""
    bins = len(edges) - 1
    totals = [sum(counts[i] for _, counts, _ in series) for i in range(bins)]
    ticks = count_ticks(max([*totals, 1]))
    frame = _Frame(width, height, edges[0], edges[-1], 0.0, ticks[-1])
    parts = [_axes(frame, nice_ticks(edges[0], edges[-1], 8), ticks, x_label, y_label)]
    for i in range(bins):
        base = 0.0
        x0, x1 = frame.x(edges[i]), frame.x(edges[i + 1])
        for name, counts, style in series:
            if not counts[i]:
                continue
            y0, y1 = frame.y(base), frame.y(base + counts[i])
            label = f"{number(edges[i])} to {number(edges[i + 1])}: {counts[i]:,} {name}"
            parts.append(
                Markup(
                    '<rect class="bar {}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}">'
                    "<title>{}</title></rect>"
                ).format(style, x0 + 0.75, y1, max(1.0, x1 - x0 - 1.5), y0 - y1, label)
            )
            base += counts[i]
    for mark in marks:
        if edges[0] <= mark <= edges[-1]:
            x = frame.x(mark)
            parts.append(
                Markup(
                    '<line class="limit" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>'
                    '<text class="limit-text" x="{3:.1f}" y="{4}" text-anchor="{5}">'
                    "limit {6}</text>"
                ).format(
                    x,
                    _TOP - 14,
                    frame.bottom,
                    x + 4 if x < width * 0.75 else x - 4,
                    _TOP - 5,
                    "start" if x < width * 0.75 else "end",
                    number(mark),
                )
            )
    return _svg(width, height, title, parts)


def bars(
    rows: Sequence[tuple[str, float, str]],
    *,
    title: str,
    x_label: str,
    width: int = 520,
    label_width: int = 110,
    step: int = 21,
) -> Markup:
    """Horizontal bars. ``rows``: (label, value, CSS class); NaN is drawn as "not seen"."""
    finite = [v for _, v, _ in rows if math.isfinite(v)]
    ticks = nice_ticks(0.0, max([*finite, 1e-9]), 6, cover=True)
    if all(v == int(v) for v in finite):
        ticks = count_ticks(int(max([*finite, 1])))
    height = len(rows) * step + 42
    left, right = label_width, width - 52
    bottom = height - 38

    def x_of(value: float) -> float:
        return left + (right - left) * value / ticks[-1]

    parts: list[Markup] = []
    for tick, text in zip(ticks, tick_texts(ticks), strict=True):
        parts.append(
            Markup(
                '<line class="gridline" x1="{0:.1f}" x2="{0:.1f}" y1="2" y2="{1}"/>'
                '<text class="tick" x="{0:.1f}" y="{2}" text-anchor="middle">{3}</text>'
            ).format(x_of(tick), bottom, bottom + 15, text)
        )
    for i, (label, value, style) in enumerate(rows):
        y = 4 + i * step
        middle = y + step / 2 - 2
        parts.append(
            Markup('<text class="label" x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
                left - 8, middle + 4, label
            )
        )
        if math.isfinite(value):
            parts.append(
                Markup(
                    '<rect class="bar {}" x="{}" y="{}" width="{:.1f}" height="{}" rx="2"/>'
                    '<text class="value" x="{:.1f}" y="{:.1f}">{}</text>'
                ).format(
                    style,
                    left,
                    y,
                    max(1.0, x_of(value) - left),
                    step - 5,
                    x_of(value) + 5,
                    middle + 4,
                    number(value),
                )
            )
        else:
            parts.append(
                Markup('<text class="tick" x="{}" y="{:.1f}">not seen</text>').format(
                    left + 5, middle + 4
                )
            )
    parts.append(
        Markup('<text class="axis" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
            (left + right) / 2, height - 5, x_label
        )
    )
    return _svg(width, height, title, parts)


def curve(
    chart: CurveChart, *, key: str, width: int = 350, height: int = 220
) -> tuple[Markup, dict[str, Any]]:
    """A line chart, and what the page's script needs to show values under the pointer."""
    values = [v for line in chart.lines for v in line.values]
    steps = [s for line in chart.lines for s in line.steps]
    if chart.logarithmic:
        low, high = math.log10(min(values)), math.log10(max(values))
        pad = 0.04 * (high - low)
        frame = _Frame(width, height, min(steps), max(steps), low - pad, high + pad)
        y_ticks = log_ticks(low - pad, high + pad)
    else:
        ticks = nice_ticks(min(values), max(values), 5, cover=True)
        frame = _Frame(width, height, min(steps), max(steps), ticks[0], ticks[-1])
        y_ticks = ticks
    unit = "log scale" if chart.logarithmic else ""
    x_ticks = nice_ticks(min(steps), max(steps), 5)
    parts = [_axes(frame, x_ticks, y_ticks, "step", unit, log=chart.logarithmic)]
    data: dict[str, Any] = {"left": _LEFT, "right": width - _RIGHT, "lines": []}
    for i, line in enumerate(chart.lines):
        ys = [frame.y(math.log10(v) if chart.logarithmic else v) for v in line.values]
        xs = [frame.x(s) for s in line.steps]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
        style = f"line c{i % 8}" + (" dashed" if i >= 8 else "")
        if len(xs) == 1:
            parts.append(
                Markup('<circle class="dot c{}" cx="{:.1f}" cy="{:.1f}" r="3"/>').format(
                    i % 8, xs[0], ys[0]
                )
            )
        else:
            parts.append(Markup('<polyline class="{}" points="{}"/>').format(style, points))
        data["lines"].append(
            {
                "name": line.name,
                "x": [round(x, 1) for x in xs],
                "y": [round(y, 1) for y in ys],
                "step": [round(s) for s in line.steps],
                "value": [float(f"{v:.4g}") for v in line.values],
            }
        )
    parts.append(
        Markup('<line class="cross" x1="0" x2="0" y1="{}" y2="{}"/>').format(_TOP, frame.bottom)
    )
    return _svg(width, height, chart.title, parts, key=key), data


class _Frame:
    """Data to picture coordinates."""

    def __init__(self, width: int, height: int, x0: float, x1: float, y0: float, y1: float) -> None:
        self.width, self.height = width, height
        self.bottom = height - _BOTTOM
        self._x0, self._x_span = x0, (x1 - x0) or 1.0
        self._y0, self._y_span = y0, (y1 - y0) or 1.0

    def x(self, value: float) -> float:
        return _LEFT + (self.width - _LEFT - _RIGHT) * (value - self._x0) / self._x_span

    def y(self, value: float) -> float:
        return self.bottom - (self.bottom - _TOP) * (value - self._y0) / self._y_span


def _axes(
    frame: _Frame,
    x_ticks: Sequence[float],
    y_ticks: Sequence[float],
    x_label: str,
    y_label: str,
    *,
    log: bool = False,
) -> Markup:
    parts = []
    y_texts = [number(10**tick) for tick in y_ticks] if log else tick_texts(y_ticks)
    for tick, text in zip(y_ticks, y_texts, strict=True):
        parts.append(
            Markup(
                '<line class="gridline" x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}"/>'
                '<text class="tick" x="{3}" y="{4:.1f}" text-anchor="end">{5}</text>'
            ).format(
                _LEFT, frame.width - _RIGHT, frame.y(tick), _LEFT - 6, frame.y(tick) + 3.5, text
            )
        )
    for tick, text in zip(x_ticks, tick_texts(x_ticks), strict=True):
        parts.append(
            Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
                frame.x(tick), frame.bottom + 15, text
            )
        )
    parts.append(
        Markup('<line class="base" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            _LEFT, frame.width - _RIGHT, frame.bottom, frame.bottom
        )
    )
    middle = (_LEFT + frame.width - _RIGHT) / 2
    parts.append(
        Markup('<text class="axis" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
            middle, frame.height - 8, x_label
        )
    )
    if y_label:
        centre = (_TOP + frame.bottom) / 2
        parts.append(
            Markup(
                '<text class="axis" transform="translate(12 {:.1f}) rotate(-90)" '
                'text-anchor="middle">{}</text>'
            ).format(centre, y_label)
        )
    return Markup("").join(parts)


def _svg(
    width: int, height: int, title: str, parts: Sequence[Markup], key: str | None = None
) -> Markup:
    live = (
        Markup(' tabindex="0" data-chart="{}" aria-label="{}; arrow keys read values"').format(
            key, title
        )
        if key
        else Markup(' aria-label="{}"').format(title)
    )
    return (
        Markup('<svg class="chart" viewBox="0 0 {} {}" role="img"{}>').format(width, height, live)
        + Markup("").join(parts)
        + Markup("</svg>")
    )


def nice_ticks(low: float, high: float, count: int, *, cover: bool = False) -> list[float]:
    """Round numbers between ``low`` and ``high``; ``cover`` goes one beyond at either end."""
    if high <= low:  # one value: it stands in the middle
        low, high = low - (abs(low) or 1.0) * 0.5, high + (abs(high) or 1.0) * 0.5
    rough = (high - low) / max(1, count - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))
    first = math.floor(low / step + 1e-9) if cover else math.ceil(low / step - 1e-9)
    last = math.ceil(high / step - 1e-9) if cover else math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def count_ticks(high: int) -> list[float]:
    """Whole numbers from 0 to at least ``high``."""
    step = max(1.0, nice_ticks(0, high, 5, cover=True)[1])
    step = math.ceil(step)  # 2.5 clips are no clips
    return [float(t) for t in range(0, high + step, step)]


def nice_edges(high: float, bins: int) -> list[float]:
    """Edges of about ``bins`` bins of a round width from 0 to at least ``high``."""
    return nice_ticks(0.0, high, bins + 1, cover=True)


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """Labels of evenly spaced ticks, with as many digits as tell them apart."""
    if len(ticks) < 2:
        return [number(t) for t in ticks]
    step, size = abs(ticks[1] - ticks[0]), max(abs(t) for t in ticks)
    if size >= 1e4:
        return [number(t) for t in ticks]
    if size < 1e-3:
        return ["0" if t == 0 else f"{t:.3g}" for t in ticks]
    digits = next(d for d in range(12) if abs(round(step, d) - step) < step * 1e-6)
    return [f"{t:,.{digits}f}" for t in ticks]


def log_ticks(low: float, high: float) -> list[float]:
    """Logarithms of 1, 10, 100 … between 10^low and 10^high; with 2 and 5 where these are few."""
    decades = range(math.floor(low), math.ceil(high) + 1)
    found = [float(d) for d in decades if low <= d <= high]
    if len(found) > 2:
        return found[:: max(1, len(found) // 6)]
    finer = [d + math.log10(m) for d in decades for m in (1, 2, 5)]
    return [t for t in finer if low <= t <= high]


def number(value: float) -> str:
    """A number for an axis: short, without false digits."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:.3g} M"
    if size >= 1e4:
        return f"{value / 1e3:.3g} k"
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    if size < 1e-4:
        return f"{value:.0e}".replace("e-0", "e-")
    return f"{value:.3g}"


def bin_counts(values: Any, edges: Sequence[float]) -> list[int]:
    """Counts in each bin; values outside go to the first or last one."""
    array = np.asarray(values, np.float64)
    array = array[np.isfinite(array)]
    clipped = np.clip(array, edges[0], edges[-1])
    return [int(n) for n in np.histogram(clipped, bins=np.asarray(edges))[0]]


def duration(seconds: float) -> str:
    """Running time in the unit that fits."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:,.1f} h"
