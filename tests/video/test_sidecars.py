"""Captions and licences beside a video, and sidecars that cannot be read."""

import json
from pathlib import Path

import pytest

from motionkit.video import sidecars
from motionkit.video.sidecars import clean_text, read_sidecars


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "clip 1.mp4"
    path.touch()
    return path


def test_all_sorts_add_up_once_each(video: Path) -> None:
    video.with_suffix(".txt").write_text("a person walks\n\na person waves\n", encoding="utf-8")
    video.with_suffix(".json").write_text(
        json.dumps({"captions": ["a person walks", "ein Mensch läuft"], "license": "CC0"}),
        encoding="utf-8",
    )
    video.with_name("captions.csv").write_text(
        'file,caption,licence\nclip 1.mp4,"bows, twice",MIT\nother.mp4,sits,\nclip 1,turns,\n',
        encoding="utf-8",
    )
    found = read_sidecars(str(video))
    assert [c["text"] for c in found.captions] == [
        "a person walks", "a person waves", "ein Mensch läuft", "bows, twice", "turns",
    ]  # fmt: skip
    assert {c["source"] for c in found.captions} == {"sidecar"}
    assert json.loads(found.captions[0]["detail"]) == {"file": "clip 1.txt", "key": "1"}
    assert found.licence == "CC0"
    assert not found.bad


def test_a_single_caption_in_json(video: Path) -> None:
    video.with_suffix(".json").write_text('{"caption": "jumps", "licence": "by"}')
    found = read_sidecars(str(video))
    assert ([c["text"] for c in found.captions], found.licence) == (["jumps"], "by")


def test_nothing_there(video: Path) -> None:
    found = read_sidecars(str(video))
    assert (found.captions, found.licence, found.bad) == ([], None, False)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("clip 1.json", b"{not json"),
        ("clip 1.json", b"[" * 100_000),
        ("clip 1.json", b'["a list"]'),
        ("clip 1.json", b'{"captions": [1, 2]}'),
        ("clip 1.txt", b"\xff\xfe\x00broken"),
        ("metadata.csv", b"name,text\nclip 1.mp4,walks\n"),
    ],
)
def test_a_bad_sidecar_is_reported_not_fatal(video: Path, name: str, content: bytes) -> None:
    video.with_name(name).write_bytes(content)
    video.with_name("captions.csv").write_text("file,caption\nclip 1.mp4,walks\n")
    found = read_sidecars(str(video))
    assert found.bad
    assert [c["text"] for c in found.captions] == ["walks"]


def test_huge_sidecars_are_refused(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidecars, "MAX_BYTES", 10)
    video.with_suffix(".txt").write_text("a person walks")
    assert read_sidecars(str(video)).bad


def test_texts_are_cleaned_and_bounded() -> None:
    assert clean_text("  walks\tto\x1b[31m the \u202eleft\x00 ") == "walks to[31m the left"
    assert len(clean_text("x" * 5000)) == sidecars.MAX_CHARACTERS
    assert clean_text("\x07\n") == ""
