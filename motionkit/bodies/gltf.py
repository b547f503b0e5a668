"""Motions as .glb: binary glTF 2.0 with an animated, skinned figure.

Opens in Blender, three.js, Windows' 3D viewer and game engines: metres, y up, facing +z, as glTF
asks. The figure is one octahedron a bone, each tied to one joint, so that there is something to
see; the joints are nodes with SMPL's names. `asset.extras` holds fps, text and betas.

The format: registry.khronos.org/glTF/specs/2.0. A file is a header, a chunk of JSON and a chunk of
numbers that the JSON's accessors point into.
"""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionkit import __version__
from motionkit.bodies.bone_mesh import bone_mesh
from motionkit.bodies.motion import BodyMotion
from motionkit.bodies.rotations import to_quaternion
from motionkit.bodies.skeleton import JOINTS, PARENTS

Float = NDArray[np.float64]

MAGIC: Final = b"glTF"
JSON_CHUNK: Final = 0x4E4F534A
BIN_CHUNK: Final = 0x004E4942
_FLOAT, _UNSIGNED_BYTE, _UNSIGNED_SHORT = 5126, 5121, 5123
_WIDTHS: Final = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
_VERTICES, _INDICES = 34962, 34963
#: The figure's colour: linear red, green, blue, opacity.
_COLOUR: Final = (0.32, 0.47, 0.66, 1.0)
#: Node 0 shows the mesh; the joints follow.
_FIRST_JOINT: Final = 1


def write_glb(motion: BodyMotion, path: Path, *, text: str = "") -> None:
    """Writes ``motion`` with the figure; appears only when complete.

    Keys at f / fps seconds, one a frame; rotations as quaternions whose signs go on from frame
    to frame, interpolated along the shorter way (LINEAR).
    """
    data = _Buffer()
    offsets = motion.offsets()
    at_rest = offsets.copy()
    for j, parent in enumerate(PARENTS):
        if parent >= 0:
            at_rest[j] += at_rest[parent]
    document: dict[str, Any] = {
        "asset": {
            "version": "2.0",
            "generator": f"motionkit {__version__}",
            "extras": {
                "format": "motionkit-motion",
                "fps": float(motion.fps),
                "frames": len(motion.poses),
                "text": text,
                "betas": [float(v) for v in motion.betas],
                "skeleton": "motionkit-24" if motion.rest is None else "smpl",
            },
        },
        "scene": 0,
        "scenes": [{"name": "motion", "nodes": [0, _FIRST_JOINT]}],
        "nodes": [{"name": "figure", "mesh": 0, "skin": 0}, *_joint_nodes(offsets)],
        "meshes": [{"name": "figure", "primitives": [_figure(data, offsets, at_rest)]}],
        "materials": [
            {
                "name": "figure",
                "pbrMetallicRoughness": {
                    "baseColorFactor": list(_COLOUR),
                    "metallicFactor": 0.0,
                    "roughnessFactor": 0.8,
                },
            }
        ],
        "skins": [_skin(data, at_rest)],
        "animations": [_animation(data, motion, offsets)],
        "accessors": data.accessors,
        "bufferViews": data.views,
    }
    numbers = data.bytes()
    document["buffers"] = [{"byteLength": len(numbers)}]
    chunk = json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8")
    chunk += b" " * (-len(chunk) % 4)
    total = 12 + 8 + len(chunk) + 8 + len(numbers)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as stream:
        stream.write(struct.pack("<4sII", MAGIC, 2, total))
        stream.write(struct.pack("<II", len(chunk), JSON_CHUNK) + chunk)
        stream.write(struct.pack("<II", len(numbers), BIN_CHUNK) + numbers)
    os.replace(part, path)  # noqa: PTH105


class _Buffer:
    """The numbers of the file, and the accessors and views that point into them."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.length = 0
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add(
        self,
        values: NDArray[Any],
        kind: int = _FLOAT,
        *,
        target: int | None = None,
        ends: bool = False,
    ) -> int:
        """Adds values [N] or [N, width]; returns the accessor's number. ``ends``: with their
        smallest and largest, which glTF asks of positions and times."""
        types = {_FLOAT: "<f4", _UNSIGNED_BYTE: "u1", _UNSIGNED_SHORT: "<u2"}
        array = np.ascontiguousarray(values, dtype=types[kind]).reshape(len(values), -1)
        if kind == _FLOAT and not np.isfinite(array).all():
            raise ValueError("a motion with nan or infinity cannot be written as glTF")
        view = {"buffer": 0, "byteOffset": self.length, "byteLength": array.nbytes}
        self.views.append(view if target is None else {**view, "target": target})
        accessor: dict[str, Any] = {
            "bufferView": len(self.views) - 1,
            "componentType": kind,
            "count": len(array),
            "type": _WIDTHS[array.shape[1]],
        }
        if ends:
            accessor["min"] = [float(v) for v in array.min(0)]
            accessor["max"] = [float(v) for v in array.max(0)]
        self.accessors.append(accessor)
        padded = array.tobytes() + b"\0" * (-array.nbytes % 4)  # views start at multiples of 4
        self.parts.append(padded)
        self.length += len(padded)
        return len(self.accessors) - 1

    def bytes(self) -> bytes:
        return b"".join(self.parts)


def _joint_nodes(offsets: Float) -> list[dict[str, Any]]:
    """A node a joint, at rest: viewers that do not animate show a T-pose."""
    nodes = []
    for j, name in enumerate(JOINTS):
        node: dict[str, Any] = {"name": name, "translation": [float(v) for v in offsets[j]]}
        children = [_FIRST_JOINT + k for k, parent in enumerate(PARENTS) if parent == j]
        nodes.append({**node, "children": children} if children else node)
    return nodes


def _figure(data: _Buffer, offsets: Float, at_rest: Float) -> dict[str, Any]:
    """The octahedra in the rest pose, every vertex tied to one joint."""
    mesh = bone_mesh(offsets)
    count = len(mesh.local)
    joints, weights = np.zeros((count, 4), np.uint8), np.zeros((count, 4))
    joints[:, 0], weights[:, 0] = mesh.joints, 1.0
    return {
        "attributes": {
            "POSITION": data.add(mesh.local + at_rest[mesh.joints], target=_VERTICES, ends=True),
            "NORMAL": data.add(mesh.normals, target=_VERTICES),
            "JOINTS_0": data.add(joints, _UNSIGNED_BYTE, target=_VERTICES),
            "WEIGHTS_0": data.add(weights, target=_VERTICES),
        },
        "indices": data.add(mesh.faces.reshape(-1), _UNSIGNED_SHORT, target=_INDICES),
        "material": 0,
    }


def _skin(data: _Buffer, at_rest: Float) -> dict[str, Any]:
    inverse = np.tile(np.eye(4), (len(JOINTS), 1, 1))
    inverse[:, 3, :3] = -at_rest  # columns one after another, so the shift comes last
    return {
        "name": "body",
        "skeleton": _FIRST_JOINT,
        "joints": list(range(_FIRST_JOINT, _FIRST_JOINT + len(JOINTS))),
        "inverseBindMatrices": data.add(inverse.reshape(-1, 16)),
    }


def _animation(data: _Buffer, motion: BodyMotion, offsets: Float) -> dict[str, Any]:
    times = data.add(np.arange(len(motion.poses)) / motion.fps, ends=True)
    channels: list[dict[str, Any]] = []
    samplers: list[dict[str, Any]] = []

    def animate(joint: int, path: str, values: Float) -> None:
        target = {"node": _FIRST_JOINT + joint, "path": path}
        channels.append({"sampler": len(samplers), "target": target})
        samplers.append({"input": times, "interpolation": "LINEAR", "output": data.add(values)})

    animate(0, "translation", motion.trans + offsets[0])
    turns = continuous(to_quaternion(motion.poses))
    for j in range(len(JOINTS)):
        animate(j, "rotation", turns[:, j])
    return {"name": "motion", "channels": channels, "samplers": samplers}


def continuous(quaternions: Float) -> Float:
    """Quaternions [F, ..., 4] with the signs that keep neighbouring frames nearest each other:
    q and -q are the same rotation, but a viewer goes from one to the other the long way round."""
    turns = (quaternions[1:] * quaternions[:-1]).sum(-1) < 0
    signs = np.where(np.cumsum(turns, 0) % 2, -1.0, 1.0)
    out = quaternions.copy()
    out[1:] *= signs[..., None]
    return out
