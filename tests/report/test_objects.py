from __future__ import annotations

from collections import Counter

import pytest

from motionkit.report.objects import read_objects, target_of
from tests.report.objects_world import add_objects
from tests.video.mevis_tree import FRAMES


def test_sentences_are_counted_apart_from_what_they_speak_of(factory):
    add_objects(factory, 3)
    found = read_objects(factory.workspace)
    assert (found.sentences, found.named, found.masked, found.tracked) == (10, 9, 9, 9)
    assert (found.objects, found.targets, found.several) == (6, 6, 3)
    assert found.sentences_each == Counter({1: 3, 2: 3})
    assert found.maskless == Counter({"valid": 1})
    assert len(found.clips) == 10 and len(set(found.motions.values())) == 6
    video = FRAMES / 5.0
    assert (found.said_s, found.masked_s, found.tracked_s) == pytest.approx(
        (4 * video, 3 * video, 3 * video)
    )
    assert found.words.sources == Counter({"train": 9, "valid": 1})
    assert found.words.words["squares"] == 3
    assert found.words.repeated[0] == ("the square moving right", 4)


def test_a_workspace_of_people_has_none(factory):
    assert read_objects(factory.workspace) is None
    factory.fill(1)
    assert read_objects(factory.workspace) is None
    about = {"stage": "expressions", "version": 1, "identity": {}}
    factory.workspace.set_current("expressions", "f" * 32, about)
    assert read_objects(factory.workspace) is None


def test_without_tracks_nothing_is_followed(factory):
    add_objects(factory, masked=False)
    found = read_objects(factory.workspace)
    assert found.followed and not found.motions and found.targets == 0
    assert found.maskless == Counter({"train": 6, "valid": 1})


def test_the_order_of_ids_does_not_make_another_target():
    row = {"source_split": "train", "source_video": "a", "object_ids": None}
    one, two = ({**row, "annotation_ids": ids} for ids in ([3, 1], [1, 3, 3]))
    assert target_of(one) == target_of(two) != target_of({**one, "source_video": "b"})
    assert target_of({**row, "annotation_ids": None}) is None
    assert target_of({**row, "annotation_ids": None, "object_ids": [0]}) is not None
