"""AMASS-style .npz as motions: body poses, y up, 30 frames a second, 24 joints.

Read are SMPL ([F, 72]), SMPL+H ([F, 156]) and SMPL-X ([F, 165]) poses, as one array ``poses`` or
as ``root_orient``, ``pose_body`` …, and what `motionkit.bodies.export.write_npz` wrote. Of hands
and face the wrists stay: motionkit's skeleton ends there.

    OUT/motions/NAME.npz   what `bodies.export.read_npz` reads, with smpl_betas, gender, source
    OUT/index.csv          every input file: name, status (ok or a code), frames, rate, seconds
"""

from __future__ import annotations

import csv
import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionkit.arrays import read_npz
from motionkit.bodies.export import AXES
from motionkit.bodies.motion import BodyMotion
from motionkit.bodies.rotations import about, from_axis_angle, to_axis_angle
from motionkit.bodies.skeleton import shaped_offsets
from motionkit.errors import InputError, UsageError
from motionkit.exchange.folders import export_folder
from motionkit.exchange.rows import safe_name

KIND: Final = "motions"
FPS: Final = 30.0
#: Numbers a frame → model. The first 22 joints of all three are the same.
LAYOUTS: Final = {72: "smpl", 156: "smplh", 165: "smplx"}
_BODY: Final = 22
_RATES: Final = ("mocap_framerate", "mocap_frame_rate", "fps")
_PARTS: Final = ("root_orient", "pose_body")
_READ: Final = frozenset(
    {"poses", "trans", "betas", "gender", "skeleton", "axes", "text", *_RATES, *_PARTS}
)
#: Frame rates outside are taken for mistakes.
_LEAST_RATE: Final = 1.0
_MOST_RATE: Final = 1000.0
#: Most frames of one file: an hour at 120 a second.
MOST_FRAMES: Final = 432_000

Float = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class AmassMotion:
    """A motion at its own rate in motionkit's frame, and what else the file says."""

    motion: BodyMotion
    layout: str
    """smpl | smplh | smplx | motionkit-24"""
    gender: str
    smpl_betas: Float
    """Shape values of the mesh model as given; motionkit's own body is neutral then."""
    text: str


def read_amass(path: Path) -> AmassMotion:
    """Read one file. Nothing pickled is loaded.

    AMASS is z up: root and translation are turned so that y is up. Raises InputError:
    motion-unreadable, motion-no-poses (no poses in it: a shape or marker file), motion-shape,
    motion-rate, motion-not-finite, motion-too-long.
    """
    try:
        found = read_npz(path, _READ)
    except InputError as error:
        raise InputError("motion-unreadable", error.message) from error
    poses, layout = _poses(found, path)
    trans = _array(found, "trans", path)
    if trans.shape != (len(poses), 3):
        raise InputError("motion-shape", f"{path.name}: trans of shape {trans.shape}")
    own = _text(found, "skeleton") == "motionkit-24"
    betas = _array(found, "betas", path).ravel() if "betas" in found else np.zeros(10)
    for name, values in (("poses", poses), ("trans", trans), ("betas", betas)):
        if not np.isfinite(values).all():
            raise InputError("motion-not-finite", f"{path.name}: {name} with nan or infinity")
    rate = _rate(found, path)
    if own:
        if layout != "smpl" or betas.shape != (10,):
            raise InputError("motion-shape", f"{path.name}: {betas.shape} betas, {layout} poses")
        motion = BodyMotion(poses, trans, betas, rate)
        return AmassMotion(
            motion, "motionkit-24", _gender(found), np.zeros(0), _text(found, "text")
        )
    if _text(found, "axes").find("y up") < 0:
        poses, trans = _y_up(poses, trans)
    motion = BodyMotion(poses, trans, np.zeros(10), rate)
    return AmassMotion(motion, layout, _gender(found), betas, _text(found, "text"))


def resampled(motion: BodyMotion, fps: float = FPS) -> BodyMotion:
    """The motion at another rate: rotations by slerp, places linearly; frame i is the motion at
    i / fps seconds, up to its last frame."""
    from scipy.spatial.transform import Rotation, Slerp

    count = len(motion.poses)
    if motion.fps == fps or count < 2:
        return dataclasses.replace(motion, fps=fps) if count < 2 else motion
    given = np.arange(count) / motion.fps
    wanted = np.arange(math.floor((count - 1) / motion.fps * fps + 1e-6) + 1) / fps
    wanted = np.minimum(wanted, given[-1])
    poses = np.stack(
        [
            Slerp(given, Rotation.from_rotvec(motion.poses[:, joint]))(wanted).as_rotvec()
            for joint in range(motion.poses.shape[1])
        ],
        axis=1,
    )
    trans = np.stack([np.interp(wanted, given, motion.trans[:, axis]) for axis in range(3)], 1)
    return BodyMotion(poses, trans, motion.betas, fps)


def import_amass(
    source: Path, out: Path, *, fps: float | None = None, min_s: float = 0.5
) -> dict[str, Any]:
    """Read a .npz file or every one below a folder into the folder ``out``; returns counts.

    Bad files are listed in index.csv with their codes, and motions shorter than ``min_s`` seconds
    with 'motion-too-short'. UsageError where no file is good.
    """
    rate = fps or FPS
    files = [source] if source.is_file() else sorted(source.rglob("*.npz"))
    top = source.parent if source.is_file() else source
    if not files:
        raise UsageError(f"{source} holds no .npz file.", hint="name a file or a folder of AMASS")
    facts: dict[str, Any] = {"fps": rate, "motions": 0, "seconds": 0.0, "failed": {}}
    failed: Counter[str] = Counter()
    with export_folder(out, KIND, source, facts) as folder:
        (folder / "motions").mkdir()
        with (folder / "index.csv").open("w", newline="", encoding="utf-8") as stream:
            index = csv.writer(stream, lineterminator="\n")
            index.writerow(["name", "file", "status", "layout", "gender", "fps", "frames", "s"])
            for file in files:
                relative = file.relative_to(top).with_suffix("").as_posix()
                for line in _import_one(file, relative, folder, rate, min_s, facts, failed):
                    index.writerow(line)
        facts["failed"] = dict(sorted(failed.items()))
        if not facts["motions"]:
            raise UsageError(f"no motion could be read of {source}: {facts['failed']}.")
    return facts


def _import_one(
    file: Path,
    relative: str,
    folder: Path,
    fps: float,
    min_s: float,
    facts: dict[str, Any],
    failed: Counter[str],
) -> Iterator[list[Any]]:
    name = safe_name(relative.replace("/", "_")) if "/" not in relative else safe_name(relative)
    shown = "".join(c if c.isprintable() else "?" for c in f"{relative}.npz")
    try:
        found = read_amass(file)
        motion = resampled(found.motion, fps)
        seconds = len(motion.poses) / fps
        if seconds < min_s:
            raise InputError("motion-too-short", f"{shown}: {seconds:.2f} s")
    except InputError as error:
        failed[error.code] += 1
        yield [name, shown, error.code, "", "", "", "", ""]
        return
    _write(folder / "motions" / f"{name}.npz", motion, found, shown)
    facts["motions"] += 1
    facts["seconds"] += seconds
    own = found.motion
    yield [name, shown, "ok", found.layout, found.gender, own.fps, len(motion.poses), seconds]


def _write(path: Path, motion: BodyMotion, found: AmassMotion, source: str) -> None:
    with path.open("wb") as stream:
        np.savez_compressed(
            stream,
            poses=motion.poses.reshape(len(motion.poses), 72).astype(np.float32),
            trans=motion.trans.astype(np.float32),
            betas=motion.betas.astype(np.float32),
            mocap_framerate=np.float64(motion.fps),
            fps=np.float64(motion.fps),
            joints=motion.joints().astype(np.float32),
            text=np.array(found.text),
            gender=np.array(found.gender),
            axes=np.array(AXES),
            skeleton=np.array("motionkit-24"),
            smpl_betas=found.smpl_betas.astype(np.float32),
            layout=np.array(found.layout),
            source=np.array(source),
        )


def _poses(found: Mapping[str, Any], path: Path) -> tuple[Float, str]:
    """Poses [F, 24, 3] (hands at rest where the model has fingers instead) and the layout."""
    if "poses" in found:
        flat = _array(found, "poses", path)
    elif all(name in found for name in _PARTS):
        flat = np.concatenate([_two(found, name, path) for name in _PARTS], axis=1)
        flat = np.pad(flat, ((0, 0), (0, 6))) if flat.shape[1] == 66 else flat
    else:
        raise InputError("motion-no-poses", f"{path.name} has no poses")
    if flat.ndim == 3 and flat.shape[2] == 3:
        flat = flat.reshape(len(flat), -1)
    if flat.ndim != 2 or flat.shape[1] not in LAYOUTS or not len(flat):
        raise InputError("motion-shape", f"{path.name}: poses of shape {flat.shape}")
    if len(flat) > MOST_FRAMES:
        raise InputError("motion-too-long", f"{path.name}: {len(flat)} frames")
    joints = flat.reshape(len(flat), -1, 3)
    layout = LAYOUTS[flat.shape[1]]
    poses = np.zeros((len(flat), 24, 3))
    kept = 24 if layout == "smpl" else _BODY
    poses[:, :kept] = joints[:, :kept]
    return poses, layout


def _two(found: Mapping[str, Any], name: str, path: Path) -> Float:
    values = _array(found, name, path)
    if values.ndim != 2:
        raise InputError("motion-shape", f"{path.name}: {name} of shape {values.shape}")
    return values


def _array(found: Mapping[str, Any], name: str, path: Path) -> Float:
    if name not in found:
        raise InputError("motion-no-poses", f"{path.name} has no {name}")
    if found[name].dtype.kind not in "fiu":
        raise InputError("motion-shape", f"{path.name}: {name} holds {found[name].dtype}")
    return np.asarray(found[name], np.float64)


def _rate(found: Mapping[str, Any], path: Path) -> float:
    for name in _RATES:
        if name in found and found[name].size == 1 and found[name].dtype.kind in "fiu":
            rate = float(found[name].ravel()[0])
            if _LEAST_RATE <= rate <= _MOST_RATE:
                return rate
            raise InputError("motion-rate", f"{path.name}: {rate} frames a second")
    raise InputError("motion-rate", f"{path.name} states no frame rate ({', '.join(_RATES)})")


def _text(found: Mapping[str, Any], name: str) -> str:
    """A text that is stored as str or bytes; empty where there is none."""
    value = found.get(name)
    if value is None or value.size != 1 or value.dtype.kind not in "SU":
        return ""
    plain = value.ravel()[0]
    text = plain.decode("utf-8", "replace") if isinstance(plain, bytes) else str(plain)
    return "".join(c for c in text if c.isprintable())[:10_000]


def _gender(found: Mapping[str, Any]) -> str:
    gender = _text(found, "gender").lower()
    return gender if gender in ("male", "female", "neutral") else "unknown"


def _y_up(poses: Float, trans: Float) -> tuple[Float, Float]:
    """From z up to y up: the whole body is turned about x by -90 degrees.

    The root turns about the pelvis, which rests away from the origin: its offset is taken as the
    neutral body's.
    """
    turn = about("x", -np.pi / 2)
    turned = poses.copy()
    turned[:, 0] = to_axis_angle(turn @ from_axis_angle(poses[:, 0]))
    pelvis = shaped_offsets(None)[0]
    return turned, (trans + pelvis) @ turn.T - pelvis
