"""Observation → adapter (`dstformer`) → encoder → latent."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from motionkit.errors import TrainingError
from motionkit.models.k2m.config import TokenizerConfig
from motionkit.models.k2m.dstformer import DSTformer
from motionkit.models.k2m.layers import (
    Halve,
    ResidualBlock,
    time_code,
)
from motionkit.models.k2m.observe import Observation

_JOINT_FEATURES, _ROOT_FEATURES = 3, 6
#: Height (down) of each COCO point of a standing body round its hips, and the usual spread, body
#: heights. Inputs are measured from there: what moves is a tenth of what merely stands, and
#: unscaled it would take a small network hundreds of steps to notice.
STANDING = (-0.47, -0.485, -0.485, -0.46, -0.46, -0.355, -0.355, -0.2, -0.2, -0.08, -0.08,
            0.0, 0.0, 0.245, 0.245, 0.5, 0.5)  # fmt: skip
SPREAD = 0.1


def standing(like: Tensor) -> Tensor:
    """[17, 2] of a standing body, body heights round its hips."""
    y = torch.tensor(STANDING, dtype=like.dtype, device=like.device)
    return torch.stack([torch.zeros_like(y), y], -1)


def joint_features(seen: Observation, *, yaw_start: bool) -> tuple[Tensor, Tensor]:
    """What the adapter reads: joints [B, F, 17, 3] and root [B, F, 6].

    Joints: x, y round the hip's path, from a standing body's, in tenths of a body height (0 where
    unseen), seen or not. Root (the
    18th token, in the place of the picture's row): horizontal step of the hip a frame (× 50),
    its height (× 10), sine and cosine of the view cue, its weight, and 1.
    """
    real = seen.real[..., None].to(seen.points.dtype)
    round_hip = (seen.points - seen.hip[:, :, None] - standing(seen.points)) / SPREAD
    mask = seen.seen[..., None].to(seen.points.dtype)
    joints = torch.cat([round_hip * mask, mask], -1)
    step = seen.hip[:, 1:, :1] - seen.hip[:, :-1, :1]
    step = torch.cat([step[:, :1] * 0, step], 1) * real
    cue = seen.cue if yaw_start else torch.zeros_like(seen.cue)
    weight = seen.cue_weight[..., None] if yaw_start else torch.zeros_like(real)
    root = torch.cat([step * 50, seen.hip[..., 1:] / SPREAD, cue, weight, real], -1) * real
    return joints * real[..., None], root


class Encoder(nn.Module):
    """Observation of F frames → latent [B, F / down, dim], normalised, and its real steps."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        adapter = config.adapter
        halvings = (config.down // adapter.patch_frames).bit_length() - 1
        if adapter.patch_frames * 2**halvings != config.down:
            raise TrainingError(
                f"patch_frames = {adapter.patch_frames} does not go into down = {config.down} "
                "by a power of two.",
                hint="choose down = 4 and patch_frames 1, 2 or 4",
            )
        self.patch = adapter.patch_frames
        self.yaw_start = config.yaw_start
        self.embed_joint = nn.Linear(_JOINT_FEATURES * self.patch, adapter.width)
        self.embed_root = nn.Linear(_ROOT_FEATURES * self.patch, adapter.width)
        self.which = nn.Parameter(torch.randn(18, adapter.width) * 0.02)
        self.adapter = nn.ModuleList(
            DSTformer(
                adapter.width, adapter.heads, adapter.mlp_ratio, checkpoint=adapter.checkpoint
            )
            for _ in range(adapter.depth)
        )
        self.norm = nn.LayerNorm(adapter.width)
        self.enter = nn.Linear(18 * adapter.width, config.width)
        # The patch's plain numbers join the adapter's tokens: measured positions survive the
        # norms, and small models learn the coarse pose several times sooner.
        self.plain = nn.Linear((17 * _JOINT_FEATURES + _ROOT_FEATURES) * self.patch, config.width)
        self.blocks = nn.ModuleList(ResidualBlock(config.width, 3**i) for i in range(config.blocks))
        self.halve = nn.ModuleList(Halve(config.width) for _ in range(halvings))
        self.leave = nn.Linear(config.width, config.quantiser.dim)
        self.scale = nn.LayerNorm(config.quantiser.dim, elementwise_affine=False)

    def forward(self, seen: Observation) -> tuple[Tensor, Tensor]:
        """Latent [B, u, dim] and which steps are real, bool [B, u].

        The last norm has no learned scale: the latent cannot shrink to please the commitment
        loss, which is one way in which residual codebooks collapse.
        """
        joints, root = joint_features(seen, yaw_start=self.yaw_start)
        p = self.patch
        joints = joints.unflatten(1, (-1, p)).transpose(2, 3).flatten(3)  # [B, F/p, 17, 3p]
        root = root.unflatten(1, (-1, p)).flatten(2)
        x = torch.cat([self.embed_joint(joints), self.embed_root(root)[:, :, None]], 2)
        keys = seen.real.unflatten(1, (-1, p)).any(2)
        x = x + self.which + 0.1 * time_code(x.shape[1], x.shape[3], x)[:, None]
        for block in self.adapter:
            x = block(x, keys)
        y = self.enter(self.norm(x).flatten(2)) + self.plain(
            torch.cat([joints.flatten(2), root], -1)
        )
        real = keys[..., None].to(y.dtype)
        for layer in self.blocks:
            y = layer(y, real)
        for halve in self.halve:
            y, real = halve(y, real)
        return self.scale(self.leave(y)), real.squeeze(-1) > 0
