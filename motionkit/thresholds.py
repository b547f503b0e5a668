"""The thresholds of `filter` by the names that people type: `camera.max` is `camera_max`.

A dotted name says what is measured and which side of it is the limit, without the unit. Both
names work for `motionkit filter`; recipes and stored parameters have the full one.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence
from typing import Final

from motionkit.errors import UsageError
from motionkit.stages.filter import Filter


@dataclasses.dataclass(frozen=True)
class Threshold:
    """A parameter of `Filter`: its dotted name, unit, and whether it is a share of 1."""

    parameter: str
    alias: str
    unit: str
    share: bool = False


#: In the order of docs/filter.md: frame by frame, then over a stretch.
THRESHOLDS: Final[tuple[Threshold, ...]] = (
    Threshold("camera_max", "camera.max", "width per 1/30 s"),
    Threshold("hold_max_s", "hold.max", "s"),
    Threshold("lower_confidence_min", "lower_body.min", "confidence", share=True),
    Threshold("confidence", "confidence.min", "confidence", share=True),
    Threshold("confident_share_min", "confident_share.min", "share of 17 keypoints", share=True),
    Threshold("box_height_min", "box_height.min", "share of the height", share=True),
    Threshold("speed_max_bh_s", "speed.max", "body heights/s"),
    Threshold("acceleration_max_bh_s2", "acceleration.max", "body heights/s²"),
    Threshold("speed_min_bh_s", "speed.min", "body heights/s"),
    Threshold("gap_max_s", "gap.max", "s"),
    Threshold("min_s", "clip.min_s", "s"),
    Threshold("max_s", "clip.max_s", "s"),
)
_FACTORS: Final = (0.5, 0.75, 1.0, 1.5, 2.0)


def threshold(name: str) -> Threshold:
    """The threshold of that name, full or dotted. UsageError names the nearest of others."""
    for known in THRESHOLDS:
        if name in (known.parameter, known.alias):
            return known
    names = [text for known in THRESHOLDS for text in (known.alias, known.parameter)]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    meant = f" (did you mean '{near[0]}'?)" if near else ""
    raise UsageError(
        f"filter has no threshold '{name}'{meant}.",
        hint="thresholds are: " + ", ".join(known.alias for known in THRESHOLDS),
    )


def settings_in_full(settings: Sequence[str]) -> list[str]:
    """``["camera.max=0.002"]`` → ``["camera_max=0.002"]``; UsageError for an unknown name."""
    out = []
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set takes THRESHOLD=VALUE, not {text!r}.")
        out.append(f"{threshold(name.strip()).parameter}={value}")
    return out


def with_value(params: Filter, parameter: str, value: float) -> Filter | None:
    """``params`` with another value; None where the others don't allow it."""
    try:
        return dataclasses.replace(params, **{parameter: value})
    except UsageError:
        return None


def sweep_values(params: Filter, known: Threshold) -> list[float]:
    """Values about the one in force: half of it to twice; of a share also halfway to 1."""
    now = float(getattr(params, known.parameter))
    values = {round(now * factor, 12) for factor in _FACTORS}
    if known.share:
        values = {v for v in values if v <= now}
        values |= {round(1 - (1 - now) * factor, 12) for factor in (0.5, 0.75)}
    return sorted(v for v in values if with_value(params, known.parameter, v) is not None)


def parse_sweep(text: str, params: Filter) -> dict[str, list[float]]:
    """``camera.max`` (values about the one in force), ``camera.max=0.001,0.002`` or ``all`` →
    {parameter: values, rising}."""
    if text == "all":
        return {known.parameter: sweep_values(params, known) for known in THRESHOLDS}
    name, equals, given = text.partition("=")
    known = threshold(name.strip())
    if not equals:
        return {known.parameter: sweep_values(params, known)}
    try:
        values = sorted({float(value) for value in given.split(",")})
    except ValueError as error:
        raise UsageError(
            f"--sweep {name}= takes numbers, not {given!r}.",
            hint=f"--sweep {known.alias}=0.5,1,2",
        ) from error
    for value in values:
        dataclasses.replace(params, **{known.parameter: value})  # raises where it is not allowed
    return {known.parameter: values}
