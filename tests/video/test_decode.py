"""Frames, ordinals and times, the same from both decoders; files of every kind."""

from pathlib import Path

import numpy as np
import pytest

from motionkit.errors import InputError
from motionkit.video.decode import choose_decoder, read_frames
from tests.video import films
from tests.video.encode import write_video


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty numbered frames with B-frames and several key frames."""
    path = tmp_path_factory.mktemp("films") / "counted.mp4"
    write_video(path, films.numbered(60))
    return path


def numbers(path: Path, **options: object) -> list[int]:
    _, _, frames = films.frames_of(read_frames(str(path), **options))  # type: ignore[arg-type]
    return [films.number_of(f) for f in frames]


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
def test_every_frame_comes_once_and_in_order(counted: Path, decoder: str) -> None:
    ordinals, times, frames = films.frames_of(read_frames(str(counted), decoder=decoder))
    assert ordinals.tolist() == list(range(60))
    assert times == pytest.approx(np.arange(60) / 30)
    assert frames.shape == (60, 96, 128, 3)
    assert frames.dtype == np.uint8
    assert [films.number_of(f) for f in frames] == list(range(60))


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
def test_ranges_steps_and_repeats(counted: Path, decoder: str) -> None:
    assert numbers(counted, decoder=decoder, first=31, last=40, step=3) == [31, 34, 37, 40]
    assert numbers(counted, decoder=decoder, ordinals=[0, 5, 5, 41, 59]) == [0, 5, 5, 41, 59]
    assert numbers(counted, decoder=decoder, first=57, last=70) == [57, 58, 59]
    assert list(read_frames(str(counted), decoder=decoder, ordinals=[])) == []


def test_both_decoders_give_the_same_bytes(counted: Path) -> None:
    for options in ({"max_height": 50, "step": 7}, {"first": 45}):
        one = films.frames_of(read_frames(str(counted), decoder="decord", **options))  # type: ignore[arg-type]
        other = films.frames_of(read_frames(str(counted), decoder="pyav", **options))  # type: ignore[arg-type]
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_chunks_are_bounded_and_shrunk(counted: Path) -> None:
    chunks = list(read_frames(str(counted), chunk=25, max_height=48))
    assert [len(c.ordinals) for c in chunks] == [25, 25, 10]
    assert chunks[0].frames.shape == (25, 48, 64, 3)


def test_large_pictures_make_small_chunks(counted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motionkit.video.decode.CHUNK_BYTES", 3 * 96 * 128 * 3)
    for decoder in ("decord", "pyav"):
        chunks = list(read_frames(str(counted), decoder=decoder, last=9, chunk=8))
        assert [len(c.ordinals) for c in chunks] == [3, 3, 3, 1]


def test_arguments_without_sense_are_refused(counted: Path) -> None:
    for options in ({"decoder": "vlc"}, {"chunk": 0}, {"step": 0}, {"ordinals": [3, 2]}):
        with pytest.raises(ValueError):
            read_frames(str(counted), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_rotation_is_applied_by_both(counted: Path, tmp_path: Path, clockwise: int) -> None:
    turned = tmp_path / "turned.mp4"
    films.rotated(counted, turned, clockwise)
    upright = films.frames_of(read_frames(str(counted), last=3))[2]
    expected = np.rot90(upright, -(clockwise // 90), axes=(1, 2))
    for decoder in ("decord", "pyav"):
        frames = films.frames_of(read_frames(str(turned), decoder=decoder, last=3))[2]
        np.testing.assert_array_equal(frames, expected)


def test_edit_list_hides_the_frames_before_the_cut(counted: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    films.cut_with_edit_list(counted, cut, 0.5)
    assert choose_decoder(str(cut)) == "pyav"
    ordinals, times, frames = films.frames_of(read_frames(str(cut)))
    assert [films.number_of(f) for f in frames] == list(range(15, 60))
    assert ordinals[0] == 0
    assert times[0] == 0.0
    assert numbers(cut, ordinals=[10, 30]) == [25, 45]


def test_variable_rate_keeps_presentation_times(tmp_path: Path) -> None:
    path = tmp_path / "variable.mp4"
    shown_at = [0.0, 0.1, 0.15, 0.4, 0.5, 1.0]
    write_video(path, films.numbered(6), times_s=shown_at)
    for decoder in ("decord", "pyav"):
        _, times, _ = films.frames_of(read_frames(str(path), decoder=decoder))
        assert times == pytest.approx(shown_at, abs=1e-4)


@pytest.mark.parametrize("name", ["stream.ts", "film.mkv", "old.avi", "film.flv"])
def test_other_containers(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_video(path, films.numbered(40))
    _, times, frames = films.frames_of(read_frames(str(path)))
    assert [films.number_of(f) for f in frames] == list(range(40))
    assert times == pytest.approx(np.arange(40) / 30, abs=1e-3)
    assert numbers(path, ordinals=[3, 33]) == [3, 33]


def test_decord_is_never_chosen(counted: Path, tmp_path: Path) -> None:
    """Its pictures stay in memory: 600 of 1080p took 3 GB."""
    path = tmp_path / "stream.ts"
    write_video(path, films.numbered(20))
    assert {choose_decoder(str(p)) for p in (counted, path)} == {"pyav"}


def test_av1_is_read_with_pyav(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    if "libsvtav1" not in av.codecs_available:
        pytest.skip("this PyAV cannot encode AV1")
    path = tmp_path / "new.mp4"
    write_video(path, films.numbered(12), codec="libsvtav1")
    assert choose_decoder(str(path)) == "pyav"
    assert numbers(path) == list(range(12))


def test_truncated_file_gives_the_frames_it_has(counted: Path, tmp_path: Path) -> None:
    whole, short = tmp_path / "whole.mp4", tmp_path / "short.mp4"
    films.header_first(counted, whole)
    films.cut_off(whole, short, 0.8)
    assert choose_decoder(str(short)) == "pyav-counted"
    found = numbers(short)
    assert 20 < len(found) < 60
    assert found == list(range(len(found)))


def test_tiny_pictures(tmp_path: Path) -> None:
    path = tmp_path / "tiny.mp4"
    write_video(path, [np.full((16, 16, 3), 20 * i, np.uint8) for i in range(5)])
    _, _, frames = films.frames_of(read_frames(str(path)))
    assert [round(f.mean() / 20) for f in frames] == [0, 1, 2, 3, 4]


def test_one_frame_and_odd_sizes(tmp_path: Path) -> None:
    path = tmp_path / "one.mp4"
    assert write_video(path, [np.full((95, 131, 3), 90, np.uint8)]) == 1
    _, times, frames = films.frames_of(read_frames(str(path)))
    assert frames.shape == (1, 94, 130, 3)
    assert times.tolist() == [0.0]


@pytest.mark.real
def test_a_real_damaged_file_is_read_around_its_damage(real_data: Path) -> None:
    path = str(real_data / "videos" / "decord_corrupted.mp4")
    with pytest.raises(InputError, match="damaged") as caught:
        list(read_frames(path, decoder="decord"))
    assert caught.value.code == "corrupt"
    ordinals, times, _ = films.frames_of(read_frames(path, decoder="pyav-counted"))
    assert ordinals.tolist() == list(range(49))  # of 50
    assert (np.diff(times) > 0).all()


@pytest.mark.real
@pytest.mark.parametrize(
    "name", ["decord_rot_90.mov", "gvhmr_tennis.mp4", "asl/eat.mkv", "sports2d_demo.mp4"]
)
def test_real_files_agree_bit_for_bit(real_data: Path, name: str) -> None:
    path = str(real_data / "videos" / name)
    picks = [0, 1, 2] if "rot" in name else [0, 3, 40, 41]
    one = films.frames_of(read_frames(path, decoder="decord", ordinals=picks))
    other = films.frames_of(read_frames(path, decoder="pyav", ordinals=picks))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
