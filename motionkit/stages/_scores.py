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
#: Those of the lists that each person of a shot has (`records.PERSON`); `others` holds the same
#: of the further people, where all were asked for.
PERSON_COLUMNS: tuple[str, ...] = (
    "boxes", "confidences", "person", "speed_bh_s", "acceleration_bh_s2", "body_height_px",
)  # fmt: skip
COLUMNS: tuple[str, ...] = (
    *PLAIN_COLUMNS, *LIST_COLUMNS, *(f"others.{name}" for name in PERSON_COLUMNS),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Shots:
    """n shots with F measured frames and S source frames in all. A shot of which several people
    are stored is here once for each of them, with frames of its own.

    Of a shot [n]: ``row``, which of the stored rows it is, and ``number``, which person of it (0:
    that of the row's own columns, k: the k-th of ``others``); ``video_id``, ``first`` (source
    ordinal of its first frame), ``height`` (of the picture, pixels), ``camera_kind``; its measured
    frames are ``frame_start[i]`` to ``frame_start[i + 1]``, its source frames ``source_start[i]``
    to ``source_start[i + 1]``.
    Of a measured frame [F]: ``times_s``; ``source``, its place among the source frames here;
    ``person``, -1 where nobody; ``boxes`` [F, 5]; ``confidences`` [F, 17] in 1/255; ``speed`` (body
    heights per second), ``acceleration`` (per second squared) and ``body_height_px``, nan where
    they cannot be told.
    Of a source frame [S]: ``camera`` scores; ``source_times_s`` [S + n] when each is shown, and
    after the last one of a shot when that ends.
    """

    row: Ints
    number: Ints
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
            row=self.row[shots],
            number=self.number[shots],
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
    others = [person for row in rows for person in row.get("others") or ()]
    stored = {name: _side_by_side([row[name] for row in rows]) for name in LIST_COLUMNS}
    further = {name: _side_by_side([p[name] for p in others]) for name in PERSON_COLUMNS}
    counts = np.array([len(row.get("others") or ()) for row in rows], np.int64)
    return _shots({name: [row[name] for row in rows] for name in PLAIN_COLUMNS},
                  stored, further, counts)  # fmt: skip


def shots_of_table(table: pa.Table) -> Shots:
    """Rows of `detections` as Arrow holds them; no Python object is made for a frame."""
    stored = {name: _as_arrow_has_it(table.column(name).combine_chunks()) for name in LIST_COLUMNS}
    others = table.column("others").combine_chunks()
    counts = others.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    people = others.flatten()
    further = {
        name: _as_arrow_has_it(people.field(name)) if len(people) else _side_by_side([])
        for name in PERSON_COLUMNS
    }
    plain = {name: table.column(name).to_pylist() for name in PLAIN_COLUMNS}
    return _shots(plain, stored, further, counts.astype(np.int64))


@dataclasses.dataclass(frozen=True)
class _Lists:
    """Lists one after the other: ``values``, and the ``lengths`` [n] of each."""

    values: NDArray[Any]
    lengths: Ints

    def followed_by(self, more: _Lists) -> _Lists:
        return _Lists(
            np.concatenate([self.values, more.values]),
            np.concatenate([self.lengths, more.lengths]),
        )

    def take(self, places: Ints) -> _Lists:
        ends = np.cumsum(self.lengths)
        return _Lists(
            self.values[_spans((ends - self.lengths)[places], ends[places])], self.lengths[places]
        )


def _side_by_side(lists: Sequence[Any]) -> _Lists:
    each = [np.ravel(values) for values in lists]
    lengths = np.array([len(values) for values in each], np.int64)
    return _Lists(np.concatenate(each) if each else np.zeros(0), lengths)


def _as_arrow_has_it(column: pa.ListArray) -> _Lists:
    offsets = column.offsets.to_numpy()
    values = column.values.to_numpy(zero_copy_only=False)[offsets[0] : offsets[-1]]
    return _Lists(values, np.diff(offsets).astype(np.int64))


def _shots(
    plain: Mapping[str, Sequence[Any]],
    stored: Mapping[str, _Lists],
    further: Mapping[str, _Lists],
    counts: Ints,
) -> Shots:
    """``stored`` lists of the rows, ``further`` those of their other people, of whom each row has
    ``counts``."""
    row = np.repeat(np.arange(len(counts)), counts + 1)
    number = np.arange(len(row)) - _starts(counts + 1)[row]
    if counts.any():
        person = np.where(number == 0, row, len(counts) + np.arange(len(row)) - row - 1)
        stored = {
            name: lists.followed_by(further[name]).take(person)
            if name in further
            else lists.take(row)
            for name, lists in stored.items()
        }
        plain = {name: [values[i] for i in row.tolist()] for name, values in plain.items()}
    flat = {name: lists.values for name, lists in stored.items()}
    first = np.asarray(plain["first"], np.int64)
    measured = stored["ordinals"].lengths
    frames, sources = _starts(measured), _starts(stored["source_camera"].lengths)
    if not measured.all():
        raise ValueError("a shot of detections has no measured frame")
    if not np.array_equal(stored["person"].lengths, measured):
        raise ValueError("a person of detections has another number of frames than the shot")
    moved = np.repeat(sources[:-1] - first, measured)
    count = int(frames[-1])
    return Shots(
        row=row,
        number=number,
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
