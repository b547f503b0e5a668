"""The `expressions` stage on small MeViS trees, sound and damaged."""

from __future__ import annotations

import json
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.errors import InputError
from motionkit.records import TABLES
from motionkit.rle import decode_rle, encode_rle
from motionkit.stage import Item, Kept
from motionkit.stages import expressions
from motionkit.stages.expressions import Expressions
from motionkit.video.frame_folder import describe_folder
from tests.stages.fake_tables import FakeTables
from tests.video.mevis_tree import FRAMES, HEIGHT, WIDTH, object_mask, rles, write_split

Rows = dict[tuple[str, str | None], "dict[str, Any] | str"]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_split(tmp_path_factory.mktemp("mevis"))


@pytest.fixture
def split(original: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "train"
    shutil.copytree(original, copy)
    return copy


def tables(*splits: Path) -> FakeTables:
    """The table of videos as `ingest` writes it."""
    rows: list[dict[str, Any]] = []
    for split in splits:
        for folder in sorted((split / "JPEGImages").iterdir()):
            try:
                rows.append({"item_id": str(folder), **describe_folder(folder)})
            except InputError:
                failed = {"path": str(folder), "outcome": "failed", "container": None}
                rows.append({"item_id": str(folder), **failed})
    return FakeTables(videos=rows)


def outcomes(found: FakeTables) -> Rows:
    """(video, expression) → its row, or the code of its failure. Every item crosses a process."""
    stage = Expressions()
    ids = list(stage.ids(found))
    items = [copied(item) for item in stage.items(found)]
    assert [(item.id, item.stamp) for item in items] == ids
    assert len(set(ids)) == len(ids)
    made: Rows = {}
    for item in items:
        known = stage.context(item)
        made[known["source_video"] or "", known["source_expression"]] = outcome_of(stage, item)
    return made


def copied(item: Item) -> Item:
    return pickle.loads(pickle.dumps(item))  # noqa: S301 - our own


def outcome_of(stage: Expressions, item: Item) -> dict[str, Any] | str:
    try:
        outcome = stage.process(item)
    except InputError as error:
        assert str(error)
        return error.code
    assert isinstance(outcome, Kept)
    return outcome.row


def codes(found: Rows) -> dict[str, str]:
    return {
        f"{video}/{expression}": row if isinstance(row, str) else "kept"
        for (video, expression), row in found.items()
    }


ALL_KEPT = {"walk/0": "kept", "walk/1": "kept", "turn/0": "kept", "turn/1": "kept"}


def edit(file: Path, change: Callable[[Any], Any]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_a_row_holds_the_sentence_and_the_union_of_its_masks(original: Path) -> None:
    rows = outcomes(tables(original))
    assert codes(rows) == ALL_KEPT
    row = rows["walk", "1"]
    assert isinstance(row, dict)
    assert set(row) == set(TABLES["expressions"].names)
    assert (row["source_split"], row["text"]) == ("train", "both squares")
    assert (row["object_ids"], row["annotation_ids"]) == ([0, 1], [0, 1])
    assert (row["width"], row["height"], row["frames"]) == (WIDTH, HEIGHT, FRAMES)
    assert row["extra"] is None
    for frame, counts in enumerate(row["masks"]):
        mask = decode_rle({"size": [HEIGHT, WIDTH], "counts": counts})
        wanted = object_mask(0, frame) | object_mask(1, frame)
        np.testing.assert_array_equal(mask, wanted)


def test_texts_are_cleaned_and_unknown_keys_kept(split: Path) -> None:
    def change(meta: Any) -> None:
        meta["videos"]["walk"]["expressions"]["0"] |= {"audio": "a.wav", "more": [1, float("nan")]}
        meta["videos"]["walk"]["expressions"]["0"]["exp"] = " the\u200b square\n<b>runs</b> "

    edit(split / "meta_expressions.json", change)
    row = outcomes(tables(split))["walk", "0"]
    assert isinstance(row, dict)
    assert row["text"] == "the square <b>runs</b>"
    assert json.loads(row["extra"]) == {"audio": "a.wav", "more": [1, None]}


def test_clip_ids_are_stable_and_distinct(original: Path, split: Path) -> None:
    first, second = (outcomes(tables(place)) for place in (original, split))
    ids = [row["clip_id"] for row in first.values() if isinstance(row, dict)]
    assert len(set(ids)) == 4
    assert ids == [row["clip_id"] for row in second.values() if isinstance(row, dict)]


def test_an_object_that_is_not_seen_has_no_mask_there(split: Path) -> None:
    def change(meta: Any) -> None:
        meta["videos"]["walk"]["expressions"]["0"]["anno_id"] = [1]

    edit(split / "meta_expressions.json", change)
    row = outcomes(tables(split))["walk", "0"]
    assert isinstance(row, dict)
    assert [mask is None for mask in row["masks"]] == [True, True] + [False] * 6


def test_an_empty_mask_is_not_seen(split: Path) -> None:
    empty = encode_rle(np.zeros((HEIGHT, WIDTH), bool))
    edit(split / "mask_dict.json", lambda masks: masks["0"].__setitem__(3, empty))
    row = outcomes(tables(split))["walk", "0"]
    assert isinstance(row, dict)
    assert row["masks"][3] is None


def test_a_split_without_masks_keeps_its_sentences(tmp_path: Path) -> None:
    rows = outcomes(tables(write_split(tmp_path, "valid", ("hop",), masks=False)))
    assert codes(rows) == {"hop/0": "kept", "hop/1": "kept"}
    row = rows["hop", "0"]
    assert isinstance(row, dict)
    assert (row["masks"], row["object_ids"], row["annotation_ids"]) == (None, None, None)


def test_the_mask_file_is_read_once_and_only_for_wanted_sentences(
    original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Path] = []
    real = expressions.index_masks

    def counted(path: Path) -> Any:
        calls.append(path)
        return real(path)

    monkeypatch.setattr(expressions, "index_masks", counted)
    found = tables(original)
    ids = [name for name, _ in Expressions().ids(found)]
    assert list(Expressions().items(found, frozenset())) == []
    assert calls == []
    wanted = frozenset(ids[1:3])
    assert [item.id for item in Expressions().items(found, wanted)] == ids[1:3]
    assert len(calls) == 1


def test_the_stamp_changes_with_the_files_and_the_frames(split: Path) -> None:
    def stamps() -> set[str | None]:
        return {stamp for _, stamp in Expressions().ids(tables(split))}

    seen = [stamps()]
    edit(split / "mask_dict.json", lambda masks: masks.pop("3"))
    seen.append(stamps())
    edit(split / "meta_expressions.json", lambda meta: meta.update(version=2))
    seen.append(stamps())
    shutil.copy(split / "JPEGImages/turn/00000.jpg", split / "JPEGImages/walk/00000.jpg")
    seen.append(stamps())
    assert len(seen[0]) == 2  # one a video
    assert not seen[0] & seen[1] and not seen[1] & seen[2]
    assert len(seen[2] & seen[3]) == 1


def test_videos_that_failed_cost_their_sentences_only(split: Path) -> None:
    (split / "JPEGImages/walk/00004.jpg").write_bytes(b"damaged")
    missing = {"walk/0": "video-missing", "walk/1": "video-missing"}
    assert codes(outcomes(tables(split))) == {**ALL_KEPT, **missing}
    shutil.rmtree(split / "JPEGImages/turn")  # now no video of the split is sound
    gone = {"turn/0": "video-missing", "turn/1": "video-missing"}
    assert codes(outcomes(tables(split))) == {**missing, **gone}


def test_frames_that_changed_since_ingest_are_told(split: Path) -> None:
    found = tables(split)
    edit(split / "meta_expressions.json", lambda m: m["videos"]["walk"]["frames"].pop())
    changed = {"walk/0": "changed-file", "walk/1": "changed-file"}
    assert codes(outcomes(found)) == {**ALL_KEPT, **changed}


@pytest.mark.parametrize("text", ["", '{"videos": {"walk": {"expre', "[]", "\udc80", "NaN"])
def test_an_unreadable_file_of_sentences_is_one_failed_item(split: Path, text: str) -> None:
    found = tables(split)
    (split / "meta_expressions.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert codes(outcomes(found)) == {"/None": "meta-unreadable"}


def sentence(**changes: Any) -> Callable[[Any], None]:
    """Change keys of walk/0; a value of None takes the key away."""

    def change(meta: Any) -> None:
        entry = meta["videos"]["walk"]["expressions"]["0"]
        for key, value in changes.items():
            entry.pop(key)
            if value is not None:
                entry[key] = value

    return change


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (sentence(exp=None), "meta-malformed"),
        (sentence(exp=["text"]), "meta-malformed"),
        (sentence(exp=" \u200b\n"), "text-missing"),
        (sentence(exp="half a pair \ud800"), "meta-malformed"),
        (sentence(anno_id=None), "meta-malformed"),
        (sentence(anno_id=[]), "meta-malformed"),
        (sentence(anno_id="0"), "meta-malformed"),
        (sentence(anno_id=["0"]), "meta-malformed"),
        (sentence(anno_id=[0.0]), "meta-malformed"),
        (sentence(anno_id=[True]), "meta-malformed"),
        (sentence(anno_id=[-1]), "meta-malformed"),
        (sentence(anno_id=[10**30]), "meta-malformed"),
        (sentence(anno_id=[float("nan")]), "meta-malformed"),
        (sentence(anno_id=[77]), "mask-missing"),
        (sentence(anno_id=[0, 77]), "mask-missing"),
        (sentence(obj_id=[None]), "meta-malformed"),
        (sentence(obj_id=None), "kept"),
        (sentence(anno_id=[0, 0]), "kept"),
        (lambda m: m["videos"]["walk"]["expressions"].update({"0": "text"}), "meta-malformed"),
    ],
)
def test_damage_of_a_sentence_costs_that_sentence(
    split: Path, change: Callable[[Any], Any], code: str
) -> None:
    edit(split / "meta_expressions.json", change)
    assert codes(outcomes(tables(split))) == {**ALL_KEPT, "walk/0": code}


@pytest.mark.parametrize("entry", [None, [], {}, {"expressions": []}, {"expressions": None}])
def test_damage_of_a_video_costs_that_video(split: Path, entry: Any) -> None:
    edit(split / "meta_expressions.json", lambda m: m["videos"].update(walk=entry))
    expected = {"walk/None": "meta-malformed", "turn/0": "kept", "turn/1": "kept"}
    assert codes(outcomes(tables(split))) == expected


def test_repeated_keys_and_bad_bytes_cost_what_they_touch(split: Path) -> None:
    file = split / "meta_expressions.json"
    text = file.read_text()
    one = text[text.index('"0": {') : text.index(', "1": {')]
    file.write_text(text.replace(one, f"{one}, {one}", 1))
    assert codes(outcomes(tables(split))) == {**ALL_KEPT, "walk/0": "meta-malformed"}
    file.write_text(text.replace('"exp": "both', '"exp": "x", "exp": "both', 1))
    assert codes(outcomes(tables(split))) == {**ALL_KEPT, "walk/1": "meta-malformed"}
    file.write_bytes(text.replace("both", "b@th", 1).encode().replace(b"@", b"\xff"))
    assert codes(outcomes(tables(split))) == {**ALL_KEPT, "walk/1": "meta-malformed"}
    walk = text[text.index('"walk": {') : text.index(', "turn": {')]
    file.write_text(text.replace(walk, f"{walk}, {walk}", 1))
    expected = {"walk/None": "meta-malformed", "turn/0": "kept", "turn/1": "kept"}
    assert codes(outcomes(tables(split))) == expected


def mask_of(change: Callable[[list[Any]], Any]) -> Callable[[Any], None]:
    """Change the entries of annotation 0, which walk/0 and walk/1 name."""
    return lambda masks: change(masks["0"])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda masks: masks.pop("0"), "mask-missing"),
        (lambda masks: masks.update({"0": None}), "mask-unreadable"),
        (lambda masks: masks.update({"0": {}}), "mask-unreadable"),
        (lambda masks: masks.update({"0": rles(0)[:-1]}), "mask-frames"),
        (lambda masks: masks.update({"0": []}), "mask-frames"),
        (mask_of(lambda m: m.append(None)), "mask-frames"),
        (mask_of(lambda m: m[2].update(size=[WIDTH, HEIGHT])), "mask-size"),
        (mask_of(lambda m: m[2].update(size=[HEIGHT])), "mask-unreadable"),
        (mask_of(lambda m: m[2].pop("size")), "mask-unreadable"),
        (mask_of(lambda m: m[2].pop("counts")), "mask-unreadable"),
        (mask_of(lambda m: m[2].update(counts="bad!")), "mask-unreadable"),
        (mask_of(lambda m: m[2].update(counts=m[2]["counts"][:-3])), "mask-unreadable"),
        (mask_of(lambda m: m[2].update(counts=m[2]["counts"] + "oooo0")), "mask-unreadable"),
        (mask_of(lambda m: m[2].update(counts=[float("inf")])), "mask-unreadable"),
        (mask_of(lambda m: m.__setitem__(2, "text")), "mask-unreadable"),
        (mask_of(lambda m: m.__setitem__(2, 10**400)), "mask-unreadable"),
        (mask_of(lambda m: m.__setitem__(2, float("nan"))), "mask-unreadable"),
        (mask_of(lambda m: m[2].update(more={"a": [1]})), "kept"),
    ],
)
def test_damage_of_an_annotation_costs_the_sentences_that_name_it(
    split: Path, change: Callable[[Any], Any], code: str
) -> None:
    edit(split / "mask_dict.json", change)
    found = codes(outcomes(tables(split)))
    assert found == {**ALL_KEPT, "walk/0": code, "walk/1": code}


def test_repeated_annotations_and_a_cut_mask_file_are_told(split: Path) -> None:
    file = split / "mask_dict.json"
    text = file.read_text()
    file.write_text(text[:-1] + ', "0": [null]}')
    twice = {"walk/0": "mask-repeated", "walk/1": "mask-repeated"}
    assert codes(outcomes(tables(split))) == {**ALL_KEPT, **twice}
    file.write_text(text[: text.index('"3": [') + 40])
    assert codes(outcomes(tables(split))) == {**ALL_KEPT, "turn/1": "mask-unreadable"}
    file.unlink()
    assert set(codes(outcomes(tables(split))).values()) == {"mask-missing"}


def test_names_never_become_paths(split: Path) -> None:
    def change(meta: Any) -> None:
        meta["videos"]["../JPEGImages/walk"] = meta["videos"]["walk"]

    edit(split / "meta_expressions.json", change)
    found = codes(outcomes(tables(split)))
    assert found["../JPEGImages/walk/0"] == "video-missing"
    assert {name: found[name] for name in ALL_KEPT} == ALL_KEPT


@pytest.mark.parametrize("name", ["meta_expressions.json", "mask_dict.json"])
def test_any_damage_is_told_and_nothing_else_is_raised(split: Path, name: str) -> None:
    """Bytes changed, cut out and doubled at random places: rows or codes, never another error."""
    found, rng = tables(split), random.Random(7)
    file = split / name
    sound = file.read_bytes()
    whole = outcomes(found)
    hurt = 0
    for trial in range(150):
        at, width = rng.randrange(len(sound)), rng.choice([1, 1, 3, 40])
        piece = bytes(rng.choices(b'{}[]":,\\ 0-9eE.nulNaInfity\xff\x00', k=width))
        end = at + rng.choice([0, width])
        file.write_bytes(sound[:at] + (piece, b"", sound[at:end] * 2)[trial % 3] + sound[end:])
        rows = outcomes(found)
        hurt += any(isinstance(row, str) for row in rows.values())
        if name == "mask_dict.json":  # of two videos, most damage touches one
            assert set(rows) == set(whole)
            assert sum(isinstance(row, dict) for row in rows.values()) >= 1
    assert hurt > 40
