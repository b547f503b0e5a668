import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # tiny tensors: threads that wait for each other cost more
pytest.importorskip("safetensors")

from motionkit.bodies.bvh import read_bvh  # noqa: E402
from motionkit.bodies.export import read_npz  # noqa: E402
from motionkit.bodies.skeleton import JOINTS  # noqa: E402
from motionkit.errors import TrainingError, UsageError  # noqa: E402
from motionkit.generation.k2m import generate, slug  # noqa: E402
from motionkit.models.k2m.config import small  # noqa: E402
from motionkit.models.k2m.tokenizer import Tokenizer  # noqa: E402
from motionkit.models.k2m.transformers import TextToTokens  # noqa: E402
from motionkit.training.checkpoint import load_checkpoint, pack, save_checkpoint  # noqa: E402
from motionkit.training.k2m_config import as_table  # noqa: E402


class Words:
    dim = 384

    def identity(self) -> dict[str, str]:
        return {"name": "words"}

    def encode(self, texts: list[str]) -> np.ndarray:
        rows = [np.random.default_rng(list(t.encode())).normal(size=384) for t in texts]
        return np.array(rows, np.float32)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    base = small()
    sizes = replace(
        base,
        tokenizer=replace(
            base.tokenizer, quantiser=replace(base.tokenizer.quantiser, layers=3, codes=16)
        ),
        transformer=replace(base.transformer, layers=1, max_tokens=20),
    )
    tokenizer, text = Tokenizer(sizes.tokenizer), TextToTokens(sizes)
    tokenizer.quantiser.seed(torch.randn(64, 64))
    path = tmp_path_factory.mktemp("model") / "k2m.safetensors"
    save_checkpoint(
        path,
        {**pack("tokenizer", tokenizer.state_dict()), **pack("text", text.state_dict())},
        {"kind": "k2m", "sizes": as_table(sizes), "encoder": "minilm"},
    )
    return path


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
    assert make("a", 1)[0].name == "a-person-walks-1.npz"


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
    "text,changes", [(" ", {}), ("x", {"seconds": 99.0}), ("x", {"formats": ("gif",)})]
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


def test_slugs_are_safe_names() -> None:
    assert slug("../../Über: a person, WALKS!") == "ber-a-person-walks"
    assert slug("走る") == "motion"
    assert len(slug("a" * 500)) <= 48
