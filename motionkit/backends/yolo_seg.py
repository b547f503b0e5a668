"""`yolo-seg:NAME`: ultralytics' YOLO segmentation models, frame by frame.

Readers letterbox the frames; the device's process runs the model and takes suppression, boxes and
masks from the library. Of the people in a frame, the one whose box overlaps
the clip's person most is taken, and nobody where none overlaps enough. Its mask is that of
``YOLO(file).predict(frame, retina_masks=True)``, tested pixel for pixel: the model's mask brought
to the frame's own pixels, and cut to the instance's box.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from motionkit import devices, weights
from motionkit.backends.segmentation import Counts, MaskClip, counts_of
from motionkit.backends.ultralytics_import import check_ultralytics, ultralytics_version
from motionkit.backends.yolo_weights import SIDE, letterbox, load_network
from motionkit.stage import Chunk
from motionkit.weights.places import place_of


@dataclasses.dataclass
class YoloSegmenter:
    """See `segmentation.BatchSegmenter`; ``model`` names a .pt file of the models folder."""

    model: str
    score_min: float = 0.25  # ultralytics' own default
    overlap_max: float = 0.7  # boxes that share more are one person; ultralytics' default
    people_max: int = 300  # in a frame; ultralytics' default
    box_overlap_min: float = 0.3  # with the person's box (IoU); less is somebody else

    mode: ClassVar[str] = "batches"
    source: ClassVar[str] = "yolo-seg"

    def __post_init__(self) -> None:
        place_of(self.spec)  # UsageError where the name can be no model's
        self._network: Any = None
        self._person: int = 0

    @property
    def spec(self) -> str:
        """Name of the weights, as `weights.find` takes it."""
        return f"yolo-seg:{self.model}"

    def check(self) -> None:
        """MissingExtraError where ultralytics is not installed; imports nothing."""
        check_ultralytics(f"the segmenter '{self.spec}'")

    def identity(self) -> dict[str, Any]:
        """Package, weights and settings; raises like `check`, and `weights.ModelMissing`."""
        self.check()
        return {
            "package": f"ultralytics {ultralytics_version()}",
            "weights": weights.find(self.spec).sha256,
            "segmenter": dataclasses.asdict(self),
            "side": SIDE,
        }

    def setup_reader(self) -> None:
        """OpenCV on one thread: the engine has a reader for every core."""
        import cv2

        cv2.setNumThreads(1)

    def setup(self) -> None:
        """Load the model on the process's device. Raises like `identity`; UsageError for a file
        that holds no segmentation model with a class "person"."""
        needed_for = f"the segmenter '{self.spec}'"
        self._network = load_network(self.spec, needed_for, _not_right, _predictor)
        (self._person,) = _people(self._network)

    def places(self, clip: MaskClip) -> NDArray[np.integer]:
        """The frames that are asked for and have the person's box."""
        return np.flatnonzero(clip.wanted & clip.seen)

    def read(self, clip: MaskClip) -> Iterator[Chunk]:
        """``image`` uint8 [n, h, w, 3], letterboxed; ``box`` float32 [n, 4], the person's, in
        pixels of the frames as they were before; ``frame_size`` and ``video_size`` int32 [n, 2],
        (H, W) of these frames and of the video as shown."""
        for places, frames in clip.pictures(self.places(clip)):
            sizes = np.array([frames.shape[1:3], (clip.height, clip.width)], np.int32)
            yield {
                "image": letterbox(frames),
                "box": clip.scaled(places, frames[0].shape),
                "frame_size": np.tile(sizes[0], (len(frames), 1)),
                "video_size": np.tile(sizes[1], (len(frames), 1)),
            }

    def infer(self, units: Chunk) -> list[Counts]:
        """The person's mask in each unit, None where nobody overlaps their box enough."""
        import torch
        from ultralytics.utils import nms

        assert self._network is not None, "setup() comes first"
        device = devices.current()
        with device.inference():
            images = torch.from_numpy(np.ascontiguousarray(units["image"])).to(device.name)
            images = images.permute(0, 3, 1, 2).contiguous().float().div_(255)
            made = self._network(images)
        with torch.inference_mode():
            prototypes = made[0][1] if isinstance(made[0], tuple) else made[1]
            found = made[0][0] if isinstance(made[0], tuple) else made[0]
            each = nms.non_max_suppression(
                found.float(),
                self.score_min,
                self.overlap_max,
                classes=[self._person],
                max_det=self.people_max,
                nc=len(self._network.names),
                max_time_img=1e9,  # by default frames are emptied silently after 2 s
                end2end=bool(getattr(self._network, "end2end", False)),
            )
            size = tuple(units["image"].shape[1:3])
            out: list[Counts] = []
            for i, rows in enumerate(each):
                height, width = (int(v) for v in units["video_size"][i])
                mask = self._mask(
                    rows, prototypes[i], size, units["frame_size"][i], units["box"][i]
                )
                out.append(counts_of(mask, width, height))
        return out

    def _mask(
        self,
        rows: Any,
        prototypes: Any,
        size: tuple[int, ...],
        frame_size: NDArray[np.int32],
        box: NDArray[np.float32],
    ) -> NDArray[np.bool_] | None:
        """The mask [H, W] at ``frame_size`` of the instance in ``rows`` that is the person."""
        from ultralytics.utils import ops

        shape = (int(frame_size[0]), int(frame_size[1]))
        boxes = ops.scale_boxes(size, rows[:, :4].clone(), shape)
        overlaps = overlap(boxes.cpu().numpy(), box)
        for place in np.argsort(-overlaps, kind="stable"):
            if overlaps[place] < self.box_overlap_min:
                break
            one = slice(int(place), int(place) + 1)
            masks = ops.process_mask_native(prototypes, rows[one, 6:], boxes[one], shape)
            mask: NDArray[np.bool_] = masks[0].cpu().numpy() > 0
            if mask.any():  # the library leaves instances without a pixel out, too
                return mask
        return None


def overlap(boxes: NDArray[np.floating], box: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union [n] of ``boxes`` [n, 4] with ``box`` [4], xyxy; 0 for empty ones."""
    boxes, box = np.asarray(boxes, np.float64), np.asarray(box, np.float64)
    sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    shared = sides.clip(0).prod(1)
    union = (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(1) + (box[2:] - box[:2]).clip(0).prod()
    return shared / np.maximum(union - shared, 1e-9)


def _people(model: Any) -> list[int]:
    return [number for number, name in model.names.items() if name == "person"]


def _not_right(model: Any) -> str | None:
    if model.task != "segment" or len(_people(model)) != 1:
        return "is no YOLO segmentation model with a class 'person', as yolo11x-seg is."
    return None


def _predictor() -> Any:
    from ultralytics.models.yolo.segment import SegmentationPredictor

    return SegmentationPredictor
