"""Lifting a whole clip: overlapping windows and the mirror image, averaged as rotations.

A tokeniser learns windows of a few dozen frames. A longer clip is lifted window by window, and
every frame's answers are averaged with weights that fade towards each window's ends; the mirrored
clip is lifted as well, and its answers turned back. Rotations are averaged as matrices and brought
back to rotations (the chordal mean): the least squared distance to all answers, no jump at half
turns. Pure torch: no files, no command line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

from motionkit.bodies.rotations_torch import axis_angle_to_matrix, matrix_to_axis_angle
from motionkit.bodies.skeleton import JOINT, JOINTS
from motionkit.keypoints import MIRROR
from motionkit.models.k2m.observe import Observation, smooth
from motionkit.models.k2m.tokenizer import Lifted, Tokenizer

_Batch = TypeVar("_Batch", Lifted, Observation)


def _other_side(name: str) -> str:
    side, _, part = name.partition("_")
    return {"left": "right_", "right": "left_"}.get(side, name) + part


#: Where each of the joints 1..23's mirror image stands among them.
_SWAP = [JOINT[_other_side(name)] - 1 for name in JOINTS[1:]]
#: No frame of a window counts less than this share of its middle.
_LEAST_WEIGHT = 1e-3


@dataclass(frozen=True, kw_only=True)
class EnsembleConfig:
    """How a clip is cut, lifted and put together."""

    quantise: bool = False
    """Through the tokens; without them the lifted motion is closer to the picture."""
    flip: bool = True
    """Lift the mirrored clip as well and average."""
    window: int | None = 64
    """Frames lifted at once; None: the whole clip, whose length then bounds the memory."""
    hop: int = 32
    """Frames from one window's start to the next one's."""
    cue_trust: float = 2.0
    """Answers that face where the 2D itself suggests count up to exp(2 · this) times those that
    face the other way. Without it two opposite facings would average to none; 0 switches it off."""
    batch: int = 32
    """Windows (mirrored ones included) that go through the network at once."""

    def __post_init__(self) -> None:
        if self.hop < 1 or self.batch < 1 or (self.window is not None and self.window < 1):
            raise ValueError("window, hop and batch start at 1")


def spans(frames: int, *, window: int | None, hop: int, down: int) -> list[tuple[int, int]]:
    """(start, length) of the windows that cover ``frames`` frames.

    Lengths are multiples of ``down`` and no window reaches past the end, so no frame is padding
    and none is cut off: the last window is moved back. A hop is at most half a window, so that
    what one sees at its end another sees in its middle. ValueError below ``down`` frames.
    """
    if frames < down:
        raise ValueError(f"{frames} frames are less than the {down} of one token")
    length = frames if window is None else min(frames, max(window, down))
    length = length // down * down
    starts = [*range(0, frames - length + 1, max(1, min(hop, length // 2)))]
    if starts[-1] != frames - length:
        starts.append(frames - length)
    return [(start, length) for start in starts]


def mirrored_m2d(m2d: Tensor) -> Tensor:
    """M_2D [..., 18, 3] of the mirrored video; the torch twin of `keypoints.mirror_m2d`."""
    points = m2d[..., list(MIRROR), :]
    x = m2d[..., 17:, :1] - 1 - points[..., :1]
    return torch.cat([torch.cat([x, points[..., 1:]], -1), m2d[..., 17:, :]], -2)


def mirrored(lifted: Lifted) -> Lifted:
    """The motion as a mirror shows it: left and right change places. Its own inverse."""
    across = lifted.pose.new_tensor([1.0, -1.0, -1.0])  # mirrored turns about y and z go back
    flip = torch.diag(lifted.root.new_tensor([-1.0, 1.0, 1.0]))
    other = lifted.path.new_tensor([-1.0, 1.0])
    return replace(
        lifted,
        pose=lifted.pose[..., _SWAP, :] * across,
        root=flip @ lifted.root @ flip,
        yaw=lifted.yaw * other,
        path=lifted.path * other,
        offset=lifted.offset * other,
        flat=lifted.flat[..., list(MIRROR), :] * other,
    )


def nearest_rotation(matrix: Tensor) -> Tensor:
    """The rotation [..., 3, 3] with the least squared distance to a matrix (by its SVD)."""
    u, _, vh = torch.linalg.svd(matrix)
    sign = torch.linalg.det(u @ vh)
    last = torch.stack([torch.ones_like(sign), torch.ones_like(sign), sign], -1)
    return (u * last[..., None, :]) @ vh


def facing(root: Tensor) -> Tensor:
    """Sine and cosine [..., 2] of where a body turned by ``root`` [..., 3, 3] faces: 0 at the
    camera, +90° the picture's right."""
    ahead = torch.stack([root[..., 0, 2], -root[..., 2, 2]], -1)
    return ahead / ahead.norm(dim=-1, keepdim=True).clamp(min=1e-6)


class _Sums:
    """What the windows of one clip say, summed by frame; on the CPU."""

    def __init__(self, frames: int) -> None:
        self.turns = torch.zeros(frames, 24, 3, 3)
        self.rest = torch.zeros(frames, 2 + 2 + 1 + 34)  # yaw, offset, depth, flat
        self.weight = torch.zeros(frames)
        self.betas = torch.zeros(10)

    def add(self, start: int, part: Lifted, weight: Tensor) -> None:
        """``part`` holds one window; ``weight`` [F]."""
        frames = len(weight)
        pose = axis_angle_to_matrix(part.pose[0, :frames])
        turns = torch.cat([part.root[0, :frames, None], pose], 1)
        rest = torch.cat(
            [part.yaw[0], part.offset[0], part.depth[0, :, None], part.flat[0].flatten(1)], -1
        )
        at = slice(start, start + frames)
        self.turns[at] += turns * weight[:, None, None, None]
        self.rest[at] += rest[:frames] * weight[:, None]
        self.weight[at] += weight
        self.betas += part.betas[0] * weight.sum()

    def mean(self, path: Tensor) -> Lifted:
        """The average as one motion of one clip."""
        turns = nearest_rotation(self.turns)
        yaw, offset, depth, flat = (self.rest / self.weight[:, None]).split([2, 2, 1, 34], -1)
        return Lifted(
            pose=matrix_to_axis_angle(turns[None, :, 1:]),
            root=turns[None, :, 0],
            yaw=(yaw / yaw.norm(dim=-1, keepdim=True).clamp(min=1e-6))[None],
            path=path,
            offset=offset[None],
            depth=depth[None, :, 0],
            betas=(self.betas / self.weight.sum())[None],
            flat=flat.unflatten(-1, (17, 2))[None],
        )


@torch.no_grad()
def lift_clips(
    model: Tokenizer, clips: Sequence[Tensor], config: EnsembleConfig | None = None
) -> list[tuple[Observation, Lifted]]:
    """2D → 3D for clips M_2D [F, 18, 3] of any lengths from ``model.config.down`` frames on.

    Each answer has a batch of one and all F frames, on the CPU; the observation is the whole
    clip's, and what is relative in the motion (offset, depth) is relative to it. The path is the
    measured one. Memory: ``config.batch`` windows in the network, and the clips themselves.
    """
    config = config or EnsembleConfig()
    down = model.config.down
    device = next(model.parameters()).device
    whole = [
        model.observe(clip[None], torch.ones(1, len(clip), dtype=torch.bool)) for clip in clips
    ]
    sums = [_Sums(len(clip)) for clip in clips]
    jobs = [
        (length, index, start, flip)
        for index, clip in enumerate(clips)
        for start, length in spans(len(clip), window=config.window, hop=config.hop, down=down)
        for flip in ((False, True) if config.flip else (False,))
    ]
    jobs.sort()  # windows of one length go together: little padding
    edges = [*range(0, len(jobs), config.batch), len(jobs)]
    for first, last in pairwise(edges):
        some = jobs[first:last]
        windows = [clips[i][start : start + length] for length, i, start, _ in some]
        windows = [
            mirrored_m2d(w) if flip else w for w, (*_, flip) in zip(windows, some, strict=True)
        ]
        m2d, real = _padded(windows)
        seen = model.observe(m2d.to(device), real.to(device))
        lifted = model.lift(seen, quantise=config.quantise)
        for row, (length, index, start, flip) in enumerate(some):
            part, view = _row(lifted, row), _row(seen, row)
            if flip:
                part = mirrored(part)
            part = _rescaled(part, view.height, whole[index].height)
            weight = _fading(length) * _trust(part, whole[index], start, length, config.cue_trust)
            sums[index].add(start, part, weight)
    return [(seen, total.mean(seen.hip)) for seen, total in zip(whole, sums, strict=True)]


def steadied(lifted: Lifted, width: int) -> Lifted:
    """The motion under a Hann filter of ``width`` frames: rotations by their chordal mean."""
    if width <= 1:
        return lifted
    real = torch.ones(lifted.depth.shape, dtype=torch.bool, device=lifted.depth.device)
    turns = torch.cat([lifted.root[:, :, None], axis_angle_to_matrix(lifted.pose)], 2)
    turns = nearest_rotation(smooth(turns.flatten(2), real, width).unflatten(2, (24, 3, 3)))
    yaw = smooth(lifted.yaw, real, width)
    return replace(
        lifted,
        pose=matrix_to_axis_angle(turns[:, :, 1:]),
        root=turns[:, :, 0],
        yaw=yaw / yaw.norm(dim=-1, keepdim=True).clamp(min=1e-6),
        path=smooth(lifted.path, real, width),
        offset=smooth(lifted.offset, real, width),
        depth=smooth(lifted.depth[..., None], real, width).squeeze(-1),
    )


def _fading(length: int) -> Tensor:
    """Weights [length] of a window's frames: most in the middle, where both sides are seen."""
    place = (torch.arange(length) + 0.5) / length
    return (math.pi * place).sin().square().clamp(min=_LEAST_WEIGHT)


def _trust(part: Lifted, seen: Observation, start: int, length: int, trust: float) -> Tensor:
    """Factors [length]: by how well the answer faces where the whole clip's 2D suggests."""
    at = slice(start, start + length)
    agrees = (facing(part.root[0, :length]) * seen.cue[0, at]).sum(-1)
    return (trust * seen.cue_weight[0, at] * agrees).exp()


def _rescaled(part: Lifted, own: Tensor, clip: Tensor) -> Lifted:
    """A window's motion in the body heights of its clip: the same place in front of the camera."""
    share = own / clip
    return replace(
        part,
        offset=part.offset * share[:, None, None],
        depth=part.depth - 5.0 * share.log()[:, None],
        flat=part.flat * share[:, None, None, None],
    )


def _padded(windows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """A batch [B, F, 18, 3] and its real frames [B, F]; the picture's size stands in padding."""
    longest = max(map(len, windows))
    m2d = torch.zeros(len(windows), longest, 18, 3)
    real = torch.zeros(len(windows), longest, dtype=torch.bool)
    for i, window in enumerate(windows):
        m2d[i, : len(window)] = window
        m2d[i, len(window) :, 17] = window[0, 17]
        real[i, : len(window)] = True
    return m2d, real


def _row(batch: _Batch, index: int) -> _Batch:
    """One member of a batch, as a batch of one, on the CPU."""
    return type(batch)(**{k: v[index : index + 1].cpu() for k, v in vars(batch).items()})
