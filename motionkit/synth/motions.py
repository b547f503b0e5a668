"""Procedural human motions: `motion(kind, seed=…)` gives rotations, translation and captions.

Every kind is a script over time (gaits, gestures, sports, postures) that plays a `Puppet`. The
world is in metres, y up with the floor at y = 0; the person starts near the origin, facing +z,
with the left side towards +x.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.skeleton import forward_kinematics, shaped_offsets
from motionkit.errors import UsageError
from motionkit.synth.gaits import GAITS
from motionkit.synth.gestures import GESTURES
from motionkit.synth.postures import POSTURES
from motionkit.synth.puppet import Puppet, foot_heights
from motionkit.synth.sports import SPORTS
from motionkit.synth.styles import STYLES, style_named
from motionkit.synth.wording import Kind, captions

Float = NDArray[np.float64]

_BY_NAME: dict[str, Kind] = {kind.name: kind for kind in (*GAITS, *GESTURES, *SPORTS, *POSTURES)}

#: Names of all kinds, in a fixed order.
KINDS: tuple[str, ...] = tuple(_BY_NAME)
#: Names of all styles.
STYLE_NAMES: tuple[str, ...] = tuple(STYLES)


@dataclass(frozen=True, kw_only=True)
class SynthMotion:
    """One motion and the words for it."""

    kind: str
    style: str
    seed: int
    fps: float
    rotations: Float
    """[F, 24, 3, 3]: each joint relative to its parent, the first in the world."""
    translation: Float
    """[F, 3] metres, added to the rest place of the pelvis (as in SMPL)."""
    betas: Float
    """[10]: shape values of the built-in skeleton."""
    captions: tuple[str, ...]
    """Several wordings; left and right are the person's own."""
    seat: tuple[float, float, float] | None = None
    """Where the person sits: x and z of the seat's middle and its height, metres."""

    def joints(self) -> tuple[Float, Float]:
        """Joint positions [F, 24, 3] in metres and global rotations [F, 24, 3, 3]."""
        return forward_kinematics(self.rotations, self.translation, self.betas)


def motion(
    kind: str,
    *,
    seed: int,
    seconds: float = 4.0,
    fps: float = 30.0,
    style: str = "neutral",
    tempo: float = 1.0,
    betas: Float | None = None,
) -> SynthMotion:
    """The motion of this kind; the same arguments give the same arrays.

    ``seed`` varies sizes, phases and sides left open by the kind; ``tempo`` is a factor on its
    speed, on top of the style's. ``betas`` [10] is the body's shape (None: the neutral one).
    `UsageError` for an unknown kind or style, or a length below two frames.
    """
    if kind not in _BY_NAME:
        raise UsageError(f"unknown kind of motion {kind!r}.", hint="known: " + ", ".join(KINDS))
    frames = round(seconds * fps)
    if frames < 2 or tempo <= 0:
        raise UsageError(
            f"cannot make a motion of {frames} frames at tempo {tempo}.",
            hint="ask for at least two frames and a tempo above 0",
        )
    manner = style_named(style)
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode())])
    shape = np.zeros(10) if betas is None else np.asarray(betas, dtype=float)
    entry = _BY_NAME[kind]
    puppet = Puppet(frames, fps, tempo=tempo, style=manner, rng=rng, betas=shape)
    entry.script(puppet)
    rotations, translation = puppet.pose()
    # Whatever a script asked for, no sole goes through the floor.
    below = np.minimum(foot_heights(rotations, translation, shape).min(-1), 0.0)
    translation[:, 1] -= below
    seat = None
    if puppet.seated:
        pelvis = translation + shaped_offsets(shape)[0]
        x, y, z = (float(v) for v in pelvis[pelvis[:, 1].argmin()])
        seat = (x, z - 0.03, y - 0.145)  # the pelvis joint is that far over what one sits on
    return SynthMotion(
        kind=kind,
        style=style,
        seed=seed,
        fps=fps,
        rotations=rotations,
        translation=translation,
        betas=shape,
        captions=captions(entry, manner, rng),
        seat=seat,
    )
