"""Lang2Motion learns direction from text on straight lines; resumes; keeps its word on pictures."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from motionkit.errors import TrainingError, UsageError  # noqa: E402
from motionkit.metrics.trajectories import ade  # noqa: E402
from motionkit.models.lang2motion.losses import LossConfig  # noqa: E402
from motionkit.models.lang2motion.model import Lang2Motion  # noqa: E402
from motionkit.shards.overlays import find_overlays, write_overlays  # noqa: E402
from motionkit.shards.reader import open_shards  # noqa: E402
from motionkit.training.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from motionkit.training.lang2motion import (  # noqa: E402
    find_pictures,
    load_lang2motion,
    sizes_for,
    train_lang2motion,
    train_on,
)
from motionkit.training.lang2motion_config import (  # noqa: E402
    Lang2MotionTrainConfig,
    from_table,
    small,
)
from motionkit.training.lang2motion_data import TrackItem, load_items, prepare  # noqa: E402
from motionkit.training.lang2motion_task import Lang2MotionTask, generate_pairs  # noqa: E402
from tests.training import lines  # noqa: E402

TINY = {
    "grid": 3,
    "frames": 8,
    "encoder": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 32},
    "decoder": {"hidden": 32},
    "reader": {"kind": "mlp", "hidden": 32, "dropout": 0.1},
}


@pytest.fixture(autouse=True)
def _words(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = lines.DirectionWords()
    monkeypatch.setattr("motionkit.backends.text_encoder.text_encoder", lambda name: encoder)


def config(**changes: Any) -> Lang2MotionTrainConfig:
    base = replace(
        small(),
        encoder="minilm",
        model=TINY,
        steps=12,
        batch=8,
        warm_up=2,
        save_every=5,
        log_every=1,
    )
    return replace(base, **{"picture_every": 0, "val_every": 6, **changes})


def read(model: Lang2Motion, text: str) -> torch.Tensor:
    """The latent [1, latent] of a text."""
    with torch.no_grad():
        return model.read(torch.from_numpy(lines.DirectionWords().encode([text])))


def items(count: int = 24, first: int = 0) -> list[TrackItem]:
    made = []
    for row in lines.rows(count, first=first):
        shape = (row["track_frames"], 9)
        made.append(_sample(row, shape))
    return load_items(made, grid=3, frames=8)[0]


def _sample(row: dict[str, Any], shape: tuple[int, int]) -> Any:
    from types import SimpleNamespace

    tracks = SimpleNamespace(
        points=row["track_points"].reshape(*shape, 2), visible=row["track_visible"].reshape(shape)
    )
    captions = [(c["text"], c["source"]) for c in row["captions"]]
    return SimpleNamespace(**{**row, "tracks": tracks, "captions": captions})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A model of 160 steps on 48 lines, from a shard set."""
    folder = tmp_path_factory.mktemp("lang2motion")
    shards = lines.shards(folder / "shards", count=48)
    with pytest.MonkeyPatch.context() as patch:
        encoder = lines.DirectionWords()
        patch.setattr("motionkit.backends.text_encoder.text_encoder", lambda name: encoder)
        made = train_lang2motion(
            config(steps=160, batch=32, learning_rate=1e-2, val_every=0, scheduled_sampling=0.2),
            shards=shards,
            out=folder / "model",
        )
    return folder, made


def test_it_learns_direction_from_text(trained: tuple[Path, Any]) -> None:
    folder, made = trained
    assert (made.items, made.pairs, made.steps) == (48, 96, 160)
    model, facts = load_lang2motion(folder / "model")
    assert facts["encoder_weights"] == {"name": "direction-words"}
    first = np.stack([lines.line("left", 900 + i)[0] for i in range(5)])
    first = torch.from_numpy((first * 2 / np.array([640, 360]) - 1).astype(np.float32))
    for direction, (dx, dy) in lines.DIRECTIONS.items():
        text = f"the thing goes {direction}"  # another wording than in training
        latent = read(model, text).expand(5, -1)
        moved = (model.generate(latent, first)[:, -1] - first).mean((0, 1)) * torch.tensor(
            [320, 180]
        )
        along = moved[0] * dx + moved[1] * dy
        across = (moved - along * torch.tensor([dx, dy])).norm()
        assert along > 45 and across < 0.4 * along, (direction, moved)  # true: 84 px


def test_it_finds_held_out_lines_by_their_text_and_beats_no_motion(
    trained: tuple[Path, Any],
) -> None:
    folder, _ = trained
    model, _ = load_lang2motion(folder / "model" / "lang2motion.safetensors")
    held = prepare(items(16, first=500), 3, lines.DirectionWords())
    task = Lang2MotionTask(held, held, config(), 1)
    found = task.validate(model)
    assert found["val_ade"] < 0.4 * found["val_ade_static"]
    assert found["val_r1"] > 0.2 > found["val_r1_chance"]  # of four alike, one is right
    made = generate_pairs(model, held)
    true = np.stack([held.items[i].points for i in held.own_texts()[2]])
    assert np.array_equal(made[:, 0], true[:, 0])
    assert ade(made, true) == pytest.approx(found["val_ade"], rel=1e-6)


def test_ten_times_the_trained_length_stays_finite_after_training(
    trained: tuple[Path, Any],
) -> None:
    model, _ = load_lang2motion(trained[0] / "model")
    latent = read(model, "it goes left")
    made = model.generate(latent, torch.zeros(1, 9, 2), frames=80)
    assert torch.isfinite(made).all() and made[0, -1, :, 0].max() < -0.2


def test_a_killed_run_ends_with_the_same_bytes(tmp_path: Path) -> None:
    def run(out: str, steps: list[int]) -> bytes:
        for stop in steps:
            seen: list[int] = []

            def log(row: dict[str, Any], stop: int = stop, seen: list[int] = seen) -> None:
                seen.append(row["step"])
                if row["step"] == stop:
                    raise RuntimeError("killed")

            try:
                train_on(
                    config(scheduled_sampling=0.5, mirror=0.5), items=items(), val=items(4),
                    data_hash="d", out=tmp_path / out, log=log,
                )  # fmt: skip
            except RuntimeError:
                continue
        return (tmp_path / out / "lang2motion.safetensors").read_bytes()

    assert run("a", [99]) == run("b", [7, 11, 99])


def test_another_configuration_does_not_go_on(tmp_path: Path) -> None:
    train_on(config(), items=items(4), data_hash="d", out=tmp_path)
    with pytest.raises(UsageError, match="another config"):
        train_on(config(seed=5), items=items(4), data_hash="d", out=tmp_path)
    train_on(config(seed=5), items=items(4), data_hash="d", out=tmp_path, resume=False)


@pytest.mark.parametrize("name", list(LossConfig().weights()))
def test_every_loss_has_a_switch(name: str) -> None:
    data = prepare(items(4), 3, lines.DirectionWords())
    settings = config(losses=replace(LossConfig(), **{name: 0.0}))
    task = Lang2MotionTask(data, data, settings, 10)
    torch.manual_seed(0)
    model = Lang2Motion(sizes_for(settings, lines.DirectionWords())[0])
    loss, terms = task.loss(model, task.draw(0), 0)
    expected = {"recon", "vel", "range", "text", "text_recon", "loss"} - {name}
    assert set(terms) == expected
    loss.backward()


def test_only_text_recon_leaves_the_encoder_alone() -> None:
    data = prepare(items(4), 3, lines.DirectionWords())
    off = dict.fromkeys(("recon", "vel", "range", "text", "image"), 0.0)
    task = Lang2MotionTask(data, data, config(losses=replace(LossConfig(), **off)), 10)
    model = Lang2Motion(sizes_for(config(), lines.DirectionWords())[0])
    loss, terms = task.loss(model, task.draw(0), 0)
    loss.backward()
    assert set(terms) == {"text_recon", "loss"}
    assert all(p.grad is None for p in model.encoder.parameters())
    assert all(p.grad is not None for p in model.decoder.parameters())


def test_the_direct_decoder_trains_too(tmp_path: Path) -> None:
    table = {**TINY, "decoder": {"kind": "direct", "hidden": 16}}
    made = train_on(
        replace(config(), model=table), items=items(8), val=items(4), data_hash="d", out=tmp_path
    )
    model, _ = load_lang2motion(made.model)
    assert model.generate(torch.ones(1, model.config.latent), torch.zeros(1, 9, 2)).shape == (
        1,
        8,
        9,
        2,
    )


def with_pictures(given: list[TrackItem]) -> list[TrackItem]:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(8, lines.DIM)).astype(np.float16)
    return [replace(item, images=images) if i % 2 else item for i, item in enumerate(given)]


def test_pictures_add_their_loss_for_those_that_have_them(tmp_path: Path) -> None:
    settings = config(mirror=0.0)
    given = with_pictures(items(8))
    made = train_on(settings, items=given, val=given, data_hash="d", out=tmp_path)
    assert made.pictures == "given" and "image" in made.last
    model, facts = load_lang2motion(tmp_path)
    assert model.config.image == lines.DIM and facts["sizes"]["image"] == lines.DIM


def test_without_pictures_the_branch_is_off_and_the_run_says_so(tmp_path: Path) -> None:
    made = train_on(config(), items=items(4), data_hash="d", out=tmp_path)
    assert made.pictures == "off: none were given" and "image" not in made.last
    assert load_lang2motion(tmp_path)[0].encoder.image_in is None


def test_pictures_are_found_beside_the_shards_by_their_encoder(tmp_path: Path) -> None:
    encoder = {"name": "clip:a/b", "weights": "1"}
    features = {f"v{i:04d}-0": np.full((8, 4), i, np.float16) for i in range(5)}
    drawing = {"colour": "cyan", "opacity": 0.5}
    write_overlays(tmp_path, encoder, drawing, 4, features.items(), rows=2)
    write_overlays(tmp_path, encoder, drawing, 4, [("v0001-0", np.zeros((8, 4)))])
    clip = config(encoder="clip:a/b")
    found = find_pictures(clip, tmp_path, encoder)
    assert found.dim == 4 and found.said.startswith("on: features of 5 samples")
    assert found.features is not None
    assert {n: f.tolist() for n, f in found.features.items()} == {
        n: f.tolist() for n, f in features.items()
    }
    other = find_pictures(clip, tmp_path, {**encoder, "weights": "2"})
    assert (other.dim, other.features) == (0, None) and "no features of overlay" in other.said
    assert "pictures = off" in find_pictures(replace(clip, pictures="off"), tmp_path, encoder).said
    assert "no pictures in its space" in find_pictures(config(), tmp_path, encoder).said
    with pytest.raises(TrainingError, match="pictures = on, but"):
        find_pictures(config(pictures="on"), tmp_path, encoder)
    write_overlays(tmp_path, encoder, {**drawing, "opacity": 1.0}, 4, [])
    assert len(find_overlays(tmp_path, encoder)) == 2
    with pytest.raises(TrainingError, match="features of 2 drawings"):
        find_pictures(clip, tmp_path, encoder)


def test_unusable_data_is_told(tmp_path: Path) -> None:
    shards = lines.shards(tmp_path / "shards", count=2)
    opened = open_shards(shards)
    assert opened.count() == 4
    settings = replace(config(), model={**TINY, "grid": 6})
    with pytest.raises(TrainingError, match="4 samples: other-grid"):
        train_lang2motion(settings, shards=shards, out=tmp_path / "m")
    with pytest.raises(TrainingError, match="no Lang2Motion model"):
        load_lang2motion(tmp_path / "m")
    save_checkpoint(tmp_path / "k.safetensors", {"a": torch.zeros(1)}, {"kind": "k2m"})
    with pytest.raises(TrainingError, match="of k2m, not of lang2motion"):
        load_lang2motion(tmp_path / "k.safetensors")


def test_the_paper_s_settings_are_the_defaults() -> None:
    settings = from_table({})
    stage = settings.stage(pairs=23051)
    assert (stage.batch, stage.learning_rate, stage.optimizer) == (32, 1e-4, "adamw")
    assert stage.steps == round(200 * 23051 / 32) and stage.schedule == "constant"
    sizes = settings.sizes()
    assert (sizes.points, sizes.frames, sizes.latent) == (36, 30, 512)
    assert settings.losses == LossConfig() and settings.scheduled_sampling == 0
    assert settings.mirror == 0 and settings.encoder.startswith("clip:")


def test_a_table_changes_the_preset_and_is_checked() -> None:
    settings = from_table({"preset": "small", "epochs": 3, "model": {"grid": 4}})
    assert settings.encoder == "minilm:words" and settings.sizes().grid == 4
    assert settings.sizes().encoder.width == 128 and settings.stage(100).steps == 5
    for encoder, kind in (("clip:a/b", "mlp"), ("minilm", "mlp"), ("minilm:words", "words")):
        assert from_table({"preset": "small", "encoder": encoder}).sizes().reader.kind == kind
    assert from_table({"encoder": "minilm"}).sizes().reader.kind == "none"
    plain = {"preset": "small", "encoder": "minilm", "model": {"reader": {"kind": "none"}}}
    sizes, vectors = sizes_for(from_table(plain), lines.DirectionWords())
    assert sizes.latent == lines.DIM and vectors is None
    assert from_table({"encoder": "minilm:words"}).sizes().reader.kind == "words"
    for table, message in (
        ({"preset": "huge"}, "unknown preset 'huge'"),
        ({"epoch": 3}, "unknown key 'epoch'"),
        ({"model": {"grids": 3}}, "unknown key 'grids'"),
        ({"pictures": "maybe"}, "pictures is 'maybe'"),
        ({"encoder": "minilm", "model": {"reader": {"kind": "words"}}}, "kind words cannot read"),
        ({"preset": "small", "model": {"reader": {"kind": "mlp"}}}, "kind mlp cannot read"),
        ({"scheduled_sampling": 2.0}, r"scheduled_sampling is 2\.0"),
        ({"batch": 0}, "batch is 0"),
        ({"epochs": 0}, "epochs is 0"),
    ):
        with pytest.raises(UsageError, match=message):
            from_table(table)


def test_the_picture_shows_true_above_generated(tmp_path: Path) -> None:
    data = prepare(items(8), 3, lines.DirectionWords())
    model = Lang2Motion(sizes_for(config(), lines.DirectionWords())[0]).eval()
    image = Lang2MotionTask(data, data, config(), 1).picture(model)
    assert image is not None and image.shape == (192, 576, 3) and image.dtype == np.uint8
    assert (image[:96].max(-1) > 200).any() and image[:, :, 0].max() < 100


def test_an_estimate_counts_every_sentence_and_trains_nothing(tmp_path: Path) -> None:
    from motionkit.training.lang2motion_estimate import estimate, estimate_on

    shards = lines.shards(tmp_path, count=12)
    found = estimate(config(steps=0, epochs=4, batch=8), shards=shards)
    assert [stage.stage for stage in found.stages] == ["lang2motion"]
    stage = found.stages[0]
    opened = open_shards(shards)
    assert stage.steps == round(4 * opened.count("train") / 8) and stage.step_seconds > 0
    large = estimate(config(steps=5, batch=64), shards=shards).stages[0]
    assert large.steps == 5 and large.activations > 4 * stage.activations
    assert not (tmp_path / "model").exists()
    with pytest.raises(TrainingError, match="no trajectories"):
        estimate_on(config(), [], samples=0)


def test_what_is_logged_says_how_many_steps_there_will_be(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    train_on(
        config(steps=0, epochs=2, batch=8), items=items(8), data_hash="x", out=tmp_path,
        log=heard.append,
    )  # fmt: skip
    assert {row["of"] for row in heard} == {heard[-1]["step"]}
    logged = (tmp_path / "train_log.jsonl").read_text().splitlines()
    assert all("of" not in json.loads(line) for line in logged)


def test_a_checkpoint_of_other_layers_is_refused_in_words(tmp_path: Path) -> None:
    model = train_on(config(steps=2), items=items(4), data_hash="x", out=tmp_path).model
    tensors, facts = load_checkpoint(model)
    fewer = {name: value for name, value in tensors.items() if "prefix" not in name}
    sizes = {**facts["sizes"], "grids": 3}
    for left, said in ((fewer, facts), (tensors, {**facts, "sizes": sizes})):
        save_checkpoint(model, left, said)
        with pytest.raises(TrainingError, match="has other layers"):
            load_lang2motion(model)
