"""The rules of `filter`, over many shots at once: frames, stretches, clips.

A frame is judged by itself; momentary failures of the detector are bridged; runs of passing
frames of one person are cut into clips of ``min_s`` to ``max_s``. A clip's frames are exact: it
begins and ends with a frame that passed, and holds none taken by a moving camera.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from motionkit.stages._scores import Bools, Floats, Ints, Shots

if TYPE_CHECKING:
    from motionkit.stages.filter import Filter

Codes = NDArray[np.uint8]

#: Why a frame fails, and the parameters that say so, in the order in which the filters are asked.
#: The first answer counts: where nobody is seen nothing can be said about confidence, and hidden
#: legs alone take a quarter of the keypoints, so "lower-body-hidden" says more than
#: "low-confidence".
FRAME_PARAMETERS: Final[Mapping[str, tuple[str, ...]]] = {
    "frame-gap": ("hold_max_s",),
    "camera-moving": ("camera_max",),
    "no-person": (),
    "lower-body-hidden": ("lower_confidence_min",),
    "low-confidence": ("confidence", "confident_share_min"),
    "too-small": ("box_height_min",),
    "too-fast": ("speed_max_bh_s", "acceleration_max_bh_s2"),
}
FRAME_REASONS: Final[tuple[str, ...]] = tuple(FRAME_PARAMETERS)
#: Why a stretch of passing frames is dropped all the same.
STRETCH_REASONS: Final[tuple[str, ...]] = ("too-short", "too-still")
#: A verdict is a place in this tuple; 0 is kept.
REASONS: Final[tuple[str, ...]] = ("", *FRAME_REASONS, *STRETCH_REASONS)
TOO_SHORT, TOO_STILL = REASONS.index("too-short"), REASONS.index("too-still")
#: A stretch shorter than this is told under the reason of a longer failing neighbour.
_SHORT_S = 0.5
#: Presentation times are rounded: containers keep milliseconds.
_TICK_S = 0.002
#: Failures that a detector has for a moment in the middle of a good stretch.
_BRIDGED: Final = np.isin(REASONS, ["", "no-person", "low-confidence", "lower-body-hidden"])


@dataclasses.dataclass(frozen=True)
class Verdicts:
    """C candidates of some shots in order of shot and time: kept clips and dropped stretches.

    Each [C]: ``shot``; ``first`` and ``last`` source frame (places in the flat arrays of `Shots`,
    both inside); ``t0_s``, ``t1_s``; ``code``, a place in `REASONS`; ``low`` to ``high``, the
    measured frames inside.
    """

    shot: Ints
    first: Ints
    last: Ints
    t0_s: Floats
    t1_s: Floats
    code: Codes
    low: Ints
    high: Ints


@dataclasses.dataclass
class _Runs:
    """Measured frames ``start`` to ``stop`` (not inside) that share a code, in order."""

    start: Ints
    stop: Ints
    code: Codes
    shot: Ints

    def take(self, places: NDArray[Any]) -> _Runs:
        return _Runs(self.start[places], self.stop[places], self.code[places], self.shot[places])


def judge_shots(shots: Shots, params: Filter, codes: Codes | None = None) -> Verdicts:
    """Candidates of every shot. ``codes`` are those of `frame_codes`, where known already."""
    codes = _bridge(frame_codes(shots, params) if codes is None else codes, shots, params)
    return _clips(_joined(_runs(codes, shots), shots), shots, params)


def failing_frames(reason: str, shots: Shots, params: Filter) -> Bools:
    """Which measured frames [F] fail for one of `FRAME_REASONS`, whatever the others say."""
    key = (reason, *(getattr(params, name) for name in FRAME_PARAMETERS[reason]))
    if key not in shots.memo:  # a what-if asks again and again, with most parameters the same
        shots.memo[key] = _failing(reason, shots, params)
    return shots.memo[key]


def _failing(reason: str, shots: Shots, params: Filter) -> Bools:
    if reason == "frame-gap":
        return shots.on_the_way(shots.shown_s > params.hold_max_s + _TICK_S)
    if reason == "camera-moving":
        return shots.on_the_way(shots.moving(params.camera_max))
    if reason == "no-person":
        return shots.person < 0
    if reason == "lower-body-hidden":
        return shots.lower_confidence <= params.lower_confidence_min
    if reason == "low-confidence":
        return shots.confident_share(params.confidence) <= params.confident_share_min
    if reason == "too-small":
        return shots.box_height_about <= params.box_height_min
    with np.errstate(invalid="ignore"):  # nan: the speed cannot be told, so it is not too high
        fast: Bools = (shots.speed > params.speed_max_bh_s) | (
            shots.acceleration > params.acceleration_max_bh_s2
        )
    return fast


def frame_codes(shots: Shots, params: Filter) -> Codes:
    """Why each measured frame [F] fails, or 0."""
    codes = np.zeros(len(shots.times_s), np.uint8)
    for code in range(len(FRAME_REASONS), 0, -1):
        codes[failing_frames(FRAME_REASONS[code - 1], shots, params)] = code
    return codes


def _bridge(codes: Codes, shots: Shots, params: Filter) -> Codes:
    """Let short failures of the detector pass, between passing frames of the same person."""
    passing = np.flatnonzero(codes == 0)
    a, b = passing[:-1], passing[1:]
    hard = np.concatenate([[0], np.cumsum(~_BRIDGED[codes])])
    let = (b - a > 1) & (shots.shot[a] == shots.shot[b]) & (shots.person[a] == shots.person[b])
    let &= shots.times_s[b] - shots.times_s[a] <= params.gap_max_s + 1e-6
    let &= hard[b] == hard[a + 1]
    if not let.any():
        return codes
    change = np.zeros(len(codes) + 1, np.int8)
    change[a[let] + 1] += 1
    change[b[let]] -= 1
    return np.where(np.cumsum(change[:-1]) > 0, np.uint8(0), codes)


def _runs(codes: Codes, shots: Shots) -> _Runs:
    """Runs of passing frames of one person, and of failing ones of one reason."""
    seen = shots.person >= 0
    latest = np.maximum.accumulate(np.where(seen, np.arange(len(codes)), -1))[:-1]
    begins = shots.frame_start[:-1]
    known = latest >= shots.frame_start[shots.shot[1:]]
    other = (shots.person[1:] != shots.person[latest]) & seen[1:] & known & (codes[1:] == 0)
    new = np.concatenate([[True], (codes[1:] != codes[:-1]) | other])
    new[begins] = True
    start = np.flatnonzero(new)
    return _Runs(start, np.append(start[1:], len(codes)), codes[start], shots.shot[start])


def _joined(runs: _Runs, shots: Shots) -> _Runs:
    """Runs of a few frames tell nobody anything: beside a longer failing run they join it (a
    passing frame or two amid failures too). The shortest of a shot first, one a shot each time."""
    done = []
    while len(runs.start):
        length = shots.until_s[runs.stop - 1] - shots.times_s[runs.start]
        same = runs.shot[1:] == runs.shot[:-1]
        failing = np.where(runs.code > 0, length, -1.0)
        before = np.concatenate([[-1.0], np.where(same, failing[:-1], -1.0)])
        after = np.append(np.where(same, failing[1:], -1.0), -1.0)
        joins = np.flatnonzero((length < _SHORT_S) & (np.maximum(before, after) >= length))
        joins = joins[np.lexsort((joins, length[joins], runs.shot[joins]))]
        joins = joins[np.concatenate([[True], np.diff(runs.shot[joins]) > 0])[: len(joins)]]
        if not len(joins):
            done.append(runs)
            break
        waiting = np.zeros(len(shots), bool)
        waiting[runs.shot[joins]] = True
        ready = ~waiting[runs.shot]
        done.append(runs.take(ready))
        runs.code[joins] = runs.code[np.where(after > before, 1, -1)[joins] + joins]
        new = np.concatenate([[True], ~same | (runs.code[1:] != runs.code[:-1])])
        begin = np.flatnonzero(new | (runs.code == 0))  # passing runs side by side: two people
        end = np.append(begin[1:], len(runs.start)) - 1
        merged = _Runs(runs.start[begin], runs.stop[end], runs.code[begin], runs.shot[begin])
        runs = merged.take(~ready[begin])
    names = ("start", "stop", "code", "shot")
    joined = _Runs(*(np.concatenate([getattr(part, name) for part in done]) for name in names))
    return joined.take(np.argsort(joined.start, kind="stable"))


def _clips(runs: _Runs, shots: Shots, params: Filter) -> Verdicts:
    """Runs as source frames, the passing ones cut to length."""
    passing = runs.code == 0
    # Source frames between a passing and a failing measured frame were not judged good.
    follows = np.concatenate([[False], (runs.shot[1:] == runs.shot[:-1]) & passing[:-1]])
    before, until = shots.source[runs.start - 1] + 1, shots.source_start[runs.shot + 1]
    goes_on = runs.stop < shots.frame_start[runs.shot + 1]
    until = np.where(goes_on, shots.source[np.minimum(runs.stop, len(shots.source) - 1)], until)
    first = np.where(~passing & follows, before, shots.source[runs.start])
    last = np.where(passing, shots.source[runs.stop - 1], until - 1)
    t0_s, t1_s = shots.source_times_s[first + runs.shot], shots.source_times_s[last + 1 + runs.shot]
    long = np.flatnonzero(passing & (t1_s - t0_s > params.max_s + _TICK_S))
    parts = np.ones(len(first), np.int64)
    if len(long):
        # A part begins with the first frame after its time, so it may be a frame longer.
        longest = _over(np.maximum, shots.shown_s, first[long], last[long] + 1)
        part_s = np.maximum(params.max_s - longest, params.max_s / 2)
        parts[long] = np.ceil((t1_s - t0_s)[long] / part_s)
    run = np.repeat(np.arange(len(first)), parts)
    part = np.arange(len(run)) - np.repeat(np.cumsum(parts) - parts, parts)
    shot, begin, end = runs.shot[run], first[run], last[run]
    cuts = np.flatnonzero(part > 0)
    if len(cuts):
        due = t0_s[run] + (t1_s - t0_s)[run] * part / parts[run]
        found = _search(shots.source_times_s, (first + runs.shot)[run][cuts],
                        (last + 1 + runs.shot)[run][cuts], due[cuts] - _TICK_S)  # fmt: skip
        begin[cuts] = found - shot[cuts]
        end[cuts - 1] = begin[cuts] - 1
    inside = begin <= end  # where one frame is shown for very long two cuts may meet
    shot, begin, end, code = shot[inside], begin[inside], end[inside], runs.code[run][inside]
    t0_s, t1_s = shots.source_times_s[begin + shot], shots.source_times_s[end + 1 + shot]
    low, high = np.searchsorted(shots.source, begin), np.searchsorted(shots.source, end, "right")
    still = mean_over(shots.speed, low, high) < params.speed_min_bh_s
    code = np.where((code == 0) & still, np.uint8(TOO_STILL), code)
    short = (runs.code[run][inside] == 0) & (t1_s - t0_s < params.min_s - _TICK_S)
    code = np.where(short, np.uint8(TOO_SHORT), code)
    return Verdicts(shot, begin, end, t0_s, t1_s, code, low, high)


def mean_over(values: Floats, low: Ints, high: Ints, where: Bools | None = None) -> Floats:
    """Means [C] of values [F] from ``low`` to ``high`` (not inside), nan apart and where ``where``
    says; nan for none. The same whatever else the arrays hold."""
    told = ~np.isnan(values) if where is None else where & ~np.isnan(values)
    count = _over(np.add, told.astype(np.float64), low, high)
    total = _over(np.add, np.where(told, values, 0.0), low, high)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def max_over(values: Floats, low: Ints, high: Ints) -> Floats:
    """Highest [C] of values [F] from ``low`` to ``high`` (not inside), nan apart; nan for none."""
    told = np.where(np.isnan(values), -np.inf, values)
    found = _over(np.maximum, told, low, high, -np.inf)
    return np.where(np.isinf(found), np.nan, found)


def _over(by: np.ufunc, values: Floats, low: Ints, high: Ints, empty: float = 0.0) -> Floats:
    """``by`` reduced over every span [low, high); ``empty`` for empty ones."""
    if not len(low):
        return np.zeros(0)
    places = np.stack([low, high], axis=1).ravel()
    found = by.reduceat(np.append(values, empty), places)[::2]
    return np.where(high > low, found, empty)


def _search(values: Floats, low: Ints, high: Ints, wanted: Floats) -> Ints:
    """First place [N] from ``low`` to ``high`` (given where none is) whose value, rising there, is
    not below ``wanted`` [N]."""
    low, high = low.copy(), high.copy()
    while (open_ := low < high).any():
        middle = (low + high) // 2
        below = open_ & (values[np.minimum(middle, len(values) - 1)] < wanted)
        low = np.where(below, middle + 1, low)
        high = np.where(open_ & ~below, middle, high)
    return low
