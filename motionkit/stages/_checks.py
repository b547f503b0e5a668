"""One stretch of one shot held against every filter, and what would have kept it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np

from motionkit.errors import UsageError
from motionkit.stages._judge import (
    FRAME_PARAMETERS,
    Verdicts,
    failing_frames,
    judge_shots,
    max_over,
    mean_over,
)
from motionkit.stages._scores import Bools, Floats, Shots

if TYPE_CHECKING:
    from motionkit.stages.filter import Filter

#: Which way each threshold has to go to keep more.
LOOSER: Final = {
    "camera_max": 1, "hold_max_s": 1, "lower_confidence_min": -1, "confidence": -1,
    "confident_share_min": -1, "box_height_min": -1, "speed_max_bh_s": 1,
    "acceleration_max_bh_s2": 1, "speed_min_bh_s": -1, "gap_max_s": 1, "min_s": -1,
}  # fmt: skip
_OF_THE_PERSON: Final = ("lower-body-hidden", "low-confidence", "too-small")
#: A stretch counts as kept when clips cover this share of it.
_COVERED: Final = 0.5
#: Thresholds are looked for up to this many times today's, and down to 0.
_FAR: Final = 2.0**24


@dataclasses.dataclass(frozen=True)
class Check:
    """A filter and a stretch. ``measured`` is the worst value there (of `too-still` the mean; None
    where it cannot be told), ``limit`` the threshold ``parameter``; ``ranges`` the seconds
    [(from, to)] of the failing frames, those let pass as a momentary lapse included; ``passed``
    whether the stretch got by."""

    reason: str
    parameter: str | None
    measured: float | None
    limit: float | None
    passed: bool
    ranges: list[tuple[float, float]]


def checks_of(shots: Shots, verdicts: Verdicts, place: int, params: Filter) -> list[Check]:
    """Every filter over candidate ``place`` of a single shot and person, in the order they are
    asked."""
    first, last = verdicts.first[place], verdicts.last[place]
    low, high = verdicts.low[place : place + 1], verdicts.high[place : place + 1]
    kept = bool(verdicts.code[place] == 0)
    inside = slice(int(low[0]), int(high[0]))
    seen = shots.person[inside] >= 0

    def worst(values: Floats, *, lowest: bool = False) -> float | None:
        told = values[inside][seen & ~np.isnan(values[inside])]
        if not len(told):
            return None
        return float(told.min() if lowest else told.max())

    source = slice(int(first), int(last) + 1)
    measured: dict[str, float | None] = {
        "hold_max_s": float(shots.shown_s[source].max()),
        "camera_max": float(shots.camera[source].max()),
        "lower_confidence_min": worst(shots.lower_confidence, lowest=True),
        "confident_share_min": worst(shots.confident_share(params.confidence), lowest=True),
        "box_height_min": worst(shots.box_height_about, lowest=True),
        "speed_max_bh_s": worst(shots.speed),
        "acceleration_max_bh_s2": worst(shots.acceleration),
    }
    out = []
    for reason, names in FRAME_PARAMETERS.items():
        limits: list[str | None] = [n for n in names if n != "confidence"]
        for name in limits or [None]:
            failing = _failing_alone(reason, name, shots, params)
            ranges = _ranges(shots, failing, inside, float(verdicts.t1_s[place]))
            value = measured[name] if name else float(seen.mean()) if len(seen) else None
            limit = float(getattr(params, name)) if name else None
            out.append(Check(reason, name, value, limit, kept or not ranges, ranges))
    length = float(verdicts.t1_s[place] - verdicts.t0_s[place])
    short = length < params.min_s - 0.002
    whole = [(float(verdicts.t0_s[place]), float(verdicts.t1_s[place]))]
    out.append(Check("too-short", "min_s", length, params.min_s, not short, whole * short))
    speed = float(mean_over(shots.speed, low, high)[0])
    still = speed < params.speed_min_bh_s
    told = None if math.isnan(speed) else speed
    out.append(
        Check("too-still", "speed_min_bh_s", told, params.speed_min_bh_s, not still, whole * still)
    )
    return out


def remedies(
    shots: Shots, verdicts: Verdicts, place: int, params: Filter
) -> list[dict[str, float]]:
    """The least changes that would have kept most of a dropped candidate: each a set of
    {parameter: value} to be used together. Single parameters where one is enough (several to
    choose from), else one set; empty where no thresholds would have kept it."""
    t0_s, t1_s = float(verdicts.t0_s[place]), float(verdicts.t1_s[place])

    def keeps(changes: dict[str, float]) -> bool:
        try:
            found = judge_shots(shots, dataclasses.replace(params, **changes))
        except UsageError:
            return False
        clips = found.code == 0
        overlap = np.minimum(found.t1_s, t1_s) - np.maximum(found.t0_s, t0_s)
        return float(np.maximum(overlap[clips], 0).sum()) >= _COVERED * (t1_s - t0_s)

    single = []
    for name in LOOSER:
        value = _least(name, params, lambda v, n=name: keeps({n: v}))  # type: ignore[misc]
        if value is not None:
            single.append({name: value})
    if single:
        return single
    together = {name: _furthest(name, params) for name in LOOSER if name != "min_s"}
    if not keeps(together):
        together["min_s"] = _furthest("min_s", params)
    if not keeps(together):
        return []
    for name in list(together):  # back to today's where it may, else to the least that does
        rest = {n: v for n, v in together.items() if n != name}
        if keeps(rest):
            together = rest
            continue
        value = _least(name, params, lambda v, n=name, r=rest: keeps({**r, n: v}))  # type: ignore[misc]
        if value is not None:
            together = {**together, name: value}
    return [together]


def moment(shots: Shots, seconds: float, params: Filter) -> dict[str, float | bool | str | None]:
    """The measured frame on screen at ``seconds`` of a single shot, with its scores."""
    at = max(int(np.searchsorted(shots.times_s, seconds + 1e-6, side="right")) - 1, 0)
    one = (np.array([at]), np.array([at + 1]))
    before = shots.source[at - 1] + 1 if at else shots.source_start[0]
    way = (np.array([before]), np.array([shots.source[at] + 1]))
    fails = [r for r in FRAME_PARAMETERS if _failing_alone(r, None, shots, params)[at]]
    values = {
        "camera": max_over(shots.camera, *way),
        "lower_confidence": max_over(shots.lower_confidence, *one),
        "confident_share": max_over(shots.confident_share(params.confidence), *one),
        "box_height": max_over(shots.box_height_about, *one),
        "speed_bh_s": max_over(shots.speed, *one),
        "acceleration_bh_s2": max_over(shots.acceleration, *one),
    }
    told = {n: None if np.isnan(v[0]) else float(v[0]) for n, v in values.items()}
    return {
        "t_s": float(shots.times_s[at]),
        "person": bool(shots.person[at] >= 0),
        **told,
        "fails": ", ".join(fails) or None,
    }


def _failing_alone(reason: str, name: str | None, shots: Shots, params: Filter) -> Bools:
    """`failing_frames`, of the two limits of too-fast only that of parameter ``name``. Where
    nobody is seen, that is all there is to say: no keypoint and no box fails."""
    other = {"speed_max_bh_s": "acceleration_max_bh_s2", "acceleration_max_bh_s2": "speed_max_bh_s"}
    if name in other:
        params = dataclasses.replace(params, **{other[name]: _FAR})
    failing = failing_frames(reason, shots, params)
    if reason in _OF_THE_PERSON:
        failing = failing & (shots.person >= 0)
    return failing


def _ranges(shots: Shots, failing: Bools, inside: slice, end_s: float) -> list[tuple[float, float]]:
    """Times [(from, to)] of runs of failing measured frames."""
    flags = np.concatenate([[False], failing[inside], [False]])
    edges = np.flatnonzero(flags[1:] != flags[:-1]) + inside.start
    return [
        (float(shots.times_s[a]), min(float(shots.until_s[b - 1]), end_s))
        for a, b in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    ]


def _furthest(name: str, params: Filter) -> float:
    if name == "min_s":
        return 0.001
    return max(float(getattr(params, name)), 1e-3) * _FAR if LOOSER[name] > 0 else 0.0


def _least(name: str, params: Filter, keeps: Callable[[float], bool]) -> float | None:
    """The value of a threshold nearest to today's that ``keeps``, in three digits."""
    near, far = float(getattr(params, name)), _furthest(name, params)
    if not keeps(far):
        return None
    if LOOSER[name] > 0:
        step = max(near, 1e-3)
        while step * 2 < far and not keeps(step * 2):
            step *= 2
        near, far = max(near, step), min(step * 2, far)
    for _ in range(24):
        middle = (near + far) / 2
        near, far = (near, middle) if keeps(middle) else (middle, far)
    digits = 2 - math.floor(math.log10(far)) if far > 0 else 0
    scale = 10.0**digits
    outward = (math.ceil if LOOSER[name] > 0 else math.floor)(far * scale) / scale
    return outward if keeps(outward) else far
