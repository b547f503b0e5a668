"""Rotations in torch: axis-angle, 6D and matrices, with gradients that are finite everywhere.

The numpy twins are in `rotations`. A 6D rotation is the first **two columns** of its matrix
(Zhou et al. 2019), the first column first.
"""

from __future__ import annotations

import torch
from torch import Tensor

_TINY = 1e-12


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """Rotation matrices [..., 3, 3] of axis-angle vectors [..., 3] in radians (Rodrigues).

    Near the zero rotation the two coefficients come from their series, so that neither the
    value nor the gradient divides by the angle.
    """
    x, y, z = axis_angle.unbind(-1)
    angle2 = x * x + y * y + z * z
    small = angle2 < 1e-6
    safe = torch.where(small, torch.ones_like(angle2), angle2).sqrt()
    # Half angles: 1 - cos would lose half of the digits near zero.
    half = torch.sin(safe / 2) / safe
    a = torch.where(small, 1 - angle2 / 6, 2 * half * torch.cos(safe / 2))
    b = torch.where(small, 0.5 - angle2 / 24, 2 * half * half)
    ax, ay, az, bx, by = a * x, a * y, a * z, b * x, b * y
    xy, xz, yz, rest = bx * y, bx * z, by * z, 1 - b * angle2
    # Written out: products of 3x3 matrices are slow, above all backwards.
    rows = [rest + bx * x, xy - az, xz + ay]
    rows += [xy + az, rest + by * y, yz - ax]
    rows += [xz - ay, yz + ax, rest + b * z * z]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def _unit(vector: Tensor, instead: Tensor) -> Tensor:
    """``vector`` at length 1; ``instead`` where it has no direction (and no gradient there)."""
    length2 = (vector * vector).sum(-1, keepdim=True)
    none = length2 < _TINY
    safe = torch.where(none, instead, vector)
    return safe / (safe * safe).sum(-1, keepdim=True).sqrt()


def six_d_to_matrix(six_d: Tensor) -> Tensor:
    """Rotation matrices [..., 3, 3] of 6D vectors [..., 6] by Gram–Schmidt.

    Always a rotation: where the two vectors vanish or are parallel, a fixed perpendicular
    direction stands in, and the gradient there is zero instead of infinite.
    """
    first, second = six_d[..., :3], six_d[..., 3:]
    axes = torch.eye(3, dtype=six_d.dtype, device=six_d.device)
    x = _unit(first, axes[0].expand_as(first))
    rest = second - (x * second).sum(-1, keepdim=True) * x
    # The coordinate axis least aligned with x is never parallel to it.
    other = axes[x.detach().abs().argmin(-1)]
    other = other - (x * other).sum(-1, keepdim=True) * x
    y = _unit(rest, other)
    return torch.stack([x, y, torch.linalg.cross(x, y)], -1)


def matrix_to_six_d(matrix: Tensor) -> Tensor:
    """6D vectors [..., 6] (first column, then second) of rotation matrices [..., 3, 3]."""
    return torch.cat([matrix[..., :, 0], matrix[..., :, 1]], -1)


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """Axis-angle vectors [..., 3] in radians (angle 0..pi) of rotation matrices [..., 3, 3].

    Goes through the quaternion whose largest component is taken from the diagonal, so that no
    square root is taken near zero: finite gradients for every rotation, half turns included.
    """
    m = matrix
    m00, m11, m22 = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    squares = torch.stack(
        [1 + m00 + m11 + m22, 1 + m00 - m11 - m22, 1 - m00 + m11 - m22, 1 - m00 - m11 + m22], -1
    )
    a, b, c = (
        m[..., 2, 1] - m[..., 1, 2],
        m[..., 0, 2] - m[..., 2, 0],
        m[..., 1, 0] - m[..., 0, 1],
    )
    d, e, f = (
        m[..., 1, 0] + m[..., 0, 1],
        m[..., 0, 2] + m[..., 2, 0],
        m[..., 2, 1] + m[..., 1, 2],
    )
    rows = torch.stack(
        [
            torch.stack([squares[..., 0], a, b, c], -1),
            torch.stack([a, squares[..., 1], d, e], -1),
            torch.stack([b, d, squares[..., 2], f], -1),
            torch.stack([c, e, f, squares[..., 3]], -1),
        ],
        -2,
    )  # each row is the quaternion (w, x, y, z) times 4 times one of its components
    best = squares.argmax(-1, keepdim=True)
    row = torch.take_along_dim(rows, best[..., None], -2).squeeze(-2)
    quaternion = row / (row * row).sum(-1, keepdim=True).sqrt()  # the best row is never short
    quaternion = torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    w, v = quaternion[..., :1], quaternion[..., 1:]
    length2 = (v * v).sum(-1, keepdim=True)
    small = length2 < 1e-8
    length = torch.where(small, torch.ones_like(length2), length2).sqrt()
    factor = torch.where(small, 2 / w.clamp(min=0.5), 2 * torch.atan2(length, w) / length)
    return v * factor


def yaw_matrix(sin: Tensor, cos: Tensor) -> Tensor:
    """Turns [..., 3, 3] about y from the sine and cosine [...] of the angle."""
    zero, one = torch.zeros_like(sin), torch.ones_like(sin)
    return torch.stack([cos, zero, sin, zero, one, zero, -sin, zero, cos], -1).unflatten(-1, (3, 3))


def pitch_matrix(angle: Tensor) -> Tensor:
    """Turns [..., 3, 3] about x by ``angle`` [...] radians."""
    sin, cos = torch.sin(angle), torch.cos(angle)
    zero, one = torch.zeros_like(sin), torch.ones_like(sin)
    return torch.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], -1).unflatten(-1, (3, 3))
