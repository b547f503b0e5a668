"""`motionkit release`, `rebuild`, `export` and `import`, as people call them."""

import json
from pathlib import Path

import pytest

from motionkit.cli.app import run
from tests.exchange.sets import make_set, person
from tests.exchange.worlds import film_file, make_shards, make_workspace, video_row


def call(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> str:
    assert run([*map(str, words), "--quiet"]) == code
    printed = capsys.readouterr()
    return printed.out if code == 0 else printed.out + printed.err


def test_release_and_rebuild(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    videos = [video_row(film_file(tmp_path / "films" / "a.mp4", 1))]
    workspace = make_workspace(tmp_path / "ws", videos)
    make_shards(workspace.path / "shards", videos, "/home/alice")
    place = ("--workspace", workspace.path)
    printed = call(capsys, "release", "--out", tmp_path / "pack", *place)
    assert printed.startswith("2 clips of 1 videos")
    assert "1 videos (2 clips) have no address" in printed
    out, films = tmp_path / "out", tmp_path / "films"
    made = call(capsys, "rebuild", tmp_path / "pack", "--out", out, "--videos", films,
                "--pixels", "clips", "--workers", 1, "--json")  # fmt: skip
    found = json.loads(made)
    assert (found["videos"], found["clips"], found["usable"]) == ({"ok": 1}, {"ok": 2}, 1)
    assert Path(found["report"]).is_file()
    printed = call(capsys, "rebuild", tmp_path / "pack", "--out", tmp_path / "o2", code=1)
    assert "videos: 1 no-address" in printed


def test_export_and_import(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shards = make_set(tmp_path / "set", [person(1), person(2)])
    given = ("export", "--format", "webdataset", "--shards", shards, "--out", tmp_path / "wds")
    assert "train: 2 samples, 1 files" in call(capsys, *given)
    back = ("import", tmp_path / "wds", "--format", "webdataset", "--out", tmp_path / "back")
    assert json.loads(call(capsys, *back, "--json"))["samples"] == {"train": 2, "val": 0, "test": 0}
    printed = call(capsys, "export", "--format", "x", "--shards", shards, "--out", "y", code=2)
    assert "choose from: coco, webdataset, humanml3d, hf" in printed
    printed = call(capsys, "import", tmp_path / "set", "--format", "amass", "--out", "y", code=2)
    assert "holds no .npz file" in printed
