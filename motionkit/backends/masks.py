"""Masks of the person: read from files beside the video, or drawn from keypoints.

Beside ``NAME.mp4`` a mask file is looked for in this order:

- ``NAME_masks/NNNNN.png``: one picture a frame; the file's number is the frame's ordinal, with
  any count of leading zeros; frames may be missing.
- ``NAME_masks.json``: COCO run lengths, ``{"size": [h, w], "counts": …}`` or null a frame:
  a list of frames (one object), a list of frames with a list of objects each, an object
  ``{name: [frames]}`` (as in MeViS), or SA-V's ``{"masklet": …, "video_frame_count": …}``,
  whose masks are evenly spread over that many frames.
- ``NAME.mask.png``: one picture for the first frame.

In a palette picture every index but 0 is an object; in a grey one (8 or 16 bits) every value but
0; in a colour one every colour but black. Where a picture is transparent in part, what is not is
the object: all colours of it, black too.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError
from motionkit.keypoints import INDEX
from motionkit.rle import decode_rle

Float = NDArray[np.floating]
Bool = NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class MaskFiles:
    """The masks found beside one video. ``form`` is 'folder', 'rle' or 'picture'."""

    path: str
    form: str

    def objects(self, ordinal: int, width: int, height: int) -> list[Bool]:
        """The masks [height, width] of all objects in one frame; empty where there is none.

        A mask of another size is scaled if its proportions are the video's (to 1 %). Raises
        `InputError` ``mask-unreadable`` or ``mask-size``.
        """
        if self.form == "rle":
            found = _rle_objects(self.path, ordinal)
        else:
            picture = self._picture(ordinal)
            found = [] if picture is None else _objects_of(picture)
        return [_fitted(mask, width, height, self.path) for mask in found]

    def digest(self) -> str:
        """SHA-256 over names and contents: another mask gives another identity."""
        whole = hashlib.sha256()
        path = Path(self.path)
        for file in sorted(path.glob("*.png")) if self.form == "folder" else [path]:
            whole.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
        return whole.hexdigest()

    def _picture(self, ordinal: int) -> NDArray[np.int64] | None:
        if self.form == "picture":
            return _labels(Path(self.path)) if ordinal == 0 else None
        for file in sorted(Path(self.path).glob("*.png")):
            if file.stem.isdigit() and int(file.stem) == ordinal:
                return _labels(file)
        return None


def find_masks(video: str) -> MaskFiles | None:
    """The mask files beside a video, or None."""
    stem = os.path.splitext(video)[0]  # noqa: PTH122 - asked of every video of a data set
    for end, form in (("_masks", "folder"), ("_masks.json", "rle"), (".mask.png", "picture")):
        candidate = stem + end
        if os.path.isdir(candidate) if form == "folder" else os.path.isfile(candidate):  # noqa: PTH112, PTH113
            return MaskFiles(candidate, form)
    return None


def read_mask(path: Path) -> Bool:
    """The mask [H, W] of one file: a PNG, or JSON with COCO run lengths (of several frames: the
    first one), all objects together. InputError ``mask-unreadable``; may be empty."""
    if not path.is_file():
        said = f"{path} is a folder" if path.is_dir() else f"there is no file {path}"
        raise InputError("mask-unreadable", said, hint="give a PNG, or JSON with COCO run lengths")
    if path.suffix.lower() == ".json":
        try:
            objects = _rle_objects(str(path), 0)
        except RecursionError as error:
            raise InputError("mask-unreadable", f"{path} is not a JSON file of masks") from error
        if len({mask.shape for mask in objects}) > 1:
            raise InputError("mask-unreadable", f"{path} has masks of several sizes")
        if not objects:
            raise InputError("mask-empty", f"{path} has no mask with a pixel in its first frame")
        whole: Bool = np.logical_or.reduce(objects)
        return whole
    from motionkit.video.frame_folder import check_picture

    if path.suffix.lower() != ".png":
        raise InputError(
            "mask-unreadable",
            f"{path} is neither a .png nor a .json file",
            hint="convert it to PNG: lossy pictures have no sharp edge",
        )
    try:
        check_picture(path)  # before anything as large as its header says is allocated
    except InputError as error:
        raise InputError("mask-unreadable", error.message) from error
    return _labels(path) != 0


def object_of_person(objects: list[Bool], keypoints: Float, share: float = 0.5) -> Bool | None:
    """The object that holds most of a person's keypoints, or None.

    ``keypoints`` [17, 3] (x, y in pixels, confidence); those over 0.3 inside the picture count,
    and at least ``share`` of them must lie in the object. The first of equals wins.
    """
    best, best_share = None, share
    for mask in objects:
        height, width = mask.shape
        x, y = np.floor(keypoints[:, 0] + 0.5), np.floor(keypoints[:, 1] + 0.5)
        use = (keypoints[:, 2] > _SEEN) & (x >= 0) & (x < width) & (y >= 0) & (y < height)
        if not use.any():
            return None
        inside = float(mask[y[use].astype(int), x[use].astype(int)].mean())
        if inside > best_share or (best is None and inside == best_share):
            best, best_share = mask, inside
    return best


#: Confidence above which a keypoint is drawn.
_SEEN = 0.3

#: Limbs and the radius of each as shares of body height: thin enough to stay on the body.
_CAPSULES: tuple[tuple[str, str, float], ...] = (
    ("shoulder", "elbow", 0.028),
    ("elbow", "wrist", 0.022),
    ("hip", "knee", 0.042),
    ("knee", "ankle", 0.028),
)
_HEAD_RADIUS = 0.05
_TORSO_MARGIN = 0.015

#: Lengths as shares of body height: shoulders to hips, hip to knee, knee to ankle.
_TORSO, _THIGH, _SHIN = 0.30, 0.24, 0.24


def person_height(keypoints: Float) -> float:
    """Height in pixels of a standing person with these keypoints [17, 3]; 0 where unknown.

    The largest of what torso, thighs and shins say: seen at an angle a bone only looks shorter.
    """
    seen = keypoints[:, 2] > _SEEN
    xy = keypoints[:, :2]

    def distance(a: str, b: str) -> float:
        i, j = INDEX[a], INDEX[b]
        return float(np.linalg.norm(xy[i] - xy[j])) if seen[i] and seen[j] else 0.0

    guesses = []
    for side in ("left", "right"):
        guesses += [
            distance(f"{side}_shoulder", f"{side}_hip") / _TORSO,
            distance(f"{side}_hip", f"{side}_knee") / _THIGH,
            distance(f"{side}_knee", f"{side}_ankle") / _SHIN,
        ]
    return max(guesses)


def person_mask(keypoints: Float, width: int, height: int) -> Bool | None:
    """A mask [height, width] of one person, drawn as a torso, limbs and a head.

    ``keypoints`` [17, 3] (x, y in pixels, confidence). The limbs are capsules a little thinner
    than real ones, so that what is inside is body and not the wall between the legs. None where
    not both shoulders and one hip, or one shoulder and both hips, are seen (confidence > 0.3).
    """
    import cv2

    seen = keypoints[:, 2] > _SEEN
    torso = [INDEX[n] for n in ("left_shoulder", "right_shoulder", "right_hip", "left_hip")]
    if seen[torso].sum() < 3:
        return None
    scale = person_height(keypoints)
    if scale <= 0:
        return None
    canvas = np.zeros((height, width), dtype=np.uint8)
    # Sub-pixel drawing (4 fractional bits) keeps thin limbs centred at low resolution.
    fixed = np.round(keypoints[:, :2] * 16).astype(np.int64).clip(-(2**20), 2**20).astype(np.int32)

    def thickness(radius: float) -> int:
        return max(1, round(2 * radius * scale))

    hull = cv2.convexHull(fixed[[i for i in torso if seen[i]]][:, None])
    cv2.fillConvexPoly(canvas, hull, 1, cv2.LINE_8, 4)
    cv2.polylines(canvas, [hull], True, 1, thickness(_TORSO_MARGIN), cv2.LINE_8, 4)
    for a, b, radius in _CAPSULES:
        for side in ("left", "right"):
            i, j = INDEX[f"{side}_{a}"], INDEX[f"{side}_{b}"]
            if seen[i] and seen[j]:
                ends = tuple(map(int, fixed[i])), tuple(map(int, fixed[j]))
                cv2.line(canvas, *ends, 1, thickness(radius), cv2.LINE_8, 4)
    ears = [i for i in (INDEX["left_ear"], INDEX["right_ear"]) if seen[i]]
    face = ears or [i for i in range(3) if seen[i]]
    if face:
        centre = fixed[face].mean(0).round().astype(int)
        radius_px = max(1, round(_HEAD_RADIUS * scale))
        cv2.circle(canvas, (int(centre[0]), int(centre[1])), radius_px * 16, 1, -1, cv2.LINE_8, 4)
    return canvas.astype(bool)


def _labels(file: Path) -> NDArray[np.int64]:
    """Object numbers [H, W] of a picture, 0 for the background."""
    import av

    try:
        with av.open(str(file)) as container:
            frame = next(container.decode(video=0))
        if frame.format.name == "pal8":
            # Kept as indices: OpenCV would give colours, and a palette may repeat one.
            indices, _ = frame.to_ndarray()
            return np.asarray(indices, dtype=np.int64)
        solid = _solid(frame)
        if solid is not None:
            colour = frame.to_ndarray(format="rgb24").astype(np.int64) * solid[..., None]
            packed = (colour[..., 0] << 16) | (colour[..., 1] << 8) | colour[..., 2]
            return packed | solid.astype(np.int64) << 24
        if frame.format.name.startswith("gray16"):  # 8 bits of it would lose small numbers
            return frame.to_ndarray(format="gray16le").astype(np.int64)
        if frame.format.name.startswith(("gray", "mono", "ya")):
            return frame.to_ndarray(format="gray").astype(np.int64)
        colour = frame.to_ndarray(format="rgb24").astype(np.int64)
    except (OSError, StopIteration, ValueError, av.FFmpegError) as error:
        raise InputError(
            "mask-unreadable",
            f"{file} is not a picture that can be read",
            hint="it is damaged or cut short: write it again",
        ) from error
    return (colour[..., 0] << 16) | (colour[..., 1] << 8) | colour[..., 2]


def _solid(frame: Any) -> Bool | None:
    """Where a picture is at least half opaque; None where it is so everywhere, or nowhere."""
    if not frame.format.name.startswith(("rgba", "ya", "bgra", "argb", "abgr")):
        return None
    opaque: Bool = frame.to_ndarray(format="rgba")[..., 3] >= 128
    return None if opaque.all() or not opaque.any() else opaque


def _objects_of(labels: NDArray[np.int64]) -> list[Bool]:
    return [labels == label for label in np.unique(labels) if label != 0]


def _fitted(mask: Bool, width: int, height: int, path: str) -> Bool:
    h, w = mask.shape
    if (h, w) == (height, width):
        return mask
    if abs(w * height / (h * width) - 1) > 0.01:
        raise InputError("mask-size", f"a mask in {path} is {w}×{h}, the video {width}×{height}")
    import cv2

    scaled = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    return scaled.astype(bool)


@functools.lru_cache(maxsize=1)
def _rle_frames(path: str, _size: int, _changed: int) -> tuple[list[list[Any]], int]:
    """Run lengths, [frame][object], and the distance of two of them in video frames."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError("mask-unreadable", f"{path} is not a JSON file of masks") from error
    every = 1
    if isinstance(content, dict) and "masklet" in content:
        frames = content["masklet"]
        total = int(content.get("video_frame_count", len(frames)))
        if len(frames) > 1:
            every = max(1, round((total - 1) / (len(frames) - 1)))
    elif isinstance(content, dict) and "counts" in content:
        frames = [content]
    elif isinstance(content, dict):
        per_object = list(content.values())
        if not all(isinstance(masks, list) for masks in per_object):
            raise InputError("mask-unreadable", f"{path} has masks in no form that is known")
        length = max((len(masks) for masks in per_object), default=0)
        frames = [[m[f] if f < len(m) else None for m in per_object] for f in range(length)]
    else:
        frames = content
    if not isinstance(frames, list):
        raise InputError("mask-unreadable", f"{path} has masks in no form that is known")
    return [frame if isinstance(frame, list) else [frame] for frame in frames], every


def _rle_objects(path: str, ordinal: int) -> list[Bool]:
    info = Path(path).stat()
    frames, every = _rle_frames(path, info.st_size, info.st_mtime_ns)
    if ordinal % every or ordinal // every >= len(frames):
        return []
    try:
        masks = [decode_rle(rle) for rle in frames[ordinal // every] if rle is not None]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            "mask-unreadable",
            f"{path}: the masks of frame {ordinal} are no run lengths: {str(error)[:120]}",
        ) from error
    return [mask for mask in masks if mask.any()]
