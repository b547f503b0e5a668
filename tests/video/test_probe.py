"""Facts of files, and every way in which a file can be unusable."""

import os
from pathlib import Path

import numpy as np
import pytest

from motionkit.errors import InputError
from motionkit.video import container
from motionkit.video.probe import frame_rate, is_variable, probe
from tests.video import films
from tests.video.encode import write_video


def code_of(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        probe(str(path))
    assert len(caught.value.message) < 200
    return caught.value.code


def test_facts_of_a_plain_file(tmp_path: Path) -> None:
    path = tmp_path / "plain.mp4"
    write_video(path, films.numbered(25), 25)
    info = probe(str(path))
    assert (info.width, info.height, info.rotation, info.codec) == (128, 96, 0, "h264")
    assert (info.frames, info.frames_declared, info.fps) == (25, 25, 25.0)
    assert info.duration_s == pytest.approx(1.0)
    assert not (info.variable_rate or info.edit_list or info.truncated)


def test_size_is_given_as_shown(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", films.numbered(2))
    films.rotated(tmp_path / "a.mp4", tmp_path / "b.mp4", 270)
    info = probe(str(tmp_path / "b.mp4"))
    assert (info.width, info.height, info.rotation) == (96, 128, 270)


def test_matroska_rounds_times_but_the_rate_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "ticks.mkv"
    write_video(path, films.numbered(20), 30)
    info = probe(str(path))
    assert info.frames_declared is None
    assert info.fps == 30.0
    assert not info.variable_rate


@pytest.mark.parametrize("name", ["cut.mkv", "cut.mp4"])
def test_a_missing_end_is_noticed(tmp_path: Path, name: str) -> None:
    plain, whole = tmp_path / f"plain_{name}", tmp_path / f"whole_{name}"
    write_video(plain, films.numbered(60))
    films.header_first(plain, whole)
    films.cut_off(whole, tmp_path / name, 0.7)
    assert not probe(str(whole)).truncated
    assert probe(str(tmp_path / name)).truncated


def test_a_variable_rate_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "variable.mp4"
    write_video(path, films.numbered(4), times_s=[0.0, 0.1, 0.15, 0.4])
    info = probe(str(path))
    assert info.variable_rate
    assert info.times_s == pytest.approx([0, 0.1, 0.15, 0.4], abs=1e-4)
    assert info.fps == pytest.approx(4 / info.duration_s)


def test_rounded_ticks_are_no_variable_rate() -> None:
    assert not is_variable(np.round(np.arange(90) / 30, 3))
    assert not is_variable(np.round(np.arange(90) / 60, 3))
    assert not is_variable([0.0])
    assert is_variable([0, 0.033, 0.066, 0.133])


def test_declared_rate_is_taken_only_where_it_fits() -> None:
    times = np.round(np.arange(60) / 30, 3)
    assert frame_rate(times, 1.999, 30.0) == 30.0
    assert frame_rate(times, 1.999, 25.0) == pytest.approx(60 / 1.999)


def test_unusable_files_have_their_codes(tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    text = tmp_path / "letter.mp4"
    text.write_text("Dear Sir or Madam,\n" * 200)
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(np.random.default_rng(0).bytes(5000))
    sound = tmp_path / "sound.mp4"
    films.sound_only(sound)
    write_video(tmp_path / "whole.mp4", films.numbered(30))
    headless = tmp_path / "headless.mp4"
    films.cut_off(tmp_path / "whole.mp4", headless, 0.5)  # the header stands at the end
    assert code_of(tmp_path / "absent.mp4") == "missing-file"
    os.mkfifo(tmp_path / "pipe.mp4")  # opening it would wait for a writer
    assert code_of(tmp_path / "pipe.mp4") == "not-a-file"
    assert code_of(empty) == "empty-file"
    assert code_of(text) == "not-a-video"
    assert code_of(noise) == "not-a-video"
    assert code_of(sound) == "no-video-stream"
    assert code_of(headless) == "corrupt"


def test_playlists_and_pictures_are_not_opened(tmp_path: Path) -> None:
    write_video(tmp_path / "secret.ts", films.numbered(10))
    playlist = tmp_path / "list.mp4"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n")
    assert code_of(playlist) == "not-a-video"
    concat = tmp_path / "concat.mp4"
    concat.write_text("ffconcat version 1.0\nfile secret.ts\n")
    assert code_of(concat) == "not-a-video"


def test_absurd_sizes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "wide.mp4"
    write_video(path, films.numbered(2))
    monkeypatch.setattr(container, "MAX_SIDE", 100)
    assert code_of(path) == "picture-too-large"
