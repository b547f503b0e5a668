"""What `ingest` finds and records."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.errors import InputError, UsageError
from motionkit.records import TABLES
from motionkit.sources.listing import find_sources
from motionkit.stage import Dropped, Item, Kept
from motionkit.stages.ingest import Ingest
from tests.stages.fake_tables import FakeTables
from tests.video import films
from tests.video.encode import write_video


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "plain.mp4"
    write_video(path, films.numbered(40))
    return path


def row_of(path: Path) -> dict[str, Any]:
    (item,) = Ingest((str(path),)).items(FakeTables())
    outcome = Ingest(()).process(item)
    assert isinstance(outcome, Kept)
    assert set(outcome.row) == set(TABLES["videos"].names)
    return outcome.row


def test_facts_of_a_sound_file(plain: Path) -> None:
    row = row_of(plain)
    assert row["sha256"] == hashlib.sha256(plain.read_bytes()).hexdigest()
    assert row["video_id"] == "v" + row["sha256"][:16]
    assert row["path"] == str(plain)
    assert (row["width"], row["height"], row["rotation"]) == (128, 96, 0)
    assert (row["fps"], row["frames_declared"], row["frames_decoded"]) == (30.0, 40, 40)
    assert row["frame_times_s"] == pytest.approx(np.arange(40) / 30)
    assert row["duration_s"] == pytest.approx(40 / 30)
    assert (row["decoder"], row["problems"], row["variable_rate"]) == ("pyav", [], False)
    assert (row["captions"], row["licence"]) == ([], None)


def test_the_content_names_the_video_and_the_file_the_item(plain: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(plain.read_bytes())
    assert row_of(copy)["video_id"] == row_of(plain)["video_id"]
    (one,) = Ingest((str(plain),)).items(FakeTables())
    (other,) = Ingest((str(copy),)).items(FakeTables())
    assert one.id != other.id
    write_video(copy, films.numbered(12))
    (changed,) = Ingest((str(copy),)).items(FakeTables())
    assert changed.id == other.id and changed.stamp != other.stamp


def test_problems_are_recorded_and_the_rows_kept(plain: Path, tmp_path: Path) -> None:
    films.rotated(plain, tmp_path / "turned.mp4", 90)
    films.cut_with_edit_list(plain, tmp_path / "cut.mp4", 0.5)
    films.header_first(plain, tmp_path / "whole.mp4")
    films.cut_off(tmp_path / "whole.mp4", tmp_path / "short.mp4", 0.8)
    write_video(tmp_path / "uneven.mkv", films.numbered(4), times_s=[0, 0.1, 0.2, 0.6])
    turned = row_of(tmp_path / "turned.mp4")
    assert (turned["problems"], turned["rotation"], turned["width"]) == (["rotated"], 90, 96)
    cut = row_of(tmp_path / "cut.mp4")
    assert (cut["problems"], cut["frames_decoded"], cut["decoder"]) == (["edit-list"], 25, "pyav")
    assert cut["frame_times_s"][0] == 0.0
    short = row_of(tmp_path / "short.mp4")
    assert (short["problems"], short["decoder"]) == (["truncated"], "pyav-counted")
    assert 10 < short["frames_decoded"] < short["frames_declared"] == 40
    uneven = row_of(tmp_path / "uneven.mkv")
    assert uneven["problems"] == ["variable-rate", "no-frame-count"]
    assert uneven["frame_times_s"] == pytest.approx([0, 0.1, 0.2, 0.6], abs=1e-3)


def test_a_name_that_is_no_text_is_a_failure_with_a_readable_row(
    plain: Path, tmp_path: Path
) -> None:
    raw = os.fsencode(tmp_path) + b"/no-\xff.mp4"
    try:
        Path(os.fsdecode(raw)).write_bytes(plain.read_bytes())
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (item,) = Ingest((str(tmp_path),)).items(FakeTables())
    assert Ingest(()).context(item)["path"].endswith("no-\\xff.mp4")
    with pytest.raises(InputError) as caught:
        Ingest(()).process(item)
    assert caught.value.code == "bad-name"


def test_sidecars_come_along(tmp_path: Path) -> None:
    write_video(tmp_path / "walk.mp4", films.numbered(2))
    (tmp_path / "walk.json").write_text('{"captions": ["a person walks"], "licence": "CC0"}')
    (tmp_path / "walk.txt").write_bytes(b"\xff\xfe")
    row = row_of(tmp_path / "walk.mp4")
    assert [c["text"] for c in row["captions"]] == ["a person walks"]
    assert (row["licence"], row["problems"]) == ("CC0", ["bad-sidecar"])


def test_unusable_files_raise_their_codes(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video at all\n" * 50)
    films.sound_only(tmp_path / "sound.mp4")
    codes = {}
    for item in Ingest((str(tmp_path),)).items(FakeTables()):
        with pytest.raises(InputError) as caught:
            Ingest(()).process(item)
        codes[Path(item.data["path"]).name] = caught.value.code
    assert codes == {
        "empty.mp4": "empty-file",
        "sound.mp4": "no-video-stream",
        "text.mp4": "not-a-video",
    }


def test_sources_are_files_folders_and_patterns(tmp_path: Path) -> None:
    names = ("b.mp4", "a.MKV", "deep/c.webm", ".hidden.mp4", ".cache/d.mp4", "b.json", "b.txt")
    for name in names:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.touch()
    found = list(find_sources([str(tmp_path)]))
    relative = [str(Path(f.path).relative_to(tmp_path)) for f in found]
    assert relative == ["a.MKV", "b.mp4", "deep/c.webm"]
    assert {f.source for f in found} == {str(tmp_path)}
    pattern = str(tmp_path / "*.mp4")
    assert [Path(f.path).name for f in find_sources([pattern])] == ["b.mp4"]
    deep = find_sources([str(tmp_path / "**" / "*.webm")])
    assert [Path(f.path).name for f in deep] == ["c.webm"]
    both = list(find_sources([str(tmp_path / "b.mp4"), str(tmp_path)]))
    assert [Path(f.path).name for f in both] == ["b.mp4", "a.MKV", "c.webm"]
    assert both[0].source == str(tmp_path / "b.mp4")


def test_names_with_brackets_are_files_first(tmp_path: Path) -> None:
    odd = tmp_path / "take [1].mp4"
    odd.touch()
    assert [f.path for f in find_sources([str(odd)])] == [str(odd)]


def test_missing_sources_are_usage_errors(tmp_path: Path) -> None:
    for sources in ([str(tmp_path / "no.mp4")], [str(tmp_path)], [str(tmp_path / "*.mp4")]):
        with pytest.raises(UsageError):
            list(find_sources(sources))


@pytest.mark.real
def test_the_damaged_real_file_is_kept_and_marked(real_data: Path) -> None:
    path = str(real_data / "videos" / "decord_corrupted.mp4")
    outcome = Ingest(()).process(Item("x", {"path": path, "source": path}))
    assert isinstance(outcome, Kept)
    row = outcome.row
    assert (row["frames_declared"], row["frames_decoded"], row["frames_damaged"]) == (50, 49, 2)
    assert (row["problems"][0], row["decoder"]) == ("damaged-frames", "pyav-counted")


def listed(tmp_path: Path, text: str, *more: str, tables: FakeTables | None = None) -> list[Item]:
    """The items of a manifest with these rows."""
    (tmp_path / "list.csv").write_text(text)
    stage = Ingest((str(tmp_path / "list.csv"), *more))
    tables = tables or FakeTables()
    items = list(stage.items(tables))
    assert [(item.id, item.stamp) for item in items] == list(stage.ids(tables))
    return items


def failure_of(item: Item) -> tuple[str, str]:
    with pytest.raises(InputError) as caught:
        Ingest().process(item)
    return caught.value.code, caught.value.message


def test_rows_of_one_file_become_its_ranges(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "walk.mp4").write_bytes(plain.read_bytes())
    (tmp_path / "walk.txt").write_text("beside the file\nof the whole\n")
    items = listed(
        tmp_path,
        "path,start,end,caption,licence,actor\n"
        "walk.mp4,0.5,1.0,turns,CC0,Ann\n"
        "walk.mp4,0,0.4,starts,,\n"
        "./walk.mp4,0.5,1.0,turns left,,Bob\n"
        "walk.mp4,,,of the whole,,Cy\n"
        "walk.mp4,0.8,9,is cut,,\n"
        "walk.mp4,7,8,never,,\n",
    )
    (item,) = items
    outcome = Ingest().process(item)
    assert isinstance(outcome, Kept)
    row = outcome.row
    stretches = [(r["start_s"], r["end_s"]) for r in row["ranges"]]
    assert stretches == [(0.0, 0.4), (0.5, 1.0), (0.8, pytest.approx(40 / 30))]
    texts = [[c["text"] for c in r["captions"]] for r in row["ranges"]]
    assert texts == [["starts"], ["turns", "turns left"], ["is cut"]]
    assert row["ranges"][1]["captions"][0]["detail"] == '{"file": "list.csv", "key": "line 2"}'
    assert [r["extra"] for r in row["ranges"]] == [None, '{"actor": "Ann"}', None]
    assert [c["text"] for c in row["captions"]] == ["of the whole", "beside the file"]
    assert (row["licence"], row["extra"]) == ("CC0", '{"actor": "Cy"}')
    assert row["problems"] == ["bad-range", "range-cut"]
    assert row["source"] == str(tmp_path / "list.csv")


def test_a_video_none_of_whose_stretches_is_there_fails(plain: Path, tmp_path: Path) -> None:
    (item,) = listed(tmp_path, f"path,start,end\n{plain},5,6\n{plain},7,\n")
    code, message = failure_of(item)
    assert code == "bad-range"
    assert "1.333" in message


def test_bad_rows_and_missing_files_fail_alone(plain: Path, tmp_path: Path) -> None:
    good, missing, no_range, no_path = listed(
        tmp_path, f"path,start,end\n{plain},0,1\nno.mp4,,\n{plain},3,2\n,1,2\n"
    )
    if good.data["path"] != str(plain):
        good, missing = missing, good
    assert isinstance(Ingest().process(good), Kept)
    assert failure_of(missing)[0] == "missing-file"
    expected = ("bad-range", "list.csv line 4: start 3 is not before end 2")
    assert failure_of(no_range) == expected
    assert failure_of(no_path)[0] == "bad-row"
    assert Ingest().context(no_range)["path"] == str(tmp_path / "list.csv")


def test_a_corrected_row_is_no_failure_any_more(plain: Path, tmp_path: Path) -> None:
    bad = listed(tmp_path, f"path,start,end\n{plain},3,2\n{plain},0,1\n")[-1]
    path = str(tmp_path / "list.csv")
    before = {"item_id": bad.id, "path": path, "outcome": "failed"}
    other = {"item_id": "row-other", "path": "/other.csv", "outcome": "failed"}
    tables = FakeTables(videos=[before, other])
    items = listed(tmp_path, f"path,start,end\n{plain},2,3\n{plain},0,1\n", tables=tables)
    assert [item.id for item in items if item.id.startswith("row-")] == [bad.id]
    assert items[-1].stamp != bad.stamp
    assert Ingest().process(items[-1]) == Dropped("row-corrected")


def test_a_files_stamp_follows_its_rows_and_texts(plain: Path, tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(plain.read_bytes())

    def stamps(start: float) -> dict[str, str | None]:
        rows = f"path,start\na.mp4,{start}\nb.mp4,0\n"
        return {Path(i.data["path"]).name: i.stamp for i in listed(tmp_path, rows, str(tmp_path))}

    first, same, other = stamps(0.1), stamps(0.1), stamps(0.25)
    assert first == same
    assert (first["a.mp4"] == other["a.mp4"], first["b.mp4"] == other["b.mp4"]) == (False, True)
    (tmp_path / "b.txt").write_text("a text")
    beside = stamps(0.25)
    assert (other["a.mp4"] == beside["a.mp4"], other["b.mp4"] == beside["b.mp4"]) == (True, False)


def test_a_manifest_counts_for_a_file_named_otherwise_too(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(f"path,url,caption\n{plain},https://h/walk,walks\n")
    (item,) = Ingest((str(plain), str(tmp_path / "list.csv"))).items(FakeTables())
    outcome = Ingest().process(item)
    assert isinstance(outcome, Kept)
    assert [c["text"] for c in outcome.row["captions"]] == ["walks"]
    assert (outcome.row["source"], outcome.row["page_url"]) == (str(plain), "https://h/walk")


def test_downloads_come_with_what_their_platform_says(plain: Path, tmp_path: Path) -> None:
    known = {
        "item_id": "dl1", "path": str(plain), "url": "https://h/walk", "size_bytes": 9,
        "attempt": 1, "page_url": "https://h/page", "platform": "stage", "platform_id": "7",
        "title": "A walk", "uploader": "Ann", "downloaded": "2026-01-31", "licence": "CC BY",
    }  # fmt: skip
    gone = {**known, "item_id": "dl2", "path": "/no/such.mp4", "url": "https://h/gone"}
    failed = {"item_id": "dl3", "url": "https://h/failed", "outcome": "failed"}
    tables = FakeTables(downloads=[known, gone, failed])
    rows = "url,start,end,caption\nhttps://h/walk,0,1,a stroll\nhttps://h/failed,,,x\n"
    first, second = listed(tmp_path, rows, "https://h/walk", tables=tables)
    outcome = Ingest().process(first)
    assert isinstance(outcome, Kept)
    names = ("page_url", "platform", "platform_id", "title", "uploader", "downloaded", "licence")
    assert {name: outcome.row[name] for name in names} == {name: known[name] for name in names}
    assert outcome.row["source"] == "https://h/walk"
    assert [c["text"] for c in outcome.row["ranges"][0]["captions"]] == ["a stroll"]
    assert failure_of(second)[0] == "missing-file"
    (again, _) = Ingest().ids(FakeTables(downloads=[{**known, "attempt": 2}, gone]))
    assert again[0] == first.id and again[1] != first.stamp


def test_a_folder_of_pictures_is_one_video(tmp_path: Path) -> None:
    import cv2

    frames = tmp_path / "train" / "JPEGImages" / "v1"
    frames.mkdir(parents=True)
    for number, picture in enumerate(films.still(3)):
        cv2.imwrite(str(frames / f"{number:05d}.jpg"), picture)
    (tmp_path / "train" / "meta_expressions.json").write_text('{"videos": {}}')
    (item,) = Ingest((str(tmp_path),), frame_rate=10).items(FakeTables())
    outcome = Ingest(frame_rate=10).process(item)
    assert isinstance(outcome, Kept)
    assert (outcome.row["frames_decoded"], outcome.row["duration_s"]) == (3, pytest.approx(0.3))
    assert outcome.row["source"] == str(tmp_path)
