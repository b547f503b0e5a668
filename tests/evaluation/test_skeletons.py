"""NTU RGB+D and Kinetics-Skeleton files: what is read, and what a bad file is told."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.errors import InputError
from motionkit.evaluation.skeleton_points import as_grid
from motionkit.evaluation.skeletons import (
    KINETICS_BONES,
    NTU_BONES,
    Body,
    _motion,
    read_kinetics,
    read_ntu,
    read_skeletons,
)

NAME = "S001C002P003R002A013.skeleton"


def joint(frame: int, number: int, x: float = 0.0) -> tuple[float, float]:
    """Where a joint is, pixels: five columns, five rows, moving right."""
    return 100 + 20 * (number % 5) + 3 * frame + x, 200 + 30 * (number // 5)


def ntu_text(bodies: list[dict[str, float]], frames: int = 4) -> str:
    """A file of the published layout. ``bodies``: {"id": x shift} of each, in every frame that
    its id's first digit allows."""
    lines = [str(frames)]
    for frame in range(frames):
        here = [(name, x) for body in bodies for name, x in body.items() if frame >= int(name[0])]
        lines.append(str(len(here)))
        for name, x in here:
            lines.append(f"{name} 0 1 1 1 1 0 0.02 -0.1 2")
            lines.append("25")
            for j in range(25):
                cx, cy = joint(frame, j, x)
                lines.append(f"0.2 0.3 2.5 250.1 180.2 {cx} {cy} 0.1 0.2 0.3 0.4 2")
    return "\n".join(lines) + "\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_ntu_joints_are_pixels_of_the_colour_picture(tmp_path: Path) -> None:
    clip = read_ntu(write(tmp_path / NAME, ntu_text([{"072057594037931101": 0.0}])))
    (body,) = clip.bodies
    assert body.points.shape == (4, 25, 2) and body.visible.all()
    assert body.points[3, 7].tolist() == list(joint(3, 7))
    assert (clip.size, clip.label, clip.label_index) == ((1920, 1080), None, 12)
    assert len(clip.bones) == 24 and {j for bone in NTU_BONES for j in bone} == set(range(25))


def test_several_bodies_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    """The second body comes in frame 2: before, it is held at where it will be, not visible."""
    text = ntu_text([{"0a": 0.0}, {"2b": 500.0}])
    clip = read_skeletons(write(tmp_path / "x.skeleton", text))
    first, second = clip.bodies
    assert first.visible.all() and clip.label_index is None
    assert second.visible[:, 0].tolist() == [False, False, True, True]
    assert second.points[0, 0].tolist() == list(joint(2, 0, 500))


def test_a_joint_that_is_nan_or_not_tracked_is_invisible_and_held(tmp_path: Path) -> None:
    lines = ntu_text([{"0a": 0.0}]).splitlines()
    start = 1 + 3 + 1  # frame 0: count, body line, joint count, joints
    of_frame_1 = start + 25 + 2
    lines[start - 1 + 4] = lines[start - 1 + 4].replace(str(joint(0, 4)[0]), "NaN")
    fields = lines[of_frame_1].split()
    lines[of_frame_1] = " ".join([*fields[:-1], "0"])
    clip = read_ntu(write(tmp_path / NAME, "\n".join(lines)))
    (body,) = clip.bodies
    assert not body.visible[0, 4] and body.visible[1, 4]
    assert body.points[0, 4].tolist() == list(joint(1, 4))
    assert body.visible.sum() == 4 * 25 - 2
    hidden = int(np.flatnonzero(~body.visible[1])[0])
    assert body.points[1, hidden].tolist() == list(joint(0, hidden))


def ntu_without(line: int) -> str:
    lines = ntu_text([{"0a": 0.0}]).splitlines()
    del lines[line]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "skeleton-truncated"),
        ("4\n1\n", "skeleton-truncated"),
        ("\n".join(ntu_text([{"0a": 0.0}]).splitlines()[:-1]), "skeleton-truncated"),
        (ntu_text([{"0a": 0.0}]) + "1\n", "skeleton-damaged"),
        (ntu_without(2), "skeleton-damaged"),
        ("999999999\n", "skeleton-damaged"),
        ("-3\n", "skeleton-damaged"),
        ("9" * 5000, "skeleton-damaged"),
        ("٣\n", "skeleton-damaged"),
        ("1\n4000\n", "skeleton-damaged"),
        (ntu_text([{"0a": 0.0}]).replace("\n25\n", "\n24\n"), "skeleton-damaged"),
        (ntu_text([{"0a": 0.0}]).replace("180.2", "one"), "skeleton-damaged"),
        ("2\n0\n0\n", "skeleton-empty"),
        (ntu_text([{"0a": 0.0}]).replace("0.4 2", "0.4 0"), "skeleton-empty"),
    ],
)
def test_bad_ntu_files(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(InputError) as told:
        read_ntu(write(tmp_path / NAME, text))
    assert told.value.code == code and NAME in told.value.message


def test_numbers_beyond_any_picture_are_not_seen(tmp_path: Path) -> None:
    text = ntu_text([{"0a": 0.0}]).replace(f" {joint(1, 0)[0]} ", " 1e308 ", 1)
    (body,) = read_ntu(write(tmp_path / NAME, text)).bodies
    assert np.isfinite(body.points).all() and (~body.visible).sum() == 1


def kinetics(people: list[list[float]], **changes: Any) -> dict[str, Any]:
    """``people``: for every frame the x of each person (share of the picture)."""
    data = []
    for frame, xs in enumerate(people):
        skeletons = []
        for x in xs:
            pose = [v for j in range(18) for v in (x + 0.01 * (j % 3), 0.1 + 0.04 * j)]
            skeletons.append({"pose": pose, "score": [0.9] * 18})
        data.append({"frame_index": frame + 1, "skeleton": skeletons})
    return {"data": data, "label": "riding a bike", "label_index": 268, **changes}


def test_kinetics_poses_become_pixels(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", json.dumps(kinetics([[0.5], [0.6]])))
    clip = read_skeletons(path)
    assert (clip.label, clip.label_index, clip.size) == ("riding a bike", 268, (340, 256))
    (body,) = clip.bodies
    assert body.points.shape == (2, 18, 2) and body.visible.all()
    assert body.points[1, 0] == pytest.approx([0.6 * 340, 0.1 * 256])
    assert {j for bone in KINETICS_BONES for j in bone} == set(range(18))


def test_people_are_followed_whatever_their_order(tmp_path: Path) -> None:
    """The second person is listed first in frame 1, absent in frame 2, and back in frame 3."""
    people = [[0.2, 0.8], [0.82, 0.22], [0.24], [0.26, 0.85]]
    clip = read_kinetics(write(tmp_path / "a.json", json.dumps(kinetics(people))))
    first, second = clip.bodies
    assert first.points[:, 0, 0] == pytest.approx(np.array([0.2, 0.22, 0.24, 0.26]) * 340, rel=1e-5)
    assert second.points[:, 0, 0] == pytest.approx(
        np.array([0.8, 0.82, 0.82, 0.85]) * 340, rel=1e-5
    )
    assert second.visible[:, 3].tolist() == [True, True, False, True]


def test_a_score_of_zero_is_a_point_not_found(tmp_path: Path) -> None:
    data = kinetics([[0.5], [0.6]])
    data["data"][0]["skeleton"][0]["score"][4] = 0.0
    data["data"][0]["skeleton"][0]["pose"][8:10] = [0.0, 0.0]
    (body,) = read_kinetics(write(tmp_path / "a.json", json.dumps(data))).bodies
    assert not body.visible[0, 4] and body.visible[1, 4]
    assert body.points[0, 4].tolist() == body.points[1, 4].tolist()


def test_frames_that_are_not_listed_are_there_without_anybody(tmp_path: Path) -> None:
    data = kinetics([[0.5], [0.5], [0.6]])
    del data["data"][1]
    (body,) = read_kinetics(write(tmp_path / "a.json", json.dumps(data))).bodies
    assert body.visible[:, 0].tolist() == [True, False, True]


def broken(**changes: Any) -> str:
    data = kinetics([[0.5]])
    data["data"][0] = {**data["data"][0], **changes}
    return json.dumps(data)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "skeleton-damaged"),
        ("[]", "skeleton-damaged"),
        ("[" * 100_000, "skeleton-damaged"),
        ('{"data": {}}', "skeleton-damaged"),
        ('{"data": []}', "skeleton-empty"),
        (broken(frame_index="1"), "skeleton-damaged"),
        (broken(frame_index=10**12), "skeleton-damaged"),
        (broken(frame_index=True), "skeleton-damaged"),
        (broken(skeleton=None), "skeleton-damaged"),
        (broken(skeleton=[{"pose": [1] * 34, "score": [1] * 18}]), "skeleton-damaged"),
        (broken(skeleton=[{"pose": ["1"] * 36, "score": [1] * 18}]), "skeleton-damaged"),
        (broken(skeleton=[{"pose": [1e300] * 36, "score": [1] * 18}]), "skeleton-damaged"),
        (broken(skeleton=[{"pose": [float("nan")] * 36, "score": [1] * 18}]), "skeleton-empty"),
        (broken(skeleton=[{"pose": [0] * 36, "score": [0] * 18}]), "skeleton-empty"),
        (json.dumps(kinetics([[0.5]], label_index="x")), "skeleton-damaged"),
        (json.dumps({"data": kinetics([[0.5]])["data"] * 2}), "skeleton-damaged"),
    ],
)
def test_bad_kinetics_files(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(InputError) as told:
        read_kinetics(write(tmp_path / "a.json", text))
    assert told.value.code == code and "a.json" in told.value.message


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "d.json").mkdir()
    codes = {}
    for name in ("a.json", "b.json", "d.json", "c.txt"):
        with pytest.raises(InputError) as told:
            read_skeletons(tmp_path / name)
        codes[name] = told.value.code
    assert codes == {
        "a.json": "skeleton-damaged",
        "b.json": "skeleton-unreadable",
        "d.json": "skeleton-unreadable",
        "c.txt": "skeleton-damaged",
    }
    monkeypatch.setattr("motionkit.evaluation.skeletons.MAX_BYTES", 10)
    with pytest.raises(InputError, match="larger than"):
        read_ntu(write(tmp_path / NAME, ntu_text([{"0a": 0.0}])))


def body(joints: int) -> Body:
    rng = np.random.default_rng(joints)
    points = np.cumsum(rng.normal(0, 1, (5, joints, 2)), 0) + rng.uniform(0, 200, (joints, 2))
    return Body(points.astype(np.float32), rng.random((5, joints)) > 0.1)


@pytest.mark.parametrize(("joints", "bones"), [(25, NTU_BONES), (18, KINETICS_BONES)])
@pytest.mark.parametrize("grid", [3, 5, 6])
def test_a_body_as_a_grid(joints: int, bones: tuple, grid: int) -> None:
    given = body(joints)
    made = as_grid(given, bones, grid)
    assert made.points.shape == (5, grid * grid, 2) and made.visible.shape == (5, grid * grid)
    at = int(given.visible.sum(1).argmax())
    rows = made.points[at].reshape(grid, grid, 2)
    assert (np.diff(rows[..., 0], axis=1) >= 0).all(), "each row from the left"
    tops, ends = rows[..., 1].min(1), rows[..., 1].max(1)
    assert (tops[1:] >= ends[:-1]).all(), "rows from the top"
    again = as_grid(given, bones, grid)
    assert np.array_equal(made.points, again.points)
    if joints <= grid * grid:  # every joint is still there
        found = {tuple(p) for p in made.points[0].tolist()}
        assert {tuple(p) for p in given.points[0].tolist()} <= found


def test_added_points_lie_on_the_longest_bones_and_are_seen_with_both_ends() -> None:
    points = np.zeros((2, 3, 2), np.float32)
    points[:, 1] = (8, 0)
    points[:, 2] = (8, 1)
    visible = np.array([[True, True, True], [True, False, True]])
    made = as_grid(Body(points, visible), ((0, 1), (1, 2)), 2)
    assert sorted(map(tuple, made.points[0].tolist())) == [(0, 0), (4, 0), (8, 0), (8, 1)]
    middle = made.points[0].tolist().index([4, 0])
    assert made.visible[:, middle].tolist() == [True, False]


def moving_ntu(bodies: dict[str, tuple[float, range, float]], frames: int = 20) -> str:
    """``bodies``: id → metres it goes to the right, its frames, width over height."""
    lines = [str(frames)]
    for frame in range(frames):
        here = [(name, *facts) for name, facts in bodies.items() if frame in facts[1]]
        lines.append(str(len(here)))
        for name, way, _, broad in here:
            lines += [f"{name} 0 1 1 1 1 0 0.02 -0.1 2", "25"]
            for j in range(25):
                x, y = broad * (j % 5) / 4 + way * frame / frames, j // 5 / 4
                lines.append(f"{x} {y} 2.5 250 180 {900 + 100 * x} {500 - 100 * y} 0 0 0 1 2")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("bodies", "main"),
    [
        # a chair that is seen throughout, and a person
        ({"1": (0.0, range(20), 0.4), "2": (1.0, range(16), 0.4)}, "2"),
        # what jumps for a few frames is nobody
        ({"1": (0.2, range(20), 0.4), "2": (9.0, range(6), 0.4)}, "1"),
        # what is broader than high is furniture
        ({"1": (0.2, range(20), 0.4), "2": (3.0, range(20), 1.5)}, "1"),
        # but alone it is taken: people lie
        ({"2": (1.0, range(6), 1.5)}, "2"),
    ],
)
def test_the_main_body_is_who_moves_most(tmp_path: Path, bodies: dict, main: str) -> None:
    clip = read_ntu(write(tmp_path / NAME, moving_ntu(bodies)))
    assert clip.bodies[0].name == main and len(clip.bodies) == len(bodies)
    assert clip.chosen_by == "motion"


def test_the_main_person_of_a_picture_has_the_highest_scores(tmp_path: Path) -> None:
    data = kinetics([[0.1, 0.7]] * 3)
    for frame in data["data"]:
        frame["skeleton"][0]["score"] = [0.2] * 18
    clip = read_kinetics(write(tmp_path / "a.json", json.dumps(data)))
    assert clip.chosen_by == "scores" and len(clip.bodies) == 2
    assert clip.bodies[0].points[0, 0, 0] == pytest.approx(0.7 * 340)


def test_a_file_cut_within_a_line_is_truncated_and_one_of_no_frame_is_empty(
    tmp_path: Path,
) -> None:
    text = ntu_text([{"0a": 0.0}])
    for content, code in ((text[:-40], "skeleton-truncated"), ("0\n", "skeleton-empty")):
        with pytest.raises(InputError) as told:
            read_skeletons(write(tmp_path / "S001A001.SKELETON", content))
        assert told.value.code == code


def test_what_a_kinetics_file_lacks_is_named(tmp_path: Path) -> None:
    for text, said in (("{}", "no key 'data'"), ("[]", "holds a list")):
        with pytest.raises(InputError, match=said):
            read_kinetics(write(tmp_path / "a.json", text))


def test_many_joints_that_move_outweigh_one_that_moves_far() -> None:
    wave = np.sin(np.arange(30) / 3)[:, None]
    standing = np.zeros((30, 25, 3))
    standing[:, :, 1] = np.linspace(0, 1.7, 25)
    one, all_of_it = standing.copy(), standing.copy()
    one[:, 0, 2] += wave[:, 0]
    all_of_it[:, :, 2] += 0.4 * wave
    assert _motion(all_of_it) > _motion(one) > _motion(standing)
