"""What decoding a whole file shows: every picture's presentation time, and every flaw.

The packets of a file (`probe.index_packets`) announce its frames; only decoding tells which of
them exist. A survey is made once by `ingest`; where decoded and announced frames differ, each
process that reads frames makes it again (one decoding pass), so that ordinals mean the same
pictures in every stage.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError
from motionkit.video.container import Flaws, open_video, pictures
from motionkit.video.probe import PacketIndex, clockwise, index_packets

FloatArray = NDArray[np.float64]

#: A file in whose middle a larger share of the pictures is lost or wrong is `corrupt`.
DAMAGED_SHARE_MAX: Final = 0.1

#: Time stamps that fall back and catch up within this many pictures are out of order; those that
#: stay back begin anew (joined recordings).
_DISORDER: Final = 16


@dataclasses.dataclass(frozen=True)
class Survey:
    """The frames of a video as they decode, in the decoder's order, which is the order shown.

    ``times_s`` [F] rise strictly, the first is 0; ``pts`` [F] are the time stamps they come from
    in the stream's ticks (``repaired``: some were missing, twice there or fell, see `rising`).
    ``damaged`` [F]: decoded with errors, parts of it are guessed. ``lost``: pictures in the middle
    that could not be decoded and are left out. ``whole``: exactly the frames that the packets
    announce, all sound. ``cut``: the last packets cannot be decoded. ``rotation`` in degrees
    clockwise and the stored size in pixels are the first picture's; ``size_changes``: others have
    another size or turn. ``bits`` of a brightness value.
    """

    times_s: FloatArray
    pts: NDArray[np.int64]
    damaged: NDArray[np.bool_]
    repaired: bool
    lost: int
    cut: bool
    whole: bool
    last_length_s: float
    rotation: int
    width: int
    height: int
    size_changes: bool
    interlaced: bool
    bits: int


def survey(path: str) -> Survey:
    """Decode the whole file; the last few are remembered (by path, size, time of change).

    Raises InputError: the codes of `container.open_video`, no-frames, and corrupt where more
    than `DAMAGED_SHARE_MAX` of the pictures are lost or damaged.
    """
    file = Path(path).absolute()
    try:
        found = file.stat()
        stamp = (found.st_size, found.st_mtime_ns)
    except OSError:
        stamp = (-1, -1)  # opening it says why
    return _survey(str(file), *stamp)


@functools.lru_cache(maxsize=4)
def _survey(path: str, size: int, mtime_ns: int) -> Survey:
    index = index_packets(path)
    name = Path(path).name
    stamps: list[int | None] = []
    damaged: list[bool] = []
    shapes: list[tuple[int, int, int]] = []  # of the first, and of each that differs from it
    flaws = Flaws()
    interlaced, bits, last = False, 8, 0
    container, stream = open_video(path)
    with container:
        tick = float(stream.time_base)
        for picture in pictures(container, stream, flaws):
            shape = (picture.width, picture.height, clockwise(picture))
            if not shapes:
                bits = _bits(picture)
            if not shapes or (len(shapes) == 1 and shape != shapes[0]):
                shapes.append(shape)
            stamps.append(picture.pts)
            damaged.append(picture.is_corrupt)
            interlaced = interlaced or picture.interlaced_frame
            last = picture.duration or 0
    if not stamps:
        raise InputError("no-frames", f"{name}: no picture can be decoded")
    lost = max(flaws.undecodable, index.packets - len(stamps)) if flaws.undecodable else 0
    broken = lost + sum(damaged)
    if broken > DAMAGED_SHARE_MAX * (len(stamps) + lost):
        raise InputError(
            "corrupt",
            f"{name} is damaged: {broken} of {len(stamps) + lost} pictures cannot be decoded right",
        )
    pts, times, repaired = _timed(index, stamps, tick)
    sound = not (broken or repaired or len(shapes) > 1)
    return Survey(
        times_s=times,
        pts=pts,
        damaged=np.array(damaged, bool),
        repaired=repaired,
        lost=lost,
        cut=flaws.undecodable_end > 0,
        whole=sound and np.array_equal(times, index.times_s) and np.array_equal(pts, index.pts),
        last_length_s=last * tick if last > 0 else index.last_length_s,
        rotation=shapes[0][2],
        width=shapes[0][0],
        height=shapes[0][1],
        size_changes=len(shapes) > 1,
        interlaced=interlaced,
        bits=bits,
    )


def _bits(picture: Any) -> int:
    components = picture.format.components
    return max((c.bits for c in components), default=8)


def _timed(
    index: PacketIndex, stamps: Sequence[int | None], tick: float
) -> tuple[NDArray[np.int64], FloatArray, bool]:
    """pts, times and whether stamps were repaired."""
    if not index.timed:
        length = max(1, round(index.last_length_s / tick))
        pts = np.arange(len(stamps), dtype=np.int64) * length
        return pts, pts.astype(np.float64) * tick, False
    found = np.array([s or 0 for s in stamps], np.int64)
    if None not in stamps and bool((found[1:] > found[:-1]).all()):
        times: FloatArray = (found - found[0]).astype(np.float64) * tick
        return found, times, False
    usual = index.last_length_s
    if len(index.times_s) > 1:
        usual = float(np.median(np.diff(index.times_s)))
    return found, rising([None if s is None else s * tick for s in stamps], usual), True


def rising(times_s: Sequence[float | None], length_s: float) -> FloatArray:
    """Strictly rising times [F], the first 0, from time stamps that are missing, twice there or
    fall. ``length_s`` is the usual length of a picture.

    - Stamps that fall back and stay back (more than `_DISORDER` pictures below the highest one)
      begin anew: everything from there is shifted to follow one length after the picture before.
    - Every other stamp that is missing or does not rise is put evenly between its neighbours; at
      the beginning and the end pictures lie one length apart.
    """
    shifted = _joined(times_s, length_s)
    keep = _risen(shifted)
    if not keep:
        return np.arange(len(times_s), dtype=np.float64) * length_s
    at = np.array(keep, np.int64)
    kept = np.array([shifted[i] for i in keep], np.float64)
    ordinals = np.arange(len(times_s))
    out: FloatArray = np.interp(ordinals, at, kept).astype(np.float64)
    before, after = ordinals < at[0], ordinals > at[-1]
    out[before] = kept[0] - (at[0] - ordinals[before]) * length_s
    out[after] = kept[-1] + (ordinals[after] - at[-1]) * length_s
    out -= out[0]
    return out


def _joined(times_s: Sequence[float | None], length_s: float) -> list[float | None]:
    """The stamps with those that begin anew shifted to follow what is before them."""
    out: list[float | None] = []
    shift, highest = 0.0, -np.inf
    for place, stamp in enumerate(times_s):
        if stamp is None:
            out.append(None)
            continue
        if stamp + shift < highest:
            following = times_s[place : place + _DISORDER + 1]
            if all(s is None or s + shift < highest for s in following):
                shift = highest + length_s - stamp
        out.append(stamp + shift)
        highest = max(highest, stamp + shift)
    return out


def _risen(stamps: Sequence[float | None]) -> list[int]:
    """Places of the longest choice of stamps that rises strictly; none where all are missing."""
    tails: list[float] = []
    ends: list[int] = []
    before: list[int] = [-1] * len(stamps)
    for place, stamp in enumerate(stamps):
        if stamp is None:
            continue
        position = bisect.bisect_left(tails, stamp)
        before[place] = ends[position - 1] if position else -1
        if position == len(tails):
            tails.append(stamp)
            ends.append(place)
        elif stamp < tails[position]:  # of equal ones the first stays
            tails[position], ends[position] = stamp, place
    chain: list[int] = []
    place = ends[-1] if ends else -1
    while place >= 0:
        chain.append(place)
        place = before[place]
    return chain[::-1]
