"""What every training can be told: how a stage steps, and how and where the run goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from motionkit.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class StageOptions:
    """Steps, learning rate and optimiser of a stage."""

    steps: int = 1000
    batch: int = 16
    """Samples in a draw. With ``accumulate`` and several devices a step sees
    batch · accumulate · devices of them."""
    learning_rate: float = 2e-4
    """Peak."""
    warm_up: int = 50
    """Steps in which the rate rises from 0, in a line."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the rate falls after the warm-up."""
    final_rate: float = 0.05
    """Share of the peak at the last step (cosine, linear)."""
    clip_norm: float = 1.0
    """Gradients longer than this are shortened to it; 0: never."""
    accumulate: int = 1
    """Draws whose gradients are averaged into one step: a larger batch in the same memory."""
    ema: float = 0.0
    """Decay of a running mean of the weights, 0.999 for example; 0: none. Where there is one, it
    is what is looked at and exported. Codebooks and other buffers are taken as they are."""
    optimizer: Literal["adam", "adamw"] = "adam"
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    """adamw: decoupled, on matrices alone (no biases, no norms). adam: added to the gradient."""

    def __post_init__(self) -> None:
        for name, low in (("steps", 0), ("batch", 1), ("accumulate", 1), ("warm_up", 0)):
            if getattr(self, name) < low:
                raise UsageError(f"{name} is {getattr(self, name)}.", hint=f"give {low} or more")
        if not 0 <= self.ema < 1:
            raise UsageError(f"ema is {self.ema}.", hint="give 0 (off), or a decay such as 0.999")
        if not self.clip_norm >= 0:
            raise UsageError(f"clip_norm is {self.clip_norm}.", hint="give 0 (off) or more")
        for name, known in (
            ("schedule", ("cosine", "linear", "constant")),
            ("optimizer", ("adam", "adamw")),
        ):
            if getattr(self, name) not in known:
                raise UsageError(
                    f"{name} is {getattr(self, name)!r}.", hint=f"choose from: {', '.join(known)}"
                )


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where a training runs, and what it leaves behind."""

    threads: int | None = 1
    """CPU threads; None: torch's choice. One is right for small models: their tensors are small,
    and on a machine that does anything else, threads that wait for each other made a step 2 to
    20 times slower. Another number can change the last bits."""
    max_minutes: float | None = None
    """Stops early, after the step that passes it. Leave it unset where runs must be equal."""
    log_every: int = 10
    """Steps between two rows of the log."""
    save_every: int = 200
    """Steps between two checkpoints; 0: only at the end of a stage."""
    val_every: int = 200
    """Steps between two looks at the val split; 0: never."""
    picture_every: int = 200
    """Steps between two pictures of what the model makes (OUT/pictures); 0: never."""
    keep_last: int = 1
    """Checkpoints of a stage that are kept. The older ones carry their step in their name; to go
    back to one, rename it to that of the newest."""
    tensorboard: bool = False
    """Also write curves and pictures for TensorBoard (OUT/tensorboard)."""
    devices: int = 1
    """Processes that train together, each on a device of its own (package lightning-fabric)."""
    device: str = "auto"
    """auto (CUDA where there is one, else the CPU), cpu, cuda, cuda:1, or a list of them."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto: bf16 on CUDA (weights and what is delicate stay fp32), fp32 on the CPU."""
    compile: bool = False
    """torch.compile, on CUDA alone: the first steps take minutes, the others less time."""
    cache_mb: float = 1024.0
    """Training clips up to this size are held in memory; of a larger set, what was used last. The
    draws are the same."""

    def __post_init__(self) -> None:
        for name, low in (
            ("log_every", 1), ("save_every", 0), ("val_every", 0), ("picture_every", 0),
            ("keep_last", 1), ("devices", 1), ("cache_mb", 0),
        ):  # fmt: skip
            if getattr(self, name) < low:
                raise UsageError(f"{name} is {getattr(self, name)}.", hint=f"give {low} or more")
        if self.precision not in ("auto", "fp32", "bf16"):
            raise UsageError(
                f"precision is {self.precision!r}.", hint="choose from: auto, fp32, bf16"
            )


#: Options that do not decide the outcome: a run may go on with other ones.
FREE = (
    "max_minutes", "log_every", "save_every", "val_every", "picture_every", "keep_last",
    "tensorboard", "device", "compile", "cache_mb",
)  # fmt: skip
