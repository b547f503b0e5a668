from __future__ import annotations

import base64
import shutil

import cv2
import numpy as np

from motionkit.report.object_pictures import object_sheets
from motionkit.report.objects import read_objects
from tests.report.objects_world import add_objects


def sheets(factory, count=8):
    return list(object_sheets(factory.workspace, read_objects(factory.workspace).motions, count))


def decoded(tile):
    data = np.frombuffer(base64.b64decode(tile.source.split(",")[1]), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def near(picture, rgb):
    return int((np.abs(picture[..., ::-1].astype(int) - rgb).max(axis=2) < 60).sum())


def test_frames_show_the_mask_and_the_tracks_with_all_that_is_said(factory):
    add_objects(factory)
    found = sheets(factory)
    assert len(found) == 4 and all(not s.problem and len(s.tiles) == 4 for s in found)
    assert sorted(len(s.captions) for s in found) == [1, 1, 2, 2]
    two = next(s for s in found if len(s.captions) == 2)
    assert two.captions == [
        ("it slides to the right", "train"),
        ("the square moving right", "train"),
    ]
    picture = decoded(two.tiles[-1])
    assert picture.shape == (300, 450, 3)
    assert near(picture, (255, 90, 200)) > 100 and near(picture, (0, 225, 225)) > 100
    assert [round(t.time_s, 1) for t in two.tiles] == [0.0, 0.4, 1.0, 1.4]


def test_the_choice_is_spread_over_the_videos_and_bounded(factory):
    add_objects(factory, 3)
    first = sheets(factory, 3)
    assert len({s.video_id for s in first}) == 3
    assert first == sheets(factory, 3)
    assert sheets(factory, 0) == []


def test_frames_that_are_gone_are_said(factory):
    add_objects(factory, 1)
    shutil.rmtree(factory.path / "train")
    assert all(s.problem and not s.tiles for s in sheets(factory))


def test_times_are_those_that_ingest_took(factory):
    add_objects(factory, 1, rate=20.0)
    assert [round(t.time_s, 2) for t in sheets(factory)[0].tiles] == [0.0, 0.1, 0.25, 0.35]
