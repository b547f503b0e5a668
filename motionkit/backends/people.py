"""Who finds people and their keypoints: the two interfaces, and the backends by name.

The first pass (`PersonDetector`) says where people are; the second (`PoseEstimator`) measures one
chosen person inside a box. A backend is named by a spec, ``NAME`` or ``NAME:WEIGHTS``: `mediapipe`.
Backends import their packages in ``setup``, never when they are named.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import UsageError
from motionkit.stage import Chunk, pieces

#: Second-pass specs, as they are written.
POSES: tuple[str, ...] = ("mediapipe", "vitpose", "vitpose:NAME", "mmpose:CONFIG")
#: First-pass specs, as they are written.
DETECTORS: tuple[str, ...] = ("mediapipe", "yolo", "yolo:NAME")
#: Crown beyond the ears, in distances of the ears from the shoulders (adult proportions).
CROWN = 0.6
#: Sole beyond the ankle, in shanks.
SOLE = 0.2


@dataclasses.dataclass(frozen=True)
class People:
    """The people seen in one frame; P may be 0.

    ``boxes`` float32 [P, 5]: x0, y0, x1, y1 round the whole body in pixels of the frame, cut to
    it; score 0..1, how sure the detector is that this is a person.
    ``keypoints`` float32 [P, 17, 3]: COCO-17, x, y in pixels, confidence 0..1.
    """

    boxes: NDArray[np.float32]
    keypoints: NDArray[np.float32]

    @staticmethod
    def nobody() -> People:
        """No person: arrays of length 0."""
        return People(np.zeros((0, 5), np.float32), np.zeros((0, 17, 3), np.float32))


def body_box(
    keypoints: NDArray[np.floating], width: int, height: int
) -> NDArray[np.float32] | None:
    """Box (x0, y0, x1, y1) in pixels round the whole body, from keypoints [17, 3].

    Keypoints end at the eyes and ankles; a person's box does not. The crown of the head lies
    `CROWN` times as far beyond the ears as these are from the shoulders, the sole `SOLE` of a
    shank beyond the ankle. Only points with a confidence above 0 count; the box is cut to the
    picture. None where no point counts.
    """
    points = np.asarray(keypoints, np.float64)
    seen = points[:, 2] > 0
    if not seen.any():
        return None
    xy = [points[seen, :2]]
    ears, shoulders = points[[3, 4]], points[[5, 6]]
    if (ears[:, 2] > 0).any() and (shoulders[:, 2] > 0).any():
        head = ears[ears[:, 2] > 0, :2].mean(0)
        xy.append((head + CROWN * (head - shoulders[shoulders[:, 2] > 0, :2].mean(0)))[None])
    for knee, ankle in ((13, 15), (14, 16)):
        if seen[knee] and seen[ankle]:
            xy.append((points[ankle, :2] + SOLE * (points[ankle, :2] - points[knee, :2]))[None])
    every = np.concatenate(xy).clip([0.0, 0.0], [width, height])
    return np.concatenate([every.min(0), every.max(0)]).astype(np.float32)


class Backend(Protocol):
    """What both kinds share."""

    def check(self) -> None:
        """Cheap, for the parent process: MissingExtraError where the package is absent."""
        ...

    def identity(self) -> dict[str, Any]:
        """Name, package version, SHA-256 of the weights, settings: all that decides the result.

        Loads no model; raises like `check`.
        """
        ...

    def setup(self) -> None:
        """Load the models, once in each worker. Raises like `check`."""
        ...

    def reset(self) -> None:
        """Forget everything about the frames seen so far; called between shots and clips."""
        ...


class PersonDetector(Backend, Protocol):
    """First pass."""

    def detect(self, frames: NDArray[np.uint8], times_s: NDArray[np.float64]) -> list[People]:
        """The people of each frame.

        ``frames`` [n, H, W, 3] RGB in the order they are shown, ``times_s`` [n] their presentation
        times. Calls follow on from each other until `reset`.
        """
        ...


class PoseEstimator(Backend, Protocol):
    """Second pass."""

    def estimate(
        self, frames: NDArray[np.uint8], boxes: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """Keypoints [n, 17, 3] of the person in ``boxes`` [n, 4] (xyxy pixels) of each frame.

        All zeros where the box is empty (no area) and where nobody is found **in the box**: an
        empty box is never taken for the whole picture. Calls follow on until `reset`.
        """
        ...


class BatchedPose(Backend, Protocol):
    """Second pass by a model that takes many people at once: crops are cut in reader processes and
    measured in the device's process, those of several clips together."""

    #: Tells the two kinds of estimator apart: True.
    batched: ClassVar[bool]

    def setup_reader(self) -> None:
        """What `prepare` needs; loads no weights. Raises like `check`."""
        ...

    def prepare(self, frames: NDArray[np.uint8], boxes: NDArray[np.floating]) -> Chunk:
        """One unit of model input for each of ``boxes`` [n, 4] (xyxy pixels) in its frame.

        A box that is not `usable` is marked, and gives zeros: it is never the whole picture.
        """
        ...

    def infer(self, units: Chunk) -> list[NDArray[np.float32]]:
        """Keypoints [17, 3] of every unit, in pixels of the frames that `prepare` was given."""
        ...


def is_batched(estimator: PoseEstimator | BatchedPose) -> TypeGuard[BatchedPose]:
    """Whether an estimator is of the second kind."""
    return bool(getattr(estimator, "batched", False))


def usable(boxes: NDArray[np.floating], width: int, height: int) -> NDArray[np.bool_]:
    """Which of ``boxes`` [n, 4] (xyxy pixels) hold some of a picture: finite, with an area, and
    not all of them beyond its edges. They may reach beyond them."""
    x0, y0, x1, y1 = np.asarray(boxes, np.float64)[:, :4].T
    finite = np.isfinite(np.asarray(boxes, np.float64)[:, :4]).all(1)
    inside = (x0 < width) & (y0 < height) & (x1 > 0) & (y1 > 0)
    return finite & (x1 > x0) & (y1 > y0) & inside


class BatchedDetector(Backend, Protocol):
    """First pass by a model that takes many frames at once and looks at each by itself: frames are
    brought to size in reader processes, those of several shots are measured together in the
    device's process, and who is who is found afterwards."""

    #: Tells the two kinds of detector apart: True.
    batched: ClassVar[bool]

    def setup_reader(self) -> None:
        """What `prepare` needs; loads no weights. Raises like `check`."""
        ...

    def prepare(self, frames: NDArray[np.uint8]) -> Chunk:
        """One unit of model input for each of ``frames`` [n, H, W, 3] RGB."""
        ...

    def infer(self, units: Chunk) -> list[People]:
        """The people of every unit, in pixels of the frames that `prepare` was given."""
        ...


def detects_in_batches(
    detector: PersonDetector | BatchedDetector,
) -> TypeGuard[BatchedDetector]:
    """Whether a detector is of the second kind."""
    return bool(getattr(detector, "batched", False))


def person_detector(spec: str) -> PersonDetector | BatchedDetector:
    """The first-pass backend named by ``spec``; UsageError, naming the choices, where unknown."""
    kind, colon, name = spec.partition(":")
    if spec == "mediapipe":
        from motionkit.backends.mediapipe_pose import MediapipeDetector

        return MediapipeDetector()
    if kind == "yolo" and (name or not colon):
        from motionkit.backends.yolo import DEFAULT, YoloDetector

        return YoloDetector(name or DEFAULT)
    raise UsageError(
        f"There is no people detector named '{spec}'.",
        hint=f"choose from: {', '.join(DETECTORS)} (docs/people.md)",
    )


def pose_estimator(spec: str, *, flip_test: bool = True) -> PoseEstimator | BatchedPose:
    """The second-pass backend named by ``spec``; UsageError, naming the choices, where unknown.

    ``flip_test`` is for the models that have one (docs/pose.md); mediapipe has none.
    """
    kind, _, name = spec.partition(":")
    if spec == "mediapipe":
        from motionkit.backends.mediapipe_pose import MediapipePose

        return MediapipePose()
    if kind == "vitpose" and name != "":
        from motionkit.backends.vitpose import VitPose

        return VitPose(name, flip_test)
    if spec == "vitpose":
        from motionkit.backends.vitpose import HUGE, VitPose

        return VitPose(HUGE, flip_test)
    if kind == "mmpose" and name:
        from motionkit.backends.mmpose_topdown import MMPose

        return MMPose(name, flip_test)
    choices = ", ".join(POSES)
    raise UsageError(f"There is no pose estimator named '{spec}'.", hint=f"choose from: {choices}")


def measure(
    estimator: PoseEstimator | BatchedPose,
    frames: NDArray[np.uint8],
    boxes: NDArray[np.floating],
) -> NDArray[np.float32]:
    """Keypoints [n, 17, 3] by either kind of estimator, in this process, one unit at a time where
    it takes batches. For looking into single pictures; the stage `pose` batches."""
    if not is_batched(estimator):
        return estimator.estimate(frames, boxes)  # type: ignore[union-attr]
    units = estimator.prepare(frames, boxes)
    return np.stack([estimator.infer(unit)[0] for unit in pieces(units, 1)])
