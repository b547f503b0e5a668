from pathlib import Path

import numpy as np
import pytest

from motionkit.bodies.bvh import read_bvh
from motionkit.bodies.export import euler_zyx_deg, read_npz, write_amass, write_bvh, write_npz
from motionkit.bodies.motion import BodyMotion
from motionkit.bodies.rotations import about, to_axis_angle
from motionkit.bodies.skeleton import JOINTS, shaped_offsets
from motionkit.errors import InputError


def turning(start_deg: float, frames: int = 40) -> BodyMotion:
    """A body that turns by 300 degrees, leaning, with its limbs moving."""
    rng = np.random.default_rng(0)
    phase = np.linspace(0, 2 * np.pi, frames)[:, None, None]
    poses = 0.7 * np.sin(phase + rng.uniform(0, 6, (24, 3)))
    yaw = np.radians(start_deg + np.linspace(0, 300, frames))
    poses[:, 0] = to_axis_angle(about("x", 0.2) @ about("y", yaw))
    trans = np.stack([np.cos(yaw), 0.1 * np.sin(yaw), yaw], -1)
    return BodyMotion(poses, trans, rng.normal(0, 1, 10), 30.0)


@pytest.mark.parametrize("facing", [0.0, 90.0, 180.0, -90.0])
def test_bvh_gives_the_same_joints_whichever_way_the_body_faces(
    facing: float, tmp_path: Path
) -> None:
    motion = turning(facing)
    write_bvh(motion, tmp_path / "m.bvh")
    read = read_bvh(tmp_path / "m.bvh")
    order = [read.names.index(name) for name in JOINTS]
    assert np.allclose(read.positions()[:, order] / 100, motion.joints(), atol=1e-4)
    assert read.frame_time_s == pytest.approx(1 / 30, abs=1e-6)


def test_bvh_angles_do_not_jump_when_the_body_turns_away() -> None:
    yaw = np.radians(np.linspace(0, 720, 241))
    angles = euler_zyx_deg(about("y", yaw)[:, None])
    assert np.abs(np.diff(angles, axis=0)).max() < 10


def test_npz_round_trip_keeps_the_joints_and_states_its_axes(tmp_path: Path) -> None:
    motion = turning(150)
    write_npz(motion, tmp_path / "m.npz")
    assert np.allclose(read_npz(tmp_path / "m.npz").joints(), motion.joints(), atol=1e-4)
    with np.load(tmp_path / "m.npz", allow_pickle=False) as file:
        assert file["poses"].shape == (40, 72)
        assert "y up" in str(file["axes"])


def test_other_files_are_refused_with_a_code(tmp_path: Path) -> None:
    (tmp_path / "m.npz").write_bytes(b"no")
    (tmp_path / "m.bvh").write_text("HIERARCHY")
    with pytest.raises(InputError) as npz:
        read_npz(tmp_path / "m.npz")
    with pytest.raises(InputError) as bvh:
        read_bvh(tmp_path / "m.bvh")
    assert (npz.value.code, bvh.value.code) == ("motion-unreadable", "bvh-unreadable")


def test_bones_have_the_shapes_lengths(tmp_path: Path) -> None:
    motion = turning(0)
    write_bvh(motion, tmp_path / "m.bvh")
    read = read_bvh(tmp_path / "m.bvh")
    order = [read.names.index(name) for name in JOINTS]
    assert np.allclose(read.offsets[order][1:] / 100, shaped_offsets(motion.betas)[1:], atol=1e-6)


def test_position_channels_of_inner_joints_replace_their_offset(tmp_path: Path) -> None:
    text = """HIERARCHY
ROOT hips
{
  OFFSET 0 90 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT spine
  {
    OFFSET 0 20 0
    CHANNELS 4 Yposition Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 10 0
    }
  }
}
MOTION
Frames: 1
Frame Time: 0.05
1 91 2 90 0 0 20 0 0 0
"""
    path = tmp_path / "m.bvh"
    path.write_text(text)
    places, turns = read_bvh(path).pose()
    np.testing.assert_allclose(places[0], [[1, 91, 2], [1 - 20, 91, 2]], atol=1e-9)
    np.testing.assert_allclose(turns[0, 1] @ [1, 0, 0], [0, 1, 0], atol=1e-9)


def test_an_npz_takes_more_arrays_but_no_name_that_is_taken(tmp_path: Path) -> None:
    motion = turning(0.0, 4)
    write_npz(motion, tmp_path / "m.npz", extra={"confidence": np.ones(4, np.float32)})
    with np.load(tmp_path / "m.npz") as file:
        assert file["confidence"].tolist() == [1, 1, 1, 1]
    with pytest.raises(ValueError, match="'trans'"):
        write_npz(motion, tmp_path / "n.npz", extra={"trans": np.ones(4)})
    assert not (tmp_path / "n.npz").exists()


def test_amass_readers_find_what_amass_has(tmp_path: Path) -> None:
    from motionkit.exchange.amass import read_amass

    motion = turning(40)
    neutral = BodyMotion(motion.poses, motion.trans, np.zeros(10), 30.0)
    write_amass(neutral, tmp_path / "m.npz", text="turns")
    with np.load(tmp_path / "m.npz", allow_pickle=False) as file:
        assert file["poses"].shape == (40, 156) and file["trans"].shape == (40, 3)
        assert file["betas"].shape == (16,) and file["dmpls"].shape == (40, 8)
        assert str(file["gender"]) == "neutral" and float(file["mocap_framerate"]) == 30
        assert (file["poses"][:, 66:] == 0).all()  # fingers at rest
        up = neutral.joints()[:, 0, 1]  # the pelvis's height is along z there
        assert np.allclose(file["trans"][:, 2] + shaped_offsets(None)[0, 2], up)
    read = read_amass(tmp_path / "m.npz")
    assert read.layout == "smplh" and read.motion.fps == 30
    hands = [JOINTS.index("left_hand"), JOINTS.index("right_hand")]
    body = [j for j in range(24) if j not in hands]
    assert np.allclose(read.motion.joints()[:, body], neutral.joints()[:, body], atol=1e-6)


def test_amass_keeps_the_pelvis_of_another_shape(tmp_path: Path) -> None:
    motion = turning(40)
    write_amass(motion, tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz") as file:
        pelvis = file["trans"] + shaped_offsets(None)[0]
        assert np.allclose(np.stack([pelvis[:, 0], pelvis[:, 2], -pelvis[:, 1]], 1),
                           motion.joints()[:, 0])  # fmt: skip
        assert (file["betas"] == 0).all()
        assert np.allclose(file["motionkit_betas"], motion.betas)


@pytest.mark.parametrize("fault", ["poses", "trans", "betas", "nan", "rate", "missing", "rest"])
def test_other_arrays_are_refused(fault: str, tmp_path: Path) -> None:
    write_npz(turning(0, 4), tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz") as file:
        arrays = dict(file)
    if fault == "missing":
        del arrays["trans"]
    elif fault == "rest":
        arrays["rest_offsets"] = np.zeros((3, 3))
    elif fault == "nan":
        arrays["poses"][2, 2] = np.nan
    elif fault == "rate":
        arrays["mocap_framerate"] = np.array([1.0, 2.0])
    else:
        arrays[fault] = arrays[fault][..., :-1]
    np.savez(tmp_path / "n.npz", **arrays)
    with pytest.raises(InputError) as caught:
        read_npz(tmp_path / "n.npz")
    assert caught.value.code == "motion-unreadable"
