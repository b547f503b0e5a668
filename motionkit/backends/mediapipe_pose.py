"""Embedded poses, both passes, on mediapipe's two models (`mediapipe_graphs`).

Nothing is smoothed over time and no state is left after ``reset``: the same frames give the
same bytes. Both passes measure the person they were set on: mediapipe's own `Pose` would take
whoever its detector likes best.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionkit.backends.mediapipe_graphs import (
    Graphs,
    Measured,
    Square,
    package_folder,
    weights_identity,
)
from motionkit.backends.people import People


@dataclasses.dataclass
class MediapipeDetector:
    """First pass (`people.PersonDetector`): follows the largest people, and looks for others.

    A person is followed from frame to frame by the landmark model alone. The detector looks again
    every ``look_every_s`` of presentation time, and on every frame while nobody is followed;
    where the whole picture shows it nobody it takes a second look at square tiles, in which a
    person of a third of the picture's height is large enough to be seen.

    A person's score is the best that the detector gave so far. The detector likes real people
    at 0.85 and more in most of their frames, and hands, cats and cups below: the landmark
    model, once set on such a thing, goes on seeing somebody there.
    """

    look_every_s: float = 0.5
    people_max: int = 2  # followed at a time; the rest of a crowd is smaller anyway
    size_min: float = 0.6  # people smaller than this share of the largest are not followed

    def __post_init__(self) -> None:
        self._graphs: Graphs | None = None
        self.reset()

    def check(self) -> None:
        """MissingExtraError where mediapipe is not installed; imports nothing."""
        package_folder()

    def identity(self) -> dict[str, Any]:
        """Backend, package version, weights and settings."""
        return {**weights_identity(), "detector": dataclasses.asdict(self)}

    def setup(self) -> None:
        """Load both models (about a second)."""
        self._graphs = Graphs()

    def reset(self) -> None:
        """Forget everybody."""
        self._followed: list[Square] = []
        self._looked_s = -math.inf
        self._tiled_s = -math.inf

    def detect(self, frames: NDArray[np.uint8], times_s: NDArray[np.float64]) -> list[People]:
        """See `people.PersonDetector`."""
        return [self._frame(f, float(t)) for f, t in zip(frames, times_s, strict=True)]

    def _frame(self, frame: NDArray[np.uint8], time_s: float) -> People:
        graphs = _loaded(self._graphs)
        frame = np.ascontiguousarray(frame)
        found = self._measure(frame, self._followed, [])
        if not found or time_s - self._looked_s >= self.look_every_s:
            self._looked_s = time_s
            squares = graphs.squares(frame)
            if not squares and not found and time_s - self._tiled_s >= self.look_every_s:
                self._tiled_s = time_s
                squares = _tile_squares(graphs, frame)
            found = self._measure(frame, squares, found)
        found.sort(key=lambda m: -_area(m.box))
        self._followed = [m.square for m in found]
        if not found:
            return People.nobody()
        boxes = [np.append(m.box, m.square.score).astype(np.float32) for m in found]
        return People(np.stack(boxes), np.stack([m.keypoints for m in found]))

    def _measure(
        self, frame: NDArray[np.uint8], squares: list[Square], known: list[Measured]
    ) -> list[Measured]:
        """``known`` people, and those of ``squares`` that are not among them."""
        found = list(known)
        largest = max([s.side for s in squares] + [m.square.side for m in known], default=0.0)
        for square in sorted(squares, key=lambda s: -s.side):
            same = [i for i, m in enumerate(found) if _same_place(square, m.square)]
            measured = None
            if not same:
                if len(found) >= self.people_max or square.side < self.size_min * largest:
                    continue
                measured = _loaded(self._graphs).measure(frame, square)
                if measured is None:
                    continue
                same = [i for i, m in enumerate(found) if _same_person(measured, m)]
            for i in same:
                found[i] = _confirmed(found[i], square.score)
            if measured and not same:
                found.append(measured)
        return found


@dataclasses.dataclass
class MediapipePose:
    """Second pass (`people.PoseEstimator`): the one person who is in the box.

    The first look is into the square round the box, and once more into the square that this look
    names (turned with the body); then the person is followed as long as the measured box overlaps
    the wanted one. A result elsewhere is looked for again from the box, and failing that refused.
    """

    overlap_min: float = 0.3  # intersection over union of the wanted and the measured box

    def __post_init__(self) -> None:
        self._graphs: Graphs | None = None
        self.reset()

    def check(self) -> None:
        """MissingExtraError where mediapipe is not installed; imports nothing."""
        package_folder()

    def identity(self) -> dict[str, Any]:
        """Backend, package version, weights and settings."""
        return {**weights_identity(), "pose": dataclasses.asdict(self)}

    def setup(self) -> None:
        """Load both models (about a second)."""
        self._graphs = Graphs()

    def reset(self) -> None:
        """Forget the person."""
        self._followed: Square | None = None

    def estimate(
        self, frames: NDArray[np.uint8], boxes: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """See `people.PoseEstimator`."""
        out = np.zeros((len(frames), 17, 3), np.float32)
        for i, (frame, box) in enumerate(zip(frames, boxes, strict=True)):
            measured = None
            if box[2] > box[0] and box[3] > box[1]:
                measured = self._frame(np.ascontiguousarray(frame), box)
            self._followed = measured.square if measured else None
            if measured:
                out[i] = measured.keypoints
        return out

    def _frame(self, frame: NDArray[np.uint8], box: NDArray[np.floating]) -> Measured | None:
        graphs = _loaded(self._graphs)
        if self._followed is not None:
            measured = graphs.measure(frame, self._followed)
            if measured and overlap(measured.box, box) >= self.overlap_min:
                return measured
        first = graphs.measure(frame, Square.round_box(box))
        if first is None or overlap(first.box, box) < self.overlap_min:
            return None
        second = graphs.measure(frame, first.square)
        if second and overlap(second.box, box) >= self.overlap_min:
            return second
        return first


def overlap(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Intersection over union of two boxes (x0, y0, x1, y1 …); 0 where either has no area."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    inner = width * height
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return float(inner / (areas - inner))


def _tile_squares(graphs: Graphs, frame: NDArray[np.uint8]) -> list[Square]:
    """Bodies in square tiles along the longer side (at most 3), in pixels of the whole frame.

    The detector shrinks the longer side to 224 pixels; a tile as wide as the shorter side shows
    people larger by the ratio of the two.
    """
    height, width = frame.shape[:2]
    short, long = min(height, width), max(height, width)
    tiles = min(3, math.ceil(long / short * 1.1))
    if tiles < 2:
        return []
    out = []
    for start in np.linspace(0, long - short, tiles).round().astype(int):
        x, y = (start, 0) if width > height else (0, start)
        tile = np.ascontiguousarray(frame[y : y + short, x : x + short])
        out += [
            dataclasses.replace(s, cx=s.cx + float(x), cy=s.cy + float(y))
            for s in graphs.squares(tile)
        ]
    return out


def _area(box: NDArray[np.floating]) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _confirmed(person: Measured, score: float) -> Measured:
    best = max(person.square.score, score)
    return dataclasses.replace(person, square=dataclasses.replace(person.square, score=best))


def _same_place(a: Square, b: Square) -> bool:
    """So near and alike that the landmark model would measure the same person in both."""
    apart = math.hypot(a.cx - b.cx, a.cy - b.cy)
    larger = max(a.side, b.side)
    return apart < 0.1 * larger and min(a.side, b.side) > 0.6 * larger


def _same_person(a: Measured, b: Measured) -> bool:
    """Their keypoints lie, on average, within a tenth of the larger body."""
    apart = np.linalg.norm(a.keypoints[:, :2] - b.keypoints[:, :2], axis=1).mean()
    size = max(float((m.box[2:] - m.box[:2]).max()) for m in (a, b))
    return bool(apart < 0.1 * size)


def _loaded(graphs: Graphs | None) -> Graphs:
    assert graphs is not None, "setup() comes first"
    return graphs
