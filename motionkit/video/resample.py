"""Which source frame is on screen at each frame of a constant output rate.

By presentation time, never by counting: 60 fps gives every second frame, 25 fps repeats some,
a variable rate comes out right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: A frame due this much later than the output time still counts as shown then: presentation
#: times are rounded to ticks, which are a millisecond in Matroska (0.667 ms is the worst error
#: of a difference of two such times).
TICK_S: Final = 0.001


def resample_ordinals(
    times_s: NDArray[np.float64] | Sequence[float],
    fps: float = 30.0,
    t0_s: float | None = None,
    t1_s: float | None = None,
) -> NDArray[np.int32]:
    """Ordinals [n] of the frames shown at t0_s, t0_s + 1/fps, … before ``t1_s``.

    ``times_s`` [F] are the frames' presentation times, rising. ``t0_s`` is the first frame's
    time by default; ``t1_s`` (not reached) by default the last frame's time plus the median
    frame length, so one lonely frame gives one output frame. At each output time the nearest
    frame at or before it is taken (before the first: the first). At least one ordinal is given.
    Raises ValueError for no frames, a rate that is not above 0, or t1_s < t0_s.
    """
    times = np.asarray(times_s, np.float64)
    if times.ndim != 1 or not len(times):
        raise ValueError("resample_ordinals needs at least one presentation time")
    if not fps > 0:
        raise ValueError(f"fps is {fps}; it must be above 0")
    start = float(times[0]) if t0_s is None else t0_s
    if t1_s is None:
        length = float(np.median(np.diff(times))) if len(times) > 1 else 1 / fps
        t1_s = float(times[-1]) + length
    if t1_s < start:
        raise ValueError(f"t1_s = {t1_s} lies before t0_s = {start}")
    count = max(1, math.ceil((t1_s - start - TICK_S) * fps))
    out_times = start + np.arange(count) / fps
    found = np.searchsorted(times, out_times + TICK_S, side="right") - 1
    return np.clip(found, 0, len(times) - 1).astype(np.int32)
