"""A MeViS folder to a trained Lang2Motion and its report: with a CLIP of random weights, overlays
drawn and encoded once, and the same command again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("safetensors")
pytest.importorskip("PIL")

from motionkit.errors import UsageError
from motionkit.pipeline import run_recipe
from motionkit.recipes import load_recipe
from motionkit.shards.overlays import FOLDER
from motionkit.shards.reader import open_shards
from motionkit.training.lang2motion import load_lang2motion
from motionkit.trajectories import (
    Lang2MotionEvaluation,
    evaluate_lang2motion,
    export_overlays,
)
from motionkit.workspace import Workspace
from tests.backends.random_models import save_clip
from tests.video.mevis_tree import write_split

SETTINGS = [
    "track.grid=3",
    "track.frames=6",
    "overlays.encoder=clip:random/clip",
    "engine.workers=1",
    "train.lang2motion.encoder=clip:random/clip",
    "train.lang2motion.steps=3",
    "train.lang2motion.batch=4",
    "train.lang2motion.min_frames=3",
    "train.lang2motion.pictures=on",
    "train.lang2motion.picture_every=0",
    "train.lang2motion.model.grid=3",
    "train.lang2motion.model.frames=6",
    "train.lang2motion.model.encoder.width=16",
    "train.lang2motion.model.decoder.hidden=16",
]


def test_from_a_mevis_folder_to_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_clip(tmp_path / "models")
    monkeypatch.setenv("MOTIONKIT_MODELS", str(tmp_path / "models"))
    write_split(tmp_path / "mevis", "train", ("walk", "turn"))
    write_split(tmp_path / "mevis", "valid_u", ("jump",))
    workspace = Workspace.create(tmp_path / "ws")
    recipe = load_recipe("mevis", SETTINGS)
    results = run_recipe(workspace, recipe, [str(tmp_path / "mevis")])
    done = {result.step: result for result in results}
    trained = done["train.lang2motion"]
    assert not any(result.failed for result in results)
    shards = open_shards(workspace.path / "shards")
    usable = [s for s in shards.samples("train") if s.tracks is not None]
    left = trained.summary["left_out"]
    assert 0 < trained.summary["pairs"] == len(usable) - left.get("too-short", 0), left
    assert trained.summary["steps"] == 3
    tracked = sum(1 for _ in workspace.rows("tracks", []))
    assert trained.summary["pictures"].startswith(f"on: features of {tracked} samples")
    assert "image" in trained.summary["last"]
    model, facts = load_lang2motion(tmp_path / "ws" / "models" / "lang2motion")
    assert model.config.image == model.config.features == 24
    path = tmp_path / "ws" / "models" / "lang2motion" / "evaluation-test.json"
    report = json.loads(path.read_text())
    assert report["items"] > 0 and report["pictures"] == facts["pictures"]
    assert {"model", "static", "mean motion", "nearest text", "random"} < set(report["generation"])
    line = done["evaluate.lang2motion"].line
    assert "chance" in line and "static" in line and "640×360" in line

    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "ws" / FOLDER).rglob("part-*")}
    assert before
    again = {r.step: r for r in run_recipe(workspace, recipe, [str(tmp_path / "mevis")])}
    assert again["overlays"].line.startswith("nothing new")
    assert again["train.lang2motion"].summary["steps"] == 3
    export_overlays(workspace)
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "ws" / FOLDER).rglob("part-*")}


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "ws")
    assert export_overlays(workspace) is None
    with pytest.raises(UsageError, match="there is no model at"):
        evaluate_lang2motion(workspace.path, Lang2MotionEvaluation())
    with pytest.raises(UsageError, match="has no pixels"):
        Lang2MotionEvaluation(frame_width=0)
