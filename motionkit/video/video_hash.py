"""A perceptual hash of a whole video: what is seen and what changes, four times a second.

Small brightness planes go through a low-frequency cosine transform and are averaged over
quarters of a second of presentation time. Averages, unlike single frames, hardly depend on
where a trimmed copy begins or on its frame rate. Two 64-bit words describe each quarter: the
signs of the low waves of its picture, and those of the difference between the half seconds after
and before its beginning (`motionkit.duplicates.words` says which bit is which). The background
of a standing camera cancels in the second, so that two films of one room differ in it.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit.duplicates import words
from motionkit.duplicates.words import SPACING_S, WAVES
from motionkit.video.planes import Plane

#: Pictures looked at per second of presentation time at most.
_LOOKS: Final = 8
#: A picture that stands longer than this (a gap in the times) fills no further stretches.
_LONGEST_HOLD_S: Final = 10.0
#: Stretches of one video at most: a day. What comes later is not hashed.
_MOST: Final = 24 * 3600 * 4
#: Planes are halved until their shorter side is below this: twice the waves need far less.
_SIDE: Final = 128
#: Brightness (0..255) below which a whole line is a black bar, and the widest bar that is cut off
#: on each of two sides, as a share.
_BLACK: Final = 32
_WIDEST_BAR: Final = 0.36
#: Spread of the waves, in grey levels: below it a picture is flat, a difference is nothing or weak.
_FLAT: Final = 4.0
_STILL: Final = 0.4
_MOVING: Final = 1.0

Waves = NDArray[np.float32]
"""[WAVES, WAVES]: vertical, horizontal; in grey levels (root of the mean square)."""


class VideoHasher:
    """Takes every frame of one video in turn and looks at eight a second; memory grows by half a
    kilobyte a quarter second, up to a day."""

    def __init__(self) -> None:
        self._start = 0.0
        self._last: float | None = None
        self._gap = 0.0
        self._next_look = 0.0
        self._held: Waves | None = None
        self._held_from = 0.0
        self._bins: list[int] = []
        self._sums: list[Waves] = []
        self._cover: list[float] = []
        self._sides: tuple[tuple[int, ...], _Bars, _Bars] | None = None
        self._transform: tuple[tuple[int, ...], Waves, Waves] | None = None

    def step(self, luma: Plane, time_s: float) -> None:
        """One frame: brightness uint8 [h, w] as shown, and its presentation time in seconds.

        Frames that are not later than the one before are left out.
        """
        if not math.isfinite(time_s) or len(self._bins) > _MOST:
            return
        if self._last is None:
            self._start = self._next_look = time_s
        elif time_s <= self._last:
            return
        else:
            self._gap = time_s - self._last
        self._last = time_s
        if time_s < self._next_look - 1e-6:
            return
        self._hold_until(time_s)
        self._held, self._held_from = self._waves(luma), time_s
        looks = int((time_s - self._start) * _LOOKS + 1e-6) + 1
        self._next_look = self._start + looks / _LOOKS

    def result(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Times of the stretches' middles, float64 [N], and their words, int64 [N × WORDS]:
        appearance and change of the first stretch, then of the second … Call it once."""
        times, waves = self.stretches()
        return times, hash_words(waves).ravel()

    def stretches(self) -> tuple[NDArray[np.float64], Waves]:
        """Times [N] and mean waves [N, WAVES, WAVES] of the stretches seen. Call it once."""
        if self._last is None:
            return np.zeros(0), np.zeros((0, WAVES, WAVES), np.float32)
        shown = min(self._gap or SPACING_S, SPACING_S)  # how long the last picture stands
        self._hold_until(self._last + shown)
        cover = np.array(self._cover)
        kept = cover >= min(SPACING_S / 2, cover.max())  # a sliver at the end says little
        means = np.stack(self._sums)[kept] / cover[kept, None, None]
        times = self._start + (np.array(self._bins)[kept] + 0.5) * SPACING_S
        return times, means.astype(np.float32)

    def _hold_until(self, time_s: float) -> None:
        """The held picture was shown until now: add it to the stretches it covers."""
        if self._held is None:
            return
        begin = self._held_from - self._start
        end = min(time_s - self._start, begin + _LONGEST_HOLD_S)
        number = int(begin / SPACING_S + 1e-6)
        while begin < end - 1e-9:
            stop = min(end, (number + 1) * SPACING_S)
            if not self._bins or self._bins[-1] != number:
                self._bins.append(number)
                self._sums.append(np.zeros((WAVES, WAVES), np.float32))
                self._cover.append(0.0)
            self._sums[-1] += self._held * (stop - begin)
            self._cover[-1] += stop - begin
            begin, number = stop, number + 1

    def _waves(self, luma: Plane) -> Waves:
        while min(luma.shape) >= _SIDE:
            height, width = luma.shape[0] // 2, luma.shape[1] // 2
            luma = cv2.resize(
                luma[: height * 2, : width * 2], (width, height), interpolation=cv2.INTER_AREA
            )
        if min(luma.shape) < 2 * WAVES:  # too few pixels for the finest wave
            width, height = max(luma.shape[1], 2 * WAVES), max(luma.shape[0], 2 * WAVES)
            luma = cv2.resize(luma, (width, height), interpolation=cv2.INTER_LINEAR)
        down, across = self._matrices(luma)
        return down @ luma.astype(np.float32) @ across

    def _matrices(self, luma: Plane) -> tuple[Waves, Waves]:
        """The transforms of the two sides, zero over black bars."""
        if self._sides is None or self._sides[0] != luma.shape:
            self._sides = luma.shape, _Bars(), _Bars()
        _, rows, columns = self._sides
        key = (*luma.shape, rows.width(luma), columns.width(luma.T))
        if self._transform is None or self._transform[0] != key:
            self._transform = key, _cosines(key[0], key[2]), _cosines(key[1], key[3]).T
        return self._transform[1], self._transform[2]


class _Bars:
    """Black bars at both ends of one side of the picture, from all pictures so far."""

    def __init__(self) -> None:
        self._brightest: NDArray[np.uint8] | None = None
        self._none = False

    def width(self, luma: Plane) -> int:
        """Width of the bars, given one more picture with the side downwards; 0 for none, and
        where all is dark."""
        # A bright line at one end rules bars out for good, at the price of one look at the ends.
        self._none = self._none or luma[0].max() >= _BLACK or luma[-1].max() >= _BLACK
        if self._none:
            return 0
        now = luma.max(1)
        self._brightest = now if self._brightest is None else np.maximum(self._brightest, now)
        bright = np.flatnonzero(self._brightest >= _BLACK)
        if not len(bright):
            return 0
        bar = min(int(bright[0]), len(now) - 1 - int(bright[-1]))
        return bar if bar <= _WIDEST_BAR * len(now) else 0


def _cosines(length: int, bar: int) -> Waves:
    """[WAVES, length]: a cosine transform of what lies between the bars."""
    inner = length - 2 * bar
    place = (np.arange(inner) + 0.5) / inner
    waves = np.cos(np.pi * np.arange(WAVES)[:, None] * place)
    waves[1:] *= np.sqrt(2)
    out = np.zeros((WAVES, length), np.float32)
    out[:, bar : bar + inner] = waves / inner
    return out


def hash_words(waves: Waves) -> NDArray[np.int64]:
    """Mean waves [N, WAVES, WAVES] of successive stretches → words int64 [N, WORDS]."""
    flat = waves.reshape(len(waves), WAVES * WAVES)
    appearance, change = _word(flat, _FLAT, _FLAT), _word(changes(flat), _STILL, _MOVING)
    blank = words.levels(appearance.view(np.uint64)) == words.NOTHING
    grey = np.clip(np.round(flat[:, 0]), 0, 255).astype(np.int64)
    return np.stack([np.where(blank, grey, appearance), change], -1)


def changes(flat: NDArray[np.float32]) -> NDArray[np.float32]:
    """The half second from each stretch on minus the one before it; shorter at the ends."""
    count = len(flat)
    if not count:
        return flat
    total = np.concatenate([np.zeros((1, flat.shape[1])), np.cumsum(flat, 0, np.float64)])
    here = np.arange(count)
    low, high = np.maximum(here - 2, 0), np.minimum(here + 2, count)
    before = (total[here] - total[low]) / np.maximum(here - low, 1)[:, None]
    after = (total[high] - total[here]) / (high - here)[:, None]
    after[0] = before[0]  # nothing lies before the first
    return (after - before).astype(np.float32)


def _word(flat: NDArray[np.float32], weak: float, strong: float) -> NDArray[np.int64]:
    """Signs of the waves, and how strong they are together (root of the sum of squares)."""
    strength = np.sqrt((flat[:, 1:].astype(np.float64) ** 2).sum(1))
    level = np.where(strength >= strong, words.STRONG, np.where(strength >= weak, words.WEAK, 0))
    return words.pack(flat[:, words.WAVE_OF_BIT] > 0, level)
