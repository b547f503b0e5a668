"""Point trackers: what one is, how one is named, and the grid of points it starts from.

The grid and its rules are Lang2Motion's (G×G points inside the object's mask on the first
frame); a tracker follows them and says, point by point, how sure it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError, UsageError

Float = NDArray[np.floating]
Bool = NDArray[np.bool_]
Frame = NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class Tracks:
    """Where N points are in T frames.

    ``points`` [T, N, 2] float32 pixels (x, y); ``visible`` [T, N] bool; ``confidence`` [T, N]
    float32 in 0..1. A point that is not visible still has a position: the tracker's best guess.
    Before its query frame a point stands at its query, invisible, with confidence 0, unless the
    tracker can follow backwards.
    """

    points: NDArray[np.float32]
    visible: Bool
    confidence: NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Workload:
    """What a tracker is opened for: a model may be chosen by it, once and for all clips."""

    frames: int = 30
    """Most frames of a clip that are followed."""
    points: int = 36
    """Points in each."""
    memory_gb: float = 6.0
    """Memory that one clip may take, in 10**9 bytes."""


class PointTracker(Protocol):
    """Follows points through a stretch of video.

    A tracker on a device also has a ``mode`` ("batches" or "streams", see `motionkit.stage`), and
    the methods of `backends.cotracker.CoTracker3` for it.
    """

    def identity(self) -> dict[str, Any]:
        """Name, parameters and weights: all that decides the tracks beside frames and queries."""
        ...

    def track(self, frames: Iterable[Frame], queries: Float) -> Tracks:
        """Follow ``queries`` [N, 3] (frame index, x, y; pixels) through ``frames``.

        ``frames`` yields RGB uint8 [H, W, 3], one at a time or as an array [T, H, W, 3]; it is
        read once, in order. No query gives no track. Raises `InputError` ``no-frames`` where there
        is no frame, ValueError for queries of another shape, or whose frame or place is outside
        the video (`QueryOutside` for the place, where the tracker knows the difference).
        """
        ...


class QueryOutside(InputError, ValueError):
    """A query lies outside the picture: ``query-outside``, the code of the clip's failure."""

    def __init__(self, message: str) -> None:
        super().__init__("query-outside", message)

    def __reduce__(self) -> tuple[object, ...]:
        return (QueryOutside, (self.message,))


def checked_queries(
    queries: Float, frames: int | None, width: int, height: int
) -> NDArray[np.float32]:
    """``queries`` as float32 [N, 3] (frame index, x, y; pixels), all inside the video.

    ValueError for another shape, what is no whole number of 0 or more for a frame, and a frame
    that the video has not (``frames`` None: not known yet). `QueryOutside` for a point that is not
    between the centres of the picture's corner pixels, or not finite.
    """
    wanted = np.asarray(queries, np.float32)
    if wanted.ndim != 2 or wanted.shape[1] != 3:
        raise ValueError(f"queries must be [N, 3] (frame, x, y), not {wanted.shape}")
    at, xy = wanted[:, 0], wanted[:, 1:]
    if not ((at >= 0) & (at == np.floor(at)) & np.isfinite(at)).all():
        raise ValueError("the frame of a query must be a whole number, 0 or more")
    if frames is not None and len(at) and int(at.max()) >= frames:
        raise ValueError(f"a query names frame {int(at.max())}, outside 0..{frames - 1}")
    inside = ((xy >= 0) & (xy <= np.array([width - 1, height - 1]))).all(1)
    if not inside.all():
        x, y = xy[int(np.argmin(inside))]
        raise QueryOutside(f"a query at ({x:g}, {y:g}) lies outside the frame, {width}×{height}")
    return wanted


class MaskTooSmall(InputError):
    """The mask has too few pixels for the grid; ``pixels`` there are, ``needed`` were asked."""

    def __init__(self, pixels: int, needed: int) -> None:
        super().__init__(
            "mask-too-small",
            f"the mask has {pixels} pixels, the grid needs {needed} distinct ones",
            hint="use a smaller --grid, or video in which the person is larger",
        )
        self.pixels = pixels
        self.needed = needed

    def __reduce__(self) -> tuple[object, ...]:
        return (MaskTooSmall, (self.pixels, self.needed))


def grid_in_mask(mask: Bool, grid: int) -> NDArray[np.float32]:
    """Points [grid * grid, 2] in pixels (x, y), row by row, all inside ``mask`` [H, W].

    The grid lies over the bounding box of the mask after it was eroded a little (about 2 % of
    its size; less where that would take most of it away), so that no point sits on the border.
    A grid point that misses the mask moves to the nearest mask pixel that no other point has,
    which keeps the points distinct. Raises `MaskTooSmall` where the mask has fewer pixels than
    the grid has points, ValueError for a grid below 1.
    """
    if grid < 1:
        raise ValueError(f"the grid must have at least 1 point a side, not {grid}")
    needed = grid * grid
    pixels = int(mask.sum())
    if pixels < needed:
        raise MaskTooSmall(pixels, needed)
    inner = _eroded(mask, keep=max(needed, pixels // 4))
    ys, xs = np.nonzero(inner)
    x0, y0, x1, y1 = xs.min(), ys.min(), xs.max(), ys.max()
    cell = (np.arange(grid) + 0.5) / grid
    # From the left edge of the first pixel to the right edge of the last; centres are integers.
    columns = x0 - 0.5 + cell * (x1 - x0 + 1)
    rows = y0 - 0.5 + cell * (y1 - y0 + 1)
    points = np.stack(np.meshgrid(columns, rows), -1).reshape(-1, 2)

    free = inner.copy()
    missed = []
    # Rounded as they are stored, so that none comes to lie in another pixel.
    for i, (x, y) in enumerate(points.astype(np.float32).astype(np.float64)):
        row, column = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
        if free[row, column]:
            free[row, column] = False
        else:
            missed.append(i)
    unused = free[ys, xs]
    for i in missed:
        distance = (xs - points[i, 0]) ** 2 + (ys - points[i, 1]) ** 2
        distance[~unused] = np.inf
        nearest = int(np.argmin(distance))
        unused[nearest] = False
        points[i] = xs[nearest], ys[nearest]
    # The pixels at the picture's edge reach half a pixel beyond it; a point does not.
    height, width = mask.shape
    return points.clip(0, [width - 1, height - 1]).astype(np.float32)


def _eroded(mask: Bool, keep: int) -> Bool:
    """``mask`` without its border, as wide as leaves at least ``keep`` pixels."""
    import cv2

    # The image's edge is a border too: beyond it a point has no surroundings to be tracked by.
    padded = np.pad(mask, 1).astype(np.uint8)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    margin = max(1.0, 0.02 * float(np.sqrt(mask.sum())))
    while margin >= 1.0:
        inner = depth > margin
        if inner.sum() >= keep:
            return inner
        margin /= 2
    return mask


def _lucas_kanade(model: str, work: Workload) -> PointTracker:
    from motionkit.backends.lucas_kanade import LucasKanade

    if model:
        raise UsageError(
            f"the tracker 'lucas-kanade' takes no model, but was given '{model}'",
            hint="write --backend lucas-kanade",
        )
    return LucasKanade()


def _cotracker(model: str, work: Workload) -> PointTracker:
    from motionkit.backends.cotracker import open_cotracker

    return open_cotracker(model, work)


#: Name → what makes the tracker from the text after the colon and what it is opened for.
TRACKERS: dict[str, Callable[[str, Workload], PointTracker]] = {
    "cotracker3": _cotracker,
    "lucas-kanade": _lucas_kanade,
}


def open_tracker(spec: str, work: Workload | None = None) -> PointTracker:
    """The tracker named by ``spec``, 'name' or 'name:model'. Loads nothing. Raises `UsageError`
    for others."""
    name, _, model = spec.partition(":")
    if name in TRACKERS:
        return TRACKERS[name](model, work or Workload())
    hint = f"use one of: {', '.join(sorted(TRACKERS))}"
    raise UsageError(f"there is no point tracker '{spec}'", hint=hint)
