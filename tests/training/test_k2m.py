from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from motionkit.errors import TrainingError, UsageError  # noqa: E402
from motionkit.mirror import mirrored_text  # noqa: E402
from motionkit.training import k2m, k2m_text, k2m_tokenizer  # noqa: E402
from motionkit.training.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from motionkit.training.k2m import load_model, train_on  # noqa: E402
from motionkit.training.k2m_config import (  # noqa: E402
    K2MTrainConfig,
    TextTraining,
    TokenizerTraining,
    from_table,
)
from motionkit.training.k2m_data import (  # noqa: E402
    Clip,
    WindowSource,
    padded,
)
from motionkit.training.stage_state import rate_at  # noqa: E402
from motionkit.training.token_cache import token_cache  # noqa: E402

TINY = {
    "tokenizer": {
        "adapter": {"width": 8, "heads": 2, "patch_frames": 4},
        "quantiser": {"layers": 3, "codes": 8, "dim": 8},
        "width": 16,
        "blocks": 1,
    },
    "transformer": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 16, "max_tokens": 20},
}


class Words:
    """A text encoder for tests: features from the letters, no package needed."""

    dim = 384

    def identity(self) -> dict[str, str]:
        return {"name": "words"}

    def encode(self, texts: list[str]) -> np.ndarray:
        rows = [np.random.default_rng(list(t.encode())).normal(size=384) for t in texts]
        return np.array(rows, np.float32)


@pytest.fixture(autouse=True)
def _words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motionkit.backends.text_encoder.text_encoder", lambda name: Words())


def clips(count: int = 4, frames: int = 40) -> list[Clip]:
    rng = np.random.default_rng(0)
    y = np.array([-47, -48, -48, -46, -46, -36, -36, -20, -20, -8, -8, 0, 0, 25, 25, 50, 50.0])
    x = np.array([0, 1, -1, 3, -3, 9, -9, 11, -11, 12, -12, 6, -6, 6, -6, 6, -6.0])
    made = []
    for i in range(count):
        xy = np.stack([x, y], -1) * 2 + np.array([300, 180]) + rng.normal(0, 2, (frames, 17, 2))
        xy[:, 9, 1] -= 60 * np.abs(np.sin(np.arange(frames) / 5 + i))
        m2d = np.ones((frames, 18, 3), np.float32)
        m2d[:, :17, :2] = xy
        m2d[:, 17] = [640, 360, 1]
        made.append(Clip(f"s{i}", torch.tensor(m2d), ("a person waves the left hand",)))
    return made


def config(**changes: object) -> K2MTrainConfig:
    base = K2MTrainConfig(
        model=TINY,
        threads=1,
        log_every=1,
        save_every=3,
        val_every=4,
        tokenizer=TokenizerTraining(
            steps=8,
            batch=4,
            window=16,
            seed_codebooks=4,
            warm_up=2,
        ),
        text=TextTraining(steps=6, batch=4, warm_up=2),
    )
    base = replace(
        base, tokenizer=replace(base.tokenizer, cycle=replace(base.tokenizer.cycle, start=2))
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def run(out: Path, **changes: object) -> k2m.TrainSummary:
    data = clips()
    return train_on(config(**changes), clips=data, val=data[:1], data_hash="abc", out=out)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("stage,step", [("tokenizer", 5), ("text", 4)])
def test_a_killed_and_resumed_run_ends_with_the_same_numbers(
    stage: str, step: int, tmp_path: Path
) -> None:
    whole = run(tmp_path / "whole")

    def kill(row: dict) -> None:
        if row["stage"] == stage and row["step"] == step:
            raise Killed

    data = clips()
    with pytest.raises(Killed):
        train_on(
            config(), clips=data, val=data[:1], data_hash="abc", out=tmp_path / "cut", log=kill
        )
    assert not (tmp_path / "cut" / k2m.MODEL_FILE).exists()
    cut = run(tmp_path / "cut")
    assert whole.log.read_text() == cut.log.read_text()
    a, b = load_checkpoint(whole.model)[0], load_checkpoint(cut.model)[0]
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_the_checkpoint_carries_configuration_and_data(tmp_path: Path) -> None:
    summary = run(tmp_path)
    tokenizer, text, facts = load_model(tmp_path)
    assert facts["data"] == "abc"
    assert facts["config"]["tokenizer"]["steps"] == 8
    assert bool(tokenizer.quantiser.seeded)
    assert text.masked.codes == 8
    assert summary.steps == {"tokenizer": 8, "text": 6} and not summary.stopped_early


def test_every_pair_of_clip_and_text_is_as_likely() -> None:
    tokens = [torch.zeros(2, 3).long(), torch.zeros(7, 3).long()]
    cache = token_cache(tokens, [[0], [0, 1, 2, 3]], torch.zeros(4, 384), [0, 0])
    drawn: list[int] = []

    class Seen:
        layers = 3

        def loss(self, *args: torch.Tensor) -> torch.Tensor:
            return torch.zeros(())

    class Lengths(Seen):
        def loss(self, *args: torch.Tensor) -> torch.Tensor:
            drawn.extend((args[1] + 1).tolist())
            return torch.zeros(())

    fake = SimpleNamespace(
        longest=100, masked=Seen(), residual=Seen(), length=Lengths(), view=Seen()
    )
    stage = k2m_text.TextStage(cache, TextTraining(batch=1000, residual_every=3))
    torch.manual_seed(0)
    numbers = [
        stage.loss(fake, stage.draw(step), step)[1]  # type: ignore[arg-type]
        for step in range(3)
    ]
    assert drawn.count(2) / len(drawn) == pytest.approx(1 / 5, abs=0.03)
    assert ["residual" in row for row in numbers] == [False, False, True]


def test_another_configuration_does_not_resume(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(UsageError, match="another config"):
        run(tmp_path, seed=5)


def test_the_encoder_decides_the_size_and_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Wide(Words):
        dim = 40
        weights = "one"

        def identity(self) -> dict[str, str]:
            return {"name": "wide", "weights": self.weights}

        def encode(self, texts: list[str]) -> np.ndarray:
            asked.extend(texts)
            return super().encode(texts)[:, :40]

    monkeypatch.setattr("motionkit.backends.text_encoder.text_encoder", lambda name: Wide())
    train_on(config(), clips=clips(), val=[], data_hash="abc", out=tmp_path)
    _, _, facts = load_model(tmp_path)
    assert facts["sizes"]["transformer"]["text_dim"] == 40
    assert facts["encoder_weights"] == {"name": "wide", "weights": "one"}
    assert sorted(asked) == ["a person waves the left hand", "a person waves the right hand"]
    train_on(config(), clips=clips(), val=[], data_hash="abc", out=tmp_path)
    assert len(asked) == 2  # kept in the folder's text_features
    monkeypatch.setattr(Wide, "weights", "two")
    with pytest.raises(UsageError, match="another encoder_weights"):
        train_on(config(), clips=clips(), val=[], data_hash="abc", out=tmp_path)


def test_a_loss_that_is_not_finite_stops_before_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    whole = k2m_tokenizer.TokenizerStage.loss

    def poisoned(self, model, batch, at):  # type: ignore[no-untyped-def]
        loss, numbers = whole(self, model, batch, at)
        if at == 2:
            seen.append((model, [p.detach().clone() for p in model.parameters()]))
            loss = loss * float("nan")
        return loss, numbers

    monkeypatch.setattr(k2m_tokenizer.TokenizerStage, "loss", poisoned)
    with pytest.raises(TrainingError, match="step 2"):
        run(tmp_path)
    model, before = seen[0]
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_fewer_latents_than_codes_are_refused(tmp_path: Path) -> None:
    few = clips(1, frames=8)
    with pytest.raises(TrainingError, match="fewer than the 8 codes"):
        train_on(config(), clips=few, val=[], data_hash="x", out=tmp_path)


def test_no_time_left_is_said(tmp_path: Path) -> None:
    assert run(tmp_path, max_minutes=0.0).stopped_early


def test_tables_are_read_and_unknown_keys_refused() -> None:
    made = from_table(
        {"seed": 3, "tokenizer": {"steps": 7, "cycle": {"tilt_deg": [0, 10]}}, "model": TINY}
    )
    assert made.tokenizer.steps == 7
    assert made.tokenizer.cycle.tilt_deg == (0.0, 10.0)
    assert made.sizes().tokenizer.width == 16
    for table in ({"sed": 1}, {"tokenizer": {"step": 1}}, {"model": {"tokenizer": {"wide": 1}}}):
        with pytest.raises(UsageError, match="unknown key"):
            from_table(table)
    for table in ({"seed": "a"}, {"preset": "huge"}, {"tokenizer": 3}, {"threads": 1.5}):
        with pytest.raises(UsageError):
            from_table(table)


def test_mirrored_texts_swap_sides_only() -> None:
    text = "Left foot first, then the right; leftover counterclockwise"
    assert mirrored_text(text) == "Right foot first, then the left; leftover clockwise"


def test_windows_are_padded_and_cut_to_whole_tokens() -> None:
    data = clips(1, frames=40)
    batch, real = padded([data[0].m2d[:11], data[0].m2d[:20]], down=4)
    assert batch.shape == (2, 20, 18, 3)
    assert real.sum(1).tolist() == [8, 20]
    torch.manual_seed(0)
    drawn, _ = WindowSource(data, 16, 4, True).draw(6)
    assert drawn.shape == (6, 16, 18, 3)
    assert (drawn[:, :, 17, 0] == 640).all()


def test_the_rate_rises_and_falls() -> None:
    rates = [rate_at(s, steps=100, peak=1.0, warm_up=10, final=0.1) for s in range(101)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.1)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "k2m.safetensors").write_bytes(b"nothing")
    with pytest.raises(TrainingError, match="cannot be read"):
        load_model(tmp_path)
    save_checkpoint(tmp_path / "other.safetensors", {"x": torch.ones(1)}, {"kind": "dog"})
    with pytest.raises(TrainingError, match="not of k2m"):
        load_model(tmp_path / "other.safetensors")


def test_pictures_show_what_was_lifted_and_generated(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    run(tmp_path, picture_every=6)
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names == [
        f"{s}-step-{n:06d}.png" for s, n in (("text", 6), ("tokenizer", 6), ("tokenizer", 8))
    ]
    lifted = cv2.imread(str(tmp_path / "pictures" / "tokenizer-step-000008.png"))
    assert lifted.shape == (160, 4 * 2 * 160, 3)  # one val clip; four moments, two views
    for cell in np.split(lifted, 8, axis=1):
        assert (cell < 200).any(-1).mean() > 0.005  # something is drawn in every cell
    generated = cv2.imread(str(tmp_path / "pictures" / "text-step-000006.png"))
    assert generated.shape == (4 * 2 * 160, 4 * 2 * 160, 3)
