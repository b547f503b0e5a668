"""One picture of each dropped item that is shown: its middle, with what the first pass saw."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError
from motionkit.records import unflatten
from motionkit.report.facts import Example
from motionkit.report.pictures import jpeg
from motionkit.stage import Tables, has_run
from motionkit.video.decode import read_frames
from motionkit.video.draw import draw_skeleton

_WIDTH: Final = 360


@dataclasses.dataclass
class _Moment:
    """The frame that stands for an item, and the keypoints [17, 3] measured on it."""

    example: Example
    ordinal: int
    keypoints: NDArray[Any] | None = None


def drop_pictures(tables: Tables, examples: Iterable[Example]) -> dict[str, str]:
    """Item → data address. The frame is read from the video; where that cannot be, a stored
    thumbnail that lies inside the item stands in. Items without either are left out."""
    wanted: dict[str, list[_Moment]] = {}
    whole: dict[str, list[Example]] = {}
    for example in examples:
        if example.first is None or example.last is None:
            whole.setdefault(example.video_id, []).append(example)
        else:
            middle = (example.first + example.last) // 2
            wanted.setdefault(example.video_id, []).append(_Moment(example, middle))
    if wanted and has_run(tables, "detections"):
        _add_keypoints(tables, wanted)
    found: dict[str, str] = {}
    if wanted and has_run(tables, "videos"):
        for row in tables.rows("videos", ["video_id", "path", "decoder"]):
            moments = [m for m in wanted.get(row["video_id"], ()) if m.example.item not in found]
            found.update(_read(row["path"], row["decoder"], moments) if moments else {})
    if has_run(tables, "scans"):
        left = {v: [m.example for m in ms] for v, ms in wanted.items()}
        _add_stored(tables, {**whole, **left}, found)
    return found


def _add_keypoints(tables: Tables, wanted: dict[str, list[_Moment]]) -> None:
    """Move each moment to the measured frame nearest to it."""
    columns = ["video_id", "first", "last", "ordinals", "keypoints", "others.keypoints"]
    only = ("video_id", set(wanted))
    for row in tables.rows("detections", columns, outcome=None, only=only):
        ordinals = row["ordinals"]
        if row["keypoints"] is None or ordinals is None or not len(ordinals):
            continue
        for moment in wanted.get(row["video_id"], ()):
            if row["first"] <= moment.ordinal <= row["last"]:
                nearest = int(np.abs(np.asarray(ordinals) - moment.ordinal).argmin())
                moment.ordinal = int(ordinals[nearest])
                keypoints = row["keypoints"]
                if moment.example.person and moment.example.person <= len(row["others"] or ()):
                    keypoints = row["others"][moment.example.person - 1]["keypoints"]
                moment.keypoints = unflatten(keypoints, -1, 17, 3)[nearest]


def _read(path: str, decoder: str | None, moments: list[_Moment]) -> dict[str, str]:
    found: dict[str, str] = {}
    ordinals = sorted({m.ordinal for m in moments})
    try:
        for chunk in read_frames(path, decoder=decoder, ordinals=ordinals, chunk=4):
            for ordinal, frame in zip(chunk.ordinals.tolist(), chunk.frames, strict=True):
                for moment in moments:
                    if moment.ordinal == ordinal:
                        found[moment.example.item] = _picture(frame, moment.keypoints)
    except (InputError, OSError):
        return found  # the stored thumbnails stand in; the page says where there is none
    return found


def _picture(frame: NDArray[np.uint8], keypoints: NDArray[Any] | None) -> str:
    height, width = frame.shape[:2]
    scale = _WIDTH / width
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    size = (_WIDTH, max(1, round(height * scale)))
    picture = np.asarray(cv2.resize(frame, size, interpolation=way), np.uint8)
    if keypoints is not None:
        placed = np.array(keypoints, np.float64)
        placed[:, :2] *= scale
        picture = draw_skeleton(picture, placed)
    return jpeg(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), quality=78)


def _add_stored(tables: Tables, wanted: dict[str, list[Example]], found: dict[str, str]) -> None:
    if all(e.item in found for examples in wanted.values() for e in examples):
        return
    for row in tables.rows("scans", ["video_id", "thumbnails"]):
        for example in wanted.get(row["video_id"], ()):
            inside = [
                t
                for t in row["thumbnails"] or ()
                if example.first is None
                or example.last is None
                or example.first <= t["ordinal"] <= example.last
            ]
            if not inside or example.item in found:
                continue
            stored = np.frombuffer(inside[len(inside) // 2]["jpeg"], np.uint8)
            picture = cv2.imdecode(stored, cv2.IMREAD_COLOR)
            if picture is not None:
                found[example.item] = _picture(np.asarray(picture[..., ::-1], np.uint8), None)
