"""The built-in skeleton in torch: forward kinematics, COCO-17 points, the spec's projection.

Same numbers as `skeleton`, differentiable, for any number of leading dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from motionkit.bodies.bone_mesh import bone_mesh
from motionkit.bodies.kinematics_torch import chain
from motionkit.bodies.skeleton import (
    COCO_BODY,
    FACE_OFFSETS,
    JOINT,
    REST_OFFSETS,
    SHAPE_BASIS,
    SHAPE_STEP,
)

#: Focal length of the spec's camera, pixels (K2M, section 3).
FOCAL_PX = 5000.0


class TorchBody(nn.Module):
    """The built-in skeleton as a `body.Body`. No weights; buffers only."""

    name = "motionkit-24"
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

    def forward(
        self, rotations: Tensor, pelvis: Tensor, betas: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Joints and COCO-17 points of a motion.

        ``rotations`` [..., 24, 3, 3] relative to the parent, the first the body's in the world
        (or camera) frame; ``pelvis`` [..., 3] the pelvis's position in metres; ``betas``
        [..., 10], whose leading axes broadcast (one shape a motion: [B, 1, 10]). Returns joints
        [..., 24, 3], COCO points [..., 17, 3], both in metres in the frame of ``pelvis``, and
        global rotations [..., 24, 3, 3].

        Computed in the inputs' own precision under autocast too: bfloat16 would be centimetres.
        """
        body = chain(rotations, pelvis, self.rest_offsets(betas))
        face_scale = torch.exp(SHAPE_STEP * (betas[..., 0] + betas[..., 8]))[..., None, None]
        points = body.with_points(self.face * face_scale, JOINT["head"], COCO_BODY)
        return body.joints(), points, body.world()

    def rest_offsets(self, betas: Tensor) -> Tensor:
        """Each joint's place from its parent at rest [..., 24, 3], metres."""
        with torch.autocast(betas.device.type, enabled=False):
            scale = torch.exp(SHAPE_STEP * (betas @ self.basis))
        return self.offsets * scale[..., None]

    def vertices(self, rotations: Tensor, pelvis: Tensor, betas: Tensor) -> Tensor:
        """A mesh of one bone-shaped octahedron a bone [..., V, 3], metres: see `faces`."""
        joints, _, world = self(rotations, pelvis, betas)
        neutral = bone_mesh(REST_OFFSETS)
        owner = torch.as_tensor(neutral.joints, device=joints.device)
        scale = (self.rest_offsets(betas) / self.offsets).mean(-1)  # [..., 24]
        scale = scale[..., torch.as_tensor(neutral.scaled_by, device=joints.device), None]
        local = torch.as_tensor(neutral.local, dtype=joints.dtype, device=joints.device) * scale
        turned = (world[..., owner, :, :] @ local[..., None]).squeeze(-1)
        return joints[..., owner, :] + turned

    @property
    def faces(self) -> Tensor:
        """Triangles of `vertices` [T, 3], counter-clockwise from outside."""
        return torch.as_tensor(bone_mesh(REST_OFFSETS).faces, dtype=torch.long)

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
