"""The adapter's block: dual-stream attention over joints and time (MotionBERT's DSTformer)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from motionkit.models.k2m.layers import AttentionBlock


class DSTformer(nn.Module):
    """Dual-stream spatio-temporal transformer block (MotionBERT), on [B, T, J, C].

    One stream attends over joints then time, the other over time then joints; learned weights,
    from both outputs, mix them per token.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        hidden = int(width * mlp_ratio)
        self.joints_first = nn.ModuleList([AttentionBlock(width, heads, hidden) for _ in range(2)])
        self.time_first = nn.ModuleList([AttentionBlock(width, heads, hidden) for _ in range(2)])
        self.fuse = nn.Linear(2 * width, 2)
        nn.init.zeros_(self.fuse.weight)  # starts as the plain mean of the streams
        nn.init.zeros_(self.fuse.bias)

    @staticmethod
    def _over_joints(block: nn.Module, x: Tensor) -> Tensor:
        return block(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    @staticmethod
    def _over_time(block: nn.Module, x: Tensor, keys: Tensor) -> Tensor:
        batch, _, joints, _ = x.shape
        y = block(x.transpose(1, 2).flatten(0, 1), keys.repeat_interleave(joints, 0))
        return y.unflatten(0, (batch, joints)).transpose(1, 2)

    def forward(self, x: Tensor, keys: Tensor) -> Tensor:
        """``keys`` [B, T] bool marks the real steps."""
        a = self._over_joints(self.joints_first[0], x)
        a = self._over_time(self.joints_first[1], a, keys)
        b = self._over_time(self.time_first[0], x, keys)
        b = self._over_joints(self.time_first[1], b)
        share = self.fuse(torch.cat([a, b], -1)).softmax(-1)
        return a * share[..., :1] + b * share[..., 1:]
