"""ViTPose: our output against transformers' documented call, on random weights."""

import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from motionkit import devices
from motionkit.backends.people import is_batched, measure, pose_estimator
from motionkit.errors import MissingExtraError, UsageError
from motionkit.stage import joined
from motionkit.weights import ModelMissing, find
from tests.backends.random_models import save_vitpose

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("scipy")

KINDS = ("simple", "plain", "plus", "plus-simple")
PAIRS = [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10], [11, 12], [13, 14], [15, 16]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for kind in KINDS:
        save_vitpose(folder, "tiny", kind)
    return folder


@pytest.fixture(autouse=True)
def _models_folder(models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MOTIONKIT_MODELS", str(models))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def frames_of(count: int, width: int, height: int, seed: int = 0) -> np.ndarray:
    """Smooth coloured noise over the whole range [count, height, width, 3]."""
    rng = np.random.default_rng(seed)
    small = rng.random((count, height // 9 + 2, width // 9 + 2, 3)).astype(np.float32)
    large = [cv2.resize(f, (width, height), interpolation=cv2.INTER_CUBIC) for f in small]
    return (np.stack(large).clip(0, 1) * 255).astype(np.uint8)


@functools.cache
def library(folder: Path) -> tuple[Any, Any]:
    """Processor and model by transformers' own loading."""
    from motionkit.backends.vitpose import processor_class

    model = transformers.VitPoseForPoseEstimation.from_pretrained(folder)
    return processor_class().from_pretrained(folder), model


def documented(spec: str, frame: np.ndarray, boxes: np.ndarray, flip: bool) -> np.ndarray:
    """Keypoints [P, 17, 3] of all boxes (xyxy) of one frame, as transformers' pages show it."""
    processor, model = library(find(spec).path)
    x0, y0, x1, y1 = boxes.astype(np.float64).T
    coco = np.stack([x0, y0, x1 - x0, y1 - y0], 1).tolist()
    inputs = processor(frame, boxes=[coco], return_tensors="pt")
    expert: dict[str, Any] = {}
    if model.config.backbone_config.num_experts > 1:
        expert["dataset_index"] = torch.tensor([0] * len(boxes))
    with torch.no_grad():
        outputs = model(**inputs, **expert)
        if flip:
            mirrored = inputs["pixel_values"].flip(-1)
            other = model(mirrored, flip_pairs=torch.tensor(PAIRS), **expert)
            outputs.heatmaps = (outputs.heatmaps + other.heatmaps) / 2
    (people,) = processor.post_process_pose_estimation(outputs, boxes=[coco])
    return np.stack([torch.cat([p["keypoints"], p["scores"][:, None]], 1).numpy() for p in people])


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    """Within 1e-3 px, and the same confidence cut to 0..1; zeros where there is none."""
    seen = expected[..., 2] > 0
    assert seen.mean() > 0.8
    assert np.abs(found - expected)[seen][:, :2].max() < 1e-3
    np.testing.assert_allclose(found[..., 2], expected[..., 2].clip(0, 1), atol=1e-5)
    assert not found[~seen].any()


@pytest.mark.parametrize(
    ("kind", "flip"),
    [("simple", False), ("simple", True), ("plus-simple", True), ("plain", False), ("plus", True)],
)
def test_output_is_that_of_the_documented_call(kind: str, flip: bool) -> None:
    estimator = pose_estimator(f"vitpose:random/tiny-{kind}", flip_test=flip)
    assert is_batched(estimator)
    estimator.setup()
    people = np.array(
        [
            [10, 20, 60, 100],  # inside
            [-20, -10.5, 50, 140],  # beyond three edges
            [150, 40, 260, 118],  # wider than tall, beyond the right edge
            [100.25, 30.75, 101.5, 33],  # a few pixels
        ],
        np.float32,
    )
    for width, height in ((211, 119), (97, 160)) if "simple" in kind else ((211, 119),):
        (frame,) = frames_of(1, width, height, seed=width)
        boxes = people if width == 211 else people[:2]
        expected = documented(estimator.spec, frame, boxes, flip)
        frames = np.repeat(frame[None], len(boxes), 0)
        together = np.stack(estimator.infer(estimator.prepare(frames, boxes)))
        assert_same(together, expected)
        assert_same(measure(estimator, frames, boxes), expected)
        assert np.ptp(expected[..., 0]) > 20  # it does depend on the box


def test_a_batch_over_clips_gives_each_crop_its_own_result() -> None:
    estimator = pose_estimator("vitpose:random/tiny-plus-simple")
    estimator.setup()
    box = np.array([30, 10, 90, 110], np.float32)
    clips = [frames_of(n, 160, 120, seed=n) for n in (2, 1, 3)]
    chunks = [estimator.prepare(frames, np.tile(box, (len(frames), 1))) for frames in clips]
    together = np.stack(estimator.infer(joined(chunks)))
    frames = np.concatenate(clips)
    for i, frame in enumerate(frames):
        assert_same(together[i : i + 1], documented(estimator.spec, frame, box[None], True))


def test_an_empty_box_is_never_the_whole_picture() -> None:
    estimator = pose_estimator("vitpose:random/tiny-simple")
    estimator.setup()
    frames = frames_of(6, 64, 48)
    boxes = np.array(
        [
            [0, 0, 0, 0],
            [10, 10, 10, 40],
            [30, 40, 20, 10],
            [np.nan, 0, 10, 10],
            [70, 0, 90, 40],  # beside the picture
            [5, 5, 40, 45],
        ],
        np.float32,
    )
    found = np.stack(estimator.infer(estimator.prepare(frames, boxes)))
    assert not found[:5].any()
    assert found[5].any()
    nobody = estimator.prepare(frames[:2], boxes[:2])
    assert not np.stack(estimator.infer(nobody)).any()


def test_8_bit_crops_become_the_floats_of_the_processor() -> None:
    from motionkit.backends.vitpose import levels_of, processor_class

    estimator = pose_estimator("vitpose:random/tiny-simple")
    estimator.setup_reader()
    (frame,) = frames_of(1, 80, 60)
    units = estimator.prepare(frame[None], np.array([[5, 5, 40, 45]]))
    assert units["crops"].dtype == np.uint8
    assert units["crops"].shape == (1, 3, 256, 192)
    processor = processor_class()()
    expected = processor(frame, boxes=[[[5, 5, 35, 40]]], return_tensors="np")["pixel_values"]
    levels = levels_of(processor).numpy()
    made = np.stack([levels[c][units["crops"][:, c]] for c in range(3)], 1)
    np.testing.assert_array_equal(made, expected)


def test_the_default_processor_agrees_where_heatmaps_are_round() -> None:
    """With torchvision transformers' default is another class, whose floats differ in the last
    bit; a rough heatmap of random weights makes pixels of that."""
    estimator = pose_estimator("vitpose:random/tiny-plain", flip_test=False)
    estimator.setup()
    ours = estimator.prepare(frames_of(1, 211, 119), np.array([[10, 20, 60, 100]]))
    processor = transformers.AutoImageProcessor.from_pretrained(find(estimator.spec).path)
    (frame,) = frames_of(1, 211, 119)
    theirs = processor(frame, boxes=[[[10, 20, 50, 80]]], return_tensors="pt")["pixel_values"]
    from motionkit.backends.vitpose import levels_of

    levels = levels_of(processor).numpy()
    made = np.stack([levels[c][ours["crops"][:, c]] for c in range(3)], 1)
    np.testing.assert_allclose(made, theirs.numpy(), atol=2e-6)


def test_half_precision_finds_the_same_confidence_nearly() -> None:
    estimator = pose_estimator("vitpose:random/tiny-simple")
    estimator.setup()
    units = estimator.prepare(frames_of(2, 96, 96), np.array([[5, 5, 60, 90], [0, 0, 96, 96]]))
    exact = np.stack(estimator.infer(units))
    before = devices.current()
    try:
        devices.use(devices.Device("cpu", "bf16"))
        half = np.stack(estimator.infer(units))
    finally:
        devices.use(before)
    assert half.dtype == np.float32
    assert 0 < np.abs(half[..., 2] - exact[..., 2]).max() < 0.05


def test_identity_names_weights_and_settings(models: Path) -> None:
    identity = pose_estimator("vitpose:random/tiny-plus", flip_test=False).identity()
    assert identity["spec"] == "vitpose:random/tiny-plus"
    assert identity["transformers"] == transformers.__version__
    assert len(identity["weights"]) == 64
    assert identity["flip_test"] is False
    assert identity != pose_estimator("vitpose:random/tiny-plus").identity()


def test_a_model_that_is_not_here_is_named_with_its_cure() -> None:
    estimator = pose_estimator("vitpose")
    assert estimator.spec == "vitpose:usyd-community/vitpose-plus-huge"
    with pytest.raises(ModelMissing, match="vitpose-plus-huge") as error:
        estimator.identity()
    assert "motionkit models fetch vitpose:usyd-community" in str(error.value.hint)


def test_a_model_of_other_keypoints_is_refused(tmp_path: Path, monkeypatch: Any) -> None:
    from transformers import VitPoseForPoseEstimation

    from motionkit.backends.vitpose import processor_class
    from tests.backends.random_models import vitpose_config

    config = vitpose_config("tiny", "simple")
    config.num_labels = 21
    folder = tmp_path / "vitpose" / "hand"
    VitPoseForPoseEstimation(config).save_pretrained(folder)
    processor_class()().save_pretrained(folder)
    monkeypatch.setenv("MOTIONKIT_MODELS", str(tmp_path))
    with pytest.raises(UsageError, match="21"):
        pose_estimator("vitpose:hand").setup()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "transformers" else found(name)
    )
    with pytest.raises(MissingExtraError, match="transformers") as error:
        pose_estimator("vitpose").check()
    assert "motionkit[vitpose]" in str(error.value.hint)


@pytest.mark.parametrize("spec", ["vitpose:", "vitpose:../x", "mmpose", "mmpose:", "openpose"])
def test_names_that_are_none_are_refused(spec: str) -> None:
    with pytest.raises(UsageError):
        pose_estimator(spec)
