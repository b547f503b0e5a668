from __future__ import annotations

import pytest

from motionkit.report.facts import collect


def test_counts_drops_and_failures(factory):
    factory.fill(videos=3, frames=60)
    facts = collect(factory.workspace, examples=2)
    assert (facts.shots, facts.candidates, facts.kept_clips) == (3, 6, 3)
    assert facts.kept_seconds == pytest.approx(6.0)
    assert facts.video_seconds == pytest.approx(6.0)
    (drop,) = facts.drops
    assert (drop.command, drop.reason, drop.count, drop.unit) == (
        "filter",
        "camera-moves",
        3,
        "clip",
    )
    assert drop.threshold == 0.02 and len(drop.examples) == 2
    assert {e.first for e in drop.examples} == {10}
    (failure,) = facts.failures
    assert (failure.command, failure.code, failure.error) == ("ingest", "corrupt", "InputError")
    assert dict(facts.licences) == {"CC BY 4.0": 3}


def test_scores_hold_kept_and_dropped_and_the_limit(factory):
    factory.fill(videos=2, frames=60)
    camera = collect(factory.workspace, examples=2).scores[0]
    assert list(camera.kept) == pytest.approx([0.004, 0.004])
    assert sorted(camera.dropped) == pytest.approx([0.05, 0.06])
    assert camera.thresholds == {0.02}
    assert (camera.lowest, camera.highest) == (None, 0.02)


def test_a_shot_dropped_whole_is_one_drop(factory):
    row = {
        "item_id": "v1-000000-000089",
        "outcome": "dropped",
        "reason": "no-person",
        "measured": 0.0,
        "threshold": 1.0,
    }
    shot = {"shot_id": row["item_id"], "first": 0, "last": 89, "t0_s": 0.0, "t1_s": 3.0}
    factory.write("scans", "scan", [{"item_id": "v1", "video_id": "v1", "shots": [shot]}])
    factory.write("detections", "detect", [row])
    factory.write("verdicts", "filter", [{**row, "candidates": []}])
    (drop,) = collect(factory.workspace, examples=4).drops
    assert (drop.command, drop.reason, drop.count, drop.seconds) == ("detect", "no-person", 1, 3.0)
    example = drop.examples[0]
    assert (example.video_id, example.first, example.last) == ("v1", 0, 89)


def test_a_shot_that_the_filter_judged_too_counts_there(factory):
    item = "v1-000000-000089"
    row = {"item_id": item, "outcome": "dropped", "reason": "no-person"}
    part = {"first": 0, "last": 89, "t0_s": 0.0, "t1_s": 3.0, "outcome": "dropped"}
    candidate = {"clip_id": f"{item}-a", **part, "reason": "camera-moving", "measured": 0.5}
    factory.write("detections", "detect", [row])
    factory.write("verdicts", "filter", [{**row, "candidates": [candidate]}])
    (drop,) = collect(factory.workspace, examples=4).drops
    assert (drop.command, drop.reason, drop.count) == ("filter", "camera-moving", 1)
