import json
from pathlib import Path

import numpy as np
import pytest

from motionkit.bodies.limits import (
    RANGES,
    limits_table,
    pose_box,
    pose_limits,
    relaxed_pose,
    write_pose_limits,
)
from motionkit.bodies.rotations import from_axis_angle
from motionkit.bodies.skeleton import JOINT, JOINTS, REST_OFFSETS
from motionkit.errors import InputError

DOCS = Path(__file__).parents[2] / "docs" / "pose-limits.md"
HINGES = [
    ("left_knee", "left_ankle", (1, 0, 0)),
    ("right_knee", "right_ankle", (1, 0, 0)),
    ("left_elbow", "left_wrist", (0, -1, 0)),
    ("right_elbow", "right_wrist", (0, 1, 0)),
]


def least_bend_deg(
    joint: str, end: str, axis: tuple[int, int, int], low: np.ndarray, high: np.ndarray
) -> float:
    """The smallest bend about the hinge over all values of the joint's box; below 0 the limb
    bends the wrong way."""
    a, b, h = REST_OFFSETS[JOINT[joint]], REST_OFFSETS[JOINT[end]], np.array(axis, dtype=float)
    j = JOINT[joint] - 1
    axes = [np.linspace(low[j, k], high[j, k], 25) for k in range(3)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    below = from_axis_angle(grid) @ b
    flat, before = below - (below @ h)[:, None] * h, a - (a @ h) * h
    bend = np.degrees(np.arctan2(np.cross(before, flat) @ h, flat @ before))
    return float(np.where(bend < -120, bend + 360, bend).min())


@pytest.mark.parametrize(("joint", "end", "axis"), HINGES)
def test_no_allowed_value_bends_a_hinge_the_wrong_way(
    joint: str, end: str, axis: tuple[int, int, int]
) -> None:
    assert least_bend_deg(joint, end, axis, *pose_limits()) > -3
    assert least_bend_deg(joint, end, axis, *pose_box(widen=0.3)) > -3
    # and the straight limb is inside
    assert least_bend_deg(joint, end, axis, *pose_limits()) < 1.5


def test_right_is_the_mirror_of_left() -> None:
    low, high = pose_limits()
    for name in JOINTS[1:]:
        if name.startswith("left_"):
            j, k = JOINT[name] - 1, JOINT["right_" + name[5:]] - 1
            assert np.allclose([low[k, 0], high[k, 0]], [low[j, 0], high[j, 0]])
            assert np.allclose(low[k, 1:], -high[j, 1:]) and np.allclose(high[k, 1:], -low[j, 1:])


def test_relaxed_pose_is_well_inside() -> None:
    low, high = pose_limits()
    assert ((relaxed_pose() > low + 0.02) & (relaxed_pose() < high - 0.02)).all()


def test_box_is_wider_but_for_hinges() -> None:
    low, high = pose_limits()
    wide_low, wide_high = pose_box((low, high), widen=0.1)
    hip, knee = JOINT["left_hip"] - 1, JOINT["right_knee"] - 1
    assert wide_low[hip, 0] == pytest.approx(low[hip, 0] - 0.05 * (high - low)[hip, 0])
    assert (wide_low[knee] == low[knee]).all() and (wide_high[knee] == high[knee]).all()


def test_file_of_limits_round_trip(tmp_path: Path) -> None:
    low, high = pose_limits()
    write_pose_limits((low * 0.5, high * 0.7), tmp_path / "own.json", source="a test")
    got = pose_limits(tmp_path / "own.json")
    assert np.allclose(got[0], low * 0.5, atol=1e-4) and np.allclose(got[1], high * 0.7, atol=1e-4)


@pytest.mark.parametrize("fault", ["text", "format", "missing", "swapped", "nan", "shape", "deep"])
def test_bad_files_of_limits_are_refused(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "own.json"
    write_pose_limits(pose_limits(), path, source="a test")
    facts = json.loads(path.read_text())
    row = facts["joints"]["neck"]
    if fault == "format":
        facts["format"] = "other"
    elif fault == "missing":
        del facts["joints"]["head"]
    elif fault == "swapped":
        row["min"], row["max"] = row["max"], row["min"]
    elif fault == "nan":
        row["max"][1] = float("nan")
    elif fault == "shape":
        row["max"] = [1.0]
    text = {"text": "{", "deep": "[" * 100_000}.get(fault, json.dumps(facts))
    path.write_text(text)
    with pytest.raises(InputError, match=r"pose limits|radians") as caught:
        pose_limits(path)
    assert caught.value.code == "pose-limits-unreadable"


def test_every_row_names_its_source_and_the_docs_list_it() -> None:
    assert set(RANGES) == {n for n in JOINTS[1:] if not n.startswith("right_")}
    assert all(row.source and row.signs for row in RANGES.values())
    assert limits_table() in DOCS.read_text("utf-8")
