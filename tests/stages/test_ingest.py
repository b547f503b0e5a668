"""What `ingest` finds and records."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.errors import InputError, UsageError
from motionkit.records import TABLES
from motionkit.stage import Item, Kept
from motionkit.sources.listing import find_sources
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
    assert (row["decoder"], row["problems"], row["variable_rate"]) == ("decord", [], False)
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
