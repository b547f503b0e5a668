"""Simple tests that tell motions apart by what the joints do: walking, waving, squatting.

They look at joints [F, 24, 3] in the world (metres, y up) and know nothing of how the motion was
made; the figures they rest on are returned, so that a report can show them.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.skeleton import JOINT

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Kinematics:
    """Measures of one motion; lengths are shares of the leg's length unless said otherwise."""

    hip_drop: float
    """Highest pelvis over the ankles minus lowest."""
    knee_bend_deg: float
    """Largest bend of the straighter knee: both knees bend at least so far at one moment."""
    swings: float
    """Times per second that the ankles pass each other, in the direction the body faces."""
    stride: float
    """Spread (90th minus 10th percentile) of that ankle gap."""
    left_wave: float
    """Seconds that the left wrist is above its shoulder, times its travel there per second."""
    right_wave: float
    left_up_share: float
    """Share of frames with the left wrist above the left shoulder."""
    right_up_share: float


def _facing(joints: Float) -> Float:
    """Horizontal unit vector [F, 3] in which the body looks: at right angles to the hips."""
    across = joints[:, JOINT["left_hip"]] - joints[:, JOINT["right_hip"]]
    across = across + joints[:, JOINT["left_shoulder"]] - joints[:, JOINT["right_shoulder"]]
    ahead = np.cross(across, [0.0, 1.0, 0.0])
    return ahead / np.maximum(np.linalg.norm(ahead, axis=-1, keepdims=True), 1e-9)


def _bend_deg(joints: Float, side: str) -> Float:
    thigh = joints[:, JOINT[f"{side}_knee"]] - joints[:, JOINT[f"{side}_hip"]]
    shin = joints[:, JOINT[f"{side}_ankle"]] - joints[:, JOINT[f"{side}_knee"]]
    cos = (thigh * shin).sum(-1) / np.maximum(
        np.linalg.norm(thigh, axis=-1) * np.linalg.norm(shin, axis=-1), 1e-9
    )
    return np.degrees(np.arccos(np.clip(cos, -1, 1)))


def _wave(joints: Float, side: str, fps: float, leg: float) -> tuple[float, float]:
    wrist, shoulder = joints[:, JOINT[f"{side}_wrist"]], joints[:, JOINT[f"{side}_shoulder"]]
    up = wrist[:, 1] > shoulder[:, 1]
    step = np.linalg.norm(np.diff(wrist - shoulder, axis=0), axis=-1) / leg
    return float((step * up[1:]).sum()), float(up.mean())


def measure(joints: Float, fps: float) -> Kinematics:
    """Measures joints [F, 24, 3]; F of at least 2."""
    leg = float(
        np.median(
            np.linalg.norm(joints[:, JOINT["left_hip"]] - joints[:, JOINT["left_knee"]], axis=-1)
            + np.linalg.norm(
                joints[:, JOINT["left_knee"]] - joints[:, JOINT["left_ankle"]], axis=-1
            )
        )
    )
    ankles = (joints[:, JOINT["left_ankle"]] + joints[:, JOINT["right_ankle"]]) / 2
    height = (joints[:, 0, 1] - ankles[:, 1]) / leg
    bend = np.minimum(_bend_deg(joints, "left"), _bend_deg(joints, "right"))
    gap = joints[:, JOINT["left_ankle"]] - joints[:, JOINT["right_ankle"]]
    gap = (gap * _facing(joints)).sum(-1) / leg
    return Kinematics(
        hip_drop=float(np.percentile(height, 98) - np.percentile(height, 2)),
        knee_bend_deg=float(np.percentile(bend, 98)),
        swings=_crossings(gap, 0.08) * fps / len(joints),
        stride=float(np.percentile(gap, 90) - np.percentile(gap, 10)),
        left_wave=_wave(joints, "left", fps, leg)[0],
        right_wave=_wave(joints, "right", fps, leg)[0],
        left_up_share=_wave(joints, "left", fps, leg)[1],
        right_up_share=_wave(joints, "right", fps, leg)[1],
    )


def _crossings(gap: Float, dead: float) -> int:
    """How often the gap changes sign, not counting flutter within ±``dead``."""
    signs = [int(np.sign(v)) for v in gap if abs(v) > dead]
    return sum(a != b for a, b in itertools.pairwise(signs))


def walks(m: Kinematics) -> bool:
    """The ankles pass each other again and again, with a stride, without a deep knee bend."""
    return m.swings >= 0.7 and m.stride > 0.2 and m.hip_drop < 0.3


def waves(m: Kinematics, side: str) -> bool:
    """The wrist of that side is up and moving, clearly more than the other's."""
    mine, other = (m.left_wave, m.right_wave) if side == "left" else (m.right_wave, m.left_wave)
    up = m.left_up_share if side == "left" else m.right_up_share
    return up > 0.25 and mine > 0.5 and mine > 2 * other


def squats(m: Kinematics) -> bool:
    """Both knees bend deeply at once and the hips come down."""
    return m.hip_drop > 0.25 and m.knee_bend_deg > 60


def named(m: Kinematics) -> tuple[str, ...]:
    """Which of the tests hold: any of walks, waves left, waves right, squats."""
    found = []
    if walks(m):
        found.append("walks")
    found += [f"waves {side}" for side in ("left", "right") if waves(m, side)]
    if squats(m):
        found.append("squats")
    return tuple(found)
