"""Where a generated motion starts: G×G points inside a mask, a box, or as a sample has them."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motionkit.backends.tracking import MaskTooSmall, grid_in_mask
from motionkit.errors import InputError, UsageError
from motionkit.training.lang2motion_data import normalised
from motionkit.video.container import MAX_PIXELS, MAX_SIDE

Frame = NDArray[np.uint8]
#: Of a box without a picture and without a size.
DEFAULT_SIZE: Final = (640, 360)


@dataclass(frozen=True)
class StartGrid:
    """The first frame of a motion."""

    points: NDArray[np.float32]
    """[N, 2] pixels, row by row."""
    size: tuple[int, int]
    """Width and height of the picture, pixels."""
    source: str
    """What it is from, for people and the list of results: mask NAME, box …, sample ID."""
    mask: NDArray[np.bool_] | None = None
    """[H, W], where there is one."""
    fps: float | None = None
    """Of the sample it is from."""

    def normalised(self) -> NDArray[np.float32]:
        """[N, 2], −1 and 1 at the picture's edges."""
        return normalised(self.points, *self.size)

    def digest(self) -> str:
        """Names the points and the picture's size."""
        whole = hashlib.sha256(np.ascontiguousarray(self.points).tobytes())
        whole.update(repr(self.size).encode())
        return whole.hexdigest()[:16]


def grid_of_mask(mask: NDArray[np.bool_], grid: int, source: str) -> StartGrid:
    """The grid as the track stage lays it. InputError 'mask-empty' and 'mask-too-small'."""
    if not mask.any():
        raise InputError(
            "mask-empty", f"{source} has no pixel inside", hint="white is the object, black is not"
        )
    height, width = mask.shape
    try:
        points = grid_in_mask(mask, grid)
    except MaskTooSmall as small:
        raise InputError(
            small.code, f"{source}: {small.message}", hint="give a larger mask, or a box"
        ) from small
    return StartGrid(points, (width, height), source, mask)


def grid_of_box(box: tuple[int, int, int, int], size: tuple[int, int], grid: int) -> StartGrid:
    """The grid over x, y, width, height in pixels of a picture of ``size``. InputError
    'box-outside' where not all of the box is in the picture."""
    x, y, w, h = box
    width, height = size
    if w < 1 or h < 1:
        raise InputError(
            "mask-empty",
            f"the box {x},{y},{w},{h} has no pixel inside",
            hint="a box is X,Y,W,H: its width and height are above 0",
        )
    if x < 0 or y < 0 or x + w > width or y + h > height:
        raise InputError(
            "box-outside",
            f"the box {x},{y},{w},{h} is not inside the picture, {width}×{height}",
            hint="a box is X,Y,W,H in pixels; --size states the picture's",
        )
    mask = np.zeros((height, width), np.bool_)
    mask[y : y + h, x : x + w] = True
    return grid_of_mask(mask, grid, f"box {x},{y},{w},{h}")


def start_grid(
    grid: int,
    *,
    mask: Path | None = None,
    box: str | None = None,
    image: Frame | None = None,
    size: tuple[int, int] | None = None,
) -> StartGrid | None:
    """The grid of a mask's file or of a box's text; None where neither is given.

    The picture's size is the image's, the mask's or ``size``; InputError 'mask-size' where they
    differ. Nothing is scaled: a mask of another size is of another picture.
    """
    if mask is not None and box is not None:
        raise UsageError("--mask and --box exclude each other.")
    shown = None if image is None else (image.shape[1], image.shape[0])
    if shown is not None and size is not None and shown != size:
        raise InputError(
            "mask-size", f"--size is {_by(size)}, the image {_by(shown)}", hint="leave out --size"
        )
    wanted = shown or size
    if mask is not None:
        from motionkit.backends.masks import read_mask

        found = read_mask(mask)
        own = (found.shape[1], found.shape[0])
        if wanted is not None and own != wanted:
            raise InputError(
                "mask-size",
                f"the mask {mask.name} is {_by(own)}, the picture {_by(wanted)}",
                hint="make the mask at the picture's size",
            )
        return grid_of_mask(found, grid, f"mask {mask.name}")
    if box is None:
        return None
    return grid_of_box(parse_box(box), wanted or DEFAULT_SIZE, grid)


def placed(start: StartGrid, size: tuple[int, int] | None) -> StartGrid:
    """``start`` in a picture of another size: the same shares of its width and height. Without
    its mask, which is of the old size."""
    if size is None or size == start.size:
        return start
    scale = np.array(size, np.float64) / np.array(start.size)
    points = (start.points.astype(np.float64) * scale).astype(np.float32)
    return dataclasses.replace(start, points=points, size=size, mask=None)


def parse_box(text: str) -> tuple[int, int, int, int]:
    """X,Y,W,H; UsageError for anything else."""
    found = re.fullmatch(r"\s*(-?\d{1,6})" + r"\s*,\s*(-?\d{1,6})" * 3 + r"\s*", text, re.ASCII)
    if found is None:
        raise UsageError(
            f"--box {text[:80]!r} is no box.", hint="write X,Y,W,H in pixels: --box 40,60,120,80"
        )
    x, y, w, h = (int(value) for value in found.groups())
    return x, y, w, h


def parse_size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT; UsageError for anything else, or a picture too large."""
    found = re.fullmatch(r"(\d{1,6})[xX×](\d{1,6})", text.strip(), re.ASCII)
    size = (int(found[1]), int(found[2])) if found else (0, 0)
    if min(size) < 1 or max(size) > MAX_SIDE or size[0] * size[1] > MAX_PIXELS:
        raise UsageError(f"{text[:80]!r} is no size.", hint="write WIDTHxHEIGHT: 640x360")
    return size


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"
