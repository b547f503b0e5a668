"""`grabcut`: the embedded fallback. OpenCV's GrabCut, seeded by the person's box and keypoints.

No model: it parts the colours in the box into those that lie on the limbs and those that do not.
Good enough to keep points off the background; wrong where clothes and background look alike
(docs/masks.md has its figures). Each frame is cut on its own, small, with the same random seed:
the same frame gives the same mask.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from motionkit.backends.masks import person_height, person_mask
from motionkit.backends.segmentation import Counts, MaskClip, counts_of
from motionkit.keypoints import INDEX

Bool = NDArray[np.bool_]
Frame = NDArray[np.uint8]


@dataclasses.dataclass
class GrabCut:
    """See `segmentation.ClipSegmenter`."""

    mode: ClassVar[str] = "items"
    source: ClassVar[str] = "grabcut"

    long_side: int = 200  # pixels of the cut-out that is looked at, after shrinking
    rounds: int = 2  # of fitting colours and cutting
    margin: float = 0.15  # background that is looked at round the box, share of its size
    near: float = 0.03  # probably person: this close to trunk and limbs, share of their height
    far: float = 0.04  # surely not: further away than this

    def check(self) -> None:
        """OpenCV is always there."""

    def identity(self) -> dict[str, Any]:
        """Name, OpenCV's version and settings."""
        import cv2

        return {"name": "grabcut", "opencv": cv2.__version__, **dataclasses.asdict(self)}

    def setup(self) -> None:
        """OpenCV stays on one thread: the engine has a worker for every core."""
        import cv2

        cv2.setNumThreads(1)

    def segment(self, clip: MaskClip) -> list[Counts]:
        """Masks of the wanted frames in which the person has a box."""
        out: list[Counts] = [None] * len(clip.ordinals)
        for places, frames in clip.pictures(np.flatnonzero(clip.wanted & clip.seen)):
            height, width = frames.shape[1:3]
            scale = np.array([width / clip.width, height / clip.height, 1.0])
            boxes = clip.scaled(places, frames[0].shape)
            for place, frame, box in zip(places, frames, boxes, strict=True):
                mask = self.cut(frame, box, clip.keypoints[place] * scale)
                out[place] = counts_of(mask, clip.width, clip.height)
        return out

    def cut(
        self, frame: Frame, box: NDArray[np.floating], keypoints: NDArray[np.floating]
    ) -> Bool | None:
        """The person's mask [H, W] in ``frame`` [H, W, 3] RGB; None where the box has no pixel.

        ``box`` [4] xyxy and ``keypoints`` [17, 3] in pixels of the frame. Where shoulders and
        hips are not seen there is no mask either: a box alone says too little about a person.
        """
        import cv2

        height, width = frame.shape[:2]
        x0, y0, x1, y1 = (float(v) for v in box)
        pad = self.margin * max(x1 - x0, y1 - y0)
        left, top = max(0, int(x0 - pad)), max(0, int(y0 - pad))
        right, bottom = min(width, int(np.ceil(x1 + pad))), min(height, int(np.ceil(y1 + pad)))
        if not (x1 > x0 and y1 > y0) or right - left < 4 or bottom - top < 4:
            return None
        shrink = min(1.0, self.long_side / max(right - left, bottom - top))
        size = max(4, round((right - left) * shrink)), max(4, round((bottom - top) * shrink))
        scale = np.array([size[0] / (right - left), size[1] / (bottom - top)])
        small = cv2.resize(
            np.ascontiguousarray(frame[top:bottom, left:right]), size, interpolation=cv2.INTER_AREA
        )
        points = keypoints.copy()
        points[:, :2] = (points[:, :2] - [left, top] + 0.5) * scale - 0.5
        corners = (np.array([[x0, y0], [x1, y1]]) - [left, top]) * scale
        labels = self._seeds(points, corners, size)
        if labels is None:
            return None
        cv2.setRNGSeed(0)
        cv2.grabCut(
            small, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), self.rounds,
            cv2.GC_INIT_WITH_MASK,
        )  # fmt: skip
        inside = _on_the_person(labels)
        full = cv2.resize(inside, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
        mask = np.zeros((height, width), bool)
        mask[top:bottom, left:right] = full > 0.5
        return mask

    def _seeds(
        self, points: NDArray[np.floating], corners: NDArray[np.floating], size: tuple[int, int]
    ) -> NDArray[np.uint8] | None:
        """GrabCut's labels [h, w]: surely, probably, probably not and surely not the person."""
        import cv2

        body = person_mask(points, *size)
        if body is None:
            return None
        around = (~(body | _hands_and_feet(points, body.shape))).astype(np.uint8)
        distance = cv2.distanceTransform(around, cv2.DIST_L2, 5)
        distance /= person_height(points)
        (x0, y0), (x1, y1) = np.floor(corners[0]).astype(int), np.ceil(corners[1]).astype(int)
        in_box = np.zeros(body.shape, bool)
        in_box[max(0, y0) : y1, max(0, x0) : x1] = True
        labels = np.full(body.shape, cv2.GC_BGD, np.uint8)
        labels[in_box & (distance <= self.far)] = cv2.GC_PR_BGD
        labels[distance <= self.near] = cv2.GC_PR_FGD
        labels[body] = cv2.GC_FGD
        return labels


#: Confidence above which a keypoint counts, as in `masks.person_mask`.
_SEEN = 0.3
#: Hands and feet: from a joint on, away from the one before it, by this share of the limb.
_ENDS = (("elbow", "wrist", 0.6), ("knee", "ankle", 0.25))


def _hands_and_feet(points: NDArray[np.floating], shape: tuple[int, ...]) -> Bool:
    """Where hands and feet may be [h, w]: keypoints end at wrists and ankles."""
    import cv2

    canvas = np.zeros(shape, np.uint8)
    for before, joint, share in _ENDS:
        for side in ("left", "right"):
            a, b = points[INDEX[f"{side}_{before}"]], points[INDEX[f"{side}_{joint}"]]
            if a[2] > _SEEN and b[2] > _SEEN:
                end = b[:2] + share * (b[:2] - a[:2])
                x0, y0, x1, y1 = np.round([*b[:2], *end]).astype(int).tolist()
                cv2.line(canvas, (x0, y0), (x1, y1), 1)
    return canvas > 0


def _on_the_person(labels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """1 where GrabCut saw the person, in one piece with what surely is: no islands."""
    import cv2

    found = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8)
    _, pieces = cv2.connectedComponents(found, connectivity=4)
    kept = np.unique(pieces[labels == cv2.GC_FGD])
    return np.isin(pieces, kept[kept > 0]).astype(np.float32)
