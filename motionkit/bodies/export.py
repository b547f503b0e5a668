"""Motions as files that other tools open: AMASS-like .npz, AMASS' own .npz, and .bvh.

All but AMASS' own are y up, x to the left of a person facing +z. The .npz hold metres, the .bvh
centimetres (what most tools expect of BVH). glTF is in `gltf`, reading in `files`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionkit.arrays import read_npz as read_arrays
from motionkit.bodies.bone_mesh import TIPS
from motionkit.bodies.motion import BodyMotion
from motionkit.bodies.rotations import about, from_axis_angle, to_axis_angle
from motionkit.bodies.skeleton import JOINTS, PARENTS, REST_OFFSETS
from motionkit.errors import InputError

Float = NDArray[np.float64]

AXES = "metres, y up, x to the left of a person facing +z; right-handed"
AMASS_AXES = "metres, z up, x to the left of a person facing -y; right-handed (AMASS)"
_CM = 100.0
#: Joints of SMPL+H's body: all of ours but the hands, which have fingers there.
_AMASS_BODY = 22
_READ = frozenset({"poses", "trans", "betas", "mocap_framerate", "rest_offsets", "skeleton"})


def write_npz(
    motion: BodyMotion,
    path: Path,
    *,
    text: str = "",
    extra: Mapping[str, NDArray[Any]] | None = None,
) -> None:
    """AMASS-like: poses [F, 72] radians, trans [F, 3] metres, betas [10], mocap_framerate.

    Beyond AMASS: ``joints`` [F, 24, 3] metres, ``fps`` and ``text``; ``axes`` states the frame in
    words (AMASS itself is z up: `write_amass`), ``skeleton`` says whether the betas are
    motionkit's bone lengths or SMPL's mesh components, and ``rest_offsets`` [24, 3] are there
    where the body is not the built-in one. ``extra`` arrays stand beside them under names of
    their own (ValueError where one is taken).
    """
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
        "skeleton": np.array("motionkit-24" if motion.rest is None else "smpl"),
    }
    if motion.rest is not None:
        own["rest_offsets"] = motion.rest
    taken = sorted(own.keys() & (extra or {}).keys())
    if taken:
        raise ValueError(f"{taken[0]!r} is an array of every motion .npz")
    _save({**own, **(extra or {})}, path)


def write_amass(motion: BodyMotion, path: Path, *, text: str = "") -> None:
    """As AMASS has it, for tools made for AMASS (SMPL+H): **z up**.

    ``poses`` [F, 156]: 22 body joints, then 30 finger joints at rest; ``trans`` [F, 3],
    ``betas`` [16], ``dmpls`` [F, 8] (zeros), ``gender``, ``mocap_framerate``. The built-in
    skeleton's shape values mean nothing to SMPL: they are kept as ``motionkit_betas``, and
    ``betas`` are zeros; of a motion with SMPL's own betas they are those. The pelvis is where it
    was; with other bones than the neutral body's, hands and feet are not.
    """
    turn = about("x", np.pi / 2)
    frames = len(motion.poses)
    poses = np.zeros((frames, 52, 3))
    poses[:, :_AMASS_BODY] = motion.poses[:, :_AMASS_BODY]
    poses[:, 0] = to_axis_angle(turn @ from_axis_angle(motion.poses[:, 0]))
    betas = np.zeros(16)
    rest = REST_OFFSETS[0]
    if motion.rest is not None:
        betas[: len(motion.betas)], rest = motion.betas, motion.rest[0]
    own = {
        "poses": poses.reshape(frames, 156),
        "trans": (motion.trans + motion.offsets()[0]) @ turn.T - rest,
        "betas": betas,
        "dmpls": np.zeros((frames, 8)),
        "gender": np.array("neutral"),
        "mocap_framerate": np.float64(motion.fps),
        "axes": np.array(AMASS_AXES),
        "text": np.array(text),
        "motionkit_betas": motion.betas if motion.rest is None else np.zeros(0),
    }
    _save(own, path)


def _save(arrays: Mapping[str, Any], path: Path) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.savez(file, **arrays)
    os.replace(part, path)  # noqa: PTH105


def read_npz(path: Path) -> BodyMotion:
    """Reads what `write_npz` wrote. InputError 'motion-unreadable' where that is not it.

    AMASS' own files have other poses and axes: `motionkit.exchange.amass` reads them.
    """
    try:
        found = read_arrays(path, _READ)
        poses = found["poses"].astype(float)
        if poses.ndim != 2 or poses.shape[1] != 72 or not len(poses):
            raise ValueError(f"poses of shape {poses.shape}")
        trans, betas = found["trans"].astype(float), found["betas"].astype(float)
        fps = float(found["mocap_framerate"])
        rest = found["rest_offsets"].astype(float) if "rest_offsets" in found else None
        if trans.shape != (len(poses), 3) or betas.shape != (10,) or not 0 < fps < 1e5:
            raise ValueError(f"trans of shape {trans.shape}, betas {betas.shape}, {fps} a second")
        if rest is not None and rest.shape != (24, 3):
            raise ValueError(f"rest_offsets of shape {rest.shape}")
        if not all(
            np.isfinite(v).all() for v in (poses, trans, betas, rest if rest is not None else 0)
        ):
            raise ValueError("nan or infinity in it")
    except (InputError, ValueError, KeyError, TypeError) as error:
        raise InputError("motion-unreadable", f"{path} is no motion .npz: {error}") from error
    return BodyMotion(poses.reshape(-1, 24, 3), trans, betas, fps, rest)


def euler_zyx_deg(matrices: Float) -> Float:
    """Angles [..., 3] in degrees (z, y, x) with R = Rz · Ry · Rx, continuous in time (axis 0).

    Each frame has two equal triples, and whole turns on top; the one nearest the frame before
    is taken. So a body that faces away (y near ±90° or ±180°) does not flip between frames,
    which viewers that interpolate angles would show as a spin.
    """
    m = np.asarray(matrices, dtype=float)
    y = np.arcsin(np.clip(-m[..., 2, 0], -1, 1))
    locked = np.abs(m[..., 2, 0]) > 1 - 1e-13
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
    offsets = motion.offsets()
    matrices = from_axis_angle(motion.poses)
    angles = euler_zyx_deg(matrices)  # [F, 24, 3]
    pelvis = motion.trans + offsets[0]
    order: list[int] = []
    lines = ["HIERARCHY"]
    _hierarchy(0, 0, offsets, lines, order)
    lines += ["MOTION", f"Frames: {len(angles)}", f"Frame Time: {1 / motion.fps:.12g}"]
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
        tip = np.array(TIPS[JOINTS[joint]]) * _CM
        lines += [
            f"{tab}  End Site",
            f"{tab}  {{",
            f"{tab}    OFFSET {_numbers(tip)}",
            f"{tab}  }}",
        ]
    lines.append(f"{tab}}}")


def _numbers(values: Sequence[float] | Float) -> str:
    return " ".join(f"{v:.6f}" for v in values)
