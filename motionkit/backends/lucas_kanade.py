"""The embedded point tracker: pyramidal Lucas–Kanade, frame to frame, checked in three ways.

Points start from where their last motion would carry them (from several starts where that finds
few of them again). A step is believed where following the point back ends within a pixel or so of
where it came from, the picture round it still looks alike, and its neighbours moved likewise. A
point that fails goes where its neighbours' motion carries it: it is in sight if it looks there as
it did, and otherwise **lost**: marked invisible, carried on by its neighbours, and compared in
every frame with the picture it last showed, turned as they have turned since. "Visible" therefore
means "followed with certainty": a point on a plain surface may be in view and still be called
invisible.

Two frames are in memory at any time, whatever the length of the video.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit.backends.local_motion import (
    common_shift,
    likeness,
    motion_of_neighbours,
    patches,
)
from motionkit.backends.point_memory import PointMemory
from motionkit.backends.tracking import Float, Frame, Tracks
from motionkit.errors import InputError

Grey = NDArray[np.uint8]
F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class LucasKanade:
    """Parameters; lengths are shares of the frame's shorter side, so that a video and its
    half-size copy give the same tracks."""

    window: float = 0.06
    """Side of the window that is matched: 21 px at 360 lines; never below 15 px."""
    levels: int = 3
    """Pyramid levels above the full picture."""
    error: float = 0.004
    """Forward–backward error above which a step is not believed: 1.4 px at 360 lines."""
    alike: float = 0.6
    """Correlation of the patch with the one a frame before, below which a point is lost."""
    keep: float = 0.3
    """Correlation with the patch remembered from the start, below which a point is lost."""
    sure: float = 0.7
    """Correlation with it from which it sets a point's place right."""
    found: float = 0.85
    """Correlation with it from which a lost point counts as found again."""
    renew: float = 0.08
    """Share of the memory that follows the point's looks in every frame."""
    search: float = 0.1
    """How far the points are looked for together where most of them are lost."""
    neighbours: int = 10
    """Tracked points whose motion a point is held against."""
    stray: float = 0.007
    """Distance from where the neighbours' motion leads, above which a step is not believed: 2.5 px
    at 360 lines."""

    def identity(self) -> dict[str, Any]:
        """Name, parameters and version of the method."""
        return {"name": "lucas-kanade", "method": 2, **dataclasses.asdict(self)}

    def track(self, frames: Iterable[Frame], queries: Float) -> Tracks:
        """See `PointTracker.track`. Points are followed forwards only, from their query on."""
        wanted: F64 = np.asarray(queries, dtype=np.float64)
        if wanted.ndim != 2 or wanted.shape[1] != 3:
            raise ValueError(f"queries must be [N, 3] (frame, x, y), not {wanted.shape}")
        follow = _Following(self, wanted)
        for frame in frames:
            follow.step(cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY))
        return follow.tracks()


@dataclasses.dataclass(frozen=True)
class _Step:
    """One attempt to follow points: new places [N, 2], pixels off on the way back [N] (inf: not
    followed), and which are good [N]: they come back, and look alike."""

    xy: F64
    error: F64
    good: Bool

    def parts(self) -> tuple[F64, F64, Bool]:
        """The fields, to be taken point by point."""
        return self.xy, self.error, self.good


class _Following:
    """The state of one run: the frame before, and where each point is."""

    def __init__(self, settings: LucasKanade, queries: F64) -> None:
        self.settings = settings
        count = len(queries)
        self.queries = queries
        self.start = queries[:, 0].astype(int)
        self.xy = queries[:, 1:].copy()
        self.velocity = np.zeros((count, 2))
        self.fresh = np.ones(count, dtype=bool)  # has not moved yet: its velocity is unknown
        self.lost = np.zeros(count, dtype=bool)
        self.before: Grey | None = None
        self.history: list[tuple[F64, Bool, F64]] = []

    def step(self, grey: Grey) -> None:
        """Move every point on to ``grey``."""
        now = len(self.history)
        confidence = np.zeros(len(self.xy))
        if self.before is None:
            self._measure_frame(grey)
        elif grey.shape != self.before.shape:
            raise ValueError(f"frame {now} is {grey.shape}, the one before {self.before.shape}")
        else:
            active = np.flatnonzero(self.start < now)
            if len(active):
                confidence[active] = self._follow(self.before, grey, active)
        fresh = self.start == now
        if fresh.any() and not self._inside(self.xy)[fresh].all():
            raise ValueError("a query lies outside the frame")
        confidence[fresh] = 1.0
        visible = (self.start <= now) & ~self.lost & self._inside(self.xy)
        confidence[~visible] = 0.0
        if visible.any():
            self.shown[visible] = patches(grey, self.xy[visible], self.look)
        if fresh.any():
            self.memory.learn(grey, np.flatnonzero(fresh), self.xy[fresh])
        self.history.append((self.xy.copy(), visible, confidence))
        self.before = grey

    def tracks(self) -> Tracks:
        if not self.history:
            raise InputError("no-frames", "there is no frame to track points in")
        if len(self.start) and not (0 <= self.start.min() <= self.start.max() < len(self.history)):
            raise ValueError(f"a query names a frame outside 0..{len(self.history) - 1}")
        xy, visible, confidence = (np.stack(part) for part in zip(*self.history, strict=True))
        return Tracks(xy.astype(np.float32), visible, confidence.astype(np.float32))

    def _measure_frame(self, grey: Grey) -> None:
        self.height, self.width = grey.shape
        side = min(grey.shape)
        self.half = max(7, round(self.settings.window * side / 2))
        self.look = max(5, round(0.7 * self.half))
        self.limit = max(0.7, self.settings.error * side)
        self.stray = max(1.2, self.settings.stray * side)
        self.reach = max(6, round(self.settings.search * side))
        self.memory = PointMemory(len(self.xy), self.look)
        size = 2 * self.look + 1
        self.shown = np.zeros((len(self.xy), size, size), np.float32)  # when it was last seen
        self.turned = np.tile(np.eye(2), (len(self.xy), 1, 1))  # since its query
        self.change = self.turned.copy()  # since the frame before

    def _inside(self, xy: F64) -> Bool:
        x, y = xy.T
        return (x >= 0) & (x <= self.width - 1) & (y >= 0) & (y <= self.height - 1)

    def _follow(self, before: Grey, grey: Grey, active: NDArray[np.intp]) -> F64:
        """One step of the active points; returns their confidence."""
        old = self.xy[active].copy()
        new = old + self.velocity[active]
        confidence = np.zeros(len(old))
        good = np.zeros(len(old), dtype=bool)
        seen = np.flatnonzero(~self.lost[active] & self._inside(old))
        if len(seen):
            step = self._best_step(before, grey, active[seen])
            good[seen] = step.good & self._inside(step.xy)
            new[good] = step.xy[good[seen]]
            # 1 for a perfect return, 0.5 at the limit.
            confidence[seen] = 1.0 / (1.0 + (step.error / self.limit) ** 2)
        strong = self._held_against_memory(grey, active, new, good)
        place, linear = self._consensus(old, new, good)
        strong &= good
        # A few points that something before the object took along must not lead the others.
        led = strong.sum() >= _LEADERS or good.sum() >= max(_LEADERS, 0.5 * len(old))
        if led:
            new[~good] = place[~good]
        else:  # hidden nearly all together: they go on as they went, ever slower
            self.velocity[active] *= _FADES
            on = old + self.velocity[active]
            good &= strong | (np.linalg.norm(new - on, axis=1) <= self.stray)
            new[~good] = on[~good]
        self.turned[active] = self._turn(active, linear, new, good)
        self.change[active] = linear
        self._recognise(grey, active, new, good, confidence, together=not led)
        confidence[~good | ~self._inside(new)] = 0.0
        moved = good if not led else np.ones(len(old), dtype=bool)
        self.velocity[active[moved]] = (new - old)[moved]
        self.xy[active] = new
        self.lost[active] = confidence == 0.0
        self.fresh[active] = False
        return confidence

    def _held_against_memory(
        self, grey: Grey, active: NDArray[np.intp], new: F64, good: Bool
    ) -> Bool:
        """Set ``new`` of the ``good`` points right by what they look like; which of them look much
        like themselves. Those that do not at all are struck from ``good``."""
        strong = np.zeros(len(active), dtype=bool)
        rows = np.flatnonzero(good)
        if not len(rows):
            return strong
        points = active[rows]
        linear = self.change[points] @ self.turned[points]
        place, score, seen = self.memory.align(grey, points, new[rows], linear, self.stray)
        sure = score >= self.settings.sure
        new[rows[sure]] = place[sure]
        good[rows] = self.memory.plain[points] | (score >= self.settings.keep)
        strong[rows] = sure
        self.memory.blend(points[sure], seen[sure], self.settings.renew)
        return strong

    def _consensus(self, old: F64, new: F64, good: Bool) -> tuple[F64, F64]:
        """Where the neighbours lead each point, and how they turn. Strays are struck from
        ``good``."""
        for _ in range(3):
            place, linear, agree = motion_of_neighbours(
                old[good], new[good], old, self.settings.neighbours, self.stray
            )
            stray = good & (agree >= 0.5) & (np.linalg.norm(new - place, axis=1) > self.stray)
            if not stray.any():
                break
            good &= ~stray
        return place, linear

    def _turn(self, active: NDArray[np.intp], linear: F64, new: F64, good: Bool) -> F64:
        """How the surroundings of the points have turned since they were first seen: from where the
        points were then and are now, which does not add up errors, where they began together."""
        turned = linear @ self.turned[active]
        if good.sum() >= 2 * _LEADERS and np.ptp(self.start) == 0:
            origin = self.queries[active, 1:]
            _, whole, agree = motion_of_neighbours(
                origin[good], new[good], origin, self.settings.neighbours, 2 * self.stray
            )
            turned = np.where((agree >= 0.5)[:, None, None], whole, turned)
        return turned

    def _recognise(
        self,
        grey: Grey,
        active: NDArray[np.intp],
        new: F64,
        good: Bool,
        confidence: F64,
        together: bool,
    ) -> None:
        """Find points that are not ``good`` by what they look like, close to where they were led;
        ``together``: nothing led them, so look where they are seen together, too."""
        rows = np.flatnonzero(~good)
        confidence[rows] = 0.0
        if not len(rows):
            return
        points = active[rows]
        tries = [new[rows]]
        if together:
            shift = common_shift(self.shown[points], grey, new[rows], self.reach)
            if shift is not None:
                tries.append(new[rows] + shift)
        best = np.zeros(len(rows), dtype=bool)
        for number, start in enumerate(tries):
            place, score, _ = self.memory.align(
                grey, points, start, self.turned[points], self.stray
            )
            sure = (score >= self.settings.found) & self._inside(place)
            if number and sure.sum() < max(_LEADERS, 0.3 * len(rows), best.sum() + 1):
                continue
            best = sure
            new[rows] = np.where(sure[:, None], place, start)
            confidence[rows] = np.where(sure, 0.5 * score, 0.0)  # less sure than followed
        good[rows] = best

    def _best_step(self, before: Grey, grey: Grey, points: NDArray[np.intp]) -> _Step:
        """Follow from where the last motion would lead; where that finds few points again, from
        where they stand and from where they are seen together, too."""
        old = self.xy[points]
        best = self._both_ways(before, grey, points, old + self.velocity[points], 1)
        if best.good.mean() >= _ENOUGH and not self.fresh[points].any():
            return best
        starts = [(old, self.settings.levels)]
        shift = common_shift(self.shown[points], grey, old, self.reach)
        if shift is not None and shift.any():
            starts.append((old + shift, 1))
        for start, levels in starts:
            other = self._both_ways(before, grey, points, start, levels)
            if other.good.sum() > best.good.sum():
                best, other = other, best
            # Parts of an object can move apart: what one start misses, another may find.
            take = other.good & ~best.good
            best = _Step(*(np.where(take[:, None] if a.ndim > 1 else take, b, a)
                           for a, b in zip(best.parts(), other.parts(), strict=True)))  # fmt: skip
        return best

    def _both_ways(
        self, before: Grey, grey: Grey, points: NDArray[np.intp], start: F64, levels: int
    ) -> _Step:
        """Follow ``points`` from ``start`` on, and back, with so many levels above the full
        picture."""
        old = self.xy[points]
        # The part of the picture that the highest level of the pyramid looks at.
        margin = 2 * self.half * (1 + levels)
        both = np.concatenate([old, start])
        x0, y0 = np.clip(np.floor(both.min(0)) - margin, 0, [self.width, self.height]).astype(int)
        x1, y1 = np.clip(np.ceil(both.max(0)) + margin, 0, [self.width, self.height]).astype(int)
        corner = np.array([x0, y0], np.float64)
        error = np.full(len(old), np.inf)
        if min(x1 - x0, y1 - y0) <= 2 * self.half + 1:
            return _Step(start, error, error < 0)
        a = np.ascontiguousarray(before[y0:y1, x0:x1])
        b = np.ascontiguousarray(grey[y0:y1, x0:x1])
        options: dict[str, Any] = {
            "winSize": (2 * self.half + 1, 2 * self.half + 1),
            "maxLevel": levels,
            "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.01),
            "flags": cv2.OPTFLOW_USE_INITIAL_FLOW,
        }
        here = (old - corner).astype(np.float32)[:, None]
        guess = (start - corner).astype(np.float32)[:, None]
        there, ok, _ = cv2.calcOpticalFlowPyrLK(a, b, here, guess.copy(), **options)
        # Back from there by the guess's own motion, not by the one just found.
        back, ok_back, _ = cv2.calcOpticalFlowPyrLK(b, a, there, there - (guess - here), **options)
        error = np.linalg.norm((back - here)[:, 0], axis=1).astype(np.float64)
        error[(ok[:, 0] == 0) | (ok_back[:, 0] == 0)] = np.inf
        xy = there[:, 0].astype(np.float64) + corner
        alike, plain = likeness(self.shown[points], patches(grey, xy, self.look))
        alike[plain] = 1.0  # too plain to compare: the way back decides
        return _Step(xy, error, (error <= self.limit) & (alike >= self.settings.alike))


#: Share of the points that the last motion must find again, or other starts are tried.
_ENOUGH = 0.75
#: Fewer points that look like themselves lead no others.
_LEADERS = 3
#: What is left of the motion of hidden points from frame to frame.
_FADES = 0.97
