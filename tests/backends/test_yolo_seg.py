"""YOLO segmentation: our masks against ultralytics' own predict(), on random weights."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.backends.yolo_seg import YoloSegmenter, overlap
from motionkit.errors import UsageError
from motionkit.stage import joined, pieces
from motionkit.weights import find
from tests.backends.clips import clip_of, mask_of, noise
from tests.backends.random_models import save_yolo_pose, save_yolo_seg

torch = pytest.importorskip("torch")
pytest.importorskip("ultralytics")
pytest.importorskip("torchvision")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTIONKIT_MODELS", str(folder))
        save_yolo_seg(folder, bias=9.0)
    return folder


@pytest.fixture(autouse=True)
def _models_folder(models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MOTIONKIT_MODELS", str(models))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def segmenter() -> YoloSegmenter:
    made = YoloSegmenter("yolo11n-seg")
    made.setup_reader()
    made.setup()
    return made


def documented(frame: np.ndarray) -> Any:
    """Boxes [n, 4] and masks [n, H, W] of the people in an RGB frame."""
    from ultralytics import YOLO

    model = YOLO(str(find("yolo-seg:yolo11n-seg").path))
    (result,) = model.predict(
        frame[:, :, ::-1], retina_masks=True, classes=[0], verbose=False, device="cpu"
    )
    return result.boxes.xyxy.numpy(), result.masks.data.numpy() > 0


@pytest.mark.parametrize(("width", "height"), [(333, 241), (97, 160), (640, 360)])
def test_masks_are_those_of_predict(segmenter: YoloSegmenter, width: int, height: int) -> None:
    frames = noise(2, width, height, seed=height)
    truth = [documented(frame) for frame in frames]
    assert all(len(boxes) > 2 for boxes, _ in truth)
    for choice in (0, 2):  # among several people
        boxes = np.stack([boxes[choice] + 1 for boxes, _ in truth])
        clip = clip_of(frames, boxes)
        found = [mask for chunk in segmenter.read(clip) for mask in segmenter.infer(chunk)]
        for mask, (theirs, masks), box in zip(found, truth, boxes, strict=True):
            expected = masks[int(np.argmax(overlap(theirs, box)))]
            assert expected.any()
            assert np.array_equal(mask_of(mask, width, height), expected)


def test_somebody_else_is_nobody(segmenter: YoloSegmenter) -> None:
    (frame,) = noise(1, 333, 241, seed=241)
    boxes, _ = documented(frame)
    far = np.array([[0, 0, 3, 3]], np.float32)  # overlaps no one's box by a third
    assert overlap(boxes, far[0]).max() < 0.3
    clip = clip_of(frame[None], far)
    assert [m for chunk in segmenter.read(clip) for m in segmenter.infer(chunk)] == [None]


def test_frames_without_a_box_are_not_even_read(segmenter: YoloSegmenter) -> None:
    frames = noise(4, 97, 160)
    boxes = np.tile(np.array([10, 10, 60, 150], np.float32), (4, 1))
    boxes[[0, 2]] = 0
    clip = clip_of(frames, boxes)
    assert segmenter.places(clip).tolist() == [1, 3]
    assert sum(len(chunk["image"]) for chunk in segmenter.read(clip)) == 2


def test_units_of_several_clips_give_their_own_masks(segmenter: YoloSegmenter) -> None:
    clips = []
    for seed in (1, 2):
        frames = noise(2, 192, 108, seed)
        clips.append(clip_of(frames, np.stack([documented(f)[0][0] for f in frames])))
    chunks = [chunk for clip in clips for chunk in segmenter.read(clip)]
    alone = [mask for chunk in chunks for mask in segmenter.infer(chunk)]
    assert all(alone)
    assert segmenter.infer(joined(chunks)) == alone
    singly = [segmenter.infer(piece)[0] for chunk in chunks for piece in pieces(chunk, 1)]
    assert singly == alone


def test_a_shrunken_frame_gives_a_mask_of_the_video_s_size(segmenter: YoloSegmenter) -> None:
    frames = noise(1, 192, 108, seed=3)
    boxes, masks = documented(frames[0])
    clip = clip_of(frames, boxes[:1] * 2, size=(384, 216))
    (mask,) = [m for chunk in segmenter.read(clip) for m in segmenter.infer(chunk)]
    found = mask_of(mask, 384, 216)
    expected = np.repeat(np.repeat(masks[0], 2, 0), 2, 1)
    assert (found != expected).sum() < 0.5 * expected.sum()


def test_a_pose_model_is_refused(models: Path) -> None:
    spec = save_yolo_pose(models)
    place = models / "yolo-seg" / "yolo11n-pose.pt"
    place.write_bytes((models / "yolo" / f"{spec.partition(':')[2]}.pt").read_bytes())
    with pytest.raises(UsageError, match="no YOLO segmentation model"):
        YoloSegmenter("yolo11n-pose").setup()
