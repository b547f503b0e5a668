"""`motionkit generate k2m`: options, prompt files, and exit codes."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
torch.set_num_threads(1)

from motionkit.cli.app import run  # noqa: E402
from tests.generation.tiny_model import Words, tiny_checkpoint  # noqa: E402


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("model"))


@pytest.fixture(autouse=True)
def _words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motionkit.backends.text_encoder.text_encoder", lambda name: Words())


def call(model: Path, out: Path, *words: str) -> list[str]:
    return ["generate", "k2m", *words, "--model", str(model), "--out", str(out), "--json"]


def tokens(path: str) -> np.ndarray:
    with np.load(path) as file:
        return file["tokens"]


def test_a_prompt_file_with_a_bad_line_gives_the_rest_and_exits_with_1(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = tmp_path / "prompts.csv"
    prompts.write_text("text,seconds,seed\na person walks,1,3\na person hops,soon,\n")
    words = ["--prompts", str(prompts), "--format", "npz,glb", "--samples", "2"]
    assert run(call(model, tmp_path, *words)) == 1
    made = json.loads(capsys.readouterr().out)
    assert [m["seed"] for m in made["motions"]] == [3, 4]
    for motion in made["motions"]:
        assert [Path(p).suffix for p in motion["paths"]] == [".npz", ".glb"]
        assert all(Path(p).stat().st_size > 100 for p in motion["paths"])
    assert [(f["line"], f["code"]) for f in made["failed"]] == [(3, "bad-prompt")]
    rows = (tmp_path / "generated.jsonl").read_text().splitlines()
    assert len(rows) == 3


def test_settings_of_the_sampler_are_reached_and_change_the_motion(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def made(*words: str) -> np.ndarray:
        base = ["a person walks", "--seconds", "1", "--format", "npz"]
        assert run(call(model, tmp_path, *base, *words)) == 0
        return tokens(json.loads(capsys.readouterr().out)["motions"][0]["paths"][0])

    assert (made("--set", "sampling.layers=1")[:, 1:] == -1).all()
    warm = ("--set", "sampling.temperature=1", "--set", "sampling.top_share=1.0")
    assert not np.array_equal(made(), made(*warm, "--seed", "1"))


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["x", "--set", "sampling.stepz=4"], "stepz"),
        (["x", "--set", "sampling.top_p=2"], "top_p"),
        (["x", "--set", "steps=4"], "steps"),
        ([], "give a text"),
        (["x", "--prompts", "p.txt"], "give a text"),
        (["x", "--seconds", "0"], "out of range"),
        (["x", "--seconds", "9999"], "out of range"),
        (["  "], "empty"),
        (["x", "--format", "gif"], "gif"),
        (["x", "--keep-first", "1"], "--from"),
        (["x", "--from", "a", "--between", "b", "c"], "exclude"),
        (["x", "--from", "a.mp4"], "is a video"),
        (["--prompts", "none.txt"], "cannot be read"),
        (["--prompts", "p.txt", "--seconds", "2"], "one text"),
        (["x", "--device", "cuda:77"], "cuda:77"),
    ],
)
def test_wrong_requests_are_named(
    words: list[str], problem: str, model: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert run(call(model, tmp_path, *words)) == 2
    assert problem in capsys.readouterr().err
    assert not list(tmp_path.glob("*.npz"))


def test_a_motion_is_gone_on_from_and_led_to_another(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def made(*words: str) -> str:
        assert run(call(model, tmp_path, *words, "--seconds", "1", "--format", "npz")) == 0
        return str(json.loads(capsys.readouterr().out)["motions"][0]["paths"][0])

    walk, sit = made("a person walks"), made("a person sits")
    longer = tokens(made("a person hops", "--from", walk))
    assert np.array_equal(longer[:8], tokens(walk)) and len(longer) == 16
    middle = tokens(made("a person hops", "--between", walk, sit))
    assert np.array_equal(middle[:8], tokens(walk))
    assert np.array_equal(middle[-8:], tokens(sit)) and len(middle) == 24
    both = tokens(made("a person walks", "--then", "a person sits"))
    assert len(both) == 16
    part = tokens(made("a person hops", "--from", walk, "--keep-first", "0.4"))
    assert np.array_equal(part[:3], tokens(walk)[:3])


def test_a_motion_of_another_model_is_a_wrong_request(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "other.npz", poses=np.zeros((4, 72)))
    assert run(call(model, tmp_path, "x", "--from", str(tmp_path / "other.npz"))) == 2
    assert "holds no tokens" in capsys.readouterr().err
