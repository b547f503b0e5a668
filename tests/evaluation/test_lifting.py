import numpy as np
import pytest

from motionkit.bodies import rotations, skeleton
from motionkit.evaluation import lifting


def poses(frames: int = 6) -> np.ndarray:
    rng = np.random.default_rng(0)
    turns = rotations.from_axis_angle(rng.normal(0, 0.4, (frames, 24, 3)))
    joints, world = skeleton.forward_kinematics(turns, np.zeros((frames, 3)))
    return skeleton.coco_points(joints, world)


def test_alignment_takes_out_turn_scale_and_shift_but_no_mirror() -> None:
    true = poses()
    turn = rotations.about("y", 2.0) @ rotations.about("x", 0.5)
    moved = 1.7 * true @ turn.T + np.array([3.0, 2, 1])
    assert lifting.pa_mpjpe_mm(moved, true) == pytest.approx(np.zeros(6), abs=1e-6)
    assert (lifting.pa_mpjpe_mm(true * np.array([-1, 1, 1]), true) > 10).all()


def test_mpjpe_is_the_mean_distance_with_hips_on_hips() -> None:
    true = poses()
    moved = true + 5.0
    moved[:, 9] += np.array([0.12, 0, 0])  # one of twelve joints, 120 mm off
    assert lifting.mpjpe_mm(moved, true) == pytest.approx(np.full(6, 10.0), abs=1e-6)


def test_the_mean_pose_of_one_pose_is_that_pose() -> None:
    true = np.repeat(poses(1), 4, 0) @ rotations.about("y", 1.0).T
    pose = lifting.mean_pose(true)
    assert lifting.pa_mpjpe_mm(np.repeat(pose[None], 4, 0), true) == pytest.approx(
        np.zeros(4), abs=1e-6
    )


@pytest.mark.parametrize("yaw", [0, 90, 180, -90])
def test_facing_in_the_cameras_frame(yaw: float) -> None:
    turns = np.tile(np.eye(3), (1, 24, 1, 1))
    turns[:, 0] = np.diag([1.0, -1, -1]) @ rotations.about("y", np.radians(yaw))
    joints, world = skeleton.forward_kinematics(turns, np.zeros((1, 3)))
    facing = lifting.facing_deg(skeleton.coco_points(joints, world))[0]
    assert abs((facing - yaw + 180) % 360 - 180) < 1
