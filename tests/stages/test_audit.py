"""The `audit` stage on small tables in memory."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from motionkit.errors import UsageError
from motionkit.mirror import mirrored_text
from motionkit.records import FLAG, TABLES
from motionkit.shards.audited import text_mark as shards_mark
from motionkit.stage import Kept, Tables
from motionkit.stages.audit import CODES, SEVERITIES, Audit, text_mark
from tests.stages import audit_poses as poses
from tests.stages.fake_tables import FakeTables


def tables(*texts: str, m2d: np.ndarray | None = None, clips: int = 1) -> FakeTables:
    """Clips of as many videos, each with all of the texts."""
    m2d = poses.standing() if m2d is None else m2d
    ids = [{"item_id": f"c{k}", "clip_id": f"c{k}", "video_id": f"v{k}"} for k in range(clips)]
    captions = [{"text": t, "source": "sidecar", "detail": "{}"} for t in texts]
    return FakeTables(
        captions=[{**id_, "captions": captions} for id_ in ids],
        keypoints=[{**id_, "fps": 30.0, "m2d": m2d.ravel()} for id_ in ids],
    )


def rows(found: Tables, stage: Audit | None = None) -> list[dict[str, Any]]:
    stage = stage or Audit()
    kept = [stage.process(item) for item in stage.items(found)]
    assert all(isinstance(outcome, Kept) for outcome in kept)
    for outcome in kept:
        assert set(outcome.row) == set(TABLES["audits"].names)
        for flag in outcome.row["flags"]:
            assert set(flag) == {field.name for field in FLAG}
            assert flag["code"] in CODES and json.loads(flag["detail"])["text"]
    return [outcome.row for outcome in kept]


def codes(*texts: str, m2d: np.ndarray | None = None, stage: Audit | None = None) -> list[str]:
    return [flag["code"] for flag in rows(tables(*texts, m2d=m2d), stage)[0]["flags"]]


def test_a_clip_without_flags_has_a_row() -> None:
    (row,) = rows(tables("a person stands in place"))
    assert row == {"video_id": "v0", "clip_id": "c0", "captions": 1, "flags": []}


def test_a_flag_says_which_caption_and_text_it_is_about() -> None:
    (row,) = rows(tables("a person stands in place", "jumps"))
    (flag,) = [f for f in row["flags"] if f["code"] == "few-words"]
    assert (flag["caption"], flag["measured"]) == (1, 1.0)
    assert json.loads(flag["detail"])["text"] == text_mark("jumps") == shards_mark("jumps")


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    "text",
    ["a person raises the {} arm", "the {} hand goes up", "lifts their {} hand, then lowers it"],
)
def test_a_swapped_arm_is_found_and_a_right_one_is_not(text: str, side: str, back: bool) -> None:
    said = text.format(side)
    m2d = poses.raising(side, back=back)
    assert codes(said, m2d=m2d) == []
    assert codes(mirrored_text(said), m2d=m2d) == ["side-contradicted"]


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_swapped_leg_is_found(side: str) -> None:
    other = {"left": "right", "right": "left"}[side]
    m2d = poses.lifting(side)
    for text in ("lifts the {} leg slowly", "a person lifts their {} knee"):
        assert codes(text.format(side), m2d=m2d) == []
        assert codes(text.format(other), m2d=m2d) == ["side-contradicted"]
    assert codes(f"a person stands on the {other} leg", m2d=m2d) == []
    assert codes(f"a person stands on the {side} leg", m2d=m2d) == ["side-contradicted"]


@pytest.mark.parametrize(
    "text",
    [
        "a person raises both arms, first the left arm, then the right arm",
        "lifts the left hand, then the right hand",
        "raises the right arm, then the left arm",
    ],
)
def test_both_sides_prove_nothing_where_one_is_hidden(text: str) -> None:
    both = poses.raising("left")
    right = poses.raising("right")
    both[:, [8, 10]] = right[:, [8, 10]]
    assert codes(text, m2d=both) == []
    assert codes(text, m2d=poses.unseen(both, "right", "arm")) == []


def test_a_hidden_limb_is_judged_by_the_other_one() -> None:
    left = poses.unseen(poses.raising("left"), "right", "arm")
    assert codes("a person raises the right arm", m2d=left) == ["side-contradicted"]
    assert codes("a person raises the left arm", m2d=left) == []
    still = poses.unseen(poses.standing(), "right", "arm")
    assert codes("a person extends the right arm", m2d=still) == []
    both = poses.unseen(poses.unseen(poses.raising("left"), "right", "arm"), "left", "arm")
    assert codes("a person waves with the right arm", m2d=both) == []


def test_whose_left_a_way_means() -> None:
    front = poses.sliding(200)  # to the picture's right and the person's own left
    assert codes("a person steps to the left", m2d=front) == []
    assert codes("a person steps to the right", m2d=front) == ["direction-contradicted"]
    for side in ("left", "right"):
        said = f"a person steps to the {side}"
        assert codes(said, m2d=front, stage=Audit(directions="either")) == []
    assert codes("a person steps to the viewer's right", m2d=front) == []
    assert codes("a person steps to the viewer's left", m2d=front) == ["direction-contradicted"]
    assert codes("a person steps to the left", m2d=front, stage=Audit(directions="picture")) == [
        "direction-contradicted"
    ]
    assert codes("steps to the left of the picture", m2d=front) == ["direction-contradicted"]
    assert codes("a person steps to their right", m2d=front) == ["direction-contradicted"]
    back = poses.sliding(200, back=True)  # to the picture's right and their own right
    assert codes("a person steps to the left", m2d=back) == ["direction-contradicted"]
    assert codes("a person steps to the right", m2d=back) == []


@pytest.mark.parametrize(
    ("text", "m2d"),
    [
        ("a person jumps twice", poses.standing()),
        ("a person runs very fast", poses.standing()),
        ("a person walks forward", poses.standing()),
        ("someone sits down slowly", poses.standing()),
        ("a person kicks high", poses.standing()),
        ("the person raises both arms", poses.raising("left")),
        ("the person is dancing wildly", poses.standing()),
        ("a person stands completely still", poses.sliding(480)),
    ],
)
def test_a_motion_that_cannot_be_is_found(text: str, m2d: np.ndarray) -> None:
    assert codes(text, m2d=m2d) == ["motion-contradicted"]


@pytest.mark.parametrize(
    ("text", "m2d"),
    [
        ("a person jumps up", poses.jumping()),
        ("a person stands completely still", poses.standing()),
        ("a person raises one arm", poses.raising("left")),
        ("a person does not jump at all", poses.standing()),
        ("a person walks, and is about to jump", poses.sliding(200)),
    ],
)
def test_a_motion_that_is_there_is_not_flagged(text: str, m2d: np.ndarray) -> None:
    assert codes(text, m2d=m2d) == []


def test_a_clip_without_usable_keypoints_is_judged_by_its_text() -> None:
    blind = poses.standing()
    blind[:, :17, 2] = 0
    assert codes("raises the left arm", "**", m2d=blind) == ["few-words", "markup"]
    found = tables("raises the left arm")
    found.tables["keypoints"] = []
    assert rows(found)[0]["flags"] == []


def test_a_text_on_many_videos_is_found() -> None:
    text = "The person bends down, ties a shoe and looks up at the sky again and again."
    stage = Audit(duplicates_max=8, duplicates_long_max=3)
    flags = [row["flags"] for row in rows(tables(text, clips=4), stage)]
    assert [[(f["code"], f["measured"]) for f in each] for each in flags] == [
        [("duplicate-text", 4.0)]
    ] * 4
    assert not any(row["flags"] for row in rows(tables(text, clips=3), stage))
    short = "a person stands in place"
    assert not any(row["flags"] for row in rows(tables(short, clips=8), stage))
    assert all(row["flags"] for row in rows(tables(short, clips=9), stage))


def test_copies_are_counted_by_video_and_never_of_rules() -> None:
    text = "a person stands in place"
    found = tables(text, clips=30)
    for row in found.tables["captions"]:
        row["video_id"] = "one"
    assert not any(row["flags"] for row in rows(found))
    found = tables(text, clips=30)
    for row in found.tables["captions"]:
        row["captions"] = [{"text": text, "source": "kinematic", "detail": "{}"}]
    assert not any(row["flags"] for row in rows(found))


def test_the_stamp_knows_the_texts_and_how_many_share_them() -> None:
    stage = Audit(duplicates_max=2, duplicates_long_max=2)

    def stamps(found: FakeTables) -> dict[str, str | None]:
        assert dict(stage.ids(found)) == {item.id: item.stamp for item in stage.items(found)}
        return dict(stage.ids(found))

    alone = stamps(tables("a person waits here", clips=1))
    assert stamps(tables("a person waits there", clips=1)) != alone
    # A second copy is no reason to look at the first again, a third is.
    assert stamps(tables("a person waits here", clips=2))["c0"] == alone["c0"]
    assert stamps(tables("a person waits here", clips=3))["c0"] != alone["c0"]


def test_only_wanted_clips_are_read() -> None:
    items = list(Audit().items(tables("a person waits", clips=3), {"c1"}))
    assert [item.id for item in items] == ["c1"]


def test_parameters_are_checked() -> None:
    with pytest.raises(UsageError, match="directions"):
        Audit(directions="left")
    with pytest.raises(UsageError, match="words_max"):
        Audit(words_max=0)


def test_every_code_has_a_severity() -> None:
    assert set(CODES.values()) == set(SEVERITIES)
