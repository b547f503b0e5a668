"""Rotations in numpy: axis-angle, matrices, Euler. The torch twins are in `rotations_torch`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def from_axis_angle(axis_angle: Float) -> Float:
    """Rotation matrices [..., 3, 3] of axis-angle vectors [..., 3] in radians (Rodrigues)."""
    v = np.asarray(axis_angle, dtype=float)
    angle2 = (v * v).sum(-1)[..., None, None]
    angle = np.sqrt(angle2)
    small = angle < 1e-4
    safe = np.where(small, 1.0, angle)
    a = np.where(small, 1 - angle2 / 6, np.sin(safe) / safe)
    b = np.where(small, 0.5 - angle2 / 24, (1 - np.cos(safe)) / (safe * safe))
    k = _cross_matrix(v)
    return np.eye(3) + a * k + b * (k @ k)


def to_axis_angle(matrix: Float) -> Float:
    """Axis-angle vectors [..., 3] in radians (angle 0..pi) of rotation matrices [..., 3, 3]."""
    from scipy.spatial.transform import Rotation

    flat = np.asarray(matrix, dtype=float).reshape(-1, 3, 3)
    return Rotation.from_matrix(flat).as_rotvec().reshape(*np.shape(matrix)[:-2], 3)


def to_quaternion(axis_angle: Float) -> Float:
    """Unit quaternions [..., 4] (x, y, z, w) of axis-angle vectors [..., 3] in radians."""
    v = np.asarray(axis_angle, dtype=float)
    angle = np.linalg.norm(v, axis=-1, keepdims=True)
    # sin(a / 2) / a without dividing by a
    return np.concatenate([v * (0.5 * np.sinc(angle / (2 * np.pi))), np.cos(angle / 2)], -1)


def from_quaternion(quaternion: Float) -> Float:
    """Axis-angle vectors [..., 3] (angle 0..pi) of quaternions [..., 4] (x, y, z, w), any length.

    ValueError for a quaternion of length zero.
    """
    q = np.asarray(quaternion, dtype=float)
    length = np.linalg.norm(q, axis=-1, keepdims=True)
    if not (length > 1e-12).all():
        raise ValueError("a quaternion of length zero")
    q = q / length
    q = np.where(q[..., 3:] < 0, -q, q)
    sine = np.linalg.norm(q[..., :3], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, q[..., 3:])
    return q[..., :3] * np.where(sine > 1e-9, angle / np.maximum(sine, 1e-9), 2.0)


def about(axis: str, angle: Float | float) -> Float:
    """Rotation matrices [..., 3, 3] by ``angle`` [...] radians about 'x', 'y' or 'z'."""
    angle = np.asarray(angle, dtype=float)
    vector = np.zeros((*angle.shape, 3))
    vector[..., "xyz".index(axis)] = angle
    return from_axis_angle(vector)


def _cross_matrix(v: Float) -> Float:
    zero = np.zeros_like(v[..., 0])
    x, y, z = v[..., 0], v[..., 1], v[..., 2]
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    return np.stack(rows, -1).reshape(*v.shape[:-1], 3, 3)
