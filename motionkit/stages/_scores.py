"""The stored scores of many shots side by side, as the filters look at them.

Everything here is flat: the frames of one shot follow those of the shot before. A verdict on
100,000 shots is then a few dozen array operations, and so are fifty what-if verdicts.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from motionkit.keypoints import LOWER_BODY
from motionkit.records import unflatten
from motionkit.video.camera import JOIN_FRAMES, MIN_FRAMES

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Who crouches does not become small: the box counts with those within this time of it.
SIZE_WINDOW_S = 1.0

#: Columns of `detections` that hold one value a shot, and flat lists. Nothing else is read.
PLAIN_COLUMNS: tuple[str, ...] = ("video_id", "first", "height", "camera_kind")
LIST_COLUMNS: tuple[str, ...] = (
    "ordinals", "times_s", "boxes", "confidences", "person", "speed_bh_s", "acceleration_bh_s2",
    "body_height_px", "source_times_s", "source_camera",
)  # fmt: skip
COLUMNS: tuple[str, ...] = (*PLAIN_COLUMNS, *LIST_COLUMNS)


@dataclasses.dataclass(frozen=True)
class Shots:
    """n shots with F measured frames and S source frames in all.

    Of a shot [n]: ``video_id``, ``first`` (source ordinal of its first frame), ``height`` (of the
    picture, pixels), ``camera_kind``; its measured frames are ``frame_start[i]`` to
    ``frame_start[i + 1]``, its source frames ``source_start[i]`` to ``source_start[i + 1]``.
    Of a measured frame [F]: ``times_s``; ``source``, its place among the source frames here;
    ``person``, -1 where nobody; ``boxes`` [F, 5]; ``confidences`` [F, 17] in 1/255; ``speed`` (body
    heights per second), ``acceleration`` (per second squared) and ``body_height_px``, nan where
    they cannot be told.
    Of a source frame [S]: ``camera`` scores; ``source_times_s`` [S + n] when each is shown, and
    after the last one of a shot when that ends.
    """

    video_id: Sequence[str]
    first: Ints
    height: Floats
    camera_kind: Sequence[str | None]
    frame_start: Ints
    source_start: Ints
    times_s: Floats
    source: Ints
    person: Ints
    boxes: NDArray[np.float32]
    confidences: NDArray[np.uint8]
    speed: Floats
    acceleration: Floats
    body_height_px: Floats
    camera: Floats
    source_times_s: Floats

    def __len__(self) -> int:
        return len(self.first)

    @functools.cached_property
    def memo(self) -> dict[Any, Bools]:
        """Flags [F] that were found out already; see `_judge.failing_frames`."""
        return {}

    @functools.cached_property
    def shot(self) -> Ints:
        """Which shot a measured frame [F] belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.frame_start))

    @functools.cached_property
    def until_s(self) -> Floats:
        """When the next measured frame [F] is shown, or the shot ends."""
        out = np.append(self.times_s[1:], 0.0)
        out[self.frame_start[1:] - 1] = self.source_times_s[
            self.source_start[1:] + np.arange(len(self))
        ]
        return out

    @functools.cached_property
    def source_shot(self) -> Ints:
        """Which shot a source frame [S] belongs to; a source frame k is shown at
        ``source_times_s[k + source_shot[k]]``."""
        return np.repeat(np.arange(len(self)), np.diff(self.source_start))

    @functools.cached_property
    def shown_s(self) -> Floats:
        """For how long each source frame [S] is shown."""
        place = np.arange(len(self.camera)) + self.source_shot
        return self.source_times_s[place + 1] - self.source_times_s[place]

    @functools.cached_property
    def lower_confidence(self) -> Floats:
        """Confidence [F] of the worst knee or ankle."""
        return self.confidences[:, list(LOWER_BODY)].min(1) / 255.0

    @functools.cached_property
    def box_height(self) -> Floats:
        """Height [F] of the box, share of the picture's height."""
        high = self.boxes[:, 3].astype(np.float64) - self.boxes[:, 1]
        return high / self.height[self.shot]

    @functools.cached_property
    def box_height_about(self) -> Floats:
        """Largest `box_height` [F] of the same person within `SIZE_WINDOW_S` before or after."""
        each, out = self.box_height, self.box_height.copy()
        for apart in range(1, len(each)):
            near = self.times_s[apart:] - self.times_s[:-apart] <= SIZE_WINDOW_S + 1e-9
            near &= self.shot[apart:] == self.shot[:-apart]
            if not near.any():
                break
            here = np.flatnonzero(near & (self.person[apart:] == self.person[:-apart]))
            there = here + apart
            out[there] = np.maximum(out[there], each[here])
            out[here] = np.maximum(out[here], each[there])
        return out

    def confident_share(self, confidence: float) -> Floats:
        """Share [F] of the 17 keypoints above ``confidence``."""
        limit = min(math.floor(confidence * 255), 255)
        seen = self.confidences > np.uint8(limit)
        return np.count_nonzero(seen, axis=1) / self.confidences.shape[1]

    def moving(self, camera_max: float) -> Bools:
        """`video.camera.camera_moving` [S] of every shot by itself."""
        starts = self.source_start[:-1]
        flags = _flip_runs(
            self.camera > camera_max, starts, value=False, shorter=JOIN_FRAMES + 1, ends=False
        )
        return _flip_runs(flags, starts, value=True, shorter=MIN_FRAMES, ends=True)

    def on_the_way(self, flags: Bools) -> Bools:
        """Is any source frame flagged [S] at the measured frame [F] or since the one before?"""
        total = np.concatenate([[0], np.cumsum(flags)])
        before = np.concatenate([[0], self.source[:-1] + 1])
        before[self.frame_start[:-1]] = self.source_start[:-1]
        found: Bools = total[self.source + 1] > total[before]
        return found

    def subset(self, shots: Ints) -> Shots:
        """Only these shots (rising)."""
        frames = _spans(self.frame_start[shots], self.frame_start[shots + 1])
        sources = _spans(self.source_start[shots], self.source_start[shots + 1])
        ends = _spans(self.source_start[shots] + shots, self.source_start[shots + 1] + shots + 1)
        source_start = _starts(np.diff(self.source_start)[shots])
        moved = np.repeat(source_start[:-1] - self.source_start[shots], self._count(shots))
        return Shots(
            video_id=[self.video_id[i] for i in shots.tolist()],
            first=self.first[shots],
            height=self.height[shots],
            camera_kind=[self.camera_kind[i] for i in shots.tolist()],
            frame_start=_starts(self._count(shots)),
            source_start=source_start,
            times_s=self.times_s[frames],
            source=self.source[frames] + moved,
            person=self.person[frames],
            boxes=self.boxes[frames],
            confidences=self.confidences[frames],
            speed=self.speed[frames],
            acceleration=self.acceleration[frames],
            body_height_px=self.body_height_px[frames],
            camera=self.camera[sources],
            source_times_s=self.source_times_s[ends],
        )

    def _count(self, shots: Ints) -> Ints:
        return np.diff(self.frame_start)[shots]


def shots_of_rows(rows: Sequence[Mapping[str, Any]]) -> Shots:
    """Rows of `detections`, one or more, as `Tables.rows` gives them."""
    flat, lengths = {}, {}
    for name in LIST_COLUMNS:
        each = [np.ravel(row[name]) for row in rows]
        flat[name] = np.concatenate(each)
        lengths[name] = np.array([len(values) for values in each])
    return _shots({name: [row[name] for row in rows] for name in PLAIN_COLUMNS}, flat, lengths)


def shots_of_table(table: pa.Table) -> Shots:
    """Rows of `detections` as Arrow holds them; no Python object is made for a frame."""
    flat, lengths = {}, {}
    for name in LIST_COLUMNS:
        column = table.column(name).combine_chunks()
        offsets = column.offsets.to_numpy()
        flat[name] = column.values.to_numpy(zero_copy_only=False)[offsets[0] : offsets[-1]]
        lengths[name] = np.diff(offsets)
    return _shots({name: table.column(name).to_pylist() for name in PLAIN_COLUMNS}, flat, lengths)


def _shots(
    plain: Mapping[str, Sequence[Any]],
    flat: Mapping[str, NDArray[Any]],
    lengths: Mapping[str, NDArray[Any]],
) -> Shots:
    first = np.asarray(plain["first"], np.int64)
    frames, sources = _starts(lengths["ordinals"]), _starts(lengths["source_camera"])
    if not lengths["ordinals"].all():
        raise ValueError("a shot of detections has no measured frame")
    moved = np.repeat(sources[:-1] - first, lengths["ordinals"])
    count = int(frames[-1])
    return Shots(
        video_id=plain["video_id"],
        first=first,
        height=np.asarray(plain["height"], np.float64),
        camera_kind=plain["camera_kind"],
        frame_start=frames,
        source_start=sources,
        times_s=np.asarray(flat["times_s"], np.float64),
        source=np.asarray(flat["ordinals"], np.int64) + moved,
        person=np.asarray(flat["person"], np.int64),
        boxes=unflatten(flat["boxes"], count, 5),
        confidences=unflatten(np.asarray(flat["confidences"], np.uint8), count, 17),
        speed=np.asarray(flat["speed_bh_s"], np.float64),
        acceleration=np.asarray(flat["acceleration_bh_s2"], np.float64),
        body_height_px=np.asarray(flat["body_height_px"], np.float64),
        camera=np.asarray(flat["source_camera"], np.float64),
        source_times_s=np.asarray(flat["source_times_s"], np.float64),
    )


def _starts(lengths: NDArray[np.integer]) -> Ints:
    """[0, l0, l0 + l1, …]."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _spans(start: Ints, stop: Ints) -> Ints:
    """The numbers of every [start, stop), one span after the other."""
    length = stop - start
    return np.arange(int(length.sum())) + np.repeat(start - _starts(length)[:-1], length)


def _flip_runs(flags: Bools, starts: Ints, *, value: bool, shorter: int, ends: bool) -> Bools:
    """Flip runs of ``value`` shorter than ``shorter``; those that touch the beginning or the end
    of a shot (which begin at ``starts``) only where ``ends``."""
    if not len(flags):
        return flags
    new = np.concatenate([[True], flags[1:] != flags[:-1]])
    new[starts] = True
    begin = np.flatnonzero(new)
    stop = np.append(begin[1:], len(flags))
    flip = (stop - begin < shorter) & (flags[begin] == value)
    if not ends:
        edge = np.zeros(len(flags) + 1, bool)
        edge[starts] = edge[-1] = True
        flip &= ~edge[begin] & ~edge[stop]
    return flags ^ np.repeat(flip, stop - begin)
