import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from motionkit.errors import MissingExtraError, TrainingError, UsageError  # noqa: E402
from motionkit.training.best import Best  # noqa: E402
from motionkit.training.checkpoint import (  # noqa: E402
    load_checkpoint,
    load_facts,
    save_checkpoint,
)
from motionkit.training.ema import Ema  # noqa: E402
from motionkit.training.interrupt import Interrupted  # noqa: E402
from motionkit.training.options import RunOptions, StageOptions  # noqa: E402
from motionkit.training.pictures import write_png  # noqa: E402
from motionkit.training.ranks import alone, together  # noqa: E402
from motionkit.training.stage_state import optimiser_of, rate_of  # noqa: E402
from motionkit.training.task import Batch  # noqa: E402
from tests.training.toy import ToyModel, ToyTask, options, run_options, train  # noqa: E402


def test_a_run_learns_and_leaves_log_checkpoint_and_pictures(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    made = train(tmp_path, options(steps=60), run_options(), heard=heard.append)
    assert made.step == 60 and not made.model.training
    assert made.curve["line", 60, "loss"] < 0.7 * made.curve["line", 1, "loss"]
    assert made.curve["line", 60, "val"] > made.curve["line", 5, "val"]
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows == heard
    assert {"loss", "mean", "gradient", "stage", "step"} == rows[0].keys()
    assert (tmp_path / "pictures" / "line-step-000006.png").read_bytes()[:4] == b"\x89PNG"
    assert load_facts(tmp_path / "resume_line.safetensors")["step"] == 60
    assert made.task.begun == list(range(60))


def test_accumulation_is_the_mean_of_the_draws(tmp_path: Path) -> None:
    """Two draws of 4 without dropout give the gradient of one draw of 8 with the same samples."""

    class Fixed(ToyTask):
        def draw(self, step: int) -> Batch:
            x = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
            if self.batch == 4:
                x = x[:4] if len(self.drawn) % 2 == 0 else x[4:]
            self.drawn.append(())
            return Batch({"x": x, "y": x.sum(1)})

    def curve(out: Path, batch: int, accumulate: int) -> dict[Any, float]:
        stage = options(steps=4, batch=batch, accumulate=accumulate)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.nn.Dropout, "forward", lambda self, x: x)
            return train(out, stage, run_options(), task=Fixed(batch)).curve

    whole, halves = curve(tmp_path / "a", 8, 1), curve(tmp_path / "b", 4, 2)
    assert whole.keys() == halves.keys()
    for key, value in whole.items():
        assert halves[key] == pytest.approx(value, rel=1e-4, abs=1e-6), key


def test_looking_and_drawing_pictures_change_nothing(tmp_path: Path) -> None:
    often = train(tmp_path / "a", options(), run_options(val_every=1, picture_every=1))
    never = train(tmp_path / "b", options(), run_options(val_every=0, picture_every=0))
    for name, value in never.model.state_dict().items():
        if name != "seen":  # a buffer of the toy that counts the looks too
            assert torch.equal(value, often.model.state_dict()[name]), name


def test_the_running_mean_is_looked_at_and_exported(tmp_path: Path) -> None:
    plain = train(tmp_path / "a", options(steps=6), run_options(val_every=0))
    mean = train(tmp_path / "b", options(steps=6, ema=0.5), run_options(val_every=0))
    saved = load_checkpoint(tmp_path / "b" / "resume_line.safetensors")[0]
    live, kept = saved["model.first.weight"], saved["ema.first.weight"]
    assert torch.equal(live, plain.model.first.weight)
    assert torch.equal(kept, mean.model.first.weight) and not torch.equal(live, kept)
    assert torch.equal(mean.model.seen, plain.model.seen)  # buffers are the model's own


def test_the_running_mean_follows_and_hands_back() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    ema = Ema(model, 0.9)
    with torch.no_grad():
        model.weight.fill_(1.0)
    ema.follow(1)  # decay (1 + 1) / (10 + 1)
    assert float(ema.mean["weight"]) == pytest.approx(9 / 11)
    with ema.shown():
        assert model.weight.item() == pytest.approx(9 / 11)
    assert model.weight.item() == 1.0


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_loss_that_is_not_finite_names_step_and_samples(accumulate: int, tmp_path: Path) -> None:
    seen: list[ToyModel] = []

    class Watched(ToyTask):
        def begin(self, model: ToyModel, step: int) -> None:
            seen.append(model)

    task = Watched(8, poison=5)
    stage = options(steps=9, accumulate=accumulate, schedule="constant")
    plain = options(steps=5, accumulate=accumulate, schedule="constant")
    before = train(tmp_path / "c", plain, run_options())
    with pytest.raises(TrainingError, match="loss became nan at step 5") as caught:
        train(tmp_path / "b", stage, run_options(), task=task)
    for name in task.drawn[-1]:
        assert name in str(caught.value)
    for name, value in before.model.named_parameters():
        assert torch.equal(value, dict(seen[0].named_parameters())[name]), name
    assert load_facts(tmp_path / "b" / "resume_line.safetensors")["step"] == 4


def test_a_gradient_that_is_not_finite_stops_too(tmp_path: Path) -> None:
    class Steep(ToyTask):
        def loss(self, model: Any, batch: Any, step: int) -> Any:
            loss, terms = super().loss(model, batch, step)
            if step == 2:  # 0, with a slope that is not finite
                loss = loss + (loss - loss.detach()).abs().sqrt()
            return loss, terms

    with pytest.raises(TrainingError, match=r"gradient is not finite at step 2.*Samples of the"):
        train(tmp_path, options(), run_options(), task=Steep(8))


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_the_step_and_saves(name: str, tmp_path: Path) -> None:
    def send(row: dict[str, Any]) -> None:
        if row["step"] == 6:
            os.kill(os.getpid(), getattr(signal, name))

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match=r"saved after step 6 of line.*run the same command"):
        train(tmp_path, options(), run_options(), heard=send)
    assert signal.getsignal(signal.SIGINT) is handler
    assert load_facts(tmp_path / "resume_line.safetensors")["step"] == 6
    whole = train(tmp_path / "whole", options(), run_options())
    again = train(tmp_path, options(), run_options())
    assert (tmp_path / "log.jsonl").read_text() == (tmp_path / "whole/log.jsonl").read_text()
    for key, value in again.curve.items():
        assert whole.curve[key] == value
    assert torch.equal(whole.model.first.weight, again.model.first.weight)


def test_the_minutes_end_it_with_a_checkpoint(tmp_path: Path) -> None:
    assert train(tmp_path, options(), run_options(), minutes=-1.0).step == 0
    assert not (tmp_path / "resume_line.safetensors").exists()


def test_the_best_weights_are_kept_and_patience_ends_it(tmp_path: Path) -> None:
    class Worse(ToyTask):
        def validate(self, model: Any) -> dict[str, float]:
            return {"val": 10.0 - abs(6 - int(self.begun[-1] + 1))}

    best = Best("val", patience=2)
    made = train(tmp_path, options(steps=30), run_options(val_every=2), task=Worse(8), best=best)
    assert (best.step, best.numbers, made.step) == (6, {"val": 10.0}, 10)
    again = Best("val", patience=2)
    train(tmp_path, options(steps=30), run_options(val_every=2), task=Worse(8), best=again)
    assert again.step == 6 and torch.equal(
        again.weights["first.weight"], best.weights["first.weight"]
    )


def test_another_training_is_not_gone_on_with(tmp_path: Path) -> None:
    train(tmp_path, options(steps=4), run_options())
    with pytest.raises(UsageError, match="another config"):
        train(tmp_path, options(steps=5), run_options())


@pytest.mark.parametrize(
    "changes",
    [
        {"accumulate": 0},
        {"ema": 1.0},
        {"schedule": "step"},
        {"optimizer": "sgd"},
        {"clip_norm": -1},
    ],
)
def test_wrong_options_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        StageOptions(**changes)


def test_wrong_places_are_refused() -> None:
    with pytest.raises(UsageError, match="precision"):
        RunOptions(precision="fp8")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="compile is for CUDA"):
        alone(RunOptions(device="cpu", compile=True))
    with pytest.raises(UsageError, match="no such device"):
        alone(RunOptions(device="cuda:99"))


def test_several_devices_without_fabric_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(MissingExtraError, match="training on 2 devices") as caught:
        together(RunOptions(device="cpu", devices=2), lambda ranks, log: None)
    assert "motionkit[fabric]" in str(caught.value.hint)
    assert together(RunOptions(device="cpu"), lambda ranks, log: ranks.world) == 1


def test_bf16_keeps_the_weights_in_fp32(tmp_path: Path) -> None:
    ranks = alone(RunOptions(device="cpu", precision="bf16"))
    half = train(tmp_path / "a", options(), run_options(), ranks=ranks)
    whole = train(tmp_path / "b", options(), run_options())
    assert half.model.first.weight.dtype == torch.float32
    first, second = half.curve["line", 1, "loss"], whole.curve["line", 1, "loss"]
    assert first != second and first == pytest.approx(second, rel=0.05)


def test_schedules() -> None:
    def rates(schedule: str) -> list[float]:
        stage = options(steps=100, learning_rate=1.0, warm_up=10, final_rate=0.1, schedule=schedule)
        return [rate_of(step, stage) for step in range(101)]

    for schedule, middle, end in (("cosine", 0.55, 0.1), ("linear", 0.55, 0.1), ("constant", 1, 1)):
        found = rates(schedule)
        assert found[0] == pytest.approx(0.1)
        assert (found[55], found[100]) == pytest.approx((middle, end))


def test_adamw_decays_matrices_alone() -> None:
    groups = optimiser_of(ToyModel(), options(optimizer="adamw", weight_decay=0.1)).param_groups
    shapes = [(g["weight_decay"], {p.ndim for p in g["params"]}) for g in groups]
    assert shapes == [(0.1, {2}), (0.0, {1})]
    plain = optimiser_of(ToyModel(), options()).param_groups
    assert len(plain) == 1 and plain[0]["betas"] == (0.9, 0.99)


def test_older_checkpoints_are_kept_on_request(tmp_path: Path) -> None:
    train(tmp_path, options(steps=12), run_options(save_every=2, keep_last=3))
    names = sorted(p.name for p in tmp_path.glob("resume*"))
    assert names == [
        "resume_line-00000008.safetensors",
        "resume_line-00000010.safetensors",
        "resume_line.safetensors",
    ]
    assert [load_facts(tmp_path / n)["step"] for n in names] == [8, 10, 12]


def test_a_disk_without_room_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, {"a": torch.ones(3)}, {"step": 1})
    monkeypatch.setattr("shutil.disk_usage", lambda p: type("U", (), {"free": 10_000})())
    with pytest.raises(TrainingError, match="the one before it is whole") as e:
        save_checkpoint(path, {"a": torch.ones(30_000)}, {"step": 2})
    assert "free at least" in str(e.value.hint)
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]
    assert load_checkpoint(path)[1]["step"] == 1


def test_a_write_that_fails_on_the_way_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, {"a": torch.ones(3)}, {"step": 1})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(TrainingError, match="the one before it is whole"):
            save_checkpoint(path, {"a": torch.ones(30_000)}, {"step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]
    assert load_checkpoint(path)[1]["step"] == 1


def test_curves_for_tensorboard_go_on_after_a_resume(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def kill(row: dict[str, Any]) -> None:
        if row["step"] == 7:
            raise SystemExit

    run = run_options(tensorboard=True)
    with pytest.raises(SystemExit):
        train(tmp_path, options(), run, heard=kill)
    whole = train(tmp_path, options(), run)
    events = EventAccumulator(str(tmp_path / "tensorboard" / "line"))
    events.Reload()
    losses = events.Scalars("loss")
    assert [event.step for event in losses] == list(range(1, 13))
    assert losses[-1].value == pytest.approx(whole.curve["line", 12, "loss"])
    assert [image.step for image in events.Images("motions")] == [6, 12]


def test_a_picture_is_a_png_that_others_read(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    image = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    write_png(tmp_path / "p" / "a.png", image)
    assert np.array_equal(cv2.imread(str(tmp_path / "p" / "a.png"))[..., ::-1], image)


def test_a_missing_package_for_pictures_is_noted(tmp_path: Path) -> None:
    class Blind(ToyTask):
        def picture(self, model: Any) -> Any:
            raise ImportError("no module named cv2")

    train(tmp_path, options(steps=6), run_options(), task=Blind(8))
    assert "no picture: no module named cv2" in (tmp_path / "log.jsonl").read_text()


def test_free_options_may_change(tmp_path: Path) -> None:
    from motionkit.training.loop import Place, need_same

    base = {"config": {"save_every": 3, "device": "cpu", "seed": 1}, "data": "d"}
    place = Place(tmp_path, {"config": {"save_every": 9, "device": "cuda", "seed": 1}, "data": "d"})
    need_same(base, place)
    other = replace(place, facts={"config": {"seed": 2}, "data": "d"})
    with pytest.raises(UsageError, match=r"config.seed \(1, now 2\)"):
        need_same(base, other)
