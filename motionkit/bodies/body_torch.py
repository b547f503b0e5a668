"""The built-in skeleton in torch: forward kinematics, COCO-17 points, the spec's projection.

Same numbers as `skeleton`, differentiable, for any number of leading dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from motionkit.bodies.skeleton import (
    COCO_BODY,
    FACE_OFFSETS,
    JOINT,
    PARENTS,
    REST_OFFSETS,
    SHAPE_BASIS,
    SHAPE_STEP,
)

#: Focal length of the spec's camera, pixels (K2M, section 3).
FOCAL_PX = 5000.0


def _levels() -> list[list[int]]:
    """Joints by their distance from the pelvis: one matrix product a level, not one a joint."""
    depth: list[int] = []
    for parent in PARENTS:
        depth.append(0 if parent < 0 else depth[parent] + 1)
    return [[j for j, d in enumerate(depth) if d == level] for level in range(max(depth) + 1)]


class TorchBody(nn.Module):
    """Forward kinematics of the built-in skeleton. No weights; buffers only."""

    offsets: Tensor
    basis: Tensor
    face: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Not persistent: constants of the code, not state of a checkpoint.
        self.register_buffer(
            "offsets", torch.tensor(REST_OFFSETS, dtype=torch.float32), persistent=False
        )
        self.register_buffer(
            "basis", torch.tensor(SHAPE_BASIS, dtype=torch.float32), persistent=False
        )
        face = torch.tensor(list(FACE_OFFSETS.values()), dtype=torch.float32)
        self.register_buffer("face", face, persistent=False)
        self._levels = _levels()
        order = [j for level in self._levels for j in level]
        self._back = sorted(range(24), key=lambda i: order[i])
        # where each level's parents stand inside the level before
        self._parent_slots = [
            [above.index(PARENTS[j]) for j in level]
            for above, level in zip(self._levels[:-1], self._levels[1:], strict=True)
        ]

    def forward(
        self, rotations: Tensor, pelvis: Tensor, betas: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Joints and COCO-17 points of a motion.

        ``rotations`` [..., 24, 3, 3] relative to the parent, the first the body's in the world
        (or camera) frame; ``pelvis`` [..., 3] the pelvis's position in metres; ``betas``
        [..., 10]. Returns joints [..., 24, 3], COCO points [..., 17, 3], both in metres in the
        frame of ``pelvis``, and global rotations [..., 24, 3, 3].
        """
        scale = torch.exp(SHAPE_STEP * (betas @ self.basis))
        bones = self.offsets * scale[..., None]  # [..., 24, 3]
        turns = [rotations[..., :1, :, :]]
        places = [pelvis[..., None, :]]
        for level, slots in zip(self._levels[1:], self._parent_slots, strict=True):
            above, at = turns[-1][..., slots, :, :], places[-1][..., slots, :]
            places.append(at + (above @ bones[..., level, :, None]).squeeze(-1))
            turns.append(above @ rotations[..., level, :, :])
        joints = torch.cat(places, -2)[..., self._back, :]
        world = torch.cat(turns, -3)[..., self._back, :, :]
        head = JOINT["head"]
        face_scale = torch.exp(SHAPE_STEP * (betas[..., 0] + betas[..., 8]))[..., None, None]
        face = self.face * face_scale  # [..., 5, 3]
        face = joints[..., head, None, :] + face @ world[..., head, :, :].transpose(-1, -2)
        return joints, torch.cat([face, joints[..., COCO_BODY, :]], -2), world

    def pelvis_rest(self, betas: Tensor) -> Tensor:
        """Where the pelvis stands at rest [..., 3]; SMPL's translation is the pelvis minus this."""
        return self.offsets[0] * torch.exp(SHAPE_STEP * (betas @ self.basis[:, 0]))[..., None]


def project(
    points: Tensor, size: Tensor, *, focal: float = FOCAL_PX, eps: float = 1e-6
) -> tuple[Tensor, Tensor]:
    """The spec's perspective projection of camera-frame points.

    ``points`` [..., J, 3] metres (x right, y down, z forward), ``size`` [..., 2] the picture's
    (W, H) in pixels. u = f·x/(z+ε) + W/2, v = f·y/(z+ε) + H/2. Returns pixels [..., J, 2] and
    which points are in front of the camera, bool [..., J]; the others have no image: their
    pixels are the picture's centre, with a zero gradient, and must be left out of every loss.
    """
    z = points[..., 2:]
    front = z > 0
    depth = torch.where(front, z + eps, torch.ones_like(z))
    xy = torch.where(front, points[..., :2], torch.zeros_like(points[..., :2]))
    return focal * xy / depth + size[..., None, :] / 2, front.squeeze(-1)
