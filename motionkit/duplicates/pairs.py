"""Pairs and groups of near-duplicate videos, from their stored hashes."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from motionkit.duplicates.alignment import same
from motionkit.duplicates.candidates import candidate_pairs
from motionkit.duplicates.grey import grey_course, same_course
from motionkit.duplicates.words import SPACING_S, Words, even, mirrored

Video = tuple[str, NDArray[np.float64], NDArray[np.int64]]
"""video_id, and the columns hash_times_s and hashes of its row in `scans`."""


@dataclasses.dataclass(frozen=True, order=True)
class Pair:
    """Two videos that show the same, ``a`` being the smaller id."""

    a: str
    b: str
    score: float
    """Share of the shorter video's moving instants that match, 0..1."""
    overlap_s: float
    """How much of the shorter one lies within the longer one, seconds."""
    offset_s: float
    """What is shown at time t of ``a`` is shown at t + offset_s of ``b``, to a quarter second."""
    mirrored: bool = False
    """One is the other's mirror image."""


def find_pairs(videos: Iterable[Video]) -> list[Pair]:
    """Every pair of near-duplicates, sorted by ids, whatever the order of ``videos``.

    Memory: 64 bytes for each second of video, and as much again while the index is built.
    ValueError for an id that comes twice and for columns that do not belong together.
    """
    ids, starts, words = _read(videos)
    found = []
    for a, b in candidate_pairs(words).tolist():
        pair = _pair(words[a], words[b])
        if pair is not None:
            score, overlap, offset, flipped = pair
            shift = offset * SPACING_S + starts[b] - starts[a]
            found.append(Pair(ids[a], ids[b], score, overlap * SPACING_S, shift, flipped))
    return sorted([*found, *_grey_pairs(ids, starts, words)])


def find_groups(videos: Iterable[Video]) -> dict[str, str]:
    """video_id → group_id, the smallest id among the videos that show the same, directly or
    through others; a video without near-duplicates is its own group. Errors as `find_pairs`."""
    names: list[str] = []

    def seen() -> Iterable[Video]:
        for video in videos:
            names.append(video[0])
            yield video

    pairs = find_pairs(seen())
    return groups_of(sorted(names), pairs)


def groups_of(ids: Iterable[str], pairs: Iterable[Pair]) -> dict[str, str]:
    """The groups that ``pairs`` make of ``ids``: id → smallest id of its group."""
    parent = {name: name for name in ids}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for pair in pairs:
        low, high = sorted((root(pair.a), root(pair.b)))
        parent[high] = low
    return {name: root(name) for name in parent}


def _read(videos: Iterable[Video]) -> tuple[list[str], list[float], list[Words]]:
    read: dict[str, tuple[float, Words]] = {}
    for name, times_s, hashes in videos:
        if name in read:
            raise ValueError(f"video {name} comes twice")
        times = np.asarray(times_s, np.float64)
        read[name] = (float(times[0]) if len(times) else 0.0, even(times, hashes))
    ids = sorted(read)
    return ids, [read[i][0] for i in ids], [read[i][1] for i in ids]


def _grey_pairs(ids: list[str], starts: list[float], words: list[Words]) -> Iterator[Pair]:
    """Pairs of videos that are flat from end to end: few, and all compared."""
    courses = [(k, c) for k, video in enumerate(words) if (c := grey_course(video)) is not None]
    for (i, a), (j, b) in itertools.combinations(courses, 2):
        found = same_course(a, b)
        if found is not None:
            score, overlap, offset = found
            shift = offset * SPACING_S + starts[j] - starts[i]
            yield Pair(ids[i], ids[j], score, overlap * SPACING_S, shift)


def _pair(a: Words, b: Words) -> tuple[float, int, int, bool] | None:
    for flipped in (False, True):
        found = same(a, mirrored(b) if flipped else b)
        if found is not None:
            return found.score, found.overlap, found.offset, flipped
    return None
