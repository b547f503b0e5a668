"""A folder of JPEG or PNG pictures as a video.

The pictures are those that the MeViS file of sentences lists for the folder, in its order; where
it lists none, all of the folder sorted by name. They are decoded one at a time, by the decoders
that read videos, so that everything behind them works the same. Pictures are taken as stored: an
EXIF orientation is not applied, since masks are made on the stored picture.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError
from motionkit.video.container import MAX_PIXELS, MAX_SIDE
from motionkit.video.mevis import MEVIS_FPS, listed_frames, readable
from motionkit.video.probe import PacketIndex

#: What stands in `videos.container` and `PacketIndex.container`.
CONTAINER: Final = "frames"

#: Larger files are no single frame.
_MAX_BYTES: Final = 256 * 2**20
_CODECS: Final = {".jpg": "mjpeg", ".jpeg": "mjpeg", ".png": "png"}
_EOI: Final = b"\xff\xd9"  # the end mark of a JPEG


@dataclass(frozen=True)
class FrameFolder:
    """The pictures of a folder: ``files``, names in the order shown; ``missing``, names that
    are listed and not there; ``listed``, whether the list came from a file of sentences."""

    path: str
    files: tuple[str, ...]
    missing: tuple[str, ...]
    listed: bool

    @property
    def codec(self) -> str:
        """jpeg or png, that of the first picture."""
        return "png" if self.files and _codec(self.files[0]) == "png" else "jpeg"


def is_frame_folder(path: str | Path) -> bool:
    """Is this a folder that holds at least one JPEG or PNG picture?"""
    try:
        with os.scandir(path) as entries:
            return any(_codec(entry.name) and entry.is_file() for entry in entries)
    except OSError:
        return False


def open_frame_folder(path: str | Path) -> FrameFolder:
    """The pictures of a folder, by its listing; none is opened.

    Raises InputError: missing-file, unreadable-file.
    """
    folder = os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links
    try:
        with os.scandir(folder) as entries:
            there = sorted(e.name for e in entries if _codec(e.name) and not e.name.startswith("."))
    except FileNotFoundError as error:
        raise InputError("missing-file", f"there is no folder {folder}") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError("unreadable-file", f"cannot read {folder}: {reason}") from error
    listed = listed_frames(folder)
    if listed is None:
        return FrameFolder(folder, tuple(there), (), False)
    by_stem = {Path(name).stem: name for name in reversed(there)}  # of 1.jpg and 1.png: 1.jpg
    files = tuple(by_stem[stem] for stem in listed if stem in by_stem)
    missing = tuple(stem for stem in listed if stem not in by_stem)
    return FrameFolder(folder, files, missing, True)


def folder_stamp(path: str | Path) -> str:
    """Digest of the list of pictures with their sizes and times of change: another one means
    that the video changed. No picture is opened. A folder that cannot be read has one too."""
    whole = hashlib.sha256()
    try:
        found = open_frame_folder(path)
    except InputError as error:
        return error.code
    with os.scandir(found.path) as entries:
        stats = {e.name: e.stat() for e in entries if _codec(e.name) and e.is_file()}
    for name in found.files:
        known = (stats[name].st_size, stats[name].st_mtime_ns) if name in stats else ()
        whole.update(f"{readable(name)} {known}\n".encode())
    whole.update(repr(found.missing).encode("utf-8", "backslashreplace"))
    return whole.hexdigest()[:16]


def folder_index(path: str | Path) -> PacketIndex:
    """The folder as `probe.index_packets` tells a video: every picture a key frame, evenly spaced
    at `MEVIS_FPS` (a workspace's `videos.frame_times_s` says which rate `ingest` took instead).

    Raises InputError: no-frames, frames-missing, and what the first picture's size may raise.
    """
    found = _sound(open_frame_folder(path))
    return _index(found, (Path(found.path) / found.files[0]).stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _index(found: FrameFolder, _changed_ns: int) -> PacketIndex:
    width, height = _size_of(_bytes_of(found, 0), found.files[0])
    count = len(found.files)
    return PacketIndex(
        codec=found.codec,
        container=CONTAINER,
        stored_width=width,
        stored_height=height,
        frames_declared=count if found.listed else None,
        rate_declared=MEVIS_FPS,
        pts=np.arange(count, dtype=np.int64),
        times_s=np.arange(count) / MEVIS_FPS,
        keys=np.ones(count, bool),
        last_length_s=1 / MEVIS_FPS,
        edit_list=False,
        truncated=False,
        timed=True,
        seekable=True,
        start_s=0.0,
        streams=1,
        pixel_aspect=1.0,
    )


def folder_pictures(
    path: str | Path, ordinals: Iterable[int] | None = None
) -> Iterator[tuple[int, Any]]:
    """(ordinal, PyAV frame) of every picture, or of the given ordinals (others are not opened).

    Ordinals past the end are left out. Raises InputError: no-frames, frames-missing (a listed
    picture is not there), corrupt (one cannot be decoded), frame-size (one is not as large as
    the first), picture-too-large, unreadable-file.
    """
    found = _sound(open_frame_folder(path))
    first = _size_of(_bytes_of(found, 0), found.files[0])
    for ordinal in range(len(found.files)) if ordinals is None else ordinals:
        if ordinal >= len(found.files):
            return
        yield ordinal, _decoded(found, _bytes_of(found, ordinal), ordinal, first)


def check_picture(path: Path) -> tuple[int, int]:
    """Width and height of a JPEG or PNG file by its header, nothing decoded; raises as
    `read_picture`."""
    return _size_of(_picture_bytes(path), path.name)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """One JPEG or PNG file as RGB [H, W, 3], as stored.

    Raises InputError: missing-file, unreadable-file, not-a-picture, corrupt, picture-too-large.
    """
    data = _picture_bytes(path)
    one = FrameFolder(str(path.parent), (path.name,), (), False)
    picture = _decoded(one, data, 0, _size_of(data, path.name))
    pixels: NDArray[np.uint8] = np.ascontiguousarray(picture.to_ndarray(format="rgb24"))
    return pixels


def _picture_bytes(path: Path) -> bytes:
    if _codec(path.name) is None:
        raise InputError(
            "not-a-picture", f"{readable(path.name)} is no .jpg or .png file", hint="convert it"
        )
    if not path.exists():
        raise InputError("missing-file", f"there is no file {path}")
    return _bytes_of(FrameFolder(str(path.parent), (path.name,), (), False), 0)


def describe_folder(path: str | Path, fps: float = MEVIS_FPS) -> dict[str, Any]:
    """What `videos` holds of a folder of frames, read to its end: everything but the source, the
    texts and the page. ``fps`` is the rate of the pictures, which no file states.

    Raises InputError as `folder_pictures`.
    """
    found = _sound(open_frame_folder(path))
    whole = hashlib.sha256()
    first: tuple[int, int] | None = None
    size = 0
    for ordinal, name in enumerate(found.files):
        data = _bytes_of(found, ordinal)
        whole.update(f"{readable(name)}\n{len(data)}\n".encode() + data)
        size += len(data)
        first = first or _size_of(data, name)
        _decoded(found, data, ordinal, first)
    assert first is not None
    sha256, count = whole.hexdigest(), len(found.files)
    return {
        "video_id": f"v{sha256[:16]}",
        "sha256": sha256,
        "path": found.path,
        "size_bytes": size,
        "container": CONTAINER,
        "codec": found.codec,
        "width": first[0],
        "height": first[1],
        "rotation": 0,
        "fps": float(fps),
        "duration_s": count / fps,
        "frames_declared": count if found.listed else None,
        "frames_decoded": count,
        "frames_damaged": 0,
        "variable_rate": False,
        "decoder": "pyav",
        "problems": [] if found.listed else ["no-frame-count"],
        "frame_times_s": np.arange(count) / fps,
    }


def _codec(name: str) -> str | None:
    return _CODECS.get(os.path.splitext(name)[1].lower())  # noqa: PTH122 - called for every file


def _sound(found: FrameFolder) -> FrameFolder:
    name = Path(found.path).name
    if found.missing:
        raise InputError(
            "frames-missing",
            f"{name}: {len(found.missing)} of {len(found.missing) + len(found.files)} listed "
            f"frames are not in the folder, the first is {readable(found.missing[0])!r}",
            hint="fetch the frames again",
        )
    if not found.files:
        raise InputError("no-frames", f"{name} holds no picture")
    return found


def _bytes_of(found: FrameFolder, ordinal: int) -> bytes:
    file = Path(found.path) / found.files[ordinal]
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise InputError("picture-too-large", f"{_named(found, ordinal)} is no single frame")
        return file.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError("unreadable-file", f"cannot read {file}: {reason}") from error


def _named(found: FrameFolder, ordinal: int) -> str:
    return readable(f"{Path(found.path).name}/{found.files[ordinal]}")


def _size_of(data: bytes, name: str) -> tuple[int, int]:
    """Width and height that a picture's header states. Raises InputError corrupt and
    picture-too-large: nothing that large is ever decoded."""
    size, _ = _png_header(data) if _codec(name) == "png" else _jpeg_header(data)
    if size is None or min(size) < 1:
        raise InputError("corrupt", f"{readable(name)} is damaged: its header cannot be read")
    if max(size) > MAX_SIDE or size[0] * size[1] > MAX_PIXELS:
        raise InputError(
            "picture-too-large",
            f"{readable(name)} declares {size[0]} x {size[1]} pixels; at most {MAX_SIDE} a side "
            f"and {MAX_PIXELS} in all are read",
        )
    return size


#: Width and height (None where the header is damaged), and where the EXIF data lies.
_Header = tuple[tuple[int, int] | None, list[tuple[int, int]]]


def _png_header(data: bytes) -> _Header:
    if not data.startswith(b"\x89PNG\r\n\x1a\n") or data[12:16] != b"IHDR" or len(data) < 33:
        return None, []
    exif = []
    at = 8
    while at + 8 <= len(data) and data[at + 4 : at + 8] != b"IDAT":
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"eXIf":
            exif.append((at, end))
        at = end
    return (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")), exif


def _jpeg_header(data: bytes) -> _Header:
    """The first frame header (SOF), reached from segment to segment."""
    exif: list[tuple[int, int]] = []
    at = 2 if data.startswith(b"\xff\xd8") else len(data)
    while at + 9 <= len(data) and data[at] == 0xFF:
        mark = data[at + 1]
        if mark == 0xFF:  # a fill byte
            at += 1
            continue
        if 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC):
            height = int.from_bytes(data[at + 5 : at + 7], "big")
            return (int.from_bytes(data[at + 7 : at + 9], "big"), height), exif
        end = at + 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
        if mark == 0xE1:
            exif.append((at, end))
        at = end
    return None, exif


def _as_stored(data: bytes, name: str) -> bytes:
    """The picture without its EXIF data, or the decoder would ask for it to be turned."""
    _, exif = _png_header(data) if _codec(name) == "png" else _jpeg_header(data)
    for start, end in reversed(exif):
        data = data[:start] + data[end:]
    return data


def _decoded(found: FrameFolder, data: bytes, ordinal: int, first: tuple[int, int]) -> Any:
    name = found.files[ordinal]
    codec = _codec(name) or "mjpeg"
    size = _size_of(data, name)
    if size != first:
        raise InputError(
            "frame-size",
            f"{_named(found, ordinal)} has {size[0]} x {size[1]} pixels, the first frame "
            f"{first[0]} x {first[1]}",
        )
    cut = codec == "mjpeg" and data.rfind(_EOI) < data.rfind(b"\xff\xda")
    # A new one for every picture: FFmpeg's PNG decoder adds the next picture to the last.
    decoder: Any = av.CodecContext.create(codec, "r")
    decoder.thread_count = 1
    decoder.options = {"err_detect": "explode"}
    try:
        pictures = [] if cut else decoder.decode(av.Packet(_as_stored(data, name)))
    except (av.FFmpegError, ValueError) as error:
        raise InputError(
            "corrupt", f"{_named(found, ordinal)} is damaged: it cannot be decoded"
        ) from error
    if len(pictures) != 1 or (pictures[0].width, pictures[0].height) != size:
        raise InputError("corrupt", f"{_named(found, ordinal)} is damaged: it breaks off")
    return pictures[0]
