"""Generated motions for the page's player: joints as whole millimetres."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np

#: Longer motions are cut: ten seconds at 30 frames a second are enough to judge.
MAX_FRAMES: Final = 300


@dataclasses.dataclass(frozen=True)
class GeneratedMotion:
    """``joints_mm`` is flat [F, 24, 3], y up; ``problem`` says why there is no motion."""

    name: str
    text: str
    fps: float
    frames: int
    joints_mm: list[int]
    problem: str = ""


def read_motion(path: Path) -> GeneratedMotion:
    """Read 'joints' [F, 24, 3] (metres, y up), 'fps' and 'text' or 'prompt' of an .npz file.

    The motion is moved so that it starts over the origin and its lowest point is the floor.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if "joints" not in file:
                return _broken(path, "it has no array 'joints'")
            joints = np.asarray(file["joints"], np.float64)
            fps = float(file["fps"]) if "fps" in file else 30.0
            text = next((_text(file[key]) for key in ("text", "prompt") if key in file), "")
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        return _broken(path, f"it cannot be read: {error}")
    if joints.ndim != 3 or joints.shape[1:] != (24, 3) or not len(joints):
        return _broken(path, f"'joints' has shape {joints.shape}, not (frames, 24, 3)")
    if not np.isfinite(joints).all():
        return _broken(path, "its joints are not all finite")
    if not (np.isfinite(fps) and fps > 0):
        return _broken(path, f"its rate is {fps}")
    joints = joints[:MAX_FRAMES]
    joints = joints - [joints[0, 0, 0], joints[..., 1].min(), joints[0, 0, 2]]
    flat = (joints * 1000).round().astype(int).ravel().tolist()
    return GeneratedMotion(path.stem, text, fps, len(joints), flat)


def _text(value: Any) -> str:
    array = np.asarray(value)
    if array.dtype.kind not in "US":
        return ""
    first = array.ravel()[0] if array.size else ""
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)


def _broken(path: Path, problem: str) -> GeneratedMotion:
    return GeneratedMotion(path.stem, "", 30.0, 0, [], problem)
