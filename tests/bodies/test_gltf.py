import json
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.bodies.gltf import continuous, write_glb
from motionkit.bodies.gltf_read import read_glb
from motionkit.bodies.motion import BodyMotion
from motionkit.bodies.rotations import about, from_axis_angle, to_axis_angle, to_quaternion
from motionkit.bodies.skeleton import JOINTS, PARENTS
from motionkit.errors import InputError

SIZES = {5126: 4, 5121: 1, 5123: 2}
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}
KINDS = {5126: "<f4", 5121: "u1", 5123: "<u2"}


def motion(frames: int = 30) -> BodyMotion:
    """A body that spins twice and waves."""
    rng = np.random.default_rng(0)
    phase = np.linspace(0, 2 * np.pi, frames)[:, None, None]
    poses = np.sin(phase + rng.uniform(0, 6, (24, 3)))
    yaw = np.linspace(0, 4 * np.pi, frames)
    poses[:, 0] = to_axis_angle(about("x", 0.3) @ about("y", yaw))
    trans = np.stack([np.cos(yaw), 0.1 * np.sin(yaw), yaw], -1)
    return BodyMotion(poses, trans, rng.normal(0, 1, 10), 30.0)


def parts(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    magic, version, total = struct.unpack_from("<4sII", data)
    assert (magic, version, total) == (b"glTF", 2, len(data))
    length, kind = struct.unpack_from("<II", data, 12)
    assert kind == 0x4E4F534A and length % 4 == 0
    document = json.loads(data[20 : 20 + length])
    size, kind = struct.unpack_from("<II", data, 20 + length)
    assert kind == 0x004E4942 and size % 4 == 0 and 28 + length + size == total
    return document, data[28 + length :]


def values(document: dict[str, Any], numbers: bytes, index: int) -> np.ndarray:
    accessor = document["accessors"][index]
    view = document["bufferViews"][accessor["bufferView"]]
    width = WIDTHS[accessor["type"]]
    kind = KINDS[accessor["componentType"]]
    flat = np.frombuffer(numbers, kind, accessor["count"] * width, view["byteOffset"])
    return flat.reshape(-1, width)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("glb") / "m.glb"
    write_glb(motion(), path, text='a person "turns"\n</script>')
    return path


def test_structure_follows_the_specification(written: Path) -> None:
    document, numbers = parts(written)
    assert document["asset"]["version"] == "2.0"
    assert document["buffers"] == [{"byteLength": len(numbers)}]
    for view in document["bufferViews"]:
        assert view["byteOffset"] % 4 == 0
        assert view["byteOffset"] + view["byteLength"] <= len(numbers)
    for accessor in document["accessors"]:
        view = document["bufferViews"][accessor["bufferView"]]
        need = accessor["count"] * WIDTHS[accessor["type"]] * SIZES[accessor["componentType"]]
        assert accessor["count"] >= 1 and need == view["byteLength"]
    for index in range(len(document["accessors"])):
        assert np.isfinite(values(document, numbers, index)).all()
    nodes = document["nodes"]
    children = [c for node in nodes for c in node.get("children", [])]
    assert len(children) == len(set(children))  # a tree: no node has two parents
    assert set(document["scenes"][0]["nodes"]).isdisjoint(children)
    assert len(set(children) | set(document["scenes"][0]["nodes"])) == len(nodes)
    assert [node["name"] for node in nodes[1:]] == list(JOINTS)
    for j, parent in enumerate(PARENTS):
        assert parent < 0 or 1 + j in nodes[1 + parent]["children"]


def test_figure_and_skin_follow_the_specification(written: Path) -> None:
    document, numbers = parts(written)
    (primitive,) = document["meshes"][0]["primitives"]
    got = {k: values(document, numbers, i) for k, i in primitive["attributes"].items()}
    assert {len(v) for v in got.values()} == {len(got["POSITION"])}
    indices = values(document, numbers, primitive["indices"])
    assert indices.max() < len(got["POSITION"]) < 65535 and len(indices) % 3 == 0
    assert np.allclose(np.linalg.norm(got["NORMAL"], axis=1), 1, atol=1e-5)
    assert (got["WEIGHTS_0"].sum(1) == 1).all() and (got["WEIGHTS_0"] >= 0).all()
    skin = document["skins"][0]
    assert len(skin["joints"]) == 24 and got["JOINTS_0"].max() < 24
    assert (got["JOINTS_0"][got["WEIGHTS_0"] == 0] == 0).all()  # unused joints are 0
    inverse = values(document, numbers, skin["inverseBindMatrices"]).reshape(24, 4, 4)
    assert (inverse[:, :, 3] == [0, 0, 0, 1]).all()  # column-major: the last row
    place = np.zeros((25, 3))
    for j, parent in enumerate(PARENTS):
        place[j] = place[parent] + document["nodes"][1 + j]["translation"]
    assert np.allclose(inverse[:, 3, :3], -place[:24], atol=1e-6)
    for index in (primitive["attributes"]["POSITION"],):
        accessor, numbers_of = document["accessors"][index], values(document, numbers, index)
        assert accessor["min"] == numbers_of.min(0).tolist()
        assert accessor["max"] == numbers_of.max(0).tolist()


def test_animation_follows_the_specification(written: Path) -> None:
    document, numbers = parts(written)
    (animation,) = document["animations"]
    targets = [(c["target"]["node"], c["target"]["path"]) for c in animation["channels"]]
    assert len(targets) == len(set(targets)) == 25
    for sampler in animation["samplers"]:
        assert sampler["interpolation"] == "LINEAR"
        accessor = document["accessors"][sampler["input"]]
        times = values(document, numbers, sampler["input"])[:, 0]
        assert (np.diff(times) > 0).all() and times[0] == 0
        assert times[-1] == pytest.approx(29 / 30)
        assert accessor["min"] == [times.min()] and accessor["max"] == [times.max()]
        output = values(document, numbers, sampler["output"])
        assert len(output) == len(times)
        if output.shape[1] == 4:
            assert np.allclose(np.linalg.norm(output, axis=1), 1, atol=1e-6)
            assert ((output[1:] * output[:-1]).sum(1) > 0).all()  # signs go on


def test_a_viewers_skinning_puts_the_figure_on_the_joints(written: Path) -> None:
    """What every viewer does with the file: nodes, inverse bind matrices, weights."""
    document, numbers = parts(written)
    animation, frame = document["animations"][0], 17
    local = np.tile(np.eye(4), (25, 1, 1))
    for k, node in enumerate(document["nodes"]):
        local[k, :3, 3] = node.get("translation", [0, 0, 0])
    for channel in animation["channels"]:
        output = values(
            document, numbers, animation["samplers"][channel["sampler"]]["output"]
        )[frame].astype(float)  # fmt: skip
        if channel["target"]["path"] == "translation":
            local[channel["target"]["node"], :3, 3] = output
        else:
            x, y, z, w = output
            local[channel["target"]["node"], :3, :3] = np.array([
                [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
            ])  # fmt: skip
    world = local[1:].copy()
    for j, parent in enumerate(PARENTS):
        if parent >= 0:
            world[j] = world[parent] @ world[j]
    joints = motion().joints()[frame]
    assert np.allclose(world[:, :3, 3], joints, atol=1e-4)
    (primitive,) = document["meshes"][0]["primitives"]
    points = values(document, numbers, primitive["attributes"]["POSITION"])
    owner = values(document, numbers, primitive["attributes"]["JOINTS_0"])[:, 0]
    skin = document["skins"][0]
    inverse = values(document, numbers, skin["inverseBindMatrices"]).reshape(24, 4, 4)
    inverse = np.swapaxes(inverse, 1, 2)
    skinned = (world @ inverse)[owner] @ np.pad(points, ((0, 0), (0, 1)), constant_values=1)[
        ..., None
    ]
    gap = np.linalg.norm(skinned[:, None, :3, 0] - joints[None], axis=-1).min(0)
    assert gap.max() < 1e-4  # a corner of the figure at every joint


def test_extras_say_what_it_is(written: Path) -> None:
    extras = parts(written)[0]["asset"]["extras"]
    assert extras["fps"] == 30 and extras["frames"] == 30
    assert extras["text"] == 'a person "turns"\n</script>'
    assert np.allclose(extras["betas"], motion().betas)


def test_pygltflib_opens_it(written: Path) -> None:
    pygltflib = pytest.importorskip("pygltflib")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pygltflib.GLTF2().load(str(written))
    assert len(found.animations[0].channels) == 25 and len(found.skins[0].joints) == 24
    assert found.nodes[1].name == "pelvis"


def test_trimesh_opens_it(written: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    scene = trimesh.load(str(written))
    (mesh,) = scene.geometry.values()
    assert len(mesh.faces) == 224
    height = mesh.bounds[1][1] - mesh.bounds[0][1]
    assert 1.2 < height < 2.2  # a person in metres, y up


def test_a_motion_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    poses = np.zeros((2, 24, 3))
    poses[1, 3, 0] = np.nan
    with pytest.raises(ValueError, match="nan or infinity"):
        write_glb(BodyMotion(poses, np.zeros((2, 3)), np.zeros(10), 30), tmp_path / "m.glb")
    assert not list(tmp_path.iterdir())


def test_signs_go_on_through_whole_turns() -> None:
    turns = to_quaternion(to_axis_angle(about("y", np.linspace(0, 20, 200))))
    calm = continuous(turns[:, None])[:, 0]
    assert ((calm[1:] * calm[:-1]).sum(-1) > 0.9).all()
    assert np.allclose(np.abs(calm), np.abs(turns))
    assert not ((turns[1:] * turns[:-1]).sum(-1) > 0).all()
    assert np.allclose(from_axis_angle(np.zeros(3)), np.eye(3))


@pytest.mark.parametrize(
    "fault",
    ["cut", "magic", "length", "json", "names", "nan", "beyond", "no bin", "no rotation", "fps",
     "parent", "text", "huge count", "string", "negative", "zero"],
)  # fmt: skip
def test_damaged_files_have_one_code(fault: str, written: Path, tmp_path: Path) -> None:
    document, numbers = parts(written)
    out: bytes | None = None
    if fault == "names":
        document["nodes"][5]["name"] = "LeftLeg"
    elif fault == "nan":
        numbers = b"\xff" * len(numbers)
    elif fault == "beyond":
        document["bufferViews"][-1]["byteOffset"] = len(numbers)
    elif fault == "no bin":
        numbers = b""
    elif fault == "no rotation":
        del document["animations"][0]["channels"][9]
    elif fault == "fps":
        document["asset"]["extras"]["fps"] = -3
    elif fault == "parent":
        document["nodes"][1]["children"] = [2]
    elif fault == "huge count":
        document["accessors"][-1]["count"] = 10**15
    elif fault == "string":
        document["accessors"] = "x"
    elif fault == "negative":
        document["animations"][0]["samplers"][3]["output"] = -1
    elif fault == "zero":
        numbers = bytes(len(numbers))
    elif fault in ("cut", "magic", "length", "json", "text"):
        data = written.read_bytes()
        out = {
            "cut": data[:-100], "magic": b"x" + data[1:], "length": data + b"more",
            "json": data[:20] + b"[" * 5000 + data[5020:], "text": b"no",
        }[fault]  # fmt: skip
    if out is None:
        chunk = json.dumps(document).encode()
        chunk += b" " * (-len(chunk) % 4)
        out = struct.pack("<4sII", b"glTF", 2, 28 + len(chunk) + len(numbers))
        out += struct.pack("<II", len(chunk), 0x4E4F534A) + chunk
        out += struct.pack("<II", len(numbers), 0x004E4942) + numbers
    path = tmp_path / "m.glb"
    path.write_bytes(out)
    with pytest.raises(InputError) as caught:
        read_glb(path)
    assert caught.value.code == "glb-unreadable"


def test_damaged_bytes_never_crash_the_reader(written: Path, tmp_path: Path) -> None:
    whole, rng = written.read_bytes(), np.random.default_rng(0)
    path = tmp_path / "m.glb"
    for _ in range(300):
        data = bytearray(whole)
        for at in rng.integers(0, 9000, 5):
            data[at] = rng.integers(256)
        path.write_bytes(bytes(data))
        try:
            got = read_glb(path)
        except InputError as error:
            assert error.code == "glb-unreadable"
        else:
            assert np.isfinite(got.joints()).all()
