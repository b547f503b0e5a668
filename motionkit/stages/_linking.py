"""Who is who over a shot, where the detector looked at every frame by itself.

Two steps, each the best assignment of all together and not the nearest first. Detections of
neighbouring frames become tracklets: what counts is how far a person's box and keypoints are from
where their own way so far leads, so that two who cross keep their names. Then tracklets are joined
over gaps of up to `GAP_MAX_S`: who goes behind somebody comes out on the other side.

Nothing is learnt and nothing looks at clothes: two people of one size who stop behind each other
and part again may change names. All distances are in body sizes (the longer side of the box).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from motionkit.backends.people import People
from motionkit.stages._tracklets import Tracklet

Floats = NDArray[np.float64]

#: Raised when the same detections give other tracklets; part of what made a row.
LINKING: Final = 1
#: A person not seen for longer is somebody new.
GAP_MAX_S: Final = 2.0
#: Two detections of neighbouring frames further apart are two people.
STEP_MAX: Final = 0.5
#: The same over a gap: this much, and so much more for each second.
JOIN_MAX: Final = 0.4
JOIN_MAX_PER_S: Final = 0.4
#: A person's way is followed by the speed of this long before.
_SPEED_S: Final = 0.5
#: Keypoints below this confidence have no say.
_CONFIDENT: Final = 0.3
#: Detections whose keypoints are nearer to each other, on average, are one person seen twice.
_DOUBLE: Final = 0.1
#: What a doubling of the height counts, in sizes; and staying where one was, changing one's speed
#: by a size a second and being away for a second, over a gap.
_GROWTH: Final = 0.5
_STAYED: Final = 0.3
_TURNED: Final = 0.1
_AWAY: Final = 0.1


@dataclasses.dataclass(frozen=True)
class _Seen:
    """All D detections: ``frame``, ``place`` [D], ``time_s`` [D], ``centre`` [D, 2], ``height``,
    ``size`` [D] in pixels, ``keypoints`` [D, 17, 3]."""

    frame: NDArray[np.int64]
    place: NDArray[np.int64]
    time_s: Floats
    centre: Floats
    height: Floats
    size: Floats
    keypoints: Floats


def link_apart(people: Sequence[People], times_s: NDArray[np.floating]) -> list[Tracklet]:
    """Tracklets of everybody, in order of their first frame; a detection is in one at most (a
    person whom the detector saw twice in a frame counts once). The same input gives the same."""
    seen = _all_seen(people, np.asarray(times_s, np.float64))
    chains = _joined(seen, _without_doubles(seen, _neighbours(seen, len(people))))
    return [Tracklet(seen.frame[c].tolist(), seen.place[c].tolist()) for c in chains]


def _all_seen(people: Sequence[People], times_s: Floats) -> _Seen:
    counts = [len(each.boxes) for each in people]
    frame = np.repeat(np.arange(len(people)), counts)
    boxes = np.concatenate([np.zeros((0, 5)), *(each.boxes for each in people)])
    points = np.concatenate([np.zeros((0, 17, 3)), *(each.keypoints for each in people)])
    sides = boxes[:, 2:4] - boxes[:, :2]
    return _Seen(
        frame=frame.astype(np.int64),
        place=np.concatenate([np.zeros(0, np.int64), *(np.arange(n) for n in counts)]),
        time_s=times_s[frame] if len(frame) else np.zeros(0),
        centre=(boxes[:, :2] + boxes[:, 2:4]) / 2,
        height=np.maximum(sides[:, 1], 1.0),
        size=np.maximum(sides.max(1, initial=0), 1.0),
        keypoints=points,
    )


def _without_doubles(seen: _Seen, chains: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """The chains that are not, in most of their frames, a longer one seen again. Looked at over
    the whole shot: who crosses somebody is as near for a moment."""
    order = sorted(range(len(chains)), key=lambda c: (-len(chains[c]), chains[c][0]))
    holder = np.full(len(seen.frame), -1)  # detection → chain, of those that stay
    starts = np.searchsorted(seen.frame, np.arange(seen.frame.max(initial=-1) + 2))
    for number in order:
        doubled = []
        for detection in chains[number].tolist():
            frame = seen.frame[detection]
            others = np.arange(starts[frame], starts[frame + 1])
            others = others[holder[others] >= 0]
            size = np.maximum(seen.size[others], seen.size[detection])
            away = np.abs(seen.centre[others] - seen.centre[detection]).max(1)
            others, size = others[away < size], size[away < size]
            if not len(others):
                doubled.append(False)
                continue
            points = seen.keypoints
            apart = _points_apart(points[others], points[[detection]], np.zeros(2))[:, 0]
            doubled.append(bool((apart < _DOUBLE * size).any()))  # nan: too few points to tell
        if np.mean(doubled) <= 0.5:
            holder[chains[number]] = number
    return [chain for number, chain in enumerate(chains) if holder[chain[0]] == number]


def _neighbours(seen: _Seen, frames: int) -> list[NDArray[np.int64]]:
    """Chains of detections, frame by frame without a gap."""
    starts = np.searchsorted(seen.frame, np.arange(frames + 1))
    chains: list[list[int]] = []
    live: list[int] = []
    for frame in range(frames):
        here = np.arange(starts[frame], starts[frame + 1])
        now: dict[int, int] = {}  # detection → chain
        if len(live) and len(here):
            last = np.array([chains[c][-1] for c in live])
            dt = seen.time_s[here[0]] - seen.time_s[last[0]]
            way = np.stack([_speed(seen, chains[c], ends=True) for c in live]) * dt
            for a, b in _assigned(_step(seen, last, here, way), STEP_MAX):
                chains[live[a]].append(int(here[b]))
                now[int(here[b])] = live[a]
        for detection in here.tolist():
            if detection not in now:
                chains.append([detection])
                now[detection] = len(chains) - 1
        live = sorted(now.values())
    return [np.array(chain, np.int64) for chain in chains]


def _step(seen: _Seen, last: NDArray, here: NDArray, way: Floats) -> Floats:
    """How unlike [A, B] detections ``last`` [A], moved by ``way`` [A, 2], are ``here`` [B]."""
    size = np.maximum(seen.size[last][:, None], seen.size[here])
    boxes = np.linalg.norm((seen.centre[last] + way)[:, None] - seen.centre[here], axis=2)
    points = _points_apart(seen.keypoints[last], seen.keypoints[here], way[:, None, None])
    apart = np.where(np.isnan(points), boxes, (boxes + points) / 2)
    return apart / size + _GROWTH * np.abs(_growth(seen, last, here))


def _growth(seen: _Seen, a: NDArray, b: NDArray) -> Floats:
    return np.log2(seen.height[a])[:, None] - np.log2(seen.height[b])


def _points_apart(a: Floats, b: Floats, way: Floats) -> Floats:
    """Mean distance [A, B] in pixels of the keypoints confident in both ``a`` [A, 17, 3], moved by
    ``way``, and ``b`` [B, 17, 3]; nan where there are fewer than four."""
    both = (a[:, None, :, 2] > _CONFIDENT) & (b[None, :, :, 2] > _CONFIDENT)
    apart = np.linalg.norm(a[:, None, :, :2] + way - b[None, :, :, :2], axis=3)
    count = both.sum(2)
    mean = np.where(both, apart, 0).sum(2) / np.maximum(count, 1)
    return np.where(count >= 4, mean, np.nan)


def _speed(seen: _Seen, chain: Sequence[int] | NDArray[np.int64], *, ends: bool) -> Floats:
    """Speed [2] of a chain in pixels per second, over the last or the first `_SPEED_S` of it: a
    straight line through the middles of the boxes; 0 for a single frame."""
    window = max(int(np.ceil(_SPEED_S * 240)), 2)
    few = np.asarray(chain[-window:] if ends else chain[:window])
    times = seen.time_s[few]
    near = np.abs(times - (times[-1] if ends else times[0])) <= _SPEED_S + 1e-9
    few, times = few[near], times[near]
    if len(few) < 2 or times[-1] <= times[0]:
        return np.zeros(2)
    from_mean = times - times.mean()
    return from_mean @ seen.centre[few] / (from_mean @ from_mean)


def _joined(seen: _Seen, chains: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Chains joined over gaps, each end to at most one beginning."""
    if len(chains) < 2:
        return chains
    first = np.array([chain[0] for chain in chains])
    last = np.array([chain[-1] for chain in chains])
    leave = np.stack([_speed(seen, chain, ends=True) for chain in chains])
    enter = np.stack([_speed(seen, chain, ends=False) for chain in chains])
    order = np.argsort(seen.time_s[first], kind="stable")
    begins = seen.time_s[first][order]
    ends: list[NDArray[np.int64]] = []
    goes_on: list[NDArray[np.int64]] = []
    costs: list[Floats] = []
    for a in range(len(chains)):
        t = seen.time_s[last[a]]
        after, until = np.searchsorted(begins, [t, t + GAP_MAX_S + 1e-9], side="right")
        near = order[after:until]
        if len(near):
            gap = seen.time_s[first[near]] - t
            cost = _over_gap(seen, last[a], first[near], leave[a], enter[near], gap)
            cost = cost - (JOIN_MAX + JOIN_MAX_PER_S * gap)
            good = cost < 0
            ends.append(np.full(int(good.sum()), a))
            goes_on.append(near[good])
            costs.append(cost[good])
    follower = _followers(len(chains), ends, goes_on, costs)
    return _in_a_row(chains, follower)


def _over_gap(
    seen: _Seen, last: np.int64, first: NDArray[np.int64], leave: Floats, enter: Floats, gap: Floats
) -> Floats:
    """How unlikely [B] it is that who was ``last`` seen is who is seen ``first`` [B] after a gap:
    they met halfway at their speeds, or stayed where they were."""
    size = np.maximum(seen.size[last], seen.size[first])
    way = (leave + enter) * gap[:, None] / 2
    moved = np.linalg.norm(seen.centre[last] + way - seen.centre[first], axis=1) / size
    stayed = np.linalg.norm(seen.centre[last] - seen.centre[first], axis=1) / size + _STAYED
    turned = np.linalg.norm(leave - enter, axis=1) / size
    growth = np.abs(np.log2(seen.height[last] / seen.height[first]))
    return np.minimum(moved, stayed) + _GROWTH * growth + _TURNED * turned + _AWAY * gap


def _followers(
    count: int,
    ends: list[NDArray[np.int64]],
    goes_on: list[NDArray[np.int64]],
    costs: list[Floats],
) -> dict[int, int]:
    """Chain → the chain that goes on with it: the pairs of lowest cost (negative) in all. Groups
    that have nothing to do with each other are solved one by one."""
    if not ends or not sum(len(part) for part in ends):
        return {}
    a, b, cost = np.concatenate(ends), np.concatenate(goes_on), np.concatenate(costs)
    graph = coo_array((np.ones(len(a)), (a, b + count)), shape=(2 * count, 2 * count))
    _, group = connected_components(graph, directed=False)
    out: dict[int, int] = {}
    for one in np.unique(group[a]).tolist():
        mine = group[a] == one
        rows, row = np.unique(a[mine], return_inverse=True)
        columns, column = np.unique(b[mine], return_inverse=True)
        matrix = np.zeros((len(rows), len(columns)))
        matrix[row, column] = cost[mine]
        for i, j in _assigned(matrix, 0.0):
            out[int(rows[i])] = int(columns[j])
    return out


def _in_a_row(chains: list[NDArray[np.int64]], follower: dict[int, int]) -> list[NDArray[np.int64]]:
    followed = set(follower.values())
    out = []
    for number in range(len(chains)):
        if number in followed:
            continue
        row, at = [chains[number]], number
        while at in follower:
            at = follower[at]
            row.append(chains[at])
        out.append(np.concatenate(row))
    return out


def _assigned(cost: Floats, limit: float) -> list[tuple[int, int]]:
    """Pairs (row, column) below ``limit``, no row and no column twice, that lie below it by the
    most in all: a pair is not taken at the price of two better ones."""
    gain = np.minimum(cost - limit, 0.0)
    rows, columns = linear_sum_assignment(gain)
    good = gain[rows, columns] < 0
    return list(zip(rows[good].tolist(), columns[good].tolist(), strict=True))
