"""mmpose: our output against mmpose's documented call, on random weights.

Needs an environment made by scripts/install-mmpose.sh; what needs none is tested anyway.
"""

import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from motionkit import devices
from motionkit.backends.people import measure, pose_estimator
from motionkit.errors import UsageError
from motionkit.stage import joined
from motionkit.weights import ModelMissing

# mmpose and what it imports warn about many things at import.
pytestmark = pytest.mark.filterwarnings("ignore")

CONFIG = "td-hm_ViTPose-small_8xb64-210e_coco-256x192"


def test_without_mmpose_the_script_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "mmpose" else found(name)
    )
    from motionkit.backends.mmpose_topdown import MMPoseMissing

    with pytest.raises(MMPoseMissing, match="'mmpose'") as error:
        pose_estimator(f"mmpose:{CONFIG}").identity()
    assert "scripts/install-mmpose.sh" in str(error.value.hint)


def test_a_checkpoint_is_loaded_as_weights_only(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from motionkit.backends.mmpose_topdown import _checkpoint

    class Runs:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"state_dict": {}, "meta": Runs()}, tmp_path / "bad.pth")
    with pytest.raises(
        UsageError, match=r"more than weights \(.*getattr|more than weights \(.*Path"
    ):
        _checkpoint(tmp_path / "bad.pth")
    assert not (tmp_path / "ran").exists()
    facts = {"sigmas": np.array([0.1, 0.2], np.float32), "none": np.zeros((0, 3)), "name": "coco"}
    state = {"module.a": torch.ones(2)}
    torch.save({"state_dict": state, "meta": {"dataset_meta": facts}}, tmp_path / "good.pth")
    weights, meta = _checkpoint(tmp_path / "good.pth")
    assert list(weights) == ["a"]
    assert meta is not None
    np.testing.assert_array_equal(meta["sigmas"], facts["sigmas"])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mmpose", reason="needs mmpose: scripts/install-mmpose.sh")
    from tests.backends.random_models import save_mmpose

    folder = tmp_path_factory.mktemp("models")
    save_mmpose(folder, CONFIG, layers=2)
    return folder


@pytest.fixture
def folder(models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    import torch

    monkeypatch.setenv("MOTIONKIT_MODELS", str(models))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield models / "mmpose" / CONFIG
    torch.set_num_threads(threads)


def frames_of(count: int, width: int, height: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    small = rng.random((count, height // 9 + 2, width // 9 + 2, 3)).astype(np.float32)
    large = [cv2.resize(f, (width, height), interpolation=cv2.INTER_CUBIC) for f in small]
    return (np.stack(large).clip(0, 1) * 255).astype(np.uint8)


@functools.cache
def library(folder: Path) -> Any:
    """The model by mmpose's own loading."""
    import torch
    from mmpose.apis import init_model

    load = torch.load  # mmengine knows nothing of weights_only, and this checkpoint is ours
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "load", lambda *a, **k: load(*a, **{**k, "weights_only": False}))
        files = [str(next(folder.glob(f"*{ending}"))) for ending in (".py", ".pth")]
        return init_model(*files, device="cpu")


def documented(folder: Path, frame: np.ndarray, boxes: np.ndarray, flip: bool) -> np.ndarray:
    """Keypoints [P, 17, 3] of all boxes of one RGB frame, as mmpose's pages show it."""
    from mmpose.apis import inference_topdown

    model = library(folder)
    model.test_cfg["flip_test"] = flip
    results = inference_topdown(model, frame[:, :, ::-1], boxes)
    found = [r.pred_instances for r in results]
    return np.stack(
        [np.concatenate([p.keypoints[0], p.keypoint_scores[0][:, None]], 1) for p in found]
    )


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    seen = expected[..., 2] > 0
    assert seen.mean() > 0.6
    assert np.abs(found - expected)[seen][:, :2].max() < 1e-3
    np.testing.assert_allclose(found[..., 2], expected[..., 2].clip(0, 1), atol=1e-5)
    assert not found[~seen].any()


@pytest.mark.parametrize("flip", [False, True])
def test_output_is_that_of_the_documented_call(folder: Path, flip: bool) -> None:
    estimator = pose_estimator(f"mmpose:{CONFIG}", flip_test=flip)
    estimator.setup()
    boxes = np.array(
        [[10, 20, 60, 100], [-20, -10.5, 50, 140], [150, 40, 260, 118], [100, 30, 131, 90.5]],
        np.float32,
    )
    for width, height in ((211, 119), (97, 160)):
        (frame,) = frames_of(1, width, height, seed=width)
        some = boxes if width == 211 else boxes[:2]
        expected = documented(folder, frame, some, flip)
        frames = np.repeat(frame[None], len(some), 0)
        together = np.stack(estimator.infer(estimator.prepare(frames, some)))
        assert_same(together, expected)
        assert_same(measure(estimator, frames, some), expected)
        assert np.ptp(expected[..., 0]) > 20


def test_a_batch_over_clips_gives_each_crop_its_own_result(folder: Path) -> None:
    estimator = pose_estimator(f"mmpose:{CONFIG}")
    estimator.setup()
    box = np.array([30, 10, 90, 110], np.float32)
    clips = [frames_of(n, 160, 120, seed=n) for n in (2, 1, 3)]
    chunks = [estimator.prepare(frames, np.tile(box, (len(frames), 1))) for frames in clips]
    together = np.stack(estimator.infer(joined(chunks)))
    expected = [documented(folder, f, box[None], True)[0] for f in np.concatenate(clips)]
    assert_same(together, np.stack(expected))


def test_an_empty_box_is_never_the_whole_picture(folder: Path) -> None:
    estimator = pose_estimator(f"mmpose:{CONFIG}")
    estimator.setup()
    frames = frames_of(3, 64, 48)
    boxes = np.array([[0, 0, 0, 0], [70, 0, 90, 40], [5, 5, 40, 45]], np.float32)
    found = np.stack(estimator.infer(estimator.prepare(frames, boxes)))
    assert not found[:2].any()
    assert found[2].any()
    assert not np.stack(estimator.infer(estimator.prepare(frames[:2], boxes[:2]))).any()
    # What mmpose itself makes of no box: a person who fills the picture.
    assert documented(folder, frames[0], np.zeros((0, 4)), True).shape[0] == 1


def test_half_precision_finds_the_same_confidence_nearly(folder: Path) -> None:
    estimator = pose_estimator(f"mmpose:{CONFIG}")
    estimator.setup()
    units = estimator.prepare(frames_of(1, 96, 96), np.array([[5, 5, 60, 90]], np.float32))
    exact = np.stack(estimator.infer(units))
    before = devices.current()
    try:
        devices.use(devices.Device("cpu", "bf16"))
        estimator = pose_estimator(f"mmpose:{CONFIG}")
        estimator.setup()
        half = np.stack(estimator.infer(units))
    finally:
        devices.use(before)
    assert half.dtype == np.float32
    assert 0 < np.abs(half[..., 2] - exact[..., 2]).max() < 0.05


def test_identity_names_versions_weights_and_settings(folder: Path) -> None:
    identity = pose_estimator(f"mmpose:{CONFIG}").identity()
    assert identity["packages"]["mmpose"]
    assert len(identity["weights"]) == 64
    assert identity["flip_test"] is True
    with pytest.raises(ModelMissing, match="elsewhere") as error:
        pose_estimator("mmpose:elsewhere").identity()
    assert "fetch-mmpose.py elsewhere" in str(error.value.hint)


@pytest.mark.usefixtures("folder")
def test_what_does_not_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from tests.backends.random_models import save_mmpose

    monkeypatch.setenv("MOTIONKIT_MODELS", str(tmp_path))
    save_mmpose(tmp_path, CONFIG, layers=1)
    (path,) = (tmp_path / "mmpose" / CONFIG).glob("*.pth")
    data = torch.load(path, weights_only=False)
    data["state_dict"].popitem()
    torch.save(data, path)
    with pytest.raises(UsageError, match="1 weights are missing"):
        pose_estimator(f"mmpose:{CONFIG}").setup()

    hand = "td-hm_hrnetv2-w18_8xb64-210e_onehand10k-256x256"
    save_mmpose(tmp_path, hand)
    with pytest.raises(UsageError, match="not the 17 of COCO"):
        pose_estimator(f"mmpose:{hand}").setup()
    other = tmp_path / "mmpose" / hand / "second.py"
    other.write_text("")
    record = tmp_path / "mmpose" / f"{hand}.motionkit.json"
    record.unlink()
    with pytest.raises(UsageError, match=r"one \.py file"):
        pose_estimator(f"mmpose:{hand}").setup_reader()
