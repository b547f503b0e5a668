"""Text → 3D motion → files, with a trained K2M checkpoint."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies import rotations
from motionkit.bodies.motion import BodyMotion
from motionkit.bodies.skeleton import JOINT, forward_kinematics, shaped_offsets
from motionkit.errors import UsageError
from motionkit.evaluation.kinematic import measure, named

if TYPE_CHECKING:
    from motionkit.models.k2m.sampling import SamplingConfig
    from motionkit.models.k2m.tokenizer import Lifted

Float = NDArray[np.float64]

#: Nobody stays in the air for longer than this: two thirds of a second.
FLIGHT_FRAMES = 21
FORMATS = ("npz", "bvh", "mp4")
#: The clips that models learn from run at this rate (spec/motionweb).
FPS = 30.0
#: Distance of the camera that a generated motion is laid out for, metres. The model's depth is a
#: *share* of the distance; the spec's f = 5000 camera stands 12–40 m away, where the same share
#: would send a walker through several rooms. 5 m is where people are usually filmed from.
VIEW_DISTANCE_M = 5.0
#: Hann width over the distance: depth from apparent size is noisy, and with less of it walkers
#: go back and forth.
DEPTH_FRAMES = 61
#: Hann width over where the body faces. The sign of a small turn hardly shows in 2D, so the
#: facing wobbles at the rhythm of the motion; real turns take longer than this filter.
FACING_FRAMES = 31


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


def to_world(lifted: Lifted, index: int = 0) -> BodyMotion:
    """A lifted motion in the world: y up, feet on the floor, start at the origin facing +z.

    The camera's tilt is taken out as far as it can be told (`_camera_tilt`); distance and facing
    are smoothed over time. Feet are not pinned to the floor.
    """
    from motionkit.models.k2m.tokenizer import VISIBLE_HEIGHT_M

    pose = lifted.pose[index].double().numpy()
    root = lifted.root[index].double().numpy()
    path = (lifted.path[index] + lifted.offset[index]).double().numpy()
    depth = _hann(lifted.depth[index].double().numpy(), DEPTH_FRAMES)
    betas = lifted.betas[index].double().numpy()
    share = np.exp(0.2 * (depth - depth.mean()))
    place = np.concatenate(
        [path * VISIBLE_HEIGHT_M * share[:, None], VIEW_DISTANCE_M * (share - 1)[:, None]], -1
    )
    flip = np.diag([1.0, -1.0, -1.0])  # the camera's y points down, its z away
    turns, place = flip @ root, place @ flip
    tilt = rotations.about("x", -_camera_tilt(turns, pose, betas))
    turns, place = _steady(tilt @ turns, FACING_FRAMES), place @ tilt.T
    start = turns[: min(15, len(turns)), :, 2].mean(0)
    level = rotations.about("y", -float(np.arctan2(start[0], start[2])))
    turns, place = level @ turns, place @ level.T
    poses = np.concatenate([rotations.to_axis_angle(turns)[:, None], pose], 1)
    rest = shaped_offsets(betas)[0]
    motion = BodyMotion(poses, place - rest, betas, FPS)
    return _on_the_floor(motion)


def _camera_tilt(turns: Float, pose: Float, betas: Float) -> float:
    """How far the camera looks down, radians: the body's lean towards it when it stands tallest.

    From the ankles to the neck, over the quarter of the frames in which the body is tallest, in
    the plane of the view; at most 20°, since cameras rarely tilt more and bodies may.
    """
    matrices = np.concatenate([turns[:, None], rotations.from_axis_angle(pose)], 1)
    joints, _ = forward_kinematics(matrices, np.zeros((len(turns), 3)), betas)
    up = joints[:, JOINT["neck"]] - joints[:, [JOINT["left_ankle"], JOINT["right_ankle"]]].mean(1)
    height = np.linalg.norm(up, axis=-1)
    mean = up[height >= np.percentile(height, 75)].mean(0)
    limit = np.radians(20)
    return float(np.clip(np.arctan2(mean[2], mean[1]), -limit, limit))


def _steady(turns: Float, width: int) -> Float:
    """Root rotations [F, 3, 3] with the facing smoothed over ``width`` frames; leans are kept.

    The facing is that of the left-right axis, which stays level in a bow as well; averaged as a
    vector, so that it has no jump at 180° and counts less where that axis stands upright.
    """
    across = turns[:, 0, 0] - 1j * turns[:, 2, 0]
    calm = _hann(across.real, width) + 1j * _hann(across.imag, width)
    change = np.angle(calm * across.conj())
    return np.stack([rotations.about("y", float(a)) for a in change]) @ turns


def _hann(values: Float, width: int) -> Float:
    """Hann-weighted running mean [F], edges held."""
    window = np.hanning(width + 2)[1:-1]
    held = np.pad(values, width // 2, mode="edge")
    return np.convolve(held, window / window.sum(), mode="valid")


def _on_the_floor(motion: BodyMotion) -> BodyMotion:
    """Start over the origin, and keep the lower foot on the floor.

    The floor follows the lowest foot over `FLIGHT_FRAMES`, smoothed: a jump stays in the air, and
    a squat, whose hips the path lowers less than the knees bend, does not float.
    """
    from scipy.ndimage import minimum_filter1d

    joints = motion.joints()
    feet = joints[:, [JOINT[f"{s}_{p}"] for s in ("left", "right") for p in ("foot", "ankle")], 1]
    lowest = (feet - np.array([0.03, 0.08, 0.03, 0.08])).min(1)  # joint to sole
    floor = _hann(minimum_filter1d(lowest, FLIGHT_FRAMES, mode="nearest"), FLIGHT_FRAMES)
    shift = np.zeros_like(motion.trans)
    shift[:, 1] = floor
    shift[:, [0, 2]] = joints[0, 0, [0, 2]]
    return BodyMotion(motion.poses, motion.trans - shift, motion.betas, motion.fps)
