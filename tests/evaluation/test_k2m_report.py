import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)
pytest.importorskip("safetensors")

from motionkit.errors import TrainingError, UsageError  # noqa: E402
from motionkit.evaluating import evaluate_k2m, remarks, table_of  # noqa: E402
from motionkit.evaluation.judge import Judge, read_real  # noqa: E402
from motionkit.evaluation.k2m_motions import (  # noqa: E402
    BODY_PX,
    K2M,
    generated,
    projected,
    reconstructed,
    still,
)
from motionkit.evaluation.k2m_report import K2MEvaluation  # noqa: E402
from motionkit.models.evaluator.config import EvaluatorConfig  # noqa: E402
from motionkit.models.k2m.sampling import SamplingConfig  # noqa: E402
from motionkit.shards.reader import open_shards  # noqa: E402
from motionkit.training.evaluator import train  # noqa: E402
from motionkit.training.evaluator_config import EvaluatorTrainConfig  # noqa: E402
from tests.evaluation.test_critic import checkout, checkpoint  # noqa: E402
from tests.generation.tiny_model import Words as ModelWords  # noqa: E402
from tests.generation.tiny_model import tiny_checkpoint  # noqa: E402
from tests.training.matched_clips import Words, shard_set  # noqa: E402

SMALL = EvaluatorConfig(dim=8, width=16, layers=1, heads=2, feed_forward=16, text_width=16)
QUICK = K2MEvaluation(
    runs=3, pool=8, generations=2, batch=16, sampling=SamplingConfig(steps=2, view_temperature=1.0)
)


def encoder_of(name: str) -> object:
    """The model's text encoder and the evaluator's are two, as they may be."""
    return ModelWords() if name == "minilm" else Words(name)


@pytest.fixture(autouse=True)
def _words(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("training.evaluator", "evaluation.judge"):
        monkeypatch.setattr(f"motionkit.{place}.text_encoder", encoder_of)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """shards, models/k2m and models/evaluator: random weights, or nearly so."""
    root = tmp_path_factory.mktemp("work")
    shard_set(root / "shards", train=16, val=12, test=24)
    tiny_checkpoint(root / "models" / "k2m")
    config = EvaluatorTrainConfig(model=SMALL, steps=4, batch=8, encoder="1", val_every=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("motionkit.training.evaluator.text_encoder", encoder_of)
        train(config, shards=root / "shards", out=root / "models" / "evaluator")
    return root


def test_the_report_holds_everything_a_score_needs(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "report.json"
    report = evaluate_k2m(made, replace(QUICK, reconstruct=True), out=out)
    assert json.loads(out.read_text()) == json.loads(json.dumps(report))
    assert [r["name"] for r in report["rows"]] == [
        "ground truth",
        "through tokens",
        "still figure",
        "generated",
    ]
    for scored in report["rows"]:
        assert scored["n"] == 24
        assert all(len(v["runs"]) == 3 for v in scored["scores"].values())
    settings = report["settings"]
    assert settings["n"] == 24 and settings["pool"] == 8 and settings["chance"]["top_1"] == 1 / 8
    assert settings["generations"] == 2 and settings["fid_halves_n"] == 12
    assert settings["sampling"]["view_temperature"] == 1.0
    opened = open_shards(made / "shards")
    assert report["shards"]["manifest"] == opened.manifest_hash == report["evaluator"]["data"]
    assert report["evaluator"]["identity"] == Judge.load(made / "models" / "evaluator").identity
    assert len(report["model"]["sha256"]) == 64
    notes = " ".join(report["notes"])
    assert "model was trained on another shard set" in notes
    assert "evaluator was trained on another" not in notes
    assert "2 generated sets take turns in 3 runs" in notes


def test_the_seed_decides_every_number_and_the_batch_none(made: Path) -> None:
    def scores(**changes: object) -> list[dict]:
        return evaluate_k2m(made, replace(QUICK, **changes))["rows"]

    first = scores()
    assert json.dumps(first) == json.dumps(scores())
    other = scores(seed=1)
    assert json.dumps(first) != json.dumps(other)
    for a, b in zip(first, scores(batch=7), strict=True):
        for key, value in a["scores"].items():
            if value["mean"] is not None:
                assert value["runs"] == pytest.approx(b["scores"][key]["runs"], abs=1e-3)


def test_the_table_has_chance_under_it_and_the_remarks_say_n_and_pool(made: Path) -> None:
    report = evaluate_k2m(made, replace(QUICK, multimodality=3, multimodality_samples=4))
    rows, header = table_of(report)
    assert header[:4] == ["", "n", "FID ↓", "FID halves ↓"]
    assert [row[0] for row in rows] == [
        "ground truth",
        "still figure",
        "generated",
        "chance",
    ]
    assert rows[0][2] == "-" and "±" in rows[0][3] and rows[3][4] == "0.125"
    text = "\n".join(remarks(report))
    for said in (
        "pools of 8",
        "24 clips with 12 different captions",
        "12 each",
        "floor",
        "3 runs, 2 generated sets",
        "3 texts x 4 motions, 2 pairs",
        report["evaluator"]["identity"][:16],
    ):
        assert said in text, said
    assert "no covariance" not in text  # 12 motions in a half, 8 numbers


def test_the_critic_sees_each_generated_motion_once(made: Path, tmp_path: Path) -> None:
    report = evaluate_k2m(
        made, QUICK, trust_critic=True,
        critic=(checkout(tmp_path), checkpoint(tmp_path, torch.zeros(25, 3))),
    )  # fmt: skip
    found = report["critic"]
    assert found["n"] == 24 and found["mean"] == 0.0
    assert found["shorter_and_held"] == 24  # the clips have 32 frames
    assert "MotionCritic" in "\n".join(remarks(report))
    with pytest.raises(UsageError, match="runs Python code"):
        evaluate_k2m(made, QUICK, critic=(tmp_path, tmp_path))


def test_predicted_lengths_are_the_model_s(made: Path) -> None:
    model = K2M.load(made / "models" / "k2m")
    seeds = [(0, 0, i) for i in range(3)]
    texts = ["a person walks"] * 3
    sampling = SamplingConfig(steps=2)
    real = dict(generated(model, texts, [8, 32, 21], seeds=seeds, sampling=sampling))
    assert [len(real[i]) for i in range(3)] == [8, 32, 20]
    free = dict(generated(model, texts, None, seeds=seeds, sampling=sampling))
    assert len({len(m) for m in free.values()}) == 1
    assert evaluate_k2m(made, replace(QUICK, lengths="predicted"))["settings"]["lengths"] == (
        "predicted"
    )


def test_a_projected_motion_is_an_m2d_that_observe_takes_as_fully_seen(made: Path) -> None:
    model = K2M.load(made / "models" / "k2m")
    (_, m2d), *_ = generated(
        model, ["a person walks"], [40], seeds=[(1,)], sampling=SamplingConfig(steps=2)
    )
    assert m2d.shape == (40, 18, 3) and bool((m2d[:, :17, 2] == 1).all())
    assert m2d[0, 17].tolist() == [1280, 720, 1]
    seen = model.tokenizer.observe(m2d[None], torch.ones(1, 40, dtype=torch.bool))
    assert 0.5 * BODY_PX < float(seen.height) < 1.5 * BODY_PX


def test_through_the_tokens_motions_keep_order_and_length(made: Path) -> None:
    model = K2M.load(made / "models" / "k2m")
    samples = list(open_shards(made / "shards").samples("test"))[:5]
    clips = [torch.from_numpy(np.array(s.m2d)) for s in samples]
    alone = [next(iter(reconstructed(model, [clip]))) for clip in clips]
    together = list(reconstructed(model, clips, batch=2))
    assert [len(m) for m in together] == [len(c) // 4 * 4 for c in clips]
    for a, b in zip(alone, together, strict=True):
        assert torch.allclose(a, b, atol=0.05)  # pixels


def test_real_clips_are_cut_as_generated_ones_are(made: Path) -> None:
    judge = Judge.load(made / "models" / "evaluator")
    opened = open_shards(made / "shards")
    real = read_real(judge, opened, "test", down=4, most_frames=28)
    assert set(real.frames) == {24, 28} and len(real.ids) == 24 and not real.left_out
    none = read_real(judge, opened, "test", down=13)
    assert none.left_out == {"too-short": 8} and len(none.ids) == 16
    with pytest.raises(UsageError, match="0 captioned clips"):
        read_real(judge, opened, "test", down=20)


def test_another_text_encoder_is_refused(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motionkit.evaluation.judge.text_encoder", lambda name: Words("2"))
    with pytest.raises(UsageError, match="other weights of the text encoder"):
        Judge.load(made / "models" / "evaluator")


def test_an_evaluator_of_other_shards_is_said(made: Path, tmp_path: Path) -> None:
    other = shard_set(tmp_path / "shards", train=4, val=4, test=12)
    report = evaluate_k2m(made, replace(QUICK, runs=1, generations=1), shards=other)
    assert "the evaluator was trained on another shard set than this" in report["notes"]
    training = evaluate_k2m(made, replace(QUICK, runs=1, split="train"))
    assert any("have seen them" in note for note in training["notes"])


def test_what_is_missing_or_wrong_is_named(made: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no k2m"):
        evaluate_k2m(tmp_path, QUICK)
    with pytest.raises(UsageError, match="no evaluator"):
        evaluate_k2m(tmp_path, QUICK, model=made / "models" / "k2m")
    with pytest.raises(TrainingError):
        evaluate_k2m(made, QUICK, evaluator=made / "models" / "k2m")
    with pytest.raises(UsageError, match="a pool of 30 needs 29"):
        evaluate_k2m(made, replace(QUICK, pool=30))
    for bad in ({"lengths": "long"}, {"batch": 0}, {"generate": False}, {"pool": 1}):
        with pytest.raises(UsageError):
            K2MEvaluation(**bad)  # type: ignore[arg-type]


def test_points_behind_the_camera_are_unseen(made: Path) -> None:
    model = K2M.load(made / "models" / "k2m")
    with torch.no_grad():
        lifted = model.tokenizer.decode(
            torch.zeros(1, 3, 3, dtype=torch.long), torch.ones(1, 3, dtype=torch.bool)
        )
    behind = replace(lifted, depth=torch.full_like(lifted.depth, -60.0))
    (m2d,) = projected(model.tokenizer, behind, [12])
    assert bool((m2d[:, :17, 2] == 0).any())


def test_a_still_figure_says_its_length_and_nothing_else(made: Path) -> None:
    judge = Judge.load(made / "models" / "evaluator")
    m2d = still(12)
    assert m2d.shape == (12, 18, 3) and torch.equal(m2d[0], m2d[11])
    a, b, c = judge.motions([still(12), still(12), still(40)])
    assert np.allclose(a, b, atol=1e-6) and not np.allclose(a, c, atol=1e-3)
    rows = evaluate_k2m(made, replace(QUICK, runs=2))["rows"]
    scores = next(r for r in rows if r["name"] == "still figure")["scores"]
    assert scores["fid"]["mean"] > 0 and scores["diversity"]["mean"] < 0.5
