"""Torso, limbs, hands and shoes of the mannequin (the head is in `head`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.skeleton import JOINT
from motionkit.synth.head import add_head
from motionkit.synth.mesh import ZONE, Mesh, MeshMaker, Ring, rest_joints
from motionkit.synth.puppet import SOLE_M

Float = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Cut:
    """The cut of clothes and hair, and the build of the body."""

    sleeve: float = 0.45
    """Share of the arm that the sleeve covers: 0.45 short, 0.97 long."""
    trousers: float = 0.97
    """Share of the leg that the trousers cover: 0.45 for shorts."""
    hair: str = "short"
    """'short', 'long', 'bun' or 'bald'."""
    girth: float = 1.0
    """Factor on the thickness of torso and limbs."""
    stripes: bool = False


# Height over the model's origin, depth of the centre, half width, half depth, joints.
_TORSO: tuple[tuple[float, float, float, float, tuple[tuple[str, float], ...]], ...] = (
    (-0.395, 0.018, 0.050, 0.050, (("pelvis", 1.0),)),
    (-0.365, 0.010, 0.118, 0.092, (("pelvis", 1.0),)),
    (-0.315, 0.006, 0.162, 0.116, (("pelvis", 1.0),)),
    (-0.255, 0.006, 0.166, 0.118, (("pelvis", 1.0),)),
    (-0.195, 0.010, 0.157, 0.111, (("pelvis", 0.8), ("spine1", 0.2))),
    (-0.175, 0.011, 0.155, 0.110, (("pelvis", 0.7), ("spine1", 0.3))),
    (-0.120, 0.012, 0.144, 0.102, (("pelvis", 0.4), ("spine1", 0.6))),
    (-0.065, 0.012, 0.139, 0.099, (("spine1", 0.9), ("spine2", 0.1))),
    (-0.010, 0.012, 0.141, 0.101, (("spine1", 0.4), ("spine2", 0.6))),
    (0.045, 0.013, 0.149, 0.107, (("spine2", 0.6), ("spine3", 0.4))),
    (0.095, 0.012, 0.158, 0.113, (("spine2", 0.1), ("spine3", 0.9))),
    (0.140, 0.007, 0.163, 0.110, (("spine3", 1.0),)),
    (0.180, -0.001, 0.163, 0.098, (("spine3", 1.0),)),
    (0.210, -0.009, 0.153, 0.084, (("spine3", 1.0),)),
    (0.236, -0.014, 0.126, 0.070, (("spine3", 1.0),)),
    (0.258, -0.015, 0.084, 0.061, (("spine3", 0.8), ("neck", 0.2))),
    (0.278, -0.013, 0.062, 0.058, (("spine3", 0.4), ("neck", 0.6))),
    (0.300, -0.009, 0.054, 0.055, (("neck", 1.0),)),
    (0.335, 0.000, 0.051, 0.053, (("neck", 0.6), ("head", 0.4))),
    (0.385, 0.012, 0.049, 0.052, (("head", 1.0),)),
)

# Height over the floor and radius of a round stool whose seat is at height 1.
_STOOL = ((0.0, 0.20), (0.04, 0.20), (0.07, 0.03), (0.86, 0.03), (0.89, 0.185), (0.99, 0.185),
          (1.0, 0.16), (1.001, 0.002))  # fmt: skip

_STOOL_SEGMENTS = 12

# Share along the bone, half width, half depth, shift of the centre to the front.
_THIGH = (
    (-0.16, 0.060, 0.075, -0.008),
    (-0.02, 0.081, 0.095, -0.010),
    (0.12, 0.087, 0.096, -0.004),
    (0.30, 0.083, 0.089, 0.004),
    (0.50, 0.073, 0.079, 0.006),
    (0.70, 0.063, 0.069, 0.004),
    (0.88, 0.056, 0.061, 0.004),
    (1.00, 0.054, 0.060, 0.006),
)
_SHIN = (
    (0.10, 0.052, 0.057, 0.000),
    (0.24, 0.055, 0.060, -0.010),
    (0.42, 0.051, 0.055, -0.012),
    (0.62, 0.042, 0.045, -0.006),
    (0.80, 0.037, 0.040, -0.001),
    (0.94, 0.035, 0.039, 0.000),
    (1.03, 0.035, 0.040, 0.002),
)
_UPPER_ARM = (
    (-0.40, 0.022, 0.040),
    (-0.20, 0.029, 0.047),
    (-0.06, 0.035, 0.052),
    (0.06, 0.043, 0.054),
    (0.20, 0.048, 0.053),
    (0.34, 0.048, 0.050),
    (0.56, 0.043, 0.045),
    (0.80, 0.039, 0.041),
    (1.00, 0.037, 0.039),
)
_FOREARM = (
    (0.12, 0.038, 0.041),
    (0.28, 0.038, 0.042),
    (0.50, 0.034, 0.038),
    (0.74, 0.028, 0.033),
    (0.95, 0.023, 0.029),
)
# Metres past the wrist, half thickness, half width, shift to the thumb's side.
_HAND = (
    (0.000, 0.020, 0.027, 0.000),
    (0.030, 0.018, 0.035, 0.002),
    (0.065, 0.017, 0.042, 0.003),
    (0.095, 0.016, 0.042, 0.001),
    (0.125, 0.013, 0.038, -0.001),
    (0.155, 0.011, 0.031, -0.003),
    (0.178, 0.008, 0.021, -0.005),
    (0.188, 0.003, 0.008, -0.006),
)
_THUMB = ((0.0, 0.015), (0.5, 0.014), (0.85, 0.011), (1.0, 0.004))
# Metres in front of the ankle, half width, half height, joint.
_SHOE = (
    (-0.072, 0.014, 0.014, "ankle"),
    (-0.064, 0.030, 0.030, "ankle"),
    (-0.035, 0.037, 0.043, "ankle"),
    (0.000, 0.039, 0.049, "ankle"),
    (0.045, 0.041, 0.043, "ankle"),
    (0.085, 0.045, 0.034, "ankle"),
    (0.120, 0.048, 0.029, "foot"),
    (0.155, 0.045, 0.025, "foot"),
    (0.182, 0.034, 0.020, "foot"),
    (0.197, 0.016, 0.013, "foot"),
)


def make_figure(betas: Float | None, cut: Cut, *, stool_m: float | None = None) -> Mesh:
    """The surface of a person with ten shape values and a cut of clothes.

    With ``stool_m`` a stool of that height stands on the origin; its vertices come last
    (`stool_vertices` of them) and do not belong to the body: put them where they stand.
    """
    rest = rest_joints(betas)
    maker = MeshMaker(rest)
    _add_torso(maker, cut)
    for name, sign in (("left", 1.0), ("right", -1.0)):
        _add_leg(maker, cut, name, sign)
        _add_shoe(maker, name, sign)
        _add_arm(maker, cut, name, sign)
        _add_hand(maker, name, sign)
    add_head(maker, betas, cut.hair)
    if stool_m is not None:
        rings = [
            Ring(
                np.array([0.0, y * stool_m, 0.0]),
                np.array([r, 0, 0]),
                np.array([0, 0, r]),
                (("pelvis", 1.0),),
                "seat",
            )
            for y, r in _STOOL
        ]
        maker.tube(rings, _STOOL_SEGMENTS)
    return maker.build()


def stool_vertices() -> int:
    """Number of vertices of the stool."""
    return len(_STOOL) * _STOOL_SEGMENTS


def _add_torso(maker: MeshMaker, cut: Cut) -> None:
    neutral = rest_joints(None)
    rings = []
    for number, (y, z, wide, deep, joints) in enumerate(_TORSO):
        # Where the joints moved with the shape, the rings move along.
        shift = sum(
            share * (maker.rest[_index(name)] - neutral[_index(name)]) for name, share in joints
        )
        zone = "trousers" if y < -0.2 else "belt" if y < -0.18 else "shirt"
        if zone == "shirt" and cut.stripes and number % 2:
            zone = "shirt2"
        if y > 0.27:
            zone = "skin"
        thick = cut.girth if y < 0.24 else 1.0
        rings.append(
            Ring(
                np.array([0.0, y, z]) + shift,
                np.array([wide * thick, 0, 0]),
                np.array([0, 0, deep * thick]),
                joints,
                zone,
                square=0.82 if y < 0.24 else 1.0,
            )
        )
    maker.tube(rings, 20)


def _index(name: str) -> int:
    return JOINT[name]


def _add_leg(maker: MeshMaker, cut: Cut, name: str, sign: float) -> None:
    hip, knee, ankle = (maker.rest[_index(f"{name}_{j}")] for j in ("hip", "knee", "ankle"))
    rings = []
    length = [np.linalg.norm(knee - hip), np.linalg.norm(ankle - knee)]
    for part, (table, top, bottom) in enumerate(((_THIGH, hip, knee), (_SHIN, knee, ankle))):
        for s, wide, deep, front in table:
            along = (s * length[0] if part == 0 else length[0] + s * length[1]) / sum(length)
            cloth = along < cut.trousers
            if part == 0:
                joints = {-0.16: (("pelvis", 0.65), (f"{name}_hip", 0.35))}.get(
                    s,
                    (("pelvis", 0.25), (f"{name}_hip", 0.75))
                    if s < 0.05
                    else ((f"{name}_hip", 1.0),),
                )
                if s > 0.8:
                    share = 0.5 if s == 1.0 else 0.15
                    joints = ((f"{name}_hip", 1 - share), (f"{name}_knee", share))
            else:
                share = 0.15 if s < 0.15 else 0.0
                joints = ((f"{name}_knee", 1 - share), (f"{name}_hip", share))
            loose = 0.006 + 0.012 * along if cloth else 0.0
            thick = 1 + (cut.girth - 1) * (1 - 0.6 * along)
            outwards = 0.012 * sign * max(0.0, 0.2 - s) if part == 0 else 0.0
            rings.append(
                Ring(
                    top + s * (bottom - top) + np.array([outwards, 0, front]),
                    np.array([wide * thick + loose, 0, 0]),
                    np.array([0, 0, deep * thick + loose]),
                    joints,
                    "trousers" if cloth else "skin",
                    behind=0.06 if part == 0 and s < 0 else 0.0,
                )
            )
    maker.tube(rings, 14)


def _add_shoe(maker: MeshMaker, name: str, sign: float) -> None:
    ankle, ball = maker.rest[_index(f"{name}_ankle")], maker.rest[_index(f"{name}_foot")]
    forward = (ball - ankle) * np.array([1.0, 0.0, 1.0])
    size = float(np.linalg.norm(forward)) / 0.122
    forward /= np.linalg.norm(forward)
    aside = np.array([forward[2], 0.0, -forward[0]])
    floor = ball[1] - SOLE_M * size
    rings = []
    for ahead, wide, high, joint in _SHOE:
        centre = ankle + forward * ahead * size
        centre = np.array([centre[0], floor + (high + 0.002) * size, centre[2]])
        rings.append(
            Ring(
                centre,
                aside * wide * size,
                np.array([0.0, high * size, 0.0]),
                ((f"{name}_{joint}", 1.0),),
                "shoe",
                square=0.75,
            )
        )
    first = len(maker.quads)
    maker.tube(rings, 12)
    vertices = np.concatenate(maker.vertices)
    for k in range(first, len(maker.quads)):
        if vertices[maker.quads[k], 1].mean() < floor + 0.016 * size:
            maker.quad_zones[k] = ZONE["sole"]


def _add_arm(maker: MeshMaker, cut: Cut, name: str, sign: float) -> None:
    shoulder, elbow, wrist = (
        maker.rest[_index(f"{name}_{j}")] for j in ("shoulder", "elbow", "wrist")
    )
    rings = []
    for part, (table, top, bottom) in enumerate(
        ((_UPPER_ARM, shoulder, elbow), (_FOREARM, elbow, wrist))
    ):
        for s, high, deep in table:
            along = (s + part) / 2
            cloth = along < cut.sleeve
            joints: tuple[tuple[str, float], ...]
            if part == 0:
                share = {-0.40: 1.0, -0.20: 0.9, -0.06: 0.6, 0.06: 0.25}.get(s, 0.0)
                joints = ((f"{name}_shoulder", 1 - share), (f"{name}_collar", share))
                if s > 0.7:
                    share = 0.5 if s == 1.0 else 0.08
                    joints = ((f"{name}_shoulder", 1 - share), (f"{name}_elbow", share))
            else:
                share = 0.1 if s < 0.2 else 0.0
                joints = ((f"{name}_elbow", 1 - share), (f"{name}_shoulder", share))
            loose = 0.005 + 0.008 * min(1.0, max(along, 0.0) * 2) if cloth else 0.0
            thick = 1 + (cut.girth - 1) * 0.7
            rings.append(
                Ring(
                    top
                    + s * (bottom - top)
                    + np.array([0, -0.012 * (s < 0.1) - 0.010 * (s < -0.1), 0]),
                    np.array([0, high * thick + loose, 0]),
                    np.array([0, 0, deep * thick + loose]),
                    joints,
                    "sleeve" if cloth else "skin",
                    behind=0.05 if part == 0 and s < -0.1 else 0.0,
                )
            )
    maker.tube(rings, 12)


def _add_hand(maker: MeshMaker, name: str, sign: float) -> None:
    wrist = maker.rest[_index(f"{name}_wrist")]
    carried = ((f"{name}_wrist", 1.0),)
    rings = [
        Ring(
            wrist + np.array([sign * (out - 0.012), -0.004, thumb - 0.06 * out]),
            np.array([0, thick, 0]),
            np.array([0, 0, wide]),
            carried,
        )
        for out, thick, wide, thumb in _HAND
    ]
    maker.tube(rings, 10)
    root = wrist + np.array([sign * 0.025, -0.006, 0.020])
    tip = root + np.array([sign * 0.058, -0.010, 0.046])
    across = np.array([0, 1.0, 0])
    aside = np.cross(tip - root, across)
    aside /= np.linalg.norm(aside)
    rings = [Ring(root + s * (tip - root), across * r, aside * r, carried) for s, r in _THUMB]
    maker.tube(rings, 6)
