"""Clips from COCO keypoints JSON: our own export, and plain COCO whose images say their clip."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError
from motionkit.exchange.rows import from_plain, imported_lineage
from motionkit.keypoints import COCO17
from motionkit.shards.schema import SPLITS

#: Keys that tell which clip an image is a frame of, in the order they are looked for.
_CLIP_KEYS: Final = ("clip_id", "video_id", "vid_id", "video", "vid_name")
_FRAME_KEYS: Final = ("frame_index", "frame_id", "frame_number", "frame")
_PERSON_KEYS: Final = ("sample_id", "track_id", "instance_id", "person_id")
#: A clip is not longer: its frames are numbers from a file, and an array is made of them.
_MOST_FRAMES: Final = 1 << 20


def coco_files(source: Path) -> list[Path]:
    """The JSON files of an export's folder, or the one file named."""
    return [source] if source.is_file() else sorted((source / "annotations").glob("*.json"))


def read_coco(source: Path, left_out: Counter[str], *, fps: float | None = None) -> Iterator[Any]:
    """Rows of every clip in a COCO file or in the folder of an export.

    Plain COCO: images are frames of one clip where they share one of `_CLIP_KEYS` (ordered by a
    frame number, else as listed), persons are told apart by one of `_PERSON_KEYS`; v > 0 becomes
    confidence 1. ``fps`` is the rate where the file states none. A file is read as a whole: it
    takes about seven times its size in memory.

    Raises InputError: coco-unreadable, coco-keypoints (another set of keypoints), coco-no-clips
    (images that say no clip), coco-no-rate.
    """
    for path in coco_files(source):
        found = _load(path)
        split = next((s for s in SPLITS if path.stem.endswith(f"_{s}")), None)
        if isinstance(found.get("clips"), list):
            yield from _own_clips(path, found, left_out)
        else:
            yield from _plain_clips(path, found, split, fps, left_out)


def _load(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError("coco-unreadable", f"{path.name}: {error}") from error
    lists = ("images", "annotations", "categories")
    if not isinstance(found, dict) or any(
        not isinstance(found.get(name), list)
        or any(not isinstance(entry, dict) for entry in found[name])
        for name in lists
    ):
        raise InputError("coco-unreadable", f"{path.name} has no lists of {', '.join(lists)}")
    return found


def _own_clips(path: Path, found: dict[str, Any], left_out: Counter[str]) -> Iterator[Any]:
    samples: dict[str, list[dict[str, Any]]] = {}
    for annotation in found["annotations"]:
        samples.setdefault(str(annotation.get("sample_id")), []).append(annotation)
    index_of = {image.get("id"): image.get("frame_index") for image in found["images"]}
    for clip in found["clips"]:
        try:
            row = from_plain(clip, path.name)
            frames = row.get("frames")
            if not isinstance(frames, int) or not 0 < frames <= _MOST_FRAMES:
                raise InputError("malformed-sample", f"{path.name}: a clip of {frames} frames")
            m2d = _blank(frames, row.get("width"), row.get("height"))
            for annotation in samples.get(str(row.get("sample_id")), ()):
                at = index_of.get(annotation.get("image_id"))
                if not isinstance(at, int) or not 0 <= at < frames:
                    raise InputError("malformed-sample", f"{path.name}: frame {at!r}")
                m2d[at, :17] = _points(annotation, list(range(17)), path)
        except InputError as error:
            left_out[error.code] += 1
            continue
        tracks = dict.fromkeys(("track_frames", "track_first", "track_grid"))
        lineage = imported_lineage(row.get("lineage"), "coco", path)
        yield {**row, **tracks, "m2d": m2d, "lineage": lineage}


def _plain_clips(
    path: Path,
    found: dict[str, Any],
    split: str | None,
    fps: float | None,
    left_out: Counter[str],
) -> Iterator[Any]:
    order = _order_of(found["categories"], path)
    clips = _grouped(found["images"], path)
    rate = fps or _number(found.get("info", {}), "fps")
    persons: dict[str, dict[str, list[tuple[int, dict[str, Any]]]]] = {}
    places = {image["id"]: (clip, at) for clip, images in clips.items() for image, at in images}
    for annotation in found["annotations"]:
        place = places.get(annotation.get("image_id"))
        if place is None or "keypoints" not in annotation:
            left_out["no-keypoints"] += 1
            continue
        who = next((str(annotation[k]) for k in _PERSON_KEYS if k in annotation), "0")
        persons.setdefault(place[0], {}).setdefault(who, []).append((place[1], annotation))
    for clip, images in clips.items():
        first = images[0][0]
        own = rate or _number(first, "fps")
        if not own:
            raise InputError(
                "coco-no-rate", f"{path.name} states no frame rate", hint="give one with --fps"
            )
        start = min(at for _, at in images)
        frames = max(at for _, at in images) - start + 1
        for who, seen in sorted(persons.get(clip, {}).items()):
            try:
                if frames > _MOST_FRAMES:
                    raise InputError("malformed-sample", f"{clip} has {frames} frames")
                if len({at for at, _ in seen}) < len(seen):
                    raise InputError("two-persons-one-track", f"{clip} {who} twice in a frame")
                m2d = _blank(frames, first.get("width"), first.get("height"))
                for at, annotation in seen:
                    m2d[at - start, :17] = _points(annotation, order, path)
            except InputError as error:
                left_out[error.code] += 1
                continue
            name = f"{clip}-{who}"
            yield {
                "sample_id": name, "kind": "person", "clip_id": name, "video_id": clip,
                "split": split, "source": path.name, "fps": own, "width": first.get("width"),
                "height": first.get("height"), "frames": frames, "m2d": m2d, "captions": [],
                "first": start, "last": start + frames - 1, "t0_s": start / own,
                "t1_s": (start + frames) / own, "lineage": imported_lineage(None, "coco", path),
            }  # fmt: skip


def _grouped(
    images: list[dict[str, Any]], path: Path
) -> dict[str, list[tuple[dict[str, Any], int]]]:
    """Clip → its images with their frame numbers."""
    key = next((k for k in _CLIP_KEYS if images and all(k in image for image in images)), None)
    if key is None or any("id" not in image for image in images):
        raise InputError(
            "coco-no-clips",
            f"{path.name} holds single images: none of {', '.join(_CLIP_KEYS)} says which clip "
            "an image is a frame of",
            hint="add such a key to every image; clips of one frame are no motion",
        )
    order = next((k for k in _FRAME_KEYS if all(_is_int(i.get(k)) for i in images)), None)
    clips: dict[str, list[tuple[dict[str, Any], int]]] = {}
    for image in images:
        listed = clips.setdefault(str(image[key]), [])
        listed.append((image, image[order] if order else len(listed)))
    if max(map(len, clips.values())) < 2:
        raise InputError(
            "coco-no-clips",
            f"every clip of {path.name} has one frame only (by {key})",
            hint="frames of one clip share the key; see docs/exchange.md",
        )
    return clips


def _order_of(categories: list[dict[str, Any]], path: Path) -> list[int]:
    """Where each of our 17 keypoints stands in the file's, by name."""
    for category in categories:
        names = category.get("keypoints")
        if isinstance(names, list) and all(name in names for name in COCO17):
            return [names.index(name) for name in COCO17]
    raise InputError(
        "coco-keypoints", f"{path.name} has no category with COCO's 17 keypoints by name"
    )


def _points(annotation: Mapping[str, Any], order: list[int], path: Path) -> NDArray[np.float32]:
    """Points [17, 3] with confidence. InputError 'malformed-sample'."""
    try:
        flat = np.asarray(annotation["keypoints"], np.float32).reshape(-1, 3)
        points = flat[order]
        points[:, 2] = points[:, 2] > 0
        if "confidences" in annotation:
            points[:, 2] = np.asarray(annotation["confidences"], np.float32).reshape(17)
            for index, x, y in annotation.get("unlabelled", ()):
                points[int(index), :2] = x, y
    except (KeyError, ValueError, TypeError, IndexError, OverflowError) as error:
        raise InputError("malformed-sample", f"{path.name}: keypoints: {error}") from error
    if not np.isfinite(points).all():
        raise InputError("malformed-sample", f"{path.name}: keypoints that are not finite")
    return points


def _blank(frames: int, width: Any, height: Any) -> NDArray[np.float32]:
    if not _is_int(width) or not _is_int(height):
        raise InputError("malformed-sample", f"an image of {width!r} x {height!r}")
    m2d = np.zeros((frames, 18, 3), np.float32)
    m2d[:, 17] = width, height, 1
    return m2d


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31


def _number(found: Any, key: str) -> float | None:
    value = found.get(key) if isinstance(found, dict) else None
    return float(value) if isinstance(value, (int, float)) and 0 < value <= 1000 else None
