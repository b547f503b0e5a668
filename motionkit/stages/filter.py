"""`filter`: the verdicts. Four filters over stored scores; what passes is cut into clips.

No model and no video is needed: a changed threshold is a matter of seconds. The rules are those
of the K2M paper, appendix A.2; docs/filter.md says what it leaves open and what we chose.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from motionkit.errors import UsageError
from motionkit.stage import Dropped, Item, Kept, Outcome, Tables, clip_id
from motionkit.stages._judge import (
    FRAME_REASONS,
    REASONS,
    STRETCH_REASONS,
    Verdicts,
    judge_shots,
    max_over,
    mean_over,
)
from motionkit.stages._scores import COLUMNS, Floats, Shots, shots_of_rows
from motionkit.video.camera import CAMERA_MAX

__all__ = ["FRAME_REASONS", "STRETCH_REASONS", "Filter", "candidate_rows", "drop_table"]

#: Shots, times the people of each, that are judged in one go.
_TOGETHER = 256


@dataclasses.dataclass(frozen=True)
class Filter:
    """Judge every shot and cut out its clips."""

    camera_max: float = CAMERA_MAX
    """Camera motion above this is a moving camera: share of the width in 1/30 s (scan's score)."""
    confidence: float = 0.5
    """A keypoint is seen above this."""
    confident_share_min: float = 0.75
    """A frame needs more than this share of its keypoints seen."""
    lower_confidence_min: float = 0.15
    """Knees and ankles must all be above this. Lower than ``confidence``: the embedded backend says
    0.1 to 0.5 of the far leg of somebody seen from the side and still places it within 2 % of the
    body height; of legs outside the picture it says 0."""
    box_height_min: float = 0.333
    """The person's box must be higher than this share of the picture's height, at some time
    within a second: who crouches does not become small."""
    speed_max_bh_s: float = 5.0
    """Mean keypoint speed between two measured frames, body heights per second."""
    acceleration_max_bh_s2: float = 60.0
    """Mean keypoint acceleration about a measured frame, body heights per second squared."""
    speed_min_bh_s: float = 0.02
    """Mean keypoint speed over a clip below this is a frozen pose."""
    gap_max_s: float = 0.5
    """A momentary failure between two passing frames at most this far apart is let pass."""
    hold_max_s: float = 1.0
    """A source frame shown for longer is a gap in the recording, and no clip goes across it."""
    min_s: float = 2.0
    """Shortest clip."""
    max_s: float = 10.0
    """Longest clip; a longer stretch is cut into equal parts."""

    name: ClassVar[str] = "filter"
    version: ClassVar[int] = 2
    table: ClassVar[str] = "verdicts"
    reads: ClassVar[tuple[str, ...]] = ("detections",)
    #: A verdict takes less time than sending its scores to another process.
    in_process: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0):
                option = "--" + field.name.replace("_", "-")
                raise UsageError(f"{option} must be a number not below 0, not {value}")
        if self.min_s <= 0 or self.max_s < 2 * self.min_s:
            raise UsageError(
                f"--max-s ({self.max_s}) must be at least twice --min-s ({self.min_s}), above 0",
                hint="a longer stretch is cut into equal parts, which must not be too short",
            )

    def identity(self, tables: Tables) -> dict[str, Any]:
        """Thresholds, and what was read."""
        return {**dataclasses.asdict(self), "detections": tables.fingerprint("detections")}

    def ids(self, tables: Tables) -> Iterator[tuple[str, str | None]]:
        """Every shot that the first pass measured, whether it saw somebody or not."""
        for row in tables.rows("detections", ["outcome"], outcome=None):
            if row["outcome"] != "failed":
                yield row["item_id"], None

    def items(self, tables: Tables, wanted: Container[str] | None = None) -> Iterator[Item]:
        """The wanted shots with their stored scores; no other table is read."""
        only = None if wanted is None else ("item_id", wanted)
        rows: list[dict[str, Any]] = []
        people = 0
        for row in tables.rows("detections", (*COLUMNS, "outcome"), outcome=None, only=only):
            if row["outcome"] != "failed":
                rows.append(row)
                people += 1 + len(row.get("others") or ())
            if people >= _TOGETHER:
                yield from _items(rows)
                rows, people = [], 0
        yield from _items(rows)

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, item: Item) -> Outcome:
        """Kept where a clip came out; else Dropped with the reason that took most of the time."""
        together: _Together | None = item.data.get("together")
        detection = item.data["detection"]
        candidates = together.take(item.id, self) if together is not None else None
        if candidates is None:
            (candidates,) = judged([detection], self)
        row = {"video_id": detection["video_id"], "candidates": candidates}
        if any(c["outcome"] == "kept" for c in candidates):
            return Kept(row)
        seconds = {line["reason"]: line["seconds"] for line in drop_table([row])}
        reason = max(seconds, key=lambda r: (seconds[r], r))
        longest = max(
            (c for c in candidates if c["reason"] == reason), key=lambda c: c["t1_s"] - c["t0_s"]
        )
        return Dropped(reason, longest["measured"], longest["threshold"], row)


class _Together:
    """Rows judged in one go: thirty times as fast as each by itself, with the same result."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows
        self._candidates: dict[str, list[dict[str, Any]]] | None = None

    def take(self, item_id: str, params: Filter) -> list[dict[str, Any]] | None:
        """Candidates of a row, once; None where the rows cannot be judged together, because one
        of them is malformed: judged by itself only that one fails."""
        if self._candidates is None:
            try:
                found = judged(self._rows, params)
            except (ValueError, IndexError, TypeError):
                found = []
            ids = [row["item_id"] for row in self._rows]
            self._candidates = dict(zip(ids, found, strict=False))
            self._rows = []
        return self._candidates.pop(item_id, None)


def _items(rows: list[dict[str, Any]]) -> Iterator[Item]:
    together = _Together(rows)
    for row in rows:
        yield Item(row["item_id"], {"detection": row, "together": together})


def judged(rows: Sequence[dict[str, Any]], params: Filter) -> list[list[dict[str, Any]]]:
    """The candidates (`records.CANDIDATE`) of each of ``rows`` of `detections`, person by person
    and in order of time: kept clips and dropped stretches."""
    shots = shots_of_rows(rows)
    verdicts = judge_shots(shots, params)
    out: list[list[dict[str, Any]]] = [[] for _ in rows]
    for place, candidate in zip(
        shots.row[verdicts.shot].tolist(), candidate_rows(shots, verdicts, params), strict=True
    ):
        out[place].append(candidate)
    return out


def candidate_rows(shots: Shots, verdicts: Verdicts, params: Filter) -> list[dict[str, Any]]:
    """Verdicts with their scores, as `records.CANDIDATE`.

    ``measured`` is the value of the frames that failed, on average (camera and speed: at most).
    """
    low, high = verdicts.low, verdicts.high
    values = _scores_of(shots, verdicts, params)
    measured, threshold = _decided(shots, verdicts, params, values)
    source = verdicts.shot.tolist()
    moved = (shots.first - shots.source_start[:-1])[verdicts.shot]
    first, last = (verdicts.first + moved).tolist(), (verdicts.last + moved).tolist()
    boxes = np.rint(shots.boxes[:, :4]).astype("<i4")
    columns = {
        "first": first,
        "last": last,
        "t0_s": verdicts.t0_s.tolist(),
        "t1_s": verdicts.t1_s.tolist(),
        "outcome": ["dropped" if code else "kept" for code in verdicts.code.tolist()],
        "reason": [REASONS[code] or None for code in verdicts.code.tolist()],
        "measured": measured,
        "threshold": threshold,
        **{name: _told(column) for name, column in values.items()},
        "camera_kind": [shots.camera_kind[i] for i in source],
        "person": shots.number[verdicts.shot].tolist(),
    }
    ids = [
        clip_id(shots.video_id[i], a, b, _person(boxes[f:g].tobytes()))
        for i, a, b, f, g in zip(source, first, last, low.tolist(), high.tolist(), strict=True)
    ]
    names = ["clip_id", *columns]
    return [dict(zip(names, row, strict=True)) for row in zip(ids, *columns.values(), strict=True)]


def drop_table(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each threshold drops: [{reason, stretches, seconds}], most seconds first.

    ``rows`` are rows of `verdicts`, kept or not (their ``candidates`` are read).
    """
    stretches: defaultdict[str, int] = defaultdict(int)
    seconds: defaultdict[str, float] = defaultdict(float)
    for row in rows:
        for candidate in row["candidates"] or ():
            if candidate["outcome"] == "dropped":
                stretches[candidate["reason"]] += 1
                seconds[candidate["reason"]] += candidate["t1_s"] - candidate["t0_s"]
    ordered = sorted(seconds, key=lambda reason: (-seconds[reason], reason))
    return [{"reason": r, "stretches": stretches[r], "seconds": seconds[r]} for r in ordered]


def _scores_of(shots: Shots, verdicts: Verdicts, params: Filter) -> dict[str, Floats]:
    """The score columns of `records.CANDIDATE` [C]; nan where there is none."""
    low, high, seen = verdicts.low, verdicts.high, shots.person >= 0
    share = shots.confident_share(params.confidence)
    lower = (shots.lower_confidence > params.lower_confidence_min).astype(np.float64)
    return {
        "camera": max_over(shots.camera, verdicts.first, verdicts.last + 1),
        "speed_bh_s": mean_over(shots.speed, low, high),
        "acceleration_bh_s2": mean_over(shots.acceleration, low, high),
        "confident_share": mean_over(share, low, high, seen),
        "lower_body_share": mean_over(lower, low, high, seen),
        "box_height": mean_over(shots.box_height, low, high, seen),
        "speed_top_bh_s": max_over(shots.speed, low, high),
        "person_share": mean_over(seen.astype(np.float64), low, high),
        "body_height_px": mean_over(shots.body_height_px, low, high),
    }


def _decided(
    shots: Shots, verdicts: Verdicts, params: Filter, values: dict[str, Floats]
) -> tuple[list[float | None], list[float | None]]:
    """The value and the threshold that decided each candidate; None where none did."""
    low, high, seen = verdicts.low, verdicts.high, shots.person >= 0

    def failing(score: Floats, limit: float) -> Floats:
        return mean_over(score, low, high, seen & (score <= limit))

    top = values["speed_top_bh_s"]
    jerk = max_over(shots.acceleration, low, high)
    fast = top > params.speed_max_bh_s
    share = shots.confident_share(params.confidence)
    deciding: dict[str, tuple[Floats, Any]] = {
        "frame-gap": (
            max_over(shots.shown_s, verdicts.first, verdicts.last + 1),
            params.hold_max_s,
        ),
        "camera-moving": (values["camera"], params.camera_max),
        "no-person": (values["person_share"], np.nan),
        "lower-body-hidden": (
            failing(shots.lower_confidence, params.lower_confidence_min),
            params.lower_confidence_min,
        ),
        "low-confidence": (
            failing(share, params.confident_share_min),
            params.confident_share_min,
        ),
        "too-small": (
            failing(shots.box_height_about, params.box_height_min),
            params.box_height_min,
        ),
        "too-fast": (
            np.where(fast, top, jerk),
            np.where(fast, params.speed_max_bh_s, params.acceleration_max_bh_s2),
        ),
        "too-short": (verdicts.t1_s - verdicts.t0_s, params.min_s),
        "too-still": (values["speed_bh_s"], params.speed_min_bh_s),
    }
    measured = np.full(len(low), np.nan)
    threshold = measured.copy()
    for reason, (value, limit) in deciding.items():
        mine = verdicts.code == REASONS.index(reason)
        measured[mine] = value[mine]
        threshold[mine] = np.broadcast_to(limit, len(low))[mine]
    return _told(measured), _told(threshold)


def _told(column: Floats) -> list[float | None]:
    return [None if value != value else value for value in column.tolist()]


def _person(boxes: bytes) -> str:
    """Names a person by where the first pass saw them: another first pass gives another clip."""
    return hashlib.sha256(boxes).hexdigest()[:8]
