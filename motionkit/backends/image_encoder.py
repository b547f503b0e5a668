"""Pictures → features, by the name of an encoder: ``clip:OWNER/NAME``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import UsageError


class ImageEncoder(Protocol):
    """What compares pictures with text, or with each other."""

    @property
    def dim(self) -> int:
        """Length of a feature."""

    def identity(self) -> dict[str, str]:
        """Names the weights."""

    def encode(self, images: Sequence[NDArray[np.uint8]], /) -> NDArray[np.float32]:
        """Features [N, dim], length 1 each, of pictures uint8 [H, W, 3] RGB of any sizes."""


def image_encoder(name: str) -> ImageEncoder:
    """The encoder called ``name``; raises like `text_encoder.text_encoder`."""
    kind, _, model = name.partition(":")
    if kind == "clip" and model:
        from motionkit.backends.clip import ClipImages

        return ClipImages(name)
    raise UsageError(
        f"unknown image encoder {name!r}.",
        hint="choose one like clip:openai/clip-vit-base-patch32",
    )
