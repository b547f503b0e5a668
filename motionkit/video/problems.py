"""What is worth knowing about a video that was kept: stable codes (docs/videos.md)."""

from __future__ import annotations

from typing import Final

import numpy as np

from motionkit.video.probe import PacketIndex, is_variable
from motionkit.video.survey import Survey

#: A step between two pictures is a gap above both: seconds, and usual lengths of a picture.
GAP_S: Final = 1.0
GAP_LENGTHS: Final = 10.0
#: The first picture is late when it is shown this many seconds after the container begins.
LATE_S: Final = 0.5
#: Declared and measured rate are one up to this share.
RATE_SHARE: Final = 0.02


def problems_of(index: PacketIndex, found: Survey) -> list[str]:
    """The codes that hold, in a fixed order."""
    times = found.times_s
    variable = is_variable(times)
    truncated = index.truncated or found.cut
    damaged = found.lost > 0 or bool(found.damaged.any())
    flags = {
        "truncated": truncated,
        "damaged-frames": damaged,
        "edit-list": index.edit_list,
        "variable-rate": variable,
        "time-gap": _has_gap(times),
        "times-not-rising": found.repaired,
        "no-timestamps": not index.timed,
        "late-start": index.start_s > LATE_S,
        "rate-mismatch": index.timed and not variable and _other_rate(index, found),
        "no-frame-count": index.frames_declared is None,
        "frame-count-mismatch": _other_count(index, found) and not (truncated or damaged),
        "rotated": found.rotation != 0,
        "size-changes": found.size_changes,
        "interlaced": found.interlaced,
        "high-bit-depth": found.bits > 8,
        "non-square-pixels": abs(index.pixel_aspect - 1) > 0.005,
        "several-video-streams": index.streams > 1,
    }
    return [code for code, holds in flags.items() if holds]


def _has_gap(times_s: np.ndarray) -> bool:
    steps = np.diff(times_s)
    if not len(steps):
        return False
    return bool(steps.max() > max(GAP_S, GAP_LENGTHS * float(np.median(steps))))


def _other_rate(index: PacketIndex, found: Survey) -> bool:
    if len(found.times_s) < 3:
        return False
    if index.rate_declared is None:
        return True
    # Containers differ in what the last picture's length counts; a tick at each end is rounding.
    last = float(found.times_s[-1])
    count, slack = len(found.times_s), RATE_SHARE + 0.002 / last
    return not (1 - slack) * (count - 1) / last < index.rate_declared < (1 + slack) * count / last


def _other_count(index: PacketIndex, found: Survey) -> bool:
    """Do other frames decode than were declared (or than there are packets)?"""
    decoded = len(found.times_s)
    if index.edit_list:
        return decoded != index.packets
    return decoded != (index.frames_declared or index.packets)
