"""The adapter's block: dual-stream attention over joints and time (MotionBERT's DSTformer).

It is nearly all of the tokeniser's arithmetic and memory. Clips do not touch each other, so a large
batch is worked off in groups of clips, which bounds what is in use beside the kept activations;
what is kept, `Recompute` bounds.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from motionkit.models.k2m.layers import AttentionBlock, Recompute

#: Numbers of a group of clips' input (32 MB): from this size on glibc gives memory back to the
#: system at once; smaller pieces left holes (2.2 × the memory at one clip a group). A GPU needs
#: larger matrices to be busy.
GROUP, CUDA_GROUP = 2**23, 2**25


class DSTformer(nn.Module):
    """Dual-stream spatio-temporal transformer block (MotionBERT), on [B, T, J, C].

    One stream attends over joints then time, the other over time then joints; learned weights,
    from both outputs, mix them per token. With ``checkpoint`` the attention's inside is computed
    again in the backward pass; without, the norms' and the MLP's (one block's attention too), and
    in a batch of one group nothing (at most 1.7 GB).
    """

    def __init__(
        self, width: int, heads: int, mlp_ratio: float, *, checkpoint: bool = False
    ) -> None:
        super().__init__()
        hidden = int(width * mlp_ratio)
        self.joints_first = nn.ModuleList([AttentionBlock(width, heads, hidden) for _ in range(2)])
        self.time_first = nn.ModuleList([AttentionBlock(width, heads, hidden) for _ in range(2)])
        self.fuse = nn.Linear(2 * width, 2)
        nn.init.zeros_(self.fuse.weight)  # starts as the plain mean of the streams
        nn.init.zeros_(self.fuse.bias)
        self.checkpoint = checkpoint

    def forward(self, x: Tensor, keys: Tensor) -> Tensor:
        """[B, T, J, C] → [B, T, J, C]; ``keys`` [B, T] bool marks the real steps."""
        clips = -(-(CUDA_GROUP if x.is_cuda else GROUP) // x[0].numel())  # not below the size
        how = Recompute.NOTHING
        if torch.is_grad_enabled() and (self.checkpoint or len(x) > clips):
            how = Recompute.INSIDE if self.checkpoint else Recompute.CHEAP
        # an exported graph takes any batch: no group may be fixed in it
        if torch.compiler.is_compiling() or len(x) <= clips:
            return self._mix(x, keys, how)
        parts = zip(x.split(clips), keys.split(clips), strict=True)
        return torch.cat([self._mix(part, real, how) for part, real in parts])

    def _mix(self, x: Tensor, keys: Tensor, how: Recompute) -> Tensor:
        # Without a mask the kernels do less. A GPU would have to be waited for to know.
        look = x.device.type == "cpu" and not torch.compiler.is_compiling()
        real = None if look and bool(keys.all()) else keys
        # One block of the four forgets its attention as well: at batch 64 the other three alone
        # stay at 0.495 of the obvious form's memory.
        first_how = Recompute.INSIDE if how is Recompute.CHEAP else how
        a = self._over_joints(self.joints_first[0], x, first_how)
        a = self.joints_first[1](a, real, how)
        b = self.time_first[0](x, real, how)
        b = self._over_joints(self.time_first[1], b, how)
        # two products instead of one of [a, b], which would be a copy of both
        first, second = self.fuse.weight.chunk(2, 1)
        linear = nn.functional.linear
        share = (linear(a, first, self.fuse.bias) + linear(b, second)).softmax(-1)
        return a * share[..., :1] + b * share[..., 1:]

    @staticmethod
    def _over_joints(block: nn.Module, x: Tensor, how: Recompute) -> Tensor:
        return block(x.flatten(0, 1), None, how).unflatten(0, x.shape[:2])
