"""Where a point of an object is in each frame: the one map that pictures and truth share.

A point u of an object, in units of its half size, goes through two shear waves (the wobble) and
an affine map to pixels:

    x += ax * sin(kx * y + px);  y += ay * sin(ky * x + py);  pixel = A [x, y, 1]

Each step can be undone exactly, so that the painter (pixel → object) and the tracks (object →
pixel) agree to rounding. Pixel centres lie at whole numbers.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

#: A card that is turned further than this (cosine of the angle) shows nothing of its front.
FACING = 0.15


@dataclasses.dataclass(frozen=True)
class Warp:
    """The course of one object through T frames."""

    affine: F64
    """[T, 2, 3]: object units to pixels."""
    wave: F64
    """[T, 6]: ax, kx, px, ay, ky, py; amplitudes 0 for a rigid object."""
    facing: F64
    """[T]: cosine of the turn about an axis in the picture; below 0 the back is seen."""

    def __len__(self) -> int:
        return len(self.affine)

    def to_pixels(self, points: F64) -> F64:
        """Pixels [T, N, 2] of object points [N, 2]."""
        x = points[None, :, 0]
        y = points[None, :, 1]
        ax, kx, px, ay, ky, py = self.wave.T[:, :, None]
        x = x + ax * np.sin(kx * y + px)
        y = y + ay * np.sin(ky * x + py)
        a = self.affine
        return np.stack(
            [
                a[:, 0, 0, None] * x + a[:, 0, 1, None] * y + a[:, 0, 2, None],
                a[:, 1, 0, None] * x + a[:, 1, 1, None] * y + a[:, 1, 2, None],
            ],
            axis=-1,
        )

    def from_pixels(self, frame: int, pixels: F64) -> F64:
        """Object points [..., 2] of pixels [..., 2] in one frame."""
        m = inverse(self.affine[frame])
        x = m[0, 0] * pixels[..., 0] + m[0, 1] * pixels[..., 1] + m[0, 2]
        y = m[1, 0] * pixels[..., 0] + m[1, 1] * pixels[..., 1] + m[1, 2]
        ax, kx, px, ay, ky, py = self.wave[frame]
        if ay:
            y = y - ay * np.sin(ky * x + py)
        if ax:
            x = x - ax * np.sin(kx * y + px)
        return np.stack([x, y], axis=-1)

    def front(self) -> Bool:
        """[T]: whether the front is seen."""
        return self.facing > FACING

    def reach(self) -> float:
        """How far the square [-1, 1] bulges in the waves, in object units."""
        return 1.0 + float(np.abs(self.wave[:, [0, 3]]).max())


def inverse(affine: F64) -> F64:
    """The inverse [2, 3] of an affine map [2, 3]."""
    (a, b, c), (d, e, f) = affine
    det = a * e - b * d
    return np.array(
        [[e, -b, b * f - c * e], [-d, a, c * d - a * f]],
    ) / det  # fmt: skip


def after(outer: F64, inner: F64) -> F64:
    """The affine maps [T, 2, 3] that apply ``inner`` first, then ``outer``."""
    linear = outer[:, :, :2] @ inner[:, :, :2]
    shift = (outer[:, :, :2] @ inner[:, :, 2:])[..., 0] + outer[:, :, 2]
    return np.concatenate([linear, shift[..., None]], axis=-1)
