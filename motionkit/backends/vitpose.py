"""ViTPose through transformers: the accurate second pass (Xu et al., 2022; huge in the paper).

The model and the crop are transformers' own: `VitPoseImageProcessor` cuts the box, widened to
the model's aspect and by a quarter, out of the picture, in reader processes; what crosses to the
device is its 8-bit crop, a quarter of its floats, from which the same floats are made there. The
keypoints are those of `post_process_pose_estimation` (see `heatmaps`).
"""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from motionkit import devices, weights
from motionkit.backends import heatmaps
from motionkit.backends.people import usable
from motionkit.errors import UsageError, need_packages
from motionkit.keypoints import MIRROR
from motionkit.stage import Chunk
from motionkit.weights.places import place_of

if TYPE_CHECKING:
    import torch

#: What plain ``vitpose`` means: ViTPose-H, as in the paper.
HUGE = "usyd-community/vitpose-plus-huge"
#: Left and right of each kind.
PAIRS = tuple((i, j) for i, j in enumerate(MIRROR) if i < j)
#: Which of the mixtures' experts was trained on COCO.
COCO = 0


@dataclasses.dataclass
class VitPose:
    """Second pass (`people.BatchedPose`) by the model ``vitpose:NAME`` of the models folder.

    ``flip_test``: the mirrored crop is measured as well, and the two heatmaps are averaged, as in
    the evaluation of the ViTPose paper; twice the time.
    """

    name: str = HUGE
    flip_test: bool = True
    batched: ClassVar[bool] = True

    def __post_init__(self) -> None:
        place_of(self.spec)  # UsageError where the name can be no model's
        self._processor: Any = None
        self._model: Any = None
        self._levels: torch.Tensor | None = None

    @property
    def spec(self) -> str:
        """The model's name in the models folder."""
        return f"vitpose:{self.name}"

    def check(self) -> None:
        """MissingExtraError where torch, transformers or scipy is not installed."""
        packages = ("torch", "transformers", "scipy")
        need_packages(packages, "vitpose", f"the backend '{self.spec}'")

    def identity(self) -> dict[str, Any]:
        """Package version, weights and settings. `weights.ModelMissing` where they are absent."""
        from importlib.metadata import version

        self.check()
        return {
            "spec": self.spec,
            "transformers": version("transformers"),
            "weights": weights.find(self.spec).sha256,
            "flip_test": self.flip_test,
        }

    def reset(self) -> None:
        """Nothing is remembered."""

    def setup_reader(self) -> None:
        """Load the processor: a few settings."""
        if self._processor is None:
            self.check()
            self._processor = _processor(str(weights.find(self.spec).path))

    def setup(self) -> None:
        """Load the model on this process's device.

        UsageError where it is no model of the 17 COCO keypoints or not the processor's size.
        """
        from transformers import VitPoseForPoseEstimation

        self.setup_reader()
        device = devices.current()
        device.prepare()
        folder = str(weights.find(self.spec).path)
        model = VitPoseForPoseEstimation.from_pretrained(folder, local_files_only=True).float()
        size = (self._processor.size["height"], self._processor.size["width"])
        backbone = model.config.backbone_config
        if tuple(backbone.image_size) != size or model.head.conv.out_channels != len(MIRROR):
            raise UsageError(
                f"{self.spec} takes pictures of {tuple(backbone.image_size)} and gives "
                f"{model.head.conv.out_channels} keypoints; its processor makes {size}, and 17 "
                "COCO keypoints are wanted",
                hint="use a model of docs/pose.md",
            )
        self._model = model.to(device.name).eval()
        self._levels = levels_of(self._processor).to(device.name)

    def prepare(self, frames: NDArray[np.uint8], boxes: NDArray[np.floating]) -> Chunk:
        """``crops`` uint8 [n, 3, H, W], and ``boxes`` float64 [n, 4] as x, y, width, height in
        pixels of ``frames``; all 0 where there is no box."""
        assert self._processor is not None, "setup_reader() comes first"
        size = self._processor.size
        crops = np.zeros((len(frames), 3, size["height"], size["width"]), np.uint8)
        corners = np.asarray(boxes, np.float64)
        xywh = np.concatenate([corners[:, :2], corners[:, 2:4] - corners[:, :2]], 1)
        there = usable(corners, frames.shape[2], frames.shape[1])
        xywh[~there] = 0
        for i in np.flatnonzero(there):
            (crops[i],) = self._processor(
                [frames[i]],
                boxes=[[xywh[i].tolist()]],
                do_rescale=False,
                do_normalize=False,
                input_data_format="channels_last",
                return_tensors="np",
            )["pixel_values"]
        return {"crops": crops, "boxes": xywh}

    def infer(self, units: Chunk) -> list[NDArray[np.float32]]:
        """Keypoints [17, 3] of each crop, in pixels of its frame; zeros where there was no box.

        A keypoint whose heatmap is nowhere above 0 is 0, 0, 0. Confidence is the height of the
        heatmap's top, cut to 0..1.
        """
        boxes = units["boxes"]
        out = np.zeros((len(boxes), len(MIRROR), 3), np.float32)
        there = boxes[:, 2] > 0
        if there.any():
            # All units, so that the model is always called with as many: another number of them
            # changes the last bits.
            maps = self._heatmaps(np.ascontiguousarray(units["crops"]))[there]
            places, values = heatmaps.highest(maps)
            out[there, :, :2] = self._to_picture(places, boxes[there], maps.shape[2:])
            out[there, :, 2] = values.clip(0, 1)
            out[out[:, :, 2] == 0] = 0
        return list(out)

    def _heatmaps(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Heatmaps [n, 17, h, w] of crops [n, 3, H, W]."""
        import torch

        assert self._model is not None and self._levels is not None, "setup() comes first"
        device = devices.current()
        with device.inference():
            raw = torch.from_numpy(crops).to(device.name)
            pixels = torch.stack(
                [levels[raw[:, c].long()] for c, levels in enumerate(self._levels)], 1
            )
            index = None
            if self._model.config.backbone_config.num_experts > 1:
                index = torch.full((len(pixels),), COCO, dtype=torch.long, device=pixels.device)
            maps = self._model(pixels, dataset_index=index).heatmaps.float()
            if self.flip_test:
                pairs = torch.tensor(PAIRS, device=pixels.device)
                mirrored = self._model(pixels.flip(-1), dataset_index=index, flip_pairs=pairs)
                maps = (maps + mirrored.heatmaps.float()) * 0.5
        return maps.cpu().numpy()

    def _to_picture(
        self, places: NDArray[np.float32], boxes: NDArray[np.float64], size: tuple[int, ...]
    ) -> NDArray[np.float32]:
        """Places [n, 17, 2] in heatmaps of ``size`` (h, w) → pixels of the frames.

        The corners of a heatmap are those of its crop, which is the box widened as the processor
        widens it. Sums are in float32 and in the processor's order, so that the bits agree.
        """
        to_crop = library_of(self._processor).box_to_center_and_scale
        input_size = self._processor.size
        out = np.empty_like(places)
        for i, box in enumerate(boxes):
            centre, scale = to_crop(
                box.tolist(), image_width=input_size["width"], image_height=input_size["height"]
            )
            side = scale * 200.0
            step = side / (np.array(size[::-1], np.float32) - 1)
            out[i] = places[i] * step + centre - side * 0.5
        return out


def processor_class() -> Any:
    """transformers' processor that needs no torchvision: the same with and without it."""
    module = importlib.import_module("transformers.models.vitpose")
    # Until transformers 5 the class without torchvision had the plain name.
    return getattr(module, "VitPoseImageProcessorPil", None) or module.VitPoseImageProcessor


def _processor(folder: str) -> Any:
    from transformers.utils import logging

    logging.disable_progress_bar()  # progress is the command line's matter
    return processor_class().from_pretrained(folder, local_files_only=True)


def library_of(processor: Any) -> Any:
    """The module that a processor is defined in, with its geometry of boxes."""
    return importlib.import_module(type(processor).__module__)


def levels_of(processor: Any) -> torch.Tensor:
    """The floats [3, 256] that the processor makes of the 256 levels of each colour."""
    import torch

    ramp = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, 2)
    uncut = copy.copy(processor)
    uncut.do_affine_transform = False
    made = uncut([ramp], boxes=None, input_data_format="channels_last", return_tensors="np")
    return torch.from_numpy(np.asarray(made["pixel_values"][0], np.float32).reshape(3, 256))
