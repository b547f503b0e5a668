from __future__ import annotations

import copy
import json

import pytest

from motionkit.report.trajectory_scores import frame_size_of, scores_card

ROW = {"ade_px": 40.0, "fde_px": 70.0, "average_jaccard": 0.2, "occlusion_accuracy": 0.9,
       "smoothness": 0.99, "similarity": 0.8}  # fmt: skip
FOUND = {"at": {"1": 0.5, "5": 0.875}, "chance": {"1": 0.02, "5": 0.1}, "queries": 334,
         "gallery": 63}  # fmt: skip
WAYS = {"text_to_trajectory": FOUND, "trajectory_to_text": FOUND}
GOOD = {
    "split": "test",
    "shards": "abc",
    "items": 63,
    "sentences": 1334,
    "frame_size": [640, 360],
    "generation": {
        "model": ROW,
        "static": {**ROW, "ade_px": 100.0},
        "nearest text": {**ROW, "ade_px": 50.0},
        "teacher forcing": {**ROW, "ade_px": 2.0, "similarity": None},
    },
    "retrieval": {"model": WAYS, "nearest text": WAYS},
}


@pytest.fixture
def card(tmp_path):
    def read(content, **options):
        path = tmp_path / "lang2motion" / "evaluation-test.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return scores_card(path, **options)

    return read


def test_a_card_has_every_way_and_says_what_it_is_worth(card):
    found = card(GOOD, shards_hash="abc")
    assert found["warning"] == found["old"] == ""
    assert (found["trajectories"], found["sentences"]) == ("63", "1,334")
    assert [row["label"] for row in found["rows"]] == [
        "this model", "standing still", "nearest sentence", "told the truth",
    ]  # fmt: skip
    assert found["rows"][0]["us"] and found["rows"][0]["cells"][0] == "40.0"
    assert found["rows"][-1]["cells"][-1] == "–"
    assert "60 % less than standing still" in found["says"]
    assert "20 % less than the nearest sentence" in found["says"]
    assert str(found["chart"]).count('<rect class="bar') == 3  # no bar for what is not generated
    assert found["searches"][0]["rows"][0]["cells"] == ["50.0 %", "87.5 %"]
    assert found["searches"][0]["rows"][-1]["label"] == "chance"
    assert frame_size_of(found) == (640, 360)


def test_a_model_worse_than_standing_still_is_said_to_be(card):
    bad = copy.deepcopy(GOOD)
    bad["generation"]["static"]["ade_px"] = 20.0
    assert "100 % more than standing still" in card(bad)["says"]


def test_another_shard_set_is_told(card):
    assert "another shard set" in card(GOOD, shards_hash="def")["old"]


@pytest.mark.parametrize(
    ("content", "remark"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b" " * (1 << 20) + b"{}", "too large"),
        ([1, 2], "no evaluation"),
        ({}, "'generation'"),
        ({**GOOD, "generation": {"model": {"ade_px": None}}}, "no evaluation"),
        ({**GOOD, "frame_size": [0, 0]}, "no evaluation"),
        ({**GOOD, "retrieval": {}}, "no evaluation"),
        ({**GOOD, "items": "many"}, "no evaluation"),
        ({**GOOD, "items": float("inf")}, "no evaluation"),
        ({**GOOD, "frame_size": [float("inf"), 1]}, "no evaluation"),
        ({**GOOD, "items": 10**400, "generation": {"model": {"ade_px": 10**400}}}, "no evaluation"),
        ({**GOOD, "retrieval": {"model": {k: {**FOUND, "at": {"x": 1}} for k in WAYS}}},
         "no evaluation"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_a_remark(card, content, remark):
    found = card(content)
    assert remark in found["warning"]
    assert found["warning"].startswith("lang2motion/evaluation-test.json")
    assert frame_size_of(found) is None


def test_a_missing_file_is_a_remark(tmp_path):
    assert "cannot be read: No such file" in scores_card(tmp_path / "m" / "e.json")["warning"]
