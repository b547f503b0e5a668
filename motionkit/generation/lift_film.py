"""The picture to judge a lifted clip by: the 2D on its video, and the 3D from two sides.

Left, the keypoints on the video's frames (on grey where the video is not at hand); middle, the 3D
motion from where the camera stood, so that it can be compared with the left; right, from the side
at a right angle to it, where wrong depth shows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies.motion import BodyMotion
from motionkit.bodies.render_motion import RenderConfig, draw_motion
from motionkit.errors import InputError
from motionkit.generation.lift_inputs import Film, KeypointClip

Float = NDArray[np.float64]
Frame = NDArray[np.uint8]

HEIGHT = 480
_VIEW_WIDTH = 400
_WIDEST = 720
_GREY = (58, 62, 68)
_INK = (40, 46, 56)
#: Elevation of both views, degrees.
_LIFT_DEG = 8.0


def write_film(clip: KeypointClip, motion: BodyMotion, camera_joints: Float, path: Path) -> str:
    """Writes the .mp4 of a lifted clip; returns a remark, or "" where there is none.

    ``camera_joints`` [F, 24, 3] are the motion in the camera's frame. A video that cannot be read
    is a remark, and the keypoints stand on grey.
    """
    import av

    note = ""
    joints = motion.joints()
    turn = camera_azimuth_deg(joints, camera_joints)
    backs: Iterator[Frame | None]
    crop = person_crop(clip.m2d)
    try:
        backs = _source(clip.film, len(clip.m2d))
        first = next(backs)
    except InputError as error:
        note = f"the video cannot be shown ({error.code}); drawn on grey"
        backs, first = _source(None, len(clip.m2d)), None
        next(backs)
    part = path.with_name(path.name + ".part")
    with av.open(str(part), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream: Any = container.add_stream(
            "libx264", rate=Fraction(clip.fps).limit_denominator(1000)
        )
        left = _left_width(crop)
        stream.width, stream.height = left + 2 * _VIEW_WIDTH, HEIGHT
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "21", "preset": "veryfast", "threads": "1"}
        views = [
            _view(joints, turn, "from the camera"),
            _view(joints, turn + 90.0, "from the side"),
        ]
        back: Frame | None = first
        for index, (one, other) in enumerate(zip(*views, strict=True)):
            if index:
                try:
                    back = next(backs)
                except InputError as error:
                    note = f"the video ends early ({error.code})"
                    backs, back = _source(None, len(clip.m2d)), None
            picture = np.concatenate([_left(clip, index, back, crop, left), one, other], 1)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    os.replace(part, path)  # noqa: PTH105
    return note


def camera_azimuth_deg(world: Float, camera: Float) -> float:
    """Where the camera stood, as `RenderConfig.turn_deg` counts it.

    The turn about the vertical that best maps the camera frame's joints (made y up) onto the
    world's, over all frames of [F, 24, 3].
    """
    up = camera * np.array([1.0, -1.0, -1.0])
    a, b = up - up[:, :1], world - world[:, :1]
    # b = R(angle) a with R about y: x' = x cos + z sin, z' = -x sin + z cos
    cos = (a[..., 0] * b[..., 0] + a[..., 2] * b[..., 2]).sum()
    sin = (a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]).sum()
    # The camera stood at +z of the made-up frame; turn_deg counts towards -x.
    return float(-np.degrees(np.arctan2(sin, cos)))


def person_crop(m2d: NDArray[np.float32], confidence: float = 0.3) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of the part of the picture that holds the person over the whole clip."""
    width, height = (int(v) for v in m2d[0, 17, :2])
    seen = m2d[:, :17, 2] > confidence
    if not seen.any():
        return 0, 0, width, height
    points = m2d[:, :17, :2][seen]
    (x0, y0), (x1, y1) = np.percentile(points, 0.5, axis=0), np.percentile(points, 99.5, axis=0)
    margin = 0.15 * max(y1 - y0, x1 - x0, 40.0)
    x0, y0, x1, y1 = x0 - margin, y0 - margin, x1 + margin, y1 + margin
    tall = max(y1 - y0, 1.0)
    least, most = 0.75 * tall, tall * _WIDEST / HEIGHT
    middle, wide = (x0 + x1) / 2, x1 - x0
    if wide < least:
        x0, x1 = middle - least / 2, middle + least / 2
    elif wide > most:  # wider than the film: lower the scale instead
        grow = wide * HEIGHT / _WIDEST
        y0, y1 = (y0 + y1 - grow) / 2, (y0 + y1 + grow) / 2
    return round(x0), round(y0), round(max(x1, x0 + 8)), round(max(y1, y0 + 8))


def _left_width(crop: tuple[int, int, int, int]) -> int:
    x0, y0, x1, y1 = crop
    wide = round(HEIGHT * (x1 - x0) / (y1 - y0))
    return int(min(_WIDEST, max(240, wide)) // 2 * 2)


def _left(
    clip: KeypointClip, index: int, back: Frame | None, crop: tuple[int, int, int, int], width: int
) -> Frame:
    """The cropped picture with the skeleton on it [HEIGHT, width, 3]."""
    import cv2

    from motionkit.video.draw import draw_skeleton

    x0, y0, x1, y1 = crop
    scale = np.array([width / (x1 - x0), HEIGHT / (y1 - y0)])
    canvas = np.empty((HEIGHT, width, 3), np.uint8)
    canvas[:] = _GREY
    if back is not None:
        shown = clip.m2d[index, 17, :2] / np.array([back.shape[1], back.shape[0]])
        at = np.diag([*(shown * scale), 1.0])[:2]
        at[:, 2] = -np.array([x0, y0]) * scale
        canvas = np.asarray(
            cv2.warpAffine(back, at, (width, HEIGHT), flags=cv2.INTER_AREA, borderValue=_GREY),
            np.uint8,
        )
    points = np.array(clip.m2d[index, :17], np.float64)
    points[:, :2] = (points[:, :2] - (x0, y0)) * scale
    return _titled(draw_skeleton(canvas, points), "2D keypoints", (235, 235, 235))


def _view(joints: Float, turn_deg: float, title: str) -> Iterator[Frame]:
    config = RenderConfig(
        width=_VIEW_WIDTH, height=HEIGHT, turn_deg=turn_deg, lift_deg=_LIFT_DEG, supersample=2
    )
    return draw_motion(joints, title=title, config=config)


def _titled(frame: Frame, title: str, ink: tuple[int, int, int]) -> Frame:
    import cv2

    cv2.putText(frame, title, (20, 34), cv2.FONT_HERSHEY_SIMPLEX, 0.62, ink, 1, cv2.LINE_AA)
    return frame


def _source(film: Film | None, frames: int) -> Iterator[Frame | None]:
    """The video's picture of each frame of the clip, or None for each where there is no video.

    InputError where the video cannot be read or ends early.
    """
    if film is None:
        for _ in range(frames):
            yield None
        return
    from motionkit.video.decode import read_frames

    if not Path(film.path).exists():
        raise InputError("missing-file", f"{film.path} is gone")
    given = 0
    for chunk in read_frames(film.path, decoder=film.decoder, ordinals=film.ordinals):
        for frame in chunk.frames:
            given += 1
            yield frame
    if given < frames:
        raise InputError("frames-missing", f"{film.path} has {given} of {frames} frames")
