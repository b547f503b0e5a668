"""Two-bone inverse kinematics with a hinge: legs that stand where they should, hands that reach.

Everything is solved for a *left* limb. A right limb is mirrored in x before and after, so
that both sides obey the same limits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies import rotations

Float = NDArray[np.float64]

MIRROR_X: Float = np.diag([-1.0, 1.0, 1.0])


def mirrored(matrix: Float) -> Float:
    """Rotations [..., 3, 3] of the limb on the other side of the body."""
    return MIRROR_X @ matrix @ MIRROR_X


def hinge(axis: str, angle: Float) -> Float:
    """Bend [..., 3, 3] of a knee ('x') or a left elbow ('y') by ``angle`` >= 0 radians."""
    return rotations.about(axis, angle if axis == "x" else -angle)


def hinge_angle(
    upper: Float, lower: Float, axis: str, distance: Float, low: float, high: float
) -> Float:
    """Hinge angle [F], within ``low``..``high`` rad, that brings the limb's end to ``distance``.

    ``upper`` and ``lower`` [3] are the two rest bones, in metres.
    """
    # |upper + H(k) lower|^2 = a + m cos(k - phi): exact for bones that rest at an angle too.
    probe = np.stack([(hinge(axis, np.array(k)) @ lower) @ upper for k in (0.0, np.pi / 2, np.pi)])
    middle = (probe[0] + probe[2]) / 2
    cos_part, sin_part = probe[0] - middle, probe[1] - middle
    phi = np.arctan2(sin_part, cos_part)
    size = np.hypot(cos_part, sin_part)
    want = (distance**2 - upper @ upper - lower @ lower) / 2 - middle
    return np.clip(phi + np.arccos(np.clip(want / size, -1.0, 1.0)), low, high)


def longest(upper: Float, lower: Float, axis: str, low: float) -> float:
    """Distance from the first joint to the end of the limb, bent by only ``low`` radians."""
    return float(np.linalg.norm(upper + hinge(axis, np.array(low)) @ lower))


def _basis(along: Float, side: Float) -> Float:
    """Orthonormal columns [..., 3, 3]: ``along``, ``side`` made square to it, their product."""
    u = along / np.linalg.norm(along, axis=-1, keepdims=True)
    s = side - (side * u).sum(-1, keepdims=True) * u
    s = s / np.maximum(np.linalg.norm(s, axis=-1, keepdims=True), 1e-9)
    return np.stack([u, s, np.cross(u, s)], -1)


def aim(upper: Float, lower: Float, axis: str, bend: Float, target: Float, side: Float) -> Float:
    """World rotation [F, 3, 3] of the upper bone so that the limb points at ``target`` [F, 3].

    ``target`` is relative to the limb's first joint; ``side`` [F, 3] is where the hinge's own
    axis (local 'x' or 'y') should point.
    """
    reach = upper + np.einsum("fij,j->fi", hinge(axis, bend), lower)
    local_axis = np.zeros_like(reach)
    local_axis[:, "xyz".index(axis)] = 1.0
    return _basis(target, side) @ np.swapaxes(_basis(reach, local_axis), -1, -2)


def blend(first: Float, second: Float, weight: Float) -> Float:
    """Rotations [F, 3, 3] on the way from ``first`` (weight 0) to ``second`` (weight 1)."""
    if not np.any(weight > 0):
        return first
    step = rotations.to_axis_angle(np.swapaxes(first, -1, -2) @ second)
    return first @ rotations.from_axis_angle(step * weight[:, None])
