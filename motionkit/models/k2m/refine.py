"""Fits a lifted motion to the keypoints it was lifted from, by gradient descent.

A network answers with what is likely; the keypoints of this one clip say more. From the
network's answer as a start, pose, bone lengths and a small turn of the root are moved until the
body's projection meets the keypoints. The depth that a picture does not show stays near the
network's answer, since what moves is the pose and every step has a price. No 3D truth is used.

What moves is filtered over time (`RefineConfig.frames`), so that the keypoints' noise from frame to
frame does not become jitter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from motionkit.bodies.rotations_torch import axis_angle_to_matrix
from motionkit.models.k2m.observe import Observation, smooth
from motionkit.models.k2m.tokenizer import Decoder, Lifted, Tokenizer


@dataclass(frozen=True, kw_only=True)
class RefineConfig:
    """How far and how freely the answer may move."""

    steps: int = 60
    """Gradient steps; 0 leaves the answer as it is."""
    rate: float = 0.03
    """Of Adam on the pose, in units of the box that bounds it (about a radian)."""
    prior: float = 1.0
    """Price of moving away from the network's pose."""
    smooth: float = 0.1
    """Price of acceleration, per % of a body height a frame²."""
    shape: float = 0.02
    """Price of other bone lengths than the network's."""
    frames: int = 5
    """Hann width of the filter over everything that moves."""


def refine(model: Tokenizer, seen: Observation, lifted: Lifted, config: RefineConfig) -> Lifted:
    """``lifted`` moved towards the keypoints ``seen`` that it was lifted from.

    Deterministic; the model's weights are left alone. Frames without keypoints move only as far
    as their neighbours pull them.
    """
    if config.steps < 1:
        return lifted
    with torch.enable_grad():
        return _descend(model, seen, _detached(lifted), config)


def _detached(lifted: Lifted) -> Lifted:
    return Lifted(*(getattr(lifted, name).detach() for name in Lifted.__dataclass_fields__))


def _descend(model: Tokenizer, seen: Observation, start: Lifted, config: RefineConfig) -> Lifted:
    decoder = model.decoder
    real = seen.real
    inside = _inside(decoder, start.pose)
    # Changes, all zero at first: the pose inside its box, the root's turn, offset, depth, shape.
    changes = [
        torch.zeros_like(inside),
        inside.new_zeros(*real.shape, 3),
        torch.zeros_like(start.offset),
        torch.zeros_like(start.depth),
        torch.zeros_like(start.betas),
    ]
    for change in changes:
        change.requires_grad_(True)
    rates = (1.0, 0.5, 0.1, 0.3, 0.7)
    optimiser = torch.optim.Adam(
        [{"params": [c], "lr": config.rate * r} for c, r in zip(changes, rates, strict=True)]
    )

    def moved() -> Lifted:
        pose, turn, offset, depth, betas = changes
        steady = smooth(torch.cat([pose, turn, offset, depth[..., None]], -1), real, config.frames)
        pose, turn, offset, depth = steady.split([69, 3, 2, 1], -1)
        bounded = decoder.low + decoder.reach * (1 + torch.tanh(inside + pose))
        return replace(
            start,
            pose=bounded.unflatten(-1, (23, 3)),
            root=start.root @ axis_angle_to_matrix(turn),
            offset=start.offset + offset,
            depth=start.depth + depth[..., 0],
            betas=start.betas + betas,
        )

    for step in range(config.steps):
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = config.rate * rate * (1 - 0.9 * step / config.steps)
        loss = _misfit(model, seen, moved(), config) + _price(changes, real, config)
        gradients = torch.autograd.grad(loss, changes)
        for change, gradient in zip(changes, gradients, strict=True):
            change.grad = gradient
        optimiser.step()
    with torch.no_grad():
        return _detached(moved())


def _inside(decoder: Decoder, pose: Tensor) -> Tensor:
    """Where a pose [B, F, 23, 3] stands in its box, before the tanh [B, F, 69]."""
    share = (pose.flatten(-2) - decoder.low) / decoder.reach - 1
    return torch.atanh(share.clamp(-0.995, 0.995))


def _misfit(model: Tokenizer, seen: Observation, lifted: Lifted, config: RefineConfig) -> Tensor:
    """Distance in the picture, % of a body height (Charbonnier), and acceleration in 3D."""
    placed = model.place(lifted, seen.height, seen.centre, seen.size, path=seen.hip)
    frames = seen.real.sum().clamp(min=1)
    gap = 100 * (placed.pixels - seen.points)
    gap = torch.where((seen.seen & placed.front)[..., None], gap, torch.zeros_like(gap))
    distance = (gap.square().sum(-1) + 1).sqrt() - 1
    points = placed.points - placed.points[:, :, 11:13].mean(2, keepdim=True)
    bend = 100 * (points[:, 2:] - 2 * points[:, 1:-1] + points[:, :-2])
    both = (seen.real[:, 2:] & seen.real[:, :-2])[..., None]
    bend = (
        torch.where(both[..., None], bend, torch.zeros_like(bend)).square().sum(-1) + 0.01
    ).sqrt()
    return (distance.sum() + config.smooth * (bend * both).sum()) / (17 * frames)


def _price(changes: list[Tensor], real: Tensor, config: RefineConfig) -> Tensor:
    pose, turn, offset, depth, betas = changes
    here = real[..., None].to(pose.dtype)
    moved = (pose.square() * here).sum() + 10 * (turn.square() * here).sum()
    moved = moved + (offset.square() * here).sum() + (depth.square() * real).sum()
    return (
        config.prior * moved / real.sum().clamp(min=1) + config.shape * betas.square().mean(0).sum()
    )
