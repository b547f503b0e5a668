"""The MeViS layout and its file of sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from motionkit.errors import InputError
from motionkit.video.mevis import (
    META_NAME,
    MevisSplit,
    Unreadable,
    find_mevis,
    is_unicode,
    listed_frames,
    parse_json,
    read_meta,
    readable,
    split_of,
)


def split_at(folder: Path, video: str = "walk", meta: str = '{"videos": {}}') -> MevisSplit:
    (folder / "JPEGImages" / video).mkdir(parents=True)
    (folder / META_NAME).write_text(meta)
    return MevisSplit(str(folder))


def test_splits_are_found_from_themselves_and_from_above(tmp_path: Path) -> None:
    for name in ("valid_u", "train"):
        split_at(tmp_path / "data" / "mevis" / name)
    root = tmp_path / "data" / "mevis"
    for place in (root, tmp_path / "data"):
        assert [s.name for s in find_mevis(place)] == ["train", "valid_u"]
    assert find_mevis(root / "train") == [MevisSplit(str(root / "train"))]
    assert find_mevis(tmp_path) == []  # too far above
    assert find_mevis(tmp_path / "nothing") == []


def test_a_folder_without_both_names_is_no_split(tmp_path: Path) -> None:
    (tmp_path / "a" / "JPEGImages").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / META_NAME).write_text("{}")
    assert find_mevis(tmp_path) == []
    assert split_of(tmp_path / "a" / "JPEGImages" / "walk") is None


def test_the_stamp_changes_with_either_file(tmp_path: Path) -> None:
    split = split_at(tmp_path)
    stamps = [split.stamp()]
    split.masks.write_text("{}")
    stamps.append(split.stamp())
    split.meta.write_text('{"videos": {"walk": {}}}')
    stamps.append(split.stamp())
    assert len({str(s) for s in stamps}) == 3


@pytest.mark.parametrize(
    "meta",
    [
        "",
        '{"videos": {',
        "[]",
        '{"videos": []}',
        '{"movies": {}}',
        '{"videos": {}, "videos": {}}',
        '{"videos": {}} more',
        '{"videos": ' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "}",
    ],
)
def test_an_unreadable_file_has_one_code(tmp_path: Path, meta: str) -> None:
    with pytest.raises(InputError) as caught:
        read_meta(split_at(tmp_path, meta=meta))
    assert caught.value.code == "meta-unreadable"


def test_a_file_of_another_size_is_read_again(tmp_path: Path) -> None:
    split = split_at(tmp_path)
    assert read_meta(split) == {}
    split.meta.write_text('{"videos": {"walk": {}}}')
    assert read_meta(split) == {"walk": {}}


def test_numbers_that_are_none_are_marked() -> None:
    found = parse_json(b"[NaN, Infinity, 1e999, " + b"9" * 5000 + b", -12, 2.5]")
    assert found == [Unreadable()] * 4 + [-12, 2.5]


def test_bytes_that_are_no_text_spoil_one_text() -> None:
    first, second, third = parse_json(b'["\xff", "fine", "\\ud800"]')
    assert [is_unicode(t) for t in (first, second, third)] == [False, True, False]
    assert readable(third) == "\\ud800"


def test_repeated_keys_are_remembered() -> None:
    found = parse_json(b'{"a": 1, "b": {"c": 1}, "a": 2}')
    assert (found["a"], found.repeated, found["b"].repeated) == (2, {"a"}, frozenset())


@pytest.mark.parametrize("frames", [None, [], "00000", [1, 2], {"0": 1}])
def test_frames_that_are_not_listed_rightly_are_not_listed(tmp_path: Path, frames: object) -> None:
    meta = json.dumps({"videos": {"walk": {"frames": frames}}})
    assert listed_frames(Path(split_at(tmp_path, meta=meta).images) / "walk") is None


def test_frames_are_listed_in_the_files_order(tmp_path: Path) -> None:
    meta = json.dumps({"videos": {"walk": {"frames": ["00002", "00001"]}}})
    split = split_at(tmp_path, meta=meta)
    assert listed_frames(split.images / "walk") == ["00002", "00001"]
    assert listed_frames(split.images / "other") is None
