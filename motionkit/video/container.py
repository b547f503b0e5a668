"""Opening a video file safely: local files of known containers, sane sizes, one video stream.

Playlists and other formats that point at further files or addresses are not opened. Every flaw
that makes a file unusable is an `InputError` with a stable code.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import av

from motionkit.errors import InputError

#: Larger sides than this are a damaged header or an attack, not a film.
MAX_SIDE: Final = 16384

#: Demuxers that may open a file. Playlists (hls, dash, concat) name further files: left out;
#: so are still pictures and the text animations that any .txt file passes for.
CONTAINERS: Final = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,mpegvideo,asf,ogg,gif,mxf,"
    "rm,nut,ivf,h264,hevc,m4v,dv,wtv,swf,obu,yuv4mpegpipe"
)

#: First bytes of containers, to tell a damaged video from a file that never was one.
_MAGIC: Final = (b"\x1a\x45\xdf\xa3", b"RIFF", b"FLV\x01", b"OggS", b"\x30\x26\xb2\x75")

# FFmpeg prints every flaw of a file on stderr; ours are raised or recorded instead.
av.logging.set_level(av.logging.PANIC)


def open_video(path: str) -> tuple[Any, Any]:
    """(container, video stream) of a local file: PyAV's, one decoding thread. Close it yourself.

    Raises InputError: missing-file, unreadable-file, empty-file, not-a-video, corrupt,
    no-video-stream, unknown-codec, picture-too-large.
    """
    file = Path(path)
    try:
        size = file.stat().st_size if file.is_file() else -1
        container = _open(file, size)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError("unreadable-file", f"cannot read {path}: {reason}") from error
    try:
        return container, _video_stream(container, file.name)
    except InputError:
        container.close()
        raise


def _open(file: Path, size: int) -> Any:
    if size < 0:
        raise InputError("missing-file", f"there is no file {file}")
    if size == 0:
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
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free") or head.startswith(_MAGIC):
            raise InputError(
                "corrupt", f"{file.name} is damaged: its header cannot be read"
            ) from error
        raise InputError("not-a-video", f"{file.name} is not a video file") from error


def _video_stream(container: Any, name: str) -> Any:
    # A cover picture inside a sound file is a video stream of one still: not a video.
    cover = av.stream.Disposition.attached_pic
    streams = [s for s in container.streams.video if not s.disposition & cover]
    if not streams:
        raise InputError("no-video-stream", f"{name} holds no video stream")
    stream = streams[0]
    context = stream.codec_context
    if context is None:
        raise InputError("unknown-codec", f"{name} uses a video codec that cannot be decoded")
    if max(context.width, context.height) > MAX_SIDE:
        raise InputError(
            "picture-too-large",
            f"{name} declares {context.width} x {context.height} pixels; "
            f"at most {MAX_SIDE} a side are read",
        )
    context.thread_count = 1
    return stream


def packets(container: Any, stream: Any) -> Iterator[Any]:
    """The stream's packets (all streams' for None), the flushing ones (size 0) last. Ends
    quietly where the file breaks off: whoever counts sees that from what was declared."""
    try:
        yield from container.demux(*([] if stream is None else [stream]))
    except av.FFmpegError:
        return


def pictures(container: Any, stream: Any, name: str) -> Iterator[Any]:
    """Decoded pictures (PyAV frames) in the order shown, from where the container stands.

    Packets that the file's end cuts through are left out, and so is what cannot be decoded
    before the first picture (recordings that start in the middle). Raises InputError corrupt
    where a packet in the middle cannot be decoded: a picture would be missing or wrong.
    """
    started = False
    failed: Exception | None = None
    for packet in packets(container, stream):
        if packet.is_corrupt and packet.size:
            continue
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            failed = error if started else None
            continue
        if failed is not None and packet.size:
            raise InputError(
                "corrupt", f"{name} is damaged: a picture in the middle cannot be decoded"
            ) from failed
        started = started or bool(frames)
        yield from frames
