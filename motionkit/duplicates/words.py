"""What the words of a video hash mean, and distances between them.

`motionkit.video.video_hash` writes two 64-bit words for every quarter second of a video:

- word 0, **appearance**: what the picture looks like;
- word 1, **change**: how the half second from there on differs from the one before.

Bits 0..61 of a word are the signs of the low waves of a cosine transform (all but the mean and
the finest); bits 62 and 63 its level: `NOTHING` (flat, or nothing moves: no evidence), `WEAK` or
`STRONG`. The appearance of a flat picture is its brightness, 0..255. Int64 in tables (two's
complement), uint64 here.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Seconds that one instant stands for.
SPACING_S: Final = 0.25
#: Words of an instant: appearance, change.
WORDS: Final = 2
#: Waves along each side of the picture, the mean included.
WAVES: Final = 8
#: Sign bits of a word.
BITS: Final = WAVES * WAVES - 2

NOTHING, WEAK, STRONG = 0, 1, 2

#: A gap in the times fills at most this many instants; longer ones are shortened to it.
_LONGEST_GAP: Final = 8
_SIGNS: Final = np.uint64((1 << BITS) - 1)

Words = NDArray[np.uint64]
"""[instants, WORDS], evenly spaced in time."""

#: Row and column of the wave behind each bit: neighbouring bits are unlike waves, so that every
#: stretch of bits says something of the whole (the index sorts by stretches).
WAVE_OF_BIT: Final = 1 + (np.arange(BITS) * 23) % BITS
#: Sign bits that turn over when a picture is mirrored left to right: odd waves across.
_MIRRORED: Final = np.uint64(sum(1 << i for i, w in enumerate(WAVE_OF_BIT) if w % WAVES % 2))

_WIDEST: Final = np.uint64(1 << int(np.flatnonzero(WAVE_OF_BIT == 1)[0]))


def pack(signs: NDArray[np.bool_], levels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Signs [..., BITS] in the order of `WAVE_OF_BIT` and levels [...] → words [...]."""
    bits = np.zeros((*signs.shape[:-1], 64), bool)
    bits[..., :BITS] = signs
    bits[..., BITS] = levels & 1
    bits[..., BITS + 1] = levels >> 1
    return np.packbits(bits, axis=-1, bitorder="little").view("<i8")[..., 0].astype(np.int64)


def levels(words: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """`NOTHING`, `WEAK` or `STRONG` of each word."""
    return (words >> np.uint64(BITS)).astype(np.uint8)


def signs(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The words without their levels."""
    return words & _SIGNS


def mirrored(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The words of the same pictures mirrored left to right."""
    return words ^ _MIRRORED


def unmirrored(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The words or their mirror images, whichever has the widest wave across positive: the same
    for a picture and its mirror image, as long as that wave does not vanish."""
    return np.where(words & _WIDEST, words, words ^ _MIRRORED)


def even(times_s: NDArray[np.float64], hashes: NDArray[np.int64]) -> Words:
    """A video's words one every `SPACING_S`; instants without a picture are 0.

    ``times_s`` [N] and ``hashes`` [N × WORDS] as the table `scans` holds them; ValueError where
    their lengths do not belong together or the times do not rise.
    """
    times = np.asarray(times_s, np.float64)
    words = np.ascontiguousarray(hashes, np.int64).view(np.uint64)
    if words.size != times.size * WORDS:
        raise ValueError(f"{times.size} times need {times.size * WORDS} words, not {words.size}")
    words = words.reshape(-1, WORDS)
    if not len(times):
        return words
    steps = np.round(np.diff(times) / SPACING_S)
    if not (steps >= 1).all():  # NaN too
        raise ValueError("the times of the hashes do not rise by a quarter second or more")
    if (steps == 1).all():
        return words
    place = np.concatenate([[0], np.cumsum(np.minimum(steps, _LONGEST_GAP))]).astype(np.int64)
    out = np.zeros((int(place[-1]) + 1, WORDS), np.uint64)
    out[place] = words
    return out


def distance(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Sign bits that differ, 0..BITS; broadcasts."""
    return _ones((a ^ b) & _SIGNS)


def distinct(
    a: NDArray[np.uint64], b: NDArray[np.uint64], c: NDArray[np.uint64]
) -> NDArray[np.uint8]:
    """Sign bits of ``a`` that neither ``b`` nor ``c`` has, 0..BITS."""
    return _ones((a ^ b) & (a ^ c) & _SIGNS)


def _ones_by_sums(bits: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Set bits of each word, by sums over pairs, fours, eights (NumPy 1 counts none itself)."""
    pairs = bits - ((bits >> np.uint64(1)) & np.uint64(0x5555555555555555))
    fours = (pairs & np.uint64(0x3333333333333333)) + (
        (pairs >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    eights = (fours + (fours >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return ((eights * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.uint8)


_ones = getattr(np, "bitwise_count", _ones_by_sums)
