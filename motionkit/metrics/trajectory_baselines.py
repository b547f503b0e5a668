"""What a model of trajectories must beat: answers that need no model. numpy alone.

Each gives trajectories [M, T, N, 2] from the first frames [M, N, 2] of the items asked for, out
of training trajectories [K, T, N, 2] with their ``visible`` [K, T, N]. Motions are carried over
as displacements from the first frame, so that every answer starts on the given grid.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionkit.metrics.retrieval import cosine_scores

Float = NDArray[np.floating]
Bool = NDArray[np.bool_]


def displacements(points: Float) -> Float:
    """[..., T, N, 2] from each point's first place."""
    points = np.asarray(points, np.float64)
    made: Float = points - points[..., :1, :, :]
    return made


def static(first: Float, frames: int) -> Float:
    """Nothing moves."""
    first = np.asarray(first, np.float64)
    return np.repeat(first[:, None], frames, axis=1)


def mean_motion(first: Float, train: Float, visible: Bool) -> Float:
    """Every item moves as the training set does on average: frame by frame and point by point,
    over what was seen; where a point was seen in no item, it stays where it was before."""
    moves = displacements(train)
    seen = np.asarray(visible, bool)[..., None]
    count = seen.sum(0)
    mean = np.where(seen, moves, 0.0).sum(0) / np.maximum(count, 1)
    for t in range(1, len(mean)):
        mean[t] = np.where(count[t] > 0, mean[t], mean[t - 1])
    made: Float = np.asarray(first, np.float64)[:, None] + mean[None]
    return made


def borrowed(first: Float, train: Float, chosen: NDArray[np.integer]) -> Float:
    """Item i moves as training item ``chosen[i]``."""
    made: Float = np.asarray(first, np.float64)[:, None] + displacements(train[chosen])
    return made


def random_motion(first: Float, train: Float, *, seed: int = 0) -> Float:
    """Every item moves as a training item drawn at random."""
    chosen = np.random.default_rng(seed).integers(len(train), size=len(first))
    return borrowed(first, train, chosen)


def nearest_text(
    asked: Float, train_texts: Float, item_of: NDArray[np.integer]
) -> NDArray[np.intp]:
    """For texts' features [M, D] the training item whose text is nearest: ``item_of`` [R] names
    the item of each training text [R, D]. The first of several as near."""
    chosen: NDArray[np.intp] = np.asarray(item_of)[cosine_scores(asked, train_texts).argmax(1)]
    return chosen
