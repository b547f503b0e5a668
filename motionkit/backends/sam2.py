"""`sam2:REPOSITORY`: SAM 2 through transformers, which follows the person through the clip.

The person's box on the first frame that has one is the only prompt; the model's own memory carries
the outline on from frame to frame, as in transformers' streaming call, and the masks are that
call's, tested pixel for pixel. The session is kept small: of the frames behind, it holds what the
memory still reads and nothing else, so that a long clip needs no more than a short one.

transformers' processor of this model needs torchvision.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from motionkit import devices, weights
from motionkit.backends.segmentation import Counts, MaskClip, counts_of
from motionkit.errors import UsageError, need_packages
from motionkit.stage import Chunk
from motionkit.weights.places import place_of

#: Frames decoded at a time where they are wanted backwards.
_BLOCK = 8
#: What the session calls the person.
_OBJECT = 1
#: Outputs of a frame that nothing reads again once its mask is made, and the largest of them.
_SPENT = ("high_res_masks", "pred_masks")


@dataclasses.dataclass
class Sam2Segmenter:
    """See `segmentation.StreamSegmenter`; ``model`` is a repository like
    ``facebook/sam2.1-hiera-tiny``, in the models folder under ``sam2/``.

    ``beyond_boxes``: keep masks of frames without a box as well, where the model says that it sees
    the person, and follow them back to frames before the first box.
    """

    model: str
    beyond_boxes: bool = False

    mode: ClassVar[str] = "streams"
    source: ClassVar[str] = "sam2"

    def __post_init__(self) -> None:
        place_of(self.spec)  # UsageError where the name can be no model's
        self._network: Any = None
        self._processor: Any = None

    @property
    def spec(self) -> str:
        """Name of the weights, as `weights.find` takes it."""
        return f"sam2:{self.model}"

    def check(self) -> None:
        """MissingExtraError where torch, torchvision or transformers is not installed."""
        packages = ("torch", "torchvision", "transformers")
        need_packages(packages, "sam2", f"the segmenter '{self.spec}'")

    def identity(self) -> dict[str, Any]:
        """Package, weights and settings; raises like `check`, and `weights.ModelMissing`."""
        from importlib.metadata import version

        self.check()
        return {
            "spec": self.spec,
            "transformers": version("transformers"),
            "weights": weights.find(self.spec).sha256,
            "beyond_boxes": self.beyond_boxes,
        }

    def setup_reader(self) -> None:
        """OpenCV on one thread: the engine has a reader for every core."""
        import cv2

        cv2.setNumThreads(1)

    def setup(self) -> None:
        """Load model and processor on the process's device. Raises like `identity`; UsageError
        where torchvision is installed and broken."""
        self.check()
        folder = str(weights.find(self.spec).path)
        try:
            import torchvision  # noqa: F401 - transformers says less of what is wrong
        except (ImportError, RuntimeError, AttributeError) as error:
            raise UsageError(
                f"torchvision cannot be imported ({error}): it was built for another torch.",
                hint="motionkit doctor says which one fits",
            ) from error
        import torch
        from transformers import Sam2VideoModel, Sam2VideoProcessor
        from transformers.utils import logging

        logging.disable_progress_bar()  # progress is the command line's matter
        device = devices.current()
        device.prepare()
        self._processor = Sam2VideoProcessor.from_pretrained(folder, local_files_only=True)
        model = Sam2VideoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
        self._network = model.to(device.name).eval()

    def read(self, clip: MaskClip) -> Iterator[Chunk]:
        """``frames`` uint8 [n, H, W, 3] and ``place`` int32 [n], which of the clip's they are: from
        the first with a box on to the last that is asked for, then those before it, backwards."""
        first, last, earliest = self._stretch(clip)
        for places, frames in clip.pictures(np.arange(first, last + 1)):
            yield {"frames": frames, "place": np.asarray(places, np.int32)}
        for end in range(first, earliest, -_BLOCK):
            block = list(clip.pictures(np.arange(max(earliest, end - _BLOCK), end)))
            for places, frames in reversed(block):
                yield {"frames": frames[::-1], "place": np.asarray(places, np.int32)[::-1]}

    def follow(self, clip: MaskClip, chunks: Iterator[Chunk]) -> list[Counts]:
        """A mask for every frame that is asked for, has a box (or needs none), and shows the
        person as far as the model can tell."""
        assert self._network is not None, "setup() comes first"
        out: list[Counts] = [None] * len(clip.ordinals)
        kept = self._kept(clip)
        first, _, earliest = self._stretch(clip)
        device = devices.current()
        session = self._processor.init_video_session(inference_device=device.name)
        for chunk in chunks:
            for frame, place in zip(chunk["frames"], chunk["place"].tolist(), strict=True):
                with device.inference():
                    logits = self._step(session, clip, np.ascontiguousarray(frame), place, first)
                    if kept[place]:
                        out[place] = self._counts(logits, clip)
                self._forget(session, place, first, earliest < first)
        return out

    def _kept(self, clip: MaskClip) -> NDArray[np.bool_]:
        """bool [n]: frames whose mask is asked for and may be there."""
        return clip.wanted if self.beyond_boxes else clip.wanted & clip.seen

    def _stretch(self, clip: MaskClip) -> tuple[int, int, int]:
        """The first frame with a box, the last that is looked at, and the earliest: as indices
        into the clip's frames. Without any box or any mask to make the stretch is empty."""
        kept = np.flatnonzero(self._kept(clip))
        if not clip.seen.any() or not len(kept):
            return 0, -1, 0
        first = int(np.flatnonzero(clip.seen)[0])
        return first, max(first, int(kept[-1])), min(first, int(kept[0]))

    def _step(
        self, session: Any, clip: MaskClip, frame: NDArray[np.uint8], place: int, first: int
    ) -> Any:
        """The model's mask logits [1, 1, h, w] of one frame; prompts it on the first."""
        device = devices.current()
        inputs = self._processor(images=frame, device=device.name, return_tensors="pt")
        if place == first:
            (box,) = clip.scaled(np.array([place]), frame.shape).tolist()
            self._processor.add_inputs_to_inference_session(
                inference_session=session,
                frame_idx=place,
                obj_ids=_OBJECT,
                input_boxes=[[box]],
                original_size=inputs.original_sizes[0],
            )
        made = self._network(
            inference_session=session,
            frame=inputs.pixel_values[0],
            frame_idx=place,
            reverse=place < first,
        )
        return made.pred_masks

    def _counts(self, logits: Any, clip: MaskClip) -> Counts:
        """The mask at the video's size. Where the model sees no person its logits are negative
        everywhere, and there is none."""
        size = (clip.height, clip.width)
        (masks,) = self._processor.post_process_masks([logits.float()], original_sizes=[size])
        return counts_of(masks[0, 0].cpu().numpy(), clip.width, clip.height)

    def _forget(self, session: Any, place: int, first: int, turns: bool) -> None:
        """Drop what no later frame reads. ``turns``: the frames before ``first`` follow, and read
        what came directly after it."""
        config = self._network.config
        reach = max(config.num_maskmem, config.max_object_pointers_in_encoder) - 1
        session.processed_frames.pop(place, None)
        number = session.obj_id_to_idx(_OBJECT)
        outputs = session.output_dict_per_obj[number]
        for spent in _SPENT:
            for kind in outputs.values():
                kind.get(place, {}).pop(spent, None)
        session.frames_tracked_per_obj[number].clear()
        others = outputs["non_cond_frame_outputs"]
        for other in [o for o in others if abs(o - place) >= reach]:
            if not (turns and place >= first and other - first <= reach):
                del others[other]
