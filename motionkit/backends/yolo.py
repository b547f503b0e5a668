"""First pass on ultralytics' YOLO pose models: everybody in a frame, with 17 keypoints.

Readers letterbox the frames (`letterbox`: what ultralytics does, without importing it); the
device's process runs the model and takes boxes, suppression and scaling from the library. The
result is that of ``YOLO(file).predict(frames)``, tested to 1e-3 px. Nothing is carried from frame
to frame: who is who is found afterwards, over the whole shot (`stages._linking`).
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit import devices, weights
from motionkit.backends.people import People
from motionkit.backends.ultralytics_import import check_ultralytics, ultralytics_version
from motionkit.backends.yolo_weights import SIDE, letterbox, load_network
from motionkit.errors import UsageError
from motionkit.stage import Chunk

#: The model of the paper, and the family it is from (n, s, m, l, x: small and fast to large).
DEFAULT = "yolo11x-pose"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclasses.dataclass
class YoloDetector:
    """A batched `people.PersonDetector`; ``model`` names a file of the models folder."""

    model: str = DEFAULT
    score_min: float = 0.25  # ultralytics' own default
    overlap_max: float = 0.7  # boxes that share more are one person; ultralytics' default
    people_max: int = 300  # in a frame; ultralytics' default

    batched: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.model):
            raise UsageError(
                f"'{self.model}' is no name of a YOLO model.",
                hint=f"yolo:{DEFAULT}, or the name of a .pt file in the models folder's yolo/",
            )
        self._network: Any = None

    @property
    def spec(self) -> str:
        """Name of the weights, as `weights.find` takes it."""
        return f"yolo:{self.model}"

    def check(self) -> None:
        """MissingExtraError where ultralytics is not installed; imports nothing."""
        check_ultralytics(f"the people detector '{self.spec}'")

    def identity(self) -> dict[str, Any]:
        """Package version, weights and settings; raises like `check` and `weights.find`."""
        self.check()
        return {
            "package": f"ultralytics {ultralytics_version()}",
            "weights": weights.find(self.spec).sha256,
            "detector": dataclasses.asdict(self),
            "side": SIDE,
        }

    def setup_reader(self) -> None:
        """OpenCV on one thread: the engine has a reader for every core."""
        cv2.setNumThreads(1)

    def setup(self) -> None:
        """Load the model on the process's device.

        Raises like `identity`; UsageError for a file that holds no pose model of people.
        """
        needed_for = f"the people detector '{self.spec}'"
        self._network = load_network(self.spec, needed_for, _not_right, _predictor)

    def reset(self) -> None:
        """Nothing to forget."""

    def prepare(self, frames: NDArray[np.uint8]) -> Chunk:
        """Model input of ``frames`` [n, H, W, 3] RGB: ``image`` uint8 [n, h, w, 3], letterboxed,
        and ``frame_size`` int32 [n, 2], (H, W)."""
        size = np.array(frames.shape[1:3], np.int32)
        return {"image": letterbox(frames), "frame_size": np.tile(size, (len(frames), 1))}

    def infer(self, units: Chunk) -> list[People]:
        """The people of each unit of `prepare`, best score first, in pixels of its frame."""
        import torch
        from ultralytics.utils import nms, ops

        assert self._network is not None, "setup() comes first"
        device = devices.current()
        with device.inference():
            images = torch.from_numpy(units["image"]).to(device.name)
            images = images.permute(0, 3, 1, 2).contiguous().float().div_(255)
            found = self._network(images)
            found = found[0] if isinstance(found, (list, tuple)) else found
        with torch.inference_mode():
            end2end = bool(getattr(self._network, "end2end", False))
            if not end2end:  # what no frame needs stays behind: suppression then costs nothing
                found = found[:, :, (found[:, 4] > self.score_min).any(0)]
            each = nms.non_max_suppression(
                found.float().cpu(),
                self.score_min,
                self.overlap_max,
                max_det=self.people_max,
                nc=1,
                max_time_img=1e9,  # by default frames are emptied silently after 2 s
                end2end=end2end,
            )
            size = tuple(units["image"].shape[1:3])
            out = []
            for rows, (height, width) in zip(each, units["frame_size"].tolist(), strict=True):
                boxes = ops.scale_boxes(size, rows[:, :4].clone(), (height, width))
                points = rows[:, 6:].reshape(-1, 17, 3).clone()
                points = ops.scale_coords(size, points, (height, width))
                boxes = torch.cat([boxes, rows[:, 4:5]], 1)
                out.append(People(_array(boxes), _array(points)))
        return out


def _not_right(model: Any) -> str | None:
    shape = list(getattr(model.model, "kpt_shape", ()))
    if model.task != "pose" or shape != [17, 3] or len(model.names) != 1:
        return f"is no YOLO model of people with 17 keypoints, as {DEFAULT} is."
    return None


def _predictor() -> Any:
    from ultralytics.models.yolo.pose import PosePredictor

    return PosePredictor


def _array(values: Any) -> NDArray[np.float32]:
    return np.ascontiguousarray(values.numpy(), np.float32)
