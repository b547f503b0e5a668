"""Clips of DeepMimic (JSON, 44 numbers a frame) as rotations of the built-in body.

A frame is its duration, the root's place and turn, then joint after joint: quaternions (w, x, y,
z), and one angle for knees and elbows. Its humanoid stands with hanging arms and faces x, with y
up and z to its right.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.joint_ranges import local_rotations, turned
from motionkit.bodies.rotations import about, from_axis_angle, from_quaternion, to_axis_angle
from motionkit.bodies.skeleton import JOINT, REST_OFFSETS

Float = NDArray[np.float64]

_NUMBERS = 44
#: Its axes in ours: x to the left, y up, z to the front.
_AXES = np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]])
#: First number of each part of a frame.
_ROOT, _CHEST, _NECK, _LIMBS = 4, 8, 12, {"right": 16, "left": 30}


def read_deepmimic(path: Path) -> Float:
    """Rotations [F, 24, 3, 3] relative to the parent, at the file's own rate.

    Its one chest joint is spread over our three spine joints, and its neck over neck and head.
    Knees and elbows stay hinges. ValueError where the file is another kind of JSON.
    """
    frames = np.array(json.loads(path.read_text(encoding="utf-8"))["Frames"], dtype=float)
    if frames.ndim != 2 or frames.shape[1] != _NUMBERS:
        raise ValueError(f"{path.name}: frames of shape {frames.shape}, not [F, {_NUMBERS}]")

    def turn(at: int) -> Float:
        q = frames[:, at : at + 4]
        return _AXES @ from_axis_angle(from_quaternion(q[:, [1, 2, 3, 0]])) @ _AXES.T

    def bend(at: int) -> Float:
        return _AXES @ about("z", frames[:, at]) @ _AXES.T

    world = np.empty((len(frames), 24, 3, 3))
    world[:, JOINT["pelvis"]] = upper = turn(_ROOT)
    part = from_axis_angle(to_axis_angle(turn(_CHEST)) / 3)
    for name in ("spine1", "spine2", "spine3"):
        world[:, JOINT[name]] = upper = upper @ part
    part = from_axis_angle(to_axis_angle(turn(_NECK)) / 2)
    world[:, JOINT["neck"]] = upper @ part
    world[:, JOINT["head"]] = upper @ part @ part
    for side, at in _LIMBS.items():
        hip = world[:, 0] @ turn(at)
        knee = hip @ bend(at + 4)
        ankle = knee @ turn(at + 5)
        shoulder = upper @ turn(at + 9)
        elbow = shoulder @ bend(at + 13)
        out = 1.0 if side == "left" else -1.0
        raised = about("z", -out * np.pi / 2)  # from hanging to the T-pose
        down, aside = np.array([0, -1.0, 0]), np.array([out, 0, 0])
        placed = {
            "hip": hip @ turned(_rest(side, "knee"), down),
            "knee": knee @ turned(_rest(side, "ankle"), down),
            "ankle": ankle,
            "foot": ankle,
            "collar": upper,
            "shoulder": shoulder @ raised @ turned(_rest(side, "elbow"), aside),
            "elbow": elbow @ raised @ turned(_rest(side, "wrist"), aside),
        }
        placed["wrist"] = placed["hand"] = placed["elbow"]
        for name, values in placed.items():
            world[:, JOINT[f"{side}_{name}"]] = values
    return local_rotations(world)


def _rest(side: str, joint: str) -> Float:
    return REST_OFFSETS[JOINT[f"{side}_{joint}"]]
