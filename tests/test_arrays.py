"""Arrays of others: nothing pickled, nothing taken on a header's word."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.arrays import read_npy, read_npz
from motionkit.errors import InputError


def npy(array: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array("text"),
        np.zeros((0, 17, 3)),
        np.array([True, False]),
    ],
)
def test_arrays_come_back(array: Any) -> None:
    found = read_npy(npy(array), "x")
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 3), }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (-2, -2), }",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (3,), }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (3,",
        b"   {'descr': '<f8'\n  }, [",
        b"(" * 5000,
        b"\xff\xfe",
        b"",
    ],
)
def test_bad_headers_are_refused(header: bytes) -> None:
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)
    with pytest.raises(InputError) as caught:
        read_npy(data, "x.npy")
    assert caught.value.code == "array-unreadable"
    assert "x.npy" in caught.value.message


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    class Loud:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "owned",)

    data = npy(np.array([Loud()], object), allow_pickle=True)
    with pytest.raises(InputError, match="pickles are never loaded"):
        read_npy(data, "x")
    np.savez(tmp_path / "a.npz", poses=np.array([Loud()], object), trans=np.zeros(3))
    assert list(read_npz(tmp_path / "a.npz", {"poses", "trans"})) == ["trans"]
    assert not (tmp_path / "owned").exists()


def test_short_data_is_refused() -> None:
    data = npy(np.arange(100.0))
    for end in range(0, len(data), 37):
        with pytest.raises(InputError):
            read_npy(data[:end], "x")
