from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from motionkit.bodies.render_motion import RenderConfig, draw_motion, write_mp4
from motionkit.bodies.skeleton import forward_kinematics

SMALL = RenderConfig(width=160, height=120)


def standing(frames: int = 3) -> np.ndarray:
    turns = np.tile(np.eye(3), (frames, 24, 1, 1))
    joints, _ = forward_kinematics(turns, np.tile([0.0, 1.17, 0.0], (frames, 1)))
    return joints


def place(frame: np.ndarray, rgb: tuple[int, int, int]) -> float:
    """Mean column of the pixels near a colour."""
    near = (np.abs(frame.astype(int) - np.array(rgb)) < 45).all(-1)
    assert near.sum() > 20
    return float(near.nonzero()[1].mean())


def test_left_is_warm_and_on_the_viewers_right() -> None:
    pytest.importorskip("cv2")
    frame = next(draw_motion(standing(), title="t", config=SMALL))
    assert frame.shape == (120, 160, 3) and frame.dtype == np.uint8
    assert place(frame, (232, 119, 34)) > place(frame, (38, 132, 201))


def test_the_film_has_every_frame_at_the_motions_rate(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "m.mp4"
    write_mp4(standing(7), path, fps=30.0, title="a person stands – ünïcode", config=SMALL)
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        assert (stream.width, stream.height) == (160, 120)
        assert stream.average_rate == Fraction(30)
        assert sum(1 for _ in film.decode(video=0)) == 7
    assert [p.name for p in tmp_path.iterdir()] == ["m.mp4"]


def figure_height(frame: np.ndarray) -> int:
    """Rows with strongly coloured pixels: the limbs."""
    return int((np.ptp(frame.astype(int), axis=2) > 60).any(1).sum())


def test_the_camera_follows_a_long_way() -> None:
    joints = standing(40)
    joints[:, :, 2] += np.linspace(0, 8, 40)[:, None]
    heights = [figure_height(frame) for frame in draw_motion(joints, config=SMALL)]
    assert min(heights) > 0.3 * SMALL.height
    assert max(heights) < 1.45 * min(heights)


def test_the_camera_stands_still_for_a_short_way() -> None:
    joints = standing(6)
    joints[:, :, 0] += np.linspace(0, 0.5, 6)[:, None]
    corners = [frame[80:105, :15] for frame in draw_motion(joints, config=SMALL)]
    assert all((corner == corners[0]).all() for corner in corners)
