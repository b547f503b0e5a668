"""What points look like: a patch round each, remembered as it lay when the point was first seen.

A tracker that only goes from frame to frame drifts, and slides onto whatever covers a point. Here
each place is held against the memory, turned and grown as the point's surroundings have since, and
set right by it: a few Gauss-Newton steps of the shift alone, all points at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionkit.backends.local_motion import F32, F64, PLAIN, Grey, patches

Bool = NDArray[np.bool_]

_STEPS = 3


class PointMemory:
    """Patches of N points, 2 * half + 1 pixels a side. Their middle counts most: the rim may lie
    beyond the object's outline."""

    def __init__(self, count: int, half: int) -> None:
        side = 2 * half + 1
        self.half = half
        r = np.linspace(-1, 1, side)
        weight = np.exp(-1.5 * (r[:, None] ** 2 + r**2)).ravel()
        self.weight: F32 = (weight / weight.sum()).astype(np.float32)
        self.patches: F32 = np.zeros((count, side * side), np.float32)
        """Less their mean, over their spread."""
        self.slope: F32 = np.zeros((count, side * side, 2), np.float32)
        """Grey levels over spread a pixel, times the weights."""
        self.solve: F32 = np.zeros((count, 2, 2), np.float32)
        self.plain: Bool = np.ones(count, dtype=bool)

    def learn(self, grey: Grey, points: NDArray[np.intp], xy: F64) -> None:
        """Remember ``points`` as they are seen at ``xy`` [M, 2], upright."""
        found = patches(grey, xy, self.half)
        whole, spread = self._normal(found)
        self.patches[points] = whole
        self.plain[points] = spread < PLAIN
        self._derive(points)

    def blend(self, points: NDArray[np.intp], seen: F32, share: float) -> None:
        """Let the memory of ``points`` follow what they look like now, [M, P * P] as `align`
        gives it."""
        self.patches[points] += np.float32(share) * (seen - self.patches[points])
        self._derive(points)

    def _derive(self, points: NDArray[np.intp]) -> None:
        side = 2 * self.half + 1
        picture = self.patches[points].reshape(-1, side, side)
        gx, gy = np.gradient(picture, axis=2), np.gradient(picture, axis=1)
        slope = np.stack([gx, gy], -1).reshape(len(points), side * side, 2)
        weighted = slope * self.weight[:, None]
        square = np.swapaxes(weighted, 1, 2) @ slope
        # A straight edge holds a point in one direction only: none of the other is made up.
        square[:, [0, 1], [0, 1]] += 0.02 * np.trace(square, axis1=1, axis2=2)[:, None] + 1e-6
        self.slope[points] = weighted
        self.solve[points] = np.linalg.inv(square)

    def _normal(self, found: F32) -> tuple[F32, F32]:
        flat = found.reshape(len(found), self.weight.size)
        flat = flat - (flat @ self.weight)[:, None]
        spread = np.sqrt((flat * flat) @ self.weight)
        whole = flat / np.maximum(spread, np.float32(1e-3))[:, None]
        return whole.astype(np.float32), spread.astype(np.float32)

    def align(
        self, grey: Grey, points: NDArray[np.intp], xy: F64, linear: F64, most: float
    ) -> tuple[F64, F64, F32]:
        """Places [M, 2] near ``xy``, at most ``most`` pixels off, at which ``points`` look as
        remembered, turned and grown by ``linear`` [M, 2, 2]; their correlation -1..1 (0 for a plain
        patch), and their patches now [M, P * P]."""
        place = xy.copy()
        best, best_place = np.full(len(points), -1.0), xy.copy()
        seen = np.zeros_like(self.patches[points])
        wanted, slope, solve = self.patches[points], self.slope[points], self.solve[points]
        for step in range(_STEPS + 1):
            now, spread = self._normal(patches(grey, place, self.half, linear))
            score = (wanted * now) @ self.weight
            score = np.where(spread < PLAIN, 0.0, score).astype(np.float64)
            better = score > best
            best[better], best_place[better], seen[better] = (
                score[better], place[better], now[better],
            )  # fmt: skip
            if step == _STEPS:
                break
            pull = ((now - wanted)[:, None] @ slope)[:, 0]
            move = -(solve @ pull[..., None]).astype(np.float64)
            place = place + (linear @ move.clip(-2, 2))[..., 0]
            off = place - xy
            far = np.linalg.norm(off, axis=1, keepdims=True)
            place = xy + off * np.minimum(1.0, most / np.maximum(far, 1e-9))
        best[self.plain[points]] = 0.0
        return best_place, best, seen
