"""`file`: the masks that lie beside the video (`backends.masks`), for the object that holds the
person's keypoints. Decodes no video."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from motionkit.backends.masks import find_masks, object_of_person
from motionkit.backends.segmentation import Counts, MaskClip, counts_of


@dataclasses.dataclass
class MaskFileSegmenter:
    """See `segmentation.ClipSegmenter`. Another file is another stamp of the clip, not another
    identity of the backend."""

    mode: ClassVar[str] = "items"
    source: ClassVar[str] = "file"

    def check(self) -> None:
        """Nothing is needed."""

    def identity(self) -> dict[str, Any]:
        """The name; what a file holds is the clip's own input."""
        return {"name": "file"}

    def setup(self) -> None:
        """Nothing to load."""

    def segment(self, clip: MaskClip) -> list[Counts]:
        """Masks of the frames that have any; InputError as `masks.MaskFiles.objects`."""
        out: list[Counts] = [None] * len(clip.ordinals)
        files = find_masks(clip.path)
        if files is None:
            return out
        for place in np.flatnonzero(clip.wanted & clip.seen):
            objects = files.objects(int(clip.ordinals[place]), clip.width, clip.height)
            mask = object_of_person(objects, clip.keypoints[place])
            out[place] = counts_of(mask, clip.width, clip.height)
        return out
