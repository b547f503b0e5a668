"""What `lift` takes in: clips of keypoints, brought to the rate that models learn, and checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError
from motionkit.generation.world import FPS


@dataclass(frozen=True)
class Film:
    """The video that keypoints were measured on."""

    path: str
    decoder: str | None
    ordinals: NDArray[np.int32]
    """[F] source frame of each frame of the clip."""


@dataclass(frozen=True)
class KeypointClip:
    """One person's keypoints."""

    name: str
    """Name of the files to write; safe as such, one clip alone has it."""
    m2d: NDArray[np.float32]
    """[F, 18, 3]: 17 COCO points (x, y in pixels, confidence), then (width, height, 1)."""
    fps: float
    origin: Mapping[str, str] = field(default_factory=dict)
    """Ids (sample_id, clip_id, video_id) or the file that the clip comes from."""
    film: Film | None = None

    def digest(self) -> str:
        """Names what is lifted: the keypoints and their rate."""
        found = hashlib.sha256(np.ascontiguousarray(self.m2d, np.float32).tobytes())
        found.update(repr(float(self.fps)).encode())
        return found.hexdigest()[:32]


@dataclass(frozen=True)
class UnreadClip:
    """A clip that could not be read, so that the others go on."""

    name: str
    code: str
    message: str


def check(clip: KeypointClip, *, frames: int, confidence: float) -> None:
    """InputError where a clip cannot be lifted.

    malformed-sample (another shape, numbers that are not finite, no size), clip-too-short (less
    than ``frames`` frames), keypoints-unseen (no keypoint above ``confidence``).
    """
    m2d = clip.m2d
    if m2d.ndim != 3 or m2d.shape[1:] != (18, 3):
        raise InputError(
            "malformed-sample", f"{clip.name}: keypoints of shape {m2d.shape}, not [F, 18, 3]"
        )
    if not np.isfinite(m2d).all():
        raise InputError("malformed-sample", f"{clip.name}: keypoints that are not finite")
    if len(m2d) < frames:
        raise InputError(
            "clip-too-short", f"{clip.name}: {len(m2d)} frames at {FPS:g} a second; the model "
            f"needs {frames}"
        )  # fmt: skip
    if (m2d[:, 17, :2] < 1).any():
        raise InputError("malformed-sample", f"{clip.name}: a picture of no size")
    if not (m2d[:, :17, 2] > confidence).any():
        raise InputError(
            "keypoints-unseen", f"{clip.name}: no keypoint has a confidence above {confidence:g}"
        )


def at_rate(clip: KeypointClip, fps: float = FPS) -> KeypointClip:
    """The clip at ``fps``: points interpolated between the two frames round each new one.

    A new point has the lower confidence of its two, so that what was not seen stays unseen. The
    clip itself where it has the rate already.
    """
    if not 0 < clip.fps <= 1000:
        raise InputError("malformed-sample", f"{clip.name}: {clip.fps} frames a second")
    if abs(clip.fps - fps) < 1e-3 * fps or not len(clip.m2d):
        return clip
    count = int(np.floor((len(clip.m2d) - 1) / clip.fps * fps + 1e-6)) + 1
    place = np.arange(count) * clip.fps / fps
    low = np.minimum(place.astype(int), len(clip.m2d) - 1)
    high = np.minimum(low + 1, len(clip.m2d) - 1)
    share = np.where(high > low, place - low, 0.0)[:, None, None]
    m2d = (clip.m2d[low] * (1 - share) + clip.m2d[high] * share).astype(np.float32)
    between = share > 1e-6
    lower = np.minimum(clip.m2d[low, :, 2:], clip.m2d[high, :, 2:])
    m2d[..., 2:] = np.where(between, lower, clip.m2d[low, :, 2:])
    film = clip.film
    if film is not None:
        film = replace(film, ordinals=film.ordinals[np.where(share[:, 0, 0] < 0.5, low, high)])
    return replace(clip, m2d=m2d, fps=fps, film=film)
