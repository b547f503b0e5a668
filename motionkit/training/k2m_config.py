"""What `train k2m` can be told: the recipe's [train.k2m] table as frozen dataclasses."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from motionkit.errors import UsageError
from motionkit.models.k2m.config import PRESETS, K2MConfig
from motionkit.models.k2m.cycle import CycleConfig
from motionkit.models.k2m.losses import LossConfig
from motionkit.models.k2m.refine import RefineConfig
from motionkit.training.options import RunOptions, StageOptions

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class TokenizerTraining(StageOptions):
    """Stage 1."""

    steps: int = 900
    batch: int = 16
    """Windows in a draw. With `accumulate` and several devices a step sees
    batch · accumulate · devices of them."""
    window: int = 48
    """Frames a window; shorter clips are padded."""
    learning_rate: float = 2e-3
    """Peak. The paper's 2e-4 is for batch 256 and a model 30 × as large."""
    seed_codebooks: int = 350
    """Step at which the codebooks start, from the latents of that moment; before it the latent
    passes unquantised, with noise. Codebooks started from random numbers collapse."""
    latent_noise: float = 0.1
    """Standard deviation of that noise (the latent's own is 1)."""
    mirror: bool = True
    """Also show every window mirrored."""
    noise: float = 0.005
    """Of a body height, on the input keypoints."""
    hide: float = 0.05
    """Share of the input keypoints hidden from the network (they still enter the losses)."""
    yaw_cue: float = 1.0
    """Weight of the 2D view cue on the predicted yaw, at the start …"""
    yaw_cue_end: float = 0.05
    """… and from half of the steps on."""
    flat: float = 4.0
    """Weight of `losses.flat_loss`: the picture read straight off the latent."""
    path: float = 0.02
    """Weight of the decoded path's error (`losses.path_loss`)."""
    cycle_share: float = 0.5
    """Share of a batch that goes through the cycle."""
    multi_view: float = 0.0
    """Weight of the agreement between what two views of one scene are lifted to (`scenes`), in
    metres × 10; 0: off. Only sets with several cameras have such clips."""
    multi_view_share: float = 0.25
    """Pairs of such windows in a draw, as a share of the batch."""
    losses: LossConfig = field(default_factory=LossConfig)
    cycle: CycleConfig = field(default_factory=CycleConfig)


@dataclass(frozen=True, kw_only=True)
class DistilTraining(StageOptions):
    """Further rounds of lifting, each from the refined answers of the one before (`k2m_distil`)."""

    steps: int = 0
    """Of each round; 0: none."""
    rounds: int = 1
    learning_rate: float = 1e-3
    """Peak."""
    share: float = 1.0
    """Windows of labels in a draw for each real one."""
    weight: float = 1.0
    """On the labels' distance in metres × 10."""
    most_clips: int = 5000
    """Clips that are refined for labels, spread evenly over the set."""
    refine: RefineConfig = field(default_factory=RefineConfig)
    view: CycleConfig = field(default_factory=CycleConfig)
    """How a label's new view differs from its own (weight and start have no meaning here)."""


@dataclass(frozen=True, kw_only=True)
class TextTraining(StageOptions):
    """Stage 2: masked and residual transformers and the length predictor, step by step together."""

    steps: int = 750
    batch: int = 32
    learning_rate: float = 1.5e-3
    """Peak; the paper's 2e-4 is for the full size."""
    condition_drop: float = 0.1
    residual_condition_drop: float = 0.2
    residual_every: int = 5
    """The residual transformer learns at every this many steps; it costs as much as the rest.
    1 where its layers are drawn (`transformer.sampled_layers`) and there is time to train it."""
    encoder: str = "minilm"
    """Text encoder: minilm (embedded), or a CLIP of the models folder,
    clip:openai/clip-vit-base-patch32. The size of its features is taken from it."""
    shifts: int = 1
    """Every clip is tokenised from this many starts, a frame apart: different tokens, same
    motion. Mirrored clips come beside them, with left and right swapped in the text."""


@dataclass(frozen=True, kw_only=True)
class K2MTrainConfig(RunOptions):
    """Everything that decides the outcome of a training, besides the shards; and how it runs."""

    preset: str = "small"
    """Sizes to start from: small or paper."""
    model: Mapping[str, Any] = field(default_factory=dict)
    """Changes to the preset, nested as in `models.k2m.config` (table [train.k2m.model])."""
    seed: int = 0
    tokenizer: TokenizerTraining = field(default_factory=TokenizerTraining)
    distil: DistilTraining = field(default_factory=DistilTraining)
    text: TextTraining = field(default_factory=TextTraining)

    def sizes(self) -> K2MConfig:
        """The preset with the changes of ``model``."""
        if self.preset not in PRESETS:
            raise UsageError(
                f"unknown preset {self.preset!r} in [train.k2m].",
                hint=f"choose from: {', '.join(PRESETS)}",
            )
        return changed(PRESETS[self.preset](), self.model, "train.k2m.model")


def check_tokens_per_step(config: K2MTrainConfig) -> None:
    """UsageError where a step of the tokenizer sees fewer tokens than a codebook has codes.

    Codes are running means of the tokens that choose them. Fewer tokens than codes leave most
    codes unchosen in every step, however good they are: they fade, are replaced by others, and
    these fade too.
    """
    t, sizes = config.tokenizer, config.sizes().tokenizer
    tokens = t.batch * (t.window // sizes.down) * t.accumulate * config.devices
    codes = sizes.quantiser.codes
    if t.steps and tokens < codes:
        per_window = max(1, t.window // sizes.down)
        needed = -(-codes // (per_window * t.accumulate * config.devices))
        raise UsageError(
            f"a step sees {tokens} tokens ({t.batch} windows of {t.window} frames, {sizes.down} "
            f"frames a token, {t.accumulate} draws, {config.devices} devices), fewer than the "
            f"{codes} codes of a codebook: not all of them can live.",
            hint=f"train.k2m.tokenizer.batch = {needed} or more, or at most "
            f"{tokens} for train.k2m.model.tokenizer.quantiser.codes",
        )


def changed(base: T, table: Mapping[str, Any], where: str) -> T:
    """``base`` (a frozen dataclass) with the values of a nested table.

    UsageError names an unknown key or a value of the wrong kind, with its place.
    """
    hints = typing.get_type_hints(type(base))
    known = {f.name for f in dataclasses.fields(base)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise UsageError(
                f"unknown key {key!r} in [{where}].", hint=f"known: {', '.join(sorted(known))}"
            )
        old = getattr(base, key)
        if dataclasses.is_dataclass(old) and not isinstance(old, type):
            if not isinstance(value, Mapping):
                raise UsageError(f"[{where}] {key} must be a table, not {value!r}.")
            values[key] = changed(old, value, f"{where}.{key}")
        else:
            values[key] = _checked(value, hints[key], f"[{where}] {key}")
    return dataclasses.replace(base, **values)  # type: ignore[type-var]


def _checked(value: Any, hint: Any, name: str) -> Any:
    """``value`` in the kind that ``hint`` asks for; whole numbers pass as decimals."""
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        if isinstance(value, (list, tuple)) and len(value) == len(options):
            return tuple(_checked(v, o, name) for v, o in zip(value, options, strict=True))
        raise UsageError(f"{name} must be a list of {len(options)} values, not {value!r}.")
    if origin is typing.Literal:
        if value in options:
            return value
        raise UsageError(f"{name} is {value!r}.", hint=f"choose from: {', '.join(options)}")
    kinds = options or (hint,)
    if origin is not None and isinstance(value, Mapping):
        return dict(value)
    for kind in kinds:
        if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        if isinstance(kind, type) and isinstance(value, kind):
            if isinstance(value, bool) and kind is not bool:
                continue
            return value
    wanted = " or ".join(getattr(k, "__name__", str(k)) for k in kinds)
    raise UsageError(f"{name} must be {wanted}, not {value!r}.")


def from_table(table: Mapping[str, Any]) -> K2MTrainConfig:
    """The configuration of a recipe's [train.k2m] table; unknown keys are refused."""
    config = changed(K2MTrainConfig(), table, "train.k2m")
    config.sizes()  # refuses a bad preset or model table now, not at the first step
    return config


def as_table(config: Any) -> dict[str, Any]:
    """The configuration as JSON-able nested tables, for checkpoints."""
    return dataclasses.asdict(config)
