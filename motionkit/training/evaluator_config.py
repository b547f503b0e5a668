"""What `train evaluator` can be told: the recipe's [train.evaluator] table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from motionkit.errors import UsageError
from motionkit.models.evaluator.config import EvaluatorConfig
from motionkit.training.k2m_config import changed
from motionkit.training.options import RunOptions, StageOptions


@dataclass(frozen=True, kw_only=True)
class EvaluatorTrainConfig(StageOptions, RunOptions):
    """Everything that decides the outcome of a training, besides the shards."""

    seed: int = 0
    steps: int = 1000
    """Most steps; `patience` usually ends it before: with some hundred clips after about 350."""
    batch: int = 64
    """Clips a step, all different. InfoNCE learns from the others as negatives: more is better."""
    window: int = 300
    """Most frames of a clip; longer ones are cut at a random place. A text is of the whole clip."""
    learning_rate: float = 1e-3
    """Peak."""
    optimizer: Literal["adam", "adamw"] = "adamw"
    weight_decay: float = 0.1
    """adamw: decoupled, on matrices alone. There are never enough different texts, and without it
    they are learned by heart."""
    temperature: float = 0.1
    """Of InfoNCE."""
    alike: float = 0.8
    """Texts whose features have a higher cosine are no negatives of each other; 1: only equal
    ones and those of one clip are left out."""
    directions: bool = True
    """Texts that name different sides or directions are never alike, whatever the text encoder
    says: to it "waves the left hand" and "waves the right hand" are nearly the same."""
    margin_weight: float = 0.0
    """Weight of Guo et al.'s margin loss beside InfoNCE; 0: without it."""
    margin: float = 1.0
    """Its margin; embeddings have length 1, so distances lie in 0..2."""
    mirror: bool = True
    """Show half of the clips mirrored, with left and right swapped in their texts."""
    noise: float = 0.005
    """Of a body height, on the input keypoints."""
    hide: float = 0.05
    """Share of the input keypoints hidden: what is measured has gaps, what is projected has not."""
    encoder: str = "minilm"
    """Frozen text encoder: minilm (embedded), or a CLIP of the models folder,
    clip:openai/clip-vit-base-patch32."""
    val_every: int = 50
    """Steps between two looks at the val split. The weights with the best R-precision there
    (mean of top 1 to 3) are kept; without val clips the last ones."""
    patience: int = 4
    """Looks at the val split without a better one after which training ends; 0: never."""
    val_pool: int = 32
    """Pool of those looks; smaller where the val split has too few different texts."""
    picture_every: int = 0
    """There is nothing to see."""
    model: EvaluatorConfig = field(default_factory=EvaluatorConfig)

    def __post_init__(self) -> None:
        StageOptions.__post_init__(self)
        RunOptions.__post_init__(self)
        if self.batch < 2:
            raise UsageError(
                f"[train.evaluator] batch is {self.batch}: a pair alone has no negatives.",
                hint="use 32 or more",
            )


def from_table(table: Mapping[str, Any]) -> EvaluatorTrainConfig:
    """The configuration of a recipe's [train.evaluator] table; unknown keys are refused."""
    return changed(EvaluatorTrainConfig(), table, "train.evaluator")
