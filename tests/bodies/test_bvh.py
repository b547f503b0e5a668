from pathlib import Path

import numpy as np
import pytest

from motionkit.bodies.bvh import read_bvh
from motionkit.bodies.export import write_bvh
from motionkit.bodies.motion import BodyMotion
from motionkit.errors import InputError

HEAD = """HIERARCHY
ROOT hips
{
  OFFSET 0 90 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT spine
  {
    OFFSET 0 20 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 10 0
    }
  }
}
"""
ROW = "0 1 2 3 4 5 6 7 8\n"
MOTION = "MOTION\nFrames: 2\nFrame Time: 0.05\n"


def refused(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_bvh(path)
    assert caught.value.code == "bvh-unreadable"
    return caught.value.message


def test_a_good_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.bvh"
    for text in (
        HEAD + MOTION + ROW * 2,
        (HEAD + MOTION + ROW * 2).replace("\n", "\r\n"),
        (HEAD + MOTION + ROW * 2).replace(" ", "\t").replace("Frames:\t", "Frames:  "),
        HEAD + "MOTION\nFrames:\t2\nFrame Time:\t0.05\n\n" + ROW + "\n\n" + ROW.rstrip(),
    ):
        path.write_text(text.replace("Frame\tTime", "Frame Time"))
        got = read_bvh(path)
        assert got.names == ("hips", "spine") and got.parents == (-1, 0)
        assert got.frames.shape == (2, 9) and got.frame_time_s == 0.05


def test_a_joint_may_be_called_motion(tmp_path: Path) -> None:
    path = tmp_path / "m.bvh"
    path.write_text((HEAD + MOTION + ROW * 2).replace("spine", "MOTION_spine"))
    assert read_bvh(path).names == ("hips", "MOTION_spine")


@pytest.mark.parametrize("count", ["0", "1", "3", "-1", "99999999999999999999", "2.5", "x", ""])
def test_a_count_of_frames_that_lies(count: str, tmp_path: Path) -> None:
    text = HEAD + MOTION.replace("Frames: 2", f"Frames: {count}") + ROW * 2
    refused(tmp_path / "m.bvh", text)


@pytest.mark.parametrize("seconds", ["0", "-0.1", "nan", "inf", "x", ""])
def test_a_frame_time_that_cannot_be(seconds: str, tmp_path: Path) -> None:
    refused(tmp_path / "m.bvh", HEAD + MOTION.replace("0.05", seconds) + ROW * 2)


@pytest.mark.parametrize(
    "fault",
    [
        ("8\n", "8 9\n"), (" 8\n", "\n"), (" 8\n", " nan\n"), (" 8\n", " inf\n"), ("8\n", "x\n"),
        ("Zrotation", "Wrotation"), ("Zrotation", "rotation"), ("CHANNELS 3", "CHANNELS 2"),
        ("CHANNELS 3", "CHANNELS 99999999999"), ("CHANNELS 3", "CHANNELS -3"),
        ("CHANNELS 3 Zrotation Xrotation Yrotation\n", ""), ("OFFSET 0 20 0", ""),
        ("OFFSET 0 20 0", "OFFSET 0 20"), ("OFFSET 0 20 0", "OFFSET nan 20 0"),
        ("OFFSET 0 20 0", "OFFSET 1e999 20 0"), ("JOINT spine\n  {", "JOINT spine"),
        ("ROOT hips\n{", "{"), ("}\n", ""), ("MOTION\n", ""),
        ("End Site\n    {", "End Site\n    { CHANNELS 1 Xrotation"),
    ],
)  # fmt: skip
def test_faults_of_a_file_have_one_code(fault: tuple[str, str], tmp_path: Path) -> None:
    good = HEAD + MOTION + ROW * 2
    assert fault[0] in good
    text = good.replace(*fault)
    if fault == ("}\n", ""):
        text = good.replace("}\n", "").replace("OFFSET 0 10 0", "OFFSET 0 10 0 } } } }")
    refused(tmp_path / "m.bvh", text)


def test_files_that_are_not_there_or_not_text(tmp_path: Path) -> None:
    for path in (tmp_path / "none.bvh", tmp_path):
        with pytest.raises(InputError) as caught:
            read_bvh(path)
        assert caught.value.code == "bvh-unreadable"
    (tmp_path / "b.bvh").write_bytes(bytes(range(256)) * 100)
    with pytest.raises(InputError):
        read_bvh(tmp_path / "b.bvh")


def test_damaged_bytes_never_crash_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "m.bvh"
    rng = np.random.default_rng(0)
    write_bvh(BodyMotion(rng.normal(0, 0.5, (3, 24, 3)), np.zeros((3, 3)), np.zeros(10), 30), path)
    whole = path.read_bytes()
    for trial in range(300):
        data = bytearray(whole[: rng.integers(len(whole))] if trial % 3 == 0 else whole)
        for _ in range(4):
            if data:
                data[rng.integers(len(data))] = rng.integers(256)
        path.write_bytes(bytes(data))
        try:
            got = read_bvh(path)
        except InputError as error:
            assert error.code == "bvh-unreadable"
        else:
            assert np.isfinite(got.positions()).all()


@pytest.mark.parametrize(
    "text",
    [
        "HIERARCHY\n" + "JOINT a {\n" * 100_000,
        "HIERARCHY\n"
        + "ROOT a\n{\nOFFSET 0 0 0\nCHANNELS 1 Xrotation\n" * 5000
        + MOTION
        + "0\n0\n",
        HEAD + MOTION + "1 " * 3_000_000,
        HEAD + MOTION + "\n" * 1_000_000,
        HEAD + MOTION.replace("2", "900000") + "1\n" * 900_000,
        " " * 3_000_000,
        HEAD + MOTION + ROW + "9" * 3_000_000,
    ],
    ids=["deep", "joints", "long line", "blank lines", "short lines", "spaces", "long number"],
)
def test_hostile_files_end_soon(text: str, tmp_path: Path) -> None:
    refused(tmp_path / "m.bvh", text)  # anything quadratic would take hours
