"""The built-in 24-joint skeleton: SMPL's joints, order and neutral rest offsets, without its mesh.

Metres, y up, x to the body's left, facing +z, arms stretched out to the sides (T-pose).
Offsets are the published rest positions of SMPL's neutral template (betas 0). Ten shape
values change bone lengths here (`SHAPE_BASIS`): they are *ours*, one meaning each, and not
SMPL's mesh components.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

JOINTS: tuple[str, ...] = (
    "pelvis",
    "left_hip",
    "right_hip",
    "spine1",
    "left_knee",
    "right_knee",
    "spine2",
    "left_ankle",
    "right_ankle",
    "spine3",
    "left_foot",
    "right_foot",
    "neck",
    "left_collar",
    "right_collar",
    "head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hand",
    "right_hand",
)
JOINT: dict[str, int] = {name: i for i, name in enumerate(JOINTS)}

PARENTS: tuple[int, ...] = (
    -1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21,
)  # fmt: skip

#: Offset of each joint from its parent at rest, metres; the pelvis's from the model's origin.
REST_OFFSETS: Float = np.array(
    [
        (-0.0018, -0.2233, 0.0282),  # pelvis
        (0.0695, -0.0914, -0.0068),  # left_hip
        (-0.0677, -0.0905, -0.0043),  # right_hip
        (-0.0025, 0.109, -0.0267),  # spine1
        (0.0343, -0.3752, -0.0045),  # left_knee
        (-0.0383, -0.3826, -0.0089),  # right_knee
        (0.0055, 0.1352, 0.0011),  # spine2
        (-0.0136, -0.398, -0.0437),  # left_ankle
        (0.0158, -0.3984, -0.0423),  # right_ankle
        (0.0015, 0.0529, 0.0254),  # spine3
        (0.0264, -0.0558, 0.1193),  # left_foot
        (-0.0254, -0.0481, 0.1233),  # right_foot
        (-0.0028, 0.2139, -0.0429),  # neck
        (0.0788, 0.1217, -0.0341),  # left_collar
        (-0.0818, 0.1188, -0.0386),  # right_collar
        (0.0052, 0.065, 0.0513),  # head
        (0.091, 0.0305, -0.0089),  # left_shoulder
        (-0.096, 0.0326, -0.0091),  # right_shoulder
        (0.2596, -0.0128, -0.0275),  # left_elbow
        (-0.2537, -0.0133, -0.0214),  # right_elbow
        (0.2492, 0.009, -0.0012),  # left_wrist
        (-0.2553, 0.0078, -0.0056),  # right_wrist
        (0.084, -0.0082, -0.0149),  # left_hand
        (-0.0846, -0.0061, -0.0103),  # right_hand
    ]
)

#: Nose, eyes and ears as offsets from the head joint at rest, metres: approximations of the
#: mesh vertices that SMPL-based pipelines use for COCO's face points.
FACE_OFFSETS: dict[str, tuple[float, float, float]] = {
    "nose": (0.0, 0.050, 0.115),
    "left_eye": (0.033, 0.085, 0.088),
    "right_eye": (-0.033, 0.085, 0.088),
    "left_ear": (0.073, 0.060, -0.010),
    "right_ear": (-0.073, 0.060, -0.010),
}

#: Joint of each COCO-17 point from the shoulders (index 5) on; the first five are `FACE_OFFSETS`.
COCO_BODY: tuple[int, ...] = (16, 17, 18, 19, 20, 21, 1, 2, 4, 5, 7, 8)

_LEGS = ("left_knee", "right_knee", "left_ankle", "right_ankle")
_ARMS = ("left_elbow", "right_elbow", "left_wrist", "right_wrist")
_SPINE = ("spine1", "spine2", "spine3", "neck")
_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("everything", JOINTS),
    ("legs", _LEGS),
    ("arms", _ARMS),
    ("torso", _SPINE),
    ("shoulder width", ("left_collar", "right_collar", "left_shoulder", "right_shoulder")),
    ("hip width", ("left_hip", "right_hip")),
    ("shins", ("left_ankle", "right_ankle")),
    ("forearms", ("left_wrist", "right_wrist")),
    ("neck and head", ("neck", "head")),
    ("feet", ("left_foot", "right_foot")),
)

#: What each of the ten shape values scales.
SHAPE_NAMES: tuple[str, ...] = tuple(name for name, _ in _GROUPS)

#: [10, 24]: the length of joint j's bone is its rest length times exp(0.05 * beta @ basis)[j],
#: so one unit of a shape value is about 5 %.
SHAPE_BASIS: Float = np.array(
    [[1.0 if name in members else 0.0 for name in JOINTS] for _, members in _GROUPS]
)
SHAPE_STEP = 0.05


def shaped_offsets(betas: Float | None = None) -> Float:
    """Rest offsets [24, 3] in metres of a body with ten shape values (None: the neutral body)."""
    if betas is None:
        return REST_OFFSETS.copy()
    scale = np.exp(SHAPE_STEP * (np.asarray(betas, dtype=float) @ SHAPE_BASIS))
    return REST_OFFSETS * scale[:, None]


def betas_of(offsets: Float) -> Float | None:
    """The shape values [10] whose `shaped_offsets` are these [24, 3]; None where there are none.

    The pelvis's own offset does not count: files of motion do not keep it.
    """
    scale = (offsets[1:] * REST_OFFSETS[1:]).sum(1) / (REST_OFFSETS[1:] ** 2).sum(1)
    if not (scale > 0).all():
        return None
    values, *_ = np.linalg.lstsq(SHAPE_STEP * SHAPE_BASIS[:, 1:].T, np.log(scale), rcond=None)
    found: Float = np.where(np.abs(values) < 1e-9, 0.0, values)
    near = np.abs(shaped_offsets(found) - offsets)[1:].max() < 1e-6
    return found if near else None


def face_scale(betas: Float | None) -> float:
    """Factor on `FACE_OFFSETS`: the head grows with the whole body and with the head's value."""
    if betas is None:
        return 1.0
    return float(np.exp(SHAPE_STEP * (betas[0] + betas[8])))


def forward_kinematics(
    rotations: Float,
    translation: Float,
    betas: Float | None = None,
    *,
    offsets: Float | None = None,
) -> tuple[Float, Float]:
    """Joint positions of a motion.

    ``rotations`` [F, 24, 3, 3] are each joint's rotation relative to its parent, the first the
    body's in the world; ``translation`` [F, 3] metres is added to the rest position of the
    pelvis, as in SMPL. ``offsets`` [24, 3] are the rest offsets of another body, instead of
    ``betas``. Returns positions [F, 24, 3] in metres and global rotations [F, 24, 3, 3].
    """
    if offsets is None:
        offsets = shaped_offsets(betas)
    frames = rotations.shape[0]
    positions = np.empty((frames, 24, 3))
    world = np.empty((frames, 24, 3, 3))
    for j, parent in enumerate(PARENTS):
        if parent < 0:
            world[:, j] = rotations[:, j]
            positions[:, j] = offsets[j] + translation
        else:
            world[:, j] = world[:, parent] @ rotations[:, j]
            positions[:, j] = positions[:, parent] + world[:, parent] @ offsets[j]
    return positions, world


def coco_points(positions: Float, world: Float, betas: Float | None = None) -> Float:
    """COCO-17 points [F, 17, 3] in metres from joints [F, 24, 3] and global rotations."""
    head = JOINT["head"]
    face = np.array(list(FACE_OFFSETS.values())) * face_scale(betas)  # [5, 3]
    points = np.empty((positions.shape[0], 17, 3))
    points[:, :5] = positions[:, None, head] + np.einsum("fij,kj->fki", world[:, head], face)
    points[:, 5:] = positions[:, list(COCO_BODY)]
    return points
