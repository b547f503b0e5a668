import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from motionkit.errors import TrainingError, UsageError  # noqa: E402
from motionkit.models.evaluator.config import EvaluatorConfig  # noqa: E402
from motionkit.training import evaluator  # noqa: E402
from motionkit.training.checkpoint import load_checkpoint  # noqa: E402
from motionkit.training.evaluator import load_evaluator, train, train_on  # noqa: E402
from motionkit.training.evaluator_config import EvaluatorTrainConfig, from_table  # noqa: E402
from motionkit.training.evaluator_data import (  # noqa: E402
    alike_pairs,
    directions_of,
    draw,
    prepare,
)
from motionkit.training.evaluator_task import EvaluatorTask, largest_pool  # noqa: E402
from tests.training.matched_clips import TEXTS, Words, clips, shard_set  # noqa: E402

SMALL = EvaluatorConfig(dim=16, width=32, layers=1, heads=2, feed_forward=32, text_width=32)


@pytest.fixture(autouse=True)
def _words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motionkit.training.evaluator.text_encoder", lambda name: Words())


def config(**changes: object) -> EvaluatorTrainConfig:
    base = EvaluatorTrainConfig(
        model=SMALL, steps=12, batch=8, warm_up=2, log_every=1, save_every=4, val_every=3,
        alike=0.99, patience=0, val_pool=8,
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def run(out: Path, **changes: object) -> evaluator.EvaluatorSummary:
    given = {k: changes.pop(k) for k in ("log", "resume", "data_hash") if k in changes}
    kept = {"data_hash": "abc", **given}
    return train_on(config(**changes), clips=clips(24), val=clips(16, first=24), out=out, **kept)


def test_it_learns_to_match_far_above_chance_in_seconds(tmp_path: Path) -> None:
    shards = shard_set(tmp_path / "shards")
    settings = config(
        steps=80, batch=24, learning_rate=4e-3, val_every=20, save_every=0, log_every=20,
        mirror=False, model=replace(SMALL, dropout=0.0),
    )  # fmt: skip
    made = train(settings, shards=shards, out=tmp_path / "model")
    assert made.val_pool == 8
    assert made.val["val_top1"] > 5 / 8  # chance is 1/8
    assert made.texts == len(TEXTS) and made.clips == 48


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", [5, 8])
def test_a_killed_and_resumed_run_ends_with_the_same_bytes(step: int, tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")

    def kill(row: dict) -> None:
        if row["step"] == step:
            raise Killed

    with pytest.raises(Killed):
        run(tmp_path / "cut", log=kill)
    assert not (tmp_path / "cut" / evaluator.MODEL_FILE).exists()
    cut = run(tmp_path / "cut")
    assert whole.model.read_bytes() == cut.model.read_bytes()
    assert whole.identity == cut.identity
    logs = [(tmp_path / name / evaluator.LOG_FILE).read_text() for name in ("whole", "cut")]
    assert logs[0] == logs[1]


def test_the_best_weights_on_val_are_kept(tmp_path: Path) -> None:
    made = run(tmp_path, steps=12, learning_rate=0.05)
    rows = [json.loads(line) for line in (tmp_path / evaluator.LOG_FILE).read_text().splitlines()]
    looks = {row["step"]: row["val_score"] for row in rows if "val_score" in row}
    assert sorted(looks) == [3, 6, 9, 12]
    first_best = min(s for s, v in looks.items() if v == max(looks.values()))
    assert made.best_step == first_best
    network, facts, _ = load_evaluator(tmp_path)
    assert facts["best_step"] == first_best
    held = prepare(clips(16, first=24), Words())
    task = EvaluatorTask(held, held, config())
    assert task.validate(network)["val_score"] == pytest.approx(max(looks.values()), abs=1e-6)


def test_patience_ends_it(tmp_path: Path) -> None:
    made = run(tmp_path, steps=60, learning_rate=0.0, patience=2)
    assert made.steps == 9 and made.best_step == 3 and not made.stopped_early
    assert run(tmp_path, steps=60, learning_rate=0.0, patience=2).steps == 9  # it stays ended


def test_the_identity_follows_weights_and_recipe_but_not_where_it_ran(tmp_path: Path) -> None:
    first = run(tmp_path / "a")
    assert first.identity == run(tmp_path / "b", log_every=5, save_every=6).identity
    assert first.identity == load_evaluator(tmp_path / "a" / evaluator.MODEL_FILE)[2]
    assert len(first.identity) == 64
    others = [
        run(tmp_path / "c", seed=1).identity,
        run(tmp_path / "d", data_hash="other").identity,
        run(tmp_path / "e", temperature=0.2).identity,
    ]
    assert len({first.identity, *others}) == 4


def test_the_checkpoint_states_recipe_data_and_encoder(tmp_path: Path) -> None:
    made = run(tmp_path)
    _, facts = load_checkpoint(made.model)
    assert facts["data"] == "abc" and facts["encoder_weights"] == Words().identity()
    assert facts["config"]["temperature"] == 0.1 and facts["sizes"]["text_dim"] == Words.dim
    assert "device" not in facts["config"]


@pytest.mark.parametrize("changes", [{"temperature": 0.3}, {"data_hash": "other"}])
def test_another_training_in_the_same_folder_is_refused(changes: dict, tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(UsageError, match="another"):
        run(tmp_path, **changes)
    run(tmp_path, resume=False, **changes)


def test_a_batch_holds_different_clips_and_their_own_texts() -> None:
    data = prepare(clips(10), Words())
    for _ in range(20):
        batch = draw(data, config(mirror=False))
        assert len(set(batch.ids)) == len(batch.ids) == 8
        wanted = Words().encode([TEXTS[int(name[1:]) % len(TEXTS)] for name in batch.ids])
        assert np.allclose(batch["features"].numpy(), wanted)
        assert batch["m2d"].shape == (8, int(batch["real"].sum(1).max()), 18, 3)


def test_a_mirrored_clip_has_the_mirrored_text() -> None:
    data = prepare(clips(1), Words())
    torch.manual_seed(0)
    said = {
        tuple(draw(data, config(noise=0.0, hide=0.0))["features"][0].tolist()) for _ in range(20)
    }
    both = Words().encode([TEXTS[0], TEXTS[0].replace("left", "right")])
    assert said == {tuple(row) for row in both.tolist()}


def test_the_same_text_is_never_a_negative_and_opposite_sides_always_are() -> None:
    names = [("waves the left hand",), ("waves the right hand",), ("waves the left hand",),
             ("jumps", "waves the left hand"), ("sits",)]  # fmt: skip
    made = [replace(c, texts=t) for c, t in zip(clips(5), names, strict=True)]
    data = prepare(made, Words())
    near = Words().encode(["waves the left hand", "waves the right hand"])
    assert near[0] @ near[1] > 0.6  # alike to the encoder
    alike = alike_pairs(data, data.texts[0], config(alike=0.6))
    assert alike.tolist() == [
        [True, False, True, True, False],
        [False, True, False, False, False],
        [True, False, True, True, False],
        [True, False, True, True, False],
        [False, False, False, False, True],
    ]
    without = alike_pairs(data, data.texts[0], config(alike=0.6, directions=False))
    assert without[0, 1] and without[1, 3] and not without[0, 4]
    exact = alike_pairs(data, data.texts[0], config(alike=1.0, directions=False))
    assert exact[0, 2] and exact[0, 3] and not exact[0, 1]


@pytest.mark.parametrize(
    "text, words",
    [
        ("waves the left hand", {"left"}),
        ("walks forwards, then back", {"forward"}),
        ("turns counter-clockwise", {"counterclockwise"}),
        ("leftover rights are upset", set()),
        ("raises both hands up", {"both", "up"}),
    ],
)
def test_directions(text: str, words: set[str]) -> None:
    assert directions_of(text) - {"right"} == words


def test_clips_without_words_teach_nothing(tmp_path: Path) -> None:
    silent = [replace(c, texts=()) for c in clips(4)]
    with pytest.raises(TrainingError, match="0 of 4"):
        train_on(config(), clips=silent, val=[], data_hash="a", out=tmp_path)
    mixed = prepare([*silent, *clips(3)], Words())
    assert len(mixed) == 3 and mixed.clip(0).sample_id == "s0" and mixed.places[0] == 4


def test_without_val_clips_the_last_weights_are_kept(tmp_path: Path) -> None:
    made = train_on(config(steps=4), clips=clips(8), val=[], data_hash="a", out=tmp_path)
    assert made.best_step == made.steps == 4 and made.val == {} and made.val_pool == 0


def test_the_pool_of_a_look_is_as_large_as_its_texts_allow() -> None:
    texts = [frozenset({f"t{i % 3}"}) for i in range(9)]
    assert largest_pool(texts, 32) == 7
    assert largest_pool(texts, 4) == 4
    assert largest_pool([frozenset({"t"})] * 4, 32) == 0


def test_a_batch_of_one_has_no_negatives() -> None:
    with pytest.raises(UsageError, match="batch is 1"):
        from_table({"batch": 1})
    with pytest.raises(UsageError, match="unknown key"):
        from_table({"model": {"hidden": 3}})
    assert from_table({"model": {"dim": 64}}).model.dim == 64


def test_a_checkpoint_of_another_model_is_no_evaluator(tmp_path: Path) -> None:
    made = run(tmp_path)
    from motionkit.training.checkpoint import save_checkpoint

    tensors, facts = load_checkpoint(made.model)
    save_checkpoint(made.model, tensors, {**facts, "kind": "k2m"})
    with pytest.raises(TrainingError, match="k2m"):
        load_evaluator(tmp_path)
    with pytest.raises(TrainingError, match="no evaluator"):
        load_evaluator(tmp_path / "nothing")


def test_the_margin_loss_can_be_added(tmp_path: Path) -> None:
    run(tmp_path, margin_weight=1.0, steps=2)
    row = json.loads((tmp_path / evaluator.LOG_FILE).read_text().splitlines()[0])
    assert row["loss"] == pytest.approx(row["info_nce"] + row["margin"], abs=1e-5)


def test_every_parameter_of_the_configuration_is_plain() -> None:
    json.dumps(dataclasses.asdict(EvaluatorTrainConfig()))
