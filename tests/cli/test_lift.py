"""`motionkit lift`, as people call it."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)
pytest.importorskip("safetensors")

from motionkit.cli.app import run  # noqa: E402
from tests.generation.lift_models import person, tiny_checkpoint  # noqa: E402


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("model"))


def call(*words: object) -> int:
    return run(["lift", *map(str, words), "--quiet"])


def test_a_file_of_keypoints_needs_no_workspace(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "walk.json"
    path.write_text(json.dumps(person(20)[:, :17].reshape(20, 51).tolist()))
    place = ("-w", tmp_path / "none", "--model", model, "--out", tmp_path / "out")
    assert call(path, "--size", "640x360", "--fps", "30", "--format", "npz,bvh", *place) == 0
    printed = capsys.readouterr().out
    assert "1 of 1 clips" in printed
    assert "error %" in printed
    files = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert files == ["walk.bvh", "walk.lift.json", "walk.npz"]
    assert not (tmp_path / "none").exists()


def test_failed_clips_are_listed_at_the_end_and_exit_with_1(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "good.npz", m2d=person(20))
    np.savez(tmp_path / "short.npz", m2d=person(3))
    names = tmp_path / "short.npz", tmp_path / "good.npz"
    place = ("--model", model, "--out", tmp_path / "out", "--format", "npz")
    assert call(*names, *place) == 1
    assert "failed: clip-too-short: short: 3 frames" in capsys.readouterr().out
    assert call(*names, *place, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["failed"] == 1
    assert [c["outcome"] for c in found["clips"]] == ["failed", "done-before"]
    assert found["clips"][1]["error_percent"] > 0


def test_wrong_use_exits_with_2_and_says_what_to_do(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "a.npz", m2d=person(20))
    for words, what in (
        (["v.mp4"], "motionkit run people --source v.mp4"),
        ([tmp_path / "a.npz", "-w", tmp_path / "none"], "motionkit train k2m"),
        ([tmp_path / "a.npz", "--model", model, "--size", "big"], "--size 1280x720"),
        ([tmp_path / "a.npz", "--model", model, "--format", "fbx"], "choose from: npz"),
        (["some-id", "--model", model, "-w", tmp_path / "none"], "motionkit ingest"),
        (["--model", model], "--all"),
    ):
        assert call(*words) == 2
        assert what in capsys.readouterr().err
