"""``transformers:REPO`` against the library's own calls, on a real architecture."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit import devices
from motionkit.backends.captioners import Answer, Sampling, local_model, open_captioner
from motionkit.backends.captioners.local_model import LocalModel
from motionkit.backends.captioners.prompts import prompt_text
from motionkit.errors import InputError, MotionkitError, UsageError
from motionkit.stage import Kept, run_alone
from motionkit.stages.caption import Caption
from motionkit.weights import ModelMissing

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("tokenizers")

from tests.backends.captioners.numbered_clips import make_workspace  # noqa: E402
from tests.backends.captioners.tiny_models import (  # noqa: E402
    QWEN_SPEC,
    SPEC,
    save_llava,
    save_qwen,
)

PROMPT = prompt_text("motion-in-red-box")
NAME = SPEC.partition(":")[2]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_llava(folder / "transformers" / NAME)
    save_llava(folder / "transformers" / f"{NAME}-mute", template=False)
    return folder


@pytest.fixture(autouse=True)
def _place(models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MOTIONKIT_MODELS", str(models))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    before = torch.get_num_threads()
    devices.use(devices.Device(threads=1))
    yield
    devices.use(devices.Device())
    torch.set_num_threads(before)


def pictures(count: int, height: int = 37, width: int = 51) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, height, width, 3), np.uint8)


def ready() -> LocalModel:
    captioner = LocalModel(NAME)
    captioner.setup()
    return captioner


def by_the_library(models: Path, frames: np.ndarray, tokens: int, **drawn: Any) -> str:
    """The documented way: processor with text and images, generate, decode what is new."""
    from PIL import Image

    folder = models / "transformers" / NAME
    processor = transformers.AutoProcessor.from_pretrained(folder)
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder).eval()
    text = f"user: {'<image>' * len(frames)}{PROMPT}\nassistant:"
    images = [Image.fromarray(frame) for frame in frames]
    inputs = processor(text=text, images=images, return_tensors="pt")
    with torch.no_grad():
        out = model.generate(**inputs, max_new_tokens=tokens, **drawn)
    new = out[0, inputs["input_ids"].shape[1] :]
    return processor.tokenizer.decode(new, skip_special_tokens=True)


def clean(text: str) -> str:
    from motionkit.video.sidecars import clean_text

    return clean_text(text)


@pytest.mark.parametrize("count", [1, 3, 8])
def test_greedy_text_is_the_librarys_own(count: int, models: Path) -> None:
    frames = pictures(count)
    captioner = ready()
    found = captioner.describe(PROMPT, captioner.prepare(frames), Sampling(max_new_tokens=24))
    assert found.text == clean(by_the_library(models, frames, 24, do_sample=False))
    other = captioner.describe(PROMPT, {"frames": frames[::-1] ^ 255}, Sampling(max_new_tokens=24))
    assert len(found.text) > 3
    assert other.text != found.text  # the pictures matter to this model
    assert (found.model, found.precision, found.finish) == (NAME, "fp32", "length")
    assert found.completion_tokens == 24


def test_the_second_caption_is_drawn_with_its_seed(models: Path) -> None:
    frames = pictures(2)
    captioner = ready()
    drawn = Sampling(temperature=0.7, seed=5, max_new_tokens=16)
    state = torch.random.get_rng_state()
    found = captioner.describe(PROMPT, captioner.prepare(frames), drawn)
    assert torch.equal(torch.random.get_rng_state(), state)  # nobody else's chance is touched
    torch.manual_seed(5)
    expected = by_the_library(models, frames, 16, do_sample=True, temperature=0.7)
    assert found.text == clean(expected)
    other = Sampling(temperature=0.7, seed=6, max_new_tokens=16)
    assert captioner.describe(PROMPT, captioner.prepare(frames), other).text != found.text


def test_the_model_sees_these_pixels_in_this_order_and_this_prompt() -> None:
    captioner = ready()
    frames = np.zeros((3, 28, 28, 3), np.uint8)
    for i, colour in enumerate([(255, 0, 0), (0, 255, 0), (40, 80, 160)]):
        frames[i] = colour
    seen: dict[str, Any] = {}

    def generate(**inputs: Any) -> Any:
        seen.update(inputs)
        return type(captioner._model).generate(captioner._model, **inputs)

    captioner._model.generate = generate
    captioner.describe(PROMPT, captioner.prepare(frames), Sampling(max_new_tokens=4))
    processor = captioner._processor
    mean = np.array(processor.image_processor.image_mean)
    spread = np.array(processor.image_processor.image_std)
    expected = (frames / 255.0 - mean) / spread  # RGB
    pixels = seen["pixel_values"].numpy().transpose(0, 2, 3, 1)
    assert pixels.shape == (3, 28, 28, 3)
    assert np.abs(pixels - expected).max() < 1e-5
    # Two by two patches a picture stand where its <image> stood.
    text = processor.tokenizer.decode(seen["input_ids"][0])
    assert text == f"user: {'<image>' * 12}{PROMPT}\nassistant:"


def test_qwen_gets_what_its_processor_makes_of_the_same_words(models: Path) -> None:
    pytest.importorskip("torchvision")
    from PIL import Image

    folder = save_qwen(models / "transformers" / QWEN_SPEC.partition(":")[2])
    captioner = LocalModel(QWEN_SPEC.partition(":")[2])
    captioner.setup()
    frames = pictures(3, 61, 83)
    seen: dict[str, Any] = {}

    def generate(**inputs: Any) -> Any:
        seen.update(inputs)
        return type(captioner._model).generate(captioner._model, **inputs)

    captioner._model.generate = generate
    found = captioner.describe(PROMPT, captioner.prepare(frames), Sampling(max_new_tokens=12))
    processor = transformers.AutoProcessor.from_pretrained(folder)
    mark = "<|vision_start|><|image_pad|><|vision_end|>"
    text = f"user: {mark * 3}{PROMPT}\nassistant:"
    images = [Image.fromarray(frame) for frame in frames]
    expected = processor(text=[text], images=images, return_tensors="pt")
    assert set(expected) <= set(seen)
    for name, value in expected.items():
        assert torch.equal(seen[name], value), name
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder).eval()
    with torch.no_grad():
        out = model.generate(**expected, do_sample=False, max_new_tokens=12)
    written = out[:, expected["input_ids"].shape[1] :]
    assert found.text == clean(processor.batch_decode(written, skip_special_tokens=True)[0])
    assert found.prompt_tokens == expected["input_ids"].shape[1]


@pytest.mark.parametrize(
    ("error", "package"),
    [
        (ImportError("X requires the Torchvision library but it was not found"), "torchvision"),
        (ImportError("Package `num2words` is required to run SmolVLM processor."), "num2words"),
        (ModuleNotFoundError("No module named 'timm'", name="timm"), "timm"),
        (ImportError("something else"), "torchvision"),
    ],
)
def test_the_package_that_a_processor_lacks_is_named(error: ImportError, package: str) -> None:
    assert local_model._package_of(error) == package


def test_identity_names_the_files(models: Path) -> None:
    captioner = open_captioner(SPEC)
    identity = captioner.identity()
    assert identity["model"] == NAME
    assert len(identity["sha256"]) == 64
    assert captioner.most_at_once == 1
    assert captioner.needs_device


def test_it_travels_without_its_model() -> None:
    captioner = ready()
    data = pickle.dumps(captioner)
    assert len(data) < 2000
    other = pickle.loads(data)  # noqa: S301 - our own bytes
    other.setup()
    frames = pictures(1)
    brief = Sampling(max_new_tokens=8)
    assert other.describe(PROMPT, {"frames": frames}, brief) == captioner.describe(
        PROMPT, {"frames": frames}, brief
    )


def test_the_key_follows_pictures_prompt_and_sampling() -> None:
    captioner = LocalModel(NAME)
    frames = {"frames": pictures(2)}
    other = {"frames": pictures(2) ^ 1}
    greedy, drawn = Sampling(), Sampling(temperature=0.7)
    keys = {
        captioner.key(PROMPT, frames, greedy),
        captioner.key("What?", frames, greedy),
        captioner.key(PROMPT, other, greedy),
        captioner.key(PROMPT, frames, drawn),
        captioner.key(PROMPT, frames, Sampling(temperature=0.7, seed=1)),
        captioner.key(PROMPT, frames, Sampling(max_new_tokens=8)),
    }
    assert len(keys) == 6
    assert captioner.key(PROMPT, frames, Sampling(seed=9)) == captioner.key(PROMPT, frames, greedy)


def test_an_absent_model_names_the_command_that_fetches_it() -> None:
    with pytest.raises(ModelMissing) as caught:
        LocalModel("nobody/nothing").identity()
    assert "motionkit models fetch" in str(caught.value.hint)


def test_a_model_without_a_chat_template_is_refused() -> None:
    with pytest.raises(MotionkitError, match="no chat template"):
        LocalModel(f"{NAME}-mute").setup()


def test_a_folder_that_is_no_such_model_is_refused(models: Path) -> None:
    folder = models / "transformers" / "tests" / "no-model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (folder / "model.safetensors").write_bytes(b"\0" * 16)
    with pytest.raises(MotionkitError, match="cannot be loaded"):
        LocalModel("tests/no-model").setup()


def test_a_model_that_says_nothing_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    captioner = ready()
    monkeypatch.setattr(captioner._processor, "decode", lambda *_, **__: " \u200b ")
    with pytest.raises(InputError) as caught:
        captioner.describe(PROMPT, {"frames": pictures(1)}, Sampling(max_new_tokens=2))
    assert caught.value.code == "caption-empty"


def test_request_fields_are_for_servers() -> None:
    with pytest.raises(UsageError, match="openai"):
        open_captioner(SPEC, extra='{"top_p": 1}')


def test_the_stage_writes_its_captions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = make_workspace(tmp_path, 2)
    stage = Caption(source="model", captioner=SPEC, sampled_frames=2, workspace=str(workspace.path))
    stage.setup()
    answer = Answer("The person waves.", NAME, "stop", 50, 4, "fp32")
    monkeypatch.setattr(LocalModel, "describe", lambda *_: answer)
    for item in stage.items(workspace):
        outcome = run_alone(stage, item)
        assert isinstance(outcome, Kept)
        (caption,) = outcome.row["captions"]
        detail = json.loads(caption["detail"])
        assert (caption["source"], detail["precision"]) == (SPEC, "fp32")
        assert len(detail["frames"]) == 2
