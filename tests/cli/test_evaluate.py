"""Where `motionkit evaluate lang2motion` leaves its report."""

from pathlib import Path
from typing import Any

import pytest

from motionkit.cli.app import run


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Path | None]:
    seen: list[Path | None] = []

    def evaluate(*args: Any, out: Path | None, **kwargs: Any) -> tuple[dict[str, Any], list[str]]:
        seen.append(out)
        return {}, ["R@1 50 %"]

    monkeypatch.setattr("motionkit.trajectories.evaluate_lang2motion", evaluate)
    return seen


def test_the_report_lies_where_the_page_looks(
    tmp_path: Path, written: list[Path | None], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-w", str(tmp_path / "w"), "evaluate", "lang2motion"]
    assert run([*words, "--split", "val"]) == 0
    path = tmp_path / "w" / "models" / "lang2motion" / "evaluation-val.json"
    assert written == [path] and f"report: {path}" in capsys.readouterr().out.replace("\n", "")


def test_another_place_and_other_models_leave_it_alone(
    tmp_path: Path, written: list[Path | None]
) -> None:
    words = ["-w", str(tmp_path / "w"), "evaluate", "lang2motion"]
    assert run([*words, "--out", str(tmp_path / "a.json")]) == 0
    assert run([*words, "--model", str(tmp_path)]) == 0
    assert run([*words, "--shards", str(tmp_path)]) == 0
    assert written == [tmp_path / "a.json", None, None]
