"""A random model file in SMPL's format and size: no real model may be in a repository."""

import functools
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np

from motionkit.bodies.skeleton import PARENTS, REST_OFFSETS


@functools.cache
def smpl_arrays() -> dict[str, Any]:
    """Small random corrections round a body with the built-in skeleton's joints."""
    rng = np.random.default_rng(0)
    count = 6890
    joints = REST_OFFSETS.copy()
    for j in range(1, 24):
        joints[j] += joints[PARENTS[j]]
    owner = np.arange(count) % 24
    template = joints[owner] + rng.normal(0, 0.05, (count, 3))
    # Each joint regresses from four of its own vertices, moved so that their mean is the joint.
    regressor = np.zeros((24, count))
    for j in range(24):
        mine = np.flatnonzero(owner == j)[40:44]
        template[mine] += joints[j] - template[mine].mean(0)
        regressor[j, mine] = 0.25
    weights = np.zeros((count, 24))
    weights[np.arange(count), owner] = 0.7
    weights[np.arange(count), np.maximum(0, np.array(PARENTS)[owner])] += 0.3
    return {
        "v_template": template,
        "shapedirs": rng.normal(0, 0.003, (count, 3, 10)).astype(np.float32),
        "posedirs": rng.normal(0, 0.002, (count, 3, 207)).astype(np.float32),
        "J_regressor": regressor,
        "weights": weights,
        "kintree_table": np.array([[4294967295, *PARENTS[1:]], range(24)], dtype=np.int64),
        "f": rng.integers(0, count, (200, 3)).astype(np.uint32),
        "bs_style": "lbs",
    }


def write_npz(path: Path, **changes: Any) -> Path:
    arrays = {**smpl_arrays(), **changes}
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


def write_pkl(path: Path, protocol: int = 2, *, sparse: str = "", chumpy: bool = False) -> Path:
    """As the official files are: a sparse regressor, and in old ones chumpy's arrays."""
    arrays = dict(smpl_arrays())
    if sparse:
        import scipy.sparse

        arrays["J_regressor"] = getattr(scipy.sparse, sparse)(arrays["J_regressor"])
    if not chumpy:
        path.write_bytes(pickle.dumps(arrays, protocol=protocol))
        return path
    module = types.ModuleType("chumpy.ch")

    class Ch:
        def __init__(self, x: Any) -> None:
            self.x = x
            self._parents: dict[str, Any] = {}

    Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
    module.Ch = Ch  # type: ignore[attr-defined]
    sys.modules["chumpy"], sys.modules["chumpy.ch"] = types.ModuleType("chumpy"), module
    try:
        arrays["shapedirs"] = Ch(arrays["shapedirs"])
        path.write_bytes(pickle.dumps(arrays, protocol=protocol))
    finally:
        del sys.modules["chumpy"], sys.modules["chumpy.ch"]
    return path
