"""Damaged payload, repaired time stamps, and ordinals that mean the same in every pass."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from motionkit.errors import InputError
from motionkit.video.decode import choose_decoder, read_frames
from motionkit.video.planes import read_small
from motionkit.video.probe import index_packets
from motionkit.video.problems import problems_of
from motionkit.video.survey import rising, survey
from tests.video import films
from tests.video.encode import write_video

Change = Callable[[bytearray, int, int], None]


def payload_changed(source: Path, target: Path, places: list[int], change: Change) -> None:
    """``change(data, start, size)`` of the packets at ``places`` (in the order stored)."""
    with av.open(str(source)) as container:
        found = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(source.read_bytes())
    for place in places:
        change(data, *found[place])
    target.write_bytes(data)


def blanked(data: bytearray, start: int, size: int) -> None:
    data[start : start + size] = bytes(size)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """180 numbered frames, a key frame every 30."""
    path = tmp_path_factory.mktemp("films") / "long.mp4"
    frames = films.noisy(films.numbered(180), 2.0)
    write_video(path, frames, options={"g": "30", "bf": "2", "x264-params": "scenecut=0"})
    return path


@pytest.fixture(scope="module")
def hurt(long: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with two packets of the second group blanked."""
    path = tmp_path_factory.mktemp("films") / "hurt.mp4"
    payload_changed(long, path, [44, 52], blanked)
    return path


def numbers(path: Path, **options: object) -> list[int]:
    _, _, frames = films.frames_of(read_frames(str(path), **options))  # type: ignore[arg-type]
    return [films.number_of(f) for f in frames]


def test_a_sound_file_is_whole(long: Path) -> None:
    found = survey(str(long))
    assert found.whole
    assert (found.lost, found.cut, found.repaired) == (0, False, False)
    np.testing.assert_array_equal(found.times_s, index_packets(str(long)).times_s)
    assert problems_of(index_packets(str(long)), found) == []


def test_lost_pictures_leave_the_others_with_their_times(hurt: Path) -> None:
    found = survey(str(hurt))
    assert found.lost >= 2
    assert len(found.times_s) == 180 - found.lost
    codes = problems_of(index_packets(str(hurt)), found)
    assert "damaged-frames" in codes
    assert "truncated" not in codes
    # What is left is shown when it was shown before the damage.
    shown = np.round(found.times_s * 30).astype(int)
    seen = numbers(hurt, decoder="pyav-counted")
    far = (shown < 30) | (shown >= 60)  # the group in between may be smeared
    assert [n for n, ok in zip(seen, far, strict=True) if ok] == shown[far].tolist()


def test_every_pass_numbers_the_pictures_alike(hurt: Path) -> None:
    path, found = str(hurt), survey(str(hurt))
    assert sum(1 for _ in read_small(path)) == len(found.times_s)
    whole = films.frames_of(read_frames(path, decoder="pyav-counted"))
    np.testing.assert_array_equal(whole[1], found.times_s)
    for first in (0, 20, 59, 70, 150):
        picks = [first, first + 1, first + 9]
        part = films.frames_of(read_frames(path, decoder="pyav-counted", ordinals=picks))
        np.testing.assert_array_equal(part[1], found.times_s[picks])
        np.testing.assert_array_equal(part[2], whole[2][picks])


def test_too_much_damage_is_corrupt(long: Path, tmp_path: Path) -> None:
    payload_changed(long, tmp_path / "bad.mp4", list(range(40, 70)), blanked)
    with pytest.raises(InputError, match="of 180 pictures") as caught:
        survey(str(tmp_path / "bad.mp4"))
    assert caught.value.code == "corrupt"


def test_errors_that_a_decoder_conceals_are_seen(long: Path, tmp_path: Path) -> None:
    def flipped(data: bytearray, start: int, size: int) -> None:
        for at in range(start + size // 3, start + size, 5):
            data[at] ^= 0x55

    payload_changed(long, tmp_path / "flip.mp4", [90], flipped)
    found = survey(str(tmp_path / "flip.mp4"))
    assert found.lost or found.damaged.any()
    assert not found.whole


def test_a_cut_end_is_truncated_and_not_damaged(long: Path, tmp_path: Path) -> None:
    films.header_first(long, tmp_path / "whole.mp4")
    films.cut_off(tmp_path / "whole.mp4", tmp_path / "short.mp4", 0.7)
    path = str(tmp_path / "short.mp4")
    assert problems_of(index_packets(path), survey(path)) == ["truncated"]
    assert choose_decoder(path) == "pyav-counted"
    count = len(survey(path).times_s)
    assert numbers(Path(path), ordinals=[0, 60, count - 1]) == [0, 60, count - 1]


def test_joined_recordings_go_on(tmp_path: Path) -> None:
    """A transport stream whose time stamps begin anew in the middle."""
    write_video(tmp_path / "one.ts", films.numbered(20))
    data = (tmp_path / "one.ts").read_bytes()
    joined = tmp_path / "joined.ts"
    joined.write_bytes(data + data)
    found = survey(str(joined))
    assert len(found.times_s) == 40
    assert (np.diff(found.times_s) > 0).all()
    assert "times-not-rising" in problems_of(index_packets(str(joined)), found)
    ordinals, times, frames = films.frames_of(read_frames(str(joined), decoder="pyav-counted"))
    assert [films.number_of(f) for f in frames] == [*range(20), *range(20)]
    np.testing.assert_array_equal(times, found.times_s)
    assert ordinals.tolist() == list(range(40))


def test_rising_repairs_as_said() -> None:
    def repaired(*stamps: float | None) -> list[float]:
        return [round(float(t), 6) for t in rising(stamps, 1.0)]

    assert repaired(5, 6, 7) == [0, 1, 2]
    assert repaired(0, 1, 1, 3) == [0, 1, 2, 3]  # the second 1 lies between its neighbours
    assert repaired(0, None, 2, None) == [0, 1, 2, 3]
    assert repaired(None, 4, 6) == [0, 1, 3]
    assert repaired(None, None) == [0, 1]
    assert repaired(0, 2, 1, 3) == [0, 0.5, 1, 3]
    anew = [*range(30), *range(30)]
    assert repaired(*anew) == list(range(60))
    late = [*range(100, 130), *range(30)]
    assert repaired(*late) == list(range(60))


def test_size_changes_are_seen_and_scaled(tmp_path: Path) -> None:
    path = tmp_path / "joined.ts"
    small, large = films.numbered(12), [f.repeat(2, 0).repeat(2, 1) for f in films.numbered(12)]
    write_video(tmp_path / "a.ts", small)
    write_video(tmp_path / "b.ts", large)
    path.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    found = survey(str(path))
    assert found.size_changes
    assert (found.width, found.height) == (128, 96)
    assert numbers(path, decoder="pyav-counted") == [*range(12), *range(12)]
