"""SMPL as a body, from the user's licensed model file (extra ``smpl`` for its surface).

Joints and COCO points come from forward kinematics on the shaped rest joints and five vertices of
the head, which is all that training needs: 0.01 of the work of the whole surface. The surface
itself is skinned by smplx.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from motionkit.bodies.kinematics_torch import chain
from motionkit.bodies.skeleton import COCO_BODY, PARENTS
from motionkit.bodies.smpl_file import read_smpl
from motionkit.errors import need_packages

#: Vertices of the published topology that stand for COCO's nose, eyes and ears (left, right).
FACE_VERTICES: Final = (332, 2800, 6260, 583, 4071)


class SmplBody(nn.Module):
    """SMPL behind `body.Body`. ``betas`` are the model's first ten shape components.

    No buffer is persistent: a checkpoint never carries parts of the licensed model.
    """

    name = "smpl"
    template: Tensor
    shapes: Tensor
    poses: Tensor
    regressor: Tensor
    weights: Tensor
    parents: Tensor
    triangles: Tensor
    rest_joints: Tensor
    shape_joints: Tensor

    def __init__(self, path: Path) -> None:
        """InputError of `smpl_file.read_smpl` where the file is no SMPL model."""
        super().__init__()
        arrays = read_smpl(path)
        joints = arrays.regressor @ arrays.template  # [24, 3]
        moves = np.einsum("jv,vck->jck", arrays.regressor, arrays.shapes)  # [24, 3, 10]
        above = [max(0, parent) for parent in PARENTS]
        joints[1:], moves[1:] = (v[1:] - v[above[1:]] for v in (joints.copy(), moves.copy()))
        real = {
            "template": arrays.template,
            "shapes": arrays.shapes,
            "poses": arrays.poses,
            "regressor": arrays.regressor,
            "weights": arrays.weights,
            "rest_joints": joints,
            "shape_joints": moves,
        }
        for name, values in real.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)
        # of the joints, those that move the face: two or three
        self._movers = np.flatnonzero(arrays.weights[list(FACE_VERTICES)].any(0)).tolist()
        whole = {"parents": np.array(PARENTS), "triangles": arrays.faces}
        for name, numbers in whole.items():
            self.register_buffer(name, torch.tensor(numbers), persistent=False)

    @property
    def faces(self) -> Tensor:
        """Triangles of the surface [T, 3]."""
        return self.triangles

    def rest_offsets(self, betas: Tensor) -> Tensor:
        """Each joint's place from its parent in the rest pose [..., 24, 3], metres."""
        with torch.autocast(betas.device.type, enabled=False):
            return self.rest_joints + torch.einsum("jck,...k->...jc", self.shape_joints, betas)

    def pelvis_rest(self, betas: Tensor) -> Tensor:
        """Where the pelvis stands at rest [..., 3]; the translation is the pelvis minus it."""
        return self.rest_offsets(betas)[..., 0, :]

    def forward(
        self, rotations: Tensor, pelvis: Tensor, betas: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `body.Body`. The face points are vertices, corrections of the pose included."""
        with torch.autocast(rotations.device.type, enabled=False):
            offsets = self.rest_offsets(betas)
            body = chain(rotations, pelvis, offsets)
            joints, world = body.joints(), body.world()
            face = self._face(rotations, joints, world, betas, offsets)
            return joints, torch.cat([face, joints[..., COCO_BODY, :]], -2), world

    def _face(
        self, rotations: Tensor, joints: Tensor, world: Tensor, betas: Tensor, offsets: Tensor
    ) -> Tensor:
        """The five face vertices [..., 5, 3] by linear blend skinning."""
        picked, movers = list(FACE_VERTICES), self._movers
        weights = self.weights[picked][:, movers]  # [5, m]
        eye = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
        bends = (rotations[..., 1:, :, :] - eye).flatten(-3)  # [..., 207]
        rest = self.template[picked] + torch.einsum("vck,...k->...vc", self.shapes[picked], betas)
        rest = rest + torch.einsum("vck,...k->...vc", self.poses[picked], bends)
        places = [offsets[..., 0, :]]  # the joints at rest
        for j in range(1, 24):
            places.append(places[PARENTS[j]] + offsets[..., j, :])
        at_rest = torch.stack([places[j] for j in movers], -2)
        turns = world[..., movers, :, :]
        moved = joints[..., movers, :] - (turns @ at_rest[..., None]).squeeze(-1)  # [..., m, 3]
        turn = torch.einsum("vj,...jab->...vab", weights, turns)
        return (turn @ rest[..., None]).squeeze(-1) + weights @ moved

    def vertices(self, rotations: Tensor, pelvis: Tensor, betas: Tensor) -> Tensor:
        """The surface [..., 6890, 3] in metres. MissingExtraError without smplx."""
        need_packages(["smplx"], "smpl", "the surface of SMPL")
        from smplx.lbs import lbs  # type: ignore[import-untyped, unused-ignore]

        lead = rotations.shape[:-3]
        shape = betas.expand(*lead, 10).reshape(-1, 10)
        with torch.autocast(rotations.device.type, enabled=False):
            surface, _ = lbs(
                shape,
                rotations.reshape(-1, 24, 3, 3),
                self.template,
                self.shapes,
                self.poses.flatten(0, 1).T,
                self.regressor,
                self.parents,
                self.weights,
                pose2rot=False,
            )
        shift = (pelvis - self.pelvis_rest(betas)).expand(*lead, 3).reshape(-1, 1, 3)
        return (surface + shift).reshape(*lead, -1, 3)
