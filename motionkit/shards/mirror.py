"""The sample of the mirrored video: points, tracks and masks. Words: `motionkit.mirror`.

The pixel in column x comes to stand in column W - 1 - x, for keypoints
(`motionkit.keypoints.mirror_m2d`), tracks and masks alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


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
    runs = rle_runs(counts)
    ends = np.cumsum(runs)
    if (runs < 0).any() or (int(ends[-1]) if len(ends) else 0) != height * width:
        raise ValueError(f"runs of {int(runs.sum())} pixels for a mask of {height * width}")
    start, end = (ends - runs)[1::2], ends[1::2]
    start, end = start[end > start], end[end > start]
    if not len(start):
        return rle_text(np.array([height * width]))
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
    return rle_text(mirrored if mirrored[-1] else mirrored[:-1])


def rle_runs(counts: str) -> IntArray:
    """Run lengths from COCO's text, the first outside the object.

    5 bits a character, low bits first, bit 5 for "more", the highest bit the sign; from the
    fourth number on, each is a difference to the one two before.
    """
    runs: list[int] = []
    value = shift = 0
    for code in counts.encode("ascii"):
        bits = code - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            if bits & 0x10:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return np.array(runs, np.int64)


def rle_text(runs: Sequence[int] | IntArray) -> str:
    """COCO's text of run lengths; the inverse of `rle_runs`."""
    found = [int(run) for run in runs]
    text = bytearray()
    for i, run in enumerate(found):
        value = run - found[i - 2] if i > 2 else run
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != (-1 if bits & 0x10 else 0)
            text.append(48 + (bits | 0x20 if more else bits))
    return text.decode("ascii")
