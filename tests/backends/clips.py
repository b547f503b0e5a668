"""Clips in memory, for the tests of segmenters."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit.backends.segmentation import Counts, MaskClip
from motionkit.rle import decode_rle


def noise(count: int, width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth coloured noise over the whole range [count, height, width, 3]."""
    rng = np.random.default_rng(seed)
    small = rng.random((count, height // 8 + 2, width // 8 + 2, 3)).astype(np.float32)
    large = [cv2.resize(f, (width, height), interpolation=cv2.INTER_CUBIC) for f in small]
    return np.asarray(np.stack(large).clip(0, 1) * 255).astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class ClipInMemory(MaskClip):
    """A clip whose pictures are given, in pieces of five."""

    frames: NDArray[np.uint8]

    def pictures(
        self, places: NDArray[np.integer]
    ) -> Iterator[tuple[NDArray[np.integer], NDArray[np.uint8]]]:
        for start in range(0, len(places), 5):
            some = places[start : start + 5]
            yield some, self.frames[some]


def clip_of(
    frames: NDArray[np.uint8],
    boxes: NDArray[np.floating],
    keypoints: NDArray[np.floating] | None = None,
    size: tuple[int, int] | None = None,
) -> ClipInMemory:
    """All ``frames`` [n, H, W, 3] wanted; ``size`` (width, height) of the video, theirs if None."""
    count, height, width = frames.shape[:3]
    wide, high = size or (width, height)
    points = np.zeros((count, 17, 3)) if keypoints is None else keypoints
    return ClipInMemory(
        path="memory",
        decoder=None,
        width=wide,
        height=high,
        max_height=1080,
        ordinals=np.arange(count, dtype=np.int32),
        boxes=np.asarray(boxes, np.float32),
        keypoints=np.asarray(points, np.float32),
        wanted=np.ones(count, bool),
        frames=frames,
    )


def mask_of(counts: Counts, width: int, height: int) -> NDArray[np.bool_]:
    """A stored mask [height, width]; no pixel where there is none."""
    if counts is None:
        return np.zeros((height, width), bool)
    return decode_rle({"size": [height, width], "counts": counts})
