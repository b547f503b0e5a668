"""The report on a split: every number beside its baselines, and the baselines are right."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from motionkit.errors import UsageError  # noqa: E402
from motionkit.evaluation.lang2motion import evaluate_lang2motion, lines_of, measure  # noqa: E402
from motionkit.metrics.trajectories import ade  # noqa: E402
from motionkit.models.lang2motion.model import Lang2Motion  # noqa: E402
from motionkit.shards.reader import open_shards  # noqa: E402
from motionkit.training.lang2motion import sizes_for, train_lang2motion  # noqa: E402
from motionkit.training.lang2motion_config import small  # noqa: E402
from motionkit.training.lang2motion_data import TrackData, load_items, prepare  # noqa: E402
from tests.training import lines  # noqa: E402

SIZES = {
    "grid": 3,
    "frames": 8,
    "encoder": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 32},
    "decoder": {"hidden": 32},
    "reader": {"kind": "mlp", "hidden": 32, "dropout": 0.1},
}


@pytest.fixture(autouse=True)
def _words(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = lines.DirectionWords()
    monkeypatch.setattr("motionkit.backends.text_encoder.text_encoder", lambda name: encoder)


def data(folder: Path, count: int, first: int = 0) -> TrackData:
    opened = open_shards(lines.shards(folder, count=count, first=first))
    return prepare(load_items(opened.samples("train"), grid=3, frames=8)[0], 3,
                   lines.DirectionWords())  # fmt: skip


@pytest.fixture
def report(tmp_path: Path) -> dict[str, Any]:
    torch.manual_seed(0)
    config = replace(small(), encoder="minilm", model=SIZES)
    model = Lang2Motion(sizes_for(config, lines.DirectionWords())[0])
    held, train = data(tmp_path / "a", 8, first=100), data(tmp_path / "b", 12)
    return measure(model, held, train, frame_size=(640, 360))


def test_every_baseline_stands_beside_the_model(report: dict[str, Any]) -> None:
    assert set(report["generation"]) == {
        "model", "static", "mean motion", "nearest text", "random", "teacher forcing",
    }  # fmt: skip
    assert (report["items"], report["sentences"], report["train_items"]) == (8, 16, 12)
    forth = report["retrieval"]["model"]["text_to_trajectory"]
    assert (forth["queries"], forth["gallery"]) == (16, 8)
    # two items of each direction; half of the sentences are said of both (three wordings)
    assert 1 <= forth["relevant"] <= 2 and 1 / 8 <= forth["chance"]["1"] <= 2 / 8
    assert report["retrieval"]["model"]["trajectory_to_text"]["queries"] == 8
    json.dumps(report)


def test_the_baselines_have_the_errors_that_lines_give(report: dict[str, Any]) -> None:
    rows = report["generation"]
    # a line of 12 px a frame: mean of 12, 24 … 84; the mean of four directions is no motion
    assert rows["static"]["ade_px"] == pytest.approx(48, abs=0.1)
    assert rows["static"]["fde_px"] == pytest.approx(84, abs=0.1)
    assert rows["mean motion"]["ade_px"] == pytest.approx(48, abs=0.2)
    assert rows["nearest text"]["ade_px"] == pytest.approx(0, abs=0.2)
    assert 20 < rows["random"]["ade_px"] < 90
    assert rows["static"]["smoothness"] == 1 and rows["static"]["occlusion_accuracy"] == 1
    assert rows["nearest text"]["average_jaccard"] == pytest.approx(1)
    assert report["retrieval"]["nearest text"]["text_to_trajectory"]["at"]["3"] == 1


def test_the_lines_for_people_name_what_they_must(report: dict[str, Any]) -> None:
    text = "\n".join(lines_of(report))
    for word in ("chance", "static", "nearest text", "640×360", "TAP-Vid", "16 queries", "R@10"):
        assert word in text


def test_from_shards_and_a_checkpoint(tmp_path: Path) -> None:
    shards = lines.shards(tmp_path / "shards", count=8)
    config = replace(small(), encoder="minilm", model=SIZES, steps=2, batch=4)
    train_lang2motion(config, shards=shards, out=tmp_path / "model")
    found = evaluate_lang2motion(tmp_path / "model", shards, split="train", ks=(1, 2))
    assert found["split"] == "train" and found["pictures"].startswith("off: ")
    assert set(found["retrieval"]["model"]["text_to_trajectory"]["at"]) == {"1", "2"}
    assert found["generation"]["nearest text"]["ade"] == pytest.approx(0, abs=1e-6)
    again = evaluate_lang2motion(tmp_path / "model", shards, split="train", ks=(1, 2))
    assert found == again
    with pytest.raises(UsageError, match="the split test has no trajectory"):
        evaluate_lang2motion(tmp_path / "model", shards)


def test_another_text_encoder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = lines.shards(tmp_path / "shards", count=4)
    train_lang2motion(
        replace(small(), encoder="minilm", model=SIZES, steps=1, batch=2),
        shards=shards,
        out=tmp_path / "model",
    )
    monkeypatch.setattr(lines.DirectionWords, "identity", lambda self: {"name": "others"})
    with pytest.raises(UsageError, match="was trained with"):
        evaluate_lang2motion(tmp_path / "model", shards, split="train")


def test_without_training_items_the_lending_baselines_are_absent(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Lang2Motion(
        sizes_for(replace(small(), encoder="minilm", model=SIZES), lines.DirectionWords())[0]
    )
    held = data(tmp_path / "a", 4)
    nothing = prepare([], 3, lines.DirectionWords())
    found = measure(model, held, nothing)
    assert set(found["generation"]) == {"model", "static", "teacher forcing"}
    assert np.isfinite(found["generation"]["model"]["ade"])


def test_the_nearest_sentence_is_looked_for_in_the_features_given(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = replace(small(), encoder="minilm", model=SIZES)
    model = Lang2Motion(sizes_for(config, lines.DirectionWords())[0])
    held, train = data(tmp_path / "a", 8, first=100), data(tmp_path / "b", 12)

    def alike(texts: list[str]) -> np.ndarray:  # the first of all training sentences is nearest
        return np.ones((len(texts), 2), np.float32)

    found = measure(model, held, train, like=alike)["generation"]["nearest text"]
    true = np.stack([held.items[i].points for i in held.own_texts()[2]])
    seen = np.stack([held.items[i].visible for i in held.own_texts()[2]])
    lent = train.items[int(train.own_texts()[2][0])].points
    moved = true[:, :1] + (lent - lent[:1])
    assert found["ade"] == pytest.approx(ade(moved, true, seen), abs=1e-5)
    assert found["ade"] != measure(model, held, train)["generation"]["nearest text"]["ade"]
