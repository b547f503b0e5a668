"""One shot: people, a place, a light and a camera, and its frames one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.skeleton import coco_points
from motionkit.synth.camera import Camera, place_camera
from motionkit.synth.figure import make_figure, stool_vertices
from motionkit.synth.looks import Light, Look, random_light, random_look
from motionkit.synth.mesh import Mesh
from motionkit.synth.motions import SynthMotion, motion
from motionkit.synth.painter import cast_shadow, paint_figure
from motionkit.synth.rooms import Place, random_place, render_view
from motionkit.synth.spec import SynthSpec

Float = NDArray[np.float64]
Frame = NDArray[np.uint8]

#: Motions for the second person: they stay where they are.
_BYSTANDERS = ("look_around", "hands_on_hips", "wave_right", "stretch", "twist", "clap")
_STYLE_NAMES = ("neutral", "neutral", "neutral", "energetic", "tired", "relaxed", "proud", "stiff")


@dataclass(frozen=True)
class Person:
    """One person of a shot, placed in the world."""

    motion: SynthMotion
    look: Look
    mesh: Mesh
    joints: Float
    """[F, 24, 3] metres, world."""
    vertices: Float
    """[F, V, 3] metres, world."""
    coco: Float
    """[F, 17, 3] metres, world."""


@dataclass(frozen=True)
class Shot:
    """Everything that a shot's frames are made from."""

    people: tuple[Person, ...]
    camera: Camera
    light: Light
    background: Frame
    """[H, W, 3], or larger where the camera moves."""
    to_background: Float | None
    """[F, 3, 3] frame pixels to background pixels; None where the camera stands."""
    azimuth_deg: float
    outdoors: bool
    noise: bool
    seed: int

    def frames(self) -> Iterator[Frame]:
        """RGB frames [H, W, 3]."""
        camera = self.camera
        grain = _grain(camera.height, camera.width, self.seed) if self.noise else None
        seen = [camera.to_camera(person.vertices) for person in self.people]
        pixels = [camera.project(points) for points in seen]
        for f in range(len(camera.focal)):
            frame = self._empty(f)
            lens = (camera.centre, float(camera.focal[f]))
            for person in self.people:
                cast_shadow(frame, person.joints[f], camera.rotation[f], lens, self.light)
            lit_from = camera.rotation[f] @ self.light.direction
            order = np.argsort([-float(points[f, :, 2].mean()) for points in seen])
            for k in order:
                person = self.people[k]
                paint_figure(
                    frame, person.mesh, person.look, seen[k][f], pixels[k][f], lit_from, self.light
                )
            if grain is not None:
                cv2.add(frame, grain[f % len(grain)], dst=frame)
            yield frame

    def _empty(self, f: int) -> Frame:
        if self.to_background is None:
            return self.background.copy()
        return cv2.warpPerspective(
            self.background,
            self.to_background[f],
            (self.camera.width, self.camera.height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )

    def keypoints(self) -> Float:
        """[F, P, 17, 3]: pixels x, y and whether the point lies in the picture (0 or 1)."""
        rows = []
        for person in self.people:
            seen = self.camera.to_camera(person.coco)
            xy = self.camera.project(seen)
            size = np.array([self.camera.width, self.camera.height])
            inside = ((xy >= 0) & (xy < size)).all(-1) & (seen[..., 2] > 0)
            rows.append(np.concatenate([xy, inside[..., None]], -1))
        return np.stack(rows, 1)


def make_shot(spec: SynthSpec, number: int, frames: int) -> Shot:
    """Shot ``number`` of a clip, ``frames`` long."""
    rng = np.random.default_rng([spec.seed, 7919, number])
    style = spec.style or str(rng.choice(_STYLE_NAMES))
    tempo = spec.tempo if spec.tempo is not None else float(rng.uniform(0.88, 1.15))
    seconds = frames / spec.fps
    main = motion(
        spec.kinds[number],
        seed=int(rng.integers(1 << 31)),
        seconds=seconds,
        fps=spec.fps,
        style=style,
        tempo=tempo,
        betas=rng.normal(0, 0.45, 10),
    )
    azimuth = spec.azimuth_deg if spec.azimuth_deg is not None else _azimuth(rng)
    share = spec.share if spec.share is not None else float(rng.uniform(0.58, 0.8))
    outdoors = spec.outdoors if spec.outdoors is not None else bool(rng.uniform() < 0.3)
    people = [_person(main, random_look(rng), np.zeros(3), 0.0)]
    reach = people[0].vertices[:, ::7]
    camera = place_camera(
        reach,
        move=spec.camera,
        azimuth_deg=azimuth,
        camera_height_m=float(rng.uniform(0.95, 1.75)),
        share=share,
        width=spec.width,
        height=spec.height,
        fps=spec.fps,
        rng=rng,
    )
    if spec.people == 2:
        people.append(_bystander(rng, spec, seconds, reach, camera))
    light = random_light(rng, outdoors=outdoors)
    everyone = np.concatenate([p.joints.reshape(-1, 3) for p in people] + [camera.centre[None]])
    place = random_place(rng, everyone.min(0), everyone.max(0), outdoors=outdoors)
    tint = light.tint * float(rng.uniform(0.9, 1.04))
    background, warp = _background(place, camera, tint)
    return Shot(
        tuple(people), camera, light, background, warp, azimuth, outdoors, spec.noise,
        int(rng.integers(1 << 31)),
    )  # fmt: skip


def _azimuth(rng: np.random.Generator) -> float:
    """Mostly from the front, sometimes from the side or from behind."""
    kind = rng.choice(["front", "side", "back"], p=[0.7, 0.18, 0.12])
    turn = {
        "front": rng.uniform(0, 55),
        "side": rng.uniform(55, 105),
        "back": rng.uniform(130, 180),
    }
    return float(rng.choice([-1, 1]) * turn[str(kind)])


def _person(moves: SynthMotion, look: Look, shift: Float, yaw: float) -> Person:
    joints, world = moves.joints()
    if yaw:
        c, s = np.cos(yaw), np.sin(yaw)
        turn = np.array([[c, 0, s], [0, 1.0, 0], [-s, 0, c]])
        joints, world = joints @ turn.T, turn @ world
    joints = joints + shift
    seat = moves.seat
    mesh = make_figure(moves.betas, look.cut, stool_m=seat[2] if seat else None)
    vertices = mesh.skin(joints, world)
    if seat:
        count = stool_vertices()
        vertices[:, -count:] = mesh.vertices[-count:] + np.array([seat[0], 0.0, seat[1]]) + shift
    return Person(moves, look, mesh, joints, vertices, coco_points(joints, world, moves.betas))


def _bystander(
    rng: np.random.Generator, spec: SynthSpec, seconds: float, reach: Float, camera: Camera
) -> Person:
    """A second person, 1.6..2.6 m further from the camera than anything the first one does."""
    moves = motion(
        str(rng.choice(_BYSTANDERS)),
        seed=int(rng.integers(1 << 31)),
        seconds=seconds,
        fps=spec.fps,
        betas=rng.normal(0, 0.5, 10),
    )
    seen = camera.to_camera(reach)
    depth = float(seen[..., 2].max()) + rng.uniform(1.6, 2.6)
    middle = len(camera.focal) // 2
    ahead = camera.rotation[middle].T @ np.array([0, 0, 1.0])
    right = camera.rotation[middle].T @ np.array([1.0, 0, 0])
    ahead[1] = right[1] = 0.0
    half = depth * spec.width / 2 / float(camera.focal.max())
    aside = float(rng.choice([-1, 1]) * rng.uniform(0.45, 0.62)) * half
    shift = camera.centre * [1, 0, 1] + ahead * depth + right * aside
    yaw = float(np.arctan2(-ahead[0], -ahead[2]) + rng.uniform(-0.6, 0.6))
    return _person(moves, random_look(rng), shift, yaw)


def _background(place: Place, camera: Camera, tint: Float) -> tuple[Frame, Float | None]:
    matrix = camera.intrinsics()
    if camera.stands:
        view = render_view(
            place, camera.centre, camera.rotation[0], matrix[0], camera.width, camera.height, tint
        )
        return view, None
    # A view along the mean direction that covers the corners of every frame.
    focal = float(np.median(camera.focal))
    middle = camera.rotation.mean(0)
    u, _, v = np.linalg.svd(middle)
    rotation = u @ v
    flat = matrix[len(matrix) // 2].copy()
    flat[0, 0] = flat[1, 1] = focal
    to_flat = flat @ rotation @ np.swapaxes(camera.rotation, -1, -2) @ np.linalg.inv(matrix)
    w, h = camera.width, camera.height
    corners = np.array([[0, 0, 1], [w, 0, 1], [0, h, 1], [w, h, 1]], dtype=float)
    where = np.einsum("fij,cj->fci", to_flat, corners)
    where = where[..., :2] / where[..., 2:]
    low, high = np.floor(where.min((0, 1))) - 2, np.ceil(where.max((0, 1))) + 2
    shift = np.eye(3)
    shift[:2, 2] = -low
    wide, tall = (high - low).astype(int)
    view = render_view(
        place, camera.centre, rotation, shift @ flat, int(wide), int(tall), tint, finer=1.0
    )
    # OpenCV counts from pixel centres, the camera from pixel corners: half a pixel apart.
    half = np.eye(3)
    half[:2, 2] = 0.5
    return view, np.linalg.inv(half) @ shift @ to_flat @ half


def _grain(height: int, width: int, seed: int) -> list[Frame]:
    """Sensor noise as a few frames to add in turn; faint, and never repeating side by side."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 4, (height, width, 3)).astype(np.uint8) for _ in range(5)]
