"""AMASS-style motions: layouts, axes, rates, and what is wrong with files."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from motionkit.bodies.export import read_npz, write_npz
from motionkit.bodies.motion import BodyMotion
from motionkit.errors import InputError, UsageError
from motionkit.exchange.amass import import_amass, read_amass, resampled


def motion(frames: int = 30, fps: float = 30.0, seed: int = 0) -> BodyMotion:
    """A smooth motion: every joint turns about an axis of its own."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames) / fps
    swing = np.sin(2 * np.pi * t[:, None] * rng.uniform(0.2, 1, 24) + rng.random(24))
    axes = rng.normal(size=(24, 3))
    poses = swing[:, :, None] * 0.8 * axes / np.linalg.norm(axes, axis=1, keepdims=True)
    trans = np.stack([t, 0 * t + 0.9, np.sin(t)], 1)
    return BodyMotion(poses, trans, rng.normal(size=10), fps)


def amass(width: int = 156, frames: int = 60, fps: float = 60.0, **changes: Any) -> dict[str, Any]:
    """The arrays of an AMASS file, z up."""
    rng = np.random.default_rng(width)
    poses = rng.normal(0, 0.3, (frames, width))
    return {
        "poses": poses, "trans": rng.normal(0, 1, (frames, 3)), "betas": rng.normal(0, 1, 16),
        "gender": np.array("female"), "mocap_framerate": np.array(fps),
        "dmpls": np.zeros((frames, 8)), **changes,
    }  # fmt: skip


def save(path: Path, arrays: dict[str, Any]) -> Path:
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


def test_our_own_files_come_back(tmp_path: Path) -> None:
    given = motion()
    write_npz(given, tmp_path / "a.npz", text="a wave")
    found = read_amass(tmp_path / "a.npz")
    assert (found.layout, found.text, found.gender) == ("motionkit-24", "a wave", "neutral")
    for name in ("poses", "trans", "betas"):
        np.testing.assert_allclose(getattr(found.motion, name), getattr(given, name), atol=1e-6)
    import_amass(tmp_path / "a.npz", tmp_path / "out")
    again = read_npz(tmp_path / "out" / "motions" / "a.npz")
    np.testing.assert_allclose(again.joints(), given.joints(), atol=1e-5)
    assert read_amass(tmp_path / "out" / "motions" / "a.npz").text == "a wave"


@pytest.mark.parametrize(("width", "layout"), [(72, "smpl"), (156, "smplh"), (165, "smplx")])
def test_layouts_give_the_same_body(tmp_path: Path, width: int, layout: str) -> None:
    arrays = amass(width)
    found = read_amass(save(tmp_path / "a.npz", arrays))
    assert (found.layout, found.gender) == (layout, "female")
    body = arrays["poses"].reshape(60, -1, 3)
    np.testing.assert_allclose(found.motion.poses[:, 1:22], body[:, 1:22])
    if layout == "smpl":
        np.testing.assert_allclose(found.motion.poses[:, 22:], body[:, 22:24])
    else:
        assert not found.motion.poses[:, 22:].any()
    np.testing.assert_array_equal(found.smpl_betas, arrays["betas"])
    assert not found.motion.betas.any()


def test_z_up_becomes_y_up(tmp_path: Path) -> None:
    """A body that stands in AMASS (z up) stands here: turned as a whole, shape unchanged."""
    arrays = amass(72, 5)
    found = read_amass(save(tmp_path / "a.npz", arrays)).motion
    raw = BodyMotion(arrays["poses"].reshape(5, 24, 3), arrays["trans"], np.zeros(10), 60.0)
    before, after = raw.joints(), found.joints()
    np.testing.assert_allclose(after[..., 1], before[..., 2], atol=1e-9)  # up
    np.testing.assert_allclose(after[..., 0], before[..., 0], atol=1e-9)
    np.testing.assert_allclose(after[..., 2], -before[..., 1], atol=1e-9)


def test_smplx_parts_and_flavours(tmp_path: Path) -> None:
    arrays = amass(165)
    parts = {
        "root_orient": arrays["poses"][:, :3], "pose_body": arrays["poses"][:, 3:66],
        "poses": None, "mocap_framerate": None, "mocap_frame_rate": np.array(60),
        "gender": np.array(b"male"), "surface_model_type": np.array("smplx"),
        "markers_obs": np.zeros((60, 4, 3)), "labels_obs": np.array([["a"]], object),
    }  # fmt: skip
    found = read_amass(save(tmp_path / "parts.npz", {**arrays, **parts}))
    whole = read_amass(save(tmp_path / "whole.npz", arrays))
    np.testing.assert_array_equal(found.motion.poses, whole.motion.poses)
    assert (found.gender, found.motion.fps) == ("male", 60)


@pytest.mark.parametrize("fps", [24.0, 59.94, 60.0, 100.0, 120.0])
def test_resampling_follows_the_rotations(fps: float) -> None:
    fine = motion(int(fps * 2) + 1, fps)
    found = resampled(fine)
    assert found.fps == 30
    assert len(found.poses) == int(np.floor((len(fine.poses) - 1) / fps * 30 + 1e-6)) + 1
    exact = motion(len(found.poses), 30.0)
    turn = Rotation.from_rotvec(found.poses.reshape(-1, 3)).inv() * Rotation.from_rotvec(
        exact.poses.reshape(-1, 3)
    )
    assert np.degrees(turn.magnitude()).max() < 0.7
    np.testing.assert_allclose(found.trans, exact.trans, atol=1e-3)


def test_slerp_goes_the_short_way_round() -> None:
    poses = np.zeros((2, 24, 3))
    poses[0, 0], poses[1, 0] = (0, np.pi - 0.1, 0), (0, -np.pi + 0.1, 0)  # 0.2 apart
    found = resampled(BodyMotion(poses, np.zeros((2, 3)), np.zeros(10), 15.0))
    assert len(found.poses) == 3
    assert np.linalg.norm(found.poses[1, 0]) == pytest.approx(np.pi, abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"poses": None}, "motion-no-poses"),
        ({"trans": None}, "motion-no-poses"),
        ({"poses": np.zeros((60, 66))}, "motion-shape"),
        ({"poses": np.zeros(60)}, "motion-shape"),
        ({"poses": np.zeros((0, 156)), "trans": np.zeros((0, 3))}, "motion-shape"),
        ({"poses": np.full((60, 156), "x")}, "motion-shape"),
        ({"trans": np.zeros((59, 3))}, "motion-shape"),
        ({"trans": np.full((60, 3), np.nan)}, "motion-not-finite"),
        ({"poses": np.full((60, 156), np.inf)}, "motion-not-finite"),
        ({"mocap_framerate": None}, "motion-rate"),
        ({"mocap_framerate": np.array(0.0)}, "motion-rate"),
        ({"mocap_framerate": np.array(np.nan)}, "motion-rate"),
        ({"mocap_framerate": np.array("60")}, "motion-rate"),
        ({"poses": np.array([{}], object)}, "motion-no-poses"),
        ({"skeleton": np.array("motionkit-24")}, "motion-shape"),
    ],
)
def test_bad_files_have_codes(tmp_path: Path, changes: dict[str, Any], code: str) -> None:
    path = save(tmp_path / "a.npz", amass(**changes))
    with pytest.raises(InputError) as caught:
        read_amass(path)
    assert caught.value.code == code
    assert "a.npz" in caught.value.message


def test_what_is_not_needed_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member of other people's, huge when unpacked or of objects, costs nothing."""
    arrays = amass(frames=30) | {"labels": np.array([{"a": 1}], object)}
    np.savez_compressed(tmp_path / "a.npz", marker_data=np.zeros(1 << 18), **arrays)
    assert len(read_amass(tmp_path / "a.npz").motion.poses) == 30
    monkeypatch.setattr("motionkit.exchange.amass.MOST_FRAMES", 29)
    with pytest.raises(InputError) as caught:
        read_amass(tmp_path / "a.npz")
    assert caught.value.code == "motion-too-long"


def test_damaged_files_are_unreadable(tmp_path: Path) -> None:
    data = save(tmp_path / "a.npz", amass()).read_bytes()
    rng = np.random.default_rng(0)
    for number in range(30):
        bad = bytearray(data[: int(rng.integers(0, len(data)))] if number % 2 else data)
        for at in rng.integers(0, max(1, len(bad)), 40) if len(bad) else ():
            bad[at] = int(rng.integers(0, 256))
        (tmp_path / "bad.npz").write_bytes(bytes(bad))
        try:
            read_amass(tmp_path / "bad.npz")
        except InputError as error:
            assert error.code.startswith("motion-")  # a flip may hit nothing


def test_a_folder_is_imported_and_bad_files_listed(tmp_path: Path) -> None:
    (tmp_path / "in" / "CMU" / "01").mkdir(parents=True)
    save(tmp_path / "in" / "CMU" / "01" / "walk_poses.npz", amass(fps=120.0, frames=121))
    save(tmp_path / "in" / "CMU" / "shape.npz", {"betas": np.zeros(10)})
    save(tmp_path / "in" / "short.npz", amass(frames=10))
    facts = import_amass(tmp_path / "in", tmp_path / "out")
    assert (facts["motions"], facts["seconds"]) == (1, pytest.approx(31 / 30))
    assert facts["failed"] == {"motion-no-poses": 1, "motion-too-short": 1}
    with (tmp_path / "out" / "index.csv").open(newline="") as stream:
        rows = {row["file"]: row for row in csv.DictReader(stream)}
    good = rows["CMU/01/walk_poses.npz"]
    assert (good["status"], good["frames"], good["fps"]) == ("ok", "31", "120.0")
    assert rows["CMU/shape.npz"]["status"] == "motion-no-poses"
    made = read_npz(tmp_path / "out" / "motions" / f"{good['name']}.npz")
    assert (made.poses.shape, made.fps) == ((31, 24, 3), 30)
    first = {p.name: p.read_bytes() for p in (tmp_path / "out" / "motions").iterdir()}
    import_amass(tmp_path / "in", tmp_path / "out")
    assert {p.name: p.read_bytes() for p in (tmp_path / "out" / "motions").iterdir()} == first


def test_no_good_file_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(UsageError, match=r"holds no \.npz"):
        import_amass(tmp_path / "in", tmp_path / "out")
    save(tmp_path / "in" / "short.npz", amass(frames=10))
    with pytest.raises(UsageError, match="motion-too-short"):
        import_amass(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()
