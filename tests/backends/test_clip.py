"""CLIP's two towers give what transformers' own documented calls give."""

import importlib.util
import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("PIL")

from motionkit import weights  # noqa: E402
from motionkit.backends import clip  # noqa: E402
from motionkit.backends.image_encoder import image_encoder  # noqa: E402
from motionkit.backends.text_encoder import text_encoder  # noqa: E402
from motionkit.errors import UsageError  # noqa: E402
from motionkit.weights.known import verify  # noqa: E402
from tests.backends.random_models import save_clip  # noqa: E402

TEXTS = ["a person walks", "Jump!", "", "zwei Schritte zurück — dann ein Sprung", "a"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_clip(folder)
    return folder


@pytest.fixture(autouse=True)
def _there(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTIONKIT_MODELS", str(models))


def pictures() -> list[np.ndarray]:
    """Odd sizes: wide, tall, three rows, one pixel, the model's own, larger."""
    rng = np.random.default_rng(0)
    sizes = [(37, 91), (113, 40), (3, 64), (1, 1), (64, 64), (201, 333)]
    return [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in sizes]


def library(models: Path) -> tuple:
    path = str(models / "clip" / "random" / "clip")
    return transformers.CLIPModel.from_pretrained(path).eval(), path


def unit(features: torch.Tensor) -> np.ndarray:
    return (features / features.norm(dim=-1, keepdim=True)).detach().numpy()


def test_text_features_are_those_of_the_documented_call(models: Path) -> None:
    model, path = library(models)
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    words = tokenizer(TEXTS, padding=True, return_tensors="pt")  # all at once, padded
    expected = unit(clip.pooled(model.get_text_features(**words)))
    encoder = text_encoder("clip:random/clip")
    found = encoder.encode(TEXTS)
    assert found.shape == (5, encoder.dim) == (5, 24) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert np.abs(found[0] - found[1]).max() > 0.01


def test_a_sentence_does_not_depend_on_the_others() -> None:
    encoder = text_encoder("clip:random/clip")
    together = encoder.encode(TEXTS)
    for i, text in enumerate(TEXTS):
        assert np.array_equal(encoder.encode([text])[0], together[i])
    assert encoder.encode([]).shape == (0, 24)


def test_what_is_too_long_is_cut_and_said(caplog: pytest.LogCaptureFixture) -> None:
    encoder = text_encoder("clip:random/clip")
    exact, long = "ab" * 37 + "c", "ab" * 37 + "cd"  # 75 and 76 signs, and the two marks
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(encoder.encode([exact]), encoder.encode([exact]))
        assert caplog.text == ""
        found = encoder.encode([long, "a", long + "e"])
    assert "2 of 3 texts are longer than 77 tokens" in caplog.text
    assert np.array_equal(found[0], found[2])


def test_picture_features_are_those_of_the_documented_call(models: Path) -> None:
    model, path = library(models)
    processor = clip._processor(Path(path))
    encoder = image_encoder("clip:random/clip")
    found = encoder.encode(pictures())
    for picture, feature in zip(pictures(), found, strict=True):
        from PIL import Image

        made = processor(
            images=Image.fromarray(picture), return_tensors="pt", input_data_format="channels_last"
        )
        expected = unit(clip.pooled(model.get_image_features(**made)))[0]
        np.testing.assert_allclose(feature, expected, atol=2e-6)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_red_is_red(models: Path) -> None:
    encoder = image_encoder("clip:random/clip")
    red, blue = np.zeros((2, 64, 64, 3), np.uint8)
    red[..., 0] = blue[..., 2] = 255
    a, b = encoder.encode([red, blue])
    assert np.abs(a - b).max() > 1e-3
    np.testing.assert_array_equal(encoder.encode([red[..., ::-1]])[0], b)


def test_pictures_may_be_encoded_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = image_encoder("clip:random/clip")
    alone = encoder.encode(pictures())
    monkeypatch.setattr(clip.devices, "current", lambda: SimpleNamespace(is_cuda=True))
    monkeypatch.setattr(clip, "BATCH", 4)
    np.testing.assert_allclose(encoder.encode(pictures()), alone, atol=2e-6)


@pytest.mark.skipif(
    importlib.util.find_spec("torchvision") is None, reason="torchvision is not installed"
)
def test_torchvision_changes_nothing_here_and_little_in_the_library(models: Path) -> None:
    model, path = library(models)
    processor = transformers.CLIPImageProcessor.from_pretrained(path)
    found = image_encoder("clip:random/clip").encode(pictures())
    for picture, feature in zip(pictures(), found, strict=True):
        made = processor(
            images=torch.from_numpy(picture).permute(2, 0, 1), return_tensors="pt",
            input_data_format="channels_first",
        )  # fmt: skip
        expected = unit(clip.pooled(model.get_image_features(**made)))[0]
        assert feature @ expected > 0.999


@pytest.mark.parametrize(
    "picture",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32),
     np.zeros((0, 4, 3), np.uint8)],
)  # fmt: skip
def test_what_is_no_picture_is_refused(picture: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        image_encoder("clip:random/clip").encode([picture])


def test_both_answers_of_the_library_are_understood() -> None:
    """A tensor in transformers 4, an object with the tensor in transformers 5."""
    features = torch.ones(1, 3)
    assert clip.pooled(features) is features
    assert clip.pooled(SimpleNamespace(pooler_output=features)) is features


def test_the_identity_is_that_of_the_files(models: Path) -> None:
    text, image = text_encoder("clip:random/clip"), image_encoder("clip:random/clip")
    sha = weights.find("clip:random/clip").sha256
    assert text.identity() == image.identity() == {"name": "clip:random/clip", "weights": sha}
    save_clip(models, "random/other", seed=1)
    assert text_encoder("clip:random/other").identity()["weights"] != sha


def test_weights_without_safetensors_are_loaded_as_weights_only(models: Path) -> None:
    spec = save_clip(models, "random/old")
    folder = models / "clip" / "random" / "old"
    model = transformers.CLIPModel.from_pretrained(str(folder))
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    same = text_encoder("clip:random/clip").encode(TEXTS[:2])
    np.testing.assert_allclose(text_encoder(spec).encode(TEXTS[:2]), same, atol=1e-6)

    class Runs:
        def __reduce__(self) -> tuple:
            return (Path.touch, (folder / "ran",))

    torch.save({"x": Runs()}, folder / "pytorch_model.bin")
    verify(spec, accept=True)
    with pytest.raises(Exception, match=r"(?i)weights"):
        text_encoder(spec).encode(["a"])
    assert not (folder / "ran").exists()


def test_another_kind_of_model_is_refused(models: Path) -> None:
    folder = models / "clip" / "random" / "bert"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "model.safetensors").write_bytes(b"x")
    with pytest.raises(UsageError, match="is a bert"):
        text_encoder("clip:random/bert")


def test_a_missing_model_names_the_command() -> None:
    with pytest.raises(weights.ModelMissing) as error:
        text_encoder("clip:openai/clip-vit-base-patch32")
    assert "motionkit models fetch clip:openai/clip-vit-base-patch32" in str(error.value.hint)
    with pytest.raises(UsageError, match="unknown image encoder"):
        image_encoder("minilm")
