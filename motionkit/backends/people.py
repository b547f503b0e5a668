"""Who finds people and their keypoints: the two interfaces, and the backends by name.

The first pass (`PersonDetector`) says where people are; the second (`PoseEstimator`) measures one
chosen person inside a box. A backend is named by a spec, ``NAME`` or ``NAME:WEIGHTS``: `mediapipe`.
Backends import their packages in ``setup``, never when they are named.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import UsageError

#: Specs that this version can run.
AVAILABLE: tuple[str, ...] = ("mediapipe",)
#: Names that recipes of the paper use and that this version cannot run.
NOT_YET: tuple[str, ...] = ("yolo", "vitpose")
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


def person_detector(spec: str) -> PersonDetector:
    """The first-pass backend named by ``spec``; UsageError, naming the choices, where unknown."""
    if spec == "mediapipe":
        from motionkit.backends.mediapipe_pose import MediapipeDetector

        return MediapipeDetector()
    raise _unknown(spec, "people detector")


def pose_estimator(spec: str) -> PoseEstimator:
    """The second-pass backend named by ``spec``; UsageError, naming the choices, where unknown."""
    if spec == "mediapipe":
        from motionkit.backends.mediapipe_pose import MediapipePose

        return MediapipePose()
    raise _unknown(spec, "pose estimator")


def _unknown(spec: str, kind: str) -> UsageError:
    if spec.partition(":")[0] in NOT_YET:
        message = f"The {kind} '{spec}' is not in this version of motionkit."
    else:
        message = f"There is no {kind} named '{spec}'."
    return UsageError(message, hint=f"choose from: {', '.join(AVAILABLE)}")
