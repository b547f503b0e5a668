"""Motion capture of any common skeleton as COCO-17 points in metres: truth for lifting.

BVH files name their joints in a dozen ways. Here a joint is found by its name, the unit of
length by the leg's length, and the face (which no skeleton has) stands round the head joint.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.bvh import Bvh
from motionkit.bodies.skeleton import FACE_OFFSETS
from motionkit.errors import InputError

Float = NDArray[np.float64]

#: Names of joints, lower case without signs, most telling first; {side} is left or right, {s} its
#: letter. "leftshoulder" is the collar bone where there is an upper arm as well, so it comes last.
#: A hand or a foot is the wrist or ankle where the file has no such joint.
_NAMES: dict[str, tuple[str, ...]] = {
    "shoulder": ("upperarm{s}", "{side}arm", "{side}uparm", "{side}upperarm", "{s}arm",
                 "{s}upperarm", "{side}shoulder", "{s}shoulder"),
    "elbow": ("lowerarm{s}", "{side}forearm", "{side}lowarm", "{side}lowerarm", "{side}elbow",
              "{s}forearm", "{s}elbow"),
    "wrist": ("{side}wrist", "{s}wrist", "hand{s}", "{side}hand", "{s}hand"),
    "hip": ("upperleg{s}", "{side}upleg", "{side}thigh", "{side}upperleg", "{s}upleg", "{s}thigh",
            "{side}hip", "{s}hip"),
    "knee": ("lowerleg{s}", "{side}leg", "{side}lowleg", "{side}shin", "{side}lowerleg", "{s}shin",
             "{side}knee", "{s}knee"),
    "ankle": ("{side}ankle", "{s}ankle", "foot{s}", "{side}foot", "{s}foot"),
}  # fmt: skip
_ORDER = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
#: Metres of a file's unit, tried in this order: metres, centimetres, millimetres, inches, and the
#: unit of the CMU data base (inches / 0.45).
UNITS_M = (1.0, 0.01, 0.001, 0.0254, 0.0254 / 0.45)
#: Thigh and shin of a grown-up, metres.
LEG_M = 0.82


@dataclass(frozen=True)
class MocapPoints:
    """A motion as COCO points in the world of its file: metres, y up."""

    points: Float
    """[F, 17, 3]."""
    fps: float
    unit_m: float
    """Metres of the file's unit."""


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.rpartition(":")[2].lower())


def _find(names: list[str], part: str, side: str) -> int:
    tried = [name.format(side=side, s=side[0]) for name in _NAMES[part]]
    for name in tried:
        if name in names:
            return names.index(name)
    raise InputError(
        "bvh-joint-unknown",
        f"no joint of the file looks like the {side} {part} (tried {', '.join(tried)}).",
        hint="rename the file's joints to one of these",
    )


def coco_points(bvh: Bvh, *, fps: float = 30.0, unit_m: float | None = None) -> MocapPoints:
    """COCO-17 points of a BVH file, at ``fps`` frames a second (the nearest earlier ones).

    ``unit_m`` None: the unit under which the leg comes nearest to a grown-up's. InputError
    'bvh-joint-unknown' for a skeleton whose joints cannot be told by name.
    """
    names = [_plain(n) for n in bvh.names]
    body = [_find(names, part, side) for part in _ORDER for side in ("left", "right")]
    head = names.index("head") if "head" in names else -1
    if head < 0:
        raise InputError("bvh-joint-unknown", "the file has no joint 'Head'.")
    rate = 1.0 / bvh.frame_time_s
    count = max(1, int(np.floor((len(bvh.frames) - 1) / rate * fps + 1e-6)) + 1)
    at = np.minimum(np.floor(np.arange(count) / fps * rate + 1e-3).astype(int), len(bvh.frames) - 1)
    places, turns = bvh.pose()
    places, turns = places[at], turns[at]
    hip, knee, ankle = (body[_ORDER.index(p) * 2] for p in ("hip", "knee", "ankle"))
    leg = float(
        np.linalg.norm(places[:, knee] - places[:, hip], axis=-1).mean()
        + np.linalg.norm(places[:, ankle] - places[:, knee], axis=-1).mean()
    )
    if unit_m is None:
        unit_m = min(UNITS_M, key=lambda u: abs(np.log(max(leg, 1e-9) * u / LEG_M)))
    points = np.zeros((count, 17, 3))
    points[:, 5:] = places[:, body] * unit_m
    axes = head_axes(points, turns[:, head])
    scale = leg * unit_m / LEG_M
    face = np.array(list(FACE_OFFSETS.values())) * scale
    points[:, :5] = (places[:, head] * unit_m)[:, None] + np.einsum(
        "fij,jk,nk->fni", turns[:, head], axes, face
    )
    return MocapPoints(points, fps, unit_m)


def head_axes(points: Float, turns: Float) -> Float:
    """[3, 3]: the head's left, up and front as columns in its bone's own frame.

    Every rig has its own axes. On average over a motion the head looks where the chest does, and
    rigs put the bone along an axis: so the mean is taken, and the nearest axes where they are
    near.
    """
    left = points[:, 5] - points[:, 6]
    up = points[:, 5:7].mean(1) - points[:, 11:13].mean(1)
    front = np.cross(left, up)
    left, front = _unit(left), _unit(front)
    frame = np.stack([left, np.cross(front, left), front], -1)
    mean = np.einsum("fji,fjk->ik", turns, frame) / len(turns)
    u, _, vt = np.linalg.svd(mean)
    axes = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    snapped = np.zeros((3, 3))
    for column in (1, 2):
        row = int(np.abs(axes[:, column]).argmax())
        snapped[row, column] = np.sign(axes[row, column])
    snapped[:, 0] = np.cross(snapped[:, 1], snapped[:, 2])
    near = np.trace(snapped.T @ axes) > 1 + 2 * np.cos(np.radians(40))
    return snapped if near else axes


def _unit(v: Float) -> Float:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)
