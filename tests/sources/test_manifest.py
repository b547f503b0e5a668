"""Manifests in three formats: their rows, their bad rows, and how they are grouped."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from motionkit.errors import UsageError
from motionkit.sources.manifest import BadRow, Row, is_manifest, open_index, parse_time, read_rows


def rows_of(path: Path) -> list[Row]:
    found = list(read_rows(path))
    assert not [row for row in found if isinstance(row, BadRow)]
    return [row for row in found if isinstance(row, Row)]


def bad_of(path: Path) -> dict[int, tuple[str, str]]:
    rows = [row for row in read_rows(path) if isinstance(row, BadRow)]
    return {row.line: (row.code, row.message) for row in rows}


def test_the_three_formats_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(
        "path,url,start,end,caption,captions,licence,actor\n"
        'a.mp4,,0:01,2.5,walks,"[""a man walks"", ""walks""]",CC0,Ann\n'
        "../b.mp4,,,,,one text,,\n"
        ",https://h/x,1:00:00.5,,,,,\n"
    )
    records: list[dict[str, Any]] = [
        {"path": "a.mp4", "start": 1, "end": 2.5, "caption": "walks",
         "captions": ["a man walks", "walks"], "license": "CC0", "actor": "Ann"},
        {"path": "../b.mp4", "captions": ["one text"], "start": math.nan, "end": None},
        {"url": "https://h/x", "start": "1:00:00.5"},
    ]  # fmt: skip
    lines = [json.dumps(record) for record in records]
    (tmp_path / "m.jsonl").write_text("\n".join(lines) + "\n")
    for record in records:
        record["start"] = parse_time(record.get("start"))
    pq.write_table(pa.Table.from_pylist(
        records, schema=pa.schema({
            "path": pa.string(), "url": pa.string(), "start": pa.float64(), "end": pa.float64(),
            "caption": pa.string(), "captions": pa.list_(pa.string()), "license": pa.string(),
            "actor": pa.string(),
        })), tmp_path / "m.parquet")  # fmt: skip
    first = str(tmp_path / "a.mp4")
    for name, offset in (("m.csv", 2), ("m.jsonl", 1), ("m.parquet", 1)):
        assert rows_of(tmp_path / name) == [
            Row(offset, first, None, 1, 2.5, ["walks", "a man walks"], "CC0", '{"actor": "Ann"}'),
            Row(offset + 1, str(tmp_path.parent / "b.mp4"), None, None, None, ["one text"], None,
                None),
            Row(offset + 2, "https://h/x", "https://h/x", 3600.5, None, [], None, None),
        ], name  # fmt: skip


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("12.5", 12.5), ("1:02", 62), (" 01:02:03.250 ", 3723.25), (7, 7), ("", None), (None, None),
     (math.nan, None), ("  ", None), ("90", 90)],
)  # fmt: skip
def test_times(text: object, seconds: float | None) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text", ["soon", "1:2:3:4", "-1", -0.5, "1:75", "x:10", "inf", math.inf, True, [1], "nan"]
)
def test_no_times(text: object) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        parse_time(text)


def test_bad_rows_are_told_and_the_others_read(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(
        b"path,start,end,captions\n"
        b"a.mp4,1,2,\n"
        b",1,2,\n"
        b"a.mp4,3,2,\n"
        b"a.mp4,soon,2,\n"
        b"a.mp4,1,2,,,\n"
        b'a.mp4,1,2,"[1]"\n'
        b"a\xff.mp4,1,2,\n"
        b'a.mp4,1,"2"x,\n'
        b"a\x00.mp4,1,2,\n"
        b"a.mp4,,0,\n"
        b"b.mp4,0,1,\n"
    )
    bad = bad_of(path)
    codes = {line: code for line, (code, _) in bad.items()}
    row, stretch = "bad-row", "bad-range"
    expected = {3: row, 4: stretch, 5: stretch, 6: row, 7: row, 8: row, 9: row, 10: row}
    assert codes == {**expected, 11: stretch}
    assert bad[4][1] == "m.csv line 4: start 3 is not before end 2"
    assert "names neither a path nor a url" in bad[3][1]
    keys = [Path(r.key).name for r in read_rows(path) if isinstance(r, Row)]
    assert keys == ["a.mp4", "b.mp4"]


def test_bad_lines_of_json(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    long = json.dumps({"path": "a.mp4", "caption": "x" * 2_000_000})
    deep = "[" * 100_000
    wide = json.dumps({"path": "a.mp4", "more": "x" * 100_000})
    odd = '{"path": "a\\ud800.mp4"}'
    bad = ["{", "[1]", '{"path": 3}', long, deep, wide, odd, '{"path": "a", "captions": [1]}']
    path.write_text("\n".join([*bad, "", '{"path": "b.mp4", "n": {"x": [1, null]}}']))
    codes = {line: code for line, (code, _) in bad_of(path).items()}
    assert codes == dict.fromkeys(range(1, 9), "bad-row")
    (good,) = [row for row in read_rows(path) if isinstance(row, Row)]
    assert (good.line, good.extra) == (10, '{"n": {"x": [1, null]}}')


def test_texts_are_cleaned_and_further_columns_kept_as_ascii(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    record = {
        "path": "a.mp4",
        "caption": "a\u202e man\n walks\x07",
        "wer": "Zoë",
        "n": float("inf"),
    }
    path.write_text(json.dumps(record))
    (row,) = rows_of(path)
    assert row.captions == ["a man walks"]
    assert row.extra == '{"n": null, "wer": "Zo\\u00eb"}'


def test_what_is_no_manifest_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "columns.csv").write_text("file,text\na,b\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "header.csv").write_text("path\n")
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing else PAR1")
    for name in (
        "columns.csv",
        "empty.csv",
        "header.csv",
        "empty.jsonl",
        "broken.parquet",
        "no.csv",
    ):
        with pytest.raises(UsageError):
            open_index(tmp_path / name)


def test_rows_are_grouped_by_file_whatever_their_order(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("path,url,start\nb.mp4,,1\na.mp4,,1\nb.mp4,,2\n,https://h/x,\n./b.mp4,,3\n")
    index = open_index(path)
    assert list(index.keys(addresses=False)) == [str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4")]
    assert list(index.keys(addresses=True)) == ["https://h/x"]
    assert [row.start_s for row in index.rows(str(tmp_path / "b.mp4"))] == [1, 2, 3]
    assert len(index) == 5


def test_the_version_changes_with_the_files_own_rows_only(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    first, second = str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4")
    path.write_text("path,start\na.mp4,1\nb.mp4,1\n")
    before = open_index(path)
    path.write_text("path,start\na.mp4,1\nb.mp4,2.5\n")
    after = open_index(path)
    assert before.version(first) == after.version(first) is not None
    assert before.version(second) != after.version(second)
    assert after.version("other") is None


def test_captions_beside_videos_are_no_manifest(tmp_path: Path) -> None:
    beside = tmp_path / "captions.csv"
    beside.write_text("file,caption\na.mp4,walks\n")
    assert not is_manifest(beside)
    beside.write_text("path,caption\na.mp4,walks\n")
    assert is_manifest(beside)
    assert is_manifest(tmp_path / "Other.CSV")


@pytest.mark.parametrize("column", ["path", "url"])
def test_one_column_may_hold_paths_and_addresses(tmp_path: Path, column: str) -> None:
    list_ = tmp_path / "list.csv"
    list_.write_text(f"{column},caption\nwalk.mp4,one\nhttps://example.org/a.mp4,two\n")
    file, address = sorted(rows_of(list_), key=lambda row: row.line)
    assert (file.key, file.url) == (str(tmp_path / "walk.mp4"), None)
    assert address.key == address.url == "https://example.org/a.mp4"
