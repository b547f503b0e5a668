"""A trained Lang2Motion and the arithmetic of its latents.

A latent is one vector for a whole motion: a text's feature, a trajectory's z_p, a picture's
feature, or a mix of them. The decoder reads its **direction** alone, so everything here is of
length 1, and every sum is brought back to it: ``a − b + c`` means the direction of that sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from motionkit.errors import InputError, UsageError
from motionkit.file_hash import sha256_of
from motionkit.training.lang2motion import FEATURES, MODEL_FILE, load_lang2motion
from motionkit.training.lang2motion_config import from_table
from motionkit.training.lang2motion_data import fitted, normalised

Float = NDArray[np.float32]
#: Motions decoded in one call. Always as many rows, filled up with copies: then the last bits of a
#: motion do not depend on how many others were asked for.
_BLOCK: Final = 16
#: Vectors shorter than this have no direction.
_NOTHING: Final = 1e-4


class TrajectoryModel:
    """A checkpoint, loaded once, with the text encoder that its latents are of."""

    def __init__(self, checkpoint: Path, *, device: str = "cpu") -> None:
        """UsageError where the text encoder here has other weights than the training's."""
        from motionkit.backends.text_encoder import text_encoder

        file = checkpoint / MODEL_FILE if checkpoint.is_dir() else checkpoint
        self.network, self.facts = load_lang2motion(checkpoint)
        self.network.to(device)
        self.device = device
        self.folder = file.parent
        #: SHA-256 of the checkpoint.
        self.hash = sha256_of(file)
        self.training = from_table(self.facts["config"])
        self.encoder = text_encoder(str(self.facts["encoder"]))
        if self.encoder.identity() != self.facts["encoder_weights"]:
            raise UsageError(
                f"{checkpoint} was trained with {self.facts['encoder_weights']}, here is "
                f"{self.encoder.identity()}.",
                hint="put the same weights there, or train again",
            )
        self._texts: dict[str, Float] = {}
        #: Features of overlay frames by sample id, and a word on them (`see`).
        self.images: Mapping[str, NDArray[np.float16]] | None = None
        self.pictures = "off"

    def see(self, overlays: Path) -> None:
        """Take features of overlay frames from this folder, where the model reads such and the
        folder holds them: samples then have the latents that they had in training."""
        if not self.network.config.image:
            return
        from motionkit.training.lang2motion import find_pictures

        found = find_pictures(self.training, overlays, self.encoder.identity())
        self.images, self.pictures = found.features, found.said

    @property
    def grid(self) -> int:
        """Points a side."""
        return self.network.config.grid

    @property
    def frames(self) -> int:
        """The trained length, the first frame among them."""
        return self.network.config.frames

    def texts(self, texts: Sequence[str]) -> Float:
        """Latents [N, D] of texts; each is encoded once in the model's life."""
        new = [text for text in dict.fromkeys(texts) if text not in self._texts]
        if new:
            self._texts.update(zip(new, self._read(self.encoder.encode(new)), strict=True))
        return (
            np.stack([self._texts[text] for text in texts])
            if texts
            else np.zeros((0, self.network.config.latent), np.float32)
        )

    def cached_texts(self, texts: Sequence[str]) -> Float:
        """As `texts`, kept on the disk in the model's folder, as its training does."""
        from motionkit.backends.feature_cache import FeatureCache

        kept: FeatureCache[str] = FeatureCache(self.folder / FEATURES, self.encoder)
        return self._read(kept.encode(list(texts)))

    @torch.no_grad()
    def _read(self, features: NDArray[np.float32]) -> Float:
        """Latents of length 1 of the encoder's features (`Lang2Motion.read`), in blocks like
        those of `decode`."""
        made = [np.zeros((0, self.network.config.latent), np.float32)]
        for start in range(0, len(features), _BLOCK):
            rows = np.arange(start, start + _BLOCK).clip(max=len(features) - 1)
            block = self.network.read(torch.from_numpy(features[rows]).to(self.device))
            made.append(block[: len(features) - start].float().cpu().numpy())
        return unit(np.concatenate(made))

    def pictures_of(self, images: Sequence[NDArray[Any] | None]) -> Float | None:
        """Features [T, D] of some items as a table [B, T, D], 0 for who has none; None where
        nobody has any."""
        if not self.network.config.image or all(own is None for own in images):
            return None
        made = np.zeros((len(images), self.frames, self.network.config.image), np.float32)
        for row, own in zip(made, images, strict=True):
            if own is not None:
                row[:] = own
        return made

    def picture(self, image: NDArray[np.uint8]) -> Float:
        """The latent [D] of a picture [H, W, 3]: CLIP's, where the text's is CLIP's too."""
        name = str(self.facts["encoder"])
        if not name.startswith("clip:"):
            raise UsageError(
                f"this model's text encoder, {name}, has no pictures in its space: a picture "
                "alone is no prompt.",
                hint="give a text as well, or a model that was trained with a CLIP",
            )
        from motionkit.backends.image_encoder import image_encoder

        made: Float = self._read(image_encoder(name).encode([image]))[0]
        return made

    def fit(
        self, points: NDArray[Any], visible: NDArray[np.bool_], size: tuple[int, int], length: str
    ) -> tuple[Float, NDArray[np.bool_]]:
        """Tracks [F, N, 2] in pixels of a picture of ``size`` as the encoder reads them:
        [T, N, 2] normalised and real [T]. InputError 'other-grid' and 'too-short'."""
        if points.shape[1] != self.grid**2:
            raise InputError(
                "other-grid",
                f"{points.shape[1]} points, where this model reads {self.grid**2} "
                f"({self.grid}×{self.grid})",
                hint=f"track with --grid {self.grid}, or use a model of another grid",
            )
        if len(points) < 2:
            raise InputError(
                "too-short", f"{len(points)} frame is no motion", hint="give 2 frames or more"
            )
        made, _, real = fitted(normalised(points, *size), visible, self.frames, length)
        return made, real

    @torch.no_grad()
    def encode(self, points: Float, real: NDArray[np.bool_], images: Any = None) -> Float:
        """Latents [B, D] of trajectories [B, T, N, 2] normalised, ``real`` [B, T]; ``images``
        [B, T, D] are features of overlay frames (0: none), for a model that reads those."""
        given = None
        if images is not None and self.network.config.image:
            given = torch.from_numpy(np.asarray(images, np.float32)).to(self.device)
        latent = self.network.encode(
            torch.from_numpy(points).to(self.device), torch.from_numpy(real).to(self.device), given
        )
        return unit(latent.float().cpu().numpy())

    def decode(self, latents: Float, firsts: Float, frames: int | None = None) -> Float:
        """Trajectories [B, T, N, 2] from latents [B, D] and first frames [B, N, 2], normalised;
        each is, to the bit, what it would be alone."""
        made = []
        for start in range(0, len(latents), _BLOCK):
            rows = np.arange(start, start + _BLOCK).clip(max=len(latents) - 1)
            block = self.network.generate(
                torch.from_numpy(latents[rows]).to(self.device),
                torch.from_numpy(firsts[rows]).to(self.device),
                frames,
            )
            made.append(block[: len(latents) - start].float().cpu().numpy())
        return np.concatenate(made)


def unit(vectors: NDArray[Any]) -> Float:
    """Rows of length 1. InputError 'no-direction' for one that is (nearly) 0 or not finite."""
    wide = np.asarray(vectors, np.float64)
    length = np.linalg.norm(wide, axis=-1, keepdims=True)
    if not (np.isfinite(length) & (length > _NOTHING)).all():
        raise InputError(
            "no-direction", "the latents cancel each other: what is left has no direction"
        )
    made: Float = (wide / length).astype(np.float32)
    return made


def combined(terms: Sequence[tuple[float, Float]]) -> Float:
    """The direction of a weighted sum of latents, each of length 1 before it is weighed."""
    whole = sum(weight * unit(latent).astype(np.float64) for weight, latent in terms)
    return unit(np.asarray(whole))


def between(one: Float, other: Float, steps: int) -> Float:
    """``steps`` latents from ``one`` to ``other``, both among them, at equal angles on the arc
    between them. InputError 'no-direction' where they are opposite."""
    a, b = (unit(v).astype(np.float64) for v in (one, other))
    angle = float(np.arccos(np.clip(a @ b, -1.0, 1.0)))
    if angle > np.pi - 1e-3:
        raise InputError("no-direction", "two opposite latents: no way leads between them")
    if angle < 1e-6:
        return np.repeat(unit(a)[None], steps, 0)
    at = np.linspace(0.0, 1.0, steps)[:, None] * angle
    return unit(np.sin(angle - at) * a + np.sin(at) * b)


def varied(latent: Float, degrees: float, seed: int) -> Float:
    """``latent`` turned by ``degrees`` towards a direction drawn with ``seed``; seed 0 turns it
    not at all: that one is the text's own motion."""
    if seed == 0 or degrees == 0:
        return unit(latent)
    a = unit(latent).astype(np.float64)
    drawn = np.random.default_rng([0x7A, seed]).normal(size=a.shape)
    across = unit(drawn - (drawn @ a) * a).astype(np.float64)
    angle = np.deg2rad(degrees)
    return unit(np.cos(angle) * a + np.sin(angle) * across)
