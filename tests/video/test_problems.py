"""Which codes hold, from made-up facts and from files."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from motionkit.video.probe import PacketIndex, index_packets
from motionkit.video.problems import problems_of
from motionkit.video.survey import Survey, survey
from tests.video import films
from tests.video.encode import write_video


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[PacketIndex, Survey]:
    path = tmp_path_factory.mktemp("films") / "plain.mp4"
    write_video(path, films.numbered(40))
    return index_packets(str(path)), survey(str(path))


def test_a_plain_file_has_none(plain: tuple[PacketIndex, Survey]) -> None:
    assert problems_of(*plain) == []


@pytest.mark.parametrize(
    ("index", "found", "code"),
    [
        ({"truncated": True}, {}, "truncated"),
        ({}, {"cut": True}, "truncated"),
        ({}, {"lost": 1}, "damaged-frames"),
        ({}, {"damaged": np.eye(1, 40, dtype=bool)[0]}, "damaged-frames"),
        ({"edit_list": True}, {}, "edit-list"),
        ({}, {"repaired": True}, "times-not-rising"),
        ({"timed": False}, {}, "no-timestamps"),
        ({"start_s": 0.6}, {}, "late-start"),
        ({"rate_declared": 25.0}, {}, "rate-mismatch"),
        ({"rate_declared": None}, {}, "rate-mismatch"),
        ({"frames_declared": None}, {}, "no-frame-count"),
        ({"frames_declared": 41}, {}, "frame-count-mismatch"),
        ({}, {"rotation": 90}, "rotated"),
        ({}, {"size_changes": True}, "size-changes"),
        ({}, {"interlaced": True}, "interlaced"),
        ({}, {"bits": 10}, "high-bit-depth"),
        ({"pixel_aspect": 4 / 3}, {}, "non-square-pixels"),
        ({"streams": 2}, {}, "several-video-streams"),
    ],
)
def test_each_code_has_its_cause(
    plain: tuple[PacketIndex, Survey], index: dict, found: dict, code: str
) -> None:
    changed = dataclasses.replace(plain[0], **index), dataclasses.replace(plain[1], **found)
    assert problems_of(*changed) == [code]


def test_a_gap_is_a_second_and_ten_pictures(plain: tuple[PacketIndex, Survey]) -> None:
    def codes(*times_s: float) -> set[str]:
        return set(problems_of(plain[0], dataclasses.replace(plain[1], times_s=np.array(times_s))))

    gap = codes(0, 0.1, 0.2, 0.3, 1.4)
    assert {"time-gap", "variable-rate"} <= gap
    assert "time-gap" not in codes(0, 0.1, 0.2, 0.3, 1.2)
    assert "time-gap" not in codes(0, 2, 4, 6, 20)  # a slide show


def test_turned_matroska_is_turned_everywhere(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", films.numbered(4))
    films.rotated(tmp_path / "a.mp4", tmp_path / "b.mkv", 90)
    path = str(tmp_path / "b.mkv")
    assert "rotated" in problems_of(index_packets(path), survey(path))
