"""The seven losses of K2M's tokeniser, each masked, each with its weight and its off switch.

Errors are measured in **pixels of a reference body**: body heights times `reference_px`. With
`reference_px = None` they are pixels of the picture itself, as in the paper. The reference
makes the loss independent of the resolution and of the person's size, and keeps the paper's
weights: 1 % of a body height is 6 px of a 600 px body, so 0.02 a pixel is 12 a body height.

‖·‖₁ is the mean over the coordinates that count, not the sum, so that neither the window's
length nor the number of confident keypoints changes the balance with the other losses.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from motionkit.models.k2m.adapter import SPREAD
from motionkit.models.k2m.observe import Observation
from motionkit.models.k2m.tokenizer import Lifted, Placed


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights (the paper's defaults) and constants. A weight of 0 switches the term off."""

    rvq: float = 0.02
    rec: float = 0.02
    smooth: float = 0.0001
    vel: float = 0.02
    boundary: float = 0.0005
    pose: float = 10.0
    shape: float = 1.0
    shape_free: float = 0.5
    """τ: 0.1 · Σ|β| up to this costs nothing."""
    reference_px: float | None = 600.0
    """Height of the reference body in pixels; None: pixels of the picture, as in the paper."""

    def weights(self) -> dict[str, float]:
        """Term → weight."""
        names = ("rvq", "rec", "smooth", "vel", "boundary", "pose", "shape")
        return {name: getattr(self, name) for name in names}


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of [..., 2] over the points where mask [...] holds; 0 without any."""
    # where, not a product: a masked-out NaN must not come through
    kept = torch.where(mask[..., None], values, torch.zeros_like(values))
    return kept.sum() / (mask.sum() * values.shape[-1]).clamp(min=1)


def tokenizer_losses(
    seen: Observation,
    lifted: Lifted,
    placed: Placed,
    commitment: Tensor,
    limits: tuple[Tensor, Tensor],
    config: LossConfig,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum and the unweighted terms by name; terms with weight 0 are not computed.

    ``limits`` are smallest and largest axis-angle values [23, 3] (`bodies.limits`).
    """
    weights = config.weights()
    if config.reference_px is None:
        scale = seen.height[:, None, None, None]
    else:
        scale = torch.full_like(seen.height, config.reference_px)[:, None, None, None]
    true, predicted = seen.points * scale, placed.pixels * scale
    mask = seen.seen & placed.front
    both = mask[:, 1:] & mask[:, :-1]
    real2 = (seen.real[:, 1:] & seen.real[:, :-1])[..., None]
    terms: dict[str, Tensor] = {}
    if weights["rvq"]:
        terms["rvq"] = commitment
    if weights["rec"]:
        terms["rec"] = _mean((true - predicted).abs(), mask)
    step = predicted[:, 1:] - predicted[:, :-1]
    if weights["smooth"]:
        front2 = placed.front[:, 1:] & placed.front[:, :-1] & real2
        terms["smooth"] = _mean(step.abs(), front2)
    if weights["vel"]:
        terms["vel"] = _mean((true[:, 1:] - true[:, :-1] - step).abs(), both)
    if weights["boundary"]:
        at = torch.arange(seen.real.shape[1], device=seen.real.device)
        last = seen.real.sum(1, keepdim=True) - 1
        edge = ((at == 0) | (at == last)) & seen.real
        terms["boundary"] = _mean((true - predicted).abs(), mask & edge[..., None])
    if weights["pose"]:
        low, high = limits
        over = (lifted.pose - high).clamp(min=0) + (low - lifted.pose).clamp(min=0)
        real = seen.real[..., None, None]
        over = torch.where(real, over, torch.zeros_like(over))
        terms["pose"] = over.sum() / (seen.real.sum() * 69).clamp(min=1)
    if weights["shape"]:
        terms["shape"] = (0.1 * lifted.betas.abs().sum(-1) - config.shape_free).clamp(min=0).mean()
    total = sum((weights[name] * value for name, value in terms.items()), seen.points.new_zeros(()))
    return total, terms


def path_loss(seen: Observation, lifted: Lifted) -> Tensor:
    """How far the decoded path is from the hips' in the picture, in % of a body height.

    Not one of the paper's seven: they see the pose at its measured place (`Tokenizer.place` with
    the observed path), and this term teaches the tokens the place: steps sideways and height.
    """
    step = lifted.path[:, 1:, 0] - lifted.path[:, :-1, 0]
    true = seen.hip[:, 1:, 0] - seen.hip[:, :-1, 0]
    both = seen.real[:, 1:] & seen.real[:, :-1]
    across = torch.where(both, (step - true).abs(), torch.zeros_like(step)).sum() / both.sum()
    up = torch.where(seen.real, (lifted.path - seen.hip)[..., 1].abs(), 0.0).sum()
    return 100 * (10 * across + up / seen.real.sum())


def flat_loss(seen: Observation, lifted: Lifted) -> Tensor:
    """Squared error of the picture as the latent holds it, in tenths of a body height, masked.

    Squared, unlike the paper's L1 terms: swinging legs and raised arms count for more than the
    estimator's noise, which is everywhere.

    Not one of the paper's seven. The way from the latent to the picture over joint angles,
    kinematics and camera is long; this short one makes the latent carry the wrists and ankles
    several times sooner. It shapes only the latent and the decoder's trunk.
    """
    error = (seen.points - seen.hip[:, :, None] - lifted.flat) / SPREAD
    return _mean(error.square(), seen.seen)


def yaw_cue_loss(seen: Observation, lifted: Lifted) -> Tensor:
    """1 − cos of the angle between predicted facing and the 2D cue, where the cue was seen.

    Not one of the paper's seven: without a start for the yaw, the bodies never turn. The cue
    itself is 7–14° off, so its weight falls once the reprojection takes over.
    """
    error = 1 - (seen.cue * lifted.yaw).sum(-1)
    weight = seen.cue_weight
    return (error * weight).sum() / weight.sum().clamp(min=1e-6)
