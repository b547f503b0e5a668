"""Overlays: where the ink goes, and that frames given stay as they were."""

import numpy as np
import pytest

from motionkit.video.draw import (
    LEFT,
    RIGHT,
    contact_sheet,
    draw_box,
    draw_skeleton,
    draw_tracks,
    fit,
)

GREY = np.full((200, 300, 3), 100, np.uint8)


def skeleton() -> np.ndarray:
    points = np.ones((17, 3))
    points[:, 0] = np.where(np.arange(17) % 2, 200, 100)
    points[:, 1] = np.linspace(20, 180, 17)
    return points


def test_left_and_right_limbs_have_their_colours() -> None:
    points = skeleton()
    frame = draw_skeleton(GREY, points)
    elbow, wrist = points[7, :2], points[9, :2]  # left forearm
    x, y = (elbow + wrist) / 2
    assert frame[round(y), round(x)] == pytest.approx(LEFT, abs=4)
    elbow, wrist = points[8, :2], points[10, :2]
    x, y = (elbow + wrist) / 2
    assert frame[round(y), round(x)] == pytest.approx(RIGHT, abs=4)
    assert (GREY == 100).all()


def test_unseen_points_are_not_drawn() -> None:
    points = skeleton()
    points[:, 2] = 0.2
    assert (draw_skeleton(GREY, points, 0.3) == 100).all()
    points[:, :2] = np.nan
    points[:, 2] = 1.0
    assert (draw_skeleton(GREY, points) == 100).all()


def test_far_away_points_do_no_harm() -> None:
    points = skeleton()
    points[9, :2] = 1e7, -1e7
    assert draw_skeleton(GREY, points).shape == GREY.shape


def test_a_box_of_zeros_is_nobody() -> None:
    assert (draw_box(GREY, np.zeros(4)) == 100).all()
    framed = draw_box(GREY, [50, 50, 120, 150], label="person")
    assert (framed[100, 50] != 100).any()
    assert (framed[100, 80] == 100).all()


def test_trails_fade_and_hidden_points_vanish() -> None:
    path = np.stack([np.linspace(20, 280, 14), np.full(14, 60.0)], 1)[:, None]
    both = np.concatenate([path, path + np.array([0.0, 80.0])], 1)
    visible = np.ones((14, 2), bool)
    visible[:, 1] = False
    frame = draw_tracks(GREY, both, visible).astype(int)
    old, new = frame[60, 40, 1] - 100, frame[60, 260, 1] - 100
    assert 0 < old < new
    assert (frame[140] == 100).all()


def test_contact_sheets_hold_every_frame() -> None:
    frames = [np.full((90, 160, 3), 40 * i, np.uint8) for i in range(1, 6)]
    sheet = contact_sheet(frames, columns=3, cell_width=80, gap=4)
    assert sheet.shape == (2 * 49 + 4, 3 * 84 + 4, 3)
    assert sheet[30, 44].tolist() == [40] * 3
    assert sheet[75, 44 + 84].tolist() == [200] * 3
    with pytest.raises(ValueError):
        contact_sheet([])
    with pytest.raises(ValueError):
        contact_sheet(frames, labels=["one"])


def test_fit_keeps_the_shape() -> None:
    assert fit(GREY, 100, 100).shape == (67, 100, 3)
