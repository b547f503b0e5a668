"""Text → 3D motion → files, with a trained K2M checkpoint."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.motion import BodyMotion
from motionkit.errors import UsageError
from motionkit.evaluation.kinematic import measure, named
from motionkit.generation.world import FPS, to_world

if TYPE_CHECKING:
    from motionkit.models.k2m.sampling import SamplingConfig

Float = NDArray[np.float64]

FORMATS = ("npz", "bvh", "mp4")


@dataclass(frozen=True)
class GeneratedMotion:
    """One motion made from a text."""

    paths: tuple[Path, ...]
    """The files, in the order of the formats asked for."""
    joints: Float
    """[F, 24, 3] metres, y up, floor at 0, the person facing +z at first."""
    kinematics: str
    """Which of the tests in `evaluation.kinematic` it passes, as words; a dash where none."""
    caption: str
    seconds: float
    seed: int


def slug(text: str, limit: int = 48) -> str:
    """A safe file name: lower-case ASCII letters, digits and hyphens, never empty."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:limit].strip("-")
    return name or "motion"


def generate(
    checkpoint: Path,
    text: str,
    *,
    out: Path,
    seconds: float | None = None,
    seed: int = 0,
    formats: Sequence[str] = FORMATS,
    sampling: SamplingConfig | None = None,
) -> GeneratedMotion:
    """Makes a motion from ``text`` and writes it into the folder ``out`` in ``formats``.

    ``checkpoint`` is a k2m.safetensors or the folder that holds it. ``seconds`` None: the length
    is predicted from the text. The same checkpoint, text, length and ``seed`` give the same
    files. UsageError for an empty text, an unknown format or a length out of range.
    """
    import torch

    from motionkit.backends.text_encoder import text_encoder
    from motionkit.models.k2m.sampling import predicted_lengths, sample_tokens
    from motionkit.training.k2m import load_model

    if not text.strip():
        raise UsageError("the text is empty.", hint='try: motionkit generate k2m "a person walks"')
    unknown = [f for f in formats if f not in FORMATS]
    if unknown:
        raise UsageError(f"unknown format {unknown[0]!r}.", hint=f"choose from: {FORMATS}")
    tokenizer, model, facts = load_model(checkpoint)
    down = tokenizer.config.down
    longest = int(facts["sizes"]["transformer"]["max_tokens"])
    encoder = text_encoder(str(facts["encoder"]))
    trained_with = facts.get("encoder_weights")
    if trained_with is not None and trained_with != encoder.identity():
        raise UsageError(
            f"{checkpoint} was trained with other weights of the text encoder {facts['encoder']} "
            f"({trained_with}) than are here ({encoder.identity()}).",
            hint="put the same weights there, or train again",
        )
    feature = torch.from_numpy(encoder.encode([text]))
    if seconds is None:
        length = predicted_lengths(model, feature)
    else:
        count = round(seconds * FPS / down)
        if not 2 <= count <= longest:
            raise UsageError(
                f"{seconds} s is out of range.",
                hint=f"ask for {2 * down / FPS:.1f} to {longest * down / FPS:.1f} s",
            )
        length = torch.tensor([count])
    generator = torch.Generator().manual_seed(seed)
    tokens, real = sample_tokens(model, feature, length, generator=generator, config=sampling)
    with torch.no_grad():
        lifted = tokenizer.decode(tokens, real)
    motion = to_world(lifted)
    joints = motion.joints()
    out.mkdir(parents=True, exist_ok=True)
    stem = f"{slug(text)}-{seed}"
    paths = {name: out / f"{stem}.{name}" for name in formats}
    _write(motion, joints, paths, text)
    found = ", ".join(named(measure(joints, FPS))) or "-"
    return GeneratedMotion(tuple(paths.values()), joints, found, text, len(joints) / FPS, seed)


def _write(motion: BodyMotion, joints: Float, paths: dict[str, Path], title: str) -> None:
    from motionkit.bodies.export import write_bvh, write_npz
    from motionkit.bodies.render_motion import write_mp4

    if "npz" in paths:
        write_npz(motion, paths["npz"], text=title)
    if "bvh" in paths:
        write_bvh(motion, paths["bvh"])
    if "mp4" in paths:
        write_mp4(joints, paths["mp4"], fps=motion.fps, title=title)
