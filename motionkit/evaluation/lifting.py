"""How far lifted 3D is from the truth: MPJPE, PA-MPJPE, and the floors to compare with.

Over COCO's twelve body joints (shoulders, elbows, wrists, hips, knees, ankles), in millimetres;
face points are left out, since they are approximations of mesh vertices.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

#: COCO-17 indices of the body joints.
BODY_JOINTS: tuple[int, ...] = tuple(range(5, 17))


def _hip_centred(points: Float) -> Float:
    """[F, 17, 3] round the middle of the hips."""
    return points - points[:, 11:13].mean(1, keepdims=True)


def mpjpe_mm(predicted: Float, true: Float) -> Float:
    """Mean distance a frame [F], mm, of COCO points [F, 17, 3] in metres, hips on hips."""
    gap = _hip_centred(predicted) - _hip_centred(true)
    return 1000 * np.linalg.norm(gap[:, list(BODY_JOINTS)], axis=-1).mean(-1)


def aligned(predicted: Float, true: Float) -> Float:
    """``predicted`` [F, J, 3] after the best similarity (no mirror) onto ``true``, frame by frame.

    Procrustes: rotation, scale and shift that give the least squared distance.
    """
    mean_p, mean_t = predicted.mean(1, keepdims=True), true.mean(1, keepdims=True)
    p, t = predicted - mean_p, true - mean_t
    u, s, vt = np.linalg.svd(np.einsum("fji,fjk->fik", p, t))
    sign = np.sign(np.linalg.det(u @ vt))
    s = s.copy()
    s[:, -1] *= sign
    u = u.copy()
    u[:, :, -1] *= sign[:, None]
    rotation = u @ vt
    scale = s.sum(1) / np.maximum((p * p).sum((1, 2)), 1e-12)
    return scale[:, None, None] * (p @ rotation) + mean_t


def pa_mpjpe_mm(predicted: Float, true: Float) -> Float:
    """Mean distance a frame [F], mm, after aligning each frame (`aligned`)."""
    joints = list(BODY_JOINTS)
    gap = aligned(predicted[:, joints], true[:, joints]) - true[:, joints]
    return 1000 * np.linalg.norm(gap, axis=-1).mean(-1)


def mean_pose(true: Float, rounds: int = 5) -> Float:
    """The constant pose [17, 3] that is nearest, after alignment, to training truth [F, 17, 3].

    Generalised Procrustes: align every frame to the mean, take the mean, repeat. A floor that
    sees the training's 3D truth, which the model never does.
    """
    body = list(BODY_JOINTS)
    pose = true[0].astype(float)
    for _ in range(rounds):
        p, t = true[:, body], np.broadcast_to(pose[body], (len(true), len(body), 3))
        mean = aligned(p, t).mean(0)
        pose = pose.copy()
        pose[body] = mean
    return pose


def flat_lift(xy: Float) -> Float:
    """The picture itself as 3D: [F, 17, 2] → [F, 17, 3] with z = 0 (y down)."""
    return np.concatenate([xy, np.zeros_like(xy[..., :1])], -1)


def facing_deg(points: Float) -> Float:
    """Facing [F] in degrees in the camera frame: 0 at the camera, +90 the picture's right.

    From COCO points [F, 17, 3] (x right, y down, z forward): at right angles to hips and shoulders.
    """
    across = (points[:, 5] - points[:, 6]) + (points[:, 11] - points[:, 12])
    return np.degrees(np.arctan2(across[:, 2], across[:, 0]))


def facing_error_deg(predicted: Float, true: Float) -> Float:
    """Absolute difference of the facing [F], 0..180 degrees."""
    gap = facing_deg(predicted) - facing_deg(true)
    return np.abs((gap + 180) % 360 - 180)
