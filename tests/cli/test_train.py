from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

from motionkit.cli.app import run
from motionkit.training.interrupt import Interrupted


def test_a_stopped_training_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*args: Any, **kwargs: Any) -> None:
        raise Interrupted("interrupted; saved after step 7 of text in X; run it again.")

    monkeypatch.setattr("motionkit.motions.train_k2m", stopped)
    words = ["-w", str(tmp_path / "w"), "train", "k2m", "--shards", str(tmp_path)]
    assert run(words) == 1
    assert "saved after step 7 of text" in capsys.readouterr().err


def test_any_interruption_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("motionkit.motions.train_k2m", stopped)
    assert run(["-w", str(tmp_path / "w"), "train", "k2m", "--shards", str(tmp_path)]) == 1
    assert "what is finished is kept" in capsys.readouterr().err


def test_options_become_the_configuration_and_the_estimate_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = []

    def estimate(workspace: Any, config: Any, *, shards: Path | None) -> Any:
        seen.append(config)
        return SimpleNamespace(as_dict=lambda: {"seconds": 3}, lines=lambda: ["3 s"])

    monkeypatch.setattr("motionkit.motions.estimate_k2m", estimate)
    options = ["--estimate", "--devices", "2", "--device", "cpu", "--precision", "bf16"]
    words = ["-w", str(tmp_path / "w"), "train", "k2m", "--shards", str(tmp_path), *options]
    assert run([*words, "--json"]) == 0
    assert '"seconds": 3' in capsys.readouterr().out
    assert (seen[0].devices, seen[0].device, seen[0].precision) == (2, "cpu", "bf16")
    assert run([*words, "--set", "ema=2"]) == 2  # an unknown key, of the tokenizer's table
