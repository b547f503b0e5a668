"""The mannequin's surface: rings of vertices round the bones, skinned to the skeleton.

All sizes are metres of the neutral body in SMPL's rest pose (T-pose, y up, facing +z).
A surface is a tube: rings of vertices joined by quads. Right limbs mirror left ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.skeleton import JOINT, PARENTS, shaped_offsets

Float = NDArray[np.float64]
Int = NDArray[np.intp]

#: What a face is made of; the look gives each its colour.
ZONES: tuple[str, ...] = (
    "skin", "shirt", "shirt2", "sleeve", "trousers", "shorts_leg", "shoe", "sole",
    "hair", "eye", "iris", "brow", "lips", "nose", "ear", "belt", "seat",
)  # fmt: skip
ZONE: dict[str, int] = {name: i for i, name in enumerate(ZONES)}


@dataclass(frozen=True)
class Ring:
    """One cross-section: its centre, its two half axes, and the joints that carry it."""

    centre: Float
    across: Float
    along: Float
    joints: tuple[tuple[str, float], ...]
    zone: str = "skin"
    """Zone of the faces between this ring and the next."""
    square: float = 1.0
    """Below 1: boxier than an ellipse."""
    behind: float = 0.0
    """Draw the faces up to the next ring as if this much further away, metres: where a limb
    grows out of the trunk, the trunk shall cover its root without a ragged edge."""


@dataclass(frozen=True)
class Mesh:
    """Vertices at rest, two joints each, and polygons of four or eight corners."""

    vertices: Float
    """[V, 3] metres, rest pose."""
    joints: Int
    """[V, 2] indices of the carrying joints."""
    weights: Float
    """[V, 2]"""
    quads: Int
    """[Q, 4]"""
    quad_zones: Int
    behind: Float
    """[Q] metres to add to each quad's distance when sorting by depth."""
    patches: Int
    """[P, 8]: eyes, brows, lips and ears, drawn just over the head."""
    patch_zones: Int
    rest: Float
    """[24, 3] rest places of the joints."""

    def skin(self, positions: Float, world: Float) -> Float:
        """Vertices [F, V, 3] for joints [F, 24, 3] and global rotations [F, 24, 3, 3]."""
        total = np.zeros((len(positions), *self.vertices.shape))
        for k in range(2):
            joint = self.joints[:, k]
            local = self.vertices - self.rest[joint]
            moved = np.einsum("fvij,vj->fvi", world[:, joint], local) + positions[:, joint]
            total += self.weights[:, k, None] * moved
        return total


@dataclass
class MeshMaker:
    """Collects tubes and patches."""

    rest: Float
    vertices: list[Float] = field(default_factory=list)
    joints: list[Int] = field(default_factory=list)
    weights: list[Float] = field(default_factory=list)
    quads: list[Int] = field(default_factory=list)
    quad_zones: list[int] = field(default_factory=list)
    behind: list[float] = field(default_factory=list)
    patches: list[Int] = field(default_factory=list)
    patch_zones: list[int] = field(default_factory=list)
    count: int = 0

    def add_points(self, points: Float, carried: tuple[tuple[str, float], ...]) -> int:
        """Add vertices [N, 3] carried by one or two joints; returns the index of the first."""
        first, number = self.count, len(points)
        names = [JOINT[name] for name, _ in carried]
        shares = [share for _, share in carried]
        if len(names) == 1:
            names, shares = [names[0], names[0]], [1.0, 0.0]
        self.vertices.append(points)
        self.joints.append(np.tile(np.array(names, dtype=np.intp), (number, 1)))
        self.weights.append(np.tile(np.array(shares), (number, 1)))
        self.count += number
        return first

    def tube(self, rings: Sequence[Ring], segments: int) -> None:
        """Join consecutive rings by quads that face outwards."""
        angle = 2 * np.pi * (np.arange(segments) + 0.5) / segments
        starts = []
        for ring in rings:
            c, s = np.cos(angle), np.sin(angle)
            c = np.sign(c) * np.abs(c) ** ring.square
            s = np.sign(s) * np.abs(s) ** ring.square
            points = ring.centre + c[:, None] * ring.across + s[:, None] * ring.along
            starts.append(self.add_points(points, ring.joints))
        for k, (a, b) in enumerate(pairwise(starts)):
            # Outwards: the order that makes the normal point away from the tube's middle.
            ring, onward = rings[k], rings[k + 1].centre - rings[k].centre
            flip = np.cross(ring.across, ring.along) @ onward < 0
            for i in range(segments):
                j = (i + 1) % segments
                quad = [a + i, a + j, b + j, b + i]
                self.quads.append(np.array(quad[::-1] if flip else quad))
                self.quad_zones.append(ZONE[rings[k].zone])
                self.behind.append(rings[k].behind)

    def patch(self, points: Float, joint: str, zone: str) -> None:
        """A flat piece of up to eight corners, counter-clockwise from outside."""
        padded = np.concatenate([points, np.repeat(points[-1:], 8 - len(points), 0)])
        first = self.add_points(padded, ((joint, 1.0),))
        self.patches.append(np.arange(first, first + 8))
        self.patch_zones.append(ZONE[zone])

    def quad(self, corners: Sequence[int], zone: str) -> None:
        """One face between vertices that exist."""
        self.quads.append(np.array(corners))
        self.quad_zones.append(ZONE[zone])
        self.behind.append(0.0)

    def build(self) -> Mesh:
        """The finished mesh."""
        return Mesh(
            vertices=np.concatenate(self.vertices),
            joints=np.concatenate(self.joints),
            weights=np.concatenate(self.weights),
            quads=np.array(self.quads),
            quad_zones=np.array(self.quad_zones),
            behind=np.array(self.behind),
            patches=np.array(self.patches).reshape(-1, 8),
            patch_zones=np.array(self.patch_zones, dtype=np.intp),
            rest=self.rest,
        )


def rest_joints(betas: Float | None) -> Float:
    """Rest places [24, 3] of the joints, metres."""
    offsets = shaped_offsets(betas)
    places = np.zeros((24, 3))
    for j, parent in enumerate(PARENTS):
        places[j] = offsets[j] + (places[parent] if parent >= 0 else 0.0)
    return places
