"""A lifted motion put into the world: the camera's tilt taken out, the floor found.

Generation and `lift` both end here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies import rotations
from motionkit.bodies.motion import BodyMotion
from motionkit.bodies.skeleton import JOINT, forward_kinematics, shaped_offsets

if TYPE_CHECKING:
    from motionkit.models.k2m.tokenizer import Lifted, Tokenizer

Float = NDArray[np.float64]

#: Nobody stays in the air for longer than this: two thirds of a second.
FLIGHT_FRAMES = 21
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


def to_world(lifted: Lifted, index: int = 0, *, offsets: Float | None = None) -> BodyMotion:
    """A lifted motion in the world: y up, feet on the floor, start at the origin facing +z.

    The camera's tilt is taken out as far as it can be told (`_camera_tilt`); distance and facing
    are smoothed over time. Feet are not pinned to the floor. ``offsets`` [24, 3]: rest offsets of
    the model's body with these betas, where it is not the built-in one (`rest_of`).
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
    tilt = rotations.about("x", -_camera_tilt(turns, pose, betas, offsets))
    turns, place = _steady(tilt @ turns, FACING_FRAMES), place @ tilt.T
    start = turns[: min(15, len(turns)), :, 2].mean(0)
    level = rotations.about("y", -float(np.arctan2(start[0], start[2])))
    turns, place = level @ turns, place @ level.T
    poses = np.concatenate([rotations.to_axis_angle(turns)[:, None], pose], 1)
    rest = (shaped_offsets(betas) if offsets is None else offsets)[0]
    motion = BodyMotion(poses, place - rest, betas, FPS, offsets)
    return _on_the_floor(motion)


def rest_of(tokenizer: Tokenizer, lifted: Lifted, index: int = 0) -> Float | None:
    """Rest offsets [24, 3] in metres of a tokenizer's body, or None: the built-in skeleton's."""
    from motionkit.bodies.body import BUILT_IN

    if tokenizer.config.body == BUILT_IN:
        return None
    found = tokenizer.body.rest_offsets(lifted.betas[index].to(tokenizer.decoder.low))
    return found.detach().double().cpu().numpy()


def _camera_tilt(turns: Float, pose: Float, betas: Float, offsets: Float | None) -> float:
    """How far the camera looks down, radians: the body's lean towards it when it stands tallest.

    From the ankles to the neck, over the quarter of the frames in which the body is tallest, in
    the plane of the view; at most 20°, since cameras rarely tilt more and bodies may.
    """
    matrices = np.concatenate([turns[:, None], rotations.from_axis_angle(pose)], 1)
    joints, _ = forward_kinematics(matrices, np.zeros((len(turns), 3)), betas, offsets=offsets)
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
    return BodyMotion(motion.poses, motion.trans - shift, motion.betas, motion.fps, motion.rest)
