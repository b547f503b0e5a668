"""The embedded pose backend: mapping, who is measured, what happens without mediapipe."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from motionkit.backends import mediapipe_graphs
from motionkit.backends.mediapipe_graphs import LANDMARKS, Square, coco_keypoints
from motionkit.backends.mediapipe_pose import MediapipeDetector, MediapipePose, overlap
from motionkit.backends.people import body_box, person_detector, pose_estimator
from motionkit.errors import MissingExtraError, UsageError
from motionkit.keypoints import COCO17, INDEX

needs_mediapipe = pytest.mark.skipif(
    importlib.util.find_spec("mediapipe") is None, reason="mediapipe is not installed"
)


def test_every_coco_point_has_its_own_landmark_left_before_right() -> None:
    assert len(LANDMARKS) == len(COCO17) == len(set(LANDMARKS))
    # mediapipe numbers its left points odd and the right ones even, from the ears (7, 8) on.
    for name, landmark in zip(COCO17[3:], LANDMARKS[3:], strict=True):
        assert landmark % 2 == (1 if name.startswith("left") else 0), name


def test_confidence_is_the_smaller_score_and_zero_outside_the_picture() -> None:
    landmarks = np.zeros((33, 4))
    landmarks[:] = (50, 40, 0.9, 0.7)
    landmarks[15] = (-3, 40, 0.9, 0.9)  # the left wrist, left of the picture
    keypoints = coco_keypoints(landmarks, 100, 80)
    assert keypoints.shape == (17, 3)
    assert keypoints[INDEX["nose"]].tolist() == pytest.approx([50, 40, 0.7])
    assert keypoints[INDEX["left_wrist"]].tolist() == [-3, 40, 0]


def test_a_square_turns_with_the_body() -> None:
    upright = Square.round_body((50, 50), (50, 10))
    assert (upright.cx, upright.cy, upright.side) == pytest.approx((50, 50, 100))
    assert upright.turn == pytest.approx(0)
    assert Square.round_body((50, 50), (90, 50)).turn == pytest.approx(np.pi / 2)
    assert abs(Square.round_body((50, 50), (50, 90)).turn) == pytest.approx(np.pi)


def test_the_body_box_holds_crown_and_soles_and_stays_in_the_picture() -> None:
    keypoints = np.zeros((17, 3))
    keypoints[[3, 4]] = (50, 20, 1)
    keypoints[[5, 6]] = (50, 30, 1)
    keypoints[[13, 14]] = (50, 70, 1)
    keypoints[[15, 16]] = (50, 90, 1)
    box = body_box(keypoints, 100, 93)
    assert box is not None
    assert box.tolist() == pytest.approx([50, 14, 50, 93])
    assert body_box(np.zeros((17, 3)), 100, 93) is None


def test_overlap_of_boxes() -> None:
    a = np.array([0, 0, 10, 10.0])
    assert overlap(a, a) == 1
    assert overlap(a, np.array([5, 0, 15, 10.0])) == pytest.approx(1 / 3)
    assert overlap(a, np.array([10, 0, 20, 10.0])) == 0


@pytest.mark.parametrize("make", [person_detector, pose_estimator])
def test_an_unknown_backend_names_the_known_ones(make: object) -> None:
    with pytest.raises(UsageError, match=r"no .* named 'media'") as error:
        make("media")  # type: ignore[operator]
    assert "mediapipe" in str(error.value.hint)


@pytest.mark.parametrize("backend", [MediapipeDetector(), MediapipePose()])
def test_without_mediapipe_the_install_command_is_named(
    backend: MediapipeDetector | MediapipePose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mediapipe_graphs.importlib.util, "find_spec", lambda name: None)
    mediapipe_graphs.weights_identity.cache_clear()
    for call in (backend.check, backend.identity, backend.setup):
        with pytest.raises(MissingExtraError) as error:
            call()
        assert error.value.hint == "install it with: pip install 'motionkit[mediapipe]'"


@pytest.fixture(scope="module")
def detector() -> MediapipeDetector:
    backend = MediapipeDetector()
    backend.setup()
    return backend


@pytest.fixture(scope="module")
def estimator() -> MediapipePose:
    backend = MediapipePose()
    backend.setup()
    return backend


@needs_mediapipe
def test_the_start_is_quiet_and_the_weights_are_named(
    capfd: pytest.CaptureFixture[str],
) -> None:
    backend = MediapipeDetector()
    backend.setup()
    backend.detect(np.zeros((1, 64, 64, 3), np.uint8), np.zeros(1))
    assert capfd.readouterr().err == ""
    weights = backend.identity()["weights"]
    assert sorted(weights) == ["pose_detection.tflite", "pose_landmark_full.tflite"]
    assert all(len(digest) == 64 for digest in weights.values())


@needs_mediapipe
def test_nobody_in_noise(detector: MediapipeDetector) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (3, 120, 200, 3), np.uint8)
    detector.reset()
    for people in detector.detect(frames, np.arange(3) / 10):
        assert people.boxes.shape == (0, 5)
        assert people.keypoints.shape == (0, 17, 3)


@pytest.fixture(scope="module")
def tai_chi(real_data: Path) -> np.ndarray:
    from motionkit.video.decode import read_frames

    path = str(real_data / "videos" / "stgcn_ta_chi.mp4")
    return np.concatenate([c.frames for c in read_frames(path, first=100, last=130, step=3)])


@pytest.mark.real
@needs_mediapipe
def test_a_person_is_found_in_every_frame_and_again_in_the_box(
    tai_chi: np.ndarray, detector: MediapipeDetector, estimator: MediapipePose
) -> None:
    times = np.arange(len(tai_chi)) / 10
    detector.reset()
    people = detector.detect(tai_chi, times)
    assert [len(p.boxes) for p in people] == [1] * len(tai_chi)
    boxes = np.stack([p.boxes[0, :4] for p in people])
    first = np.stack([p.keypoints[0] for p in people])
    assert (first[:, :, 2] > 0.5).mean() > 0.9
    estimator.reset()
    second = estimator.estimate(tai_chi, boxes)
    height = (boxes[:, 3] - boxes[:, 1]).mean()
    apart = np.linalg.norm(second[:, :, :2] - first[:, :, :2], axis=2).mean()
    assert apart < 0.03 * height
    # The same frames after a reset: the same bytes.
    detector.reset()
    again = detector.detect(tai_chi, times)
    assert all(np.array_equal(a.keypoints, b.keypoints) for a, b in zip(people, again, strict=True))


@pytest.mark.real
@needs_mediapipe
def test_an_empty_or_wrong_box_gives_nobody(
    tai_chi: np.ndarray, detector: MediapipeDetector, estimator: MediapipePose
) -> None:
    detector.reset()
    box = detector.detect(tai_chi[:1], np.zeros(1))[0].boxes[0, :4]
    height, width = tai_chi.shape[1:3]
    side = (0, 0, box[0] - 1, height) if box[0] > width - box[2] else (box[2] + 1, 0, width, height)
    for wrong in ((0, 0, 0, 0), (box[2], box[3], box[0], box[1]), side):
        estimator.reset()
        keypoints = estimator.estimate(tai_chi[:1], np.array([wrong], np.float32))
        assert not keypoints.any(), wrong


@pytest.fixture(autouse=True)
def _fresh_identity() -> Iterator[None]:
    yield
    mediapipe_graphs.weights_identity.cache_clear()
