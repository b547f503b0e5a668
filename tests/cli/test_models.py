"""motionkit models: list, fetch, path, verify."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from motionkit.cli.app import run
from tests.weights.hub_server import Hub, serve
from tests.weights.test_fetch import REPO, SPEC, TENSORS


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    made = Hub()
    made.repos[REPO] = {"config.json": b"{}", "model.safetensors": TENSORS}
    with serve(made):
        monkeypatch.setenv("HF_ENDPOINT", made.url)
        monkeypatch.setenv("MOTIONKIT_MODELS", str(tmp_path / "models"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setattr("motionkit.weights.hub.has_library", lambda: False)
        yield made


def answer(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict:
    assert run(["models", *words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_fetch_list_path_and_verify(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    made = answer(capsys, "fetch", SPEC)["models"]
    assert [(m["spec"], m["fetched"]) for m in made] == [(SPEC, True)]
    assert made[0]["meaning"]
    listed = answer(capsys, "list", "--present")["models"]
    assert [(m["spec"], m["state"]) for m in listed] == [(SPEC, "present")]
    where = answer(capsys, "path", SPEC)
    assert where["exists"] and where["path"] == made[0]["path"]
    (checked,) = answer(capsys, "verify")["models"]
    assert checked["ok"] and checked["source"].endswith("4567")
    (Path(where["path"]) / "config.json").write_text("[]")
    (wrong,) = answer(capsys, "verify", code=1)["models"]
    assert not wrong["ok"] and "config.json" in wrong["problem"]


def test_a_recipe_says_what_to_fetch(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(f'[detect]\nbackend = "mediapipe"\n[pose]\nbackend = "{SPEC}"\n')
    made = answer(capsys, "fetch", "--for", str(recipe))
    assert [m["spec"] for m in made["models"]] == [SPEC]
    recipe.write_text('[detect]\nbackend = "mediapipe"\n')
    assert answer(capsys, "fetch", "--for", str(recipe))["models"] == []


def test_one_that_fails_does_not_stop_the_others(
    hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models", "fetch", "vitpose:some-lab/nothing", SPEC]) == 1
    out = capsys.readouterr()
    assert f"{SPEC}: fetched" in out.out
    assert "404" in out.err


def test_fetch_wants_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "fetch"]) == 2
    assert run(["models", "verify", "--accept"]) == 2
