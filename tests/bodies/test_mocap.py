"""Motion capture of any skeleton as COCO points."""

from pathlib import Path

import numpy as np
import pytest

from motionkit.bodies.bvh import Bvh, read_bvh
from motionkit.bodies.export import write_bvh
from motionkit.bodies.mocap import coco_points
from motionkit.bodies.motion import BodyMotion
from motionkit.bodies.rotations import from_axis_angle
from motionkit.bodies.skeleton import coco_points as true_points
from motionkit.bodies.skeleton import forward_kinematics
from motionkit.errors import InputError


def motion(frames: int = 20, fps: float = 30.0) -> BodyMotion:
    rng = np.random.default_rng(0)
    poses = rng.normal(0, 0.15, (frames, 24, 3))
    poses[:, 0] += [0, 1.2, 0]
    trans = rng.normal([0, 1, 0], 0.3, (frames, 3))
    return BodyMotion(poses, trans, rng.normal(0, 1, 10), fps)


def written(tmp_path: Path, made: BodyMotion) -> Bvh:
    write_bvh(made, tmp_path / "a.bvh")
    return read_bvh(tmp_path / "a.bvh")


def test_our_own_files_give_their_joints_in_metres(tmp_path: Path) -> None:
    made = motion()
    found = coco_points(written(tmp_path, made))
    joints, world = forward_kinematics(from_axis_angle(made.poses), made.trans, made.betas)
    true = true_points(joints, world, made.betas)
    assert found.unit_m == 0.01 and found.fps == 30.0
    assert np.allclose(found.points[:, 5:], true[:, 5:], atol=1e-4)
    # The face stands round the head as everywhere, at the size that the legs suggest.
    assert np.linalg.norm(found.points[:, :5] - true[:, :5], axis=-1).max() < 0.03


@pytest.mark.parametrize("style", ["{side}{part}", "mixamorig:{side}{part}"])
def test_common_names_and_other_units_are_told(style: str, tmp_path: Path) -> None:
    ours = written(tmp_path, motion())
    names = {"shoulder": "Arm", "elbow": "ForeArm", "wrist": "Hand", "hip": "UpLeg",
             "knee": "Leg", "ankle": "Foot", "collar": "Shoulder",
             "hand": "HandThumb", "foot": "ToeBase"}  # fmt: skip

    def renamed(name: str) -> str:
        side, _, part = name.partition("_")
        return style.format(side=side.title(), part=names[part]) if part in names else name.title()

    cmu = 0.0254 / 0.45
    frames = ours.frames.copy()
    frames[:, :3] *= 0.01 / cmu
    other = Bvh(
        tuple(map(renamed, ours.names)), ours.parents, ours.offsets * 0.01 / cmu, ours.channels,
        frames, ours.frame_time_s,
    )  # fmt: skip
    found = coco_points(other)
    assert found.unit_m == pytest.approx(cmu)
    assert np.allclose(found.points, coco_points(ours).points, atol=1e-6)


def test_another_rate_is_brought_to_thirty(tmp_path: Path) -> None:
    found = coco_points(written(tmp_path, motion(121, fps=120.0)))
    whole = coco_points(written(tmp_path, motion(121, fps=120.0)), fps=120.0)
    assert len(found.points) == 31
    assert np.allclose(found.points[:, 5:], whole.points[::4, 5:], atol=1e-9)


def test_a_skeleton_of_unknown_names_is_refused(tmp_path: Path) -> None:
    ours = written(tmp_path, motion(3))
    odd = Bvh(tuple(f"joint{i}" for i in range(24)), ours.parents, ours.offsets, ours.channels,
              ours.frames, ours.frame_time_s)  # fmt: skip
    with pytest.raises(InputError, match="left shoulder"):
        coco_points(odd)
