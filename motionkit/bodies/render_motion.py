"""Draws a motion as a video: a skeleton with volume on a floor grid, in 3/4 view.

The person's left is warm, the right cool, so that a viewer can tell the sides at a glance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.skeleton import JOINT, JOINTS, PARENTS

Float = NDArray[np.float64]
Frame = NDArray[np.uint8]

_LEFT, _RIGHT, _MIDDLE = (232, 119, 34), (38, 132, 201), (84, 92, 104)  # RGB
_BACK_TOP, _BACK_BOTTOM = (246, 247, 249), (226, 230, 235)
_GRID, _GRID_STRONG, _INK, _SHADOW = (203, 209, 217), (178, 186, 197), (40, 46, 56), (196, 201, 208)
#: Bone radius in metres by the child joint; what is not named is 0.03.
_THICK = {
    "spine1": 0.07, "spine2": 0.075, "spine3": 0.08, "neck": 0.045, "left_knee": 0.055,
    "right_knee": 0.055, "left_ankle": 0.042, "right_ankle": 0.042, "left_elbow": 0.038,
    "right_elbow": 0.038, "left_hip": 0.06, "right_hip": 0.06, "left_collar": 0.045,
    "right_collar": 0.045, "left_shoulder": 0.042, "right_shoulder": 0.042,
}  # fmt: skip
#: The camera follows somebody who travels further than this over the floor, metres.
_FOLLOW_M = 1.2
_SUB = 4  # bits of sub-pixel positions in OpenCV's drawing calls


@dataclass(frozen=True, kw_only=True)
class RenderConfig:
    """Size and view of the video."""

    width: int = 640
    height: int = 480
    turn_deg: float = 28.0
    """The camera stands this far to the person's right of straight ahead."""
    lift_deg: float = 14.0
    """How far it looks down."""
    supersample: int = 2


class _Camera:
    """Looks at the middle of ``joints`` from far enough to see all of them; may be moved."""

    def __init__(self, joints: Float, config: RenderConfig) -> None:
        turn, lift = np.radians(config.turn_deg), np.radians(config.lift_deg)
        low, high = joints.reshape(-1, 3).min(0), joints.reshape(-1, 3).max(0)
        self.target = (low + high) / 2
        self.target[1] = max(0.85, (high[1] + 0.0) / 2)
        away = np.array([-np.sin(turn) * np.cos(lift), np.sin(lift), np.cos(turn) * np.cos(lift)])
        right = np.cross([0.0, 1.0, 0.0], away)
        right /= np.linalg.norm(right)
        self.axes = np.stack([right, -np.cross(away, right), -away])  # x right, y down, z away
        scale = config.supersample
        self.size = (config.width * scale, config.height * scale)
        self.focal = 1.5 * self.size[1]
        corners = np.stack(np.meshgrid(*zip(low, high, strict=True)), -1).reshape(-1, 3)
        for distance in np.arange(3.4, 30, 0.1):
            self.eye = self.target + away * distance
            pixels, _ = self.project(corners)
            margin = 0.09 * self.size[1]
            inside = (pixels > margin) & (pixels < np.array(self.size) - margin)
            if inside.all():
                break
        self._start = self.eye, self.target

    def move_to(self, place: Float) -> None:
        """Stand ``place`` [3] metres away from where the camera was fitted."""
        self.eye, self.target = (point + place for point in self._start)

    def project(self, points: Float) -> tuple[Float, Float]:
        """Pixels [N, 2] and depth [N] of world points [N, 3]."""
        seen = (points - self.eye) @ self.axes.T
        depth = np.maximum(seen[:, 2], 0.05)
        return self.focal * seen[:, :2] / depth[:, None] + np.array(self.size) / 2, depth


def draw_motion(
    joints: Float, *, title: str = "", config: RenderConfig | None = None
) -> Iterator[Frame]:
    """Frames [H, W, 3] RGB of joints [F, 24, 3] (world: metres, y up, floor at 0)."""
    import cv2

    config = config or RenderConfig()
    way = _way(joints)
    camera = _Camera(joints - way[:, None], config)
    ground = _ground(joints, camera, config)
    path = joints[:, 0] * np.array([1, 0, 1])
    for f, frame in enumerate(joints):
        if way[f].any():
            camera.move_to(way[f])
            ground = _ground(joints, camera, config)
        canvas = ground.copy()
        _trail(canvas, camera, path[: f + 1])
        _figure(canvas, camera, frame)
        small = cv2.resize(canvas, (config.width, config.height), interpolation=cv2.INTER_AREA)
        _text(small, title, f, len(joints))
        yield small


def _way(joints: Float) -> Float:
    """Where the camera goes [F, 3], metres: with the person's way over the floor, smoothed, where
    it is long; else it stands still, and all is 0."""
    from scipy.ndimage import gaussian_filter1d

    flat = joints[:, 0] * np.array([1.0, 0.0, 1.0])
    if np.ptp(flat, axis=0).max() < _FOLLOW_M:
        return np.zeros_like(flat)
    return gaussian_filter1d(flat, 8.0, axis=0, mode="nearest")


def _fixed(point: Float) -> tuple[int, int]:
    x, y = np.clip(point, -1e6, 1e6) * (1 << _SUB)
    return round(float(x)), round(float(y))


def _ground(joints: Float, camera: _Camera, config: RenderConfig) -> Frame:
    """The backdrop and the floor's grid: half-metre squares that fade with distance."""
    import cv2

    width, height = camera.size
    share = np.linspace(0, 1, height)[:, None, None]
    canvas = (np.array(_BACK_TOP) * (1 - share) + np.array(_BACK_BOTTOM) * share) * np.ones(
        (1, width, 1)
    )
    out = canvas.astype(np.uint8)
    middle = np.round(camera.target)  # whole metres: the strong lines stay where they are
    reach = 6.0
    lines = []
    for k in np.arange(-reach, reach + 0.1, 0.5):
        for a, b in (([k, -reach], [k, reach]), ([-reach, k], [reach, k])):
            steps = np.linspace(0, 1, 25)[:, None]
            flat = np.array(a) * (1 - steps) + np.array(b) * steps + middle[[0, 2]]
            lines.append((np.insert(flat, 1, 0.0, axis=1), abs(k % 1) < 1e-9))
    for line, strong in lines:
        pixels, depth = camera.project(line)
        for i in range(len(line) - 1):
            if depth[i] < 0.2 or depth[i + 1] < 0.2:
                continue
            far = float(np.linalg.norm(line[i, [0, 2]] - camera.target[[0, 2]])) / reach
            base = np.array(_GRID_STRONG if strong else _GRID, float)
            back = out[min(height - 1, max(0, int(pixels[i, 1]))), 0].astype(float)
            color = base * (1 - min(1.0, far)) + back * min(1.0, far)
            cv2.line(out, _fixed(pixels[i]), _fixed(pixels[i + 1]), color.tolist(),
                     config.supersample, cv2.LINE_AA, _SUB)  # fmt: skip
    return out


def _trail(canvas: Frame, camera: _Camera, path: Float) -> None:
    """Where the pelvis has been, on the floor."""
    import cv2

    pixels, _ = camera.project(path)
    points = np.round(pixels * (1 << _SUB)).astype(np.int32)
    cv2.polylines(canvas, [points[:, None]], False, (150, 160, 174), 4, cv2.LINE_AA, _SUB)


def _color(name: str) -> tuple[int, int, int]:
    return _LEFT if name.startswith("left") else _RIGHT if name.startswith("right") else _MIDDLE


def _figure(canvas: Frame, camera: _Camera, joints: Float) -> None:
    """Shadow, then bones as tapered capsules, the far ones first, then the head."""
    import cv2

    pixels, depth = camera.project(joints)
    floor, _ = camera.project(joints * np.array([1, 0, 1]))
    bones = [(j, p) for j, p in enumerate(PARENTS) if p >= 0]
    for j, p in bones:
        width = max(2, round(1.6 * camera.focal * 0.04 / float(depth[j])))
        cv2.line(canvas, _fixed(floor[p]), _fixed(floor[j]), _SHADOW, width, cv2.LINE_AA, _SUB)
    head = JOINT["head"]
    parts: list[tuple[float, int, int]] = [(float(depth[j] + depth[p]) / 2, j, p) for j, p in bones]
    parts.append((float(depth[head]) - 0.02, head, -1))
    for far, j, p in sorted(parts, reverse=True):
        light = float(np.clip(1.12 - 0.35 * (far - depth.min()), 0.72, 1.06))
        color = tuple(int(min(255, c * light)) for c in _color(JOINTS[j]))
        if p < 0:
            up = joints[head] - joints[JOINT["neck"]]
            centre = joints[head] + up * 0.6 / max(1e-6, float(np.linalg.norm(up))) * 0.12
            at, d = camera.project(centre[None])
            radius = camera.focal * 0.105 / float(d[0])
            _ball(canvas, at[0], radius, color)
            continue
        thick = camera.focal * _THICK.get(JOINTS[j], 0.03) / np.array([depth[p], depth[j]])
        _capsule(canvas, pixels[p], pixels[j], float(thick[0]), float(thick[1]) * 0.85, color)


def _ball(canvas: Frame, at: Float, radius: float, color: tuple[int, ...]) -> None:
    import cv2

    edge = tuple(int(c * 0.72) for c in color)
    cv2.circle(canvas, _fixed(at), round((radius + 1.5) * 16), edge, -1, cv2.LINE_AA, _SUB)
    cv2.circle(canvas, _fixed(at), round(radius * 16), color, -1, cv2.LINE_AA, _SUB)


def _capsule(
    canvas: Frame, a: Float, b: Float, ra: float, rb: float, color: tuple[int, ...]
) -> None:
    """A tapered limb with a darker rim, so that crossing limbs stay readable."""
    import cv2

    along = b - a
    length = float(np.linalg.norm(along))
    side = np.array([-along[1], along[0]]) / max(length, 1e-6)
    for grow, tone in ((1.5, 0.72), (0.0, 1.0)):
        shade = tuple(int(c * tone) for c in color)
        outline = np.stack([a + side * (ra + grow), b + side * (rb + grow),
                            b - side * (rb + grow), a - side * (ra + grow)])  # fmt: skip
        points = np.round(outline * (1 << _SUB)).astype(np.int32)
        cv2.fillConvexPoly(canvas, points, shade, cv2.LINE_AA, _SUB)
        cv2.circle(canvas, _fixed(a), round((ra + grow) * 16), shade, -1, cv2.LINE_AA, _SUB)
        cv2.circle(canvas, _fixed(b), round((rb + grow) * 16), shade, -1, cv2.LINE_AA, _SUB)


def _text(frame: Frame, title: str, index: int, count: int) -> None:
    """The title at the top, a thin progress bar at the bottom."""
    import cv2

    height, width = frame.shape[:2]
    printable = title.encode("ascii", "replace").decode()  # OpenCV's font has no more than ASCII
    font: Any = cv2.FONT_HERSHEY_SIMPLEX
    scale = 0.62
    while scale > 0.3 and cv2.getTextSize(printable, font, scale, 1)[0][0] > width - 40:
        scale -= 0.04
    cv2.putText(frame, printable, (20, 34), font, scale, _INK, 1, cv2.LINE_AA)
    done = round((width - 40) * (index + 1) / max(1, count))
    cv2.rectangle(frame, (20, height - 14), (width - 20, height - 12), (208, 213, 220), -1)
    cv2.rectangle(frame, (20, height - 14), (20 + done, height - 12), (110, 122, 138), -1)


def write_mp4(
    joints: Float,
    path: Path,
    *,
    fps: float,
    title: str = "",
    config: RenderConfig | None = None,
) -> None:
    """An H.264 .mp4 of joints [F, 24, 3] that browsers play; appears only when complete."""
    import av

    config = config or RenderConfig()
    part = path.with_name(path.name + ".part")
    with av.open(str(part), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream: Any = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
        stream.width, stream.height, stream.pix_fmt = config.width, config.height, "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast", "threads": "1"}
        for frame in draw_motion(joints, title=title, config=config):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            for packet in stream.encode(picture):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    part.replace(path)
