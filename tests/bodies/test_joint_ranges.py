from pathlib import Path

import numpy as np
import pytest

from motionkit.bodies.joint_ranges import (
    folded,
    hinged,
    joint_ranges,
    local_rotations,
    share_outside,
    turned,
    world_rotations,
)
from motionkit.bodies.limits import pose_limits
from motionkit.bodies.rotations import about, from_axis_angle, to_axis_angle
from motionkit.bodies.skeleton import JOINT, forward_kinematics

FRAMES = 40


def walk() -> np.ndarray:
    """Axis-angle [F, 24, 3]: knees and elbows bend as hinges, thighs and arms swing."""
    pose = np.zeros((FRAMES, 24, 3))
    wave = np.sin(np.linspace(0, 6, FRAMES))
    pose[:, 0, 1] = 1.0
    pose[:, JOINT["left_hip"], 0] = -0.6 + 0.5 * wave
    pose[:, JOINT["left_knee"], 0] = 0.9 + 0.5 * wave
    pose[:, JOINT["right_elbow"], 1] = 1.0 + 0.4 * wave
    pose[:, JOINT["right_shoulder"], 2] = 0.8
    return pose


def test_turned_takes_one_direction_to_the_other() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50, 3))
    turn = turned(a, b)
    got = np.einsum("fij,fj->fi", turn, a / np.linalg.norm(a, axis=1, keepdims=True))
    assert np.allclose(got, b / np.linalg.norm(b, axis=1, keepdims=True), atol=1e-9)
    assert np.allclose(np.linalg.det(turn), 1)


def test_local_and_world_invert() -> None:
    turns = from_axis_angle(np.random.default_rng(0).normal(0, 0.8, (5, 24, 3)))
    assert np.allclose(local_rotations(world_rotations(turns)), turns)


@pytest.mark.parametrize("twist", [0.0, 0.7, -0.9])
def test_hinged_takes_back_a_turn_of_the_limb_about_itself(twist: float) -> None:
    rotations = from_axis_angle(walk())
    spoilt = world_rotations(rotations)
    for upper, lower in (("left_hip", "left_knee"), ("right_shoulder", "right_elbow")):
        bone = forward_kinematics(np.tile(np.eye(3), (1, 24, 1, 1)), np.zeros((1, 3)))[0][0]
        along = bone[JOINT[lower]] - bone[JOINT[upper]]
        along = along / np.linalg.norm(along)
        spoilt[:, JOINT[upper]] = spoilt[:, JOINT[upper]] @ from_axis_angle(along * twist)
    spoilt = local_rotations(spoilt)
    got = hinged(spoilt)
    zero = np.zeros((FRAMES, 3))
    assert np.allclose(
        forward_kinematics(got, zero)[0][:, :22], forward_kinematics(spoilt, zero)[0][:, :22]
    )
    angles = to_axis_angle(got)
    # The bend is nearly all about the hinge again.
    assert np.abs(angles[:, JOINT["left_knee"], 1:]).max() < 0.25
    assert np.abs(angles[:, JOINT["right_elbow"]][:, [0, 2]]).max() < 0.2
    if twist:
        before = to_axis_angle(spoilt)
        assert np.abs(before[:, JOINT["left_knee"], 1:]).max() > 0.4


def test_folded_puts_both_sides_together() -> None:
    samples = folded(from_axis_angle(walk()))
    assert samples["left_elbow"].shape == (2 * FRAMES, 3)
    assert samples["left_elbow"][:, 1].min() == pytest.approx(
        -1.4, abs=0.01
    )  # the right's, mirrored
    assert set(samples) & {"pelvis", "right_hip"} == set()


def test_ranges_hold_what_they_were_made_of_and_keep_hinges_closed() -> None:
    motion = from_axis_angle(walk())
    motion[:, JOINT["left_knee"]] = motion[:, JOINT["left_knee"]] @ about("x", -1.2)  # backwards
    low, high = joint_ranges([motion], percent=100, margin=0.01)
    own_low, _ = pose_limits()
    knee, hip = JOINT["left_knee"] - 1, JOINT["left_hip"] - 1
    assert low[knee, 0] >= own_low[knee, 0]
    assert low[hip, 0] == pytest.approx(-1.11, abs=0.01)
    outside = share_outside(motion, (low, high))
    assert outside["left_hip"] == 0 and outside["left_knee"] > 0.1
    assert (high > low).all()


def test_limits_hold_what_deepmimic_does(real_data: Path) -> None:
    benchmarks = pytest.importorskip("benchmarks.deepmimic_motions")
    clips = sorted((real_data / "mocap" / "deepmimic").glob("humanoid3d_*.txt"))
    motion = np.concatenate([benchmarks.read_deepmimic(clip) for clip in clips])
    outside = share_outside(motion, pose_limits())
    assert max(outside.values()) < 0.01  # three axes of 0.5 % at most
    # a hinge of theirs is a hinge of ours: the other axes hold the rest pose's bend and no more
    knees = folded(motion)["left_knee"]
    assert np.abs(knees[:, 1:]).max() < 0.15 and knees[:, 0].max() > 2


def test_limits_hold_our_own_motions() -> None:
    from motionkit.synth.motions import KINDS, motion

    rotations = np.concatenate([motion(kind, seed=0, seconds=2.0).rotations for kind in KINDS])
    assert max(share_outside(rotations, pose_limits()).values()) < 0.01
