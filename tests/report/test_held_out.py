from __future__ import annotations

import json

import pytest

from motionkit.report.held_out import held_out_section

GOOD = {
    "clips": 15,
    "frames": 1700,
    "through_tokens_mm": 50.0,
    "without_tokens_mm": 45.0,
    "mean_pose_mm": 100.0,
    "flat_mm": 40.0,
    "below_mean_pose": 0.5,
}


@pytest.fixture
def card(tmp_path):
    def read(content: str | bytes):
        path = tmp_path / "k2m" / "held_out.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        (found,) = held_out_section([path])
        return found

    return read


def test_a_card_has_a_bar_for_each_way_and_says_what_it_is(card):
    found = card(json.dumps(GOOD))
    svg = str(found["chart"])
    for label in ("through the tokens", "without tokens", "mean pose", "picture as it is"):
        assert label in svg
    assert "PA-MPJPE, mm" in svg and svg.count('<rect class="bar') == 4
    assert (found["name"], found["clips"], found["frames"]) == ("k2m", "15", "1,700")
    assert "15 clips the model never saw; training saw no 3D" in found["says"]
    assert "50 % below that of the best constant pose" in found["says"]
    assert "25 % above that of the picture" in found["says"]


@pytest.mark.parametrize(
    ("content", "remark"),
    [
        ("", "no JSON"),
        ('{"clips": 15, "fra', "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[1, 2]", "no table"),
        ("{}", "'clips'"),
        (json.dumps({**GOOD, "flat_mm": None}), "'flat_mm'"),
        (json.dumps({**GOOD, "flat_mm": float("nan")}), "'flat_mm'"),
        (json.dumps({**GOOD, "mean_pose_mm": 0}), "'mean_pose_mm'"),
        (json.dumps({**GOOD, "mean_pose_mm": 10**400}), "'mean_pose_mm'"),
        (json.dumps({**GOOD, "clips": "15"}), "'clips'"),
        (json.dumps({**GOOD, "clips": True}), "'clips'"),
    ],
)
def test_a_damaged_file_is_a_remark(card, content, remark):
    warning = card(content)["warning"]
    assert remark in warning and warning.startswith("k2m/held_out.json")


def test_a_missing_file_is_a_remark(tmp_path):
    (found,) = held_out_section([tmp_path / "k2m" / "held_out.json"])
    assert "cannot be read: No such file" in found["warning"]
