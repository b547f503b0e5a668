"""What a detector reports, and the two shapes it looks for: bouts and swings."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class Event:
    """One thing the person did.

    ``label`` is the rule's name (stable, in the captions' detail); ``a`` and ``b`` are its first
    and last frame; ``side`` is the person's own 'left', 'right', 'both', or '' where there is
    none or it is not sure; ``numbers`` are what was measured.
    """

    label: str
    a: int
    b: int
    side: str = ""
    numbers: dict[str, float] = dataclasses.field(default_factory=dict)

    def overlap(self, other: Event) -> float:
        """Shared frames as a share of the shorter of the two."""
        shared = min(self.b, other.b) - max(self.a, other.a) + 1
        return max(0, shared) / max(1, min(self.b - self.a, other.b - other.a) + 1)


def runs(mask: Bool, least: int = 1) -> list[tuple[int, int]]:
    """First and last frames (both inside) of stretches of True that are at least ``least`` long."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    pairs = zip(edges[::2], edges[1::2] - 1, strict=True)
    return [(int(a), int(b)) for a, b in pairs if b - a + 1 >= least]


def bouts(
    signal: F64, enter: float, leave: float, least: int = 1, bridge: int = 0
) -> list[tuple[int, int]]:
    """Stretches above ``leave`` that somewhere exceed ``enter``; NaN counts as below.

    Stretches with at most ``bridge`` frames between them are one.
    """
    joined: list[tuple[int, int]] = []
    for a, b in runs(np.nan_to_num(signal, nan=-np.inf) > leave):
        if joined and a - joined[-1][1] - 1 <= bridge:
            joined[-1] = (joined[-1][0], b)
        else:
            joined.append((a, b))
    return [
        (a, b) for a, b in joined if b - a + 1 >= least and np.nanmax(signal[a : b + 1]) > enter
    ]


def swings(signal: F64, size: float) -> list[int]:
    """Frames of the turning points of a signal that goes up and down by at least ``size``.

    The ends are not turning points. NaN must have been filled.
    """
    turns: list[int] = []
    low = high = 0
    direction = 0
    for t in range(1, len(signal)):
        if signal[t] > signal[high]:
            high = t
        if signal[t] < signal[low]:
            low = t
        if direction >= 0 and signal[high] - signal[t] >= size:
            if direction > 0 or high > 0:
                turns.append(high)
            direction, low = -1, t
            high = t
        elif direction <= 0 and signal[t] - signal[low] >= size:
            if direction < 0 or low > 0:
                turns.append(low)
            direction, high = 1, t
            low = t
    return turns
