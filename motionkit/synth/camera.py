"""Pinhole cameras that stand, pan, tilt, zoom and shake, and the exact motion of the background.

Camera frame: x right, y down, z forward, metres. A camera turns and zooms but does not
travel, so what it sees of the still world in two frames is related by a homography, and the
truth about background motion is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import UsageError
from motionkit.synth.curves import smooth

Float = NDArray[np.float64]

#: How cameras can move; mixed is a pan and a zoom together.
MOVES: tuple[str, ...] = ("still", "pan", "tilt", "zoom", "shake", "follow", "part", "mixed")
#: Background shift between two frames, pixels of a picture 640 wide, from which it 'moves'.
MOVING_PX = 0.5
#: The width that pixel shifts are stated for.
NOMINAL_WIDTH = 640


@dataclass(frozen=True)
class Camera:
    """One shot's camera: a fixed place, a direction and a focal length for every frame."""

    centre: Float
    """[3] metres in the world."""
    rotation: Float
    """[F, 3, 3] world to camera."""
    focal: Float
    """[F] pixels."""
    width: int
    height: int

    def to_camera(self, points: Float) -> Float:
        """World points [F, ..., 3] in the camera's frame, metres."""
        return np.einsum("fij,f...j->f...i", self.rotation, points - self.centre)

    def project(self, points: Float) -> Float:
        """Pixels [F, ..., 2] of points [F, ..., 3] in the camera's frame."""
        focal = self.focal.reshape(-1, *([1] * (points.ndim - 1)))
        depth = np.maximum(points[..., 2:3], 1e-3)
        middle = np.array([self.width / 2, self.height / 2])
        return points[..., :2] / depth * focal + middle

    def intrinsics(self) -> Float:
        """[F, 3, 3]"""
        matrix = np.zeros((len(self.focal), 3, 3))
        matrix[:, 0, 0] = matrix[:, 1, 1] = self.focal
        matrix[:, 0, 2], matrix[:, 1, 2], matrix[:, 2, 2] = self.width / 2, self.height / 2, 1
        return matrix

    def shifts(self) -> Float:
        """[F] mean shift in pixels of the still background since the frame before; 0 first.

        Stated for a picture `NOMINAL_WIDTH` wide.
        """
        x, y = np.meshgrid(np.linspace(0, self.width, 9), np.linspace(0, self.height, 7))
        grid = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], -1)
        k = self.intrinsics()
        back = np.swapaxes(self.rotation[:-1], -1, -2) @ np.linalg.inv(k[:-1])
        moved = np.einsum("fij,gj->fgi", k[1:] @ self.rotation[1:] @ back, grid)
        moved = moved[..., :2] / moved[..., 2:]
        shift = np.linalg.norm(moved - grid[:, :2], axis=-1).mean(-1)
        shift[shift < 1e-6] = 0.0  # rounding is not motion
        return np.concatenate([[0.0], shift]) * NOMINAL_WIDTH / self.width

    @property
    def stands(self) -> bool:
        """True where no frame differs from the first."""
        same = np.abs(self.rotation - self.rotation[0]).max() < 1e-12
        return bool(same and np.abs(self.focal - self.focal[0]).max() < 1e-9)


def looking(forward: Float, roll: float = 0.0) -> Float:
    """World-to-camera rotation [..., 3, 3] that looks along ``forward`` [..., 3]."""
    z = forward / np.linalg.norm(forward, axis=-1, keepdims=True)
    right = np.cross(z, np.array([0.0, 1.0, 0.0]))
    right = right / np.linalg.norm(right, axis=-1, keepdims=True)
    matrix = np.stack([right, np.cross(z, right), z], -2)
    c, s = np.cos(roll), np.sin(roll)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]) @ matrix


def place_camera(
    body: Float,
    *,
    move: str,
    azimuth_deg: float,
    camera_height_m: float,
    share: float,
    width: int,
    height: int,
    fps: float,
    rng: np.random.Generator,
) -> Camera:
    """A camera that keeps ``body`` [F, N, 3] (metres, world) in the picture throughout.

    ``azimuth_deg`` is where it stands round the subject (0 before it, positive towards the
    subject's left); ``share`` is the height of the body to aim for, as a share of the
    picture's; it gets smaller where the motion needs room. `UsageError` for an unknown move.
    """
    if move not in MOVES:
        raise UsageError(f"unknown camera move {move!r}.", hint="known moves: " + ", ".join(MOVES))
    frames = len(body)
    low, high = body.min((0, 1)), body.max((0, 1))
    middle = (low + high) / 2
    focal = rng.uniform(1.25, 1.9) * height
    tall = float(np.median(body[..., 1].max(1) - body[..., 1].min(1)))
    distance = max(focal * tall / (share * height), 2.2)
    turn = np.radians(azimuth_deg)
    aside = np.array([np.sin(turn), 0.0, np.cos(turn)])
    motion = _Move(move, frames, fps, focal, rng)
    margin = 0.05
    for _ in range(60):
        centre = middle + aside * distance
        centre[1] = camera_height_m
        target = middle.copy()
        target[1] = middle[1] - 0.02 * tall
        camera = motion.camera(centre, target, body, width, height)
        seen = camera.to_camera(body)
        pixels = camera.project(seen)
        inside = (
            seen[..., 2].min() > 0.8
            and pixels[..., 0].min() > margin * width
            and pixels[..., 0].max() < (1 - margin) * width
            and pixels[..., 1].min() > margin * height
            and pixels[..., 1].max() < (1 - margin) * height
        )
        if inside:
            break
        distance *= 1.05
    return camera


class _Move:
    """The seeded course of one move, the same at every distance tried."""

    def __init__(
        self, move: str, frames: int, fps: float, focal: float, rng: np.random.Generator
    ) -> None:
        self.move, self.frames, self.fps, self.focal = move, frames, fps, focal
        self.roll = float(np.radians(rng.normal(0, 0.6)))
        self.pan = np.zeros(frames)
        self.tilt = np.zeros(frames)
        self.zoom = np.ones(frames)
        t = np.arange(frames, dtype=float)
        # Radians a frame. At 640 wide the focal length is 450..680 px: 1.4..3.3 px a frame.
        rate = rng.uniform(1.5, 2.4) * 30 / fps / 500.0
        if move in ("pan", "part"):
            self.pan = _to_and_fro(t, rate, half_width=0.16, rng=rng)
        elif move == "tilt":
            self.tilt = _to_and_fro(t, rate, half_width=0.055, rng=rng)
        elif move == "zoom":
            speed = rng.uniform(0.008, 0.011) * 30 / fps
            self.zoom = np.exp(_to_and_fro(t, speed, half_width=0.16, rng=rng))
        elif move == "mixed":
            self.pan = _to_and_fro(t, rate, half_width=0.16, rng=rng)
            speed = rng.uniform(0.008, 0.011) * 30 / fps
            self.zoom = np.exp(_to_and_fro(t, speed, half_width=0.16, rng=rng))
        elif move == "shake":
            steps = _shake(frames, rng)
            self.pan, self.tilt = steps[:, 0] / 500.0, steps[:, 1] / 500.0
        if move == "part":
            # Moves only in the middle of the clip; before and after it stands.
            first, last = int(0.3 * frames), int(0.7 * frames)
            self.pan = self.pan[np.clip(np.arange(frames), first, last)]

    def camera(self, centre: Float, target: Float, body: Float, width: int, height: int) -> Camera:
        forward = target - centre
        pan0 = np.arctan2(forward[0], forward[2])
        pan = np.full(self.frames, pan0)
        if self.move == "follow":
            place = body.mean(1) - centre
            course = np.unwrap(np.arctan2(place[:, 0], place[:, 2]))
            pan = smooth(course, self.fps * 0.25)
        tilt0 = np.arcsin(forward[1] / np.linalg.norm(forward))
        pan, tilt = pan + self.pan, tilt0 + self.tilt
        direction = np.stack(
            [np.sin(pan) * np.cos(tilt), np.sin(tilt), np.cos(pan) * np.cos(tilt)], -1
        )
        rotation = looking(direction, self.roll)
        return Camera(centre, rotation, self.focal * self.zoom, width, height)


def _to_and_fro(t: Float, rate: float, *, half_width: float, rng: np.random.Generator) -> Float:
    """Constant speed within ±half_width, turning round at the ends at once."""
    start = rng.uniform(-0.6, 0.6) * half_width
    way = rng.choice([-1.0, 1.0])
    course = start * way + rate * t
    folded = np.abs((course + half_width) % (4 * half_width) - 2 * half_width) - half_width
    return way * folded


def _shake(frames: int, rng: np.random.Generator) -> Float:
    """Offsets [F, 2] in pixels of a hand that never holds still: 1.3..4 pixels each frame."""
    place = np.zeros((frames, 2))
    for f in range(1, frames):
        back = np.arctan2(-place[f - 1, 1], -place[f - 1, 0])
        wild = np.exp(-np.linalg.norm(place[f - 1]) / 6.0)
        angle = back + rng.uniform(-np.pi, np.pi) * (0.3 + 0.7 * wild)
        place[f] = place[f - 1] + rng.uniform(1.3, 4.0) * np.array([np.cos(angle), np.sin(angle)])
    return place
