"""`motionkit export k2m`, as people call it; the graphs themselves: tests/generation."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from motionkit.cli.app import run  # noqa: E402
from motionkit.generation.export import Exported, ExportedGraph  # noqa: E402
from tests.exchange.sets import make_set, person  # noqa: E402


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Calls of the library, which does nothing."""
    calls: list[tuple[object, ...]] = []

    def make(model: Path, out: Path, *, form: str, tolerance: float, progress: object) -> Exported:
        calls.append((model, out, form, tolerance))
        graph = ExportedGraph("prior", "prior.onnx", ("text",), ("length_logits",), 2e-7, ((1, 2),))
        return Exported(out, form, (graph,), tolerance, 1_500_000)

    monkeypatch.setattr("motionkit.generation.export.export_k2m", make)
    return calls


def test_the_workspaces_model_is_exported_and_the_difference_printed(
    exported: list[tuple[object, ...]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "ws" / "models" / "k2m"
    model.mkdir(parents=True)
    words = ["export", "k2m", "--out", str(tmp_path / "out"), "-w", str(tmp_path / "ws")]
    assert run([*words, "--format", "torch"]) == 0
    printed = capsys.readouterr().out
    assert "prior.onnx" in printed
    assert "2e-07" in printed
    assert "1.5 MB" in printed
    assert exported == [(model, tmp_path / "out", "torch", 1e-3)]
    assert run([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["graphs"][0]["difference"] == 2e-7


def test_help_and_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "k2m", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Example: motionkit export k2m" in text
    assert "Exit codes: 0 " in text
    for words, what in (
        (["k2m", "--out", "x", "-w", str(tmp_path)], "motionkit train k2m"),
        (["--format", "coco"], "--out"),
        (["--out", "x"], "--format"),
        (["--format", "coco", "k2m", "--out", "x"], "motionkit export k2m --help"),
        (["k2m"], "--out"),
    ):
        assert run(["export", *words]) == 2
        assert what in capsys.readouterr().err


def test_shard_sets_are_exported_as_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_set(tmp_path / "set", [person(1)])
    place = ["--shards", str(tmp_path / "set"), "--out", str(tmp_path / "coco")]
    assert run(["export", "--format", "coco", *place]) == 0
    assert "1 clips" in capsys.readouterr().out
