"""COCO run lengths: read, written and joined, without making a picture.

A mask [height, width] is cut into runs of equal pixels, column after column; the first run lies
outside the object and may be empty. COCO's text ("counts") packs them with 5 bits a character,
low bits first, bit 5 for "more follows", the last character's highest bit for the sign; from the
fourth run on, each is the difference to the run two before it.

Read here and not with pycocotools, whose compiled part raises a deprecation under numpy 2 that is
to become an error; a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Bool = NDArray[np.bool_]
Runs = NDArray[np.int64]

#: Larger sides are a damaged file or an attack: nothing is allocated for them.
MAX_SIDE: Final = 16384
#: Characters of one run: 35 bits, where 2 * MAX_SIDE**2 takes 30.
_MOST: Final = 7


def read_runs(rle: Mapping[str, Any]) -> tuple[Runs, int, int]:
    """The runs of ``{"size": [height, width], "counts": text or a list of numbers}``, and its
    height and width. ValueError, saying what is wrong, where they do not fill the mask."""
    height, width = _size(rle.get("size"))
    counts = rle.get("counts")
    if isinstance(counts, (str, bytes)):
        runs = _unpacked(counts)
    elif isinstance(counts, Sequence):
        if not all(isinstance(c, int) and abs(c) < 2**31 for c in counts):
            raise ValueError("the runs are not whole numbers")
        runs = np.array(counts, np.int64)
    else:
        raise ValueError(f"counts is {type(counts).__name__}, not text")
    if len(runs) and int(runs.min()) < 0:
        raise ValueError("a run has a negative length")
    if int(runs.sum()) != height * width:
        raise ValueError(f"runs of {int(runs.sum())} pixels for a mask of {height * width}")
    return runs, height, width


def _size(size: Any) -> tuple[int, int]:
    known = isinstance(size, Sequence) and len(size) == 2
    if not known or not all(isinstance(v, int) and 1 <= v <= MAX_SIDE for v in size):
        raise ValueError(f"size is not [height, width] from 1 to {MAX_SIDE}")
    return int(size[0]), int(size[1])


def _unpacked(text: str | bytes) -> Runs:
    try:
        data = text.encode("ascii") if isinstance(text, str) else text
    except UnicodeEncodeError as error:
        raise ValueError("counts holds characters that run lengths never have") from error
    codes = np.frombuffer(data, np.uint8).astype(np.int64) - 48
    if not len(codes):
        return np.zeros(0, np.int64)
    if int(codes.min()) < 0 or int(codes.max()) > 63:
        raise ValueError("counts holds characters that run lengths never have")
    more = codes >= 32
    if more[-1]:
        raise ValueError("counts breaks off inside a run length")
    ends = np.flatnonzero(~more)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if int(lengths.max()) > _MOST:
        raise ValueError("a run has more pixels than any mask")
    place = np.arange(len(codes)) - np.repeat(starts, lengths)
    values = np.add.reduceat((codes & 31) << (5 * place), starts)
    values -= np.where(codes[ends] & 16, np.int64(1) << (5 * lengths), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])  # the first run stands for itself
    return values


def pack_runs(runs: Runs) -> str:
    """COCO's text ("counts") of run lengths; every mask has one text only (see `joined`)."""
    values = np.asarray(runs, np.int64).copy()
    values[3:] -= np.asarray(runs, np.int64)[1:-2]
    limits = np.int64(1) << (5 * np.arange(1, _MOST + 1) - 1)  # what k characters can hold
    fits = (values[:, None] < limits) & (values[:, None] >= -limits)
    lengths = fits.argmax(1) + 1
    places = np.arange(_MOST)
    codes = (values[:, None] >> (5 * places)) & 31
    codes += np.where(places < lengths[:, None] - 1, 32, 0)
    used = places < lengths[:, None]
    return (codes[used] + 48).astype(np.uint8).tobytes().decode("ascii")


def joined(masks: Sequence[Runs], pixels: int) -> Runs:
    """Runs of the union of masks of ``pixels`` pixels each, in the shortest form: only the first
    run may be empty. Of a mask without a pixel: one run."""
    edges = [np.cumsum(runs) for runs in masks]
    begins = np.concatenate([e[:-1:2] if len(e) % 2 else e[::2] for e in edges])
    ends = np.concatenate([e[1::2] for e in edges])
    real = ends > begins
    order = np.argsort(begins[real], kind="stable")
    begins, ends = begins[real][order], ends[real][order]
    if not len(begins):
        return np.array([pixels], np.int64)
    reach = np.maximum.accumulate(ends)
    new = np.concatenate([[True], begins[1:] > reach[:-1]])  # stretches that touch are one
    last = np.concatenate([np.flatnonzero(new)[1:] - 1, [len(begins) - 1]])
    places = np.stack([begins[new], reach[last]], 1).ravel()
    runs = np.diff(places, prepend=0)
    rest = pixels - int(places[-1])
    return np.append(runs, rest) if rest else runs


def decode_rle(rle: Mapping[str, Any]) -> Bool:
    """The mask [height, width]. ValueError as `read_runs`."""
    runs, height, width = read_runs(rle)
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T


def encode_rle(mask: Bool) -> dict[str, Any]:
    """COCO's compressed run lengths of a mask [height, width], as pycocotools writes them."""
    flat = np.asarray(mask, bool).T.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    places = np.concatenate([[0], edges, [flat.size]])
    runs = np.diff(places)
    if flat.size and flat[0]:
        runs = np.concatenate([[0], runs])
    return {"size": [int(v) for v in np.shape(mask)], "counts": pack_runs(runs)}


def union_rle(rles: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The union of masks of one size, compressed; None where no pixel is inside.

    ValueError as `read_runs`, and where sizes differ or no mask is given.
    """
    read = [read_runs(rle) for rle in rles]
    sizes = {(height, width) for _, height, width in read}
    if len(sizes) != 1:
        raise ValueError("masks of different sizes" if sizes else "no mask")
    height, width = sizes.pop()
    if len(read) == 1 and isinstance(rles[0]["counts"], str):
        runs = read[0][0]
        if len(runs) > 1 and bool((runs[1:] > 0).all()):  # in the shortest form already
            return {"size": [height, width], "counts": rles[0]["counts"]}
    runs = joined([runs for runs, _, _ in read], height * width)
    if len(runs) == 1:
        return None
    return {"size": [height, width], "counts": pack_runs(runs)}
