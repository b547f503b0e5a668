"""Bodies as the grid of points that a trajectory model reads.

A model knows G×G points laid row by row over an object; a skeleton has 25 or 18 joints. So points
are added on the bones (or the joints nearest to others left out), and all are put into rows from
the top, each from left to right, by where they stand when most of the body is seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motionkit.evaluation.skeletons import Body


def as_grid(body: Body, bones: Sequence[tuple[int, int]], grid: int) -> Body:
    """The body as ``grid`` · ``grid`` points [T, G², 2]; visible where all they rest on is."""
    wanted = grid * grid
    at = int(body.visible.sum(1).argmax())
    pose = body.points[at].astype(np.float64)
    joints = pose.shape[0]
    if joints >= wanted:
        chosen = _spread(pose, wanted)
        points, visible = body.points[:, chosen], body.visible[:, chosen]
    else:
        ends, shares = _on_bones(pose, bones, wanted - joints)
        a, b = ends[:, 0], ends[:, 1]
        between = body.points[:, a] * (1 - shares[:, None]) + body.points[:, b] * shares[:, None]
        points = np.concatenate([body.points, between], 1)
        visible = np.concatenate([body.visible, body.visible[:, a] & body.visible[:, b]], 1)
    order = _row_order(points[at].astype(np.float64), grid)
    return Body(points[:, order].astype(np.float32), visible[:, order])


def _on_bones(
    pose: NDArray[np.float64], bones: Sequence[tuple[int, int]], count: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """``count`` places on bones: the two ends [count, 2], and the share [count] on the way.

    One after another, each cuts the bone whose pieces are the longest.
    """
    pairs = np.array(bones, np.intp)
    length = np.linalg.norm(pose[pairs[:, 0]] - pose[pairs[:, 1]], axis=1)
    pieces = np.ones(len(pairs), int)
    for _ in range(count):
        pieces[np.argmax(length / pieces - 1e-9 * pieces)] += 1
    ends, shares = [], []
    for bone, number in enumerate(pieces):
        for cut in range(1, number):
            ends.append(pairs[bone])
            shares.append(cut / number)
    return np.array(ends, np.intp).reshape(-1, 2), np.array(shares, np.float32)


def _spread(pose: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """``count`` joints far from each other: the topmost, then always the farthest from those."""
    chosen = [int(pose[:, 1].argmin())]
    nearest = np.full(len(pose), np.inf)
    while len(chosen) < count:
        nearest = np.minimum(nearest, np.linalg.norm(pose - pose[chosen[-1]], axis=1))
        nearest[chosen] = -1
        chosen.append(int(nearest.argmax()))
    return np.sort(np.array(chosen, np.intp))


def _row_order(pose: NDArray[np.float64], grid: int) -> NDArray[np.intp]:
    """Row by row from the top, each from the left."""
    down = np.argsort(pose[:, 1], kind="stable")
    rows = [row[np.argsort(pose[row, 0], kind="stable")] for row in np.split(down, grid)]
    return np.concatenate(rows)
