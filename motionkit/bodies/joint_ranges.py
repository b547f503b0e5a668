"""How far the joints of given motions turn: percentiles a joint and axis, and limits from them.

A hinge's axis is a convention: a motion known by its joints alone leaves each thigh's and upper
arm's turn about itself open, and says nothing of how far a knee bends *as a hinge*. `hinged`
chooses that turn so that knees and elbows bend about their own axes.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.limits import HINGES, mirrored, pose_limits
from motionkit.bodies.rotations import to_axis_angle
from motionkit.bodies.skeleton import JOINT, JOINTS, PARENTS, REST_OFFSETS

Float = NDArray[np.float64]

#: Below a bend of about this sine, the turn that the motion came with counts more than its bend.
_SURE_SINE = 0.15
#: Frames on each side over which the bend's axis is averaged.
_WINDOW = 2


def local_rotations(world: Float) -> Float:
    """Rotations [F, 24, 3, 3] relative to the parent, of rotations in the world."""
    local = world.copy()
    for j, parent in enumerate(PARENTS):
        if parent >= 0:
            local[:, j] = np.swapaxes(world[:, parent], -1, -2) @ world[:, j]
    return local


def world_rotations(local: Float) -> Float:
    """Rotations [F, 24, 3, 3] in the world, of rotations relative to the parent."""
    world = local.copy()
    for j, parent in enumerate(PARENTS):
        if parent >= 0:
            world[:, j] = world[:, parent] @ local[:, j]
    return world


def turned(a: Float, b: Float) -> Float:
    """The smallest rotations [..., 3, 3] that take directions a [..., 3] to b [..., 3]."""
    a, b = np.broadcast_arrays(_unit(a), _unit(b))
    axis, cosine = np.cross(a, b), (a * b).sum(-1)[..., None, None]
    cross = np.zeros((*a.shape, 3))
    cross[..., 0, 1], cross[..., 0, 2], cross[..., 1, 2] = (
        -axis[..., 2],
        axis[..., 1],
        -axis[..., 0],
    )
    cross = cross - np.swapaxes(cross, -1, -2)
    return np.eye(3) + cross + cross @ cross / np.maximum(1 + cosine, 1e-6)


def hinged(rotations: Float) -> Float:
    """The same joint places with knees and elbows as hinges.

    ``rotations`` [F, 24, 3, 3] relative to the parent. Thighs and upper arms turn about
    themselves until the bend below is about the hinge's axis; where the limb is nearly straight
    they keep the turn that they have. Feet and hands keep their rotations in the world.
    """
    world = world_rotations(rotations)
    for side, lifts in (("left", -1.0), ("right", 1.0)):
        _hinge(world, f"{side}_hip", f"{side}_knee", f"{side}_ankle", np.array([1.0, 0, 0]))
        arm = np.array([0.0, lifts, 0])
        _hinge(world, f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist", arm)
    return local_rotations(world)


def _hinge(world: Float, upper: str, lower: str, end: str, axis: Float) -> None:
    """Turns one limb's two bones in the world about themselves, in place."""
    u, k = JOINT[upper], JOINT[lower]
    bone, below = _unit(REST_OFFSETS[k]), _unit(REST_OFFSETS[JOINT[end]])
    first, second = world[:, u] @ bone, world[:, k] @ below
    bend = np.cross(first, second) + _SURE_SINE * (world[:, u] @ axis)
    padded = np.pad(bend, ((_WINDOW, _WINDOW), (0, 0)), mode="edge")
    bend = sum(padded[i : i + len(bend)] for i in range(2 * _WINDOW + 1))  # type: ignore[assignment]
    frame, rest = _frame(first, bend), _frame(bone, axis)
    world[:, u] = frame @ rest.T
    world[:, k] = turned(world[:, u] @ below, second) @ world[:, u]


def _frame(along: Float, axis: Float) -> Float:
    """Columns [..., 3, 3]: a direction, the axis made perpendicular to it, and their product."""
    across = _unit(axis - (axis * along).sum(-1, keepdims=True) * along)
    return np.stack([along, across, np.cross(along, across)], -1)


def _unit(vectors: Float) -> Float:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def folded(rotations: Float) -> dict[str, Float]:
    """Axis-angle samples [2 F, 3] of middle joints and left ones, the mirror images with them."""
    angles = to_axis_angle(rotations)
    out: dict[str, Float] = {}
    for j, name in enumerate(JOINTS):
        if j and not name.startswith("right_"):
            other = JOINT["right_" + name[5:]] if name.startswith("left_") else j
            out[name] = np.concatenate([angles[:, j], angles[:, other] * [1, -1, -1]])
    return out


def joint_ranges(
    motions: Iterable[Float], *, percent: float = 99.5, margin: float = 0.05
) -> tuple[Float, Float]:
    """Limits [23, 3] that hold the middle ``percent`` of every axis of rotations [F, 24, 3, 3].

    ``margin`` radians are added at both ends. Hinges keep the built-in stops on all sides but
    their bend's: an estimate that bends a knee the wrong way must not become a limit.
    """
    samples = [folded(rotations) for rotations in motions]
    low, high = np.zeros((23, 3)), np.zeros((23, 3))
    own_low, own_high = pose_limits()
    for name in samples[0]:
        values = np.concatenate([sample[name] for sample in samples])
        j = JOINT[name] - 1
        low[j], high[j] = np.percentile(values, [50 - percent / 2, 50 + percent / 2], axis=0)
        low[j], high[j] = low[j] - margin, high[j] + margin
        if name.endswith(HINGES):
            low[j] = np.maximum(low[j], own_low[j])
            high[j] = np.minimum(high[j], own_high[j])
            if name.endswith("knee"):
                high[j, 0] = max(high[j, 0], own_high[j, 0])
            else:
                low[j, 1] = min(low[j, 1], own_low[j, 1])
        if name.startswith("left_"):
            low[JOINT["right_" + name[5:]] - 1], high[JOINT["right_" + name[5:]] - 1] = mirrored(
                low[j], high[j]
            )
    return low, high


def share_outside(rotations: Float, limits: tuple[Float, Float]) -> dict[str, float]:
    """Share of frames, a joint (pairs together), in which any axis is outside the limits."""
    out: dict[str, float] = {}
    for name, values in folded(rotations).items():
        low, high = limits[0][JOINT[name] - 1], limits[1][JOINT[name] - 1]
        out[name] = float(((values < low) | (values > high)).any(-1).mean())
    return out
