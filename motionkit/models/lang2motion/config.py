"""Sizes and switches of Lang2Motion as frozen dataclasses; `small()` is for a CPU."""

from __future__ import annotations

from dataclasses import dataclass, field

from motionkit.errors import UsageError

DECODERS = ("autoregressive", "direct")
READERS = ("none", "centred", "mlp", "words")


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """The transformer that reads a trajectory."""

    width: int | None = None
    """Feature size of a frame's token. None: the latent's, as in the paper; another size adds a
    linear layer behind the prefix token's output."""
    layers: int = 4
    heads: int = 4
    feed_forward: int = 1024
    dropout: float = 0.1
    relative: bool = False
    """Beyond the paper: positions about the centre of the first frame, not of the picture, so that
    a motion has one latent wherever it happens."""


@dataclass(frozen=True, kw_only=True)
class ReaderConfig:
    """What stands between the text encoder's features and the latents (beyond the paper).

    Sentence encoders put all sentences of one kind into a narrow cone ("to the left" and "to the
    right" differ by a few per cent), in which a cosine loss separates nothing."""

    kind: str = "none"
    """none: features are latents, as in the paper; centred: less their mean over the training
    sentences, each number by its spread there; mlp: then through two learned layers; words: no
    sentence's feature but its words one by one, for an encoder that gives them (minilm:words)."""
    hidden: int = 256
    dropout: float = 0.3
    """Of centred features and of the hidden layers, in training: what is learned from few
    wordings must hold for others."""
    heads: int = 8
    """words: how many words of a text are looked for at once."""
    context: int = 1
    """words: how many words stand for one, with those beside it (an odd number); 1: a word
    alone, in whatever order they come."""


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """The MLP that moves the points."""

    kind: str = "autoregressive"
    """autoregressive (the paper's: a displacement a step) or direct (all frames at once, from the
    first one; the paper's ablation)."""
    hidden: int = 1024
    """Width of its two hidden layers."""
    max_step: float = 0.5
    """Bound of a point's displacement in one frame and axis, normalised (0.5 is a quarter of the
    frame): Δ = max_step · tanh(output / max_step), which is the identity for small outputs. So
    positions cannot grow faster than a line, however long the motion."""
    clock: bool = False
    """Beyond the paper: the decoder sees how far the motion has come, t/(T − 1) and its sines, at
    most 1. Without it, what bounces or halts cannot be told from a position."""
    velocity: bool = False
    """Beyond the paper: it sees the last displacement."""
    relative: bool = False
    """Beyond the paper: it sees positions about the centre of the first frame, and that frame."""
    affine: bool = False
    """Beyond the paper: its answer is an affine motion of all points (6 numbers) and a
    displacement of each point on top."""


@dataclass(frozen=True, kw_only=True)
class Lang2MotionConfig:
    """All sizes of one model."""

    grid: int = 6
    """Points a side, G: N = G · G points."""
    frames: int = 30
    """T, the given first frame among them. The autoregressive decoder goes on past it."""
    latent: int = 512
    """Size of the latents. Without a reader, or with ``centred``, it is that of the text encoder's
    features, and training takes it from there (512: CLIP ViT-B, 384: MiniLM)."""
    text: int | None = None
    """Size of the text encoder's features; None: the latent's. Training takes it from there."""
    word_vectors: tuple[int, int] = (0, 0)
    """How many words the text encoder knows, and the size of their vectors; training takes it from
    there. Only for reader.kind = words."""
    image: int = 0
    """Size of the picture features of the overlay frames; 0: the image branch is off. Training
    takes it from the image encoder, and it must be the text features' size."""
    reader: ReaderConfig = field(default_factory=ReaderConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)

    def __post_init__(self) -> None:
        if self.grid < 1 or self.frames < 2:
            raise UsageError(
                f"a model of grid {self.grid} and {self.frames} frames has no motion.",
                hint="choose grid 1 or more and frames 2 or more",
            )
        if self.image not in (0, self.features):
            raise UsageError(
                f"picture features have {self.image} numbers, text features {self.features}: "
                "they are not of one space.",
                hint="take text and picture encoder from the same CLIP, or switch pictures off",
            )
        if self.reader.kind not in READERS:
            raise UsageError(
                f"there is no reader {self.reader.kind!r}.",
                hint=f"choose from: {', '.join(READERS)}",
            )
        reader = self.reader
        if reader.heads < 1 or reader.hidden % 2 or reader.context < 1 or not reader.context % 2:
            raise UsageError(
                f"a reader of {reader.heads} heads, hidden size {reader.hidden} and context "
                f"{reader.context}.",
                hint="choose 1 head or more, an even reader.hidden and an odd reader.context",
            )
        if reader.kind in ("none", "centred") and self.features != self.latent:
            raise UsageError(
                f"text features of {self.features} numbers are no latents of {self.latent}.",
                hint="choose reader.kind = mlp or words, or leave the latent to the text encoder",
            )
        if self.decoder.kind not in DECODERS:
            raise UsageError(
                f"there is no decoder {self.decoder.kind!r}.",
                hint=f"choose from: {', '.join(DECODERS)}",
            )
        if not self.decoder.max_step > 0:
            raise UsageError(
                f"decoder.max_step is {self.decoder.max_step}.", hint="give a number above 0"
            )
        width = self.encoder.width or self.latent
        if width % self.encoder.heads or width % 2:
            raise UsageError(
                f"{self.encoder.heads} heads do not share a width of {width}.",
                hint="choose an even encoder.width that encoder.heads divides",
            )

    @property
    def features(self) -> int:
        """Size of the text encoder's features."""
        return self.text or self.latent

    @property
    def points(self) -> int:
        """N."""
        return self.grid * self.grid


def paper() -> Lang2MotionConfig:
    """The spec's full sizes: 8.5 million parameters in the encoder, 1.7 in the decoder."""
    return Lang2MotionConfig()


def fitting_reader(reader: ReaderConfig, *, words: bool) -> ReaderConfig:
    """``reader``, or where it cannot read what the text encoder gives (``words``, or features of
    sentences), one that can."""
    if words == (reader.kind == "words"):
        return reader
    if words:
        return ReaderConfig(kind="words", hidden=128, dropout=0.2, context=3)
    return ReaderConfig(kind="mlp", hidden=512, dropout=0.1)


def small() -> Lang2MotionConfig:
    """Trains in minutes on a CPU core, with what goes beyond the paper."""
    return Lang2MotionConfig(
        latent=128,
        reader=fitting_reader(ReaderConfig(), words=True),
        encoder=EncoderConfig(width=128, layers=2, feed_forward=256, dropout=0.0, relative=True),
        decoder=DecoderConfig(hidden=256, clock=True, velocity=True, relative=True, affine=True),
    )


PRESETS = {"small": small, "paper": paper}
