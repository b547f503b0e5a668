"""Motion and text in one space: matching ones lie close, by Euclidean distance.

The motion encoder sees 2D alone, as `models.k2m.observe` normalises it: body heights round the
clip's mean hip. Which keypoints were seen is *not* among its inputs (gaps are filled in time):
a projected motion has all of them and a measured one has not, and an FID should tell motions
apart, not pose estimators.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from motionkit.models.evaluator.config import EvaluatorConfig
from motionkit.models.k2m.layers import Halve
from motionkit.models.k2m.observe import Observation, observe

#: Numbers a frame: 17 points round the hip, the hip, and the steps of both.
FEATURES = 2 * (34 + 2)
#: Frames become steps of the transformer in fours.
DOWN = 4
#: Steps between frames are small numbers beside places; this makes them as large.
_STEP_SCALE = 10.0
_PLACE_SCALE = 3.0


def motion_features(seen: Observation) -> Tensor:
    """[B, F, 72]: points round the smoothed hip, the hip's place, and their steps a frame."""
    round_hip = (seen.points - seen.hip[:, :, None]).flatten(2)
    places = torch.cat([round_hip, seen.hip], -1) * seen.real[..., None]
    steps = torch.zeros_like(places)
    both = (seen.real[:, 1:] & seen.real[:, :-1])[..., None]
    steps[:, 1:] = (places[:, 1:] - places[:, :-1]) * both
    return torch.cat([_PLACE_SCALE * places, _STEP_SCALE * steps], -1)


class MotionEncoder(nn.Module):
    """Frames joined in fours, a transformer over them, their mean, a projection."""

    def __init__(self, config: EvaluatorConfig) -> None:
        super().__init__()
        # pairs, then pairs of pairs: convolutions of stride 2, which see no padding
        self.enter = nn.Linear(2 * FEATURES, config.width)
        self.halve = Halve(config.width)
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(2))
        layer = nn.TransformerEncoderLayer(
            config.width,
            config.heads,
            config.feed_forward,
            config.dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.mix = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.leave = nn.Sequential(
            nn.LayerNorm(2 * config.width), nn.Linear(2 * config.width, config.dim)
        )

    def forward(self, seen: Observation) -> Tensor:
        """[B, dim] of length 1. Padding behind a clip changes nothing."""
        frames = motion_features(seen)
        missing = -frames.shape[1] % DOWN
        keep = nn.functional.pad(seen.real[..., None].to(frames.dtype), (0, 0, 0, missing))
        pairs = nn.functional.pad(frames, (0, 0, 0, missing)).unflatten(1, (-1, 2)).flatten(2)
        x = nn.functional.gelu(self.norms[0](self.enter(pairs)))
        x, keep = self.halve(x, keep.unflatten(1, (-1, 2)).amax(2))
        x = nn.functional.gelu(self.norms[1](x))
        x = x + _sinusoids(x.shape[1], x.shape[2], x.device)
        real = keep.squeeze(-1) > 0  # [B, F/4]
        x = self.mix(x, src_key_padding_mask=~real)
        mean = (x * keep).sum(1) / keep.sum(1).clamp(min=1)
        peak = x.masked_fill(~real[..., None], -torch.inf).amax(1)
        return nn.functional.normalize(self.leave(torch.cat([mean, peak], -1)), dim=-1)


class Evaluator(nn.Module):
    """Both encoders. The text encoder itself is frozen and stands outside: features come in."""

    def __init__(self, config: EvaluatorConfig) -> None:
        super().__init__()
        self.config = config
        self.motion = MotionEncoder(config)
        self.text = nn.Sequential(
            nn.Linear(config.text_dim, config.text_width),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.text_width, config.dim),
        )

    def observe(self, m2d: Tensor, real: Tensor) -> Observation:
        """Normalises M_2D [B, F, 18, 3] in pixels; ``real`` [B, F] marks the true frames."""
        with torch.autocast(m2d.device.type, enabled=False):  # places need more than 8 bits
            return observe(m2d, real, confidence=self.config.confidence)

    def embed_motion(self, m2d: Tensor, real: Tensor) -> Tensor:
        """[B, dim] of length 1, from M_2D [B, F, 18, 3] in pixels."""
        embedding: Tensor = self.motion(self.observe(m2d, real))
        return embedding

    def embed_text(self, features: Tensor) -> Tensor:
        """[B, dim] of length 1, from text features [B, text_dim]."""
        return nn.functional.normalize(self.text(features), dim=-1)

    def forward(self, m2d: Tensor, real: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings [B, dim] of motions and of texts."""
        return self.embed_motion(m2d, real), self.embed_text(features)


def _sinusoids(steps: int, width: int, device: torch.device) -> Tensor:
    """Positions [steps, width] of any length: sines and cosines of falling frequencies."""
    place = torch.arange(steps, device=device)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(1000.0) / width))
    return torch.cat([torch.sin(place * rate), torch.cos(place * rate)], -1)
