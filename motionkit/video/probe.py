"""What a video file says about itself: its packets, and one decoded picture.

`index_packets` reads every packet without decoding (about a microsecond each) and so knows the
true presentation time of every frame, whatever the decoder: variable rates, B-frames and edit
lists come out right. `probe` adds the facts that need a picture.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError
from motionkit.video.container import open_video, packets, pictures, video_streams

FloatArray = NDArray[np.float64]

#: Declared rates outside are damaged headers: frames a second.
RATE_MIN: Final = 0.01
RATE_MAX: Final = 1000.0

#: Frame lengths within this share of their median count as a constant rate. Containers with
#: ticks of a millisecond round 1/30 s to 33 or 34 ms (1.5 % off), film at 60 fps to 16 or 17.
RATE_TOLERANCE: Final = 0.1


@dataclasses.dataclass(frozen=True)
class PacketIndex:
    """The frames of a video as its packets announce them; nothing is decoded.

    ``times_s`` [F] are presentation times in seconds in the order shown, the first 0; ``pts``
    [F] the same in the stream's own ticks, unshifted; ``keys`` [F] where decoding can start.
    ``edit_list``: some packets are decoded but not shown. ``truncated``: the file ends inside a
    packet or holds fewer than declared. ``timed``: the container gives presentation times; False
    means that packets were counted at the declared rate. ``seekable``: frames can be told by
    ``pts`` alone, so reading may start in the middle; False means: count from the first frame.
    The stored size is pixels before any rotation. ``start_s``: the first frame's time after the
    container's beginning. ``streams`` counts video streams, covers left out; the first is read.
    ``pixel_aspect``: width of a pixel over its height. ``packets``: of frames that are shown, also
    those that share a time stamp.
    """

    codec: str
    container: str
    stored_width: int
    stored_height: int
    frames_declared: int | None
    rate_declared: float | None
    pts: NDArray[np.int64]
    times_s: FloatArray
    keys: NDArray[np.bool_]
    last_length_s: float
    edit_list: bool
    truncated: bool
    timed: bool
    seekable: bool
    start_s: float = 0.0
    streams: int = 1
    pixel_aspect: float = 1.0
    packets: int = 0


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """Facts of one video file. Sizes in pixels as shown (rotation applied); times in seconds.

    ``rotation`` is degrees clockwise to turn the stored picture (0, 90, 180, 270). ``frames``
    counts packets: a damaged file may decode to fewer. ``fps`` is the mean rate, frames over
    duration; ``duration_s`` the time of the last frame plus its length. ``frames_declared`` is
    None where the container says nothing. ``times_s`` [frames].
    """

    path: str
    container: str
    codec: str
    width: int
    height: int
    rotation: int
    fps: float
    duration_s: float
    frames: int
    frames_declared: int | None
    variable_rate: bool
    edit_list: bool
    truncated: bool
    times_s: FloatArray


def probe(path: str) -> VideoInfo:
    """Facts of a video file: all packets are read, one picture is decoded.

    Raises InputError: the codes of `container.open_video`, no-frames, corrupt.
    """
    index = index_packets(path)
    for picture in pictures_of(path):
        rotation = clockwise(picture)
        width, height = picture.width, picture.height
        break
    else:
        raise InputError("no-frames", f"{Path(path).name}: no picture can be decoded")
    if rotation % 180:
        width, height = height, width
    duration = float(index.times_s[-1]) + index.last_length_s
    return VideoInfo(
        path=path,
        container=index.container,
        codec=index.codec,
        width=width,
        height=height,
        rotation=rotation,
        fps=frame_rate(index.times_s, duration, index.rate_declared),
        duration_s=duration,
        frames=len(index.times_s),
        frames_declared=index.frames_declared,
        variable_rate=is_variable(index.times_s),
        edit_list=index.edit_list,
        truncated=index.truncated,
        times_s=index.times_s,
    )


def pictures_of(path: str) -> Iterator[Any]:
    """Decoded pictures (PyAV frames) of a video file or a folder of frames, in the order shown.

    Raises InputError as `container.open_video`, or as `frame_folder.folder_pictures`.
    """
    if Path(path).is_dir():
        from motionkit.video.frame_folder import folder_pictures

        yield from (picture for _, picture in folder_pictures(path))
        return
    container, stream = open_video(path)
    with container:
        yield from pictures(container, stream)


def clockwise(picture: Any) -> int:
    """Degrees clockwise (0, 90, 180, 270) by which a PyAV frame must be turned to be shown."""
    # FFmpeg counts counter-clockwise. Odd angles (a few phones write 89) go to the next quarter.
    return round(-picture.rotation / 90) * 90 % 360


def turned(picture: NDArray[np.uint8], degrees: int) -> NDArray[np.uint8]:
    """The picture turned clockwise by 0, 90, 180 or 270 degrees."""
    if not degrees:
        return picture
    return np.ascontiguousarray(np.rot90(picture, -(degrees // 90)))


def is_variable(times_s: FloatArray | Sequence[float]) -> bool:
    """Do frame lengths differ by more than `RATE_TOLERANCE` from their median?"""
    steps = np.diff(np.asarray(times_s, np.float64))
    if len(steps) < 2:
        return False
    middle = float(np.median(steps))
    return bool(np.abs(steps - middle).max() > max(RATE_TOLERANCE * middle, 0.0015))


def frame_rate(times_s: FloatArray, duration_s: float, declared: float | None) -> float:
    """Mean frames per second: frames over duration.

    Ticks of a millisecond make 30.003 of 30 exact frames a second; so where the lengths are
    constant and the declared rate lies within 0.5 % (or one tick) of the mean, it is taken.
    """
    mean = len(times_s) / duration_s
    if declared is None or is_variable(times_s):
        return mean
    slack = max(0.005, 0.0015 / duration_s)
    return declared if abs(declared - mean) <= slack * mean else mean


def index_packets(path: str) -> PacketIndex:
    """The packet index of a file; the last few are remembered (by path, size, time of change).

    Raises InputError as `container.open_video` does, and no-frames.
    """
    file = Path(path).absolute()
    if file.is_dir():
        from motionkit.video.frame_folder import folder_index

        return folder_index(file)
    try:
        found = file.stat()
        stamp = (found.st_size, found.st_mtime_ns)
    except OSError:
        stamp = (-1, -1)  # opening it says why
    return _index(str(file), *stamp)


@functools.lru_cache(maxsize=4)
def _index(path: str, size: int, mtime_ns: int) -> PacketIndex:
    container, stream = open_video(path)
    with container:
        codec = stream.codec_context.codec.canonical_name
        stored = stream.codec_context.width, stream.codec_context.height
        form = container.format.name
        tick = float(stream.time_base)
        rate = _plausible(stream.average_rate) or _plausible(stream.guessed_rate)
        claimed_s = (container.duration or 0) / 1e6 if "matroska" in form else 0.0
        # MP4 and Matroska count from 0; other containers from wherever their first packet lies.
        zero_s = 0.0
        if not form.startswith(("mov,mp4", "matroska")):
            zero_s = (container.start_time or 0) / 1e6
        aspect = float(stream.sample_aspect_ratio or 0) or 1.0
        streams = len(video_streams(container))
        declared = stream.frames if stream.frames > 0 else None
        # Matroska declares no frame count, only how long the longest stream is: sound counts too.
        seen = _read_packets(container, stream, sound_too="matroska" in form)
    length = 1 / rate if rate else 1 / 30
    shown = seen.shown
    # AVI has no presentation times; what FFmpeg makes of B-frames there is wrong.
    untimed = form == "avi" or seen.unstamped > len(shown)
    if untimed:
        ticks = max(1, round(length / tick))
        shown = {i * ticks: (i == 0, ticks) for i in range(seen.count)}
    if not shown:
        raise InputError("no-frames", f"{Path(path).name} holds no picture that is shown")
    ordered = sorted(shown)
    pts = np.array(ordered, np.int64)
    times = np.array([(p - ordered[0]) * tick for p in ordered])  # int64 might overflow
    last = shown[ordered[-1]][1] * tick
    if last <= 0:
        last = float(np.median(np.diff(times))) if len(times) > 1 else length
    # A list that begins before 0 was cut with an edit list even where no packet is marked.
    edit_list = not untimed and (seen.hidden or ordered[0] < 0)
    short = claimed_s - seen.end_s > max(0.25, 0.02 * claimed_s)
    if declared is not None and not edit_list:
        short = seen.count < declared
    exact = not (seen.unstamped or seen.doubled)
    return PacketIndex(
        codec=codec,
        container=form,
        stored_width=stored[0],
        stored_height=stored[1],
        frames_declared=declared,
        rate_declared=rate,
        pts=pts,
        times_s=times,
        keys=np.array([shown[p][0] for p in ordered], bool),
        last_length_s=last,
        edit_list=edit_list,
        truncated=seen.cut or short,
        timed=not untimed,
        seekable=seen.first_is_key and exact and not (edit_list or seen.cut or untimed),
        start_s=ordered[0] * tick - zero_s if not untimed else 0.0,
        streams=streams,
        pixel_aspect=aspect,
        packets=seen.count,
    )


@dataclasses.dataclass
class _Packets:
    """What the packets say: ``shown`` maps pts to (key frame, duration) for frames that are shown;
    ``count`` of these; ``unstamped`` of them without pts; ``end_s`` of the longest stream."""

    shown: dict[int, tuple[bool, int]]
    count: int = 0
    unstamped: int = 0
    doubled: bool = False
    hidden: bool = False
    cut: bool = False
    first_is_key: bool = False
    end_s: float = 0.0

    def add(self, packet: Any) -> None:
        if packet.is_discard:
            self.hidden = True
            return
        self.count += 1
        if self.count == 1:
            self.first_is_key = packet.is_keyframe
        if packet.pts is None:
            self.unstamped += 1
            return
        self.doubled = self.doubled or packet.pts in self.shown
        self.shown[packet.pts] = (packet.is_keyframe, max(0, packet.duration or 0))


def _read_packets(container: Any, stream: Any, *, sound_too: bool) -> _Packets:
    seen = _Packets({})
    last: Any = None
    for packet in packets(container, None if sound_too else stream):
        if packet.size == 0:
            continue
        if packet.pts is not None:
            shown_for = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            seen.end_s = max(seen.end_s, shown_for)
        if packet.stream_index != stream.index:
            continue
        if last is not None:
            seen.add(last)
        last = packet
    if last is not None and last.is_corrupt:  # in the middle it need not be: see container.pictures
        seen.cut = True
    elif last is not None:
        seen.add(last)
    return seen


def _plausible(rate: Any) -> float | None:
    value = float(rate) if rate else 0.0
    return value if RATE_MIN <= value <= RATE_MAX else None
