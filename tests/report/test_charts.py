from __future__ import annotations

from xml.etree import ElementTree

import pytest

from motionkit.report.charts import (
    bars,
    bin_counts,
    curve,
    histogram,
    log_ticks,
    nice_ticks,
    number,
    tick_texts,
)
from motionkit.report.curves import CurveChart, Line


@pytest.mark.parametrize(
    ("low", "high", "count", "ticks"),
    [(0, 10, 6, [0, 2, 4, 6, 8, 10]), (0, 1, 3, [0, 0.5, 1]), (3, 97, 5, [25, 50, 75])],
)
def test_ticks_are_round(low, high, count, ticks):
    assert nice_ticks(low, high, count) == ticks


def test_covering_ticks_hold_all_values():
    ticks = nice_ticks(0.3, 9.7, 5, cover=True)
    assert ticks[0] <= 0.3 and ticks[-1] >= 9.7
    flat = nice_ticks(0.001, 0.001, 5, cover=True)
    assert flat[0] < 0.001 < flat[-1]


def test_log_ticks_are_finer_where_decades_are_few():
    assert [round(10**t) for t in log_ticks(0, 4)] == [1, 10, 100, 1000, 10000]
    assert [round(10**t, 3) for t in log_ticks(-1, 0)] == [0.1, 0.2, 0.5, 1]


def test_tick_texts_tell_ticks_apart():
    assert tick_texts([0, 0.25, 0.5]) == ["0.00", "0.25", "0.50"]
    assert tick_texts([0, 50, 100]) == ["0", "50", "100"]
    assert len(set(tick_texts([1.001, 1.002, 1.003]))) == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0204, "0.0204"), (1234.5, "1,234"), (2.5e6, "2.5 M"), (float("nan"), "–")],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_values_outside_go_to_the_outer_bins():
    assert bin_counts([-5, 0.5, 99, float("nan")], [0, 1, 2]) == [2, 1]


def test_charts_are_well_formed_and_escape_labels():
    line = Line("<a>&", [0, 10], [1.0, 2.0])
    svg, data = curve(CurveChart("<t>", [line], False), key="k")
    others = [
        histogram([0, 1, 2], [("<n>", [1, 2], "kept")], title="<t>", x_label="<x>", y_label="&"),
        bars([("<w>", 3.0, "kept"), ("gone", float("nan"), "left")], title='"', x_label="<x>"),
    ]
    for text in (svg, *others):
        root = ElementTree.fromstring(str(text))
        assert root.attrib["aria-label"]
        assert {e.tag for e in root.iter()} <= {"svg", "line", "text", "polyline", "rect", "title"}
    assert data["lines"][0]["name"] == "<a>&" and data["lines"][0]["value"] == [1.0, 2.0]
    assert "not seen" in others[1]


def test_the_limit_is_drawn_where_it_lies():
    svg = histogram(
        [0, 1, 2], [("n", [1, 1], "kept")], title="t", x_label="x", y_label="y", marks=[1.0, 9.0]
    )
    assert svg.count('class="limit"') == 1 and "limit 1" in svg
