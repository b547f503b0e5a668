"""The user's own SMPL model file: .npz, or the official .pkl without ever running what is in it.

A pickle may call any function of the machine that reads it. Here every class it may name is one
of the stand-ins below, which only hold data: numpy arrays, scipy's sparse matrices and chumpy's
plain arrays become numpy arrays, and whatever else it names is an error. Neither scipy nor chumpy
is needed.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionkit.arrays import read_npz
from motionkit.bodies.skeleton import PARENTS
from motionkit.errors import InputError

Float = NDArray[np.float64]

VERTICES: Final = 6890
_SHAPES: Final = 10
_NAMES: Final = (
    "v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f",
)  # fmt: skip
#: The largest official file is 250 MB.
_MOST_BYTES: Final = 1 << 30
_HOW: Final = (
    "keep only numpy arrays in it: on the machine where it loads, "
    "numpy.savez('SMPL.npz', **{name: numpy.array(model[name]) for name in "
    f"{_NAMES}}}), J_regressor with .toarray() before"
)


@dataclass(frozen=True)
class SmplArrays:
    """What body models are made of. V = 6890."""

    template: Float
    """[V, 3] metres."""
    shapes: Float
    """[V, 3, 10]: metres a unit of each shape value."""
    poses: Float
    """[V, 3, 207]: corrections that follow the pose."""
    regressor: Float
    """[24, V]: joints from vertices."""
    weights: Float
    """[V, 24]: which joints a vertex follows."""
    faces: NDArray[np.int64]
    """[T, 3]."""


def read_smpl(path: Path) -> SmplArrays:
    """Reads SMPL's .pkl or an .npz with the same names.

    InputError 'smpl-unreadable' (damaged, or no such file), 'smpl-unsafe' (a pickle of more than
    plain arrays; the hint says how to convert it) and 'smpl-shape' (not SMPL: SMPL-H, SMPL-X and
    MANO have other joints).
    """
    if path.suffix.lower() == ".npz":
        try:
            found: dict[str, Any] = dict(read_npz(path, _NAMES))
        except InputError as error:
            raise InputError("smpl-unreadable", error.message) from error
    else:
        found = _unpickled(path)
    lacking = [name for name in _NAMES if name not in found]
    if lacking:
        raise InputError(
            "smpl-shape", f"{path.name} is no SMPL model: it lacks {', '.join(lacking)}", hint=_HOW
        )
    return _checked({name: _plain(found[name], name, path) for name in _NAMES}, path)


def _checked(arrays: dict[str, NDArray[Any]], path: Path) -> SmplArrays:
    shapes = arrays["shapedirs"]
    if shapes.ndim == 3:
        arrays["shapedirs"] = shapes[:, :, :_SHAPES]
    asked = {
        "v_template": (VERTICES, 3),
        "shapedirs": (VERTICES, 3, _SHAPES),
        "posedirs": (VERTICES, 3, 207),
        "J_regressor": (24, VERTICES),
        "weights": (VERTICES, 24),
        "kintree_table": (2, 24),
    }
    for name, shape in asked.items():
        if arrays[name].shape != shape:
            raise InputError(
                "smpl-shape", f"{path.name}: {name} is {arrays[name].shape}, SMPL's is {shape}"
            )
        if not np.isfinite(arrays[name].astype(float)).all():
            raise InputError("smpl-shape", f"{path.name}: {name} has nan or infinity")
    faces = arrays["f"]
    if faces.ndim != 2 or faces.shape[1] != 3 or not len(faces):
        raise InputError("smpl-shape", f"{path.name}: f is {faces.shape}, not triangles")
    faces = faces.astype(np.int64)
    if faces.min() < 0 or faces.max() >= VERTICES:
        raise InputError("smpl-shape", f"{path.name}: f names vertices outside the mesh")
    parents = arrays["kintree_table"][0].astype(np.int64)
    if tuple(parents[1:]) != PARENTS[1:]:
        raise InputError("smpl-shape", f"{path.name}: its joints hang together in another way")
    real = {name: arrays[name].astype(np.float64) for name in asked}
    return SmplArrays(
        real["v_template"], real["shapedirs"], real["posedirs"], real["J_regressor"],
        real["weights"], faces,
    )  # fmt: skip


# --- a pickle that cannot run anything ----------------------------------------------------------


class _Unsafe(pickle.UnpicklingError):
    """The file names something that is no plain data."""


class _DType:
    """Stands for numpy.dtype: plain numbers only."""

    def __init__(self, code: str, *_: Any) -> None:
        self.dtype = np.dtype(str(code))
        if self.dtype.kind not in "biuf" or self.dtype.hasobject:
            raise _Unsafe(f"an array of {self.dtype}")

    def __setstate__(self, state: Any) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Stands for numpy.ndarray; ``value`` once its state has come."""

    value: NDArray[Any] | None = None

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, raw = state
        self.value = _from_bytes(raw, kind, shape, "F" if fortran else "C")


class _Held:
    """Stands for a sparse matrix of scipy, or an array of chumpy: its attributes and no more."""

    def __init__(self, *_: Any) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.state = dict(state)


class _Csc(_Held):
    pass


class _Csr(_Held):
    pass


class _Chumpy(_Held):
    pass


def _from_bytes(raw: Any, kind: Any, shape: Any, order: Any = "C") -> NDArray[Any]:
    if not isinstance(kind, _DType):
        raise _Unsafe("an array of an unknown kind")
    data = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)
    flat = np.frombuffer(data, kind.dtype)
    return flat.reshape(tuple(int(n) for n in shape), order="F" if order == "F" else "C")


def _buffer(raw: Any, kind: Any, shape: Any, order: Any = "C") -> _Array:
    array = _Array()
    array.value = _from_bytes(raw, kind, shape, order)
    return array


def _scalar(kind: Any, raw: Any) -> Any:
    return _from_bytes(raw, kind, (1,))[0].item()


def _new(kind: Any, *_: Any) -> Any:
    """Stands for what old pickles make objects with."""
    if kind in (_Array, _Csc, _Csr, _Chumpy):
        return kind()
    raise _Unsafe("an object of an unknown class")


def _encode(text: str, *_: Any) -> bytes:
    return text.encode("latin1")


_STAND_INS: Final[dict[tuple[str, str], Callable[..., Any]]] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
    ("numpy.core.multiarray", "_reconstruct"): _new,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _buffer,
    ("copy_reg", "_reconstructor"): _new,
    ("copyreg", "_reconstructor"): _new,
    ("__builtin__", "object"): _Held,
    ("builtins", "object"): _Held,
    ("_codecs", "encode"): _encode,
    ("chumpy.ch", "Ch"): _Chumpy,
    **{(f"scipy.sparse.{dot}csc", "csc_matrix"): _Csc for dot in ("", "_")},
    **{(f"scipy.sparse.{dot}csr", "csr_matrix"): _Csr for dot in ("", "_")},
}


class _PlainUnpickler(pickle._Unpickler):
    """The unpickler written in Python: in the one written in C a single opcode of a hostile file
    takes all memory."""

    def find_class(self, module: str, name: str) -> Any:
        known = _STAND_INS.get((module.replace("numpy._core", "numpy.core"), name))
        if known is None:
            raise _Unsafe(f"{module}.{name}")
        return known

    def persistent_load(self, pid: Any) -> Any:
        raise _Unsafe("a reference to the outside")


def _unpickled(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError("smpl-unreadable", f"{path.name} is larger than any SMPL model")
        found = _PlainUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except OSError as error:
        raise InputError(
            "smpl-unreadable", f"{path}: {error.strerror or error}",
            hint="get SMPL from smpl.is.tue.mpg.de (a licence is needed) and name the file",
        ) from error  # fmt: skip
    except _Unsafe as error:
        raise InputError(
            "smpl-unsafe", f"{path.name} holds {error}, which is no plain array", hint=_HOW
        ) from error
    except InputError:
        raise
    except (MemoryError, RecursionError, *_DAMAGE) as error:
        raise InputError("smpl-unreadable", f"{path.name} is damaged: {error!r}") from error
    if not isinstance(found, dict):
        raise InputError("smpl-shape", f"{path.name} is no SMPL model: a {type(found).__name__}")
    return {str(name): value for name, value in found.items()}


#: What unpickling damaged files raises: nearly anything, since opcodes come in any order.
_DAMAGE: Final = (
    pickle.UnpicklingError, struct.error, EOFError, ValueError, TypeError, AttributeError,
    KeyError, IndexError, UnicodeError, OverflowError, ArithmeticError, AssertionError, ImportError,
    NotImplementedError,
)  # fmt: skip


def _plain(value: Any, name: str, path: Path) -> NDArray[Any]:
    """A numpy array of what a stand-in holds."""
    try:
        if isinstance(value, _Chumpy):
            value = value.state["x"]
        if isinstance(value, _Array):
            value = value.value
        if isinstance(value, (_Csc, _Csr)):
            value = _dense(value)
        if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            return value
    except _DAMAGE as error:
        raise InputError("smpl-unreadable", f"{path.name}: {name} is damaged: {error!r}") from error
    raise InputError("smpl-unsafe", f"{path.name}: {name} is no plain array", hint=_HOW)


def _dense(matrix: _Csc | _Csr) -> Float:
    """A sparse matrix in full; its numbers are checked, since they come from a file."""
    state = matrix.state
    rows, columns = (int(n) for n in state["_shape" if "_shape" in state else "shape"])
    data, indices, starts = (state[name].value for name in ("data", "indices", "indptr"))
    if rows * columns > 4_000_000 or min(rows, columns) < 1:
        raise ValueError(f"a matrix of {rows} x {columns}")
    major = columns if isinstance(matrix, _Csc) else rows
    counts = np.diff(starts.astype(np.int64))
    if len(counts) != major or (counts < 0).any() or counts.sum() != len(data):
        raise ValueError("a sparse matrix whose parts do not fit together")
    outer = np.repeat(np.arange(major), counts)
    inner = indices.astype(np.int64)[: len(data)]
    dense = np.zeros((rows, columns))
    if len(inner) and inner.min() < 0:
        raise ValueError("a negative index")
    np.add.at(dense, (inner, outer) if isinstance(matrix, _Csc) else (outer, inner), data)
    return dense
