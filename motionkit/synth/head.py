"""Head, hair and face: what tells a viewer, and a pose model, which way a person looks.

Places are offsets from the head joint at rest in metres; nose, eyes and ears sit where
`bodies.skeleton.FACE_OFFSETS` says, so that the truth is what is drawn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.skeleton import FACE_OFFSETS, JOINT, face_scale
from motionkit.synth.mesh import ZONE, MeshMaker, Ring

Float = NDArray[np.float64]
#: From offsets of the head joint to the rest pose.
Place = Callable[[Float], Float]
Carried = tuple[tuple[str, float], ...]

# Height, depth of the centre, half width, half depth.
_SKULL = (
    (-0.052, 0.066, 0.012, 0.010),
    (-0.046, 0.060, 0.026, 0.026),
    (-0.030, 0.047, 0.043, 0.047),
    (-0.005, 0.031, 0.055, 0.066),
    (0.022, 0.020, 0.062, 0.079),
    (0.050, 0.014, 0.067, 0.087),
    (0.075, 0.011, 0.070, 0.091),
    (0.100, 0.008, 0.071, 0.093),
    (0.125, 0.005, 0.069, 0.091),
    (0.148, 0.001, 0.062, 0.082),
    (0.168, -0.003, 0.050, 0.066),
    (0.182, -0.006, 0.034, 0.045),
    (0.190, -0.008, 0.014, 0.018),
)
_SEGMENTS = 18


def add_head(maker: MeshMaker, betas: Float | None, hair: str) -> None:
    """Add skull, hair, nose, ears, eyes, brows and mouth."""
    scale = face_scale(betas)
    origin = maker.rest[JOINT["head"]]
    carried = (("head", 1.0),)

    def place(points: Float) -> Float:
        return origin + scale * np.asarray(points, dtype=float)

    rings = [
        Ring(
            place(np.array([0.0, y, z])),
            np.array([wide * scale, 0, 0]),
            np.array([0, 0, deep * scale]),
            carried,
        )
        for y, z, wide, deep in _SKULL
    ]
    first = len(maker.quads)
    maker.tube(rings, _SEGMENTS)
    for k in range(first, len(maker.quads)):  # no skin shines through between the locks
        if _SKULL[(k - first) // _SEGMENTS][0] > 0.12:
            maker.quad_zones[k] = ZONE["hair"]
    if hair != "bald":
        _add_hair(maker, place, carried, hair, scale)
    else:
        _shave(maker, first)
    _add_nose(maker, place, carried)
    _add_patches(maker, place, hair)


def _shave(maker: MeshMaker, first: int) -> None:
    """A bald head is skin all over."""
    for k in range(first, len(maker.quads)):
        maker.quad_zones[k] = ZONE["skin"]


def _add_hair(maker: MeshMaker, place: Place, carried: Carried, hair: str, scale: float) -> None:
    """A shell over the skull, open at the face; long hair falls to the shoulders."""
    lowest = {"short": 0.030, "bun": 0.020, "long": -0.085}[hair]
    heights = [*np.linspace(lowest, 0.125, 7), 0.148, 0.168, 0.183, 0.193, 0.199]
    angle = 2 * np.pi * (np.arange(_SEGMENTS) + 0.5) / _SEGMENTS
    starts = []
    for y in heights:
        # Over the skull by about a centimetre; the crown is the skull's, moved up.
        middle, wide, deep = (
            float(np.interp(y - 0.009 * (y > 0.13), *_column(k))) for k in (1, 2, 3)
        )
        if y < 0.05:  # the back of the head and the hair on the neck, not the narrower jaw
            middle, wide, deep = -0.006, 0.068, 0.090
        wide, deep = wide + 0.010, deep + 0.010
        points = np.stack(
            [wide * np.cos(angle), np.full_like(angle, y), middle + deep * np.sin(angle)], -1
        )
        starts.append(maker.add_points(place(points), carried))
    top = np.tile([[0.0, 0.201, -0.006]], (_SEGMENTS, 1))
    heights.append(0.201)
    starts.append(maker.add_points(place(top), carried))
    for k in range(len(starts) - 1):
        middle = (heights[k] + heights[k + 1]) / 2
        # The hairline: high over the forehead, down in front of the ears, low at the back.
        for i in range(_SEGMENTS):
            j = (i + 1) % _SEGMENTS
            turn = np.sin(2 * np.pi * (i + 1) / _SEGMENTS)  # 1 at the front, -1 at the back
            limit = 0.118 if turn > 0.45 else 0.085 if turn > 0.1 else -1.0
            if hair != "long" and turn > -0.35 and turn <= 0.1:
                limit = 0.075
            if middle < limit:
                continue
            a, b = starts[k], starts[k + 1]
            maker.quad([a + i, b + i, b + j, a + j], "hair")
    if hair == "bun":
        knot = [
            Ring(
                place(np.array([0.0, 0.15 + 0.03 * t, -0.088 - 0.02 * t])),
                np.array([r, 0, 0]) * scale,
                np.array([0, -0.4 * r, r]) * scale,
                carried,
                "hair",
            )
            for t, r in ((-1.0, 0.008), (-0.6, 0.028), (0.0, 0.036), (0.6, 0.028), (1.0, 0.008))
        ]
        maker.tube(knot, 8)


def _column(k: int) -> tuple[list[float], list[float]]:
    return [row[0] for row in _SKULL], [row[k] for row in _SKULL]


def _surface(x: float, y: float) -> float:
    """Depth of the face's surface in front of the head joint at x, y."""
    z, wide, deep = (float(np.interp(y, *_column(k))) for k in (1, 2, 3))
    return z + deep * float(np.sqrt(max(0.0, 1 - (x / wide) ** 2)))


def _add_nose(maker: MeshMaker, place: Place, carried: Carried) -> None:
    tip = np.array(FACE_OFFSETS["nose"])
    bridge = np.array([0.0, 0.084, _surface(0, 0.084) - 0.002])
    low = np.array([0.0, 0.034, _surface(0, 0.034) - 0.001])
    left = np.array([0.018, 0.040, _surface(0.018, 0.040) - 0.002])
    right = left * np.array([-1, 1, 1])
    first = maker.add_points(place(np.stack([bridge, tip, left, low, right])), carried)
    bridge_i, tip_i, left_i, low_i, right_i = range(first, first + 5)
    maker.quad([bridge_i, tip_i, left_i, left_i], "nose")
    maker.quad([bridge_i, right_i, tip_i, tip_i], "nose")
    maker.quad([tip_i, low_i, left_i, left_i], "lips")
    maker.quad([tip_i, right_i, low_i, low_i], "lips")


def _add_patches(maker: MeshMaker, place: Place, hair: str) -> None:
    turn = -2 * np.pi * np.arange(8) / 8

    def on_face(x: Float, y: Float, out: float) -> Float:
        z = np.array([_surface(a, b) + out for a, b in zip(x, y, strict=True)])
        return place(np.stack([x, y, z], -1))

    for sign in (1.0, -1.0):
        x0, y0, _ = FACE_OFFSETS["left_eye"]
        # Counter-clockwise as seen from the front, where +x is to the right.
        ring = -turn
        eye = on_face(sign * x0 + 0.0155 * np.cos(ring), y0 + 0.0085 * np.sin(ring), 0.002)
        maker.patch(eye, "head", "eye")
        iris = on_face(sign * x0 + 0.0068 * np.cos(ring), y0 + 0.0072 * np.sin(ring), 0.004)
        maker.patch(iris, "head", "iris")
        inner, outer = x0 - 0.017, x0 + 0.019
        brow = np.array(
            [
                (inner, y0 + 0.015),
                (outer, y0 + 0.014),
                (x0 + 0.006, y0 + 0.023),
                (inner, y0 + 0.021),
            ]
        )
        if sign < 0:
            brow = brow[::-1] * np.array([-1.0, 1.0])
        maker.patch(on_face(brow[:, 0], brow[:, 1], 0.003), "head", "brow")
        if hair != "long":
            ex, ey, ez = FACE_OFFSETS["left_ear"]
            ear = np.stack(
                [
                    sign * (ex + 0.004 - 0.010 * np.cos(turn)),
                    ey + 0.031 * np.sin(turn),
                    ez + 0.017 * np.cos(turn),
                ],
                -1,
            )
            maker.patch(place(ear if sign > 0 else ear[::-1]), "head", "ear")
    mouth = np.stack([0.026 * np.cos(-turn), 0.004 + 0.0075 * np.sin(-turn)], -1)
    maker.patch(on_face(mouth[:, 0], mouth[:, 1], 0.002), "head", "lips")
