"""The `track` stage on the objects of expressions, in folders of frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.errors import InputError, UsageError
from motionkit.records import TABLES
from motionkit.stage import Dropped, Kept, Outcome
from motionkit.stages.expressions import Expressions
from motionkit.stages.track import Track
from motionkit.video.frame_folder import describe_folder
from tests.stages.fake_tables import FakeTables
from tests.video.mevis_tree import FRAMES, object_mask, write_split


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> FakeTables:
    """Videos and expressions of one split with one video: object 0, and both objects."""
    split = write_split(tmp_path_factory.mktemp("mevis"), videos=("walk",))
    video = {"item_id": "v", **describe_folder(split / "JPEGImages" / "walk", fps=4.0)}
    stage, rows = Expressions(), []
    for item in stage.items(FakeTables(videos=[video])):
        outcome = stage.process(item)
        assert isinstance(outcome, Kept)
        rows.append({"item_id": item.id, "stamp": item.stamp, **outcome.row})
    return FakeTables(videos=[video], expressions=rows)


def changed(found: FakeTables, **values: Any) -> FakeTables:
    """The first expression alone, with other values."""
    row = {**found.tables["expressions"][0], **values}
    return FakeTables(videos=found.tables["videos"], expressions=[row])


def run(stage: Track, found: FakeTables) -> list[Outcome]:
    items = list(stage.items(found))
    assert [(item.id, item.stamp) for item in items] == list(stage.ids(found))
    stage.setup()
    return [stage.process(item) for item in items]


def test_points_lie_in_the_mask_and_move_with_the_object(found: FakeTables) -> None:
    outcome = run(Track(grid=4), found)[0]
    assert isinstance(outcome, Kept)
    row = outcome.row
    assert set(row) == set(TABLES["tracks"].names)
    assert (row["frames"], row["fps"], row["mask_source"]) == (FRAMES, 4.0, "expression")
    assert row["clip_id"] == found.tables["expressions"][0]["clip_id"]
    assert row["ordinals"].tolist() == list(range(FRAMES))
    x, y = row["points"][0].T.round().astype(int)
    assert object_mask(0, 0)[y, x].all()
    moved = np.median(row["points"][3] - row["points"][0], axis=0)
    np.testing.assert_allclose(moved, [12, 3], atol=1.5)


def test_both_objects_carry_points(found: FakeTables) -> None:
    outcome = run(Track(grid=6), found)[1]
    assert isinstance(outcome, Kept)
    x, y = outcome.row["points"][0].T.round().astype(int)
    assert object_mask(0, 0)[y, x].all()  # the second is not seen before frame 2


def test_tracking_starts_at_the_first_frame_with_a_mask(found: FakeTables) -> None:
    masks = list(found.tables["expressions"][0]["masks"])
    outcome = run(Track(grid=3, frames=4), changed(found, masks=[None, None, *masks[2:]]))[0]
    assert isinstance(outcome, Kept)
    assert outcome.row["ordinals"].tolist() == [2, 3, 4, 5]
    x, y = outcome.row["points"][0].T.round().astype(int)
    assert object_mask(0, 2)[y, x].all()


@pytest.mark.parametrize("masks", [None, [None] * FRAMES])
def test_expressions_without_masks_are_dropped(found: FakeTables, masks: Any) -> None:
    assert run(Track(), changed(found, masks=masks)) == [Dropped("no-mask")]


def test_a_mask_smaller_than_the_grid_is_dropped_with_its_size(found: FakeTables) -> None:
    (outcome,) = run(Track(grid=25), changed(found))
    assert outcome == Dropped("mask-too-small", measured=24 * 24, threshold=625)


def test_damaged_masks_and_missing_videos_fail_alone(found: FakeTables) -> None:
    masks = ["!", *list(found.tables["expressions"][0]["masks"])[1:]]
    with pytest.raises(InputError) as caught:
        run(Track(), changed(found, masks=masks))
    assert caught.value.code == "mask-unreadable"
    with pytest.raises(InputError) as caught:
        run(Track(), changed(found, video_id="gone"))
    assert caught.value.code == "video-missing"


def test_the_stamp_is_that_of_the_expression(found: FakeTables) -> None:
    before, after = (next(Track().ids(t)) for t in (changed(found), changed(found, stamp="x")))
    assert before[0] == after[0]
    assert before[1] != after[1]


def test_only_wanted_clips_are_read(found: FakeTables) -> None:
    second = found.tables["expressions"][1]["clip_id"]
    assert [item.id for item in Track().items(found, frozenset({second}))] == [second]


def test_keypoints_are_asked_for_where_nothing_has_run(found: FakeTables) -> None:
    assert Track().identity(found)["keypoints"] is None
    with pytest.raises(UsageError):
        Track().identity(FakeTables(videos=[]))


def test_the_same_input_gives_the_same_bytes(found: FakeTables, tmp_path: Path) -> None:
    first, second = (run(Track(grid=4), found)[1] for _ in range(2))
    assert isinstance(first, Kept) and isinstance(second, Kept)
    assert first.row["points"].tobytes() == second.row["points"].tobytes()


def test_expressions_that_start_from_the_same_points_are_followed_once(
    found: FakeTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, calls = Track(grid=4), []
    track = stage.tracker.track

    def counted(_: Any, frames: Any, queries: np.ndarray) -> Any:
        calls.append(len(queries))
        return track(frames, queries)

    monkeypatch.setattr(type(stage.tracker), "track", counted)
    first, second = run(stage, found)  # object 1 is not seen at first: both mean object 0
    assert calls == [16]
    assert isinstance(first, Kept) and isinstance(second, Kept)
    assert np.array_equal(first.row["points"], second.row["points"])
    assert first.row["clip_id"] != second.row["clip_id"]
