"""Lucas–Kanade tracks on moving textures whose motion is known."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from motionkit.backends.lucas_kanade import LucasKanade
from motionkit.errors import InputError

SIZE = (160, 240)


def texture(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, (*size, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return np.clip(127 + 45 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def moving(dx: float, dy: float, frames: int, seed: int = 0) -> np.ndarray:
    picture = texture(seed)
    out = []
    for t in range(frames):
        shift = np.float32([[1, 0, dx * t], [0, 1, dy * t]])
        out.append(cv2.warpAffine(picture, shift, SIZE[::-1], borderMode=cv2.BORDER_REFLECT))
    return np.stack(out)


def grid_queries(t: int = 0) -> np.ndarray:
    x, y = np.meshgrid(np.linspace(60, 180, 5), np.linspace(50, 110, 4))
    return np.stack([np.full(20, t), x.ravel(), y.ravel()], 1).astype(np.float32)


def test_follows_a_moving_texture_to_a_tenth_of_a_pixel() -> None:
    queries = grid_queries()
    tracks = LucasKanade().track(moving(1.7, -0.8, 12), queries)
    truth = queries[None, :, 1:] + np.arange(12)[:, None, None] * np.array([1.7, -0.8])
    assert tracks.points.shape == (12, 20, 2)
    assert tracks.points.dtype == np.float32
    assert np.abs(tracks.points - truth).max() < 0.3
    assert np.abs(tracks.points - truth).mean() < 0.1
    assert tracks.visible.all()
    assert tracks.confidence.min() > 0.8


def test_the_first_frame_holds_the_queries_exactly() -> None:
    queries = grid_queries()
    tracks = LucasKanade().track(moving(1, 1, 3), queries)
    assert (tracks.points[0] == queries[:, 1:]).all()
    assert (tracks.confidence[0] == 1).all()


def test_points_behind_something_are_invisible_and_found_again() -> None:
    frames = moving(1.0, 0.0, 24).copy()
    hidden = range(8, 14)
    for t in hidden:  # a striped board covers the left half of the points
        frames[t, :, :125] = texture(99)[:, :125] if t % 2 else texture(77)[:, :125]
    queries = grid_queries()
    tracks = LucasKanade().track(frames, queries)
    covered = queries[:, 1] < 100
    truth = queries[None, :, 1:] + np.arange(24)[:, None, None] * np.array([1.0, 0.0])
    assert not tracks.visible[8:14][:, covered].any()
    assert (tracks.confidence[8:14][:, covered] == 0).all()
    assert tracks.visible[:, queries[:, 1] > 140].all()
    # Hidden points move on with their neighbours, and are found where they come out.
    assert np.abs(tracks.points[13, covered] - truth[13, covered]).max() < 2.0
    assert tracks.visible[-1, covered].mean() > 0.8
    back = tracks.visible[-1]
    assert np.abs(tracks.points[-1, back] - truth[-1, back]).max() < 1.5


def test_points_that_leave_the_frame_are_invisible() -> None:
    tracks = LucasKanade().track(moving(9.0, 0.0, 14), grid_queries())
    out = tracks.points[..., 0] > SIZE[1] - 1
    assert out[-1].any()
    assert not tracks.visible[out].any()
    assert (tracks.confidence[~tracks.visible] == 0).all()


def test_a_point_waits_invisible_for_its_query_frame() -> None:
    queries = grid_queries()
    queries[0, 0] = 4
    tracks = LucasKanade().track(moving(1.5, 0.0, 8), queries)
    assert not tracks.visible[:4, 0].any()
    assert tracks.visible[4:, 0].all()
    assert (tracks.points[:5, 0] == queries[0, 1:]).all()
    assert np.allclose(tracks.points[7, 0], queries[0, 1:] + [4.5, 0], atol=0.3)


def test_frames_are_taken_one_at_a_time() -> None:
    frames = moving(1.0, 0.5, 6)
    taken = []

    def one_by_one() -> Iterator[np.ndarray]:
        for t, frame in enumerate(frames):
            taken.append(t)
            yield frame

    tracks = LucasKanade().track(one_by_one(), grid_queries())
    assert taken == list(range(6))
    whole = LucasKanade().track(frames, grid_queries())
    assert (tracks.points == whole.points).all()
    assert (tracks.confidence == whole.confidence).all()


def test_a_plain_picture_gives_no_certainty() -> None:
    plain = np.full((5, *SIZE, 3), 120, np.uint8)
    tracks = LucasKanade().track(plain, grid_queries())
    assert not tracks.visible[1:].any()


def test_a_turning_disc_is_followed_without_drift() -> None:
    """12 degrees a frame, over a ground that stands still."""
    ground, skin = texture(1), texture(2)
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    on_disc = (x - 120) ** 2 + (y - 80) ** 2 < 55**2
    frames = []
    for t in range(25):
        turn = cv2.getRotationMatrix2D((120, 80), -12.0 * t, 1.0)
        frame = ground.copy()
        frame[on_disc] = cv2.warpAffine(skin, turn, SIZE[::-1])[on_disc]
        frames.append(frame)
    queries = grid_queries()
    keep = np.linalg.norm(queries[:, 1:] - [120, 80], axis=1) < 48
    tracks = LucasKanade().track(np.stack(frames), queries[keep])
    angle = np.radians(12.0 * 24)
    c, s = np.cos(angle), np.sin(angle)
    truth = (queries[keep, 1:] - [120, 80]) @ np.array([[c, s], [-s, c]]) + [120, 80]
    assert np.linalg.norm(tracks.points[-1] - truth, axis=1).mean() < 0.5
    assert tracks.visible.mean() > 0.95


def test_a_sudden_jump_is_caught() -> None:
    """The first steps are 15 pixels, a tenth of the height, before any motion is known."""
    frames = []
    skin = texture(2)
    for t in range(4):
        frame = texture(1)
        frame[50:110, 20 + 15 * t : 90 + 15 * t] = skin[50:110, :70]
        frames.append(frame)
    x, y = np.meshgrid(np.linspace(30, 80, 5), np.linspace(60, 100, 4))
    queries = np.stack([np.zeros(20), x.ravel(), y.ravel()], 1).astype(np.float32)
    tracks = LucasKanade().track(np.stack(frames), queries)
    truth = queries[:, 1:] + [45, 0]
    assert np.linalg.norm(tracks.points[-1] - truth, axis=1).mean() < 0.5
    assert tracks.visible[-1].mean() > 0.9


def test_no_frames_and_wrong_queries_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        LucasKanade().track([], grid_queries())
    assert caught.value.code == "no-frames"
    with pytest.raises(ValueError, match="outside the frame"):
        LucasKanade().track(moving(0, 0, 2), np.array([[0.0, 999.0, 5.0]]))
    with pytest.raises(ValueError, match="names a frame outside"):
        LucasKanade().track(moving(0, 0, 2), grid_queries(5))
    with pytest.raises(ValueError, match=r"\[N, 3\]"):
        LucasKanade().track(moving(0, 0, 2), np.zeros((4, 2)))
