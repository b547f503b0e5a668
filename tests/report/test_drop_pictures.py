from __future__ import annotations

import base64

import cv2
import numpy as np

from motionkit.report.drop_pictures import drop_pictures
from motionkit.report.facts import collect


def decode(source):
    data = base64.b64decode(source.split(",")[1])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def examples(factory):
    return [e for d in collect(factory.workspace, examples=4).drops for e in d.examples]


def test_the_middle_frame_is_read_from_the_video(factory):
    factory.fill(videos=2, frames=60)
    found = drop_pictures(factory.workspace, examples(factory))
    assert len(found) == 2
    assert all(decode(source).shape == (270, 360, 3) for source in found.values())


def test_a_stored_thumbnail_stands_in_for_a_lost_video(factory):
    factory.fill(videos=2, frames=60)
    shown = examples(factory)
    for film in factory.path.glob("film *.mp4"):
        film.unlink()
    assert set(drop_pictures(factory.workspace, shown)) == {e.item for e in shown}


def test_a_thumbnail_of_another_shot_does_not_stand_in(factory):
    factory.fill(videos=1, frames=60)
    (example,) = examples(factory)
    (factory.path / "film 0.mp4").unlink()
    elsewhere = type(example)(example.item, example.video_id, 3, 9, 0.2, None, None)
    assert drop_pictures(factory.workspace, [elsewhere]) == {}
