"""The command line: help, wrong usage, exit codes, and errors that say what to do."""

import json
from pathlib import Path

import pytest

from motionkit.cli.app import hoist, run

COMMANDS = [
    ["ingest"], ["scan"], ["detect"], ["filter"], ["pose"], ["track"], ["caption"],
    ["build-shards"], ["train", "k2m"], ["generate", "k2m"], ["report"], ["run"], ["synth"],
    ["plan"], ["demo"], ["status"], ["failures"], ["retry"], ["query"], ["duplicates"], ["doctor"],
]  # fmt: skip
#: Commands that read a workspace, with what else they need to be right.
READERS = [
    ["scan"], ["detect"], ["filter"], ["pose"], ["track"], ["caption"], ["build-shards"],
    ["train", "k2m"], ["generate", "k2m", "a person walks"], ["report"], ["status"],
    ["failures"], ["retry"], ["query", "SELECT 1"], ["duplicates"],
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_a_purpose_an_example_and_exit_codes(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"Example: motionkit {' '.join(command)}" in text
    assert "Exit codes: 0 " in text


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_wrong_option_is_named_and_exits_with_2(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--frobnicate"]) == 2
    error = capsys.readouterr().err
    assert "--frobnicate" in error
    assert f"motionkit {' '.join(command)} --help" in error
    assert len(error.splitlines()) <= 3


@pytest.mark.parametrize("command", READERS, ids=lambda c: c[0])
def test_without_a_workspace_the_first_step_is_named(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "-w", str(tmp_path / "none")]) == 2
    error = capsys.readouterr().err
    assert "no motionkit workspace" in error
    assert "motionkit ingest" in error
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("command", ["scan", "detect", "filter", "pose", "track", "caption"])
def test_in_an_empty_workspace_the_missing_step_is_named(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from motionkit.workspace import Workspace

    Workspace.create(tmp_path)
    assert run([command, "-w", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "run first: motionkit" in error
    assert "Traceback" not in error


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "no-such.mp4"
    assert run(["ingest", str(missing), "-w", str(tmp_path / "ws")]) == 2
    assert "no-such.mp4" in capsys.readouterr().err


def test_an_unknown_parameter_names_its_neighbour(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["ingest", "nowhere", "-w", str(tmp_path)])
    capsys.readouterr()
    assert run(["track", "--set", "grids=3", "-w", str(tmp_path)]) == 2
    assert "did you mean 'grid'" in capsys.readouterr().err


def test_global_options_may_stand_anywhere() -> None:
    words = ["query", "SELECT 1", "--json", "-w", "here", "--", "--json"]
    assert hoist(words) == ["--json", "-w", "here", "query", "SELECT 1", "--", "--json"]


def test_json_errors_are_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--json", "-w", str(tmp_path / "none")]) == 2
    assert "no motionkit workspace" in json.loads(capsys.readouterr().out)["error"]


def test_no_command_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "build-shards" in capsys.readouterr().out


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    import motionkit

    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"motionkit {motionkit.__version__}\n"
