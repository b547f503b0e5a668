"""The MeViS layout: split folders with frames, sentences and masks.

A split is a folder (``train``, ``valid_u``, ``valid`` …) that holds ``meta_expressions.json`` and
``JPEGImages/<video>/<frame>.jpg``, and perhaps ``mask_dict.json``. It is told by these names
alone. Everything the JSON says is untrusted: names are compared with what is on the disk, and
never become a path.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
import math
import os
from pathlib import Path
from typing import Any, Final

from motionkit.errors import InputError

META_NAME: Final = "meta_expressions.json"
MASKS_NAME: Final = "mask_dict.json"
IMAGES_NAME: Final = "JPEGImages"

#: MeViS states no rate. Its authors: most videos were taken at 5 frames a second, a few at 3 or
#: up to 30 (https://github.com/henghuiding/MeViS/issues/18).
MEVIS_FPS: Final = 5.0

#: The sentences of the whole training split take about 6 MB.
META_MAX_BYTES: Final = 64 * 2**20

#: How far below the named folder a split may lie.
_DEPTH: Final = 2


@dataclasses.dataclass(frozen=True)
class MevisSplit:
    """One split folder: its absolute path ``root``; its ``name`` is the folder's."""

    root: str

    @property
    def name(self) -> str:
        """The folder's own name: train, valid_u, valid."""
        return Path(self.root).name

    @property
    def meta(self) -> Path:
        """The file of sentences."""
        return Path(self.root) / META_NAME

    @property
    def masks(self) -> Path:
        """The file of masks; the split ``valid`` has none."""
        return Path(self.root) / MASKS_NAME

    @property
    def images(self) -> Path:
        """The folder that holds a folder of frames for every video."""
        return Path(self.root) / IMAGES_NAME

    def folders(self) -> list[str]:
        """The absolute paths of the videos' folders, sorted."""
        with os.scandir(self.images) as entries:
            names = [e.name for e in entries if e.is_dir() and not e.name.startswith(".")]
        return [str(self.images / name) for name in sorted(names)]

    def stamp(self) -> list[int]:
        """Size and time of change of both JSON files: another one means they were replaced."""
        return [*_stat(self.meta), *_stat(self.masks)]


def find_mevis(path: str | Path) -> list[MevisSplit]:
    """The splits at ``path`` or up to two folders below it, sorted; none: an empty list."""
    found: list[str] = []
    level = [os.path.abspath(path)]  # noqa: PTH100 - resolve() would follow links
    for _ in range(_DEPTH + 1):
        deeper: list[str] = []
        for folder in level:
            names = _subfolders(folder)
            if IMAGES_NAME in names and (Path(folder) / META_NAME).is_file():
                found.append(folder)
            else:
                deeper += [str(Path(folder) / name) for name in names if name != IMAGES_NAME]
        level = deeper
    return [MevisSplit(root) for root in sorted(found)]


def split_of(folder: str | Path) -> MevisSplit | None:
    """The split that a video's folder of frames belongs to, or None."""
    images = Path(folder).parent
    if images.name != IMAGES_NAME or not (images.parent / META_NAME).is_file():
        return None
    return MevisSplit(str(images.parent))


def _subfolders(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    except OSError:  # not a folder, or one that may not be read: no split there
        return []


def _stat(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return (-1, -1)
    return (found.st_size, found.st_mtime_ns)


class JsonObject(dict[str, Any]):
    """A JSON object that remembers in ``repeated`` which of its keys stood there twice."""

    repeated: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Unreadable:
    """Stands where JSON has a number that is none: NaN, or one beyond what is stored."""


def parse_json(data: bytes) -> Any:
    """JSON as plain values, objects as `JsonObject`; ValueError where it cannot be read.

    Bytes that are no UTF-8 become lone surrogates (see `is_unicode`), so that one bad letter
    spoils one text. NaN, a number beyond a double and a whole number of more than 18 digits
    become `Unreadable`.
    """
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=lambda _: Unreadable(),
            parse_float=_float,
            parse_int=_int,
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _object(pairs: list[tuple[str, Any]]) -> JsonObject:
    made = JsonObject(pairs)
    if len(made) != len(pairs):
        counts = collections.Counter(key for key, _ in pairs)
        made.repeated = frozenset(key for key, count in counts.items() if count > 1)
    return made


def _float(text: str) -> float | Unreadable:
    value = float(text)
    return value if math.isfinite(value) else Unreadable()


def _int(text: str) -> int | Unreadable:
    return int(text) if len(text) <= 18 else Unreadable()  # longer ones take quadratic time


def is_unicode(text: str) -> bool:
    """Can the text be written as UTF-8? (JSON may hold half a surrogate pair.)"""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def readable(text: str) -> str:
    """The text with what is not Unicode spelt out (backslash escapes): for messages and ids."""
    return text.encode("utf-8", "backslashreplace").decode()


def read_meta(split: MevisSplit) -> JsonObject:
    """Video name → entry, as the split's file of sentences says; the last file is remembered.

    Raises InputError meta-unreadable: no file, too large, not JSON, or no object "videos".
    """
    return _read_meta(str(split.meta), *_stat(split.meta))


@functools.lru_cache(maxsize=2)
def _read_meta(path: str, size: int, changed_ns: int) -> JsonObject:
    name = "/".join(Path(path).parts[-2:])
    if size > META_MAX_BYTES:
        raise InputError(
            "meta-unreadable", f"{name} has {size} bytes; at most {META_MAX_BYTES} are read"
        )
    try:
        content = parse_json(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        reason = readable(str(error))
        raise InputError(
            "meta-unreadable", f"{name} cannot be read: {reason}", hint="fetch the file again"
        ) from error
    videos = content.get("videos") if isinstance(content, JsonObject) else None
    if not isinstance(videos, JsonObject) or "videos" in content.repeated:
        raise InputError("meta-unreadable", f'{name} holds no object "videos"')
    return videos


def listed_frames(folder: str | Path) -> list[str] | None:
    """The frames' names (without extension) that the split lists for a video's folder, in its
    order; None where there is no split, or its file does not list them in a usable way."""
    split = split_of(folder)
    if split is None:
        return None
    try:
        entry = read_meta(split).get(Path(folder).name)
    except InputError:  # `expressions` reports it; the pictures are there all the same
        return None
    frames = entry.get("frames") if isinstance(entry, JsonObject) else None
    if not isinstance(frames, list) or not frames or not all(isinstance(f, str) for f in frames):
        return None
    return frames
