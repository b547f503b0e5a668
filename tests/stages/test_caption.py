"""The `caption` stage on small tables in memory."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from motionkit.errors import UsageError
from motionkit.records import CAPTION, TABLES
from motionkit.stage import Dropped, Kept
from motionkit.stages.caption import Caption
from tests.stages.fake_tables import FakeTables


def standing(frames: int = 60) -> np.ndarray:
    rows = [
        (0, 0.06), (0.02, 0.045), (-0.02, 0.045), (0.04, 0.055), (-0.04, 0.055),
        (0.095, 0.19), (-0.095, 0.19), (0.14, 0.34), (-0.14, 0.34), (0.16, 0.48), (-0.16, 0.48),
        (0.04, 0.49), (-0.04, 0.49), (0.05, 0.73), (-0.05, 0.73), (0.05, 0.96), (-0.05, 0.96),
    ]  # fmt: skip
    m2d = np.zeros((frames, 18, 3), np.float32)
    m2d[:, :17, :2] = np.array(rows) * 200 + [300, 40]
    m2d[:, :17, 2] = 1
    m2d[:, 17] = 640, 360, 1
    return m2d


def span(k: int) -> dict[str, Any]:
    return {"t0_s": 8.0 * k, "t1_s": 8.0 * k + 8, "range": None}


def tables(
    captions: tuple[str, ...] = (),
    shots: int = 1,
    m2d: np.ndarray | None = None,
) -> FakeTables:
    m2d = standing() if m2d is None else m2d
    sidecar = [
        {"text": t, "source": "sidecar", "detail": json.dumps({"file": "v.txt"})} for t in captions
    ]
    return FakeTables(
        videos=[{"item_id": "s", "video_id": "v", "captions": sidecar, "frames_decoded": 240}],
        scans=[{"item_id": "v", "video_id": "v", "shots": [span(k) for k in range(shots)]}],
        keypoints=[
            {
                "item_id": "c",
                "video_id": "v",
                "clip_id": "c",
                "fps": 30.0,
                "t0_s": 2.0,
                "t1_s": 4.0,
                "ordinals": np.arange(60, 60 + len(m2d)),
                "m2d": m2d.ravel(),
            }
        ],
    )


def captions_of(stage: Caption, found: FakeTables) -> list[dict[str, Any]]:
    (item,) = stage.items(found)
    assert item.id == "c"
    outcome = stage.process(item)
    if isinstance(outcome, Dropped):
        assert outcome.reason == "no-caption"
        return []
    assert isinstance(outcome, Kept)
    assert set(outcome.row) == set(TABLES["captions"].names)
    for caption in outcome.row["captions"]:
        assert set(caption) == {field.name for field in CAPTION}
    return outcome.row["captions"]


def test_auto_gives_the_sidecar_texts_and_then_what_the_keypoints_show() -> None:
    found = captions_of(Caption(), tables(("someone waits", "a man  stands\nthere")))
    assert [(c["text"], c["source"]) for c in found] == [
        ("someone waits", "sidecar"),
        ("a man stands there", "sidecar"),
        ("a person stands almost still", "kinematic"),
    ]


def test_a_sidecar_text_says_that_it_is_the_videos_and_how_much_of_it_the_clip_is() -> None:
    (caption,) = captions_of(Caption(source="sidecar"), tables(("someone waits",)))
    assert json.loads(caption["detail"]) == {
        "file": "v.txt",
        "of": "video",
        "clip_share": 0.25,
        "shots": 1,
    }


def test_the_kinematic_caption_lists_its_rules_and_numbers() -> None:
    (caption,) = captions_of(Caption(source="kinematic"), tables(("someone waits",)))
    detail = json.loads(caption["detail"])
    assert detail["rules_version"] >= 1
    assert [e["rule"] for e in detail["events"]] == ["still"]
    assert detail["events"][0]["speed_bh_s"] < 0.01


def test_sidecar_texts_of_a_video_with_several_shots_are_left_out_unless_asked_for() -> None:
    cut = tables(("someone waits",), shots=3)
    assert [c["source"] for c in captions_of(Caption(), cut)] == ["kinematic"]
    assert captions_of(Caption(source="sidecar"), cut) == []
    (caption,) = captions_of(Caption(source="sidecar", several_shots=True), cut)
    assert json.loads(caption["detail"])["shots"] == 3


def test_most_keeps_a_place_for_the_kinematic_caption() -> None:
    texts = [f"text {k}" for k in range(9)]
    found = captions_of(Caption(most=3), tables(tuple(texts)))
    assert [c["text"] for c in found] == ["text 0", "text 1", "a person stands almost still"]
    assert [c["text"] for c in captions_of(Caption(most=1), tables(tuple(texts)))] == ["text 0"]
    assert len(captions_of(Caption(source="sidecar", most=4), tables(tuple(texts)))) == 4


def test_the_same_text_is_given_once() -> None:
    found = captions_of(Caption(), tables(("a person stands almost still", "x", "x")))
    assert [c["text"] for c in found] == ["a person stands almost still", "x"]


def test_without_any_caption_the_clip_is_dropped() -> None:
    unseen = standing()
    unseen[:, :17, 2] = 0
    assert captions_of(Caption(), tables(m2d=unseen)) == []


def test_kinematic_captions_need_no_other_table() -> None:
    found = tables()
    list(Caption(source="kinematic").items(found))
    assert found.asked == ["keypoints"]
    assert set(Caption(source="kinematic").identity(found)) == {
        "source", "most", "keypoints", "rules",
    }  # fmt: skip


def test_identity_names_the_tables_that_decide() -> None:
    found = Caption().identity(tables())
    assert found["keypoints"] == "fingerprint of keypoints"
    assert Caption(several_shots=True).identity(tables()) != found
    assert Caption(most=2).identity(tables()) != found


def test_new_texts_are_a_new_stamp_of_their_clips() -> None:
    stamps = {
        texts: next(Caption().ids(tables(texts)))[1] for texts in [(), ("a",), ("b",), ("a", "b")]
    }
    assert stamps[()] is None
    assert len(set(stamps.values())) == 4
    (item,) = Caption().items(tables(("a",)))
    assert item.stamp == stamps[("a",)]
    assert list(Caption(source="kinematic").ids(tables(("a",)))) == [("c", None)]


def test_a_text_of_a_range_goes_to_the_clips_inside_it() -> None:
    found = tables()
    text = {"text": "someone waits", "source": "sidecar", "detail": "{}"}
    other = {"text": "someone runs", "source": "sidecar", "detail": "{}"}
    found.tables["videos"][0]["ranges"] = [
        {"start_s": 1.5, "end_s": 5.5, "captions": [text]},
        {"start_s": 3.0, "end_s": 8.0, "captions": [other]},
    ]
    found.tables["scans"][0]["shots"] = [
        {"t0_s": 1.5, "t1_s": 5.5, "range": 0},
        {"t0_s": 3.0, "t1_s": 8.0, "range": 1},
    ]
    (caption,) = captions_of(Caption(source="sidecar"), found)
    assert caption["text"] == "someone waits"
    assert json.loads(caption["detail"]) == {
        "of": "range", "start_s": 1.5, "end_s": 5.5, "clip_share": 0.5, "shots": 1,
    }  # fmt: skip


@pytest.mark.parametrize("wrong", [{"source": "magic"}, {"most": 0}])
def test_wrong_parameters_are_told_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Caption(**wrong)
