"""Near-duplicates among many videos: copies are found, one room with two people is not a copy."""

import random
from itertools import pairwise

import numpy as np
import pytest

from motionkit.duplicates import Pair, Video, find_groups, find_pairs, groups_of
from motionkit.duplicates import candidates as candidates_module
from motionkit.duplicates.words import BITS, NOTHING, STRONG, mirrored, pack


def film(seed: int, seconds: float = 20.0, room: int | None = None) -> np.ndarray:
    """Words [N, 2] of a made-up film: pictures of one room, and changes that go on steadily."""
    rng = np.random.default_rng([7, seed])
    count = round(seconds * 4)
    look = np.random.default_rng([8, seed if room is None else room]).standard_normal(BITS)
    keys = rng.standard_normal((count // 3 + 3, BITS))
    place = np.arange(count) / 3
    low, share = place.astype(int), (place % 1)[:, None]
    change = keys[low] * (1 - share) + keys[low + 1] * share
    looks = look + 0.15 * rng.standard_normal((count, BITS))
    strong = np.full(count, STRONG)
    return np.stack([pack(looks > 0, strong), pack(change > 0, strong)], -1).view(np.uint64)


def noisy(words: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """Each sign turned over with the chance ``share``."""
    rng = np.random.default_rng([9, seed])
    flips = rng.random((*words.shape, 64)) < share
    flips[..., BITS:] = False
    return words ^ np.packbits(flips, axis=-1, bitorder="little").view(np.uint64)[..., 0]


def row(name: str, words: np.ndarray, start_s: float = 0.0) -> Video:
    times = start_s + 0.125 + 0.25 * np.arange(len(words))
    return name, times, np.ascontiguousarray(words).view(np.int64).ravel()


def test_a_trimmed_noisy_copy_is_found_with_overlap_and_offset() -> None:
    words = film(1)
    copy = noisy(words[20:44], 0.08)
    pairs = find_pairs([row("film", words, 100.0), row("copy", copy), row("other", film(2))])
    assert [(p.a, p.b) for p in pairs] == [("copy", "film")]
    assert pairs[0].score >= 0.9
    assert pairs[0].overlap_s == 6.0
    assert pairs[0].offset_s == pytest.approx(100.0 + 5.0, abs=0.26)
    assert not pairs[0].mirrored


def test_two_seconds_are_enough() -> None:
    words = film(3, 60)
    found = find_pairs([row("a", words), row("b", noisy(words[100:108], 0.05))])
    assert len(found) == 1


def test_a_copy_between_two_instants_is_found() -> None:
    """Each sign is that of one of the two instants beside it."""
    words = film(4)
    after = np.vstack([words[1:], words[-1:]])
    half = np.random.default_rng(0).integers(0, 1 << 62, words.shape).astype(np.uint64)
    between = (words & ~half) | (after & half)
    assert find_pairs([row("a", words), row("b", between[8:24])])


def test_other_people_in_the_same_room_are_not_copies() -> None:
    videos = [row(f"v{k}", film(k, room=0)) for k in range(15)]
    assert find_groups(videos) == {f"v{k}": f"v{k}" for k in range(15)}


def test_a_shared_opening_does_not_make_a_pair() -> None:
    opening = film(50, 5)
    videos = [row(f"v{k}", np.vstack([opening, film(k, 20)])) for k in range(4)]
    assert find_pairs(videos) == []


def test_mirror_images_are_found_and_said_to_be_so() -> None:
    words = film(5)
    found = find_pairs([row("a", words), row("b", noisy(mirrored(words), 0.04))])
    assert [(p.a, p.b, p.mirrored) for p in found] == [("a", "b", True)]


def test_black_still_and_fading_films_make_no_pairs() -> None:
    black = np.full((40, 2), 16, np.uint64)
    black[:, 1] = 0
    fade = black.copy()
    fade[:, 0] = np.linspace(16, 235, 40).astype(np.uint64)
    part = film(6)
    part[:20] = black[:20]
    other = film(7)
    other[:20] = black[:20]
    videos = [row("b1", black), row("b2", black), row("f1", fade), row("f2", fade[5:])]
    assert find_pairs([*videos, row("p1", part), row("p2", other)]) == []


def test_flat_films_whose_brightness_swings_alike_are_copies() -> None:
    def swing(times: np.ndarray, period: float) -> np.ndarray:
        words = np.zeros((len(times), 2), np.uint64)
        words[:, 0] = np.round(125 + 100 * np.sin(times / period * 2 * np.pi)).astype(np.uint64)
        return words

    steps = np.arange(0, 10, 0.25)
    videos = [row("a", swing(steps, 3.2)), row("b", swing(steps[4:24] + 0.1, 3.2))]
    videos += [row("c", swing(steps, 1.7))]
    assert [(p.a, p.b) for p in find_pairs(videos)] == [("a", "b")]


def test_still_films_need_the_same_picture() -> None:
    def still(seed: int, seconds: float) -> np.ndarray:
        words = np.repeat(film(seed, 1)[:1], round(seconds * 4), 0)
        words[:, 1] = pack(np.zeros((len(words), BITS), bool), np.full(len(words), NOTHING)).view(
            np.uint64
        )
        return words

    moving = film(60)
    moving[:, 0] = still(60, 20)[0, 0]
    videos = [row("a", still(60, 5)), row("b", noisy(still(60, 2), 0.03)), row("c", still(61, 5))]
    assert [(p.a, p.b) for p in find_pairs([*videos, row("moving", moving)])] == [("a", "b")]


def test_groups_are_named_by_their_smallest_id_and_reach_through_others() -> None:
    words = film(8, 40)
    videos = [
        row("m-whole", words),
        row("z-begin", noisy(words[:60], 0.03)),
        row("b-end", noisy(words[100:], 0.03)),
        row("alone", film(9)),
    ]
    assert find_groups(iter(videos)) == {
        "m-whole": "b-end",
        "z-begin": "b-end",
        "b-end": "b-end",
        "alone": "alone",
    }


def test_the_order_of_the_videos_does_not_matter() -> None:
    videos = [row(f"v{k:02d}", film(k % 6, 20)[k:]) for k in range(24)]
    first = find_pairs(videos)
    assert len(first) >= 30
    random.Random(1).shuffle(videos)
    assert find_pairs(videos) == first


def test_sorted_orders_find_what_comparing_all_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large collection gets few neighbours a word; the copies must be among them."""
    videos = [row(f"v{k:03d}", film(k, 15)) for k in range(150)]
    videos += [row(f"w{k:03d}", noisy(film(k, 15)[11:40], 0.05, k)) for k in range(150)]
    monkeypatch.setattr(candidates_module, "_COMPARISONS", 1)
    assert [(p.a, p.b) for p in find_pairs(videos)] == [
        (f"v{k:03d}", f"w{k:03d}") for k in range(150)
    ]


def test_gaps_in_the_times_are_bridged() -> None:
    words = film(10)
    times = np.arange(len(words)) * 0.25
    times[40:] += 3600.0
    name, _, hashes = row("a", words)
    copy = row("b", noisy(words[30:60], 0.03))
    gap = copy[1].copy()
    gap[10:] += 3600.0
    assert len(find_pairs([(name, times, hashes), ("b", gap, copy[2])])) == 1


def test_what_does_not_belong_together_is_refused() -> None:
    name, times, hashes = row("a", film(1))
    with pytest.raises(ValueError, match="80 times need 160 words, not 159"):
        find_pairs([(name, times, hashes[1:])])
    with pytest.raises(ValueError, match="do not rise"):
        find_pairs([(name, times[::-1], hashes)])
    with pytest.raises(ValueError, match="video a comes twice"):
        find_pairs([(name, times, hashes), (name, times, hashes)])


def test_videos_without_hashes_are_alone() -> None:
    empty = np.zeros(0), np.zeros(0, np.int64)
    assert find_groups([("a", *empty), ("b", *empty)]) == {"a": "a", "b": "b"}
    assert find_groups([]) == {}


def test_groups_of_a_long_chain() -> None:
    names = [f"{k:04d}" for k in range(3000)]
    chain = [Pair(a, b, 1.0, 1.0, 0.0) for a, b in pairwise(names)]
    assert set(groups_of(names, reversed(chain)).values()) == {"0000"}
