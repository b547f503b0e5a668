"""What the outcome columns of a workspace say: counts, drops with examples, failures.

One pass over each table, with the columns it needs and no arrays; memory holds counts, one
number a candidate and score, and a few examples a reason.
"""

from __future__ import annotations

import dataclasses
import heapq
import re
from array import array
from collections import Counter
from collections.abc import Container, Iterator
from typing import Any, Final

from motionkit.stage import Tables, digest, has_run

#: Tables in the order of the pipeline, the command of each, and what one row stands for.
STEPS: Final = (
    ("videos", "ingest", "video"),
    ("scans", "scan", "video"),
    ("detections", "detect", "shot"),
    ("verdicts", "filter", "shot"),
    ("keypoints", "pose", "clip"),
    ("masks", "masks", "clip"),
    ("tracks", "track", "clip"),
    ("captions", "caption", "clip"),
    ("audits", "captions audit", "clip"),
)

#: Steps of sentences about objects, shown where there are any: the same three, and the step of
#: `STEPS` that each stands behind.
OBJECT_STEPS: Final = (
    ("expressions", "expressions", "sentence", "videos"),
    ("overlays", "overlays", "sentence", "tracks"),
)
#: Tables of the steps that look at people.
PEOPLE_TABLES: Final = ("detections", "verdicts", "keypoints", "masks", "captions", "audits")

#: Scores of a candidate: column, name, unit, and the parameters of `filter` that limit it.
SCORES: Final = (
    ("camera", "Camera motion", "share of the width in 1/30 s", "", "camera_max"),
    ("speed_bh_s", "Speed", "body heights / s", "speed_min_bh_s", "speed_max_bh_s"),
    (
        "acceleration_bh_s2",
        "Acceleration",
        "body heights / s²",
        "",
        "acceleration_max_bh_s2",
    ),
    ("confident_share", "Confident keypoints", "share of keypoints", "confident_share_min", ""),
    ("lower_body_share", "Lower body seen", "share of frames", "", ""),
    ("box_height", "Person height", "share of image height", "box_height_min", ""),
)

_RANGE = re.compile(r"^(?P<video>.+?)-(?P<first>\d{6,})-(?P<last>\d{6,})(-|$)")


@dataclasses.dataclass
class Step:
    """One table: which fingerprint filled it and how its items ended."""

    table: str
    command: str
    unit: str
    fingerprint: str | None = None
    version: int | None = None
    identity: dict[str, Any] | None = None
    outcomes: Counter[str] = dataclasses.field(default_factory=Counter)
    #: Running time of the kept items.
    seconds: float = 0.0


@dataclasses.dataclass(frozen=True)
class Example:
    """One dropped item. ``first`` and ``last`` are source frames; None for a whole video.
    ``person`` of a shot, where it is a stretch of one (see `records.CANDIDATE`)."""

    item: str
    video_id: str
    first: int | None
    last: int | None
    seconds: float | None
    measured: float | None
    threshold: float | None
    person: int = 0


@dataclasses.dataclass
class Drops:
    """Everything one step turned down for one reason."""

    command: str
    reason: str
    unit: str
    count: int = 0
    seconds: float = 0.0
    threshold: float | None = None
    examples: list[Example] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Failures:
    """Items of one step that failed with one code."""

    command: str
    code: str
    error: str
    count: int
    message: str


@dataclasses.dataclass
class Scores:
    """Values of one score over all candidates, kept and dropped (for this or another reason)."""

    name: str
    unit: str
    #: Limits of the filter, where its parameters are recorded.
    lowest: float | None = None
    highest: float | None = None
    kept: array[float] = dataclasses.field(default_factory=lambda: array("f"))
    dropped: array[float] = dataclasses.field(default_factory=lambda: array("f"))
    #: Limits that candidates were dropped at.
    thresholds: set[float] = dataclasses.field(default_factory=set)


@dataclasses.dataclass
class Facts:
    """See the module's text. Hours are of shown video; ``names`` maps a video to its file name."""

    steps: list[Step]
    drops: list[Drops]
    failures: list[Failures]
    scores: list[Scores]
    names: dict[str, str]
    video_seconds: float
    scanned_seconds: float
    shots: int
    candidates: int
    kept_clips: int
    kept_seconds: float
    licences: Counter[str]


def collect(tables: Tables, *, examples: int, sentences: Container[str] | None = None) -> Facts:
    """Read the outcome columns of every table that exists. ``examples``: kept for each reason.
    ``sentences``: the clips of sentences about objects; None in a workspace without any."""
    facts = Facts([], [], [], [], {}, 0.0, 0.0, 0, 0, 0, 0.0, Counter())
    picks = _Picks(examples)
    failures: dict[tuple[str, str, str], Failures] = {}
    durations: dict[str, float] = {}  # of videos, shots and kept clips, by id
    # Shots without a person are judged by `filter` too, which tells more: they count once.
    judged_later: dict[str, tuple[Example, str | None]] = {}
    for table, command, unit in _steps_of(sentences is not None):
        step = _step(tables, table, command, unit)
        facts.steps.append(step)
        if step.fingerprint is None:
            continue
        for row in _outcomes(tables, table):
            step.outcomes[row["outcome"]] += 1
            if row["outcome"] == "kept":
                step.seconds += durations.get(row["item_id"], 0.0)
            elif row["outcome"] == "failed":
                _count_failure(failures, command, row)
            elif row["outcome"] == "dropped" and table != "verdicts":
                example = _example(row["item_id"], row, durations.get(row["item_id"]))
                about = "sentence" if sentences and row["item_id"] in sentences else unit
                if table == "detections":
                    judged_later[row["item_id"]] = (example, row["reason"])
                else:
                    picks.add(command, about, example, row["reason"])
        if table == "videos":
            _videos(tables, facts, durations)
        elif table == "scans":
            _shots(tables, facts, durations)
        elif table == "verdicts":
            _candidates(tables, facts, picks, durations, judged_later)
    for example, reason in judged_later.values():
        picks.add("detect", "shot", example, reason)
    facts.drops = picks.groups()
    facts.failures = sorted(failures.values(), key=lambda f: (-f.count, f.command, f.code))
    return facts


def _steps_of(objects: bool) -> list[tuple[str, str, str]]:
    """`STEPS`, with those of sentences about objects in their places."""
    found = []
    for step in STEPS:
        found.append(step)
        found += [more[:3] for more in OBJECT_STEPS if objects and more[3] == step[0]]
    return found


def _step(tables: Tables, table: str, command: str, unit: str) -> Step:
    step = Step(table, command, unit)
    if has_run(tables, table):
        about = getattr(tables, "current", lambda _: None)(table) or {}
        step.fingerprint = tables.fingerprint(table)
        step.version = about.get("version")
        step.identity = about.get("identity")
    return step


def _outcomes(tables: Tables, table: str) -> Iterator[dict[str, Any]]:
    columns = ["item_id", "outcome", "reason", "measured", "threshold"]
    return tables.rows(table, [*columns, "error_type", "error_message"], outcome=None)


def _count_failure(
    failures: dict[tuple[str, str, str], Failures], command: str, row: dict[str, Any]
) -> None:
    key = (command, row["reason"] or "unknown", row["error_type"] or "")
    message = row["error_message"] or ""
    found = failures.setdefault(key, Failures(*key, 0, message))
    found.count += 1
    found.message = min(found.message, message)  # the same one whatever the order


def _videos(tables: Tables, facts: Facts, durations: dict[str, float]) -> None:
    columns = ["video_id", "path", "duration_s", "licence"]
    for row in tables.rows("videos", columns):
        video = row["video_id"]
        if video in facts.names:  # a copy of the same file
            continue
        facts.names[video] = re.split(r"[/\\]", row["path"] or "")[-1]
        durations[video] = row["duration_s"] or 0.0
        facts.video_seconds += durations[video]
        facts.licences[row["licence"] or "not stated"] += 1


def _shots(tables: Tables, facts: Facts, durations: dict[str, float]) -> None:
    for row in tables.rows("scans", ["video_id", "shots"]):
        for shot in row["shots"] or ():
            facts.shots += 1
            durations[shot["shot_id"]] = shot["t1_s"] - shot["t0_s"]
            facts.scanned_seconds += durations[shot["shot_id"]]


def _candidates(
    tables: Tables,
    facts: Facts,
    picks: _Picks,
    durations: dict[str, float],
    judged_later: dict[str, tuple[Example, str | None]],
) -> None:
    """Candidates stand inside the shot's row; a row without any was dropped as a whole."""
    limits = next(s.identity for s in facts.steps if s.table == "verdicts") or {}
    facts.scores = [
        Scores(name, unit, limits.get(low), limits.get(high)) for _, name, unit, low, high in SCORES
    ]
    columns = ["item_id", "outcome", "reason", "measured", "threshold", "candidates"]
    for row in tables.rows("verdicts", columns, outcome=None):
        if row["outcome"] == "failed":
            continue
        found = row["candidates"] or ()
        if len(found):
            judged_later.pop(row["item_id"], None)
        else:
            if row["outcome"] == "dropped" and row["item_id"] not in judged_later:
                seconds = durations.get(row["item_id"])
                picks.add("filter", "shot", _example(row["item_id"], row, seconds), row["reason"])
            continue
        for c in found:
            facts.candidates += 1
            seconds = c["t1_s"] - c["t0_s"]
            kept = c["outcome"] == "kept"
            for (column, *_), scores in zip(SCORES, facts.scores, strict=True):
                if c.get(column) is not None:
                    (scores.kept if kept else scores.dropped).append(c[column])
                    if c.get("threshold") is not None and _is_measured(c, column):
                        scores.thresholds.add(round(c["threshold"], 6))
            if kept:
                facts.kept_clips += 1
                facts.kept_seconds += seconds
                durations[c["clip_id"]] = seconds
            else:
                picks.add("filter", "clip", _example(c["clip_id"], c, seconds), c["reason"])


def _is_measured(candidate: dict[str, Any], column: str) -> bool:
    """Whether the value that decided is this score (the row does not name the column)."""
    measured = candidate.get("measured")
    if candidate["outcome"] == "kept" or measured is None:
        return False
    return abs(measured - candidate[column]) <= 1e-5 * max(1.0, abs(measured))


def _example(item: str, row: dict[str, Any], seconds: float | None) -> Example:
    match = _RANGE.match(item)
    first, last = (int(match["first"]), int(match["last"])) if match else (None, None)
    video = match["video"] if match else item
    person = row.get("person") or 0
    return Example(item, video, first, last, seconds, row["measured"], row["threshold"], person)


class _Picks:
    """Groups of drops, each with the few examples whose hashes are lowest: a fair choice that
    does not depend on the order of the rows."""

    def __init__(self, examples: int) -> None:
        self._examples = examples
        self._groups: dict[tuple[str, str, str], Drops] = {}
        self._heaps: dict[tuple[str, str, str], list[tuple[int, str, Example]]] = {}

    def add(self, command: str, unit: str, example: Example, reason: str | None) -> None:
        key = (command, reason or "unknown", unit)
        group = self._groups.setdefault(key, Drops(*key))
        group.count += 1
        group.seconds += example.seconds or 0.0
        if group.threshold is None:
            group.threshold = example.threshold
        heap = self._heaps.setdefault(key, [])
        entry = (-int(digest(example.item, 8), 16), example.item, example)
        if len(heap) < self._examples:
            heapq.heappush(heap, entry)
        elif heap and entry > heap[0]:
            heapq.heapreplace(heap, entry)

    def groups(self) -> list[Drops]:
        order = {command: i for i, (_, command, _) in enumerate(_steps_of(True))}
        for key, group in self._groups.items():
            group.examples = [e for _, _, e in sorted(self._heaps[key], reverse=True)]
        return sorted(self._groups.values(), key=lambda g: (order[g.command], -g.count, g.reason))
