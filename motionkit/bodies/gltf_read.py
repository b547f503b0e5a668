"""Reads the .glb files that `gltf.write_glb` wrote back into motions."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.gltf import BIN_CHUNK, JSON_CHUNK, MAGIC
from motionkit.bodies.motion import BodyMotion
from motionkit.bodies.rotations import from_quaternion
from motionkit.bodies.skeleton import JOINTS, PARENTS, betas_of, shaped_offsets
from motionkit.errors import InputError

Float = NDArray[np.float64]

#: Ten hours at 30 frames a second take 0.5 GB.
_MOST_BYTES: Final = 1 << 29
_MOST_JSON: Final = 1 << 24
_WIDTH: Final = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}
_DAMAGE: Final = (
    OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError,
    struct.error, RecursionError, MemoryError,
)  # fmt: skip


def read_glb(path: Path) -> BodyMotion:
    """The motion of a .glb that motionkit wrote (joints are nodes with SMPL's names).

    InputError 'glb-unreadable' for a damaged file and for one of another skeleton.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("larger than half a gigabyte")
        document, numbers = _chunks(path.read_bytes())
        return _motion(document, numbers)
    except _DAMAGE as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error) or repr(error)
        raise InputError("glb-unreadable", f"{path} is no motion .glb: {what}") from error


def _chunks(data: bytes) -> tuple[dict[str, Any], bytes]:
    magic, version, total = struct.unpack_from("<4sII", data)
    if magic != MAGIC or version != 2:
        raise ValueError("it is not binary glTF 2.0")
    if total != len(data):
        raise ValueError(f"it says {total} bytes and has {len(data)}")
    found: dict[int, bytes] = {}
    at = 12
    while at < total:
        length, kind = struct.unpack_from("<II", data, at)
        if at + 8 + length > total:
            raise ValueError("a chunk ends after the file")
        found.setdefault(kind, data[at + 8 : at + 8 + length])
        at += 8 + length
    if len(found[JSON_CHUNK]) > _MOST_JSON:
        raise ValueError("its JSON is larger than 16 MB")
    document = json.loads(found[JSON_CHUNK].decode("utf-8"))
    if not isinstance(document, dict):
        raise ValueError("its JSON is no object")
    return document, found.get(BIN_CHUNK, b"")


def _motion(document: dict[str, Any], numbers: bytes) -> BodyMotion:
    names = [node.get("name") for node in document["nodes"]]
    node_of = {name: names.index(name) for name in JOINTS if name in names}
    if len(node_of) < len(JOINTS):
        raise ValueError("its nodes are not motionkit's 24 joints")
    for j, parent in enumerate(PARENTS):
        if parent >= 0:
            children = document["nodes"][node_of[JOINTS[parent]]].get("children", [])
            if node_of[JOINTS[j]] not in children:
                raise ValueError(f"{JOINTS[j]} does not hang on {JOINTS[parent]}")
    rest = np.array(
        [document["nodes"][node_of[name]].get("translation", [0, 0, 0]) for name in JOINTS], float
    )
    if rest.shape != (24, 3) or not np.isfinite(rest).all():
        raise ValueError("a joint's place at rest is not three numbers")
    animation = document["animations"][0]
    tracks: dict[tuple[int, str], int] = {}
    clocks: set[int] = set()
    for channel in animation["channels"]:
        sampler = animation["samplers"][channel["sampler"]]
        tracks[channel["target"]["node"], channel["target"]["path"]] = sampler["output"]
        clocks.add(sampler["input"])
    if len(clocks) != 1:
        raise ValueError("its joints have different times")
    times = _values(document, numbers, clocks.pop(), "SCALAR")[:, 0]
    fps = _fps(document, times)
    place = _values(document, numbers, tracks[node_of[JOINTS[0]], "translation"], "VEC3")
    turns = [
        _values(document, numbers, tracks[node_of[name], "rotation"], "VEC4") for name in JOINTS
    ]
    if not len(times) or any(len(values) != len(times) for values in (place, *turns)):
        raise ValueError("its joints have different numbers of frames")
    poses = from_quaternion(np.stack(turns, 1))
    betas = betas_of(rest)
    known = betas is not None and np.allclose(shaped_offsets(betas)[0], rest[0], atol=1e-5)
    if known and betas is not None:
        return BodyMotion(poses, place - shaped_offsets(betas)[0], betas, fps)
    said = _extras(document).get("betas")
    shape = np.array(said, float) if isinstance(said, list) and len(said) == 10 else np.zeros(10)
    if not np.isfinite(shape).all():
        raise ValueError("its betas are not finite")
    return BodyMotion(poses, place - rest[0], shape, fps, rest)


def _extras(document: dict[str, Any]) -> dict[str, Any]:
    extras = document["asset"].get("extras")
    return extras if isinstance(extras, dict) else {}


def _fps(document: dict[str, Any], times: Float) -> float:
    """As stated; of a file that states none, from its times."""
    stated = _extras(document).get("fps")
    if stated is None and len(times) > 1:
        stated = (len(times) - 1) / (times[-1] - times[0])
    fps = float(stated if stated is not None else 30.0)
    if not 1e-3 < fps < 1e5:
        raise ValueError(f"{fps} frames a second")
    return fps


def _values(document: dict[str, Any], numbers: bytes, index: int, kind: str) -> Float:
    """The values [N, width] of a float accessor."""
    if not isinstance(index, int) or index < 0:
        raise ValueError("an accessor without a number")
    accessor = document["accessors"][index]
    if accessor["type"] != kind or accessor["componentType"] != 5126 or "sparse" in accessor:
        raise ValueError(f"accessor {index} does not hold {kind} floats")
    view = document["bufferViews"][accessor["bufferView"]]
    count, width = int(accessor["count"]), _WIDTH[kind]
    start = int(view.get("byteOffset", 0)) + int(accessor.get("byteOffset", 0))
    if view.get("buffer") != 0 or view.get("byteStride", 4 * width) != 4 * width:
        raise ValueError(f"accessor {index} lies in an unknown way")
    if count < 0 or start < 0 or start + 4 * count * width > len(numbers):
        raise ValueError(f"accessor {index} reaches beyond the file")
    values = np.frombuffer(numbers, "<f4", count * width, start).reshape(count, width)
    if not np.isfinite(values).all():
        raise ValueError(f"accessor {index} has nan or infinity")
    return values.astype(float)
