"""Encoder and decoder in one, with the checks that a caller's mistake runs into."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from motionkit.errors import UsageError
from motionkit.models.lang2motion.config import Lang2MotionConfig
from motionkit.models.lang2motion.decoder import make_decoder
from motionkit.models.lang2motion.encoder import TrajectoryEncoder
from motionkit.models.lang2motion.reader import TextReader


class Lang2Motion(nn.Module):
    """Trajectories ↔ latents in the text encoder's space."""

    def __init__(self, config: Lang2MotionConfig) -> None:
        super().__init__()
        self.config = config
        self.reader = TextReader(config)
        self.encoder = TrajectoryEncoder(config)
        self.decoder = make_decoder(config)

    def encode(
        self, points: Tensor, real: Tensor | None = None, images: Tensor | None = None
    ) -> Tensor:
        """z_p [B, latent], of any length, of points [B, T, N, 2]; UsageError for another N.

        ``real`` [B, T] marks true frames; ``images`` [B, T, image] are features of overlay frames,
        which a model without image branch refuses.
        """
        self._check(points, points.ndim == 4)
        if images is not None and not self.config.image:
            raise UsageError(
                "this model was trained without pictures: it cannot read their features.",
                hint="train with an image encoder, or leave the pictures out",
            )
        latent: Tensor = self.encoder(points, real, images)
        return latent

    def read(self, features: Tensor) -> Tensor:
        """Latents [B, latent] of the text encoder's features [B, features] (or of pictures'
        features in the same space); UsageError for features of another size."""
        if features.shape[-1] != self.config.features:
            raise UsageError(
                f"text features of {features.shape[-1]} numbers; this model's have "
                f"{self.config.features}.",
                hint="use the text encoder that the model was trained with",
            )
        latent: Tensor = self.reader(features)
        return latent

    @torch.no_grad()
    def generate(self, latent: Tensor, first: Tensor, frames: int | None = None) -> Tensor:
        """Trajectories [B, frames, N, 2] from latents [B, latent] (of `read` texts, z_p, or mixes
        of them; their length does not matter) and first frames [B, N, 2].

        Frame 0 equals ``first`` to the bit. ``frames`` None: the trained length. UsageError for
        another N or latent size, no frames, or points that are not finite.
        """
        self._check(first, first.ndim == 3)
        if latent.shape != (len(first), self.config.latent):
            raise UsageError(
                f"latents of shape {list(latent.shape)} for {len(first)} grids; this model's have "
                f"{self.config.latent} numbers.",
                hint="use the text encoder that the model was trained with",
            )
        frames = self.config.frames if frames is None else frames
        if frames < 1:
            raise UsageError(f"{frames} frames were asked for.", hint="ask for 1 or more")
        made: Tensor = self.decoder.free(latent, first, frames)
        return made

    def _check(self, points: Tensor, shaped: bool) -> None:
        if not shaped or points.shape[-2:] != (self.config.points, 2):
            raise UsageError(
                f"points of shape {list(points.shape)}; this model reads {self.config.points} "
                f"points a frame (a {self.config.grid}×{self.config.grid} grid).",
                hint="track with the grid that the model was trained with",
            )
        if not bool(torch.isfinite(points).all()):
            raise UsageError("points hold numbers that are not finite.", hint="track them again")
