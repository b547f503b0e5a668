"""What each section of the page shows, as plain values for the template."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from motionkit.keypoints import COCO17
from motionkit.measures import SEEN, SQUARE, VIEWPOINTS
from motionkit.report.charts import bars, bin_counts, duration, histogram, nice_edges, number
from motionkit.report.facts import PEOPLE_TABLES, Facts, Scores
from motionkit.report.motion import Motion
from motionkit.report.object_section import ShardTime, object_rows, object_tiles
from motionkit.report.objects import Objects
from motionkit.report.pictures import Sheet
from motionkit.report.words import Words

#: Table 1 and section 4 of the MotionWeb paper (spec/motionweb.md).
_PUBLISHED: Final = (
    ("KIT-ML", "3,911", "11.2", "–", "–", "6,278", "–", "–"),
    ("HumanML3D", "14,616", "28.6", "–", "–", "44,970", "–", "–"),
    ("Motion-X", "81,084", "144.2", "–", "–", "81,084", "–", "–"),
    ("MotionWeb", "101,208", "160.2", "17,297,263", "5.70 s", "154,680", "6,699", "21.61"),
)
_MOTIONWEB_VIEWS: Final = (0.3941, 0.2616, 0.2732, 0.0711)  # front, left, right, back
_VIEW_STYLES: Final = ("kkept", "kleft", "kright", "kback")


def headline_numbers(
    facts: Facts,
    motion: Motion,
    words: Words,
    manifest: Mapping[str, Any] | None,
    *,
    people: bool = True,
    objects: Objects | None = None,
) -> list[tuple[str, str]]:
    """The large numbers, value and label: six of people or of objects, nine of both."""
    samples = f"{manifest['totals']['samples']:,}" if manifest else "–"
    found = [(f"{len(facts.names):,}", "videos"), (duration(facts.video_seconds), "of video")]
    if people:
        found += [
            (f"{facts.shots:,}", "shots"),
            (f"{motion.clips or facts.kept_clips:,}", "clips kept"),
            (f"{words.captions:,}", "captions"),
        ]
    if objects is not None:
        found += object_tiles(objects)
    return [*found, (samples, "samples in shards")]


def funnel_section(
    facts: Facts,
    motion: Motion,
    words: Words,
    manifest: Mapping[str, Any] | None,
    *,
    people: bool = True,
    objects: Objects | None = None,
    time: ShardTime | None = None,
) -> list[dict[str, Any]]:
    """Steps from ingested video to samples, each with its share of the ingested time.

    ``time`` is that of the shards, and is used beside ``objects`` alone."""
    run = {step.table: step.fingerprint is not None for step in facts.steps}
    kept = {step.table: step.outcomes["kept"] for step in facts.steps}
    total = facts.video_seconds or 1.0
    searched = f"{kept['detections']:,} of {facts.shots:,} shots"
    filtered = f"{facts.kept_clips:,} of {facts.candidates:,} clips"
    seconds = {step.table: step.seconds for step in facts.steps}
    in_shards = manifest["totals"] if manifest else {"samples": 0, "hours": 0.0}
    shard_seconds = in_shards["hours"] * 3600
    followed = kept["tracks"]
    if objects is not None:
        followed -= objects.tracked
        shard_seconds = time.persons_s + time.objects_s if time is not None else math.nan
    rows = [
        ("Ingested", "ingest", run["videos"], f"{len(facts.names):,} videos", total),
        ("Cut into shots", "scan", run["scans"], f"{facts.shots:,} shots", facts.scanned_seconds),
    ]
    of_people = [
        ("With a person", "detect", run["detections"], searched, seconds["detections"]),
        ("Through the filters", "filter", run["verdicts"], filtered, facts.kept_seconds),
        ("With keypoints", "pose", run["keypoints"], f"{motion.clips:,} clips", motion.seconds),
        ("With tracks", "track", run["tracks"], f"{followed:,} clips", seconds["tracks"]),
        (
            "With captions",
            "caption",
            run["captions"],
            f"{words.clips:,} clips",
            seconds["captions"],
        ),
    ]
    rows += of_people if people else []
    rows += object_rows(objects) if objects is not None else []
    samples = f"{in_shards['samples']:,} samples"
    rows.append(("In shards", "build-shards", manifest is not None, samples, shard_seconds))
    return [
        {
            "label": label,
            "command": command,
            "value": value if done else None,
            "note": duration(length) if math.isfinite(length) else "",
            "share": min(1.0, length / total) if facts.video_seconds and length > 0 else 0.0,
        }
        for label, command, done, value, length in rows
    ]


def comparison_section(
    motion: Motion,
    words: Words,
    *,
    people: bool = True,
    of_objects: tuple[str, ...] | None = None,
) -> list[dict[str, Any]]:
    """The paper's table with this data set below: its people, its objects
    (`object_section.object_cells`) or a row of each."""
    ours = (
        f"{motion.clips:,}",
        f"{motion.seconds / 3600:.3g}",
        f"{motion.frames:,}",
        f"{motion.seconds / motion.clips:.2f} s" if motion.clips else "–",
        f"{words.captions:,}",
        f"{len(words.words):,}",
        f"{words.mean_length:.2f}" if words.captions else "–",
    )
    rows: list[dict[str, Any]] = [
        {"name": name, "cells": cells, "us": False} for name, *cells in _PUBLISHED
    ]
    both = people and of_objects is not None
    if people:
        name = "this data set, people" if both else "this data set"
        rows.append({"name": name, "cells": ours, "us": True})
    if of_objects is not None:
        name = "this data set, objects" if both else "this data set"
        rows.append({"name": name, "cells": of_objects, "us": True})
    return rows


def drops_section(facts: Facts, pictures: Mapping[str, str]) -> list[dict[str, Any]]:
    """Reasons with counts and examples."""
    found = []
    for drop in facts.drops:
        plural = drop.unit if drop.count == 1 else drop.unit + "s"
        found.append(
            {
                "command": drop.command,
                "reason": drop.reason,
                "count": f"{drop.count:,} {plural}",
                "time": duration(drop.seconds) if drop.seconds else "–",
                "limit": _plain(drop.threshold),
                "more": drop.count > len(drop.examples),
                "examples": [
                    {
                        "picture": pictures.get(e.item, ""),
                        "name": facts.names.get(e.video_id, e.video_id),
                        "where": "" if e.first is None else f"frames {e.first} to {e.last}",
                        "measured": "" if e.measured is None else _plain(e.measured),
                        "limit": "" if e.threshold is None else _plain(e.threshold),
                    }
                    for e in drop.examples
                ],
            }
        )
    return found


def score_charts(facts: Facts) -> list[dict[str, Any]]:
    """A histogram of each score over all candidates, with the limits that dropped any."""
    found = []
    for score in facts.scores:
        limits = {x for x in (score.lowest, score.highest) if x is not None} or score.thresholds
        values = np.array([*score.kept, *score.dropped], np.float64)
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        high = float(np.percentile(values, 99)) * 1.02
        high = max([high, *[t * 1.15 for t in score.thresholds], float(values.min()) + 1e-6])
        if score.unit.startswith("share of") and high > 0.5:
            high = max(1.0, float(values.max()) if score.name == "Person height" else 1.0)
        edges = nice_edges(high, 24)
        series = [
            ("kept", bin_counts(score.kept, edges), "kept"),
            ("dropped", bin_counts(score.dropped, edges), "dropped"),
        ]
        chart = histogram(
            edges,
            series,
            title=f"Histogram of {score.name} over candidate clips",
            x_label=score.unit,
            y_label="clips",
            marks=sorted(limits),
            width=350,
            height=210,
        )
        found.append({"name": score.name, "svg": chart, "limits": _limits(score)})
    return found


def _limits(score: Scores) -> str:
    low, high = score.lowest, score.highest
    if low is not None and high is not None:
        return f"kept from {number(low)} to {number(high)}"
    if low is not None:
        return f"kept from {number(low)}"
    return f"kept up to {number(high)}" if high is not None else ""


def motion_section(motion: Motion) -> dict[str, Any] | None:
    """Lengths, speeds and viewpoints; None without keypoints."""
    if not motion.clips:
        return None
    longest = max(10.0, math.ceil(max(motion.lengths_s)))
    edges = list(np.arange(0.0, longest + 0.25, 0.5 if longest <= 20 else longest / 40))
    counted = sum(motion.viewpoints.values())
    rows = [("this data set", [motion.viewpoints[v] / max(1, counted) for v in VIEWPOINTS])]
    rows.append(("MotionWeb", list(_MOTIONWEB_VIEWS)))
    return {
        "clips": f"{motion.clips:,}",
        "frames": f"{motion.frames:,}",
        "seen": SEEN,
        "lengths": histogram(
            edges,
            [("clips", bin_counts(motion.lengths_s, edges), "kept")],
            title="Histogram of clip lengths",
            x_label="clip length, seconds",
            y_label="clips",
        ),
        "viewpoints": [_stack(name, shares) for name, shares in rows],
        "rule": (
            "Front or back: the mean of shoulder and hip width (left x minus right x) is at "
            f"least {SQUARE} of the torso’s length. Otherwise left or right: the side of the "
            f"picture the nose points to. {_share(motion.unclear, motion.frames)} of the frames "
            "are unclear and not counted."
        ),
        "speed_bh": _speeds(motion.speed_bh, "body heights / s"),
        "speed_px": _speeds(motion.speed_px, "pixels / frame"),
    }


def words_section(words: Words, called: str = "captions") -> dict[str, Any] | None:
    """Statistics of captions, or of what else they are ``called``; None without any."""
    if not words.captions:
        return None
    top = words.frequent(16)
    longest = max(words.lengths)
    step = max(1, math.ceil((longest + 1) / 30))
    edges = [e - 0.5 for e in range(0, longest + 1 + step, step)]
    counts = [0] * (len(edges) - 1)
    for length, n in words.lengths.items():
        counts[length // step] += n
    return {
        "captions": f"{words.captions:,}",
        "clips": f"{words.clips:,}",
        "unique": f"{len(words.words):,}",
        "mean": f"{words.mean_length:.1f}",
        "chart": bars(
            [(word, float(n), "kept") for word, n in top],
            title=f"Most frequent words of the {called}",
            x_label="times",
        ),
        "lengths": histogram(
            edges,
            [(called, counts, "kept")],
            title=f"Histogram of words a {called.removesuffix('s')}",
            x_label="words",
            y_label=called,
            height=200,
        ),
        "sources": [
            {"name": name, "count": f"{n:,}", "share": _share(n, words.captions)}
            for name, n in sorted(words.sources.items(), key=lambda i: (-i[1], i[0]))
        ],
        "repeated": words.repeated,
    }


def sheets_section(sheets: Sequence[Sheet], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Contact sheets for the template."""
    return [
        {
            "name": names.get(s.video_id, s.video_id),
            "clip": s.clip_id,
            "seconds": f"{s.seconds:.1f} s",
            "captions": s.captions,
            "tiles": s.tiles,
            "tracked": s.tracked,
            "problem": s.problem or ("" if s.tiles else "no frame could be read"),
        }
        for s in sheets
    ]


def steps_section(facts: Facts, *, people: bool = True) -> list[dict[str, Any]]:
    """One row a table: what ran, and how its items ended. Steps of people that have not run stand
    there for a workspace of ``people`` alone."""
    return [
        {
            "command": step.command,
            "table": step.table,
            "fingerprint": step.fingerprint or "",
            "version": "–" if step.version is None else step.version,
            "identity": (
                json.dumps(step.identity, indent=2, ensure_ascii=False, sort_keys=True)
                if step.identity
                else ""
            ),
            **{k: f"{step.outcomes[k]:,}" for k in ("kept", "dropped", "failed")},
        }
        for step in facts.steps
        if people or step.fingerprint or step.table not in PEOPLE_TABLES
    ]


def _speeds(values: Any, unit: str) -> Any:
    rows = []
    for name, value in zip(COCO17, values, strict=True):
        side = name.split("_")[0]
        style = side if side in ("left", "right") else "middle"
        rows.append((name.replace("_", " "), float(value), style))
    return bars(rows, title=f"Mean speed of each keypoint, {unit}", x_label=unit)


def _stack(name: str, shares: Sequence[float]) -> dict[str, Any]:
    parts = [
        {"name": view, "share": share, "style": style}
        for view, share, style in zip(VIEWPOINTS, shares, _VIEW_STYLES, strict=True)
    ]
    label = ", ".join(f"{p['name']} {p['share'] * 100:.1f} %" for p in parts)  # type: ignore[operator]
    return {"name": name, "parts": parts, "label": f"{name}: {label}"}


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def _plain(value: float | None) -> str:
    return "–" if value is None else number(value)
