import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.bodies.smpl_file import SmplArrays, read_smpl
from motionkit.errors import InputError

from .smpl_model import smpl_arrays, write_npz, write_pkl


def check(got: SmplArrays) -> None:
    want = smpl_arrays()
    assert np.array_equal(got.template, want["v_template"])
    assert np.array_equal(got.shapes, want["shapedirs"])
    assert np.array_equal(got.poses, want["posedirs"])
    assert np.array_equal(got.regressor, want["J_regressor"])
    assert np.array_equal(got.weights, want["weights"])
    assert np.array_equal(got.faces, want["f"])


@pytest.mark.parametrize("protocol", [2, 5])
def test_plain_pickles(tmp_path: Path, protocol: int) -> None:
    check(read_smpl(write_pkl(tmp_path / "model.pkl", protocol)))


@pytest.mark.parametrize(("sparse", "protocol"), [("csc_matrix", 0), ("csr_matrix", 2)])
def test_sparse_regressor_and_chumpy_arrays(tmp_path: Path, sparse: str, protocol: int) -> None:
    path = write_pkl(tmp_path / "model.pkl", protocol, sparse=sparse, chumpy=True)
    check(read_smpl(path))


def test_npz(tmp_path: Path) -> None:
    check(read_smpl(write_npz(tmp_path / "model.npz")))


def test_more_shapes_than_ten_are_cut(tmp_path: Path) -> None:
    shapes = smpl_arrays()["shapedirs"]
    path = write_npz(tmp_path / "model.npz", shapedirs=np.concatenate([shapes, shapes * 2], 2))
    assert np.array_equal(read_smpl(path).shapes, shapes)


class Hostile:
    def __init__(self, call: Any, *args: Any) -> None:
        self.call, self.args = call, args

    def __reduce__(self) -> Any:
        return (self.call, self.args)


@pytest.mark.parametrize(
    "value",
    [Hostile(os.mkdir, "made-by-a-pickle"), Hostile(eval, "1"), Hostile(getattr, "a", "upper")],
)
def test_a_pickle_cannot_call_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: Hostile
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({**smpl_arrays(), "extra": value}))
    with pytest.raises(InputError) as caught:
        read_smpl(path)
    assert caught.value.code == "smpl-unsafe"
    assert "savez" in (caught.value.hint or "")
    assert not (tmp_path / "made-by-a-pickle").exists()


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({**smpl_arrays(), "f": np.array([[1, "a"]], dtype=object)}))
    with pytest.raises(InputError) as caught:
        read_smpl(path)
    assert caught.value.code == "smpl-unsafe"


def test_damaged_pickles_are_told(tmp_path: Path) -> None:
    small = {"v_template": np.zeros((4, 3)), "f": np.zeros((2, 3), np.uint32), "name": "smpl"}
    whole = pickle.dumps(small, protocol=2)
    rng = np.random.default_rng(0)
    path = tmp_path / "model.pkl"
    for trial in range(200):
        data = bytearray(whole[: rng.integers(1, len(whole))] if trial % 2 else whole)
        for _ in range(3):
            data[rng.integers(len(data))] = rng.integers(256)
        path.write_bytes(bytes(data))
        with pytest.raises(InputError) as caught:
            read_smpl(path)
        assert caught.value.code in ("smpl-unreadable", "smpl-unsafe", "smpl-shape")


def test_an_opcode_that_asks_for_all_memory(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x02}r\xff\xff\xff\x7f.")  # memo entry 2^31
    with pytest.raises(InputError) as caught:
        read_smpl(path)
    assert caught.value.code == "smpl-shape"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"weights": None}, "lacks weights"),
        ({"v_template": np.zeros((10475, 3))}, "v_template"),
        ({"J_regressor": np.zeros((55, 6890))}, "J_regressor"),
        ({"f": np.full((5, 3), 6890)}, "outside the mesh"),
        ({"kintree_table": np.zeros((2, 24), int)}, "hang together"),
        ({"weights": np.full((6890, 24), np.nan)}, "nan"),
    ],
)
def test_other_models_are_refused(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        read_smpl(write_npz(tmp_path / "model.npz", **changes))
    assert caught.value.code == "smpl-shape"


def test_a_missing_file_says_where_smpl_comes_from(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_smpl(tmp_path / "none.pkl")
    assert caught.value.code == "smpl-unreadable" and "smpl" in (caught.value.hint or "")
