"""Sizes and switches of K2M, as frozen dataclasses. `small()` for the demo, `paper()` in full."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """The DSTformer block and the encoder that follow the keypoints."""

    width: int = 512
    """Feature size of a joint's token."""
    depth: int = 1
    """Blocks; 0: none, the keypoints go to the encoder as they are. With few and small tokens a
    block costs two fifths of a step and changes no figure (docs/k2m.md)."""
    heads: int = 8
    mlp_ratio: float = 2.0
    patch_frames: int = 1
    """Frames folded into one joint token before attention: 1 as in the paper; 4 makes the block
    about 4 × cheaper, and takes its share of the down-sampling."""
    checkpoint: bool = False
    """Compute the attention's inside again in the backward pass instead of keeping it: a quarter of
    the obvious form's memory instead of less than half, for 10 to 20 % more time. The numbers are
    the same."""


@dataclass(frozen=True, kw_only=True)
class QuantiserConfig:
    """Residual vector quantisation."""

    layers: int = 7
    """Base layer + residual layers (the paper's 6 residual layers beside the base)."""
    codes: int = 512
    dim: int = 512
    decay: float = 0.99
    """Of the running means that are the codes."""
    dropout: float = 0.2
    """Share of training steps whose residual layers are cut at a random depth."""
    revive_share: float = 0.1
    """A code used less than this share of an even use of the batch is replaced by a latent of
    the batch. Relative to the batch: a fixed count would kill codes whenever a batch has fewer
    tokens than codes."""
    shared: bool = False
    """One codebook for all layers instead of one each."""
    sample_temperature: float = 0.0
    """In training a code is drawn with probability ∝ exp(−squared distance / this) instead of the
    nearest (MoMask: 0.5); 0 takes the nearest."""


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """Keypoints → tokens → SMPL parameters."""

    adapter: AdapterConfig = field(default_factory=AdapterConfig)
    quantiser: QuantiserConfig = field(default_factory=QuantiserConfig)
    width: int = 512
    """Of the temporal convolutions."""
    blocks: int = 3
    """Dilated residual blocks in encoder and decoder."""
    down: int = 4
    """Frames a token (α); a power of two."""
    confidence: float = 0.5
    """Keypoints above this are seen: they enter the network as such and the losses. The paper's
    example is 0.8; mediapipe's visibility is lower on good points, hence 0.5."""
    smooth_frames: int = 5
    """Width of the fixed Hann filter over the decoder's outputs; 1 switches it off. It takes the
    jitter (17–21 mm/frame² without) at the same error."""
    body: str = "motionkit-24"
    """The built-in skeleton, or smpl:FILE with your licensed SMPL model (docs/bodies.md)."""
    yaw_start: bool = True
    """Give the encoder the viewing direction estimated from the 2D itself."""


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """Masked and residual transformers."""

    width: int = 384
    layers: int = 6
    heads: int = 6
    feed_forward: int = 1024
    dropout: float = 0.2
    text_dim: int = 384
    """Size of the text feature; training takes it from the text encoder (384: MiniLM)."""
    max_tokens: int = 80
    """Longest motion in tokens; 75 are 10 s at 30 fps and 4 frames a token."""
    shared_weights: bool = True
    """The residual transformer reads and predicts a layer's tokens with one table, as MoMask."""
    sampled_layers: int | None = None
    """Quantiser layers that generation draws; None: all. A residual transformer that has trained
    for a minute adds more wobble than detail: the small preset draws the base layer alone."""


@dataclass(frozen=True, kw_only=True)
class K2MConfig:
    """All sizes of one model."""

    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    transformer: TransformerConfig = field(default_factory=TransformerConfig)


def paper() -> K2MConfig:
    """The spec's full sizes."""
    return K2MConfig()


def small() -> K2MConfig:
    """Trains in minutes on two CPU cores; what `make demo` uses."""
    return K2MConfig(
        tokenizer=TokenizerConfig(
            adapter=AdapterConfig(width=32, heads=2, patch_frames=4, depth=0),
            quantiser=QuantiserConfig(layers=7, codes=192, dim=64, decay=0.97),
            width=128,
            blocks=2,
        ),
        transformer=TransformerConfig(
            width=128, layers=3, heads=4, feed_forward=256, dropout=0.1, sampled_layers=1
        ),
    )


def medium() -> K2MConfig:
    """Trains in less than an hour on two CPU cores; recipe k2m-cpu."""
    return K2MConfig(
        tokenizer=TokenizerConfig(
            adapter=AdapterConfig(width=32, heads=2, patch_frames=4, depth=0),
            quantiser=QuantiserConfig(layers=7, codes=256, dim=128, decay=0.98),
            width=192,
            blocks=2,
            smooth_frames=7,
        ),
        transformer=TransformerConfig(width=128, layers=3, heads=4, feed_forward=256, dropout=0.1),
    )


PRESETS = {"small": small, "medium": medium, "paper": paper}
