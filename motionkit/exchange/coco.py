"""COCO keypoints JSON: frames as images, persons as annotations.

    OUT/annotations/person_keypoints_train.json   … _val, _test

Beyond COCO the files hold what a clip needs: ``clips`` at the top (ids, split, captions, rate,
lineage), ``clip_id`` and ``frame_index`` of an image, ``sample_id`` and ``confidences`` of an
annotation. Tools that know COCO alone pass them over; `coco_read` brings the clips back.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from motionkit.exchange.folders import export_folder
from motionkit.exchange.rows import plain_of, rows_of, safe_name
from motionkit.keypoints import COCO17, LIMBS
from motionkit.shards.reader import ShardSet
from motionkit.shards.schema import SPLITS

KIND: Final = "coco"
#: A keypoint of at least this confidence is "labelled and visible" (v = 2).
CONFIDENCE: Final = 0.3
CATEGORY: Final = {
    "id": 1,
    "name": "person",
    "supercategory": "person",
    "keypoints": list(COCO17),
    "skeleton": [[a + 1, b + 1] for a, b in LIMBS],
}


def export_coco(
    shards: ShardSet,
    out: Path,
    *,
    split: str | None = None,
    confidence: float = CONFIDENCE,
) -> dict[str, Any]:
    """Write the clips of persons; returns counts. Clips of objects have no keypoints and are left
    out; tracks are not written.

    v is 2 from ``confidence`` on, else 0 with x = y = 0, as COCO asks; the extra keys
    ``confidences`` [17] and ``unlabelled`` ([index, x, y] of what v = 0 hides) lose nothing.
    A frame in which nobody is found is an image without annotation.
    """
    facts: dict[str, Any] = {"confidence": confidence, "splits": {}, "left_out": {}}
    with export_folder(out, KIND, shards.path, facts) as folder:
        (folder / "annotations").mkdir()
        for name in SPLITS if split is None else (split,):
            if shards.count(name):
                path = folder / "annotations" / f"person_keypoints_{name}.json"
                facts["splits"][name] = _write(shards, name, path, confidence, facts["left_out"])
    return facts


def _write(
    shards: ShardSet, split: str, path: Path, confidence: float, left_out: dict[str, int]
) -> dict[str, int]:
    """One pass over a split: three lists grow side by side and are joined at the end."""
    counts: Counter[str] = Counter(clips=0, images=0, annotations=0)
    licences: dict[str, int] = {}
    with contextlib.ExitStack() as stack:
        lists = {
            name: stack.enter_context(_List(path.with_suffix(f".{name}")))
            for name in ("clips", "images", "annotations")
        }
        for row in rows_of(shards, split):
            if row["kind"] != "person":
                left_out["object"] = left_out.get("object", 0) + 1
                continue
            licence = licences.setdefault(row["licence"] or "not stated", len(licences) + 1)
            lists["clips"].add({k: v for k, v in plain_of(row).items() if v is not None})
            counts["clips"] += 1
            for image, annotation in _frames(row, confidence):
                counts["images"] += 1
                lists["images"].add({"id": counts["images"], **image, "license": licence})
                if annotation is not None:
                    counts["annotations"] += 1
                    ids = {"id": counts["annotations"], "image_id": counts["images"]}
                    lists["annotations"].add({**ids, **annotation})
        with path.open("w", encoding="utf-8") as stream:
            head = {
                "info": {"description": "motionkit clips", "version": "1.0", "split": split},
                "licenses": [{"id": i, "name": n, "url": ""} for n, i in licences.items()],
                "categories": [CATEGORY],
            }
            stream.write(_json(head)[:-1])
            for name, part in lists.items():
                stream.write(f',\n"{name}": [')
                part.copy_to(stream)
                stream.write("]")
            stream.write("}\n")
    return dict(counts)


def _frames(
    row: Mapping[str, Any], confidence: float
) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Image and annotation of each frame."""
    folder = safe_name(row["clip_id"])
    for index, points in enumerate(row["m2d"][:, :17]):
        image = {
            "file_name": f"{folder}/{index:06d}.jpg",
            "width": row["width"],
            "height": row["height"],
            "clip_id": row["clip_id"],
            "video_id": row["video_id"],
            "frame_index": index,
            "fps": row["fps"],
        }
        yield image, _annotation(row["sample_id"], points, confidence)


def _annotation(
    sample: str, points: NDArray[np.float32], confidence: float
) -> dict[str, Any] | None:
    """COCO's annotation of points [17, 3]; None where they are all zero."""
    if not points.any():
        return None
    seen = (points[:, 2] >= confidence) & (points[:, 2] > 0)
    keypoints: list[Any] = []
    for (x, y, _), labelled in zip(points.tolist(), seen.tolist(), strict=True):
        keypoints += [_short(x), _short(y), 2] if labelled else [0, 0, 0]
    hidden = [[i, _short(x), _short(y)] for i, (x, y, _) in enumerate(points.tolist())
              if not seen[i] and (x or y)]  # fmt: skip
    shown = points[seen, :2] if seen.any() else np.zeros((1, 2), np.float32)
    (x0, y0), (x1, y1) = shown.min(0).tolist(), shown.max(0).tolist()
    return {
        "category_id": 1,
        "sample_id": sample,
        "iscrowd": 0,
        "num_keypoints": int(seen.sum()),
        "keypoints": keypoints,
        "confidences": [_short(c) for c in points[:, 2].tolist()],
        **({"unlabelled": hidden} if hidden else {}),
        "bbox": [_short(x0), _short(y0), _short(x1 - x0), _short(y1 - y0)],
        "area": _short((x1 - x0) * (y1 - y0)),
    }


def _short(value: float) -> float | int:
    """The shortest JSON of a value; multiples of 1/256 stay exact."""
    return int(value) if value == int(value) else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


class _List:
    """The elements of a JSON list, in a file of their own until the list is written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: IO[str] = path.open("w+", encoding="utf-8")
        self._mark = "\n"

    def __enter__(self) -> _List:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._path.unlink(missing_ok=True)

    def add(self, value: Any) -> None:
        self._stream.write(self._mark + _json(value))
        self._mark = ",\n"

    def copy_to(self, stream: IO[str]) -> None:
        self._stream.seek(0)
        shutil.copyfileobj(self._stream, stream)
