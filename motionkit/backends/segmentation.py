"""Who makes a person's masks: what a segmenter is, and the backends by name.

A backend is named by a spec, ``NAME`` or ``NAME:MODEL``: `grabcut`, `file`,
`yolo-seg:yolo11n-seg`, `sam2:facebook/sam2.1-hiera-large`. Backends import their packages in
``setup``, never when they are named. All of them say in their rows who they are.

A segmenter sees a clip's frames once and gives one mask a frame, or None: where it was not asked,
where nobody stands (an empty box is never taken for the whole picture), and where it finds
nobody. How it works on a clip is its ``mode``, as `motionkit.stage` has them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError, UsageError
from motionkit.rle import encode_rle
from motionkit.stage import Chunk

Bool = NDArray[np.bool_]
#: A mask as the tables keep it: COCO's text ("counts") at the video's size, or None.
Counts = str | None

#: Name → module and class, and whether the spec must name a model.
BACKENDS: dict[str, tuple[str, str, bool]] = {
    "grabcut": ("motionkit.backends.grabcut", "GrabCut", False),
    "file": ("motionkit.backends.mask_files", "MaskFileSegmenter", False),
    "yolo-seg": ("motionkit.backends.yolo_seg", "YoloSegmenter", True),
    "sam2": ("motionkit.backends.sam2", "Sam2Segmenter", True),
}
CHOICES = "grabcut, file, yolo-seg:NAME (yolo11n-seg … yolo11x-seg), sam2:REPOSITORY"


@dataclasses.dataclass(frozen=True)
class MaskClip:
    """What a segmenter is asked: one person in the source frames of one clip.

    ``ordinals`` int32 [n], rising, each once; ``boxes`` float32 [n, 4] (xyxy, pixels of the video
    as shown; no area where nobody is); ``keypoints`` float32 [n, 17, 3] (x, y in the same pixels,
    confidence); ``wanted`` bool [n]: the frames whose mask is asked for, with or without a box.
    """

    path: str
    decoder: str | None
    width: int
    height: int
    max_height: int
    ordinals: NDArray[np.int32]
    boxes: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    wanted: Bool

    @property
    def seen(self) -> Bool:
        """bool [n]: frames in which the person's box has an area."""
        return (self.boxes[:, 2] > self.boxes[:, 0]) & (self.boxes[:, 3] > self.boxes[:, 1])

    def pictures(self, places: NDArray[np.integer]) -> Iterator[tuple[Any, NDArray[np.uint8]]]:
        """The frames at ``places`` (indices into `ordinals`, rising), in pieces: places [k] and
        RGB pictures [k, H, W, 3], not higher than ``max_height``.

        Raises InputError ``frames-missing`` where the video gives fewer, and what
        `video.decode.read_frames` raises.
        """
        from motionkit.video.decode import read_frames

        done = 0
        for chunk in read_frames(
            self.path,
            decoder=self.decoder,
            ordinals=self.ordinals[places],
            max_height=self.max_height,
        ):
            count = len(chunk.frames)
            yield places[done : done + count], chunk.frames
            done += count
        if done != len(places):
            raise InputError(
                "frames-missing", f"{len(places)} frames were asked of {self.path}, {done} came"
            )

    def scaled(self, places: NDArray[np.integer], shape: tuple[int, ...]) -> NDArray[np.float32]:
        """The boxes at ``places`` [k, 4] in pixels of pictures of ``shape`` (H, W, …)."""
        by = np.array([shape[1] / self.width, shape[0] / self.height] * 2, np.float32)
        return self.boxes[places] * by


class Segmenter(Protocol):
    """What all backends share. ``mode`` says which of the protocols below it fulfils."""

    mode: str
    #: What the rows call it in ``mask_source``.
    source: str

    def check(self) -> None:
        """Cheap, for the parent process: MissingExtraError where a package is absent."""
        ...

    def identity(self) -> dict[str, Any]:
        """Name, package version, SHA-256 of the weights, settings: all that decides the masks.

        Loads no model; raises like `check`, and `weights.ModelMissing`.
        """
        ...

    def setup(self) -> None:
        """Load the model on `devices.current()`, once in each process that infers."""
        ...


class ClipSegmenter(Segmenter, Protocol):
    """Mode "items"."""

    def segment(self, clip: MaskClip) -> list[Counts]:
        """A mask or None for each of the clip's frames."""
        ...


class BatchSegmenter(Segmenter, Protocol):
    """Mode "batches": the units are the frames at `places`, in their order."""

    def setup_reader(self) -> None:
        """What a reader process needs; loads no weights."""
        ...

    def places(self, clip: MaskClip) -> NDArray[np.integer]:
        """The frames that `read` gives, rising."""
        ...

    def read(self, clip: MaskClip) -> Iterator[Chunk]:
        """Model input of those frames, in chunks."""
        ...

    def infer(self, units: Chunk) -> list[Counts]:
        """A mask or None for each unit."""
        ...


class StreamSegmenter(Segmenter, Protocol):
    """Mode "streams"."""

    def setup_reader(self) -> None:
        """What a reader process needs; loads no weights."""
        ...

    def read(self, clip: MaskClip) -> Iterator[Chunk]:
        """The clip's frames in the order in which `follow` wants them."""
        ...

    def follow(self, clip: MaskClip, chunks: Iterator[Chunk]) -> list[Counts]:
        """A mask or None for each of the clip's frames."""
        ...


def open_segmenter(spec: str, **settings: Any) -> Any:
    """The backend named by ``spec``; ``settings`` are its keyword arguments, where it has any.

    Loads nothing. UsageError, naming the choices, where the name is unknown, where a model is
    missing or one too many.
    """
    import importlib

    name, _, model = spec.partition(":")
    if name not in BACKENDS:
        raise UsageError(f"there is no segmenter '{spec}'.", hint=f"choose from: {CHOICES}")
    module, cls, takes_model = BACKENDS[name]
    if takes_model and not model:
        raise UsageError(f"the segmenter '{name}' needs a model.", hint=f"choose from: {CHOICES}")
    if model and not takes_model:
        raise UsageError(f"the segmenter '{name}' takes no model, but was given '{model}'.")
    made = getattr(importlib.import_module(module), cls)
    return made(model, **settings) if takes_model else made(**settings)


def counts_of(mask: Bool | None, width: int, height: int) -> Counts:
    """A mask [h, w] of a picture of the whole video frame as the tables keep it: at the video's
    size (brought there by linear interpolation), None where it has no pixel."""
    if mask is None or not mask.any():
        return None
    if mask.shape != (height, width):
        import cv2

        soft = mask.astype(np.float32)
        mask = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
        if not mask.any():
            return None
    return str(encode_rle(mask)["counts"])
