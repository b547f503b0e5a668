"""Motion capture (BVH of the Bandai Namco Research Motion Dataset) as motions of the built-in
body, seen by the cameras and painted by the renderer of `motionkit.synth`."""

from __future__ import annotations

import csv
import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.bvh import Bvh, read_bvh
from motionkit.bodies.skeleton import JOINT, PARENTS, REST_OFFSETS, forward_kinematics
from motionkit.synth.camera import place_camera
from motionkit.synth.looks import random_light, random_look
from motionkit.synth.motions import SynthMotion
from motionkit.synth.rooms import random_place
from motionkit.synth.shot import Person, Shot, _background, _person

Float = NDArray[np.float64]

#: Longest part of a motion that is used: the longest clip that the filter cuts.
MOST_FRAMES = 300
#: Where the cameras stand round the person: before, at the left, behind, at the right.
VIEWS = {"front": 0.0, "left": 90.0, "back": 180.0, "right": 270.0}

#: Joints whose rotation the file states: built-in joint → its bone, and the columns of the
#: bone's axes that are the body's left, up and front.
_TRUNK = {"pelvis": "Hips", "spine1": "Spine", "spine2": "Spine", "spine3": "Chest",
          "neck": "Neck", "head": "Head"}  # fmt: skip
#: Limbs: built-in joint → the bone from … to whose direction it points along.
_LIMBS = {
    f"{side}_{joint}": (f"{a}_{letter}", f"{b}_{letter}")
    for side, letter in (("left", "L"), ("right", "R"))
    for joint, a, b in (
        ("collar", "Shoulder", "UpperArm"),
        ("shoulder", "UpperArm", "LowerArm"),
        ("elbow", "LowerArm", "Hand"),
        ("hip", "UpperLeg", "LowerLeg"),
        ("knee", "LowerLeg", "Foot"),
        ("ankle", "Foot", "Toes"),
    )
}
_CHILD = {"collar": "shoulder", "shoulder": "elbow", "elbow": "wrist", "hip": "knee",
          "knee": "ankle", "ankle": "foot"}  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class Mocap:
    """One file: its index row and its motion, turned so that the person faces +z on average."""

    file: str
    content: str
    style: str
    description: str
    motion: SynthMotion

    def points(self) -> tuple[Float, Float]:
        """Joints [F, 24, 3] and their rotations [F, 24, 3, 3], metres, y up."""
        return self.motion.joints()


def read_all(root: Path) -> Iterator[Mocap]:
    """Every motion of the index, in its order. ``root`` holds bandai_index.csv."""
    with (root / "bandai_index.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            bvh = read_bvh(root / "bandai" / row["file"])
            yield Mocap(
                row["file"], row["content"], row["style"], row["template_description"],
                as_motion(bvh),
            )  # fmt: skip


def as_motion(bvh: Bvh) -> SynthMotion:
    """The file's motion on the built-in skeleton, its first `MOST_FRAMES` frames."""
    places, turns = (values[:MOST_FRAMES] for values in bvh.pose())
    index = {name: j for j, name in enumerate(bvh.names)}
    frames = len(places)
    world = np.tile(np.eye(3), (frames, 24, 1, 1))
    for joint, bone in _TRUNK.items():
        x, y, z = (turns[:, index[bone], :, k] for k in range(3))
        columns = (-y, x, z) if bone == "Hips" else (z, x, y)
        world[:, JOINT[joint]] = np.stack(columns, -1)
    for joint, name in enumerate(JOINT):
        if name in _LIMBS:
            side, _, part = name.partition("_")
            a, b = (index[bone] for bone in _LIMBS[name])
            parent = world[:, PARENTS[joint]]
            rest = REST_OFFSETS[JOINT[f"{side}_{_CHILD[part]}"]]
            world[:, joint] = _turned(parent @ _unit(rest), _unit(places[:, b] - places[:, a]))
            world[:, joint] = world[:, joint] @ parent
        elif name not in _TRUNK:
            world[:, joint] = world[:, PARENTS[joint]]
    hips = places[:, index["Hips"]] / 100
    legs = np.linalg.norm(REST_OFFSETS[[JOINT["left_knee"], JOINT["left_ankle"]]], axis=1).sum()
    theirs = sum(
        float(np.linalg.norm(places[0, index[b]] - places[0, index[a]])) / 100
        for a, b in (("UpperLeg_L", "LowerLeg_L"), ("LowerLeg_L", "Foot_L"))
    )
    hips = hips * legs / theirs
    front = world[:, 0, :, 2].mean(0)
    angle = -np.arctan2(front[0], front[2])
    c, s = np.cos(angle), np.sin(angle)
    about = np.array([[c, 0, s], [0, 1.0, 0], [-s, 0, c]])
    world, hips = about @ world, hips @ about.T
    hips[:, [0, 2]] -= hips[:, [0, 2]].mean(0)
    local = world.copy()
    for j, parent in enumerate(PARENTS):
        if parent >= 0:
            local[:, j] = np.swapaxes(world[:, parent], -1, -2) @ world[:, j]
    translation = hips - REST_OFFSETS[0]
    joints, _ = forward_kinematics(local, translation)
    feet = joints[:, [JOINT["left_foot"], JOINT["right_foot"]], 1].min(1)
    translation[:, 1] += 0.028 - np.percentile(feet, 5)
    return SynthMotion(
        kind="mocap", style="", seed=0, fps=1 / bvh.frame_time_s, rotations=local,
        translation=translation, betas=np.zeros(10), captions=(),
    )  # fmt: skip


def shot_of(mocap: Mocap, view: str, seed: int, *, painted: bool) -> Shot:
    """The motion before a still camera, 640 x 360. Without ``painted`` there is no background."""
    person = _placed(mocap, seed)
    rng = np.random.default_rng([seed, 4099])
    camera = place_camera(
        person.vertices[:, ::7], move="still", azimuth_deg=VIEWS[view],
        camera_height_m=float(rng.uniform(0.95, 1.75)), share=float(rng.uniform(0.58, 0.8)),
        width=640, height=360, fps=30.0, rng=rng,
    )  # fmt: skip
    light = random_light(rng, outdoors=False)
    background: Any = np.zeros((360, 640, 3), np.uint8)
    if painted:
        everyone = np.concatenate([person.joints.reshape(-1, 3), camera.centre[None]])
        place = random_place(rng, everyone.min(0), everyone.max(0), outdoors=False)
        background, _ = _background(place, camera, light.tint)
    return Shot((person,), camera, light, background, None, VIEWS[view], False, painted, seed)


@functools.lru_cache(maxsize=1)
def _placed(mocap: Mocap, seed: int) -> Person:
    """The painted person; the views of one motion share it."""
    look = random_look(np.random.default_rng([seed, 5003]))
    return _person(mocap.motion, look, np.zeros(3), 0.0)


def _unit(vectors: Float) -> Float:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _turned(a: Float, b: Float) -> Float:
    """[F, 3, 3]: the smallest rotations that take unit vectors a [F, 3] to b [F, 3]."""
    axis = np.cross(a, b)
    cosine = (a * b).sum(-1)[:, None, None]
    cross = np.zeros((len(a), 3, 3))
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -axis[:, 2], axis[:, 1], -axis[:, 0]
    cross -= np.swapaxes(cross, -1, -2)
    return np.eye(3) + cross + cross @ cross / np.maximum(1 + cosine, 1e-6)
