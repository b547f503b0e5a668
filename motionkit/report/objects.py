"""What a workspace of sentences about objects holds (the table `expressions`, from MeViS).

Sentences about the same objects of a video start from the same masks and share one motion, so
they are counted apart from what they speak of. One pass over each table, without masks and
points; memory holds a key for each sentence and the distinct words and texts.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from typing import Any

from motionkit.report.words import Words, repeated
from motionkit.stage import Tables, digest, has_run

#: Columns that `target_of` needs.
TARGET_COLUMNS = ("source_split", "source_video", "annotation_ids", "object_ids")


@dataclasses.dataclass
class Objects:
    """Counts over the kept sentences.

    A **target** is what a sentence speaks of: one object of a video or several together.
    ``motions`` maps each target that was followed to one clip with its tracks. Seconds are running
    times of the videos that are covered, each counted once.
    """

    words: Words
    clips: set[str] = dataclasses.field(default_factory=set)
    objects: int = 0
    targets: int = 0
    #: Sentences about a target → how many targets have that many.
    sentences_each: Counter[int] = dataclasses.field(default_factory=Counter)
    several: int = 0  # sentences that speak of more than one object
    masked: int = 0
    tracked: int = 0
    #: Sentences without masks, by split.
    maskless: Counter[str] = dataclasses.field(default_factory=Counter)
    motions: dict[str, str] = dataclasses.field(default_factory=dict)
    followed: bool = False  # whether `track` has run
    said_s: float = 0.0
    masked_s: float = 0.0
    tracked_s: float = 0.0

    @property
    def named(self) -> int:
        """Sentences whose objects are known."""
        return sum(n * targets for n, targets in self.sentences_each.items())

    @property
    def sentences(self) -> int:
        """Kept sentences."""
        return self.words.captions


def target_of(row: dict[str, Any]) -> str | None:
    """A key for the objects that a sentence speaks of; None where they are not named."""
    ids = _ids(row)
    if not ids:
        return None
    return digest([row["source_split"], row["source_video"], ids], 16)


def _ids(row: dict[str, Any]) -> list[int]:
    named = row["annotation_ids"] if row["annotation_ids"] is not None else row["object_ids"]
    return [] if named is None else sorted({int(i) for i in named})


def read_objects(tables: Tables) -> Objects | None:
    """None for a workspace without sentences about objects."""
    if not has_run(tables, "expressions"):
        return None
    if next(iter(tables.rows("expressions", [], outcome=None)), None) is None:
        return None
    found = Objects(Words(0, 0, Counter(), Counter(), Counter(), []))
    found.followed = has_run(tables, "tracks")
    tracks = tables.rows("tracks", ["clip_id"]) if found.followed else ()
    clips = {row["clip_id"] for row in tracks}
    said: Counter[str] = Counter()
    objects: set[tuple[str, str, int]] = set()
    covered: tuple[set[str], ...] = (set(), set(), set())
    texts: Counter[str] = Counter()
    for row in _sentences(tables):
        found.words.add(row["text"], row["source_split"], texts)
        found.clips.add(row["clip_id"])
        ids, target = _ids(row), target_of(row)
        objects.update((row["source_split"], row["source_video"], i) for i in ids)
        found.several += len(ids) > 1
        covered[0].add(row["video_id"])
        if target is not None:
            said[target] += 1
        if row["annotation_ids"] is None:  # a split without masks names none
            found.maskless[row["source_split"] or "unknown"] += 1
            continue
        found.masked += 1
        covered[1].add(row["video_id"])
        if row["clip_id"] in clips and target is not None:
            found.tracked += 1
            covered[2].add(row["video_id"])
            best = found.motions.get(target, row["clip_id"])
            found.motions[target] = min(best, row["clip_id"])
    found.objects, found.targets = len(objects), len(said)
    found.words.clips = len(said)
    found.words.repeated = repeated(texts)
    found.sentences_each.update(said.values())
    found.said_s, found.masked_s, found.tracked_s = _seconds(tables, covered)
    return found


def _sentences(tables: Tables) -> Iterator[dict[str, Any]]:
    return tables.rows("expressions", ["video_id", "clip_id", "text", *TARGET_COLUMNS])


def _seconds(tables: Tables, covered: tuple[set[str], ...]) -> list[float]:
    """Running time of each set of videos; a copy of the same file counts once."""
    totals, seen = [0.0] * len(covered), set()
    for row in tables.rows("videos", ["video_id", "duration_s"]):
        if row["video_id"] not in seen:
            seen.add(row["video_id"])
            for place, videos in enumerate(covered):
                if row["video_id"] in videos:
                    totals[place] += row["duration_s"] or 0.0
    return totals
