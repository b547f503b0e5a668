"""A piece of a video without encoding."""

from pathlib import Path

import pytest

from motionkit.plan.population import header_of
from motionkit.plan.stretch import copy_stretch
from motionkit.video.probe import index_packets
from tests.video import films
from tests.video.encode import write_video


@pytest.mark.parametrize("name", ["long.mp4", "long.mkv"])
def test_a_stretch_begins_at_a_key_frame_and_is_as_long_as_asked(tmp_path: Path, name: str) -> None:
    film = tmp_path / name
    write_video(film, films.numbered(120), options={"g": "30"})
    piece = tmp_path / "piece.mkv"
    copied = copy_stretch(str(film), piece, 1.5, 1.0)
    assert copied == pytest.approx(1.0, abs=0.15)
    found = index_packets(str(piece))
    assert len(found.times_s) == pytest.approx(30, abs=4)
    assert found.keys[0]
    assert header_of(str(piece)).seconds == pytest.approx(copied, abs=0.1)


def test_a_stretch_ends_with_its_video(tmp_path: Path) -> None:
    film = tmp_path / "short.mp4"
    write_video(film, films.numbered(30))
    assert copy_stretch(str(film), tmp_path / "p.mkv", 0.0, 60) == pytest.approx(1.0, abs=0.05)
