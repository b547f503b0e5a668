"""The index of a MeViS mask file: places, damage, bounded memory."""

from __future__ import annotations

import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.backends import mask_index
from motionkit.backends.mask_index import index_masks, read_masks
from motionkit.errors import InputError
from motionkit.rle import encode_rle


def some_masks(seed: int, frames: int = 6) -> list[dict[str, Any] | None]:
    rng = np.random.default_rng(seed)
    masks = [rng.random((12, 16)) < 0.4 for _ in range(frames)]
    return [encode_rle(mask) if i % 3 else None for i, mask in enumerate(masks)]


def content(count: int = 5) -> dict[str, Any]:
    return {str(i): some_masks(i) for i in range(count)}


def write(folder: Path, text: str | bytes) -> Path:
    file = folder / "mask_dict.json"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def readable_ids(file: Path) -> dict[str, list[Any]]:
    """What the index finds and reads; ids whose entries cannot be read are left out."""
    found = {}
    for name, place in index_masks(file).ranges.items():
        try:
            found[name] = read_masks(file, place)
        except InputError as error:
            assert error.code == "mask-unreadable"
    return found


@pytest.mark.parametrize(
    "options",
    [{}, {"indent": 2}, {"separators": (",", ":")}, {"indent": "\t", "separators": (" , ", " : ")}],
)
def test_every_value_is_found_whatever_the_white_space(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    file = write(tmp_path, json.dumps(content(), **options))
    assert index_masks(file).damage is None
    assert readable_ids(file) == content()


def test_blocks_may_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, json.dumps(content(3)))
    monkeypatch.setattr(mask_index, "LOOK_AHEAD", 300)
    for block in (301, 302, 303, 317, 400):
        monkeypatch.setattr(mask_index, "_BLOCK", block)
        assert readable_ids(file) == content(3)


def test_unusual_entries_are_passed_over(tmp_path: Path) -> None:
    odd = {
        'a"\\]}': [{"size": [1, 1], "counts": "1", "more": {"x": [[1], {"y": "]}"}]}}, None],
        "é": [],
        "7": {"not": ["a", "list"]},
        "8": "text with ] and }",
        "9": -1.5e3,
        "10": [1, "two", [3], True, None],
        "11": [{"size": [2, 3], "counts": [1, 2, 3]}],
        "": [None],
    }
    file = write(tmp_path, json.dumps(odd))
    index = index_masks(file)
    assert index.damage is None
    assert list(index.ranges) == list(odd)
    lists = {name: value for name, value in odd.items() if isinstance(value, list)}
    assert readable_ids(file) == lists


def test_an_empty_object_is_sound(tmp_path: Path) -> None:
    for text in ("{}", " { } \n", "\ufeff{}"):
        index = index_masks(write(tmp_path, text))
        assert (index.ranges, index.damage) == ({}, None)


@pytest.mark.parametrize("text", ["", "[]", "null", "\x00" * 100, "{", '{"1"', '{"1": [', "<html>"])
def test_what_is_no_mask_file_is_damage(tmp_path: Path, text: str) -> None:
    index = index_masks(write(tmp_path, text))
    assert not index.ranges
    assert index.damage


def test_a_missing_file_is_damage(tmp_path: Path) -> None:
    assert "cannot be read" in str(index_masks(tmp_path / "none.json").damage)


def test_a_truncated_file_keeps_what_is_whole(tmp_path: Path) -> None:
    text = json.dumps(content())
    for end in range(1, len(text), 37):
        file = write(tmp_path, text[:end])
        index = index_masks(file)
        assert index.damage
        whole = {name: masks for name, masks in content().items() if name in index.ranges}
        assert readable_ids(file) == whole
        last = text.index('"4"') if end > text.index('"4"') else 0
        assert len(whole) == 4 if last else len(whole) <= 4


def test_a_repeated_id_is_told(tmp_path: Path) -> None:
    text = json.dumps(content(3))[:-1] + ', "1": [null]}'
    assert index_masks(write(tmp_path, text)).repeated == {"1"}


def test_damage_in_one_place_costs_few_annotations(tmp_path: Path) -> None:
    """Any one byte changed, cut out or put in: no neighbour further away is lost or changed."""
    count = 12
    whole = content(count)
    text = json.dumps(whole).encode()
    starts = [text.index(f'"{i}": ['.encode()) for i in range(count)]
    rng = random.Random(5)
    for trial in range(400):
        at = rng.randrange(1, len(text))
        byte = bytes([rng.choice(b'[]{}":,\\ 0a\xff')])
        damaged = (
            text[:at] + byte + text[at + 1 :],
            text[:at] + text[at + 1 :],
            text[:at] + byte + text[at:],
        )[trial % 3]
        found = readable_ids(write(tmp_path, damaged))
        struck = max((i for i in range(count) if starts[i] <= at), default=0)
        for i in range(count):
            if abs(i - struck) > 1:
                assert found.get(str(i)) == whole[str(i)], (trial, at, byte, i, struck)


@pytest.mark.parametrize(
    "value",
    [
        '[{"size": [1, 1], "counts": "1", "counts": NaN}]',
        "[" * 100_000 + "]" * 100_000,
        '[{"size": [' + "9" * 5000 + "]}]",
        '["\udc80"]',
        '["line\nbreak"]',
        "{}",
        '"text"',
    ],
)
def test_neighbours_of_a_strange_value_stay(tmp_path: Path, value: str) -> None:
    before, after = json.dumps(some_masks(0)), json.dumps(some_masks(2))
    text = f'{{"0": {before}, "1": {value}, "2": {after}}}'.encode("utf-8", "surrogateescape")
    found = readable_ids(write(tmp_path, text))
    assert (found["0"], found["2"]) == (some_masks(0), some_masks(2))
    assert found.get("1") != some_masks(1)


@pytest.mark.parametrize(
    "piece", ["[", '{"a":', '"\\', '["', '[{"1": [null', '"1": [{', '"1": [{"a": "b", "c": ']
)
def test_hostile_repetition_ends(tmp_path: Path, piece: str) -> None:
    index = index_masks(write(tmp_path, '{"0": ' + piece * 200_000))
    assert index.damage


def test_memory_does_not_grow_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mask_index, "LOOK_AHEAD", 2**16)
    monkeypatch.setattr(mask_index, "_BLOCK", 2**17)
    file = tmp_path / "mask_dict.json"
    one = json.dumps(some_masks(1, 60))
    with file.open("w") as stream:
        stream.write("{")
        for i in range(2000):
            stream.write(f'{", " if i else ""}"{i}": {one}')
        stream.write("}")
    assert file.stat().st_size > 2**22
    tracemalloc.start()
    index = index_masks(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(index.ranges) == 2000
    assert peak < 2**20 + 2000 * 400
