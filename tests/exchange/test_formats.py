"""Export → import gives the same samples; exports are whole, deterministic and never overwrite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from motionkit.errors import InputError, UsageError
from motionkit.exchange.formats import FORMATS, export_set, import_set
from motionkit.shards.reader import open_shards
from tests.exchange.sets import all_rows, assert_same, bytes_of, make_set, person, thing

#: What a format does not keep: docs/exchange.md says the same.
_TRACKS = ("track_frames", "track_first", "track_grid", "track_points", "track_visible")
LOST = {
    "coco": (_TRACKS, False),
    "webdataset": ((), True),
    "humanml3d": ((*_TRACKS, "captions"), False),
    "hf": ((), True),
}


@pytest.mark.parametrize("form", FORMATS)
def test_round_trip(tmp_path: Path, form: str) -> None:
    rows = [*(person(n) for n in range(16)), thing(3), person(99, sample_id="ö/../a b.c", frames=9)]
    source = make_set(tmp_path / "set", rows)
    export_set(source, tmp_path / "out", form)
    made = import_set(tmp_path / "out", tmp_path / "back", form)
    assert not made.left_out
    lost, objects = LOST[form]
    expected = {k: r for k, r in all_rows(source).items() if objects or r["kind"] == "person"}
    found = all_rows(tmp_path / "back")
    assert found.keys() == expected.keys()
    for name, row in expected.items():
        assert_same(found[name], row, but=lost)
        texts = [(c["text"], c["source"]) for c in found[name]["captions"]]
        assert texts == [(c["text"], c["source"]) for c in row["captions"]]
    manifest = open_shards(tmp_path / "back").manifest
    assert manifest["origin"]["text"] == f"imported from {form} out"


@pytest.mark.parametrize("form", FORMATS)
def test_an_import_says_so_in_every_sample(tmp_path: Path, form: str) -> None:
    export_set(make_set(tmp_path / "set", [person(1)]), tmp_path / "out", form)
    import_set(tmp_path / "out", tmp_path / "back", form)
    (sample,) = open_shards(tmp_path / "back").samples()
    assert sample.lineage["import"]["format"] == form
    assert "/" not in sample.lineage["import"]["file"]
    assert sample.lineage["keypoints"]["backend"] == "mediapipe" or form == "humanml3d"


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_set_gives_the_same_bytes(tmp_path: Path, form: str) -> None:
    rows = [person(n) for n in range(6)]
    for out, given in (("a", rows), ("b", rows[::-1])):
        export_set(make_set(tmp_path / f"set-{out}", given), tmp_path / out, form)
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")
    export_set(tmp_path / "set-a", tmp_path / "b", form)  # again, over the older one
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_else_is_replaced(tmp_path: Path, form: str) -> None:
    source = make_set(tmp_path / "set", [person(1)])
    before = bytes_of(tmp_path)
    for out in (source, source / "inside", tmp_path):
        with pytest.raises(UsageError):
            export_set(source, out, form)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    other = next(name for name in FORMATS if name != form)
    export_set(source, tmp_path / "other", other)
    for out in ("mine", "other", "mine/thesis.txt"):
        with pytest.raises(UsageError):
            export_set(source, tmp_path / out, form)
    with pytest.raises(UsageError):
        import_set(tmp_path / "other", tmp_path / "set", other)
    kept = {k: v for k, v in bytes_of(tmp_path).items() if k.startswith("set/")}
    assert kept == before
    assert not list(tmp_path.glob(".*"))  # nothing half-built is left


@pytest.mark.parametrize("form", FORMATS)
def test_one_split_alone(tmp_path: Path, form: str) -> None:
    source = make_set(tmp_path / "set")
    facts = export_set(source, tmp_path / "out", form, split="val")
    assert list(facts["splits"]) == ["val"]
    import_set(tmp_path / "out", tmp_path / "back", form)
    assert {row["split"] for row in all_rows(tmp_path / "back").values()} == {"val"}
    with pytest.raises(UsageError, match="no split 'dev'"):
        export_set(source, tmp_path / "x", form, split="dev")


def test_the_manifest_names_every_file_with_its_hash(tmp_path: Path) -> None:
    export_set(make_set(tmp_path / "set", [person(1)]), tmp_path / "out", "webdataset")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [f["path"] for f in manifest["files"]] == ["train-000000.tar"]
    assert str(tmp_path) not in json.dumps(manifest)


def test_wrong_words_say_what_there_is(tmp_path: Path) -> None:
    source = make_set(tmp_path / "set", [person(1)])
    with pytest.raises(UsageError, match="no format 'tfds'") as caught:
        export_set(source, tmp_path / "out", "tfds")
    assert "webdataset" in caught.value.hint
    with pytest.raises(UsageError, match="does not exist"):
        import_set(tmp_path / "nowhere", tmp_path / "out", "coco")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as bad:
        import_set(tmp_path / "empty", tmp_path / "out", "coco")
    assert bad.value.code == "nothing-to-import"
