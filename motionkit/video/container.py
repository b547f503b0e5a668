"""Opening a video file safely: local files of known containers, sane sizes, one video stream.

Playlists and other formats that point at further files or addresses are not opened. Every flaw
that makes a file unusable is an `InputError` with a stable code.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import av

from motionkit.errors import InputError

#: Larger sides than this are a damaged header or an attack, not a film.
MAX_SIDE: Final = 16384

#: Pixels of one picture: 8192 x 8192. One decoded picture then takes at most 0.2 GB, and decoders
#: refuse larger ones in the middle of a stream by themselves.
MAX_PIXELS: Final = 2**26

#: Demuxers that may open a file. Playlists (hls, dash, concat) name further files: left out;
#: so are still pictures and the text animations that any .txt file passes for.
CONTAINERS: Final = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,mpegvideo,asf,ogg,gif,mxf,"
    "rm,nut,ivf,h264,hevc,m4v,dv,wtv,swf,obu,yuv4mpegpipe"
)

#: First bytes of containers, to tell a damaged video from a file that never was one.
_MAGIC: Final = (b"\x1a\x45\xdf\xa3", b"FLV\x01", b"OggS", b"\x30\x26\xb2\x75")

# FFmpeg prints every flaw of a file on stderr; ours are raised or recorded instead.
av.logging.set_level(av.logging.PANIC)


def open_video(path: str) -> tuple[Any, Any]:
    """(container, video stream) of a local file: PyAV's, one decoding thread. Close it yourself.

    Raises InputError: missing-file, not-a-file, unreadable-file, empty-file, not-a-video, corrupt,
    no-video-stream, unknown-codec, picture-too-large.
    """
    file = Path(path)
    try:
        container = _open(file)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError("unreadable-file", f"cannot read {path}: {reason}") from error
    try:
        return container, _video_stream(container, file.name)
    except InputError:
        container.close()
        raise


def _open(file: Path) -> Any:
    # Never opened: a pipe or a device would be waited on for ever.
    if not file.exists():
        raise InputError("missing-file", f"there is no file {file}")
    if not file.is_file():
        raise InputError("not-a-file", f"{file.name} is no regular file")
    if file.stat().st_size == 0:
        raise InputError("empty-file", f"{file.name} is empty (0 bytes)")
    with file.open("rb") as stream:  # a file without permission fails here, with its own reason
        head = stream.read(12)
    try:
        return av.open(
            str(file.absolute()),
            options={"format_whitelist": CONTAINERS, "protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except (av.FFmpegError, ValueError) as error:
        boxes = head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free")
        avi = head[:4] == b"RIFF" and head[8:12] == b"AVI "  # sound and stills are RIFF too
        if boxes or avi or head.startswith(_MAGIC):
            raise InputError(
                "corrupt", f"{file.name} is damaged: its header cannot be read"
            ) from error
        raise InputError("not-a-video", f"{file.name} is not a video file") from error


def _video_stream(container: Any, name: str) -> Any:
    streams = video_streams(container)
    if not streams:
        raise InputError("no-video-stream", f"{name} holds no video stream")
    stream = streams[0]
    context = stream.codec_context
    if context is None:
        raise InputError("unknown-codec", f"{name} uses a video codec that cannot be decoded")
    if max(context.width, context.height) > MAX_SIDE or context.width * context.height > MAX_PIXELS:
        raise InputError(
            "picture-too-large",
            f"{name} declares {context.width} x {context.height} pixels; "
            f"at most {MAX_SIDE} a side and {MAX_PIXELS} in all are read",
        )
    context.thread_count = 1
    context.options = {**context.options, "max_pixels": str(MAX_PIXELS)}
    return stream


def video_streams(container: Any) -> list[Any]:
    """The video streams of a container. A cover picture inside a sound file is a stream of one
    still: not a video."""
    cover = av.stream.Disposition.attached_pic
    return [s for s in container.streams.video if not s.disposition & cover]


def packets(container: Any, stream: Any) -> Iterator[Any]:
    """The stream's packets (all streams' for None), the flushing ones (size 0) last. Ends
    quietly where the file breaks off: whoever counts sees that from what was declared."""
    try:
        yield from container.demux(*([] if stream is None else [stream]))
    except av.FFmpegError:
        return
    except IndexError:
        # PyAV stumbles over streams that turn up late (damaged transport streams), but only when
        # it flushes them: every packet of the known ones has come.
        return


@dataclasses.dataclass
class Flaws:
    """What `pictures` had to leave out. ``undecodable``: packets in the middle, a picture is
    missing for each; ``undecodable_end``: packets after the last picture, or cut by the end."""

    undecodable: int = 0
    undecodable_end: int = 0


def pictures(container: Any, stream: Any, flaws: Flaws | None = None) -> Iterator[Any]:
    """Decoded pictures (PyAV frames) in the order shown, from where the container stands.

    Packets that cannot be decoded are left out, here and in every later pass alike, and counted
    in ``flaws``; those before the first picture (recordings that start in the middle) are not.
    `survey.survey` decides how many are too many.
    """
    flaws = Flaws() if flaws is None else flaws
    started = False
    for packet in _whole_packets(packets(container, stream), flaws):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            flaws.undecodable_end += started
            continue
        started = started or bool(frames)
        if packet.size:  # what failed before lies in the middle
            flaws.undecodable += flaws.undecodable_end
            flaws.undecodable_end = 0
        yield from frames


def _whole_packets(found: Iterator[Any], flaws: Flaws) -> Iterator[Any]:
    """Without the packet that the file's end cuts through. Transport streams mark one also where
    a piece is missing in the middle or two recordings were joined: most of these decode."""
    held: Any = None
    for packet in found:
        if held is not None:
            if packet.size:
                yield held
            else:
                flaws.undecodable_end += 1
            held = None
        if packet.is_corrupt and packet.size:
            held = packet
        else:
            yield packet
