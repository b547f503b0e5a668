"""The words of a video hash: bits, levels, distances."""

import numpy as np

from motionkit.duplicates import words
from motionkit.duplicates.words import BITS, STRONG, WAVE_OF_BIT, WEAK, distance, levels, pack


def test_signs_and_level_survive_packing() -> None:
    rng = np.random.default_rng(0)
    chosen = rng.random((50, BITS)) < 0.5
    level = rng.integers(0, 3, 50)
    packed = pack(chosen, level)
    assert packed.dtype == np.int64
    unsigned = packed.view(np.uint64)
    np.testing.assert_array_equal(levels(unsigned), level)
    for bit in range(BITS):
        np.testing.assert_array_equal((unsigned >> np.uint64(bit)) & np.uint64(1), chosen[:, bit])


def test_every_wave_but_the_mean_and_the_finest_has_a_bit() -> None:
    assert sorted(WAVE_OF_BIT) == list(range(1, 63))


def test_the_level_does_not_count_as_distance() -> None:
    plain = np.zeros((1, BITS), bool)
    a, b = (pack(plain, np.array([level])).view(np.uint64) for level in (WEAK, STRONG))
    assert distance(a, b)[0] == 0


def test_bits_are_counted_alike_with_and_without_numpys_own_count() -> None:
    rng = np.random.default_rng(1)
    many = rng.integers(0, 1 << 63, 1000, dtype=np.uint64)
    many[:3] = [0, (1 << 64) - 1, 1 << 63]
    expected = [int(word).bit_count() for word in many]
    assert words._ones_by_sums(many).tolist() == expected
    assert words._ones(many).tolist() == expected


def test_unmirrored_words_of_a_picture_and_its_mirror_image_are_the_same() -> None:
    rng = np.random.default_rng(2)
    many = pack(rng.random((100, BITS)) < 0.5, np.full(100, STRONG)).view(np.uint64)
    np.testing.assert_array_equal(words.unmirrored(many), words.unmirrored(words.mirrored(many)))
    np.testing.assert_array_equal(words.mirrored(words.mirrored(many)), many)
