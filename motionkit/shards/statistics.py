"""Counts over the samples of a set, as they are written: what the data card reports."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from motionkit.keypoints import COCO17
from motionkit.measures import VIEWPOINTS, path_lengths, split_words, viewpoints
from motionkit.shards.schema import SPLITS

#: Upper borders of the clip length histogram, seconds; the last bin is open.
LENGTHS_S: Final = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 30, 60)


class Totals:
    """Sums over samples. Memory: one entry a video, and one a distinct word."""

    def __init__(self) -> None:
        self.samples: Counter[str] = Counter()
        self.frames: Counter[str] = Counter()
        self.seconds = dict.fromkeys(SPLITS, 0.0)
        self.captions: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.caption_sources: Counter[str] = Counter()
        self.licences: Counter[str] = Counter()
        self.backends: Counter[str] = Counter()
        self.with_tracks = 0
        #: (video, group, split) → samples
        self.videos: Counter[tuple[str, str, str]] = Counter()
        self._words: set[str] = set()
        self._word_count = 0
        self._lengths: Counter[int] = Counter()
        self._views: Counter[str] = Counter()
        self._moved = np.zeros(17)
        self._pairs = np.zeros(17)

    def add(self, row: Mapping[str, Any]) -> None:
        """Count one sample."""
        split = row["split"]
        seconds = length_s(row)
        self.samples[split] += 1
        self.frames[split] += row["frames"]
        self.seconds[split] += seconds
        self.captions[split] += len(row["captions"])
        self.kinds[row["kind"]] += 1
        self.caption_sources.update(c["source"] for c in row["captions"])
        self.licences[row["licence"] or "not stated"] += 1
        self.backends.update(row["models"])
        self.with_tracks += row.get("track_frames") is not None
        self.videos[row["video_id"], row["group_id"], split] += 1
        self._lengths[sum(seconds >= border for border in LENGTHS_S)] += 1
        for caption in row["captions"]:
            words = split_words(caption["text"])
            self._word_count += len(words)
            self._words.update(words)
        if row.get("m2d") is not None:
            self._add_person(row)

    def _add_person(self, row: Mapping[str, Any]) -> None:
        points = np.asarray(row["m2d"], np.float64).reshape(-1, 18, 3)[:, :17]
        moved, pairs = path_lengths(points)
        self._moved += moved
        self._pairs += pairs
        self._views.update(dict(zip(*_counted(viewpoints(points)), strict=True)))

    def statistics(self) -> dict[str, Any]:
        """The numbers that papers report of a data set, JSON-ready; null where there are none.

        ``viewpoints`` are shares of the frames whose trunk is seen; ``speed_px`` is the mean
        movement of a keypoint in pixels from a frame to the next, where it is seen in both.
        """
        clips, captions = self.samples.total(), self.captions.total()
        seen = sum(self._views[v] for v in VIEWPOINTS)
        seconds = sum(self.seconds.values())
        return {
            "clips": clips,
            "captions": captions,
            "unique_words": len(self._words),
            "words_per_caption": _ratio(self._word_count, captions),
            "hours": seconds / 3600,
            "frames": self.frames.total(),
            "mean_clip_s": _ratio(seconds, clips),
            "viewpoints": {v: _ratio(self._views[v], seen) for v in VIEWPOINTS},
            "viewpoint_frames": seen,
            "speed_px": {
                name: _ratio(float(moved), float(pairs))
                for name, moved, pairs in zip(COCO17, self._moved, self._pairs, strict=True)
            },
            "lengths": {_bin(i): self._lengths[i] for i in range(len(LENGTHS_S) + 1)},
        }

    def of_split(self, split: str) -> dict[str, Any]:
        """Counts of one split."""
        homes = [(video, group) for video, group, home in self.videos if home == split]
        return {
            "samples": self.samples[split],
            "videos": len(homes),
            "groups": len({group for _, group in homes}),
            "frames": self.frames[split],
            "captions": self.captions[split],
            "hours": self.seconds[split] / 3600,
        }

    def of_all(self) -> dict[str, Any]:
        """Counts of the set."""
        return {
            "samples": self.samples.total(),
            "persons": self.kinds["person"],
            "objects": self.kinds["object"],
            "videos": len({video for video, _, _ in self.videos}),
            "groups": len({group for _, group, _ in self.videos}),
            "frames": self.frames.total(),
            "captions": self.captions.total(),
            "with_tracks": self.with_tracks,
            "hours": sum(self.seconds[split] for split in SPLITS) / 3600,
        }


def length_s(row: Mapping[str, Any]) -> float:
    """Length of a sample: its frames at its rate, or its span where the rate is not known."""
    if row["fps"]:
        return float(row["frames"] / row["fps"])
    if row["t1_s"] is None or row["t0_s"] is None:
        return 0.0
    return float(row["t1_s"] - row["t0_s"])


def _bin(index: int) -> str:
    borders = (0, *LENGTHS_S)
    if index == len(LENGTHS_S):
        return f"{borders[index]} s and more"
    return f"{borders[index]} to {borders[index + 1]} s"


def _ratio(part: float, whole: float) -> float | None:
    found = part / whole if whole else math.nan
    return None if math.isnan(found) else found


def _counted(values: Any) -> tuple[list[str], list[int]]:
    names, counts = np.unique(values, return_counts=True)
    return names.tolist(), counts.tolist()
