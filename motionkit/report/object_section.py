"""What the page says of sentences about objects, as plain values for the template."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from motionkit.errors import ShardError
from motionkit.report.charts import bars, bin_counts, duration, histogram, nice_edges, number
from motionkit.report.object_motion import ObjectMotion
from motionkit.report.object_pictures import MOST_SENTENCES
from motionkit.report.objects import Objects
from motionkit.report.pictures import Sheet
from motionkit.shards.reader import open_shards

#: A row of the bars: label, command, whether it ran, what is counted, seconds of video.
Row = tuple[str, str, bool, str, float]


@dataclasses.dataclass(frozen=True)
class ShardTime:
    """Running time of a shard set in seconds: persons' samples summed; of objects the stretches
    of video that samples cover, each once, and the sum over the samples."""

    persons_s: float = 0.0
    objects_s: float = 0.0
    counted_s: float = 0.0


def shard_time(path: Path | None) -> ShardTime | None:
    """Read from four narrow columns; None where the set or one of its files cannot be read (the
    section on shards or on trajectories says why)."""
    if path is None or not Path(path).exists():
        return None
    columns = ["video_id", "kind", "t0_s", "t1_s"]
    try:
        parts = [pq.read_table(file, columns=columns) for file in open_shards(Path(path)).files()]
    except (ShardError, OSError, pa.ArrowException):
        return None
    if not parts:
        return ShardTime()
    spans: dict[tuple[str, str], list[float]] = {}
    sums = {"person": 0.0, "object": 0.0}
    for part in parts:
        for video, kind, start, stop in zip(*(c.to_pylist() for c in part.columns), strict=True):
            sums[kind] = sums.get(kind, 0.0) + stop - start
            if kind == "object":
                span = spans.setdefault((video, kind), [start, stop])
                span[0], span[1] = min(span[0], start), max(span[1], stop)
    covered = sum(stop - start for start, stop in spans.values())
    return ShardTime(sums["person"], covered, sums["object"])


def object_tiles(objects: Objects) -> list[tuple[str, str]]:
    """Large numbers: value and label."""
    return [
        (f"{objects.sentences:,}", "sentences"),
        (f"{objects.objects:,}", "objects"),
        (f"{len(objects.motions):,}", "motions followed"),
    ]


def object_rows(objects: Objects) -> list[Row]:
    """The bars between shots and shards."""
    said = f"{objects.sentences:,} sentences"
    masked, tracked = f"{objects.masked:,} sentences", f"{objects.tracked:,} sentences"
    return [
        ("With sentences", "expressions", True, said, objects.said_s),
        ("With masks", "expressions", True, masked, objects.masked_s),
        ("Objects followed", "track", objects.followed, tracked, objects.tracked_s),
    ]


def object_notes(objects: Objects, time: ShardTime | None) -> list[str]:
    """What must be known to read the bars: time that is counted twice, sentences without masks."""
    notes = []
    if objects.sentences > objects.targets > 0:
        note = "Several sentences speak of the same stretch of video, which the bars count once"
        if time is not None and time.counted_s > time.objects_s > 0:
            note += (
                f": each sentence is a sample, and counted one by one the samples of objects are "
                f"{duration(time.counted_s)} long"
            )
        notes.append(note + ".")
    if objects.maskless:
        count = objects.maskless.total()
        many = "1 sentence has" if count == 1 else f"{count:,} sentences have"
        where = ", ".join(sorted(objects.maskless))
        notes.append(
            f"{many} no masks (split {where}), so their objects cannot be followed."
            + (" MeViS publishes none for valid." if "valid" in objects.maskless else "")
        )
    return notes


def object_cells(objects: Objects, motion: ObjectMotion) -> tuple[str, ...]:
    """The row of the table beside published data sets; a clip is a motion that was followed."""
    words = objects.words
    return (
        f"{motion.motions:,}",
        f"{motion.seconds / 3600:.3g}",
        f"{motion.frames:,}",
        f"{motion.seconds / motion.motions:.2f} s" if motion.motions else "–",
        f"{words.captions:,}",
        f"{len(words.words):,}",
        f"{words.mean_length:.2f}" if words.captions else "–",
    )


def objects_section(
    objects: Objects, motion: ObjectMotion, sheets: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Sentences an object, how objects move, and the pictures."""
    each = sorted(objects.sentences_each.items())
    shown = [(f"{n} sentence" + ("s" if n > 1 else ""), float(c), "kept") for n, c in each[:12]]
    more = sum(c for _, c in each[12:])
    if more:
        shown.append((f"{each[12][0]} or more", float(more), "kept"))
    told = f"{objects.named:,} of {objects.sentences:,} sentences name their objects"
    told += f": {objects.objects:,} objects, {objects.targets:,} counting those spoken of together"
    if objects.several:
        told += f"; {objects.several:,} sentences speak of more than one object at once"
    return {
        "told": told + ".",
        "each": bars(shown, title="Sentences about the same objects", x_label="times")
        if shown
        else "",
        "motions": f"{motion.motions:,}",
        "charts": _charts(motion),
        "says": _says(motion),
        "sheets": sheets,
    }


def object_sheets_section(sheets: Sequence[Sheet], names: dict[str, str]) -> list[dict[str, Any]]:
    """Pictures with the first sentences and how many more there are."""
    return [
        {
            "name": names.get(s.video_id, s.video_id),
            "clip": s.clip_id,
            "seconds": f"{s.seconds:.1f} s",
            "captions": s.captions[:MOST_SENTENCES],
            "more": max(0, len(s.captions) - MOST_SENTENCES),
            "tiles": s.tiles,
            "problem": s.problem or ("" if s.tiles else "no frame could be read"),
        }
        for s in sheets
    ]


def _charts(motion: ObjectMotion) -> list[dict[str, Any]]:
    kinds = (
        ("How far", motion.distances, "from start to end, widths of the picture", 0.0),
        ("How fast", motion.speeds, "mean speed, widths of the picture a second", 0.0),
        ("Points in sight", motion.seen, "share of points and frames", 1.0),
    )
    charts = []
    for name, values, unit, top in kinds:
        found = np.asarray(values, np.float64)
        found = found[np.isfinite(found)]
        if not len(found):
            continue
        high = top or max(float(np.percentile(found, 99)), 1e-3)
        edges = nice_edges(high, 20)
        svg = histogram(
            edges,
            [("motions", bin_counts(found, edges), "kept")],
            title=f"Histogram of motions: {unit}",
            x_label=unit,
            y_label="motions",
            width=350,
            height=210,
        )
        charts.append({"name": name, "svg": svg, "middle": f"half below {number(_middle(found))}"})
    return charts


def _middle(values: Any) -> float:
    return float(f"{float(np.median(values)):.3g}")


def _says(motion: ObjectMotion) -> str:
    if not motion.motions:
        return ""
    length = motion.seconds / motion.motions
    return (
        f"Each motion counts once, whatever the number of its sentences. The points are followed "
        f"for {length:.1f} s on average. Motion is that in the picture: the camera’s is part of "
        "it. A point that is hidden or out of the picture is not in sight."
    )
