from __future__ import annotations

import numpy as np
import pytest

from motionkit.keypoints import INDEX
from motionkit.report.motion import measure, movement, viewpoints


@pytest.mark.parametrize("facing", ["front", "back", "left", "right"])
def test_viewpoint_of_a_drawn_figure(walk_points, facing):
    points = walk_points(10, facing=facing)[:, :17].astype(float)
    assert set(viewpoints(points)) == {facing}


def test_an_unseen_trunk_has_no_viewpoint(walk_points):
    points = walk_points(4)[:, :17].astype(float)
    points[2, INDEX["left_hip"], 2] = 0.2
    assert viewpoints(points).tolist() == ["front", "front", "", "front"]


def test_a_profile_without_a_nose_has_no_viewpoint(walk_points):
    points = walk_points(2, facing="left")[:, :17].astype(float)
    points[0, INDEX["nose"], 2] = 0.1
    assert viewpoints(points).tolist() == ["", "left"]


def test_movement_counts_pairs_seen_in_both_frames():
    points = np.zeros((4, 17, 3))
    points[:, :, 2] = 0.9
    points[:, 0, 0] = [0, 3, 6, 9]
    points[:, 1, 1] = 200
    points[2, 0, 2] = 0.4
    moved, both, height = movement(points)
    assert moved[0] == 3 and both[0] == 1
    assert both[1] == 3 and moved[1] == 0
    assert height == 200


def test_measure_gives_speeds_in_pixels_and_body_heights(factory):
    factory.fill(videos=2, frames=60)
    motion = measure(factory.workspace)
    assert (motion.clips, motion.frames, motion.unclear) == (2, 120, 0)
    assert motion.seconds == pytest.approx(4.0)
    drift = 80 / 59  # pixels a frame: the nose only crosses the picture
    assert motion.speed_px[INDEX["nose"]] == pytest.approx(drift, rel=1e-3)
    height = 0.92 * 150  # from the eyes to the ankles
    assert motion.speed_bh[INDEX["nose"]] == pytest.approx(drift * 30 / height, rel=1e-3)
    assert motion.speed_px[INDEX["left_ankle"]] > 2 * drift
    assert motion.viewpoints == {"front": 60, "left": 60}


def test_a_keypoint_never_seen_has_no_speed(factory, monkeypatch):
    factory.fill(videos=1, frames=60)
    real = factory.workspace.rows

    def rows(table, columns, *, outcome="kept"):
        for row in real(table, columns, outcome=outcome):
            m2d = row["m2d"].copy().reshape(-1, 18, 3)
            m2d[:, INDEX["right_wrist"], 2] = 0
            yield {**row, "m2d": m2d.ravel()}

    monkeypatch.setattr(factory.workspace, "rows", rows)
    speed = measure(factory.workspace).speed_px
    assert np.isnan(speed[INDEX["right_wrist"]]) and np.isfinite(speed).sum() == 16
