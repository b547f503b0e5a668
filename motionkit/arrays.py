"""Reading .npy and .npz that others made: nothing pickled, no memory taken on a header's word."""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Container
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError

#: Larger arrays are refused: an hour of AMASS poses at 120 a second takes 0.5 GB.
MOST_BYTES: Final = 1 << 30
_KINDS: Final = "biufSU"
#: What damaged archives and arrays raise; numpy reads headers with Python's own tokenizer.
_DAMAGE: Final = (
    tokenize.TokenError,
    SyntaxError,
    MemoryError,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_npy(data: bytes, where: str) -> NDArray[Any]:
    """The array in the bytes of a .npy file. InputError 'array-unreadable'."""
    return _read(io.BytesIO(data), len(data), where)


def read_npy_file(path: Path) -> NDArray[Any]:
    """The array of a .npy file. InputError 'array-unreadable'."""
    try:
        with path.open("rb") as stream:
            return _read(stream, path.stat().st_size, path.name)
    except OSError as error:
        raise InputError("array-unreadable", f"{path.name}: {error.strerror or error}") from error


def read_npz(path: Path, names: Container[str]) -> dict[str, NDArray[Any]]:
    """The arrays of a .npz file whose name is in ``names``. InputError 'array-unreadable'.

    Arrays of Python objects (pickles) are left out: AMASS-like files carry marker labels so.
    """
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                if name not in names:  # not even unpacked: it may be anything
                    continue
                with archive.open(info) as member:
                    try:
                        found[name] = _read(member, info.file_size, f"{path.name}: {name}")
                    except _Pickled:
                        continue
    except _DAMAGE as error:
        raise InputError("array-unreadable", f"{path.name} is no .npz: {error}") from error
    return found


class _Pickled(InputError):
    """An array of Python objects."""


def _read(stream: IO[bytes], size: int, where: str) -> NDArray[Any]:
    from numpy.lib import format as npy

    try:
        version = npy.read_magic(stream)
        reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = reader(stream)
    except _DAMAGE as error:
        raise InputError("array-unreadable", f"{where}: {error}") from error
    if dtype.hasobject or dtype.kind not in _KINDS:
        raise _Pickled("array-unreadable", f"{where} holds {dtype}: pickles are never loaded")
    count = math.prod(shape)
    length = count * dtype.itemsize
    if min(shape, default=0) < 0 or length > min(size, MOST_BYTES):
        raise InputError("array-unreadable", f"{where}: {shape} of {dtype} do not fit {size} bytes")
    try:
        data = stream.read(length)
    except _DAMAGE as error:
        raise InputError("array-unreadable", f"{where}: {error}") from error
    if len(data) != length:
        raise InputError("array-unreadable", f"{where} ends after {len(data)} of {length} bytes")
    flat = np.frombuffer(data, dtype, count) if length else np.zeros(count, dtype)
    return flat.reshape(shape, order="F" if fortran else "C").copy()
