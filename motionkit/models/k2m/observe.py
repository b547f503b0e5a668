"""Keypoints in pixels → what the network sees: body heights, round the person, with a view cue.

Nothing here is learned. All numbers are relative to the picture of the person, so that neither
the resolution nor the place in the frame matters; `Observation` keeps what is needed to go
back to pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: Nose in front of the ears, and left minus right width of shoulders and hips, of a body turned
#: fully: body heights (spec/lifting-notes: the scales at which the cue is right on average).
NOSE_SCALE = 0.074
WIDTH_SCALE = 0.17
#: Frames over which the cue and the hip's path are averaged.
CUE_FRAMES = 9
HIP_FRAMES = 5
#: Hann width over the keypoints themselves. Frame-to-frame noise of pose estimators would
#: otherwise decide the sign of every L1 velocity gradient, and drown the motion in it.
INPUT_FRAMES = 3
#: Longer clips are smoothed tap by tap: the filter as one matrix grows with the square.
_BAND_FRAMES = 512

_NOSE, _EARS = 0, (3, 4)
_L_SHOULDER, _R_SHOULDER, _L_HIP, _R_HIP = 5, 6, 11, 12


@dataclass(frozen=True)
class Observation:
    """A batch of windows. `real` marks the frames that are not padding."""

    points: Tensor
    """[B, F, 17, 2] body heights from the window's mean hip (x right, y down); gaps filled."""
    seen: Tensor
    """[B, F, 17] bool: measured with enough confidence (and a real frame)."""
    real: Tensor
    """[B, F] bool."""
    hip: Tensor
    """[B, F, 2] smoothed middle of the hips, body heights, same origin."""
    cue: Tensor
    """[B, F, 2] sine and cosine of the yaw that the 2D suggests; 0 faces the camera, +90° the
    picture's right."""
    cue_weight: Tensor
    """[B, F] how far the points that the cue rests on were seen, 0..1."""
    centre: Tensor
    """[B, 2] pixels: where `points` is zero."""
    height: Tensor
    """[B] pixels a body height: 90th percentile of the visible height."""
    size: Tensor
    """[B, 2] the picture's width and height, pixels."""

    def pixels(self, points: Tensor) -> Tensor:
        """Body heights [B, F, J, 2] back to pixels."""
        return points * self.height[:, None, None, None] + self.centre[:, None, None]


def masked_mean(values: Tensor, mask: Tensor, dim: int) -> Tensor:
    """Mean over ``dim`` of the entries where ``mask`` holds; 0 where none does."""
    weight = mask.to(values.dtype)
    return (values * weight).sum(dim) / weight.sum(dim).clamp(min=1e-6)


def smooth(values: Tensor, real: Tensor, width: int) -> Tensor:
    """Hann-weighted mean over ``width`` frames of [B, F, C]; padding [B, F] has no weight.

    At the ends the weights are those of the frames that exist.
    """
    if width <= 1:
        return values
    steps, reach = values.shape[1], width // 2
    window = torch.hann_window(width + 2, periodic=False, device=values.device)[1:-1]
    if steps > _BAND_FRAMES:
        return _smooth_long(values, real, window.to(values.dtype))
    at = torch.arange(steps, device=values.device)
    gap = at[None] - at[:, None]
    band = torch.where(gap.abs() <= reach, window[(gap + reach).clamp(0, width - 1)], 0.0)
    weight = band.to(values.dtype) * real.to(values.dtype)[:, None]  # [B, F, F]
    out = weight @ values / weight.sum(-1, keepdim=True).clamp(min=1e-6)
    return out * real[..., None].to(values.dtype)


def _smooth_long(values: Tensor, real: Tensor, window: Tensor) -> Tensor:
    """`smooth` tap by tap: slower, and of a memory that grows with the frames alone."""
    steps, taps = values.shape[1], len(window)
    keep = real[..., None].to(values.dtype)
    both = torch.nn.functional.pad(
        torch.cat([values * keep, keep], -1), (0, 0, taps // 2, taps // 2)
    )
    total = torch.zeros_like(both[:, :steps])
    for k in range(taps):
        total = total + window[k] * both[:, k : k + steps]
    return total[..., :-1] / total[..., -1:].clamp(min=1e-6) * keep


def fill_gaps(points: Tensor, seen: Tensor) -> Tensor:
    """[B, F, J, 2] with the unseen entries interpolated in time (held at the ends).

    A joint that is never seen gets the mean of the seen joints of each frame, so that it never
    carries a number from another place.
    """
    frames = points.shape[1]
    index = torch.arange(frames, device=points.device)[None, :, None].expand_as(seen)
    before = torch.where(seen, index, torch.full_like(index, -1)).cummax(1).values
    after = torch.where(seen, index, torch.full_like(index, frames)).flip(1)
    after = after.cummin(1).values.flip(1)
    has_before, has_after = before >= 0, after < frames
    lo = torch.where(has_before, before, after).clamp(0, frames - 1)
    hi = torch.where(has_after, after, before).clamp(0, frames - 1)
    share = ((index - lo).to(points.dtype) / (hi - lo).clamp(min=1).to(points.dtype)).clamp(0, 1)
    # gather, since take_along_dim ties an exported graph to one shape
    at_lo = points.gather(1, lo[..., None].expand(-1, -1, -1, points.shape[-1]))
    at_hi = points.gather(1, hi[..., None].expand(-1, -1, -1, points.shape[-1]))
    filled = at_lo + share[..., None] * (at_hi - at_lo)
    filled = torch.where(seen[..., None], points, filled)
    middle = masked_mean(points, seen[..., None].expand_as(points), 2)[:, :, None]
    never = ~seen.any(1, keepdim=True)[..., None]
    return torch.where(never, middle.expand_as(points), filled)


def _quantile(values: Tensor, real: Tensor, share: float) -> Tensor:
    """Quantile [B] of the real entries of [B, F], between neighbours on a straight line; 0 where
    none is real. `torch.nanquantile` in operations that sort alike everywhere: where ONNX
    puts nan is not said."""
    ordered = torch.where(real, values, torch.inf).sort(1).values
    last = (real.sum(1) - 1).clamp(min=0)
    rank = share * last.to(values.dtype)
    low = rank.long()
    high = torch.minimum(low + 1, last)
    at_low, at_high = (ordered.gather(1, at[:, None]).squeeze(1) for at in (low, high))
    found = torch.lerp(at_low, at_high, rank - low.to(values.dtype))
    return torch.where(real.any(1), found, torch.zeros_like(found))


def observe(m2d: Tensor, real: Tensor, *, confidence: float) -> Observation:
    """Normalises a padded batch M_2D [B, F, 18, 3] (pixels); ``real`` [B, F] marks true frames."""
    seen = (m2d[:, :, :17, 2] > confidence) & real[..., None]
    xy = torch.where(seen[..., None], m2d[:, :, :17, :2], torch.zeros_like(m2d[:, :, :17, :2]))
    size = m2d[:, 0, 17, :2]
    filled = fill_gaps(xy, seen)
    y = filled[..., 1]
    tall = y.amax(-1) - y.amin(-1)
    height = _quantile(tall, real, 0.9).clamp(min=1.0)
    hips = (filled[:, :, _L_HIP] + filled[:, :, _R_HIP]) / 2
    centre = masked_mean(hips, real[..., None].expand_as(hips), 1)
    points = (filled - centre[:, None, None]) / height[:, None, None, None]
    points = smooth(points.flatten(2), real, INPUT_FRAMES).unflatten(2, (17, 2))
    hip = smooth((points[:, :, _L_HIP] + points[:, :, _R_HIP]) / 2, real, HIP_FRAMES)
    cue, weight = _view_cue(points, seen, real)
    return Observation(points, seen, real, hip, cue, weight, centre, height, size)


def _view_cue(points: Tensor, seen: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Yaw from the 2D itself, as (sine, cosine) [B, F, 2], and how well it was seen [B, F]."""
    x = points[..., 0]
    nose = x[..., _NOSE] - (x[..., _EARS[0]] + x[..., _EARS[1]]) / 2
    width = (x[..., _L_SHOULDER] - x[..., _R_SHOULDER] + x[..., _L_HIP] - x[..., _R_HIP]) / 2
    raw = torch.stack([nose / NOSE_SCALE, width / WIDTH_SCALE], -1)
    raw = smooth(raw, real, CUE_FRAMES)
    length = raw.norm(dim=-1, keepdim=True)
    front = torch.tensor([0.0, 1.0], device=raw.device, dtype=raw.dtype)
    cue = torch.where(length > 1e-3, raw / length.clamp(min=1e-3), front)
    needed = [_NOSE, *_EARS, _L_SHOULDER, _R_SHOULDER, _L_HIP, _R_HIP]
    weight = seen[..., needed].to(raw.dtype).mean(-1) * length.squeeze(-1).clamp(max=1.0)
    return cue * real[..., None], weight * real
