"""One person's way through a shot: detections linked over time, and the person to keep.

`link` is for a detector that follows people itself; `_linking` for one that looks at every frame
anew.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motionkit.backends.people import People

#: A person who was not seen for longer is somebody new.
GAP_MAX_S = 0.5
#: A person's keypoints move by less than this many box sizes between measured frames.
STEP_MAX = 0.5


@dataclasses.dataclass
class Tracklet:
    """One person: the measured frames and, in each, the place among that frame's people."""

    frames: list[int]
    places: list[int]


def link(people: Sequence[People], times_s: NDArray[np.float64]) -> list[Tracklet]:
    """Everybody's tracklets; each detection is in exactly one.

    Nearest first: a detection goes on with the tracklet whose last keypoints are nearest, if
    these are less than `STEP_MAX` box sizes away and at most `GAP_MAX_S` old (a tracklet seen in
    the frame before may take the step whatever the measured rate).
    """
    tracklets: list[Tracklet] = []
    for frame, here in enumerate(people):
        pairs = []
        for index, tracklet in enumerate(tracklets):
            last = tracklet.frames[-1]
            if last != frame - 1 and times_s[frame] - times_s[last] > GAP_MAX_S:
                continue
            for place in range(len(here.boxes)):
                step = _step(people[last], tracklet.places[-1], here, place)
                if step < STEP_MAX:
                    pairs.append((step, index, place))
        taken_tracklets: set[int] = set()
        taken_places: set[int] = set()
        for _, index, place in sorted(pairs):
            if index in taken_tracklets or place in taken_places:
                continue
            taken_tracklets.add(index)
            taken_places.add(place)
            tracklets[index].frames.append(frame)
            tracklets[index].places.append(place)
        for place in range(len(here.boxes)):
            if place not in taken_places:
                tracklets.append(Tracklet([frame], [place]))
    return tracklets


def trusted(
    people: Sequence[People], tracklets: Sequence[Tracklet], score_min: float
) -> list[Tracklet]:
    """The tracklets whose best score is ``score_min`` or more; the others are nobody."""
    return [t for t in tracklets if boxes_of(people, t)[:, 4].max() >= score_min]


def by_height(people: Sequence[People], tracklets: Sequence[Tracklet]) -> list[Tracklet]:
    """Largest first: by the box height summed over a tracklet's frames.

    Height and not area: an arm held out makes nobody the larger person. Summed and not averaged:
    the one who is there all the time wins over one of the same size who comes later, and over one
    of twice the size who walks past.
    """

    def key(tracklet: Tracklet) -> tuple[float, int]:
        boxes = boxes_of(people, tracklet)
        return -float((boxes[:, 3] - boxes[:, 1]).sum()), tracklet.frames[0]

    return sorted(tracklets, key=key)


def by_middle(
    people: Sequence[People], tracklets: Sequence[Tracklet], width: float, height: float
) -> list[Tracklet]:
    """Most central first: by the sum over a tracklet's frames of how near the middle of the box is
    to that of the picture (1 there, 0 in a corner)."""
    middle = np.array([width, height]) / 2

    def key(tracklet: Tracklet) -> tuple[float, int]:
        boxes = boxes_of(people, tracklet).astype(np.float64)
        away = np.linalg.norm(((boxes[:, :2] + boxes[:, 2:4]) / 2 - middle) / middle, axis=1)
        return -float((1 - away / np.sqrt(2)).sum()), tracklet.frames[0]

    return sorted(tracklets, key=key)


def one_a_frame(frames: int, ranked: Sequence[Tracklet]) -> list[tuple[int, int]]:
    """For each of ``frames`` (person, place), or (-1, -1) where nobody: the first tracklet takes
    its frames, the next what is left, and so on; persons are numbered in this order."""
    chosen = [(-1, -1)] * frames
    person = 0
    for tracklet in ranked:
        free = [
            (frame, place)
            for frame, place in zip(tracklet.frames, tracklet.places, strict=True)
            if chosen[frame] == (-1, -1)
        ]
        for frame, place in free:
            chosen[frame] = (person, place)
        person += bool(free)
    return chosen


def boxes_of(people: Sequence[People], tracklet: Tracklet) -> NDArray[np.float32]:
    """The boxes [n, 5] of a tracklet."""
    pairs = zip(tracklet.frames, tracklet.places, strict=True)
    return np.stack([people[frame].boxes[place] for frame, place in pairs])


def _step(a: People, place_a: int, b: People, place_b: int) -> float:
    """Mean distance of the keypoints, in sizes of the larger box."""
    apart = np.linalg.norm(a.keypoints[place_a, :, :2] - b.keypoints[place_b, :, :2], axis=1)
    size = max(float((box[2:4] - box[:2]).max()) for box in (a.boxes[place_a], b.boxes[place_b]))
    return float(apart.mean()) / max(size, 1e-6)
