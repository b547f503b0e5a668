"""Motion files by their ending: what is written, and reading it back."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from motionkit.bodies.bvh import Bvh, read_bvh
from motionkit.bodies.export import read_npz, write_amass, write_bvh, write_npz
from motionkit.bodies.motion import BodyMotion
from motionkit.bodies.rotations import to_axis_angle
from motionkit.bodies.skeleton import JOINTS, PARENTS, betas_of, shaped_offsets
from motionkit.errors import InputError, UsageError

#: Formats that hold a whole motion; amass is an .npz of its own shape.
FORMATS: Final = ("npz", "bvh", "glb", "amass")


def write_motion(
    motion: BodyMotion, path: Path, *, form: str | None = None, text: str = ""
) -> None:
    """Writes a motion in the format ``form``, or that of the path's ending.

    BVH has no place for ``text``. UsageError for an unknown format.
    """
    form = form or path.suffix.removeprefix(".").lower()
    if form == "npz":
        write_npz(motion, path, text=text)
    elif form == "amass":
        write_amass(motion, path, text=text)
    elif form == "bvh":
        write_bvh(motion, path)
    elif form == "glb":
        from motionkit.bodies.gltf import write_glb

        write_glb(motion, path, text=text)
    else:
        raise UsageError(f"unknown format {form!r}.", hint=f"choose from: {', '.join(FORMATS)}")


def read_motion(path: Path) -> BodyMotion:
    """Reads a .npz, .bvh or .glb that motionkit wrote.

    InputError motion-unreadable, bvh-unreadable, bvh-skeleton (a BVH of other joints) or
    glb-unreadable; UsageError for another ending.
    """
    ending = path.suffix.lower()
    if ending == ".npz":
        return read_npz(path)
    if ending == ".bvh":
        return motion_of_bvh(read_bvh(path), path.name)
    if ending == ".glb":
        from motionkit.bodies.gltf_read import read_glb

        return read_glb(path)
    raise UsageError(
        f"{path.name} is no motion file that can be read.", hint="read are .npz, .bvh and .glb"
    )


def motion_of_bvh(bvh: Bvh, name: str = "the file") -> BodyMotion:
    """The motion of a BVH with motionkit's joints, in centimetres, as `write_bvh` writes it.

    Its bone lengths give the shape values. InputError 'bvh-skeleton' for other joints: those need
    retargeting.
    """
    if sorted(bvh.names) != sorted(JOINTS):
        raise InputError(
            "bvh-skeleton",
            f"{name}: its {len(bvh.names)} joints are not motionkit's 24",
            hint="a BVH that motionkit wrote can be read; others need retargeting",
        )
    order = [bvh.names.index(joint) for joint in JOINTS]
    for joint, parent in zip(order, PARENTS, strict=True):
        said = bvh.parents[joint]
        if (bvh.names[said] if said >= 0 else "") != (JOINTS[parent] if parent >= 0 else ""):
            raise InputError("bvh-skeleton", f"{name}: {bvh.names[joint]} hangs on another joint")
    places, world = bvh.pose()
    places, world = places[:, order] / 100, world[:, order]
    local = world.copy()
    for j, parent in enumerate(PARENTS):
        if parent >= 0:
            local[:, j] = np.swapaxes(world[:, parent], -1, -2) @ world[:, j]
    offsets = bvh.offsets[order] / 100
    betas = betas_of(offsets)
    fps = 1 / bvh.frame_time_s
    fps = round(fps) if abs(fps - round(fps)) < 1e-4 else fps  # 0.0333333 s is 30 a second
    poses = to_axis_angle(local)
    if betas is None:
        return BodyMotion(poses, places[:, 0] - offsets[0], np.zeros(10), float(fps), offsets)
    return BodyMotion(poses, places[:, 0] - shaped_offsets(betas)[0], betas, float(fps))
