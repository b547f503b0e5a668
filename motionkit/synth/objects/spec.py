"""What a world shall be. A spec, a split and a number determine every byte of a video."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import numpy as np

from motionkit.errors import UsageError
from motionkit.synth.objects.motions import MOTIONS

#: Raise whenever the same spec gives other bytes than before.
WORLD_VERSION = 4

#: Split → whether it has masks. The names decide what `build-shards` makes of them.
SPLITS: dict[str, bool] = {"train": True, "valid_u": True, "valid": False}


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorldSpec:
    """A world of videos of moving objects."""

    seed: int = 0
    width: int = 640
    height: int = 360
    frames: int = 40
    """Of each video."""
    fps: float = 20.0
    """Frames a second that the speeds are worked out for; the layout itself states no rate."""
    sentences: int = 3
    """Sentences about each object; those about several objects come on top."""
    deforming: float = 0.25
    """Share of objects that breathe, squash or wobble."""
    camera: float = 0.36
    """Share of videos whose camera moves."""
    objects: int = 4
    """Most objects in a video."""
    held_out: float = 0.5
    """Share of the sentences of valid_u and valid with words that training sentences never have."""
    motions: tuple[str, ...] = ()
    """Only these motions, and single objects that move on their own; empty: all."""
    quality: int = 92
    """Of the JPEG files."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.motions if name not in MOTIONS]
        if unknown:
            raise UsageError(
                f"unknown motions {unknown}.", hint="known: " + ", ".join(sorted(MOTIONS))
            )
        if min(self.width, self.height) < 64 or max(self.width, self.height) > 4096:
            raise UsageError(
                f"cannot render {self.width}x{self.height}.", hint="sides go from 64 to 4096"
            )
        if self.frames < 2 or self.fps <= 0:
            raise UsageError(
                f"{self.frames} frames at {self.fps} a second make no video.",
                hint="ask for at least two frames and a rate above 0",
            )
        if self.sentences < 1 or not 1 <= self.objects <= 4:
            raise UsageError(
                f"cannot make {self.sentences} sentences about up to {self.objects} objects.",
                hint="at least one sentence, and 1 to 4 objects",
            )
        shares = {"deforming": self.deforming, "camera": self.camera, "held_out": self.held_out}
        wrong = {name: share for name, share in shares.items() if not 0 <= share <= 1}
        if wrong:
            raise UsageError(f"{wrong} are no shares.", hint="shares go from 0 to 1")
        if not 1 <= self.quality <= 100:
            raise UsageError(f"no JPEG quality {self.quality}.", hint="it goes from 1 to 100")

    def fingerprint(self) -> str:
        """Identity of the spec and of the version that renders it, as a hash."""
        text = json.dumps(
            {"version": WORLD_VERSION, **dataclasses.asdict(self)}, sort_keys=True, default=list
        )
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def rng(self, split: str, number: int, part: int = 0) -> np.random.Generator:
        """The generator of one video; it depends on no other video."""
        return np.random.default_rng([self.seed, list(SPLITS).index(split), number, part])

    def as_dict(self) -> dict[str, Any]:
        """The fields, for records."""
        return dataclasses.asdict(self)
