import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.errors import InputError
from motionkit.exchange.formats import export_set
from motionkit.exchange.keypoint_files import FileClip, read_keypoints
from tests.exchange.sets import make_set, person


def points(frames: int = 5) -> np.ndarray:
    rng = np.random.default_rng(0)
    found = rng.uniform(0, 300, (frames, 17, 3)).astype(np.float32)
    found[..., 2] = rng.uniform(0.1, 0.9, (frames, 17))
    return found


def read(path: Path, **given: Any) -> list[FileClip]:
    return list(read_keypoints(path, **given))


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def results(**keys: Any) -> list[dict[str, Any]]:
    return [
        {"image_id": i, "category_id": 1, "keypoints": p.ravel().tolist(), "score": 0.9, **keys}
        for i, p in enumerate(points())
    ]


def fails(path: Path, **given: Any) -> InputError:
    with pytest.raises(InputError) as error:
        read(path, **given)
    return error.value


def test_an_npz_of_m2d_is_taken_as_it_is(tmp_path: Path) -> None:
    m2d = np.ones((5, 18, 3), np.float32)
    np.savez(tmp_path / "a.npz", m2d=m2d)
    [found] = read(tmp_path / "a.npz")
    assert np.array_equal(found.m2d, m2d)
    assert found.fps == 30.0
    np.savez(tmp_path / "b.npz", m2d=m2d, fps=25.0)
    assert read(tmp_path / "b.npz")[0].fps == 25.0


@pytest.mark.parametrize("flat", [False, True])
def test_an_npz_of_keypoints_brings_size_and_rate(flat: bool, tmp_path: Path) -> None:
    given = points().reshape(5, 51) if flat else points()
    np.savez(tmp_path / "a.npz", keypoints=given, size=[640, 360], fps=25.0)
    [found] = read(tmp_path / "a.npz")
    assert np.array_equal(found.m2d[:, :17], points())
    assert found.m2d[:, 17].tolist() == [[640, 360, 1]] * 5
    assert found.fps == 25.0


def test_what_a_file_does_not_state_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", [p.ravel().tolist() for p in points()])
    assert fails(path, size=(640, 360)).code == "keypoints-no-rate"
    assert fails(path, fps=30.0).code == "keypoints-no-size"
    assert "--size" in str(fails(path, fps=30.0).hint)
    [found] = read(path, fps=25.0, size=(640, 360))
    assert np.allclose(found.m2d[:, :17], points())


@pytest.mark.parametrize("key", ["frames", "keypoints"])
def test_a_json_object_states_rate_and_size(key: str, tmp_path: Path) -> None:
    content = {"fps": 24, "width": 640, "height": 360, key: points().tolist()}
    [found] = read(write(tmp_path / "a.json", content))
    assert (found.fps, found.m2d[0, 17].tolist()) == (24.0, [640, 360, 1])


def test_results_without_an_entry_for_a_frame_have_a_gap(tmp_path: Path) -> None:
    entries = results()
    del entries[2]
    [found] = read(write(tmp_path / "a.json", entries), fps=30, size=(640, 360))
    assert len(found.m2d) == 5
    assert not found.m2d[2, :17].any()
    assert np.allclose(found.m2d[3, :17], points()[3])


def test_results_come_in_any_order_and_by_file_name(tmp_path: Path) -> None:
    entries = [{**e, "image_id": f"shot7/{e['image_id'] + 100:06d}.jpg"} for e in results()]
    path = write(tmp_path / "a.json", entries[::-1])
    assert np.allclose(read(path, fps=30, size=(640, 360))[0].m2d[:, :17], points())


def test_persons_are_told_apart_by_their_track(tmp_path: Path) -> None:
    both = results(idx=1) + results(idx=2)[1:3]
    found = read(write(tmp_path / "a.json", both), fps=30, size=(640, 360))
    assert [(clip.name, len(clip.m2d)) for clip in found] == [("1", 5), ("2", 2)]
    assert np.allclose(found[1].m2d[:, :17], points()[1:3])
    untold = write(tmp_path / "b.json", results() + results())
    assert fails(untold, fps=30, size=(640, 360)).code == "two-persons-one-track"


def test_cocos_visibility_is_no_confidence(tmp_path: Path) -> None:
    given = points()
    given[..., 2] = np.arange(85).reshape(5, 17) % 3
    path = write(tmp_path / "a.json", given.tolist())
    [found] = read(path, fps=30, size=(640, 360))
    assert np.array_equal(found.m2d[:, :17, 2], given[..., 2] > 0)


def test_an_export_of_ours_comes_back(tmp_path: Path) -> None:
    rows = [person(1), person(2)]
    make_set(tmp_path / "set", rows)
    export_set(tmp_path / "set", tmp_path / "coco", "coco")
    found = {clip.name: clip for clip in read(tmp_path / "coco")}
    assert set(found) == {row["sample_id"] for row in rows}
    clip = found[rows[0]["sample_id"]]
    assert np.allclose(clip.m2d, rows[0]["m2d"], atol=1 / 16)
    file = next((tmp_path / "coco" / "annotations").glob("*.json"))
    assert {c.name for c in read(file)} == set(found)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("{", "keypoints-unreadable"),
        ("[]", "keypoints-unreadable"),
        ('{"a": 1}', "keypoints-unreadable"),
        ('[{"image_id": 1}]', "keypoints-unreadable"),
        ("[[1, 2, 3]]", "malformed-sample"),
        ('[["x"]]', "malformed-sample"),
        ('[{"image_id": 0, "keypoints": [1]}]', "malformed-sample"),
        ("[" * 100_000, "keypoints-unreadable"),
    ],
)
def test_other_json_is_refused(content: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(content)
    assert fails(tmp_path / "a.json", fps=30, size=(640, 360)).code == code


def test_wild_frame_numbers_make_no_huge_array(tmp_path: Path) -> None:
    entries = results()
    entries[-1]["image_id"] = 10**9
    path = write(tmp_path / "a.json", entries)
    assert fails(path, fps=30, size=(640, 360)).code == "malformed-sample"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"\x80\x04N."])
def test_a_damaged_npz_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    assert fails(tmp_path / "a.npz").code == "keypoints-unreadable"


def test_no_pickle_is_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", m2d=np.array([{"a": 1}], object))
    assert fails(tmp_path / "a.npz").code == "keypoints-unreadable"
    np.savez(tmp_path / "b.npz", other=np.ones(3))
    assert fails(tmp_path / "b.npz").code == "keypoints-unreadable"
