"""The embedded point tracker: pyramidal Lucas–Kanade, frame to frame, checked both ways.

A step is believed where following the point back from the new frame ends within a pixel or so
of where it came from, and the patch round it still looks alike. A point that fails the check is
**lost**: it is marked invisible, moves on with the median motion of its nearest tracked
neighbours, and is looked for in every frame by the patch it last showed. "Visible" therefore
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
    """Forward–backward error above which a point is lost: 1.4 px at 360 lines."""
    alike: float = 0.6
    """Correlation of the patch with the one a frame before, below which a point is lost."""
    found: float = 0.9
    """Correlation from which a lost point counts as found again."""
    search: float = 0.05
    """How far round its guessed place a lost point is looked for."""
    neighbours: int = 5
    """Tracked points whose median motion a lost point follows."""

    def identity(self) -> dict[str, Any]:
        """Name, parameters and version of the method."""
        return {"name": "lucas-kanade", "method": 1, **dataclasses.asdict(self)}

    def track(self, frames: Iterable[Frame], queries: Float) -> Tracks:
        """See `PointTracker.track`. Points are followed forwards only, from their query on."""
        wanted: F64 = np.asarray(queries, dtype=np.float64)
        if wanted.ndim != 2 or wanted.shape[1] != 3:
            raise ValueError(f"queries must be [N, 3] (frame, x, y), not {wanted.shape}")
        follow = _Following(self, wanted)
        for frame in frames:
            follow.step(cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY))
        return follow.tracks()


class _Following:
    """The state of one run: the frame before, and where each point is."""

    def __init__(self, settings: LucasKanade, queries: F64) -> None:
        self.settings = settings
        self.queries = queries
        self.start = queries[:, 0].astype(int)
        self.xy = queries[:, 1:].copy()
        self.lost = np.zeros(len(queries), dtype=bool)
        self.before: Grey | None = None
        self.patches: list[Grey | None] = [None] * len(queries)  # of when it was last seen
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
            active = self.start < now
            if active.any():
                confidence = self._follow(self.before, grey, active)
        fresh = self.start == now
        if fresh.any() and not self._inside()[fresh].all():
            raise ValueError("a query lies outside the frame")
        confidence[fresh] = 1.0
        visible = (self.start <= now) & ~self.lost & self._inside()
        confidence[~visible] = 0.0
        for i in np.flatnonzero(visible):
            self.patches[i] = _patch(grey, self.xy[i], self.half)
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
        self.limit = max(0.7, self.settings.error * side)
        self.reach = max(3, round(self.settings.search * side))

    def _inside(self) -> Bool:
        x, y = self.xy.T
        return (x >= 0) & (x <= self.width - 1) & (y >= 0) & (y <= self.height - 1)

    def _follow(self, before: Grey, grey: Grey, active: Bool) -> F64:
        """One step of all active points; returns their confidence."""
        old = self.xy.copy()
        confidence = np.zeros(len(old))
        seen = np.flatnonzero(active & ~self.lost & self._inside())
        good = np.zeros(len(old), dtype=bool)
        if len(seen):
            new, error = self._both_ways(before, grey, old[seen])
            self.xy[seen] = new
            inside = self._inside()[seen]
            for i, e, within in zip(seen, error, inside, strict=True):
                if not within or e > self.limit:
                    continue
                alike = _likeness(self.patches[i], _patch(grey, self.xy[i], self.half))
                if alike >= self.settings.alike:
                    good[i] = True
                    # 1 for a perfect return, 0.5 at the limit.
                    confidence[i] = 1.0 / (1.0 + (e / self.limit) ** 2)
        astray = np.flatnonzero(active & ~good)
        if len(astray):
            self._guess(old, good, astray)
            for i in astray:
                confidence[i] = self._look_for(int(i), grey)
                good[i] = confidence[i] > 0
        self.lost[active] = ~good[active]
        return confidence

    def _both_ways(self, before: Grey, grey: Grey, points: F64) -> tuple[F64, F64]:
        """New positions of ``points`` and their forward–backward error (inf: not followed)."""
        options: dict[str, Any] = {
            "winSize": (2 * self.half + 1, 2 * self.half + 1),
            "maxLevel": self.settings.levels,
            "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.01),
        }
        start = points.astype(np.float32)[:, None]
        there, ok, _ = cv2.calcOpticalFlowPyrLK(before, grey, start, None, **options)
        back, ok_back, _ = cv2.calcOpticalFlowPyrLK(grey, before, there, None, **options)
        error = np.linalg.norm((back - start)[:, 0], axis=1).astype(np.float64)
        error[(ok[:, 0] == 0) | (ok_back[:, 0] == 0)] = np.inf
        return there[:, 0].astype(np.float64), error

    def _guess(self, old: F64, good: Bool, astray: NDArray[np.intp]) -> None:
        """Move lost points on with the median motion of their nearest tracked neighbours."""
        sure = np.flatnonzero(good)
        for i in astray:
            motion = np.zeros(2)
            if len(sure):
                distance = np.linalg.norm(old[sure] - old[i], axis=1)
                near = sure[np.argsort(distance, kind="stable")[: self.settings.neighbours]]
                motion = np.median(self.xy[near] - old[near], axis=0)
            self.xy[i] = old[i] + motion

    def _look_for(self, i: int, grey: Grey) -> float:
        """Find a lost point by its last patch near its guessed place; confidence, 0 if not."""
        patch = self.patches[i]
        if patch is None or float(patch.std()) < _PLAIN:
            return 0.0
        x, y = np.floor(self.xy[i] + 0.5).astype(int)
        reach = self.reach + self.half
        x0, y0 = max(0, x - reach), max(0, y - reach)
        area = grey[y0 : max(0, y + reach + 1), x0 : max(0, x + reach + 1)]
        if area.shape[0] < patch.shape[0] or area.shape[1] < patch.shape[1]:
            return 0.0
        scores = cv2.matchTemplate(area, patch, cv2.TM_CCOEFF_NORMED)
        _, best, _, (column, row) = cv2.minMaxLoc(scores)
        if best < self.settings.found:
            return 0.0
        self.xy[i] = x0 + column + self.half, y0 + row + self.half
        return float(best) * 0.5  # a whole-pixel match: surer than lost, less sure than followed


#: Grey-level spread below which a patch has nothing to tell it by.
_PLAIN = 3.0


def _patch(grey: Grey, xy: F64, half: int) -> Grey:
    """The square of 2 * half + 1 pixels round a point, edges repeated beyond the frame."""
    return cv2.getRectSubPix(grey, (2 * half + 1, 2 * half + 1), (float(xy[0]), float(xy[1])))


def _likeness(a: Grey | None, b: Grey) -> float:
    """Correlation -1..1 of two patches; 1 where both are too plain to compare."""
    if a is None:
        return 1.0
    if float(a.std()) < _PLAIN and float(b.std()) < _PLAIN:
        return 1.0
    x = a.astype(np.float64) - float(a.mean())
    y = b.astype(np.float64) - float(b.mean())
    return float((x * y).sum() / max(np.sqrt((x * x).sum() * (y * y).sum()), 1e-9))
