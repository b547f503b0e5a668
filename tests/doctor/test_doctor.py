"""The whole examination, its decoders, imports and models."""

import json
from pathlib import Path

import pytest

from motionkit.cli.app import run
from motionkit.doctor import child, decoders, imports, models
from motionkit.doctor.finding import Finding
from motionkit.weights.known import ModelState


def test_the_whole_examination_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOTIONKIT_MODELS", str(tmp_path / "models"))
    code = run(["-w", str(tmp_path / "ws"), "doctor", "--json"])
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert code == int(any(row["state"] == "wrong" for row in found.values()))
    assert found["decoder PyAV"]["state"] == "ok"
    assert "av1" in found["decoder PyAV"]["found"]
    assert found["imports"]["state"] == "ok"
    assert found["models"]["state"] == "absent"
    assert {row["state"] for row in found.values()} <= {"ok", "absent", "wrong"}
    assert all(row["cure"] for row in found.values() if row["state"] == "wrong")
    assert list(tmp_path.iterdir()) == []  # it changes nothing


def test_something_wrong_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import motionkit.doctor

    monkeypatch.setattr(
        motionkit.doctor, "examine", lambda place: [Finding("disk", "wrong", "full", "buy one")]
    )
    with pytest.raises(SystemExit) as stop:
        run(["-w", str(tmp_path), "doctor"])
    assert stop.value.code == 1
    assert capsys.readouterr().out == "!!  disk: full\n      buy one\n"


def test_decoders_are_judged_by_what_they_read() -> None:
    fine = {"version": "1", "codecs": {"h264": "ok", "av1": "ok"}}
    pyav, decord = decoders.findings(fine, {"absent": True})
    assert (pyav.state, decord.state) == ("ok", "absent")
    bad = {"version": "1", "codecs": {"h264": "ok", "av1": "0 of 5 pictures"}}
    pyav, decord = decoders.findings(bad, bad)
    assert (pyav.state, decord.state) == ("wrong", "ok")
    assert "av1: PyAV" in decord.found
    pyav, decord = decoders.findings({"died": "ended by signal SIGILL"}, {"died": "SIGSEGV"})
    assert (pyav.state, decord.state) == ("wrong", "wrong")
    assert "SIGILL" in pyav.found


def test_a_package_that_does_not_load_is_named() -> None:
    found = imports.findings(child.start(imports.__name__, "json", "no_such_module").answer())
    assert [(f.name, f.state) for f in found] == [("import no_such_module", "wrong")]
    assert "ModuleNotFoundError" in found[0].found


def state(spec: str, what: str, problem: str | None = None) -> ModelState:
    return ModelState(spec, "pose", what, 100, "Apache-2.0", "", "", "", Path(), "ab", problem)


def test_models_that_are_there_are_listed_and_broken_ones_wrong() -> None:
    found = models.judged(
        [state("a:x", "present"), state("a:y", "broken", "no weights"), state("a:z", "absent")]
    )
    assert [(f.name, f.state) for f in found] == [
        ("model a:x", "ok"), ("model a:y", "wrong"), ("further models", "absent"),
    ]  # fmt: skip
    assert "motionkit models verify a:y" in found[1].cure
