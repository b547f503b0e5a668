import dataclasses
from pathlib import Path

import numpy as np
import pytest

from motionkit.bodies.bvh import read_bvh
from motionkit.bodies.export import write_bvh
from motionkit.bodies.files import motion_of_bvh, read_motion, write_motion
from motionkit.bodies.motion import BodyMotion
from motionkit.bodies.rotations import about, from_axis_angle, to_axis_angle
from motionkit.bodies.skeleton import REST_OFFSETS, betas_of, shaped_offsets
from motionkit.errors import InputError, UsageError

FORMATS = ["npz", "bvh", "glb"]
FAR = np.array([10.0, 0.0, -10.0])


def random_motion(seed: int, frames: int = 12, fps: float = 30.0) -> BodyMotion:
    """Any pose, half turns among them, any shape, 14 m from the origin."""
    rng = np.random.default_rng(seed)
    axes = rng.normal(size=(frames, 24, 3))
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    angles = rng.uniform(0, np.pi, (frames, 24, 1))
    angles[rng.random((frames, 24, 1)) < 0.1] = np.pi
    angles[rng.random((frames, 24, 1)) < 0.1] = 0.0
    trans = FAR + rng.normal(0, 1, (frames, 3))
    return BodyMotion(axes * angles, trans, rng.normal(0, 2, 10), fps)


def facing(motion: BodyMotion, turn: np.ndarray) -> BodyMotion:
    poses = motion.poses.copy()
    poses[:, 0] = to_axis_angle(turn @ from_axis_angle(poses[:, 0] * 0.2))
    return dataclasses.replace(motion, poses=poses)


def same(one: BodyMotion, other: BodyMotion) -> None:
    gap = np.abs(one.joints() - other.joints()).max()
    assert gap < 1e-4, f"joints moved by {gap} m"
    assert other.fps == pytest.approx(one.fps, rel=1e-6)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("seed", range(8))
def test_any_pose_comes_back(form: str, seed: int, tmp_path: Path) -> None:
    motion = random_motion(seed)
    write_motion(motion, tmp_path / f"m.{form}")
    same(motion, read_motion(tmp_path / f"m.{form}"))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("yaw_deg", [*range(0, 360, 45), 89.9999999, 90.0000001, 179.99999, 360])
def test_whichever_way_the_body_faces(form: str, yaw_deg: float, tmp_path: Path) -> None:
    motion = facing(random_motion(3), about("y", np.radians(yaw_deg)))
    write_motion(motion, tmp_path / f"m.{form}")
    same(motion, read_motion(tmp_path / f"m.{form}"))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("axis", ["x", "z"])
def test_upside_down_and_spinning(form: str, axis: str, tmp_path: Path) -> None:
    motion = random_motion(4, frames=60)
    spin = about(axis, np.pi) @ about("y", np.linspace(0, 6 * np.pi, 60))
    motion = facing(motion, spin)
    write_motion(motion, tmp_path / f"m.{form}")
    same(motion, read_motion(tmp_path / f"m.{form}"))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("fps", [1.0, 23.976, 25.0, 59.94, 120.0])
@pytest.mark.parametrize("frames", [1, 2])
def test_other_rates_and_a_single_frame(form: str, fps: float, frames: int, tmp_path: Path) -> None:
    motion = random_motion(5, frames=frames, fps=fps)
    write_motion(motion, tmp_path / f"m.{form}")
    same(motion, read_motion(tmp_path / f"m.{form}"))


@pytest.mark.parametrize("form", FORMATS)
def test_another_bodys_rest_pose_comes_back(form: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rest = REST_OFFSETS + rng.normal(0, 0.01, (24, 3))
    motion = dataclasses.replace(random_motion(6), rest=rest)
    write_motion(motion, tmp_path / f"m.{form}")
    same(motion, read_motion(tmp_path / f"m.{form}"))


def test_a_bvhs_clock_does_not_drift_over_five_minutes(tmp_path: Path) -> None:
    motion = random_motion(0, frames=2)
    write_bvh(dataclasses.replace(motion, fps=29.97), tmp_path / "m.bvh")
    assert abs(read_bvh(tmp_path / "m.bvh").frame_time_s * 9000 - 9000 / 29.97) < 1e-6


@pytest.mark.parametrize("form", FORMATS)
def test_formats_keep_the_shape_values(form: str, tmp_path: Path) -> None:
    motion = random_motion(7)
    write_motion(motion, tmp_path / f"m.{form}")
    got = read_motion(tmp_path / f"m.{form}")
    assert got.rest is None
    assert np.allclose(got.betas, motion.betas, atol=1e-3)


def test_shape_values_of_offsets() -> None:
    betas = np.random.default_rng(0).normal(0, 2, 10)
    found = betas_of(shaped_offsets(betas))
    assert found is not None and np.allclose(found, betas)
    assert betas_of(REST_OFFSETS * [1, 1.1, 1]) is None
    assert betas_of(-REST_OFFSETS) is None


def test_other_endings_and_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown format"):
        write_motion(random_motion(0), tmp_path / "m.fbx")
    with pytest.raises(UsageError, match="no motion file"):
        read_motion(tmp_path / "m.fbx")


def test_a_bvh_of_other_joints_is_refused_with_a_code(tmp_path: Path) -> None:
    path = tmp_path / "m.bvh"
    write_bvh(random_motion(0), path)
    text = path.read_text()
    for fault in (
        text.replace("left_knee", "LeftLeg"),
        text.replace("JOINT left_hip", "JOINT x").replace("JOINT left_knee", "JOINT left_hip")
        .replace("JOINT x", "JOINT left_knee"),
    ):  # fmt: skip
        path.write_text(fault)
        with pytest.raises(InputError) as caught:
            motion_of_bvh(read_bvh(path))
        assert caught.value.code == "bvh-skeleton"
