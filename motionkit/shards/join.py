"""Join the tables of a workspace into samples, by id and never by order.

Tables come in any order and hold more than memory does. Payloads wait on the disk (`Spill`);
memory holds ids, spans and one row. A clip that cannot become a sample is counted by reason.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from motionkit.errors import ShardError
from motionkit.records import PIXEL_STEP
from motionkit.shards.audited import flagged_texts, text_mark
from motionkit.shards.person_masks import MODELS, read_person_masks
from motionkit.shards.schema import rounded, rounded_m2d
from motionkit.shards.sources import VideoFacts, video_facts
from motionkit.shards.spill import Spill
from motionkit.shards.split import OFFICIAL
from motionkit.shards.terms import why_not_commercial
from motionkit.stage import Tables, has_run

#: Presentation times are rounded: containers keep milliseconds.
_TICK_S: Final = 0.002
_KEYPOINTS: Final = (
    "clip_id",
    "video_id",
    "fps",
    "width",
    "height",
    "frames",
    "backend",
)
_EXPRESSIONS: Final = (
    "clip_id",
    "video_id",
    "source_split",
    "source_video",
    "source_expression",
    "text",
    "object_ids",
    "annotation_ids",
    "width",
    "height",
    "frames",
    "masks",
    "extra",
)


@dataclasses.dataclass(frozen=True)
class ClipRules:
    """Which clips become samples. ``wanted`` None means all that the tables hold."""

    require_captions: bool = True
    require_tracks: bool = False
    require_masks: bool = True
    min_s: float = 0.0
    max_s: float = float("inf")
    commercial_only: bool = False
    wanted: Container[str] | None = None
    drop_flagged: tuple[str, ...] = ()
    person_masks: bool = True


@dataclasses.dataclass(frozen=True)
class Span:
    """Where a clip lies in its video, and the shot it is a part of."""

    first: int
    last: int
    t0_s: float
    t1_s: float
    shot_id: str | None


class Joined:
    """The clips of a workspace, ready to be read one by one; a context manager.

    ``left_out`` counts the clips without a sample by reason, ``dropped`` what the stages before
    turned down, by command and reason.
    """

    def __init__(self, folder: Path) -> None:
        self.left_out: Counter[str] = Counter()
        self.dropped: dict[str, Counter[str]] = {}
        self.videos: dict[str, VideoFacts] = {}
        self._stack = contextlib.ExitStack()
        spills = [
            self._stack.enter_context(Spill(folder / f"{name}.spill"))
            for name in ("persons", "objects", "captions", "tracks", "masks")
        ]
        self.persons, self.objects, self.captions, self.tracks, self.masks = spills
        self._malformed_tracks: set[str] = set()
        self._malformed_masks: set[str] = set()
        self._flagged: set[str] = set()  # clips whose captions are all flagged
        self._spans: dict[str, Span] = {}
        self._detectors: dict[str, str] = {}  # shot → backend
        self._backends: dict[str, list[str]] = {}  # clip → models that touched it
        self._lineage: dict[str, Any] = {}

    def __enter__(self) -> Joined:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self, tables: Tables, rules: ClipRules, lineage: Mapping[str, Any]) -> None:
        """Read every table once."""
        self._lineage = {
            table: {key: value for key, value in entry.items() if key != "identity"}
            for table, entry in lineage.items()
        }
        wanted = rules.wanted
        if has_run(tables, "keypoints"):
            self._read_keypoints(tables, wanted)
            self._read_spans(tables)
            self._read_detectors(tables)
        if has_run(tables, "expressions"):
            self._read_expressions(tables, wanted)
        if has_run(tables, "captions"):
            self._read_captions(tables, rules.drop_flagged)
        if has_run(tables, "tracks"):
            self._read_tracks(tables)
        if rules.person_masks and has_run(tables, "masks"):
            self._malformed_masks = read_person_masks(tables, self.persons, self.masks)
        for table, command in (("keypoints", "pose"), ("tracks", "track"), ("captions", "caption")):
            if has_run(tables, table):
                for row in tables.rows(table, ["reason"], outcome="dropped"):
                    self.dropped.setdefault(command, Counter())[row["reason"] or "unknown"] += 1
        self.videos = video_facts(tables)

    # ------------------------------------------------------------------ tables

    def _selected(
        self, tables: Tables, table: str, columns: Iterable[str], wanted: Container[str] | None
    ) -> Iterator[dict[str, Any]]:
        """Kept rows of the wanted clips; the others are counted and their payload is not read."""
        if wanted is None:
            yield from tables.rows(table, columns)
            return
        ids = (row["clip_id"] for row in tables.rows(table, ["clip_id"]))
        self.left_out["not-selected"] += sum(clip not in wanted for clip in ids)
        yield from tables.rows(table, columns, only=("clip_id", wanted))

    def __contains__(self, clip: object) -> bool:
        return clip in self.persons or clip in self.objects

    def _read_keypoints(self, tables: Tables, wanted: Container[str] | None) -> None:
        for row in self._selected(tables, "keypoints", [*_KEYPOINTS, "m2d"], wanted):
            clip = row["clip_id"]
            m2d = np.asarray(row["m2d"], np.float32).ravel()
            if m2d.size != row["frames"] * 54 or not row["frames"]:
                self.left_out["malformed-keypoints"] += 1
            elif not np.isfinite(m2d).all():
                self.left_out["non-finite-keypoints"] += 1
            else:
                values = {name: row[name] for name in _KEYPOINTS}
                self.persons.put(clip, values, {"m2d": rounded_m2d(m2d)})

    def _read_expressions(self, tables: Tables, wanted: Container[str] | None) -> None:
        first: dict[str, str] = {}  # a copy of the data set gives the same clips again
        for row in tables.rows("expressions", ["clip_id"]):
            clip, item = row["clip_id"], row["item_id"]
            first[clip] = min(item, first.get(clip, item))
        for row in self._selected(tables, "expressions", _EXPRESSIONS, wanted):
            clip = row["clip_id"]
            if row["item_id"] != first[clip]:
                self.left_out["duplicate-expression"] += 1
                continue
            if clip in self.persons:
                raise ShardError(f"a person and an expression share the clip id {clip}.")
            values = {name: _plain(row[name]) for name in _EXPRESSIONS}
            self.objects.put(clip, values)

    def _read_spans(self, tables: Tables) -> None:
        """First and last source frame and their times, from the verdicts now in force."""
        counted = self.dropped.setdefault("filter", Counter())
        for row in tables.rows("verdicts", ["candidates", "reason", "outcome"], outcome=None):
            candidates = row["candidates"] or ()
            if row["outcome"] == "dropped" and not len(candidates):
                counted[row["reason"] or "unknown"] += 1
            for c in candidates:
                if c["outcome"] == "dropped":
                    counted[c["reason"] or "unknown"] += 1
                if row["outcome"] == "kept" and c["clip_id"] in self.persons:
                    span = Span(c["first"], c["last"], c["t0_s"], c["t1_s"], row["item_id"])
                    self._spans[c["clip_id"]] = span

    def _read_detectors(self, tables: Tables) -> None:
        if not has_run(tables, "detections"):
            return
        shots = {span.shot_id for span in self._spans.values()}
        names: dict[str, str] = {}
        for row in tables.rows("detections", ["backend"]):
            if row["item_id"] in shots and row["backend"]:
                self._detectors[row["item_id"]] = names.setdefault(row["backend"], row["backend"])

    def _read_captions(self, tables: Tables, drop_flagged: tuple[str, ...]) -> None:
        flagged = flagged_texts(tables, drop_flagged) if drop_flagged else {}
        for row in tables.rows("captions", ["clip_id", "captions"], only=("clip_id", self)):
            captions = [c for c in row["captions"] or () if (c["text"] or "").strip()]
            bad = flagged.get(row["clip_id"])
            if bad and captions:
                told = self.dropped.setdefault("captions audit", Counter())
                told.update(bad[m] for c in captions if (m := text_mark(c["text"])) in bad)
                captions = [c for c in captions if text_mark(c["text"]) not in bad]
                if not captions:
                    self._flagged.add(row["clip_id"])
            if captions:
                self.captions.put(row["clip_id"], {"captions": captions})

    def _read_tracks(self, tables: Tables) -> None:
        columns = ["clip_id", "frames", "grid", "ordinals", "points", "visible", "backend"]
        columns.append("mask_source")
        for row in tables.rows("tracks", columns, only=("clip_id", self)):
            clip = row["clip_id"]
            points = np.asarray(row["points"], np.float32).ravel()
            visible = np.asarray(row["visible"], np.bool_).ravel()
            shown = row["frames"] * row["grid"] ** 2
            if points.size != shown * 2 or visible.size != shown or not np.isfinite(points).all():
                self._malformed_tracks.add(clip)
                continue
            # An object is followed from the first frame with a mask, a person from the start.
            start = int(row["ordinals"][0]) if clip in self.objects and shown else 0
            values = {
                "track_frames": row["frames"],
                "track_first": start,
                "track_grid": row["grid"],
                "track_backend": row["backend"],
                "track_mask": row["mask_source"] if row["mask_source"] in MODELS else None,
            }
            points = rounded(points, PIXEL_STEP)
            self.tracks.put(clip, values, {"track_points": points, "track_visible": visible})

    # ------------------------------------------------------------------ clips

    def choose(self, rules: ClipRules) -> Iterator[tuple[str, str, str | None]]:
        """Sample id, video id and official split of every clip that becomes a sample, sorted."""
        for clip in sorted([*self.persons, *self.objects]):
            person = clip in self.persons
            record = (self.persons if person else self.objects).values(clip)
            reason = self._missing(clip, record, rules)
            if reason is None and rules.commercial_only:
                facts = self.videos[record["video_id"]]
                reason = why_not_commercial(facts.licence, self._models(clip, record))
            if reason:
                self.left_out[reason] += 1
            else:
                yield clip, record["video_id"], OFFICIAL.get(record.get("source_split") or "")

    def _missing(self, clip: str, record: Mapping[str, Any], rules: ClipRules) -> str | None:
        """Why a clip cannot become a sample; None where it can."""
        if record["video_id"] not in self.videos:
            return "no-video"
        person = clip in self.persons
        reason = self._bad_span(clip, rules) if person else _bad_masks(record, rules)
        if reason:
            return reason
        if rules.require_captions and not self._captions(clip, record):
            return "flagged-captions" if clip in self._flagged else "no-caption"
        if clip in self._malformed_tracks:
            return "malformed-tracks"
        if clip in self._malformed_masks:
            return "malformed-masks"
        if rules.require_tracks and clip not in self.tracks:
            return "no-tracks"
        return None

    def _bad_span(self, clip: str, rules: ClipRules) -> str | None:
        if clip not in self._spans:
            return "no-verdict"
        seconds = self._spans[clip].t1_s - self._spans[clip].t0_s
        if seconds < rules.min_s - _TICK_S:
            return "too-short"
        return "too-long" if seconds > rules.max_s + _TICK_S else None

    def _captions(self, clip: str, record: Mapping[str, Any]) -> list[dict[str, Any]]:
        """An expression's own text first, then what `caption` found."""
        found: list[dict[str, Any]] = []
        if (record.get("text") or "").strip():
            names = ("source_split", "source_video", "source_expression")
            detail = {name: record[name] for name in (*names, "object_ids", "annotation_ids")}
            if record["extra"]:
                detail["extra"] = record["extra"]
            text = json.dumps(detail, sort_keys=True, ensure_ascii=False)
            found.append({"text": record["text"], "source": "expression", "detail": text})
        if clip in self.captions:
            found += self.captions.values(clip)["captions"]
        return found

    def _models(self, clip: str, record: Mapping[str, Any]) -> list[str]:
        """Names of every backend and captioner that touched a clip."""
        span = self._spans.get(clip)
        names = [record.get("backend"), self._detectors.get((span and span.shot_id) or "")]
        if clip in self.tracks:
            tracks = self.tracks.values(clip)
            names += [tracks["track_backend"], tracks["track_mask"]]
        if clip in self.masks:
            names.append(self.masks.values(clip)["backend"])
        names += [c["source"] for c in self._captions(clip, record)]
        return sorted({name for name in names if name})

    def content(self, clip: str, video: str) -> bytes:
        """A hash of all that a sample's row is made of, beside split, group and fingerprints."""
        span = self._spans.get(clip)
        facts = [dataclasses.astuple(self.videos[video]), span and dataclasses.astuple(span)]
        plain = json.dumps([facts, self._detectors.get((span and span.shot_id) or "")])
        found = hashlib.blake2b(plain.encode(), digest_size=16)
        for spill in (self.persons, self.objects, self.captions, self.tracks):
            found.update(spill.digest(clip).ljust(16, b"\0"))
        if clip in self.masks:
            found.update(self.masks.digest(clip))
        return found.digest()

    def row(self, clip: str, split: str, group: str) -> dict[str, Any]:
        """The sample's row; beside its columns it has ``models``, which are no column."""
        person = clip in self.persons
        record = (self.persons if person else self.objects).get(clip)
        video = self.videos[record["video_id"]]
        row = {
            "sample_id": clip,
            "kind": "person" if person else "object",
            "clip_id": clip,
            "video_id": record["video_id"],
            "group_id": group,
            "split": split,
            "source": video.source,
            "page_url": video.page_url,
            "licence": video.licence,
            "captions": self._captions(clip, record),
            **{name: record[name] for name in ("width", "height", "frames")},
        }
        if person:
            span = self._spans[clip]
            row.update(first=span.first, last=span.last, t0_s=span.t0_s, t1_s=span.t1_s)
            row.update(fps=record["fps"], m2d=record["m2d"])
            if clip in self.masks:
                row["masks"] = self.masks.values(clip)["masks"]
        else:
            row.update(first=0, last=record["frames"] - 1, t0_s=0.0, t1_s=video.seconds)
            row.update(fps=video.fps, masks=record["masks"])
        backends = {"keypoints": record.get("backend")}
        mask_model = None
        if clip in self.masks:
            backends["masks"] = self.masks.values(clip)["backend"]
        if clip in self.tracks:
            tracks = self.tracks.get(clip)
            backends["tracks"], mask_model = tracks.pop("track_backend"), tracks.pop("track_mask")
            row.update(tracks)
        span_or_none = self._spans.get(clip)
        shot = span_or_none.shot_id if span_or_none else None
        backends["detections"] = self._detectors.get(shot or "")
        row["models"] = sorted({name for name in (*backends.values(), mask_model) if name})
        row["lineage"] = self._lineage_of(person, backends)
        return row

    def _lineage_of(self, person: bool, backends: Mapping[str, str | None]) -> str:
        made = {}
        for table, entry in self._lineage.items():
            if table in (_ONLY_OBJECTS if person else _ONLY_PERSONS):
                continue
            backend = backends.get(table)
            made[table] = {**entry, "backend": backend} if backend else entry
        return json.dumps(made, sort_keys=True, separators=(",", ":"))


_ONLY_PERSONS: Final = ("scans", "detections", "verdicts", "keypoints", "masks")
_ONLY_OBJECTS: Final = ("expressions",)


def _bad_masks(record: Mapping[str, Any], rules: ClipRules) -> str | None:
    masks = record["masks"]
    if not record["frames"]:
        return "malformed-masks"
    if masks is None or not any(masks):
        return "no-masks" if rules.require_masks else None
    return "malformed-masks" if len(masks) != record["frames"] else None


def _plain(value: Any) -> Any:
    """A table's value as JSON knows it."""
    return value.tolist() if isinstance(value, np.ndarray) else value
