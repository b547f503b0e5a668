"""How long the videos are, by their headers or by their sizes."""

import json
from pathlib import Path

import pytest

from motionkit.errors import UsageError
from motionkit.plan.population import read_headers, take_stock, used_seconds
from motionkit.sources.manifest import Row
from tests.video import films
from tests.video.encode import write_video


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for name, frames in (("a.mp4", 30), ("b.mkv", 60), ("c.mp4", 45)):
        write_video(folder / name, films.numbered(frames))
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "letter.mp4").write_text("dear sir or madam")
    return folder


def test_lengths_come_from_headers_and_broken_files_take_no_time(videos: Path) -> None:
    found = take_stock([str(videos)], frame_rate=5)
    lengths = {Path(v.path).name: round(v.seconds, 2) for v in found.videos}
    assert lengths == {"a.mp4": 1.0, "b.mkv": 2.0, "c.mp4": 1.5, "empty.mp4": 0, "letter.mp4": 0}
    assert (found.probed, found.unreadable) == (5, 2)
    assert found.seconds == pytest.approx(4.5, abs=0.05)
    assert found.videos[0].pixels > 0
    assert found.videos[0].rate == 30


def test_of_many_files_some_are_opened_and_the_others_follow_their_size(videos: Path) -> None:
    names = [str(videos / name) for name in ("a.mp4", "b.mkv", "c.mp4")]
    found = take_stock(names, frame_rate=5, most=1, seed=0)
    assert found.probed == 1
    known = next(v for v in found.videos if v.probed)
    for video in found.videos:
        expected = video.bytes * known.seconds / known.bytes
        assert video.seconds == pytest.approx(expected)


def test_only_the_stretches_of_a_manifest_count_as_used(videos: Path, tmp_path: Path) -> None:
    rows = [
        {"path": str(videos / "a.mp4"), "start": 0.2, "end": 0.5},
        {"path": str(videos / "a.mp4"), "start": 0.9, "end": 7},
        {"path": str(videos / "b.mkv")},
    ]
    manifest = tmp_path / "list.jsonl"
    manifest.write_text("\n".join(json.dumps(row) for row in rows))
    found = take_stock([str(manifest)], frame_rate=5)
    assert [round(v.used_s, 2) for v in found.videos] == [0.4, 2.0]
    assert found.seconds == pytest.approx(3.0, abs=0.05)


def test_the_same_stretch_in_two_rows_is_used_once() -> None:
    row = Row(1, "/v.mp4", None, 1.0, 2.0, [], None, None)
    assert used_seconds([row, row], 10.0) == 1.0
    assert used_seconds([], 10.0) == 10.0


def test_nothing_but_broken_files_is_told(tmp_path: Path) -> None:
    (tmp_path / "letter.mp4").write_text("dear sir or madam")
    with pytest.raises(UsageError, match="none of 1 files"):
        take_stock([str(tmp_path)], frame_rate=5)


def test_headers_keep_the_order_of_the_files(videos: Path) -> None:
    names = ["b.mkv", "letter.mp4", "a.mp4"]
    found = read_headers([str(videos / name) for name in names])
    assert [round(header.seconds or 0, 1) for header in found] == [2.0, 0.0, 1.0]
