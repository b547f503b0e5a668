"""Who is who where every frame was looked at by itself: crossings, occlusions, passers-by."""

import itertools
from typing import Any

import numpy as np
import pytest

from motionkit.backends.people import People
from motionkit.stages._linking import link_apart
from motionkit.stages._tracklets import Tracklet, by_height, one_a_frame
from tests.stages.shots import figure

FPS = 10


def body(x: float, height: float = 200, y: float = 300, *, seed: int = 0) -> tuple[Any, Any]:
    """Box [5] and keypoints [17, 3] of somebody who stands on a floor, with the noise of a
    detector."""
    rng = np.random.default_rng(seed)
    keypoints = figure(x, y - height / 2, height)
    keypoints[:, :2] += rng.normal(0, 0.01 * height, (17, 2))
    box = np.array([x - 0.2 * height, y - height, x + 0.2 * height, y, 0.9])
    box[:4] += rng.normal(0, 0.015 * height, 4)
    return box.astype(np.float32), keypoints.astype(np.float32)


def frames_of(*ways: list[tuple[Any, Any] | None]) -> tuple[list[People], list[list[int]]]:
    """Frames with the people of every way who are seen there, shuffled; and who is where."""
    rng = np.random.default_rng(7)
    frames, names = [], []
    for each in zip(*ways, strict=True):
        here = [(name, one) for name, one in enumerate(each) if one is not None]
        here = [here[i] for i in rng.permutation(len(here))]
        names.append([name for name, _ in here])
        if here:
            boxes, points = zip(*(one for _, one in here), strict=True)
            frames.append(People(np.stack(boxes), np.stack(points)))
        else:
            frames.append(People.nobody())
    return frames, names


def named(tracklets: list[Tracklet], names: list[list[int]]) -> list[list[int]]:
    """The people in each tracklet, one entry a stretch."""
    return [
        [
            name
            for name, _ in itertools.groupby(
                names[f][p] for f, p in zip(t.frames, t.places, strict=True)
            )
        ]
        for t in tracklets
    ]


def times(frames: list[People]) -> np.ndarray:
    return np.arange(len(frames)) / FPS


def test_people_apart_keep_their_names_however_they_are_listed() -> None:
    ways = [[body(x + 2 * i, seed=i * 9 + n) for i in range(40)] for n, x in enumerate((100, 400))]
    frames, names = frames_of(*ways)
    assert sorted(named(link_apart(frames, times(frames)), names)) == [[0], [1]]


@pytest.mark.parametrize("speed", [6.0, 15.0, 30.0])
@pytest.mark.parametrize("height", [200, 170])
def test_two_who_cross_keep_their_names(speed: float, height: float) -> None:
    steps = np.arange(-20, 21)
    right = [body(400 + speed * i, seed=int(i) + 50) for i in steps]
    left = [body(400 - speed * i, height, seed=int(i) + 150) for i in steps]
    frames, names = frames_of(right, left)
    assert sorted(named(link_apart(frames, times(frames)), names)) == [[0], [1]]


@pytest.mark.parametrize("hidden", [2, 5, 8])
def test_who_is_hidden_while_crossing_comes_out_on_the_other_side(hidden: int) -> None:
    steps = np.arange(-25, 26)
    front: list[Any] = [body(400 + 12 * i, seed=int(i) + 50) for i in steps]
    behind: list[Any] = [
        None if abs(i) < hidden else body(400 - 12 * i, 190, seed=int(i) + 150) for i in steps
    ]
    frames, names = frames_of(front, behind)
    assert sorted(named(link_apart(frames, times(frames)), names)) == [[0], [1]]


@pytest.mark.parametrize("hidden", [0, 3, 6])
def test_somebody_larger_who_walks_past_in_front_does_not_become_the_target(hidden: int) -> None:
    steps = np.arange(60)
    target: list[Any] = [
        None if abs(i - 30) <= hidden else body(400 + 20 * np.sin(i / 5), seed=int(i))
        for i in steps
    ]
    passer = [
        body(400 + 60 * (i - 30), 380, 420, seed=int(i) + 100) if 23 <= i <= 37 else None
        for i in steps
    ]
    frames, names = frames_of(target, passer)
    tracklets = link_apart(frames, times(frames))
    assert sorted(named(tracklets, names)) == [[0], [1]]
    chosen = one_a_frame(len(frames), by_height(frames, tracklets))
    for (person, place), here in zip(chosen, names, strict=True):
        if 0 in here:  # the target stays the person 0, before, during and after
            assert (person, here[place]) == (0, 0)


def test_a_gap_of_one_second_is_bridged_and_three_seconds_are_not() -> None:
    for gone, people in ((10, 1), (30, 2)):
        way = [body(200, seed=i) if not 10 <= i < 10 + gone else None for i in range(50)]
        frames, _ = frames_of(way)
        assert len(link_apart(frames, times(frames))) == people


def test_who_comes_back_as_somebody_else_is_somebody_else() -> None:
    one = [body(200, 200, seed=i) if i < 10 else None for i in range(30)]
    child = [body(205, 90, seed=i) if i > 14 else None for i in range(30)]
    frames, names = frames_of(one, child)
    assert sorted(named(link_apart(frames, times(frames)), names)) == [[0], [1]]


def test_a_person_seen_twice_counts_once() -> None:
    way = [body(200, seed=i) for i in range(20)]
    frames, _ = frames_of(way, [(b * [1, 1, 1, 0.9, 0.5], k) for b, k in way])
    (tracklet,) = link_apart(frames, times(frames))
    scores = [frames[f].boxes[p, 4] for f, p in zip(tracklet.frames, tracklet.places, strict=True)]
    assert min(scores) > 0.8


def test_every_detection_is_in_one_tracklet_at_most_and_times_rise() -> None:
    rng = np.random.default_rng(3)
    frames = []
    for i in range(60):
        many = [
            body(*rng.uniform([0, 60], [800, 250]), seed=i * 9 + n) for n in range(rng.poisson(3))
        ]
        frames.append(
            People(np.stack([b for b, _ in many]), np.stack([k for _, k in many]))
            if many
            else People.nobody()
        )
    tracklets = link_apart(frames, times(frames))
    pairs = [pair for t in tracklets for pair in zip(t.frames, t.places, strict=True)]
    assert len(pairs) == len(set(pairs)) > 100
    assert all(a < b for t in tracklets for a, b in itertools.pairwise(t.frames))
    again = link_apart(frames, times(frames))
    assert [(t.frames, t.places) for t in again] == [(t.frames, t.places) for t in tracklets]


def test_nobody_at_all() -> None:
    assert link_apart([People.nobody()] * 5, np.arange(5) / FPS) == []
    assert link_apart([], np.zeros(0)) == []
