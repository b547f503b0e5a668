"""Cameras: geometry, framing, and the truth about background motion."""

from __future__ import annotations

import numpy as np
import pytest

from motionkit.errors import UsageError
from motionkit.synth.camera import MOVES, MOVING_PX, Camera, looking, place_camera
from motionkit.synth.motions import motion


def camera_for(move: str, *, azimuth: float = 0.0, kind: str = "squat", seed: int = 0) -> Camera:
    body, _ = motion(kind, seed=1).joints()
    return place_camera(
        body,
        move=move,
        azimuth_deg=azimuth,
        camera_height_m=1.3,
        share=0.6,
        width=640,
        height=360,
        fps=30,
        rng=np.random.default_rng(seed),
    )


def test_camera_frame_is_x_right_y_down_z_forward() -> None:
    rotation = looking(np.array([0.0, 0.0, -1.0]))  # before the person, looking at them
    left, up, ahead = rotation @ np.eye(3)
    seen = rotation @ np.array([1.0, 2.0, -3.0])
    assert np.allclose(seen, [1.0, -2.0, 3.0])
    assert np.isclose(np.linalg.det(rotation), 1)
    assert left.shape == up.shape == ahead.shape == (3,)


def test_a_person_who_faces_the_camera_has_the_left_hand_on_the_right_of_the_picture() -> None:
    body, _ = motion("look_around", seed=1).joints()
    front, back = (camera_for("still", azimuth=a, kind="look_around") for a in (0, 180))
    for camera, sign in ((front, 1), (back, -1)):
        pixels = camera.project(camera.to_camera(body))
        assert (sign * (pixels[:, 20, 0] - pixels[:, 21, 0]) > 20).all()


@pytest.mark.parametrize("move", MOVES)
def test_the_body_stays_in_the_picture(move: str) -> None:
    kind = "walk" if move == "follow" else "squat"
    body, _ = motion(kind, seed=1).joints()
    camera = camera_for(move, azimuth=70, kind=kind)
    pixels = camera.project(camera.to_camera(body))
    assert pixels.min() > 0
    assert (pixels < [640, 360]).all()


def test_a_still_camera_does_not_move_and_the_others_do() -> None:
    assert camera_for("still").stands
    assert camera_for("still").shifts().max() == 0
    for move in ("pan", "tilt", "zoom", "shake"):
        shifts = camera_for(move).shifts()
        assert shifts[0] == 0
        assert np.mean(shifts[1:] > 1.0) > 0.95
    part = camera_for("part").shifts() > MOVING_PX
    assert 0.3 < part.mean() < 0.5
    assert not part[:30].any() and not part[-30:].any()


def test_shift_is_the_mean_displacement_of_still_points() -> None:
    camera = camera_for("pan")
    rng = np.random.default_rng(0)
    # Far points all over the picture of frame 10, seen in frame 11.
    pixels = rng.uniform([0, 0], [640, 360], (4000, 2))
    rays = (
        np.concatenate([pixels, np.ones((4000, 1))], 1) @ np.linalg.inv(camera.intrinsics()[10]).T
    )
    world = camera.centre + 7.0 * rays @ camera.rotation[10]
    later = Camera(camera.centre, camera.rotation[11:12], camera.focal[11:12], 640, 360)
    moved = later.project(later.to_camera(world[None]))[0]
    mean = np.linalg.norm(moved - pixels, axis=-1).mean()
    assert camera.shifts()[11] == pytest.approx(mean, rel=0.05)


def test_unknown_moves_are_refused() -> None:
    with pytest.raises(UsageError):
        camera_for("fly")
