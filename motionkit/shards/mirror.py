"""The sample of the mirrored video: points, tracks and masks. Words: `motionkit.mirror`.

The pixel in column x comes to stand in column W - 1 - x, for keypoints
(`motionkit.keypoints.mirror_m2d`), tracks and masks alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionkit.rle import pack_runs, read_runs


def mirror_points(points: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Points [..., 2] in pixels of a picture ``width`` wide, mirrored; the order stays."""
    out = points.copy()
    out[..., 0] = width - 1 - points[..., 0]
    return out


def mirror_rle(counts: str, height: int, width: int) -> str:
    """COCO compressed run lengths of the mirrored mask. ValueError where they do not fill it.

    The runs go down the columns, so the columns change places and keep their insides: runs are
    cut at column borders, their columns reversed, and what touches joined. No mask is painted.
    """
    runs, _, _ = read_runs({"size": [height, width], "counts": counts})
    ends = np.cumsum(runs)
    start, end = (ends - runs)[1::2], ends[1::2]
    start, end = start[end > start], end[end > start]
    if not len(start):
        return pack_runs(np.array([height * width]))
    first = start // height
    pieces = (end - 1) // height - first + 1  # columns that each run touches
    nth = np.arange(int(pieces.sum())) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    column = np.repeat(first, pieces) + nth
    top = np.maximum(np.repeat(start, pieces), column * height) - column * height
    bottom = np.minimum(np.repeat(end, pieces), (column + 1) * height) - column * height
    begin = (width - 1 - column) * height + top
    order = np.argsort(begin, kind="stable")
    begin, stop = begin[order], (begin + bottom - top)[order]
    apart = np.append(True, begin[1:] > stop[:-1])
    edges = np.stack([begin[apart], stop[np.append(apart[1:], True)]], 1).ravel()
    bounds = np.concatenate([[0], edges, [height * width]])
    mirrored = np.diff(bounds)
    return pack_runs(mirrored if mirrored[-1] else mirrored[:-1])
