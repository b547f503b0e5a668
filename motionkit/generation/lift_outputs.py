"""What `lift` writes of one clip, and how well the lifted motion fits its keypoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError
from motionkit.generation.lift_inputs import KeypointClip
from motionkit.generation.world import rest_of, to_world

if TYPE_CHECKING:
    from motionkit.models.k2m.observe import Observation
    from motionkit.models.k2m.tokenizer import Lifted, Tokenizer

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """How a lifted clip sits in front of its camera."""

    joints: Float
    """[F, 24, 3] metres, camera frame: x right, y down, z forward."""
    points: Float
    """[F, 17, 3] COCO points, likewise."""
    gap_px: Float
    """[F] mean distance of the seen keypoints from the projection; nan where none is seen."""
    seen: Float
    """[F] share of the keypoints that are seen."""
    facing_deg: Float
    """[F] 0 at the camera, +90 the picture's right."""
    height_px: float
    """Pixels a body height."""
    offsets: Float | None = None
    """[24, 3] rest offsets, where the body is not the built-in one."""


def fit_of(
    tokenizer: Tokenizer, m2d: NDArray[np.float32], seen: Observation, lifted: Lifted
) -> Fit:
    """Projects a lifted clip (batch of one, CPU) and holds it against its keypoints."""
    import torch

    from motionkit.models.k2m.ensemble import facing

    with torch.no_grad():
        placed = _on_cpu(tokenizer).place(lifted, seen.height, seen.centre, seen.size)
        pixels = seen.pixels(placed.pixels)[0].double().numpy()
        turn = facing(lifted.root)[0].double().numpy()
    gap = np.linalg.norm(pixels - m2d[:, :17, :2], axis=-1)
    measured = seen.seen[0].numpy()
    count = measured.sum(1)
    total = np.where(measured, gap, 0.0).sum(1)
    return Fit(
        joints=placed.joints[0].double().numpy(),
        points=placed.points[0].double().numpy(),
        gap_px=np.where(count > 0, total / np.maximum(count, 1), np.nan),
        seen=measured.mean(1),
        facing_deg=np.degrees(np.arctan2(turn[:, 0], turn[:, 1])),
        height_px=float(seen.height[0]),
        offsets=rest_of(tokenizer, lifted),
    )


def _on_cpu(tokenizer: Tokenizer) -> Tokenizer:
    """A tokeniser that places on the CPU: placing has no weights, only the body's constants."""
    if next(tokenizer.parameters()).device.type == "cpu":
        return tokenizer
    from motionkit.models.k2m.tokenizer import Tokenizer as Fresh

    return Fresh(tokenizer.config)


def write_clip(
    clip: KeypointClip,
    fit: Fit,
    lifted: Lifted,
    place: Mapping[str, Path],
    *,
    camera: bool,
    about: Mapping[str, str],
) -> str:
    """Writes the formats that ``place`` names; returns a remark, or "".

    ``about`` goes into the .npz as it is. InputError 'lift-not-finite'.
    """
    from motionkit.bodies.export import write_bvh, write_npz
    from motionkit.bodies.gltf import write_glb

    motion = to_world(lifted, offsets=fit.offsets)
    if not (np.isfinite(motion.poses).all() and np.isfinite(motion.trans).all()):
        raise InputError("lift-not-finite", f"{clip.name}: the lifted motion is not finite")
    if "npz" in place:
        extra = _extra(clip, fit, lifted, camera) | {k: np.array(v) for k, v in about.items()}
        write_npz(motion, place["npz"], extra=extra)
    if "bvh" in place:
        write_bvh(motion, place["bvh"])
    if "glb" in place:
        write_glb(motion, place["glb"])
    if "mp4" not in place:
        return ""
    from motionkit.generation.lift_film import write_film

    return write_film(clip, motion, fit.joints, place["mp4"])


def _extra(clip: KeypointClip, fit: Fit, lifted: Lifted, camera: bool) -> dict[str, NDArray[Any]]:
    """What the .npz of a lifted clip holds beside the motion."""
    frames = len(clip.m2d)
    extra: dict[str, NDArray[Any]] = {
        "m2d": clip.m2d.astype(np.float32),
        "times_s": np.arange(frames) / clip.fps,
        "confidence": fit.seen.astype(np.float32),
        "reprojection_px": fit.gap_px.astype(np.float32),
        "height_px": np.array(fit.height_px),
        "facing_deg": fit.facing_deg.astype(np.float32),
    }
    extra |= {name: np.array(value) for name, value in sorted(clip.origin.items())}
    if clip.film is not None:
        extra["ordinals"] = clip.film.ordinals.astype(np.int32)
    if camera:
        extra["joints_camera"] = fit.joints.astype(np.float32)
        extra["points_camera"] = fit.points.astype(np.float32)
        extra["root_camera"] = lifted.root[0].numpy().astype(np.float32)
    return extra
