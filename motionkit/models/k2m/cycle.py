"""Cycle consistency: lift, turn, re-proportion, project, lift again, compare.

New views and new bodies of the same motion, without any 3D truth: the tokenizer's own
prediction, seen from elsewhere, must lift back to itself. It halves wrongly flipped limbs, and
re-proportioning keeps the model from learning one skeleton by heart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from motionkit.bodies.rotations_torch import pitch_matrix, yaw_matrix
from motionkit.models.k2m.observe import masked_mean
from motionkit.models.k2m.tokenizer import Lifted, Placed, Tokenizer

#: Standard deviations of the changes of the ten shape values (`skeleton.SHAPE_NAMES`). Shoulder and
#: hip width differ most: people by a tenth, skeletons by where they put the joints.
PROPORTIONS = (1.0, 1.0, 1.0, 1.0, 4.0, 2.5, 1.0, 1.0, 1.5, 1.5)


@dataclass(frozen=True, kw_only=True)
class CycleConfig:
    """How the second view differs from the first."""

    weight: float = 0.5
    """On the mean distance in metres × 10."""
    tilt_deg: tuple[float, float] = (-5.0, 15.0)
    """Camera elevations of the second view; the first is taken to be at their middle."""
    noise: float = 0.01
    """Of a body height, on every second-view keypoint."""
    unseen: float = 0.05
    """Share of second-view keypoints hidden."""
    proportions: float = 1.0
    """How far shape values change, in `PROPORTIONS`; 0 keeps the body."""
    start: int = 250
    """First step; the reprojection must have settled."""


@torch.no_grad()
def second_view(model: Tokenizer, lifted: Lifted, config: CycleConfig) -> tuple[Tensor, Placed]:
    """M_2D [B, F, 18, 3] of the lifted motion from a new side, and the motion as placed there.

    Draws from torch's global generator.
    """
    batch, device = len(lifted.betas), lifted.betas.device
    low, high = (torch.deg2rad(torch.tensor(v)).item() for v in config.tilt_deg)
    turn = torch.rand(batch, device=device) * (2 * torch.pi)
    tilt = low + (high - low) * torch.rand(batch, device=device)
    # camera frame: y is down, so lifting the camera turns the scene about x by +elevation
    level = pitch_matrix(torch.full_like(tilt, -(low + high) / 2))
    rotate = pitch_matrix(tilt) @ yaw_matrix(turn.sin(), turn.cos()) @ level  # [B, 3, 3]
    change = lifted.betas.new_tensor(PROPORTIONS) * torch.randn(batch, 10, device=device)
    betas = lifted.betas + config.proportions * change
    # The path is a line in the old picture; in the new one the body stays in place.
    turned = replace(
        lifted,
        root=rotate[:, None] @ lifted.root,
        path=torch.stack([torch.zeros_like(lifted.depth), lifted.path[..., 1]], -1),
        depth=torch.zeros_like(lifted.depth),
        betas=betas,
    )
    size = torch.full((batch, 2), 1000.0, device=device)
    height = torch.full((batch,), 600.0, device=device)
    placed = model.place(turned, height, size / 2, size)
    pixels = placed.pixels * 600.0 + 500.0
    pixels = pixels + torch.randn_like(pixels) * (config.noise * 600.0)
    hidden = torch.rand(pixels.shape[:3], device=device) < config.unseen
    confidence = torch.where(hidden, 0.0, 1.0)
    person = torch.cat([pixels, confidence[..., None]], -1)
    picture = torch.tensor([1000.0, 1000.0, 1.0], device=device).expand(*person.shape[:2], 1, 3)
    return torch.cat([person, picture], 2), placed


def hip_centred(points: Tensor) -> Tensor:
    """COCO points [B, F, 17, 3] round the middle of the hips."""
    return points - (points[..., 11:12, :] + points[..., 12:13, :]) / 2


def cycle_loss(real: Tensor, target: Placed, again: Placed) -> Tensor:
    """Mean distance (× 10 metres) between the first lift and the second, both seen from the
    second camera; scaled by their size, since one view does not tell it. ``real`` [B, F]."""
    a, b = hip_centred(target.points), hip_centred(again.points)
    weight = real[..., None, None].to(a.dtype)
    size_a = (a.square() * weight).sum((1, 2, 3), keepdim=True).sqrt()
    size_b = (b.square() * weight).sum((1, 2, 3), keepdim=True).sqrt()
    b = b * (size_a / size_b.detach().clamp(min=1e-6))
    error = ((a - b).square().sum(-1) + 1e-6).sqrt()
    return 10 * masked_mean(error.flatten(2).mean(-1), real, 1).mean()
