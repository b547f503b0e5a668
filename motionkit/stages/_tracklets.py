"""One person's way through a shot: detections linked over time, and the person to keep."""

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


def largest(
    people: Sequence[People], tracklets: Sequence[Tracklet], score_min: float
) -> list[tuple[int, int]]:
    """For each frame (person, place), or (-1, -1) where nobody: one person a frame.

    A tracklet whose best score stays below ``score_min`` is nobody. The tracklet with the
    largest box height summed over its frames takes its frames, the next takes what is left, and
    so on: the largest person of a frame, without jumping between two who are alike. Height and
    not area: an arm held out makes nobody the larger person, and the one who is there all the
    time wins over one of the same size who comes later.
    """
    chosen = [(-1, -1)] * len(people)
    ranked = []
    for tracklet in tracklets:
        boxes = np.stack(
            [people[f].boxes[p] for f, p in zip(tracklet.frames, tracklet.places, strict=True)]
        )
        if boxes[:, 4].max() >= score_min:
            height = (boxes[:, 3] - boxes[:, 1]).sum()
            ranked.append((-float(height), tracklet))
    person = 0
    for _, tracklet in sorted(ranked, key=lambda pair: (pair[0], pair[1].frames[0])):
        free = [
            (frame, place)
            for frame, place in zip(tracklet.frames, tracklet.places, strict=True)
            if chosen[frame] == (-1, -1)
        ]
        for frame, place in free:
            chosen[frame] = (person, place)
        person += bool(free)
    return chosen


def _step(a: People, place_a: int, b: People, place_b: int) -> float:
    """Mean distance of the keypoints, in sizes of the larger box."""
    apart = np.linalg.norm(a.keypoints[place_a, :, :2] - b.keypoints[place_b, :, :2], axis=1)
    size = max(float((box[2:4] - box[:2]).max()) for box in (a.boxes[place_a], b.boxes[place_b]))
    return float(apart.mean()) / max(size, 1e-6)
