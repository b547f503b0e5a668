from __future__ import annotations

import numpy as np
import pytest

from motionkit.report.generated import read_motion


def test_a_motion_stands_on_the_floor_over_the_origin(factory):
    motion = read_motion(factory.motion("a person walks"))
    joints = np.array(motion.joints_mm).reshape(motion.frames, 24, 3)
    assert (motion.text, motion.fps, motion.frames, motion.problem) == (
        "a person walks",
        30,
        60,
        "",
    )
    assert joints[..., 1].min() == 0
    assert joints[0, 0, [0, 2]].tolist() == [0, 0]
    assert joints[-1, 0, 2] == 1500


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"pose": np.zeros(3)}, "no array 'joints'"),
        ({"joints": np.zeros((5, 22, 3))}, "shape"),
        ({"joints": np.full((5, 24, 3), np.nan)}, "not all finite"),
        ({"joints": np.zeros((5, 24, 3)), "fps": 0.0}, "rate"),
        ({"joints": np.array([{}], dtype=object)}, "cannot be read"),
    ],
)
def test_unusable_motions_say_why(tmp_path, arrays, problem):
    np.savez(tmp_path / "m.npz", **arrays)
    assert problem in read_motion(tmp_path / "m.npz").problem
