"""Embedded poses: mediapipe 0.10.21, whose wheel carries the weights (Apache-2.0).

mediapipe's own `Pose` follows one person a picture, the one its detector likes best. Here its two
models run as two graphs of their own, so that **we** say who is measured:

- the *detector* (224 x 224 of the whole picture) names every upper body it sees, with the hip
  centre and the circle round the whole person;
- the *landmark model* (256 x 256) measures the person inside one such turned square (`Square`)
  and says whether there is one.

The landmark model returns the next square beside its 33 points, so a person is followed from
frame to frame without the detector. Nothing is smoothed over time and no state is left after
`reset`: the same frames give the same bytes.

**33 landmarks to COCO-17** (`LANDMARKS`): nose 0, eyes 2 5, ears 7 8, shoulders 11 12, elbows 13
14, wrists 15 16, hips 23 24, knees 25 26, ankles 27 28 (left, right). mediapipe's left is the
person's left, as in COCO. The confidence is the smaller of its ``visibility`` (not hidden) and
``presence`` (inside the picture), both 0..1; a point outside the picture keeps its estimated
place and has confidence 0.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import importlib.metadata
import importlib.util
import math
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionkit.backends.people import body_box
from motionkit.errors import MissingExtraError

#: mediapipe's landmark of each COCO-17 keypoint.
LANDMARKS: tuple[int, ...] = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)

#: The weights inside the package; their bytes are part of a backend's identity.
WEIGHTS: tuple[str, ...] = (
    "modules/pose_detection/pose_detection.tflite",
    "modules/pose_landmark/pose_landmark_full.tflite",
)

_DETECTOR_GRAPH = """
input_stream: "IMAGE:image"
output_stream: "DETECTIONS:detections"
node {
  calculator: "PoseDetectionCpu"
  input_stream: "IMAGE:image"
  output_stream: "DETECTIONS:detections"
}
"""
_LANDMARK_GRAPH = """
input_stream: "IMAGE:image"
input_stream: "ROI:roi"
output_stream: "LANDMARKS:landmarks"
output_stream: "AUXILIARY_LANDMARKS:auxiliary"
node {
  calculator: "PoseLandmarkByRoiCpu"
  input_stream: "IMAGE:image"
  input_stream: "ROI:roi"
  output_stream: "LANDMARKS:landmarks"
  output_stream: "AUXILIARY_LANDMARKS:auxiliary"
}
"""

#: Both models name the hip centre and a point on the circle round the body; the square that the
#: landmark model wants is a quarter wider than that circle (mediapipe's own margin).
CIRCLE_MARGIN = 1.25
#: Side of that square over the longer side of a person's box.
SQUARE_OVER_BOX = 1.3


@dataclasses.dataclass(frozen=True)
class Square:
    """A turned square round a person: centre and side in pixels, turn in radians.

    The turn is 0 where the person's head is above the hips in the picture. ``score`` 0..1 is the
    detector's; a square that comes from landmarks or a box has none (0).
    """

    cx: float
    cy: float
    side: float
    turn: float
    score: float = 0.0

    @staticmethod
    def round_body(
        hip: tuple[float, float], rim: tuple[float, float], score: float = 0.0
    ) -> Square:
        """From the hip centre and the point of the body's circle beyond the head, pixels."""
        (hip_x, hip_y), (rim_x, rim_y) = hip, rim
        dx, dy = rim_x - hip_x, rim_y - hip_y
        turn = math.pi / 2 - math.atan2(-dy, dx)
        turn = (turn + math.pi) % (2 * math.pi) - math.pi
        return Square(hip_x, hip_y, 2 * math.hypot(dx, dy) * CIRCLE_MARGIN, turn, score)

    @staticmethod
    def round_box(box: NDArray[np.floating]) -> Square:
        """From a person's box (x0, y0, x1, y1, pixels): upright, about its centre."""
        x0, y0, x1, y1 = (float(v) for v in box[:4])
        side = max(x1 - x0, y1 - y0) * SQUARE_OVER_BOX
        return Square((x0 + x1) / 2, (y0 + y1) / 2, side, 0.0)


@dataclasses.dataclass(frozen=True)
class Measured:
    """One measured person: keypoints [17, 3] and box [4] in pixels, and where to look next.

    The next square hands on the best score that the detector gave this person so far.
    """

    keypoints: NDArray[np.float32]
    box: NDArray[np.float32]
    square: Square


def coco_keypoints(landmarks: NDArray[np.floating], width: int, height: int) -> NDArray[np.float32]:
    """COCO-17 [17, 3] from 33 landmarks [33, 4] (x, y in pixels, visibility, presence)."""
    chosen = np.asarray(landmarks, np.float32)[list(LANDMARKS)]
    x, y = chosen[:, 0], chosen[:, 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    confidence = np.where(inside, chosen[:, 2:4].min(1), 0.0).clip(0.0, 1.0)
    return np.stack([x, y, confidence], 1).astype(np.float32)


class Graphs:
    """The two loaded models; pixels in, pixels out."""

    def __init__(self) -> None:
        package_folder()  # MissingExtraError before anything is loaded
        with _quiet_start():
            from mediapipe.framework.formats.rect_pb2 import NormalizedRect
            from mediapipe.python.solution_base import PacketDataType, SolutionBase

            self._rect = NormalizedRect
            self._detector = SolutionBase(
                graph_config=_DETECTOR_GRAPH,
                stream_type_hints={"detections": PacketDataType.PROTO_LIST},
            )
            self._landmarks = SolutionBase(
                graph_config=_LANDMARK_GRAPH,
                stream_type_hints={
                    "image": PacketDataType.IMAGE_FRAME,
                    "roi": PacketDataType.PROTO,
                    "landmarks": PacketDataType.PROTO,
                    "auxiliary": PacketDataType.PROTO,
                },
            )
            # The first run writes the runtime's start-up notes; have them here.
            empty = np.zeros((256, 256, 3), np.uint8)
            self.squares(empty)
            self.measure(empty, Square(128.0, 128.0, 256.0, 0.0))

    def squares(self, image: NDArray[np.uint8]) -> list[Square]:
        """Squares round the bodies that the detector sees in ``image`` [H, W, 3], best first."""
        height, width = image.shape[:2]
        found = self._detector.process({"image": image}).detections or []
        out = []
        for detection in sorted(found, key=lambda d: -d.score[0]):
            hip, rim = detection.location_data.relative_keypoints[:2]
            out.append(
                Square.round_body(
                    (hip.x * width, hip.y * height),
                    (rim.x * width, rim.y * height),
                    float(detection.score[0]),
                )
            )
        return out

    def measure(self, image: NDArray[np.uint8], square: Square) -> Measured | None:
        """The person in ``square``; None where the model sees none there."""
        height, width = image.shape[:2]
        if not square.side >= 4.0:  # also turns away nan
            return None
        roi = self._rect(
            x_center=square.cx / width,
            y_center=square.cy / height,
            width=square.side / width,
            height=square.side / height,
            rotation=square.turn,
        )
        result = self._landmarks.process({"image": image, "roi": roi})
        if not result.landmarks:
            return None
        points = np.array(
            [
                (p.x * width, p.y * height, p.visibility, p.presence)
                for p in result.landmarks.landmark
            ],
            np.float32,
        )
        keypoints = coco_keypoints(points, width, height)
        box = body_box(keypoints, width, height)
        if box is None:
            return None
        hip, rim = result.auxiliary.landmark[:2]
        around = Square.round_body(
            (hip.x * width, hip.y * height), (rim.x * width, rim.y * height), square.score
        )
        return Measured(keypoints, box, around)


def package_folder() -> Path:
    """Where mediapipe is installed, without importing it.

    Raises MissingExtraError where it, or a version with the weights inside, is absent.
    """
    spec = importlib.util.find_spec("mediapipe")
    for folder in spec.submodule_search_locations or [] if spec else []:
        if all((Path(folder) / weights).is_file() for weights in WEIGHTS):
            return Path(folder)
    raise MissingExtraError("mediapipe", "mediapipe", needed_for="The embedded pose backend")


@functools.lru_cache(maxsize=1)
def weights_identity() -> dict[str, Any]:
    """Backend, package version and SHA-256 of the weights; raises as `package_folder`."""
    folder = package_folder()
    return {
        "backend": "mediapipe",
        "package": importlib.metadata.version("mediapipe"),
        "weights": {
            Path(name).name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for name in WEIGHTS
        },
    }


@contextlib.contextmanager
def _quiet_start() -> Iterator[None]:
    """Holds back what the C++ runtime writes to the error stream while it starts.

    It writes past Python, before its log level can be set. Handed on if the start fails.
    """
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        kept = os.dup(2)
        try:
            os.dup2(held.fileno(), 2)
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
