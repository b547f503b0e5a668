"""Sizes of the evaluator."""

from __future__ import annotations

from dataclasses import dataclass

from motionkit.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class EvaluatorConfig:
    """All sizes of one evaluator. Trains in minutes on one CPU thread."""

    dim: int = 128
    """Length of an embedding. FID needs more motions than this to mean anything: 512, the size in
    the literature, asks for thousands."""
    width: int = 128
    """Of the motion encoder's transformer; must be a multiple of ``heads``."""
    layers: int = 2
    heads: int = 4
    feed_forward: int = 256
    dropout: float = 0.2
    text_dim: int = 384
    """Size of the frozen text feature; training takes it from the text encoder (384: MiniLM)."""
    text_width: int = 256
    """Hidden layer between the text feature and the embedding."""
    confidence: float = 0.5
    """Keypoints above this are seen; the gaps of the others are filled in time."""

    def __post_init__(self) -> None:
        if self.width % self.heads or self.width % 2:
            raise UsageError(
                f"evaluator: width {self.width} is no even multiple of heads {self.heads}.",
                hint="for example model.width=128, model.heads=4",
            )
