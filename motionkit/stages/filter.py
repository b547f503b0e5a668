"""`filter`: the verdicts. Four filters over stored scores; what passes is cut into clips.

No model and no video is needed: a changed threshold is a matter of seconds. The rules are those
of the K2M paper, appendix A.2 (docs/recipes.md says what it leaves open and what we chose).
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import UsageError
from motionkit.stage import Dropped, Item, Kept, Outcome, Tables, clip_id, digest
from motionkit.stages._scores import ShotScores, score_shot
from motionkit.video.camera import CAMERA_MAX

#: Why a frame fails, in the order in which the filters are asked. The first answer counts: where
#: nobody is seen nothing can be said about confidence, and hidden legs alone take a quarter of the
#: keypoints, so "lower-body-hidden" says more than "low-confidence".
FRAME_REASONS: tuple[str, ...] = (
    "camera-moving",
    "no-person",
    "lower-body-hidden",
    "low-confidence",
    "too-small",
    "too-fast",
)
#: Why a stretch of passing frames is dropped all the same.
STRETCH_REASONS: tuple[str, ...] = ("too-short", "too-still")
#: A stretch shorter than this is told under the reason of a longer failing neighbour.
_SHORT_S = 0.5
#: Presentation times are rounded: containers keep milliseconds.
_TICK_S = 0.002
#: Failures that a detector has for a moment in the middle of a good stretch.
_BRIDGED: frozenset[str] = frozenset({"no-person", "low-confidence", "lower-body-hidden"})


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
    min_s: float = 2.0
    """Shortest clip."""
    max_s: float = 10.0
    """Longest clip; a longer stretch is cut into equal parts."""

    name: ClassVar[str] = "filter"
    version: ClassVar[int] = 1
    table: ClassVar[str] = "verdicts"
    reads: ClassVar[tuple[str, ...]] = ("videos", "scans", "detections")

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
        return {
            **dataclasses.asdict(self),
            "scans": tables.fingerprint("scans"),
            "detections": tables.fingerprint("detections"),
        }

    def items(self, tables: Tables) -> Iterator[Item]:
        """Every shot that the first pass measured, whether it saw somebody or not."""
        videos: dict[str, tuple[Any, float]] = {}
        for row in tables.rows("videos", ["video_id", "frame_times_s", "duration_s"]):
            videos.setdefault(row["video_id"], (row["frame_times_s"], float(row["duration_s"])))
        cameras = {r["video_id"]: r["camera"] for r in tables.rows("scans", ["video_id", "camera"])}
        columns = ["video_id", "first", "last", "height", "ordinals", "times_s", "boxes"]
        columns += ["keypoints", "person", "outcome"]
        for row in tables.rows("detections", columns, outcome=None):
            if row["outcome"] == "failed":
                continue
            times_s, end_s = videos[row["video_id"]]
            data = {"detection": row, "camera": cameras[row["video_id"]]}
            yield Item(row["item_id"], {**data, "times_s": times_s, "end_s": end_s})

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, item: Item) -> Outcome:
        """Kept where a clip came out; else Dropped with the reason that took most of the time."""
        data = item.data
        scores = score_shot(
            data["detection"], data["camera"], data["times_s"], data["end_s"], self.camera_max
        )
        candidates = judge(scores, self)
        row = {"video_id": scores.video_id, "candidates": candidates}
        if any(c["outcome"] == "kept" for c in candidates):
            return Kept(row)
        seconds = {line["reason"]: line["seconds"] for line in drop_table([row])}
        reason = max(seconds, key=lambda r: (seconds[r], r))
        longest = max(
            (c for c in candidates if c["reason"] == reason), key=lambda c: c["t1_s"] - c["t0_s"]
        )
        return Dropped(reason, longest["measured"], longest["threshold"], row)


def judge(scores: ShotScores, params: Filter) -> list[dict[str, Any]]:
    """Candidates (`records.CANDIDATE`) of a shot in order of time: kept clips, dropped stretches.

    A frame is judged by itself; momentary failures of the detector are bridged; runs of passing
    frames of one person are cut into clips of ``min_s`` to ``max_s``. A clip's frames are exact:
    it begins and ends with a frame that passed, and holds none taken by a moving camera.
    """
    reasons = _bridge(frame_reasons(scores, params), scores, params)
    candidates: list[dict[str, Any]] = []
    for start, stop in _stretches(reasons, scores):
        if not reasons[start]:
            first, last = int(scores.frames[start]), int(scores.frames[stop - 1])
            candidates += _clips(scores, params, first, last)
            continue
        # Source frames between a passing and a failing measured frame were not judged good.
        after_pass = start > 0 and not reasons[start - 1]
        first = int(scores.frames[start - 1]) + 1 if after_pass else int(scores.frames[start])
        last = int(scores.frames[stop] if stop < len(reasons) else len(scores.moving)) - 1
        candidates.append(_candidate(scores, params, first, last, reasons[start]))
    return candidates


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


def frame_reasons(scores: ShotScores, params: Filter) -> list[str]:
    """For each measured frame why it fails (`FRAME_REASONS`), or "" where it passes."""
    with np.errstate(invalid="ignore"):  # nan: the speed cannot be told, so it is not too high
        fast = (scores.speed > params.speed_max_bh_s) | (
            scores.acceleration > params.acceleration_max_bh_s2
        )
    failing = (
        scores.camera_between(),
        scores.person < 0,
        scores.lower_confidence() <= params.lower_confidence_min,
        scores.confident_share(params.confidence) <= params.confident_share_min,
        scores.box_height_about() <= params.box_height_min,
        fast,
    )
    reasons = [""] * len(scores.frames)
    for reason, mask in reversed(list(zip(FRAME_REASONS, failing, strict=True))):
        for i in np.flatnonzero(mask):
            reasons[i] = reason
    return reasons


def _bridge(reasons: list[str], scores: ShotScores, params: Filter) -> list[str]:
    """Let short failures of the detector pass, between passing frames of the same person."""
    out = list(reasons)
    passing = [i for i, reason in enumerate(reasons) if not reason]
    for a, b in itertools.pairwise(passing):
        between = reasons[a + 1 : b]
        if (
            between
            and scores.person[a] == scores.person[b]
            and scores.times_s[b] - scores.times_s[a] <= params.gap_max_s + 1e-6
            and all(reason in _BRIDGED for reason in between)
        ):
            out[a + 1 : b] = [""] * len(between)
    return out


def _stretches(reasons: list[str], scores: ShotScores) -> list[tuple[int, int]]:
    """Runs [start, stop) of measured frames: passing ones of one person, failing ones of one
    reason. Runs of a few frames tell nobody anything: beside a longer failing run they join it
    (a passing frame or two amid failures too); ``reasons`` is changed accordingly."""
    runs: list[tuple[int, int]] = []
    person = -1
    for i, reason in enumerate(reasons):
        here = int(scores.person[i])
        same = bool(runs) and reason == reasons[i - 1]
        if same and not reason and here >= 0 and person >= 0 and here != person:
            same = False
        if here >= 0:
            person = here
        if same:
            runs[-1] = (runs[-1][0], i + 1)
        else:
            runs.append((i, i + 1))
    while (joined := _join_one(runs, reasons, scores)) is not None:
        runs = joined
    return runs


def _join_one(
    runs: list[tuple[int, int]], reasons: list[str], scores: ShotScores
) -> list[tuple[int, int]] | None:
    """``runs`` with the shortest run under `_SHORT_S` joined to its longer failing neighbour."""
    length = [_seconds(scores, start, stop) for start, stop in runs]
    for k in sorted(range(len(runs)), key=lambda k: (length[k], k)):
        if length[k] >= _SHORT_S:
            return None
        near = [n for n in (k - 1, k + 1) if 0 <= n < len(runs) and reasons[runs[n][0]]]
        if not near or max(length[n] for n in near) < length[k]:
            continue
        target = max(near, key=lambda n: (length[n], -n))
        reason = reasons[runs[target][0]]
        for i in range(*runs[k]):
            reasons[i] = reason
        low, high = min(k, target), max(k, target)
        # The neighbour beyond may have the same reason now.
        while low > 0 and reasons[runs[low - 1][0]] == reason:
            low -= 1
        while high + 1 < len(runs) and reasons[runs[high + 1][0]] == reason:
            high += 1
        return [*runs[:low], (runs[low][0], runs[high][1]), *runs[high + 1 :]]
    return None


def _seconds(scores: ShotScores, start: int, stop: int) -> float:
    end = scores.times_s[stop] if stop < len(scores.times_s) else scores.source_times_s[-1]
    return float(end - scores.times_s[start])


def _clips(scores: ShotScores, params: Filter, first: int, last: int) -> list[dict[str, Any]]:
    """A passing stretch (source frames within the shot) as clips, or as one dropped stretch."""
    times = scores.source_times_s
    begin, end = float(times[first]), float(times[last + 1])
    length = end - begin
    if length < params.min_s - _TICK_S:
        return [_candidate(scores, params, first, last, "too-short")]
    parts = 1
    if length > params.max_s + _TICK_S:
        # A part begins with the first frame after its time, so it may be a frame longer.
        longest_frame = float(np.diff(times[first : last + 2]).max())
        parts = math.ceil(length / max(params.max_s - longest_frame, params.max_s / 2))
    cuts = begin + length * np.arange(1, parts) / parts
    starts = [first, *(int(np.searchsorted(times, cut - _TICK_S)) for cut in cuts), last + 1]
    out = []
    for a, b in itertools.pairwise(starts):
        speed = _mean(scores.speed[_inside(scores, a, b - 1)])
        still = speed is not None and speed < params.speed_min_bh_s
        out.append(_candidate(scores, params, a, b - 1, "too-still" if still else ""))
    return out


def _inside(scores: ShotScores, first: int, last: int) -> NDArray[np.bool_]:
    return (scores.frames >= first) & (scores.frames <= last)


def _candidate(
    scores: ShotScores, params: Filter, first: int, last: int, reason: str
) -> dict[str, Any]:
    """A `records.CANDIDATE` of the source frames first..last (within the shot, both inside).

    ``measured`` is the value of the frames that failed, on average (camera and speed: at most).
    """
    inside = _inside(scores, first, last)
    seen = inside & (scores.person >= 0)
    t0_s, t1_s = float(scores.source_times_s[first]), float(scores.source_times_s[last + 1])
    lower, share = scores.lower_confidence(), scores.confident_share(params.confidence)
    size = scores.box_height_about()

    def failing(score: NDArray[np.float64], limit: float) -> tuple[float | None, float]:
        return _mean(score[seen & (score <= limit)]), limit

    values = {
        "camera": float(scores.camera[first : last + 1].max()),
        "speed_bh_s": _mean(scores.speed[inside]),
        "acceleration_bh_s2": _mean(scores.acceleration[inside]),
        "confident_share": _mean(share[seen]),
        "lower_body_share": _mean((lower > params.lower_confidence_min)[seen]),
        "box_height": _mean(scores.box_height()[seen]),
    }
    top_speed, top_acceleration = _max(scores.speed[inside]), _max(scores.acceleration[inside])
    fast: tuple[float | None, float | None] = (top_speed, params.speed_max_bh_s)
    if (top_speed or 0.0) <= params.speed_max_bh_s:
        fast = (top_acceleration, params.acceleration_max_bh_s2)
    decided: dict[str, tuple[float | None, float | None]] = {
        "": (None, None),
        "camera-moving": (values["camera"], params.camera_max),
        "no-person": (float(seen.sum() / max(inside.sum(), 1)), None),
        "lower-body-hidden": failing(lower, params.lower_confidence_min),
        "low-confidence": failing(share, params.confident_share_min),
        "too-small": failing(size, params.box_height_min),
        "too-fast": fast,
        "too-still": (values["speed_bh_s"], params.speed_min_bh_s),
        "too-short": (t1_s - t0_s, params.min_s),
    }
    measured, threshold = decided[reason]
    boxes = np.rint(scores.boxes[inside, :4]).astype(int).tolist()
    source_first, source_last = scores.first + first, scores.first + last
    return {
        "clip_id": clip_id(scores.video_id, source_first, source_last, digest(boxes, 8)),
        "first": source_first,
        "last": source_last,
        "t0_s": t0_s,
        "t1_s": t1_s,
        "outcome": "dropped" if reason else "kept",
        "reason": reason or None,
        "measured": measured,
        "threshold": threshold,
        **values,
    }


def _mean(values: NDArray[np.floating] | NDArray[np.bool_]) -> float | None:
    told = np.asarray(values, np.float64)
    told = told[~np.isnan(told)]
    return float(told.mean()) if len(told) else None


def _max(values: NDArray[np.float64]) -> float | None:
    told = values[~np.isnan(values)]
    return float(told.max()) if len(told) else None
