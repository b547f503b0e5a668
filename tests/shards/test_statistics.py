from __future__ import annotations

import numpy as np
import pytest

from motionkit.keypoints import INDEX
from motionkit.shards.build import build_shards
from motionkit.shards.card import data_card
from motionkit.shards.reader import open_shards
from motionkit.shards.statistics import Totals


def person(frames: int = 60, *, facing: float = 1.0) -> np.ndarray:
    """M_2D of somebody who stands, sees us (1) or not (-1), and whose right wrist moves 3 pixels
    a frame."""
    m2d = np.full((frames, 18, 3), 0.9, np.float32)
    m2d[:, :17, :2] = (300, 100)
    for name, (x, y) in {
        "left_shoulder": (30, 50),
        "right_shoulder": (-30, 50),
        "left_hip": (25, 130),
        "right_hip": (-25, 130),
    }.items():
        m2d[:, INDEX[name], :2] += (facing * x, y)
    m2d[:, INDEX["right_wrist"], 0] += 3 * np.arange(frames)
    m2d[:, 17] = (640, 360, 1)
    return m2d.ravel()


def row(split="train", seconds=2.0, texts=("A man walks.",), **changes):
    """A sample as the builder counts it."""
    frames = int(seconds * 30)
    return {
        "split": split,
        "kind": "person",
        "video_id": "v",
        "group_id": "v",
        "fps": 30.0,
        "frames": frames,
        "licence": None,
        "models": ["mediapipe"],
        "captions": [{"text": text, "source": "sidecar"} for text in texts],
        "m2d": person(frames),
        **changes,
    }


def test_numbers_are_those_of_the_samples():
    totals = Totals()
    totals.add(row())
    totals.add(row("test", 4.0, ("The man runs", "a MAN who runs, and 2 dogs"), video_id="w"))
    totals.add(row(seconds=2.0, m2d=person(60, facing=-1), texts=()))
    found = totals.statistics()
    assert (found["clips"], found["captions"]) == (3, 3)
    assert found["unique_words"] == 8  # a man walks the runs who and dogs
    assert found["words_per_caption"] == pytest.approx((3 + 3 + 6) / 3)
    assert found["hours"] == pytest.approx(8 / 3600)
    assert (found["frames"], found["mean_clip_s"]) == (240, pytest.approx(8 / 3))
    assert found["viewpoints"] == {"front": 0.75, "left": 0, "right": 0, "back": 0.25}
    assert found["speed_px"]["right_wrist"] == pytest.approx(3)
    assert found["speed_px"]["left_wrist"] == 0
    assert {k: v for k, v in found["lengths"].items() if v} == {"2 to 3 s": 2, "4 to 5 s": 1}
    assert totals.of_split("test")["videos"] == 1 and totals.of_all()["videos"] == 2


def test_a_keypoint_that_is_never_seen_has_no_speed():
    unseen = person()
    unseen.reshape(-1, 18, 3)[:, INDEX["nose"], 2] = 0.1
    totals = Totals()
    totals.add(row(m2d=unseen))
    assert totals.statistics()["speed_px"]["nose"] is None


def test_an_object_without_a_rate_counts_its_span():
    totals = Totals()
    totals.add(row(kind="object", m2d=None, fps=None, t0_s=1.0, t1_s=3.5, models=[]))
    found = totals.statistics()
    assert found["mean_clip_s"] == 2.5
    assert found["viewpoints"]["front"] is None
    assert totals.of_all()["objects"] == 1


def test_the_card_prints_the_numbers_and_what_was_dropped(tmp_path, make_tables):
    tables = make_tables()
    candidates = tables.tables["verdicts"][0]["candidates"]
    candidates.append({**candidates[0], "clip_id": "x", "outcome": "dropped", "reason": "too-fast"})
    tables.tables["verdicts"].append(
        {"item_id": "s", "candidates": None, "outcome": "dropped", "reason": "no-person"}
    )
    tables.tables["keypoints"].append(
        {"clip_id": "y", "outcome": "dropped", "reason": "keypoints-missing"}
    )
    manifest = open_shards(build_shards(tables, tmp_path / "s").path).manifest
    assert manifest["dropped"] == {
        "filter": {"no-person": 1, "too-fast": 1},
        "pose": {"keypoints-missing": 1},
    }
    card = data_card(manifest)
    assert "| captions / unique words / mean words a caption | 18 / 1 / 1.00 |" in card
    assert "| hours / frames / mean clip length | 0.01 h / 1,080 / 2.00 s |" in card
    assert "| filter | too-fast | 1 |" in card and "| pose | keypoints-missing | 1 |" in card
    assert "| not stated | 9 | not known |" in card and "| CC BY 4.0 | 9 | allowed |" in card
    assert "| lucas-kanade | Apache-2.0 (motionkit's own, on OpenCV) | allowed |" in card
