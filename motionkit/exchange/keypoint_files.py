"""Keypoints in files of several forms → clips M_2D, for `lift`.

.npz: ``m2d`` [F, 18, 3], or ``keypoints`` [F, 17, 3] or [F, 51] with ``size`` (W, H) and ``fps``.
.json: a list with one entry a frame (51 numbers, or 17 triples, or an object with "keypoints", as
COCO results and AlphaPose write), such a list under "keypoints" or "frames" with "fps", "width" and
"height" beside it, or COCO keypoints with images (`coco_read`). Nothing is unpickled.
"""

from __future__ import annotations

import dataclasses
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError
from motionkit.exchange.coco_read import read_coco

SUFFIXES: Final = (".npz", ".json")
_PERSON_KEYS: Final = ("track_id", "idx", "instance_id", "person_id")
_FRAME_KEYS: Final = ("image_id", "frame_id", "frame_index", "frame")
#: A clip is not longer: frame numbers come from a file, and an array is made of them.
_MOST_FRAMES: Final = 1 << 20


@dataclasses.dataclass(frozen=True)
class FileClip:
    """One person's keypoints in a file; ``name`` tells the persons of a file apart ("" where the
    file has one)."""

    name: str
    m2d: NDArray[np.float32]
    fps: float


def read_keypoints(
    path: Path, *, fps: float | None = None, size: tuple[int, int] | None = None
) -> Iterator[FileClip]:
    """Clips of a file. ``fps`` and ``size`` (W, H) stand in where the file states none.

    Raises InputError: keypoints-unreadable (another form, damaged), keypoints-no-rate and
    keypoints-no-size (neither the file nor the call states them), two-persons-one-track,
    malformed-sample, and the codes of `coco_read.read_coco`.
    """
    if path.suffix.lower() == ".npz":
        yield _npz(path, fps, size)
        return
    if path.is_dir():
        yield from _coco(path, fps)
        return
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError("keypoints-unreadable", f"{path.name}: {error}") from error
    if isinstance(found, dict) and isinstance(found.get("images"), list):
        yield from _coco(path, fps)
        return
    yield from _json(path, found, fps, size)


def _coco(path: Path, fps: float | None) -> Iterator[FileClip]:
    left_out: Counter[str] = Counter()
    count = 0
    for row in read_coco(path, left_out, fps=fps):
        count += 1
        yield FileClip(str(row["sample_id"]), row["m2d"], float(row["fps"]))
    if not count:
        why = ", ".join(sorted(left_out)) or "no person"
        raise InputError("keypoints-unreadable", f"{path.name} has no clip of a person: {why}")


def _npz(path: Path, fps: float | None, size: tuple[int, int] | None) -> FileClip:
    try:
        # np.load leaves a file that it cannot read open
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            found = {name: file[name] for name in ("m2d", "keypoints", "size", "fps")
                     if name in file.files}  # fmt: skip
            if "m2d" in found:
                m2d = np.asarray(found["m2d"], np.float32)
                rate = float(found["fps"]) if "fps" in found else fps or 30.0
                return FileClip("", m2d, rate)
            if "keypoints" not in found:
                raise ValueError("no array m2d or keypoints")
            points = np.asarray(found["keypoints"], np.float32).reshape(-1, 17, 3)
            stated = found.get("size")
            if stated is not None:
                width, height = (float(v) for v in np.asarray(stated).reshape(-1, 2)[0])
                size = round(width), round(height)
            rate_stated = float(found["fps"]) if "fps" in found else None
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError("keypoints-unreadable", f"{path.name}: {error}") from error
    return FileClip("", _m2d(points, size, path), _rate(rate_stated, fps, path))


def _json(
    path: Path, found: Any, fps: float | None, size: tuple[int, int] | None
) -> Iterator[FileClip]:
    rate: float | None = None
    if isinstance(found, dict):
        rate = _positive(found.get("fps"))
        width, height = _positive(found.get("width")), _positive(found.get("height"))
        if width and height:
            size = round(width), round(height)
        found = next((found[k] for k in ("frames", "keypoints", "annotations") if k in found), None)
    if not isinstance(found, list) or not found:
        raise InputError(
            "keypoints-unreadable", f"{path.name} is no list of frames, nor COCO keypoints"
        )
    persons = _by_person(found, path) if isinstance(found[0], dict) else {"": _frames(found, path)}
    rate = _rate(rate, fps, path)
    for name, points in persons.items():
        yield FileClip(name, _m2d(points, size, path), rate)


def _frames(entries: Sequence[Any], path: Path) -> NDArray[np.float32]:
    """[F, 17, 3] from one entry a frame; an empty or null one is a frame without keypoints."""
    points = np.zeros((len(entries), 17, 3), np.float32)
    for index, entry in enumerate(entries):
        if entry:
            points[index] = _points(entry, path)
    return points


def _by_person(entries: Sequence[Any], path: Path) -> dict[str, NDArray[np.float32]]:
    """Results (one object a person and picture) → points [F, 17, 3] of each person."""
    if any(not isinstance(e, dict) or "keypoints" not in e for e in entries):
        raise InputError("keypoints-unreadable", f"{path.name}: an entry without keypoints")
    who = next((k for k in _PERSON_KEYS if all(k in e for e in entries)), None)
    when = next((k for k in _FRAME_KEYS if all(k in e for e in entries)), None)
    if when is None:
        return {"": _frames([e["keypoints"] for e in entries], path)}
    numbers, count = _frame_numbers([e[when] for e in entries], path)
    tracks: dict[str, dict[int, Any]] = {}
    for entry, number in zip(entries, numbers, strict=True):
        track = tracks.setdefault(str(entry[who]) if who else "", {})
        if number in track:
            raise InputError(
                "two-persons-one-track",
                f"{path.name}: {entry[when]!r} has several persons and nothing tells them apart",
                hint=f"give every entry one of {', '.join(_PERSON_KEYS)}, or keep one person",
            )
        track[number] = entry["keypoints"]
    made = {}
    for name, track in tracks.items():
        first, last = min(track), max(track) if len(tracks) > 1 else count - 1
        made[name] = _frames([track.get(n) for n in range(first, last + 1)], path)
    return made


def _frame_numbers(ids: Sequence[Any], path: Path) -> tuple[list[int], int]:
    """Frames counted from 0. Numbers, or names that end in a number ("0012.jpg"), keep their
    gaps: a frame in which nobody was found has no entry. Other names count in their order."""
    found = [
        i if isinstance(i, int) and not isinstance(i, bool) else _number_at_end(str(i)) for i in ids
    ]
    numbers: list[int]
    if any(n is None for n in found):
        order = {name: at for at, name in enumerate(dict.fromkeys(map(str, ids)))}
        numbers = [order[str(i)] for i in ids]
    else:
        numbers = [int(n) for n in found if n is not None]
    start = min(numbers)
    count = max(numbers) - start + 1
    if count > min(_MOST_FRAMES, 100 * len(set(numbers))):
        raise InputError(
            "malformed-sample",
            f"{path.name}: {len(set(numbers))} frames numbered over {count}",
            hint="frame numbers count frames of one clip",
        )
    return [n - start for n in numbers], count


def _number_at_end(name: str) -> int | None:
    digits = re.search(r"(\d{1,9})(?:\.[A-Za-z]+)?$", name)
    return int(digits[1]) if digits else None


def _points(entry: Any, path: Path) -> NDArray[np.float32]:
    try:
        points = np.asarray(entry, np.float32).reshape(17, 3)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(
            "malformed-sample", f"{path.name}: a frame that is not 17 times x, y, confidence"
        ) from error
    return points


def _m2d(
    points: NDArray[np.float32], size: tuple[int, int] | None, path: Path
) -> NDArray[np.float32]:
    if size is None:
        raise InputError(
            "keypoints-no-size",
            f"{path.name} does not say how large the picture is",
            hint="give it: --size 1920x1080",
        )
    m2d = np.ones((len(points), 18, 3), np.float32)
    m2d[:, :17] = points
    # COCO's v (0, 1 or 2) in the place of a confidence
    v = points[..., 2]
    if len(v) and v.max() > 1 and np.isin(v, (0, 1, 2)).all():
        m2d[:, :17, 2] = v > 0
    m2d[:, 17, :2] = size
    return m2d


def _rate(stated: float | None, given: float | None, path: Path) -> float:
    rate = stated or given
    if not rate:
        raise InputError(
            "keypoints-no-rate", f"{path.name} states no frame rate", hint="give it: --fps 30"
        )
    return rate


def _positive(value: Any) -> float | None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e6
    return float(value) if good else None
