"""How far each joint of the built-in skeleton turns: axis-angle boxes, radians.

Set by hand from textbook ranges of motion, in this skeleton's frame (T-pose, x to the body's
left, y up, facing +z): knees and elbows are hinges with a little play, so no prediction inside
the boxes bends them backwards. They are *not* the AMASS statistics the paper uses, which we may
not carry; the table is a parameter of whoever uses it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.skeleton import JOINT

_Box = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

#: (min, max) about x, y, z of left-side and middle joints; the right side is mirrored.
_RANGES: dict[str, _Box] = {
    "left_hip": ((-2.2, 0.7), (-0.8, 0.8), (-0.5, 1.0)),  # -x lifts the thigh, +z spreads
    "left_knee": ((-0.05, 2.5), (-0.2, 0.2), (-0.15, 0.15)),  # +x bends the shin back
    "left_ankle": ((-0.6, 0.9), (-0.4, 0.4), (-0.4, 0.4)),
    "left_foot": ((-0.4, 0.4), (-0.1, 0.1), (-0.1, 0.1)),
    "spine1": ((-0.3, 0.7), (-0.4, 0.4), (-0.4, 0.4)),  # +x bows
    "spine2": ((-0.2, 0.5), (-0.4, 0.4), (-0.3, 0.3)),
    "spine3": ((-0.2, 0.3), (-0.3, 0.3), (-0.2, 0.2)),
    "neck": ((-0.5, 0.6), (-0.6, 0.6), (-0.4, 0.4)),
    "head": ((-0.4, 0.5), (-0.6, 0.6), (-0.3, 0.3)),
    "left_collar": ((-0.1, 0.1), (-0.4, 0.2), (-0.15, 0.5)),  # +z shrugs
    "left_shoulder": ((-1.5, 1.5), (-1.9, 1.0), (-1.7, 1.5)),  # -z lowers, -y brings forward
    "left_elbow": ((-0.4, 0.4), (-2.6, 0.05), (-0.3, 0.3)),  # -y bends the forearm forward
    "left_wrist": ((-0.6, 0.6), (-0.6, 0.6), (-0.8, 0.8)),
    "left_hand": ((-0.05, 0.05), (-0.05, 0.05), (-0.05, 0.05)),
}


def pose_limits() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smallest and largest axis-angle values [23, 3] in radians of joints 1..23.

    Mirroring a rotation about the body's middle plane keeps x and negates y and z.
    """
    low, high = np.zeros((23, 3)), np.zeros((23, 3))
    for name, box in _RANGES.items():
        j = JOINT[name] - 1
        low[j], high[j] = np.array(box).T
        if name.startswith("left_"):
            k = JOINT["right_" + name[5:]] - 1
            low[k] = [low[j, 0], -high[j, 1], -high[j, 2]]
            high[k] = [high[j, 0], -low[j, 1], -low[j, 2]]
    return low, high


def relaxed_pose() -> NDArray[np.float64]:
    """Axis-angle [23, 3] of standing with the arms hanging: where a prediction starts."""
    pose = np.zeros((23, 3))
    pose[JOINT["left_shoulder"] - 1, 2] = -1.2
    pose[JOINT["right_shoulder"] - 1, 2] = 1.2
    pose[JOINT["left_elbow"] - 1, 1] = -0.25
    pose[JOINT["right_elbow"] - 1, 1] = 0.25
    pose[JOINT["left_knee"] - 1, 0] = 0.15
    pose[JOINT["right_knee"] - 1, 0] = 0.15
    pose[JOINT["left_hip"] - 1, 0] = -0.1
    pose[JOINT["right_hip"] - 1, 0] = -0.1
    return pose
