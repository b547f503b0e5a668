"""Motions as files that other tools open: AMASS-like .npz and .bvh.

Both are y up, x to the left of a person facing +z. The .npz holds metres, the .bvh centimetres
(what most tools expect of BVH).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.motion import BodyMotion
from motionkit.bodies.rotations import from_axis_angle
from motionkit.bodies.skeleton import JOINTS, PARENTS, shaped_offsets
from motionkit.errors import InputError

Float = NDArray[np.float64]

AXES = "metres, y up, x to the left of a person facing +z; right-handed"
_CM = 100.0
#: End sites give leaf bones a length in tools that draw bones: metres from the leaf joint.
_TIPS: dict[str, tuple[float, float, float]] = {
    "head": (0.0, 0.12, 0.0),
    "left_foot": (0.0, 0.0, 0.06),
    "right_foot": (0.0, 0.0, 0.06),
    "left_hand": (0.08, 0.0, 0.0),
    "right_hand": (-0.08, 0.0, 0.0),
}


def write_npz(
    motion: BodyMotion,
    path: Path,
    *,
    text: str = "",
    extra: Mapping[str, NDArray[Any]] | None = None,
) -> None:
    """AMASS-like: poses [F, 72] radians, trans [F, 3] metres, betas [10], mocap_framerate.

    Beyond AMASS: ``joints`` [F, 24, 3] metres (the built-in skeleton's), ``fps`` and ``text``;
    ``axes`` states the frame in words (AMASS itself is z up), ``skeleton`` says that the betas
    are motionkit's bone lengths and not SMPL's mesh components. ``extra`` arrays stand beside
    them under names of their own (ValueError where one is taken).
    """
    part = path.with_name(path.name + ".part")
    own: dict[str, Any] = {
        "poses": motion.poses.reshape(len(motion.poses), 72).astype(np.float32),
        "trans": motion.trans.astype(np.float32),
        "betas": motion.betas.astype(np.float32),
        "mocap_framerate": np.float64(motion.fps),
        "joints": motion.joints().astype(np.float32),
        "fps": np.float64(motion.fps),
        "text": np.array(text),
        "gender": np.array("neutral"),
        "axes": np.array(AXES),
        "skeleton": np.array("motionkit-24"),
    }
    taken = sorted(own.keys() & (extra or {}).keys())
    if taken:
        raise ValueError(f"{taken[0]!r} is an array of every motion .npz")
    with part.open("wb") as file:
        np.savez(file, **{**own, **(extra or {})})
    os.replace(part, path)  # noqa: PTH105


def read_npz(path: Path) -> BodyMotion:
    """Reads what `write_npz` wrote. InputError 'motion-unreadable' where that is not it."""
    try:
        with np.load(path, allow_pickle=False) as file:
            poses = file["poses"].astype(float)
            return BodyMotion(
                poses=poses.reshape(len(poses), 24, 3),
                trans=file["trans"].astype(float),
                betas=file["betas"].astype(float),
                fps=float(file["mocap_framerate"]),
            )
    except (OSError, ValueError, KeyError) as error:
        raise InputError("motion-unreadable", f"{path} is no motion .npz: {error}") from error


def euler_zyx_deg(matrices: Float) -> Float:
    """Angles [..., 3] in degrees (z, y, x) with R = Rz · Ry · Rx, continuous in time (axis 0).

    Each frame has two equal triples, and whole turns on top; the one nearest the frame before
    is taken. So a body that faces away (y near ±90° or ±180°) does not flip between frames,
    which viewers that interpolate angles would show as a spin.
    """
    m = np.asarray(matrices, dtype=float)
    y = np.arcsin(np.clip(-m[..., 2, 0], -1, 1))
    locked = np.abs(m[..., 2, 0]) > 1 - 1e-9
    z = np.where(locked, np.arctan2(-m[..., 0, 1], m[..., 1, 1]),
                 np.arctan2(m[..., 1, 0], m[..., 0, 0]))  # fmt: skip
    x = np.where(locked, 0.0, np.arctan2(m[..., 2, 1], m[..., 2, 2]))
    one = np.stack([z, y, x], -1)
    two = np.stack([z + np.pi, np.pi - y, x + np.pi], -1)
    out = np.empty_like(one)
    last = np.zeros(one.shape[1:])
    for f in range(len(one)):
        choices = [c[f] + 2 * np.pi * np.round((last - c[f]) / (2 * np.pi)) for c in (one, two)]
        distance = [np.abs(c - last).sum(-1, keepdims=True) for c in choices]
        last = np.where(distance[1] < distance[0] - 1e-9, choices[1], choices[0])
        out[f] = last
    return np.degrees(out)


def write_bvh(motion: BodyMotion, path: Path) -> None:
    """BVH in centimetres, y up: the root has six channels, every other joint three (Z Y X)."""
    offsets = shaped_offsets(motion.betas)
    matrices = from_axis_angle(motion.poses)
    angles = euler_zyx_deg(matrices)  # [F, 24, 3]
    pelvis = motion.trans + offsets[0]
    order: list[int] = []
    lines = ["HIERARCHY"]
    _hierarchy(0, 0, offsets, lines, order)
    lines += ["MOTION", f"Frames: {len(angles)}", f"Frame Time: {1 / motion.fps:.8f}"]
    for frame in range(len(angles)):
        numbers = [*(pelvis[frame] * _CM), *angles[frame, order].reshape(-1)]
        lines.append(" ".join(f"{v:.6f}" for v in numbers))
    part = path.with_name(path.name + ".part")
    part.write_text("\n".join(lines) + "\n", encoding="ascii")
    os.replace(part, path)  # noqa: PTH105


def _hierarchy(joint: int, depth: int, offsets: Float, lines: list[str], order: list[int]) -> None:
    """Writes a joint and its children; ``order`` becomes the order of the channels."""
    order.append(joint)
    tab = "  " * depth
    # The root's place is all in its channels, so its offset is zero.
    offset = np.zeros(3) if joint == 0 else offsets[joint] * _CM
    lines += [
        f"{tab}{'ROOT' if joint == 0 else 'JOINT'} {JOINTS[joint]}",
        f"{tab}{{",
        f"{tab}  OFFSET {_numbers(offset)}",
        f"{tab}  CHANNELS "
        + ("6 Xposition Yposition Zposition " if joint == 0 else "3 ")
        + "Zrotation Yrotation Xrotation",
    ]
    children = [j for j, parent in enumerate(PARENTS) if parent == joint]
    for child in children:
        _hierarchy(child, depth + 1, offsets, lines, order)
    if not children:
        tip = np.array(_TIPS[JOINTS[joint]]) * _CM
        lines += [
            f"{tab}  End Site",
            f"{tab}  {{",
            f"{tab}    OFFSET {_numbers(tip)}",
            f"{tab}  }}",
        ]
    lines.append(f"{tab}}}")


def _numbers(values: Sequence[float] | Float) -> str:
    return " ".join(f"{v:.6f}" for v in values)
