"""How the camera moves from frame to frame, told apart from what moves before it.

Filter 1 of the K2M paper looks at pixel changes at the left and right edges. Plain differences
confuse a waving tree, noise or a flash with a moving camera, so what is measured here is
displacement: small textured windows along the left, right and top edge (`windows`), and the one
motion that most of them agree on (`background`).

- Somebody walking through an edge, or filling it, moves those windows only, and each in its own
  way: the rest agrees on the background.
- Leaves and noise point everywhere and agree on nothing.
- A zoom moves the sides apart, a roll moves one up and one down: one motion explains both.
- Parts without texture (a bare wall, a sky; black bars are cut off first) have no windows. Where
  nothing can be followed, nothing is known, and the score is 0.
- Where most windows are lost although there is texture (whip pans blur everything), the score is
  `LOST`.
- Where no motion has a majority, windows that stand still decide, if there are some; else the
  calmest of the three edges.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionkit.video.background import Similarity, fit, refit
from motionkit.video.windows import Windows

FloatArray = NDArray[np.floating]
Plane = NDArray[np.uint8]

#: Width of each edge band, share of the frame's width.
EDGE_BAND: Final = 0.12
#: Score where texture cannot be found again, share of the width for 1/30 s.
LOST: Final = 0.05
#: Frames are compared with one at most this long before (seconds): every other one at 24 to 30
#: frames a second. A displacement half as often costs half as much, and is as exact.
PACE_S: Final = 0.0835
#: The same while nothing moves.
PACE_STILL_S: Final = 0.1255

#: Measured frames after which the windows are chosen anew: with the picture moving,
#: still, and where there was nothing to follow.
_REFRESH: Final = 8
_REFRESH_STILL: Final = 60
_REFRESH_NONE: Final = 6
#: So many windows are needed to say anything.
_ENOUGH: Final = 4
#: Share of windows that must have changed little for a still camera.
_CALM_SHARE: Final = 0.5
#: Fewer windows found again than this share: looked for again, further away; or lost.
_FOUND_AGAIN: Final = 0.6
_FOUND_SHARE: Final = 0.34
#: The background must hold this share of the windows' weight.
_MAJORITY: Final = 0.4
#: … and more than this one where this share of the windows stands: no moving camera leaves them
#: standing, but people who fill both edges move most of the others.
_CLEAR_MAJORITY: Final = 0.6
_STILL_SHARE: Final = 0.15
#: Displacements (pixels) below which a window counts as standing, without any fit.
_STANDING: Final = 0.12
#: Steps without motion after which the camera stands.
_STANDS_FOR: Final = 3


class CameraStep(NamedTuple):
    """What the camera did between two measured frames. ``shift_x``, ``shift_y``: translation of
    the picture's content, shares of the width, x right, y down (a camera that pans right shifts
    it left); ``zoom``: log scale; ``camera``: mean displacement of the left and right edge, a
    share of the width. ``camera`` is nan where nothing can be followed, inf where all is lost."""

    shift_x: float
    shift_y: float
    zoom: float
    camera: float


UNKNOWN: Final = CameraStep(0.0, 0.0, 0.0, float("nan"))
_LOST_STEP: Final = CameraStep(0.0, 0.0, 0.0, float("inf"))


class CameraMotion:
    """Follows the background through a video, one small brightness plane after the other."""

    def __init__(self, edge_band: float = EDGE_BAND) -> None:
        self._band = edge_band
        self._before: Plane | None = None
        self._box: tuple[int, int, int, int] | None = None
        self._windows: Windows | None = None
        self._looked: FloatArray | None = None
        self._age = 0
        self._still = True
        self._standing_for = 0
        self._last = Similarity(0j, 0j, 0.0)

    def step(self, luma: Plane) -> CameraStep:
        """Motion since the plane before; `UNKNOWN` for the first."""
        before, self._before = self._before, luma
        if before is None or before.shape != luma.shape:
            self._box = self._windows = None
            self._age = 0
            return UNKNOWN
        windows = self._current(before)
        if windows is None or len(windows) < _ENOUGH:
            return UNKNOWN
        found = self._calm(windows, before, luma) if self._still else None
        found = found or self._follow(windows, before, luma)
        if found is None:
            self._still, self._standing_for, self._last = False, 0, Similarity(0j, 0j, 0.0)
            return _LOST_STEP
        self._last = found
        assert self._box is not None
        half = (self._box[1] - self._box[0]) / 2
        edges = (abs(found.shift - half * found.turn) + abs(found.shift + half * found.turn)) / 2
        width = luma.shape[1]
        self._still = edges < _STANDING * 4
        self._standing_for = self._standing_for + 1 if edges < _STANDING else 0
        shift = found.shift / width
        return CameraStep(shift.real, shift.imag, found.turn.real, edges / width)

    @property
    def pace_s(self) -> float:
        """The next plane need not be nearer than this, seconds: `PACE_S`, or `PACE_STILL_S` where
        the camera has been standing (a hand that shakes stands for one step at most)."""
        return PACE_STILL_S if self._standing_for >= _STANDS_FOR else PACE_S

    def _current(self, before: Plane) -> Windows | None:
        """The windows in use; chosen anew on the plane before when they have served."""
        self._age += 1
        lasting = _REFRESH_STILL if self._still else _REFRESH
        if self._windows is None or len(self._windows) < _ENOUGH:
            lasting = _REFRESH_NONE if self._age > 1 else 0
        if self._age > lasting:
            self._choose(before)
        return self._windows

    def _choose(self, before: Plane) -> None:
        if self._windows is None or len(self._windows) < _ENOUGH:
            self._box = active_box(before)
        self._windows = self._looked = None
        self._age = 1
        if self._box is not None:
            band = max(8, round(self._band * (self._box[1] - self._box[0])))
            self._windows = Windows(before, self._box, band)

    def _calm(self, windows: Windows, before: Plane, after: Plane) -> Similarity | None:
        """The motion where nearly nothing changed; None where too much did."""
        filters = windows.filters()
        looked = filters.look(before) if self._looked is None else self._looked
        self._looked = filters.look(after)
        if filters.same(looked, self._looked):
            return Similarity(0j, 0j, 1.0)
        moved, calm = filters.little(looked, self._looked)
        share = np.count_nonzero(calm) / len(windows)
        if share < _CALM_SHARE:
            return None
        standing = calm & (np.abs(moved) < _STANDING)
        if np.count_nonzero(standing) > 0.7 * len(windows):
            return refit(windows.places, moved, standing.astype(np.float64))
        found = fit(windows.places[calm], moved[calm], np.ones(np.count_nonzero(calm)))
        return found if found.share * share > _MAJORITY else None

    def _follow(self, windows: Windows, before: Plane, after: Plane) -> Similarity | None:
        """The motion by Lucas-Kanade; None where too many windows are lost."""
        self._looked = None
        moved, good = windows.follow(before, after, self._last.at(windows.places), 1)
        count = int(np.count_nonzero(good))
        if count < _FOUND_AGAIN * len(windows):
            if self._age > 1:  # what they were chosen for has left them
                self._choose(before)
                if self._windows is None or len(self._windows) < _ENOUGH:
                    return Similarity(0j, 0j, 0.0)  # nothing to be followed: nothing is known
                windows, count = self._windows, -1
            again, found = windows.follow(before, after, None, 3)
            if np.count_nonzero(found) > count:
                moved, good, count = again, found, int(np.count_nonzero(found))
        if count < max(_ENOUGH, _FOUND_SHARE * len(windows)):
            return None
        moved, places = moved[good], windows.places[good]
        best = fit(places, moved, np.ones(count))
        share = best.share * count / len(windows)
        standing = np.abs(moved) < _STANDING
        if share < _CLEAR_MAJORITY and standing.sum() >= max(_ENOUGH, _STILL_SHARE * len(windows)):
            return refit(places, moved, standing.astype(np.float64))
        if share > _MAJORITY:
            return best
        return _calmest_edge(moved, windows.regions[good])


def _calmest_edge(moved: NDArray[np.complexfloating], regions: NDArray[np.intp]) -> Similarity:
    """Median displacement of the edge that moved least."""
    edges = [moved[regions == r] for r in range(3)]
    middles = [complex(np.median(e.real), np.median(e.imag)) for e in edges if len(e) >= _ENOUGH]
    return Similarity(min(middles, key=abs, default=0j), 0j, 0.0)


def active_box(luma: Plane) -> tuple[int, int, int, int] | None:
    """First and one past the last column, then row, that hold a picture: black bars are cut.

    None where the whole picture is dark or plain (nothing to judge by).
    """
    columns = np.flatnonzero(luma.std(axis=0) > 3.0)
    rows = np.flatnonzero(luma.std(axis=1) > 3.0)
    if len(columns) < luma.shape[1] // 4 or len(rows) < luma.shape[0] // 4:
        return None
    return int(columns[0]), int(columns[-1]) + 1, int(rows[0]), int(rows[-1]) + 1


def per_thirtieth(
    steps: list[CameraStep], ordinals: list[int], times_s: FloatArray
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Scores [F], shifts [F, 2] and zooms [F] of every frame up to the last measured, in 1/30 s:
    they mean the same at every frame rate.

    ``steps`` [M] were measured at the frames ``ordinals`` [M], each since the one before; frames
    between share them. 0 for the first frame and where nothing is known, `LOST` where all is.
    """
    times = np.asarray(times_s, np.float64)
    at = np.asarray(ordinals, np.int64)
    if not len(at):
        return np.zeros(0, np.float32), np.zeros((0, 2), np.float32), np.zeros(0, np.float32)
    rows = np.array(steps, np.float64)
    lost = np.isinf(rows[:, 3])
    gaps = np.diff(times[at], prepend=times[at[:1]])
    gaps[gaps <= 0] = 1 / 30
    rows = np.nan_to_num(rows, nan=0.0, posinf=0.0) / (30 * gaps)[:, None]
    rows[lost, 3] = LOST
    rows[0] = 0.0
    frames = np.searchsorted(at, np.arange(at[-1] + 1))
    values = rows[frames].astype(np.float32)
    return values[:, 3], values[:, :2], values[:, 2]
