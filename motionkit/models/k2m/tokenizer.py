"""MotionVQ-Adapter: 2D keypoints → latent → residual tokens → SMPL parameters.

There is no path round the bottleneck: what generation decodes from tokens is all that training
decodes from. So the viewing direction and the path through the picture are *in* the tokens: the
encoder reads them (view cue, steps of the hip) and the decoder gives them back.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from motionkit.bodies.body import BUILT_IN, make_body
from motionkit.bodies.body_torch import FOCAL_PX, project
from motionkit.bodies.limits import pose_box, relaxed_pose
from motionkit.bodies.rotations_torch import (
    axis_angle_to_matrix,
    six_d_to_matrix,
    yaw_matrix,
)
from motionkit.bodies.skeleton import JOINT, REST_OFFSETS, SHAPE_BASIS, SHAPE_STEP
from motionkit.models.k2m.adapter import SPREAD, Encoder, standing
from motionkit.models.k2m.config import TokenizerConfig
from motionkit.models.k2m.layers import ResidualBlock
from motionkit.models.k2m.observe import Observation, masked_mean, observe, smooth
from motionkit.models.k2m.precision import in_full
from motionkit.models.k2m.quantiser import Quantised, ResidualQuantiser

#: Metres of a standing body's visible height (eyes to ankles): ties pixels to metres.
VISIBLE_HEIGHT_M = 1.55
#: Largest absolute shape value; one unit is about 5 % of a bone's length. Skeletons of motion
#: capture put their shoulders 0.20 to 0.35 m apart: less room, and collars and arms are bent
#: to make up for it.
BETA_MAX = 14.0
#: Shape values a unit of the decoder's output.
_BETA_SCALE = 4.0
#: The distance is the usual one times exp(this · depth).
DEPTH_STEP = 0.2
#: Bones that make up a body's stature: the left leg, the trunk and the head.
UPRIGHT = ("left_hip", "left_knee", "left_ankle", "spine1", "spine2", "spine3", "neck", "head")
#: The pose box is a little wider than the anatomical limits, so that the pose loss has a say.
LIMIT_MARGIN = 0.1

_PARTS = {"pose": 69, "tilt": 6, "yaw": 2, "path": 3, "offset": 2, "betas": 10, "flat": 34}


@dataclass(frozen=True)
class Lifted:
    """SMPL parameters of a batch of motions, in the camera's frame, and the path in the picture."""

    pose: Tensor
    """[B, F, 23, 3] axis-angle of joints 1..23, radians."""
    root: Tensor
    """[B, F, 3, 3] body to camera (x right, y down, z forward)."""
    yaw: Tensor
    """[B, F, 2] sine and cosine of the facing: 0 faces the camera, +90° the picture's right."""
    path: Tensor
    """[B, F, 2] where the middle of the hips appears, body heights from its mean place."""
    offset: Tensor
    """[B, F, 2] from there to where the pelvis appears, body heights; small."""
    depth: Tensor
    """[B, F] the pelvis's distance is its usual one times exp(0.2 · depth)."""
    betas: Tensor
    """[B, 10] shape values."""
    flat: Tensor
    """[B, F, 17, 2] the picture itself, body heights round the hips' path: read off beside the
    body, with nothing in between, to teach the latent (`losses.flat_loss`); not an output."""


@dataclass(frozen=True)
class Placed:
    """A lifted motion in front of a camera."""

    joints: Tensor
    """[B, F, 24, 3] metres, camera frame."""
    points: Tensor
    """[B, F, 17, 3] COCO points, metres, camera frame."""
    pixels: Tensor
    """[B, F, 17, 2] their projection, in body heights from the window's mean hip."""
    front: Tensor
    """[B, F, 17] bool: in front of the camera; the others enter no loss."""


class Decoder(nn.Module):
    """Latent [B, u, dim] → `Lifted` of u · down frames."""

    low: Tensor
    reach: Tensor
    flip: Tensor
    upright: Tensor
    basis: Tensor

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.enter = nn.Linear(config.quantiser.dim, config.width)
        self.blocks = nn.ModuleList(ResidualBlock(config.width, 3**i) for i in range(config.blocks))
        # A line of linear layers leads from the latent to every frame, and the blocks add to it:
        # where each step passed through norms and nonlinear layers alone, the picture took about
        # three times as many steps to come back.
        self.down = config.down
        self.expand = nn.Linear(config.width, config.down * config.width)
        self.fine = ResidualBlock(config.width, 1)
        self.leave = nn.Linear(config.width, sum(_PARTS.values()))
        self.smooth_frames = config.smooth_frames
        box = pose_box(widen=LIMIT_MARGIN)
        low, high = (torch.tensor(v, dtype=torch.float32).flatten() for v in box)
        half = (high - low) / 2
        self.register_buffer("low", low, persistent=False)
        upright = [JOINT[name] for name in UPRIGHT]
        bones = torch.tensor(REST_OFFSETS[upright], dtype=torch.float32).norm(dim=-1)
        basis = torch.tensor(SHAPE_BASIS[:, upright], dtype=torch.float32)
        self.built_in = config.body == BUILT_IN
        self.register_buffer("upright", bones, persistent=False)
        self.register_buffer("basis", basis, persistent=False)
        self.register_buffer("reach", half, persistent=False)
        # the camera's y points down and its z away: a half turn about x makes a body face it
        self.register_buffer("flip", torch.diag(torch.tensor([1.0, -1, -1])), persistent=False)
        with torch.no_grad():
            self.leave.weight.mul_(0.3)
            rest = torch.tensor(relaxed_pose(), dtype=torch.float32).flatten()
            start = torch.zeros(sum(_PARTS.values()))
            start[:69] = torch.atanh(((rest - self.low) / half - 1).clamp(-0.95, 0.95))
            start[69:75] = torch.tensor([1.0, 0, 0, 0, 1, 0])
            start[75:77] = torch.tensor([0.0, 1.0])
            self.leave.bias.copy_(start)

    def forward(self, latent: Tensor, real: Tensor) -> Lifted:
        """``real`` [B, u] bool marks the real steps."""
        keep = real[..., None].to(latent.dtype)
        x = self.enter(latent)
        for block in self.blocks:
            x = block(x, keep)
        x = self.expand(x).unflatten(-1, (self.down, -1)).flatten(1, 2)
        keep = keep.repeat_interleave(self.down, 1)
        x = self.fine(x, keep)
        return self._read_off(self.leave(x).float(), keep.float())

    @in_full
    def _read_off(self, out: Tensor, keep: Tensor) -> Lifted:
        """The last layer's numbers [B, F, C] as a motion; ``keep`` [B, F, 1] marks real frames."""
        frames = keep.squeeze(-1) > 0
        out = smooth(out, frames, self.smooth_frames)
        pose, tilt, yaw, path, offset, betas, flat = out.split(list(_PARTS.values()), -1)
        pose = (self.low + self.reach * (1 + torch.tanh(pose))).unflatten(-1, (23, 3))
        yaw = yaw + torch.where(frames, 0.0, 1.0)[..., None]  # any direction, on padding
        yaw = yaw / yaw.square().sum(-1, keepdim=True).clamp(min=1e-6).sqrt()
        root = self.flip @ six_d_to_matrix(tilt) @ yaw_matrix(yaw[..., 0], yaw[..., 1])
        # Sideways the decoder gives steps, since tokens know no absolute place; the sum is
        # centred like the input. Up and down it gives the place: squats and jumps come back.
        across = torch.cumsum(path[..., 0] * 0.03 * keep.squeeze(-1), 1)
        across = across - masked_mean(across, frames, 1)[:, None]
        shape = masked_mean(betas, keep.expand_as(betas), 1)
        betas = BETA_MAX * torch.tanh(_BETA_SCALE * shape / BETA_MAX)
        betas, depth = self.of_usual_stature(betas, path[..., 2])
        return Lifted(
            pose=pose,
            root=root,
            yaw=yaw,
            path=torch.stack([across, path[..., 1] * 0.3], -1),
            offset=offset * 0.1,
            depth=depth,
            betas=betas,
            flat=standing(flat) + SPREAD * flat.unflatten(-1, (17, 2)),
        )

    def of_usual_stature(self, betas: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
        """The same picture by a body of the built-in skeleton's stature.

        One camera cannot tell a small body from a far one. Left open, the size drifts: losses of
        the picture do not see it. The length of legs and trunk is held, and the distance takes
        up the difference; the projection stays as it is.
        """
        if not self.built_in:
            return betas, depth
        lengths = self.upright * torch.exp(SHAPE_STEP * (betas @ self.basis))
        size = (lengths.sum(-1) / self.upright.sum()).log()  # [B]
        first = betas[:, :1] - size[:, None] / SHAPE_STEP
        return torch.cat([first, betas[:, 1:]], -1), depth - size[:, None] / DEPTH_STEP


class Tokenizer(nn.Module):
    """Encoder, residual quantiser and decoder in one."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.quantiser = ResidualQuantiser(config.quantiser)
        self.decoder = Decoder(config)
        self.body = make_body(config.body)

    @in_full
    def observe(self, m2d: Tensor, real: Tensor) -> Observation:
        """Normalises M_2D [B, F, 18, 3] in pixels; F must be a multiple of ``down``."""
        return observe(m2d, real, confidence=self.config.confidence)

    def encode(self, seen: Observation) -> tuple[Tensor, Tensor]:
        """Latent [B, u, dim] and real steps [B, u]."""
        return self.encoder(seen)

    def tokens(self, seen: Observation) -> Quantised:
        """Tokens of an observation, without training the codebooks."""
        latent, real = self.encoder(seen)
        return self.quantiser(latent, real)

    @in_full
    def place(
        self,
        lifted: Lifted,
        height: Tensor,
        centre: Tensor,
        size: Tensor,
        *,
        path: Tensor | None = None,
        focal: float = FOCAL_PX,
    ) -> Placed:
        """Puts a motion in front of the spec's camera and projects it.

        ``height`` [B], ``centre`` [B, 2] and ``size`` [B, 2] are an `Observation`'s; the body
        then appears at the size and place of the picture it was lifted from. ``path`` [B, F, 2]
        replaces the motion's own: where 2D is at hand it says better than any token where the
        hips are, and the pose is then learned without the drift of summed steps.
        """
        shape = lifted.betas[:, None]
        where = (lifted.path if path is None else path) + lifted.offset
        z = focal * VISIBLE_HEIGHT_M / height[:, None] * torch.exp(DEPTH_STEP * lifted.depth)
        pixel = where * height[:, None, None] + centre[:, None] - size[:, None] / 2
        pelvis = torch.cat([pixel * z[..., None] / focal, z[..., None]], -1)
        turns = torch.cat([lifted.root[:, :, None], axis_angle_to_matrix(lifted.pose)], 2)
        joints, points, _ = self.body(turns, pelvis, shape.expand(-1, turns.shape[1], -1))
        pixels, front = project(points, size[:, None], focal=focal)
        pixels = (pixels - centre[:, None, None]) / height[:, None, None, None]
        return Placed(joints, points, pixels, front)

    def lift(self, seen: Observation, *, quantise: bool = True) -> Lifted:
        """2D → 3D, through the tokens unless told otherwise. For inference."""
        latent, real = self.encoder(seen)
        if quantise:
            latent = self.quantiser(latent, real).latent
        return self.decoder(latent, real)

    def decode(self, tokens: Tensor, real: Tensor) -> Lifted:
        """Tokens [B, u, n] → motion."""
        return self.decoder(self.quantiser.look_up(tokens) * real[..., None], real)
