"""A mesh for a skeleton without skin: one octahedron a bone, so that viewers show a figure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.skeleton import JOINTS, PARENTS

Float = NDArray[np.float64]
Int = NDArray[np.int64]

#: Half the thickness of a bone, as a share of its length, and its bounds in metres.
_THICKNESS = 0.14
_THINNEST_M, _THICKEST_M = 0.012, 0.055
#: Bones that end a limb have a length of their own: metres from the leaf joint.
TIPS: dict[str, tuple[float, float, float]] = {
    "head": (0.0, 0.16, 0.0),
    "left_foot": (0.0, 0.0, 0.06),
    "right_foot": (0.0, 0.0, 0.06),
    "left_hand": (0.08, 0.0, 0.0),
    "right_hand": (-0.08, 0.0, 0.0),
}
#: Thicker bones: the head is no stick.
_WIDER = {"head": 0.075}


@dataclass(frozen=True)
class BoneMesh:
    """Vertices of all octahedra, each tied to one joint."""

    local: Float
    """[V, 3] metres from the vertex's joint, in the joint's frame at rest."""
    joints: Int
    """[V] the joint that a vertex follows."""
    scaled_by: Int
    """[V] the joint whose offset the vertex's bone is: it grows with that offset."""
    faces: Int
    """[T, 3] triangles, counter-clockwise from outside."""
    normals: Float
    """[V, 3] of flat faces: no vertex is shared between triangles."""


def bone_mesh(offsets: Float) -> BoneMesh:
    """The mesh for rest offsets [24, 3] in metres."""
    local, joints, scaled = [], [], []
    for child, parent in enumerate(PARENTS):
        if parent >= 0:
            corners = _octahedron(offsets[child], None)
            local.append(corners)
            joints += [parent] * len(corners)
            scaled += [child] * len(corners)
    for name, tip in TIPS.items():
        corners = _octahedron(np.array(tip), _WIDER.get(name))
        local.append(corners)
        joints += [JOINTS.index(name)] * len(corners)
        scaled += [JOINTS.index(name)] * len(corners)
    points = np.concatenate(local)
    faces = np.arange(len(points)).reshape(-1, 3)
    a, b, c = (points[faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    return BoneMesh(points, np.array(joints), np.array(scaled), faces, np.repeat(across, 3, 0))


def _octahedron(bone: Float, half: float | None) -> Float:
    """Eight triangles [24, 3] from the joint to the bone's end, thickest near the joint."""
    length = float(np.linalg.norm(bone))
    if length < 1e-6:  # a bone of no length still shows as a knot
        bone, length = np.array([0.0, 1e-3, 0.0]), 1e-3
    along = bone / length
    helper = np.eye(3)[np.abs(along).argmin()]
    side = np.cross(along, helper)
    side /= np.linalg.norm(side)
    other = np.cross(along, side)
    half = half or float(np.clip(_THICKNESS * length, _THINNEST_M, _THICKEST_M))
    middle = bone * (0.5 if half > 0.06 else 0.2)
    ring = [middle + half * v for v in (side, other, -side, -other)]
    triangles = []
    for k in range(4):
        first, second = ring[k], ring[(k + 1) % 4]
        triangles += [np.zeros(3), second, first, bone, first, second]
    return np.array(triangles)
