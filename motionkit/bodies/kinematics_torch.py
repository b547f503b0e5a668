"""Forward kinematics of 24-joint trees in torch, fast on small batches.

Frames are the last, contiguous axis and every product of 3x3 matrices is written out: a third of
the time of batched matrix products, forwards and backwards, to the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from motionkit.bodies.skeleton import PARENTS


def _levels() -> list[list[int]]:
    """Joints by their distance from the pelvis: one product a level, not one a joint."""
    depth: list[int] = []
    for parent in PARENTS:
        depth.append(0 if parent < 0 else depth[parent] + 1)
    return [[j for j, d in enumerate(depth) if d == level] for level in range(max(depth) + 1)]


_LEVELS = _levels()
if [j for level in _LEVELS for j in level] != list(range(len(PARENTS))):
    raise AssertionError("the joints must be numbered level by level")
_SIZES = [len(level) for level in _LEVELS]
#: Where each level's parents stand inside the level before.
_SLOTS = [[above.index(PARENTS[j]) for j in level] for above, level in pairwise(_LEVELS)]


def _of_parents(above: Tensor, slots: list[int]) -> Tensor:
    """The parents' entries [..., k, N] of the level above [..., m, N]."""
    first, count = slots[0], len(slots)
    if slots == list(range(first, first + count)):
        return above if count == above.shape[-2] else above.narrow(-2, first, count)
    if above.shape[-2] == 1:
        return above.expand(*above.shape[:-2], count, above.shape[-1])
    return torch.cat([above.narrow(-2, slot, 1) for slot in slots], -2)


class _Swap(torch.autograd.Function):
    """Axes reversed, contiguous in both directions. A plain permute hands back gradients in the
    caller's order, and everything behind it then runs on scattered memory: three times slower."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return values.permute(2, 1, 0).contiguous()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad.permute(2, 1, 0).contiguous()


def _swap(values: Tensor) -> Tensor:
    """[a, b, c] → [c, b, a], contiguous."""
    if values.requires_grad and not torch.compiler.is_compiling():
        swapped: Tensor = _Swap.apply(values)  # type: ignore[no-untyped-call]
        return swapped
    return values.permute(2, 1, 0).contiguous()


@dataclass(frozen=True)
class Chain:
    """Poses worked out, frames last: what `joints` and `world` bring into the usual order."""

    lead: torch.Size
    places: Tensor
    """[3, 24, N] metres."""
    turns: tuple[Tensor, ...]
    """[3, 3, k, N] global rotations of each level of the tree."""

    def joints(self) -> Tensor:
        """[..., 24, 3] metres."""
        return _swap(self.places).reshape(*self.lead, 24, 3)

    def world(self) -> Tensor:
        """Global rotations [..., 24, 3, 3]."""
        return _swap(torch.cat(self.turns, -2).flatten(0, 1)).reshape(*self.lead, 24, 3, 3)

    def turn(self, joint: int) -> Tensor:
        """One joint's global rotation [3, 3, N]."""
        level = next(i for i, members in enumerate(_LEVELS) if joint in members)
        return self.turns[level][:, :, _LEVELS[level].index(joint)]

    def with_points(self, carried: Tensor, joint: int, picked: tuple[int, ...]) -> Tensor:
        """Points that hang on one joint, then joints themselves: [..., K + P, 3] metres.

        ``carried`` [K, 3], or [..., K, 3] with leading axes that broadcast, is relative to the
        joint, in its frame; ``picked`` are P joints.
        """
        hung = carried.shape[-2]
        if carried.dim() > 2:
            flat = _swap(carried.expand(*self.lead, hung, 3).reshape(-1, hung, 3))
        else:
            flat = carried.T[..., None]
        a, b, c = self.turn(joint)[:, :, None].unbind(1)  # columns [3, 1, N]
        x, y, z = flat.unbind(0)
        points = self.places[:, joint : joint + 1] + a * x + b * y + c * z
        parts = [points, *(self.places.narrow(1, i, n) for i, n in _runs(picked))]
        return _swap(torch.cat(parts, 1)).reshape(*self.lead, hung + len(picked), 3)


def _runs(picked: tuple[int, ...]) -> list[tuple[int, int]]:
    """Neighbouring joints together: (first, how many). Slices cost less than an index."""
    runs: list[tuple[int, int]] = []
    for i in picked:
        if runs and i == sum(runs[-1]):
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((i, 1))
    return runs


def chain(rotations: Tensor, pelvis: Tensor, offsets: Tensor) -> Chain:
    """Forward kinematics.

    ``rotations`` [..., 24, 3, 3] relative to the parent, ``pelvis`` [..., 3] metres, ``offsets``
    each joint's from its parent at rest, [24, 3] or with leading axes that broadcast.
    """
    lead = rotations.shape[:-3]
    turns = _swap(rotations.reshape(-1, 24, 9)).split(_SIZES, 1)
    bones = _swap(offsets.expand(*lead, 24, 3).reshape(-1, 24, 3))
    world = turns[0].unflatten(0, (3, 3))  # [3, 3, k, N]
    place = pelvis.expand(*lead, 3).reshape(-1, 3).T[:, None]  # [3, k, N]
    worlds, places = [world], [place]
    for slots, turn, bone in zip(_SLOTS, turns[1:], bones.split(_SIZES, 1)[1:], strict=True):
        a, b, c = _of_parents(world, slots).unbind(1)  # the parents' columns
        x, y, z = bone.unbind(0)
        place = _of_parents(place, slots) + a * x + b * y + c * z
        first, second, third = turn.unflatten(0, (3, 3)).unbind(0)
        world = a[:, None] * first + b[:, None] * second + c[:, None] * third
        worlds.append(world)
        places.append(place)
    return Chain(lead, torch.cat(places, -2), tuple(worlds))
