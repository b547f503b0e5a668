"""What ultralytics' YOLO models of every task share: the file, the letterbox, the last layer.

A .pt file can run code when it is loaded: it is taken from the models folder alone. Readers bring
frames to the model's size (`letterbox`: what ultralytics does, without importing it); the model
itself is set up by ultralytics' own predictor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit import devices, weights
from motionkit.backends.ultralytics_import import (
    check_ultralytics,
    import_ultralytics,
    ultralytics_version,
)
from motionkit.errors import UsageError

#: Longer side that frames are brought to, and what both sides become a multiple of.
SIDE, STRIDE = 640, 32
#: Brightness of the border that fills a frame up.
_BORDER = 114


def letterbox(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Frames [n, H, W, 3] with the longer side at `SIDE`, filled up with grey to the next multiple
    of `STRIDE`, the picture in the middle: as ultralytics does for frames of one size."""
    height, width = frames.shape[1:3]
    scale = min(SIDE / height, SIDE / width)
    inner_h, inner_w = max(round(height * scale), 1), max(round(width * scale), 1)
    fill_h, fill_w = (SIDE - inner_h) % STRIDE, (SIDE - inner_w) % STRIDE
    top, left = round(fill_h / 2 - 0.1), round(fill_w / 2 - 0.1)
    out = np.full((len(frames), inner_h + fill_h, inner_w + fill_w, 3), _BORDER, np.uint8)
    for frame, filled in zip(frames, out, strict=True):
        inner = filled[top : top + inner_h, left : left + inner_w]
        if (height, width) == (inner_h, inner_w):
            inner[:] = frame
        else:
            inner[:] = cv2.resize(frame, (inner_w, inner_h), interpolation=cv2.INTER_LINEAR)
    return out


def load_network(
    spec: str, needed_for: str, check: Callable[[Any], str | None], predictor: Callable[[], Any]
) -> Any:
    """The network of ``spec``, fused and on the process's device.

    ``check`` says of the loaded model what it is not (None: it is right); ``predictor`` gives the
    task's predictor class of ultralytics. MissingExtraError without ultralytics,
    `weights.ModelMissing` without the file, UsageError for one that is not right.
    """
    device = devices.current()
    device.prepare()
    check_ultralytics(needed_for)
    path = weights.find(spec).path
    if not path.is_relative_to(weights.models_folder()) or path.suffix != ".pt":
        raise UsageError(f"{path} is no .pt file in the models folder {weights.models_folder()}")
    if "'" in str(path):  # ultralytics leaves it out, finds no such file and asks the network
        raise UsageError(f"ultralytics reads no file with an apostrophe in its path: {path}")
    ultralytics = import_ultralytics(needed_for)
    import torch

    try:
        model = ultralytics.YOLO(str(path))
    except TypeError as error:  # what ultralytics raises for a file that it does not trust or know
        raise UsageError(
            f"{path} cannot be loaded: {str(error).splitlines()[0]}",
            hint=f"motionkit models verify {spec}",
        ) from error
    wrong = check(model)
    if wrong is not None:
        raise UsageError(f"{path} {wrong}", hint="see docs/models.md for those that are")
    made = predictor()(overrides={"verbose": False, "save": False, "mode": "predict"})
    made.args.device = torch.device(device.name)
    made.setup_model(model.model, verbose=False)
    _check_letterbox(int(made.model.stride))
    if device.precision != "fp32":
        _head_in_fp32(made.model, device)
    return made.model


def _check_letterbox(stride: int) -> None:
    """UsageError where the installed ultralytics prepares frames in another way than we do."""
    from ultralytics.data.augment import LetterBox

    frame = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)
    theirs = LetterBox((SIDE, SIDE), auto=True, stride=stride)(image=frame)
    if not np.array_equal(theirs, letterbox(frame[None])[0]):
        raise UsageError(
            f"ultralytics {ultralytics_version()} brings frames to size in a way that this "
            f"motionkit does not know, or the model works in steps of {stride} pixels.",
            hint="pip install 'ultralytics>=8.4,<8.5', and a model like yolo11x-pose",
        )


def _head_in_fp32(network: Any, device: devices.Device) -> None:
    """Keep the last layer out of autocast: half precision holds pixels above 512 in steps of a
    half (bf16: of 4)."""
    import torch
    from ultralytics.nn.modules.head import Detect

    (head,) = (module for module in network.model.modules() if isinstance(module, Detect))
    forward, kind = head.forward, device.name.partition(":")[0]

    def in_fp32(features: Any) -> Any:
        with torch.autocast(kind, enabled=False):
            return forward([feature.float() for feature in features])

    head.forward = in_fp32
