"""What one synthetic clip shall show. A spec determines every byte of the clip."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from motionkit.errors import UsageError
from motionkit.synth.camera import MOVES
from motionkit.synth.motions import KINDS
from motionkit.synth.styles import STYLES

#: Raise whenever the same spec gives other bytes than before.
SYNTH_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class SynthSpec:
    """One clip. Fields left None are drawn from the seed."""

    kinds: tuple[str, ...] = ("walk",)
    """One kind of motion a shot; more than one makes cuts between them."""
    seed: int = 0
    seconds: float = 4.0
    """Length of the whole clip."""
    fps: float = 30.0
    width: int = 640
    height: int = 360
    camera: str = "still"
    """One of `camera.MOVES`; holds for every shot."""
    people: int = 1
    """2 adds a second person further back."""
    style: str | None = None
    tempo: float | None = None
    azimuth_deg: float | None = None
    """Where the camera stands: 0 before the person, 90 at their left side, 180 behind."""
    share: float | None = None
    """Height of the person to aim for, as a share of the picture's."""
    outdoors: bool | None = None
    noise: bool = True
    """Sensor noise."""

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or not self.kinds:
            raise UsageError(
                f"unknown kinds of motion {unknown}." if unknown else "no kind of motion is named.",
                hint="known: " + ", ".join(KINDS),
            )
        if self.camera not in MOVES:
            raise UsageError(
                f"unknown camera move {self.camera!r}.", hint="known: " + ", ".join(MOVES)
            )
        if self.style is not None and self.style not in STYLES:
            raise UsageError(f"unknown style {self.style!r}.", hint="known: " + ", ".join(STYLES))
        if self.width % 2 or self.height % 2 or min(self.width, self.height) < 64:
            raise UsageError(
                f"cannot render {self.width}x{self.height}.",
                hint="width and height must be even and at least 64",
            )
        if self.people not in (1, 2):
            raise UsageError(f"cannot show {self.people} people.", hint="1 or 2 are possible")
        if self.fps <= 0 or self.seconds * self.fps < 4 * len(self.kinds):
            raise UsageError(
                f"{self.seconds} s at {self.fps} frames/s cannot hold {len(self.kinds)} shots.",
                hint="ask for at least four frames a shot",
            )

    def fingerprint(self) -> str:
        """Identity of the clip: the spec and the version of the renderer, as a hash."""
        text = json.dumps({"version": SYNTH_VERSION, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]
