"""The video hash: the same for changed copies, another one for other films, bounded work."""

from collections.abc import Iterable

import cv2
import numpy as np
import pytest

from motionkit.duplicates.words import (
    BITS,
    NOTHING,
    STRONG,
    WEAK,
    distance,
    even,
    levels,
    mirrored,
    signs,
)
from motionkit.video.video_hash import VideoHasher
from tests.video import films

Planes = list[np.ndarray]


def grey(frames: Iterable[np.ndarray]) -> Planes:
    return [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]


def walk(count: int = 90, seed: int = 3) -> Planes:
    """Someone crosses a room before a standing camera, at 30 frames/s."""
    return grey(films.with_person(films.still(count, seed), 30, 290))


def hashed(
    planes: Planes, fps: float = 30.0, start_s: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    hasher = VideoHasher()
    for i, plane in enumerate(planes):
        hasher.step(plane, start_s + i / fps)
    times, hashes = hasher.result()
    return times, even(times, hashes)


def test_two_words_for_every_quarter_second() -> None:
    hasher = VideoHasher()
    for i, plane in enumerate(walk(60)):
        hasher.step(plane, 5.0 + i / 30)
    times, hashes = hasher.result()
    assert times.dtype == np.float64
    assert hashes.dtype == np.int64
    np.testing.assert_allclose(times, 5.125 + 0.25 * np.arange(8))
    assert hashes.shape == (16,)


def test_a_copy_of_another_size_rate_and_brightness_has_nearly_the_same_words() -> None:
    _, original = hashed(walk())
    changed = [
        cv2.resize(np.clip(p * 0.8 + 25, 0, 255).astype(np.uint8), (200, 150)) for p in walk()[::2]
    ]
    _, copy = hashed(changed, 15.0)
    assert len(copy) == len(original)
    bits = distance(original, copy)
    assert bits[:, 0].max() <= 5
    assert bits[1:-1, 1].max() <= 12
    assert bits[:, 1].mean() <= 5


def test_a_copy_that_begins_between_two_instants_is_still_near() -> None:
    _, original = hashed(walk(120))
    _, copy = hashed(walk(120)[19:])  # 0.63 s later: as far from an instant as can be
    best = [distance(original[k : k + len(copy) - 4, 1], copy[2:-2, 1]).mean() for k in (4, 5)]
    assert min(best) <= 12


def test_two_people_in_one_room_differ_in_change_alone() -> None:
    room = films.still(90, 3)
    _, one = hashed(grey(films.with_person(room, 30, 290)))
    _, other = hashed(grey(films.with_person(room, 200, 60)))
    assert distance(one, other)[:, 0].mean() <= 18
    assert distance(one, other)[:, 1].mean() >= 22


def test_nothing_moving_and_flat_pictures_are_no_evidence() -> None:
    _, still = hashed(grey(films.still(60)))
    assert (levels(still[:, 1]) == NOTHING).all()
    assert (levels(still[:, 0]) == STRONG).all()
    _, black = hashed([np.full((90, 160), 16, np.uint8)] * 60)
    assert (levels(black) == NOTHING).all()
    assert (black[:, 0] == 16).all()  # the brightness instead


def test_movement_is_strong_evidence_and_faint_movement_weak() -> None:
    _, words = hashed(walk())
    assert (levels(words[1:-1, 1]) == STRONG).all()
    faint = films.still(60)[0]
    planes = [p // 2 + faint[..., 0] // 2 for p in walk(60)]
    steady = np.mean(planes, 0)
    fainter = [(steady + (p - steady) * 0.12).round().astype(np.uint8) for p in planes]
    assert WEAK in levels(hashed(fainter)[1][:, 1])


def test_black_bars_do_not_change_the_words() -> None:
    _, original = hashed(walk())
    _, barred = hashed([np.pad(p, ((30, 30), (0, 0)), constant_values=16) for p in walk()])
    assert distance(original, barred).max() <= 8
    assert distance(original, barred).mean() <= 2


def test_a_mirrored_copy_has_the_mirrored_words() -> None:
    _, original = hashed(walk())
    _, copy = hashed([np.ascontiguousarray(p[:, ::-1]) for p in walk()])
    assert distance(mirrored(original), copy)[1:].mean() <= 1
    assert distance(original, copy)[1:].mean() >= 12


def test_a_gap_in_the_times_leaves_instants_out() -> None:
    hasher = VideoHasher()
    planes = walk(60)
    for i, plane in enumerate(planes):
        hasher.step(plane, i / 30 + (1000.0 if i >= 30 else 0.0))
    times, hashes = hasher.result()
    assert len(times) * 2 == len(hashes)
    assert len(times) < 60  # the picture before the gap stands for ten seconds at most
    assert times[-1] > 1000


@pytest.mark.parametrize("bad", [[0.0, 0.0, 0.0], [2.0, 1.0, 0.5], [0.0, np.nan, np.inf]])
def test_times_that_do_not_rise_are_left_out(bad: list[float]) -> None:
    hasher = VideoHasher()
    for plane, time_s in zip(walk(3), bad, strict=True):
        hasher.step(plane, time_s)
    times, hashes = hasher.result()
    assert len(times) == 1
    assert len(hashes) == 2


def test_no_frame_gives_no_words() -> None:
    times, hashes = VideoHasher().result()
    assert times.shape == (0,)
    assert hashes.shape == (0,)


def test_few_frames_of_many_are_looked_at() -> None:
    hasher = VideoHasher()
    looked = []
    hasher._waves = lambda luma: looked.append(1) or np.zeros((8, 8), np.float32)  # type: ignore[method-assign,func-returns-value,assignment]
    for i in range(240):
        hasher.step(np.zeros((16, 16), np.uint8), i / 120)
    assert len(looked) == 16


def test_a_day_is_the_most_that_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motionkit.video.video_hash._MOST", 40)
    hasher = VideoHasher()
    for i in range(300):
        hasher.step(np.zeros((16, 16), np.uint8), i / 10)
    assert 40 <= len(hasher.result()[0]) <= 42


def test_planes_of_one_pixel_are_hashed() -> None:
    _, words = hashed([np.full((1, 1), 90, np.uint8)] * 10)
    assert (levels(words) == NOTHING).all()
    assert (signs(words[:, 0]) == 90).all()
    assert BITS == 62
