"""Top-down models of mmpose (ViTPose, HRNet, RTMPose …): the named alternative for the second pass.

mmpose does not install with plain pip; ``scripts/install-mmpose.sh`` makes an environment for it.
A model is a folder ``mmpose/CONFIG`` of the models folder with one configuration (``.py``) and one
checkpoint (``.pth``), as ``scripts/fetch-mmpose.py`` puts them there. A configuration of mmpose
**is a program** and is run, which is why it is taken from that folder alone; checkpoints are
loaded as weights only.

Cutting, normalising, the flip test and decoding are mmpose's own: its test pipeline in the reader
processes, its ``test_step`` on the device.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import pickle
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from motionkit import devices, weights
from motionkit.backends.people import usable
from motionkit.errors import MotionkitError, UsageError
from motionkit.keypoints import COCO17, MIRROR
from motionkit.stage import Chunk
from motionkit.weights.places import place_of

#: Packages that decide the result.
PACKAGES = ("mmpose", "mmengine", "mmcv-lite", "mmcv", "mmpretrain")


class MMPoseMissing(MotionkitError):
    """mmpose is not installed in this environment."""

    def __init__(self, spec: str) -> None:
        super().__init__(
            f"the backend '{spec}' needs the package 'mmpose', which is not installed here.",
            hint="make an environment that has it: scripts/install-mmpose.sh FOLDER (docs/pose.md)",
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (_missing, (self.message, self.hint))


def _missing(message: str, hint: str | None) -> MMPoseMissing:
    error = MMPoseMissing.__new__(MMPoseMissing)
    MotionkitError.__init__(error, message, hint=hint)
    return error


@dataclasses.dataclass
class MMPose:
    """Second pass (`people.BatchedPose`) by the model ``mmpose:NAME`` of the models folder.

    ``flip_test``: as in `vitpose.VitPose`, done by mmpose; the configuration's own wish is
    overruled.
    """

    name: str
    flip_test: bool = True
    batched: ClassVar[bool] = True

    def __post_init__(self) -> None:
        place_of(self.spec)  # UsageError where the name can be no model's
        self._pipeline: Callable[[dict[str, Any]], dict[str, Any]] | None = None
        self._meta: dict[str, Any] = {}
        self._shape: tuple[int, ...] = ()
        self._model: Any = None

    @property
    def spec(self) -> str:
        """The model's name in the models folder."""
        return f"mmpose:{self.name}"

    def check(self) -> None:
        """`MMPoseMissing` where mmpose is not installed; imports nothing."""
        if importlib.util.find_spec("mmpose") is None:
            raise MMPoseMissing(self.spec)

    def identity(self) -> dict[str, Any]:
        """Package versions, configuration, weights and settings. `weights.ModelMissing` where they
        are absent."""
        from importlib.metadata import PackageNotFoundError, version

        self.check()
        versions = {}
        for package in PACKAGES:
            try:
                versions[package] = version(package)
            except PackageNotFoundError:
                continue
        return {
            "spec": self.spec,
            "packages": versions,
            "weights": self._files().sha256,
            "flip_test": self.flip_test,
        }

    def reset(self) -> None:
        """Nothing is remembered."""

    def setup_reader(self) -> None:
        """The test pipeline of the configuration; no weights. UsageError where the installed
        packages do not work together."""
        if self._pipeline is not None:
            return
        self.check()
        with _quietly():
            _import_mmpose()
            from mmengine.dataset import Compose
            from mmengine.registry import init_default_scope
            from mmpose.apis.inference import dataset_meta_from_config

            config = self._config()
            init_default_scope(config.get("default_scope", "mmpose"))
            self._meta = dict(dataset_meta_from_config(config, dataset_mode="test") or {})
            self._pipeline = Compose(config.test_dataloader.dataset.pipeline)
            grey = self._cut(np.zeros((8, 8, 3), np.uint8), np.array([0, 0, 8, 8], np.float32))
            self._shape = tuple(grey["inputs"].shape)

    def setup(self) -> None:
        """Load the model on this process's device.

        UsageError where it is not a top-down model of the 17 COCO keypoints, or where the
        checkpoint does not fit the configuration or holds more than weights.
        """
        self.setup_reader()
        device = devices.current()
        device.prepare()
        with _quietly():
            from mmpose.apis import init_model

            model = init_model(self._config(), None, device=device.name)
        state, meta = _checkpoint(self._file(".pth"))
        _load(model, state, self.spec)
        model.dataset_meta = meta or model.dataset_meta
        _check_keypoints(model.dataset_meta, self.spec)
        model.test_cfg["flip_test"] = self.flip_test
        _backbone_on(device, model)
        self._model = model

    def prepare(self, frames: NDArray[np.uint8], boxes: NDArray[np.floating]) -> Chunk:
        """``crops`` uint8 [n, 3, H, W] (BGR, as mmpose takes them), where they lie in the frames
        (``centres``, ``scales`` [n, 2] pixels), and ``there`` bool [n]: whether there is a box.

        mmpose itself would take no box for a box round the whole picture.
        """
        assert self._pipeline is not None, "setup_reader() comes first"
        there = usable(boxes, frames.shape[2], frames.shape[1])
        crops = np.zeros((len(frames), *self._shape), np.uint8)
        centres = np.zeros((len(frames), 2), np.float64)
        scales = np.zeros((len(frames), 2), np.float64)
        for i in np.flatnonzero(there):
            made = self._cut(frames[i], np.asarray(boxes[i, :4], np.float32))
            sample = made["data_samples"]
            crops[i] = made["inputs"].numpy()
            centres[i], scales[i] = sample.input_center, sample.input_scale
        return {"crops": crops, "centres": centres, "scales": scales, "there": there}

    def infer(self, units: Chunk) -> list[NDArray[np.float32]]:
        """Keypoints [17, 3] of each crop, in pixels of its frame; zeros where there was no box.

        A keypoint whose score is not above 0 is 0, 0, 0; confidence is the score, cut to 0..1.
        """
        import torch

        assert self._model is not None, "setup() comes first"
        there = units["there"]
        out = np.zeros((len(there), len(COCO17), 3), np.float32)
        if not there.any():
            return list(out)
        # All units, so that the model is always called with as many: another number of them
        # changes the last bits.
        batch = {
            "inputs": [torch.from_numpy(np.array(crop)) for crop in units["crops"]],
            "data_samples": [self._sample(units, i) for i in range(len(there))],
        }
        with torch.inference_mode():
            results = self._model.test_step(batch)
        for i in np.flatnonzero(there):
            found = results[i].pred_instances
            out[i, :, :2] = np.asarray(found.keypoints)[0]
            out[i, :, 2] = np.asarray(found.keypoint_scores)[0].clip(0, 1)
        out[out[:, :, 2] == 0] = 0
        return list(out)

    def _cut(self, frame: NDArray[np.uint8], box: NDArray[np.float32]) -> dict[str, Any]:
        """What mmpose's test pipeline makes of one box (xyxy) of an RGB frame."""
        assert self._pipeline is not None
        given = {
            "img": np.ascontiguousarray(frame[:, :, ::-1]),
            "bbox": box[None],
            "bbox_score": np.ones(1, np.float32),
        }
        return self._pipeline({**given, **self._meta})

    def _sample(self, units: Chunk, i: int) -> Any:
        """The annotation that mmpose's model wants beside a crop."""
        from mmengine.structures import InstanceData
        from mmpose.structures import PoseDataSample

        height, width = units["crops"].shape[2:]
        sample = PoseDataSample(
            metainfo={
                "input_size": (width, height),
                "input_center": units["centres"][i],
                "input_scale": units["scales"][i],
                "img_shape": (height, width),
                "flip_indices": list(MIRROR),
            }
        )
        sample.gt_instances = InstanceData(
            bboxes=np.zeros((1, 4), np.float32), bbox_scores=np.ones(1, np.float32)
        )
        return sample

    def _files(self) -> weights.ModelFiles:
        try:
            return weights.find(self.spec)
        except weights.ModelMissing as error:  # another command fetches these
            error.hint = f"in mmpose's environment: python scripts/fetch-mmpose.py {self.name}"
            raise

    def _config(self) -> Any:
        from mmengine.config import Config

        return Config.fromfile(str(self._file(".py")))

    def _file(self, ending: str) -> Path:
        """The model's one file of a kind; UsageError where there are several."""
        folder = self._files().path
        files = sorted(folder.glob(f"*{ending}"))
        if len(files) != 1:
            names = ", ".join(file.name for file in files) or "none"
            raise UsageError(
                f"{self.spec} needs one {ending} file in its folder; there are: {names}",
                hint=f"leave the one that counts in {folder}",
            )
        return files[0]


def _import_mmpose() -> None:
    """Import mmpose; its parts are made for older versions of several packages, and fail in many
    ways where newer ones are there (transformers 5: a TypeError deep inside mmpretrain)."""
    try:
        importlib.import_module("mmpose.apis")
    except Exception as error:
        raise UsageError(
            f"mmpose is installed, but cannot be imported: {type(error).__name__}: {error}",
            hint="scripts/install-mmpose.sh FOLDER makes an environment in which it can; put no "
            "transformers there",
        ) from error


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Hides the warnings that mmpose's packages give when they are imported and built."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Weights, and the facts about the training set where they are stored. Nothing but tensors,
    numbers and texts is unpickled."""
    import torch

    try:
        with torch.serialization.safe_globals(_plain_types()):
            data = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise UsageError(
            f"{path} holds more than weights ({named[1] if named else 'a damaged pickle'}) and is "
            "not loaded",
            hint="publish it with mmpose's tools/misc/publish_model.py first",
        ) from error
    state = data.get("state_dict", data)
    meta = data.get("meta", {}).get("dataset_meta")
    return {key.removeprefix("module."): value for key, value in state.items()}, meta


def _plain_types() -> list[Any]:
    """What mmpose's checkpoints hold beside tensors: numpy's arrays and numbers."""
    rebuild = np.zeros(0).__reduce__()[0]
    number = np.float64(0).__reduce__()[0]
    kinds = {type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "u1", "?")}
    both = [
        (function, f"numpy.{core}.multiarray.{name}")
        for core in ("core", "_core")
        for function, name in ((rebuild, "_reconstruct"), (number, "scalar"))
    ]
    empty = [(bytes, f"{module}.bytes") for module in ("builtins", "__builtin__")]
    return [np.ndarray, np.dtype, *kinds, *both, *empty]


def _load(model: Any, state: dict[str, Any], spec: str) -> None:
    lacks, more = model.load_state_dict(state, strict=False)
    if lacks or more:
        raise UsageError(
            f"the checkpoint of {spec} does not fit its configuration: {len(lacks)} weights are "
            f"missing and {len(more)} unknown, such as {[*lacks, *more][0]}",
            hint="use the checkpoint that belongs to this configuration",
        )


def _check_keypoints(meta: dict[str, Any], spec: str) -> None:
    names = tuple(meta["keypoint_id2name"][i] for i in range(int(meta["num_keypoints"])))
    if names != COCO17:
        raise UsageError(
            f"{spec} gives {len(names)} keypoints ({', '.join(names[:3])} …), not the 17 of COCO",
            hint="take a configuration from mmpose's body_2d_keypoint/…/coco",
        )


def _backbone_on(device: devices.Device, model: Any) -> None:
    """Let the backbone run in the device's precision; head and decoding stay in fp32, since
    mmpose decodes what comes out with functions that know no half precision."""
    extract = model.extract_feat

    def features(inputs: Any) -> Any:
        with device.inference():
            made = extract(inputs)
        return type(made)(part.float() for part in made)

    model.extract_feat = features
