from __future__ import annotations

import json

import pytest

from motionkit.report.curves import MAX_POINTS, read_log


def write(tmp_path, rows):
    path = tmp_path / "train_log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_metrics_are_grouped(factory):
    stages, bad = read_log(factory.train_log())
    assert bad == 1
    assert [s.stage for s in stages] == ["tokenizer", "masked"]
    charts = {c.title: c for c in stages[0].charts}
    assert list(charts) == ["loss", "loss terms", "lr"]
    assert [line.name for line in charts["loss"].lines] == ["train", "val"]
    assert [line.name for line in charts["loss terms"].lines] == ["2d", "velocity"]
    assert charts["loss terms"].logarithmic and not charts["lr"].logarithmic


def test_k2m_terms_stand_together_and_zeros_are_named(tmp_path):
    rows = [
        {"stage": "t", "step": i, "rec": 50.0 / (i + 1), "vel": 1.0, "pose": 0.0} for i in range(9)
    ]
    (stage,), _ = read_log(write(tmp_path, rows))
    (chart,) = stage.charts
    assert chart.title == "loss terms (about 0: pose)"
    assert [line.name for line in chart.lines] == ["rec", "vel"]


def test_the_layers_of_a_metric_share_a_chart(tmp_path):
    rows = [
        {"stage": "t", "step": i, "alive": 1.0, **{f"alive_{n}": n / 2 for n in range(3)}}
        for i in range(3)
    ]
    (stage,), _ = read_log(write(tmp_path, rows))
    assert [c.title for c in stage.charts] == ["alive", "alive by layer"]
    assert [line.name for line in stage.charts[1].lines] == ["layer 0", "layer 1", "layer 2"]


def test_a_resumed_run_counts_the_last_line_of_a_step(tmp_path):
    rows = [{"step": 1, "loss": 9.0}, {"step": 2, "loss": 8.0}, {"step": 2, "loss": 5.0}]
    (stage,), _ = read_log(write(tmp_path, rows))
    assert stage.charts[0].lines[0].values == [9.0, 5.0]


def test_long_lines_are_averaged(tmp_path):
    rows = [{"step": i, "loss": float(i % 2)} for i in range(10_000)]
    line = read_log(write(tmp_path, rows))[0][0].charts[0].lines[0]
    assert len(line.values) <= MAX_POINTS
    assert line.values[0] == pytest.approx(0.5, abs=0.02)


def test_values_that_are_no_numbers_are_left_out(tmp_path):
    path = tmp_path / "train_log.jsonl"
    path.write_text('{"step": 1, "loss": NaN, "note": "x", "ok": 1.5}\n[1]\n{"loss": 3}\n')
    (stage,), bad = read_log(path)
    assert bad == 2
    assert stage.charts == [] and stage.single == [("ok", 1, 1.5)]
