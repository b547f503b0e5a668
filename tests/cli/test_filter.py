"""`motionkit filter`: run, try, sweep, explain."""

import json
from pathlib import Path

import pytest

from motionkit.cli.app import run
from tests.stages.shots import Shot, workspace_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    moved, small = Shot(8.0), Shot(4.0, size=100)
    moved.camera[100:130] = 0.0047
    return workspace_of(tmp_path / "ws", {"pan": [moved, small], "good": [Shot(5.0)]}).path


def call(folder: Path, *arguments: str) -> int:
    return run(["filter", *arguments, "-w", str(folder), "--quiet"])


def test_a_dry_run_is_what_the_run_then_does(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(folder, "--set", "camera.max=0.01", "--dry-run", "--json") == 0
    tried = json.loads(capsys.readouterr().out)
    assert not (folder / "tables" / "verdicts").exists()
    assert tried["changes"] == {"camera_max": {"today": 0.001, "changed": 0.01}}
    kept = tried["verdicts"][0]
    assert (kept["verdict"], kept["stretches"], kept["changed_stretches"]) == ("kept", 3, 2)
    assert call(folder, "--set", "camera.max=0.01", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["verdicts"]
    assert {r["verdict"]: r["stretches"] for r in rows} == {"kept": 2, "too-small": 1}


def test_today_is_what_the_workspace_used_last(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(folder, "--set", "box_height.min=0.2") == 0
    capsys.readouterr()
    assert call(folder, "--sweep", "box_height.min=0.1,0.2,0.3", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["changes"] == {}
    assert [(s["value"], s["clips"]) for s in found["sweeps"]] == [(0.1, 4), (0.2, 4), (0.3, 3)]


def test_what_is_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change = ["--set", "camera.max=0.01", "--set", "box_height.min=0.2"]
    assert call(folder, "--dry-run", *change, "--sweep", "camera.max") == 0
    text = capsys.readouterr().out
    assert "3 shots judged again, nothing written: camera_max 0.001 → 0.01" in text
    assert "each change by itself keeps:" in text
    assert "other values keep (with the change):" in text
    (kept,) = [line for line in text.splitlines() if line.startswith("kept")]
    assert kept.split()[1::2][:2] == ["3", "3"]


def test_an_explanation_is_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(folder) == 0
    capsys.readouterr()
    assert call(folder, "--explain", "pan.mp4@4") == 0
    text = capsys.readouterr().out
    assert "moment pan.mp4@4: dropped by filter: camera-moving, 0.0047" in text
    assert "--set camera_max=0.0047" in text
    (line,) = [line for line in text.splitlines() if line.startswith("camera-moving")]
    assert "FAILS" in line and "3.4" in line
    assert call(folder, "--explain", "pan") == 0
    assert "2 shots, 4 stretches judged, 2 clips kept" in capsys.readouterr().out
    assert call(folder, "--explain", "good", "--json") == 0
    assert json.loads(capsys.readouterr().out)["candidates"][0]["outcome"] == "kept"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "camera.maxi=1"], "did you mean 'camera.max'"),
        (["--sweep", "nothing"], "no threshold 'nothing'"),
        (["--explain", "nothing"], "nothing in"),
        (["--explain", "good", "--dry-run"], "leave out the others"),
        (["--set", "camera.max=fast"], "camera_max"),
    ],
)
def test_wrong_usage(
    folder: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(folder, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
