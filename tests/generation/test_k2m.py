import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # tiny tensors: threads that wait for each other cost more
pytest.importorskip("safetensors")

from motionkit.bodies.bvh import read_bvh  # noqa: E402
from motionkit.bodies.export import read_npz  # noqa: E402
from motionkit.bodies.skeleton import JOINTS  # noqa: E402
from motionkit.errors import InputError, TrainingError, UsageError  # noqa: E402
from motionkit.generation import windows  # noqa: E402
from motionkit.generation.k2m import (  # noqa: E402
    Around,
    GenerateConfig,
    GeneratedMotion,
    K2MGenerator,
    generate,
    generate_many,
)
from motionkit.generation.lift_inputs import KeypointClip  # noqa: E402
from motionkit.generation.outputs import MANIFEST  # noqa: E402
from motionkit.generation.prompts import FailedPrompt, Prompt  # noqa: E402
from motionkit.models.k2m.sampling import SamplingConfig  # noqa: E402
from motionkit.training.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from tests.generation.tiny_model import Words, tiny_checkpoint  # noqa: E402

FREELY = SamplingConfig(temperature=1.0, residual_temperature=1.0, top_share=1.0, steps=5)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("model"))


@pytest.fixture(autouse=True)
def _words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motionkit.backends.text_encoder.text_encoder", lambda name: Words())


def digest(paths: tuple[Path, ...]) -> list[str]:
    return [hashlib.sha256(p.read_bytes()).hexdigest() for p in paths]


def test_the_seed_decides_the_files(checkpoint: Path, tmp_path: Path) -> None:
    def make(folder: str, seed: int) -> tuple[Path, ...]:
        return generate(
            checkpoint, "a person walks", out=tmp_path / folder, seconds=1.0, seed=seed,
            formats=("npz", "bvh"),
        ).paths  # fmt: skip

    assert digest(make("a", 1)) == digest(make("b", 1))
    assert digest(make("a", 1))[0] != digest(make("c", 2))[0]


def test_other_weights_of_the_encoder_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    tensors, facts = load_checkpoint(checkpoint)
    for weights, fits in ((Words().identity(), True), ({"name": "words", "weights": "x"}, False)):
        path = tmp_path / "k2m.safetensors"
        save_checkpoint(path, tensors, {**facts, "encoder_weights": weights})
        if fits:
            generate(path, "a person walks", out=tmp_path, seconds=1.0, formats=())
        else:
            with pytest.raises(UsageError, match="trained with other weights"):
                generate(path, "a person walks", out=tmp_path, seconds=1.0, formats=())


def test_files_hold_the_motion_that_is_returned(checkpoint: Path, tmp_path: Path) -> None:
    made = generate(checkpoint.parent, "a person walks", out=tmp_path, seconds=0.8)
    assert made.joints.shape == (24, 24, 3) and made.seconds == pytest.approx(0.8)
    assert np.allclose(read_npz(made.paths[0]).joints(), made.joints, atol=1e-4)
    bvh = read_bvh(made.paths[1])
    order = [bvh.names.index(name) for name in JOINTS]
    assert np.allclose(bvh.positions()[:, order] / 100, made.joints, atol=1e-4)
    av = pytest.importorskip("av")
    with av.open(str(made.paths[2])) as film:
        assert sum(1 for _ in film.decode(video=0)) == 24


def test_without_seconds_the_length_is_predicted(checkpoint: Path, tmp_path: Path) -> None:
    made = generate(checkpoint, "a person bows", out=tmp_path, formats=("npz",))
    assert 4 / 30 <= made.seconds <= 80 / 30


def test_a_generated_person_stands_on_the_floor_facing_ahead(
    checkpoint: Path, tmp_path: Path
) -> None:
    joints = generate(checkpoint, "x", out=tmp_path, seconds=2.0, formats=()).joints
    assert joints[0, 0, [0, 2]] == pytest.approx([0, 0], abs=1e-6)
    feet = joints[:, [7, 8, 10, 11], 1].min(1)
    assert abs(np.percentile(feet, 5)) < 0.12
    assert joints[:, 15, 1].mean() > joints[:, 0, 1].mean() > feet.mean()


@pytest.mark.parametrize(
    "text,changes", [(" ", {}), ("x", {"seconds": 9999.0}), ("x", {"formats": ("gif",)})]
)
def test_bad_requests_are_refused(
    text: str, changes: dict, checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError):
        generate(checkpoint, text, out=tmp_path, **changes)


def test_a_missing_checkpoint_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as error:
        generate(tmp_path, "x", out=tmp_path)
    assert "train k2m" in str(error.value.hint)


def test_a_person_walks_is_called_so(checkpoint: Path, tmp_path: Path) -> None:
    made = generate(checkpoint, "a person walks", out=tmp_path, seed=1, formats=("npz",))
    assert made.paths[0].name == "a-person-walks-1.npz"


def tokens_of(path: Path) -> np.ndarray:
    with np.load(path, allow_pickle=False) as file:
        return file["tokens"]


def make(
    checkpoint: Path, out: Path, prompts: list, **options: object
) -> list[GeneratedMotion | FailedPrompt]:
    options.setdefault("config", GenerateConfig(sampling=FREELY))
    return list(generate_many(checkpoint, prompts, out=out, formats=("npz",), **options))  # type: ignore[arg-type]


def test_samples_of_a_batch_are_those_of_their_seeds_alone(
    checkpoint: Path, tmp_path: Path
) -> None:
    prompts = [Prompt(("a person walks",), 1.5), Prompt(("a person sits down",), 2.6)]
    many = make(checkpoint, tmp_path / "many", prompts, seed=4, samples=3)
    assert [m.seed for m in many] == [4, 5, 6, 4, 5, 6]
    assert len({p for m in many for p in m.paths}) == 6
    for one in (many[1], many[5]):
        prompt = next(p for p in prompts if p.title == one.caption)
        alone = make(checkpoint, tmp_path / "one", [prompt], seed=one.seed)
        assert digest(alone[0].paths) == digest(one.paths)
        assert alone[0].paths[0].name == one.paths[0].name
    assert not np.array_equal(tokens_of(many[0].paths[0]), tokens_of(many[1].paths[0]))


def test_one_bad_prompt_never_stops_the_rest_and_all_are_listed(
    checkpoint: Path, tmp_path: Path
) -> None:
    prompts = [
        Prompt(("a person walks",), 1.0, line=1),
        FailedPrompt(2, "", "bad-prompt", "the text is empty."),
        Prompt(("x",), 9999.0, line=3),
        Prompt(("../../etc/passwd",), 1.0, 7, line=4),
    ]
    made = make(checkpoint, tmp_path, prompts)
    assert sorted(type(m).__name__ for m in made) == ["FailedPrompt"] * 2 + ["GeneratedMotion"] * 2
    rows = [json.loads(line) for line in (tmp_path / MANIFEST).read_text().splitlines()]
    by_line = {row["line"]: row for row in rows}
    assert set(by_line) == {1, 2, 3, 4}
    assert by_line[3]["code"] == "bad-prompt" and "out of range" in by_line[3]["message"]
    assert by_line[4]["seed"] == 7 and by_line[4]["texts"] == ["../../etc/passwd"]
    assert by_line[1]["checkpoint"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert by_line[1]["settings"]["sampling"]["steps"] == FREELY.steps
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {MANIFEST, *by_line[1]["files"], *by_line[4]["files"]}


def test_the_list_keeps_earlier_motions_once(checkpoint: Path, tmp_path: Path) -> None:
    for text in ("a person walks", "a person bows", "a person walks"):
        make(checkpoint, tmp_path, [Prompt((text,), 0.5)])
    rows = [json.loads(line) for line in (tmp_path / MANIFEST).read_text().splitlines()]
    assert sorted(row["texts"][0] for row in rows) == ["a person bows", "a person walks"]


def test_a_motion_goes_on_from_another(checkpoint: Path, tmp_path: Path) -> None:
    start = make(checkpoint, tmp_path, [Prompt(("a person walks",), 2.0)])[0]
    kept = tokens_of(start.paths[0])
    rest = []
    for text in ("a person sits down", "a person waves"):
        made = make(checkpoint, tmp_path, [Prompt((text,), 1.0)], around=Around(start.paths[0]))
        tokens = tokens_of(made[0].paths[0])
        assert len(tokens) == len(kept) + 8
        assert np.array_equal(tokens[: len(kept)], kept)
        rest.append(tokens[len(kept) :])
    assert not np.array_equal(*rest)


def test_the_middle_is_drawn_anew(checkpoint: Path, tmp_path: Path) -> None:
    start = make(checkpoint, tmp_path, [Prompt(("a person walks",), 2.4)])[0].paths[0]
    whole = tokens_of(start)
    around = Around(start, keep_first=0.8, keep_last=0.4)
    made = make(checkpoint, tmp_path, [Prompt(("a person hops",))], around=around, seed=3)
    tokens = tokens_of(made[0].paths[0])
    assert len(tokens) == len(whole)
    assert np.array_equal(tokens[:6], whole[:6]) and np.array_equal(tokens[-3:], whole[-3:])
    assert not np.array_equal(tokens[6:-3], whole[6:-3])
    longer = make(checkpoint, tmp_path, [Prompt(("a person hops",), 2.0)], around=around)
    assert len(tokens_of(longer[0].paths[0])) == 6 + 15 + 3


def test_what_leads_from_one_motion_to_another(checkpoint: Path, tmp_path: Path) -> None:
    one, other = (
        make(checkpoint, tmp_path, [Prompt((text,), 1.2)])[0].paths[0]
        for text in ("a person walks", "a person sits")
    )
    made = make(checkpoint, tmp_path, [Prompt(("x",), 0.8)], around=Around(one, other))
    tokens = tokens_of(made[0].paths[0])
    assert len(tokens) == 9 + 6 + 9
    assert np.array_equal(tokens[:9], tokens_of(one))
    assert np.array_equal(tokens[-9:], tokens_of(other))


def test_a_clip_of_keypoints_can_be_gone_on_from(checkpoint: Path, tmp_path: Path) -> None:
    m2d = np.random.default_rng(0).uniform(100, 300, (60, 18, 3)).astype(np.float32)
    m2d[..., 2], m2d[:, 17] = 0.9, (640, 480, 1)
    clip = KeypointClip("c", m2d, 30.0)
    made = make(checkpoint, tmp_path, [Prompt(("x",), 1.0)], around=Around(clip))
    tokens = tokens_of(made[0].paths[0])
    generator = K2MGenerator(checkpoint)
    assert np.array_equal(tokens[:15], generator.frame(Around(clip)).first.numpy())
    assert (tokens[:15] >= 0).all() and len(tokens) == 23


def test_several_texts_follow_each_other(checkpoint: Path, tmp_path: Path) -> None:
    one = make(checkpoint, tmp_path, [Prompt(("a person walks", "a person sits"), 1.2)])[0]
    other = make(checkpoint, tmp_path, [Prompt(("a person walks", "a person waves"), 1.2)])[0]
    a, b = tokens_of(one.paths[0]), tokens_of(other.paths[0])
    assert len(a) == 18 and one.caption == "a person walks; then a person sits"
    assert np.array_equal(a[:9], b[:9]) and not np.array_equal(a[9:], b[9:])
    assert one.paths != other.paths


def test_a_long_motion_has_no_jump_at_its_seams(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seams: list[int] = []
    plan = windows.plan
    monkeypatch.setattr(
        windows, "plan",
        lambda *a, **k: [seams.append(w.start) or w for w in plan(*a, **k)],
    )  # fmt: skip
    made = make(checkpoint, tmp_path, [Prompt(("a person walks",), 24.0)])[0]
    assert len(made.joints) == 720
    speed = np.linalg.norm(np.diff(made.joints, axis=0), axis=-1).mean(1)
    overlap = 6
    at = [(start + overlap) * 4 for start in seams[1:]]
    assert len(at) >= 10  # windows of 20 tokens, 180 tokens
    near = np.concatenate([speed[f - 3 : f + 3] for f in at])
    # random weights: every token is a jump; those at the seams are no larger than elsewhere
    assert near.mean() < 1.35 * speed.mean()
    assert near.max() <= speed.max()


def test_a_later_window_is_told_a_view_that_fits_its_text_and_what_stands_before(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = K2MGenerator(checkpoint, GenerateConfig(sampling=FREELY))
    told = []
    sample = windows.sample_tokens
    monkeypatch.setattr(
        windows, "sample_tokens",
        lambda *a, **k: told.append(k["view"].tolist()) or sample(*a, **k),
    )  # fmt: skip
    yaw = torch.tensor([-1.0, 0.0])  # sine, cosine: the picture's left, view 9
    decode = generator.tokenizer.decode
    monkeypatch.setattr(
        generator.tokenizer, "decode",
        lambda *a: dataclasses.replace(decode(*a), yaw=yaw.expand(len(a[0]), 4 * a[0].shape[1], 2)),
    )  # fmt: skip
    job = generator.jobs([Prompt(("x",), 6.0)], [0], None)[0]
    for logits, wanted in ((torch.zeros(12), 9), (torch.eye(12)[1] * 20, 1)):
        # a text that is seen from anywhere goes on as it is; one seen from one side only is not
        monkeypatch.setattr(
            generator.model.view, "forward", lambda t, v=logits: v.expand(len(t), 12)
        )
        told.clear()
        generator.tokens([dataclasses.replace(job.canvas, view=2)])
        assert told == [[2], [wanted], [wanted], [wanted]]


def test_motions_of_other_models_and_without_tokens_are_refused(
    checkpoint: Path, tmp_path: Path
) -> None:
    other = tiny_checkpoint(tmp_path, seed=1)
    path = make(other, tmp_path, [Prompt(("x",), 1.0)])[0].paths[0]
    generator = K2MGenerator(checkpoint)
    with pytest.raises(InputError) as error:
        generator.frame(Around(path))
    assert error.value.code == "tokens-of-another-model"
    np.savez(tmp_path / "plain.npz", poses=np.zeros((4, 72)))
    with pytest.raises(InputError) as error:
        generator.frame(Around(tmp_path / "plain.npz"))
    assert error.value.code == "motion-without-tokens"
    (tmp_path / "broken.npz").write_bytes(b"PK")
    with pytest.raises(InputError) as error:
        generator.frame(Around(tmp_path / "broken.npz"))
    assert error.value.code == "motion-unreadable"
    with np.load(path) as file:
        arrays = dict(file)
    for tokens in (arrays["tokens"] + 16, arrays["tokens"][:, :2], arrays["tokens"][:0]):
        np.savez(tmp_path / "odd.npz", **{**arrays, "tokens": tokens})
        with pytest.raises(InputError, match=r"out of range|another model"):
            K2MGenerator(other).frame(Around(tmp_path / "odd.npz"))


def test_keeping_everything_leaves_nothing_to_draw(checkpoint: Path, tmp_path: Path) -> None:
    path = make(checkpoint, tmp_path, [Prompt(("x",), 1.0)])[0].paths[0]
    with pytest.raises(UsageError, match="nothing to draw"):
        K2MGenerator(checkpoint).frame(Around(path, keep_first=0.5, keep_last=0.6))


@pytest.mark.parametrize("changes", [{"batch": 0}, {"overlap_s": 0.0}, {"window_s": -1.0}])
def test_settings_out_of_range_are_refused(changes: dict) -> None:
    with pytest.raises(UsageError):
        GenerateConfig(**changes)
