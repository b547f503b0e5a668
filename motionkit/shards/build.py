"""Build a shard set from the tables of a workspace.

Rows are joined by id, never by order, and sorted by sample id. The same tables and options give
the same bytes, whether the set is built anew or over an older one. Memory holds the ids and one
row group: payloads are spilled to the disk as they come, and read back in order.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

from motionkit.errors import UsageError
from motionkit.file_hash import sha256_of
from motionkit.shards.audited import check_audited
from motionkit.shards.card import data_card
from motionkit.shards.cuts import segment_key, segments
from motionkit.shards.join import ClipRules, Joined
from motionkit.shards.manifest import build_manifest, write_groups
from motionkit.shards.publish import building_folder, publish_folder
from motionkit.shards.schema import SPLITS
from motionkit.shards.sources import TABLES_READ, FindGroups, near_duplicates, stage_lineage
from motionkit.shards.split import DEFAULT_SALT, Assignment, SplitShares, assign
from motionkit.shards.statistics import Totals
from motionkit.shards.write import Limits, Previous, file_form, write_segment
from motionkit.stage import Tables, has_run


@dataclasses.dataclass(frozen=True)
class BuildSummary:
    """What a build made. ``left_out`` counts the clips without a sample, by reason; ``reused``
    the shards taken over from the set that was there."""

    path: Path
    samples: dict[str, int]  # by split
    videos: dict[str, int]  # by split
    groups: int
    captions: int
    hours: float
    shards: int
    reused: int
    bytes: int
    left_out: dict[str, int]
    manifest_hash: str


@dataclasses.dataclass(frozen=True)
class _Plan:
    """Everything that decides a set beside the tables."""

    rules: ClipRules
    limits: Limits
    shares: SplitShares | None
    salt: str
    official: bool
    where: str
    recipe: Mapping[str, Any] | None
    find_groups: FindGroups | None

    def options(self) -> dict[str, Any]:
        """As the manifest states them."""
        rules = dataclasses.asdict(dataclasses.replace(self.rules, wanted=None))
        del rules["wanted"]
        rules["max_s"] = None if math.isinf(self.rules.max_s) else self.rules.max_s
        return {
            **rules,
            "where": self.where or None,
            "official_splits": self.official,
            "rows_per_shard": self.limits.rows,
            "max_shard_bytes": self.limits.size,
        }


def build_shards(
    tables: Tables,
    out: Path,
    *,
    rows_per_shard: int = 4096,
    max_bytes: int | None = None,
    split: SplitShares | None = None,
    salt: str = DEFAULT_SALT,
    official_splits: bool = True,
    recipe: Mapping[str, Any] | None = None,
    require_captions: bool = True,
    require_tracks: bool = False,
    require_masks: bool = True,
    min_s: float = 0.0,
    max_s: float = math.inf,
    commercial_only: bool = False,
    drop_flagged: tuple[str, ...] = (),
    person_masks: bool = True,
    wanted: Container[str] | None = None,
    where: str = "",
    find_groups: FindGroups | None = None,
) -> BuildSummary:
    """Join keypoints, expressions, captions, tracks and videos into the shard set ``out``.

    ``out`` is replaced as a whole once the new set is complete; after an error or a kill the
    old set stands. Shards of the old set that would get the same bytes are taken over.

    A clip is left out, and counted by reason, that has no caption (``require_captions``), no
    tracks (``require_tracks``), no masks (objects, ``require_masks``), that is shorter than
    ``min_s`` or longer than ``max_s`` seconds (persons: objects keep the length of their
    video), that may not be used commercially (``commercial_only``, see
    `motionkit.shards.terms`), or whose id is not in ``wanted`` (which ``where`` explains in the
    manifest). Captions with a flag of ``drop_flagged`` (codes of the table `audits`) are left
    out, and clips that have no other. ``person_masks`` puts the masks of persons in, where
    `masks` made some. A shard has at most ``rows_per_shard`` samples and
    ``max_bytes`` bytes.

    ``official_splits``: expressions keep the split they came with. ``find_groups`` replaces
    `motionkit.duplicates.find_groups`. The split and its salt are explained in
    `motionkit.shards.split`. UsageError where a needed stage has not run or no sample is left.
    """
    plan = _Plan(
        ClipRules(
            require_captions,
            require_tracks,
            require_masks,
            min_s,
            max_s,
            commercial_only,
            wanted,
            drop_flagged,
            person_masks=person_masks,
        ),
        Limits(rows_per_shard, max_bytes),
        split,
        salt,
        official_splits,
        where,
        recipe,
        find_groups,
    )
    _check_stages(tables, plan.rules)
    out = Path(out)
    folder = building_folder(out)
    try:
        summary = _build(tables, folder, plan, Previous(out))
        publish_folder(folder, out)
    finally:  # after success the name is gone already; a kill leaves it to the next build
        shutil.rmtree(folder, ignore_errors=True)
    return dataclasses.replace(summary, path=out)


def _check_stages(tables: Tables, rules: ClipRules) -> None:
    """UsageError, naming the command to run, where a table that is needed is not there."""
    if rules.require_tracks:
        tables.fingerprint("tracks")
    if not has_run(tables, "expressions"):
        tables.fingerprint("keypoints")
    if rules.require_captions and has_run(tables, "keypoints"):
        tables.fingerprint("captions")
    if rules.drop_flagged:
        check_audited(tables)


def _build(tables: Tables, folder: Path, plan: _Plan, previous: Previous) -> BuildSummary:
    """Write the whole set into ``folder``."""
    read = (*TABLES_READ, "audits") if plan.rules.drop_flagged else TABLES_READ
    if plan.rules.person_masks:
        read = (*read, "masks")
    lineage = stage_lineage(tables, read)
    with Joined(folder) as joined:
        joined.read(tables, plan.rules, lineage)
        chosen = list(joined.choose(plan.rules))
        if not chosen:
            left = dict(joined.left_out) or "no clips at all"
            raise UsageError(
                f"no clip is ready for a shard; left out: {left}.",
                hint="run 'motionkit status' to see which stage keeps nothing",
            )
        twins = near_duplicates(tables, plan.find_groups)
        clips = [(clip, video, twins.get(video, video)) for clip, video, _ in chosen]
        official: dict[str, set[str]] = {}
        for (_, _, group), (_, _, home) in zip(clips, chosen, strict=True):
            if home and plan.official:
                official.setdefault(group, set()).add(home)
        assignment = assign(
            (group for _, _, group in clips), plan.shares, salt=plan.salt, official=official
        )
        totals = Totals()
        shards: list[dict[str, Any]] = []
        reused = 0
        (folder / "data").mkdir()
        for name in SPLITS:
            own = [clip for clip in clips if assignment.split_of[clip[2]] == name]
            files, kept = _write_split(folder, name, own, joined, plan, lineage, previous, totals)
            shards += files
            reused += kept
    return _finish(folder, shards, reused, totals, assignment, lineage, plan, joined)


def _write_split(
    folder: Path,
    split: str,
    clips: list[tuple[str, str, str]],
    joined: Joined,
    plan: _Plan,
    lineage: Mapping[str, Any],
    previous: Previous,
    totals: Totals,
) -> tuple[list[dict[str, Any]], int]:
    """The manifest's entries of a split's files, and how many were taken over.

    ``clips`` are sample, video and group ids, sorted.
    """
    form = file_form(lineage, plan.limits, split)
    about = {clip: (video, group) for clip, video, group in clips}
    ids = list(about)

    def content(clip: str) -> bytes:
        video, group = about[clip]
        return joined.content(clip, video) + group.encode()

    def rows(start: int, end: int) -> Iterator[dict[str, Any]]:
        for clip in ids[start:end]:
            row = joined.row(clip, split, about[clip][1])
            totals.add(row)
            yield row

    entries: list[dict[str, Any]] = []
    reused = 0
    for start, end in segments(ids, plan.limits.rows):
        key = segment_key(ids[start:end], content, form)
        stub = folder / "data" / f"{split}-{start}"
        taken = previous.take(key, stub)
        if taken is not None:
            for _ in rows(start, end):
                pass  # counted; the bytes are there
            reused += len(taken)
        entries += (
            taken if taken is not None else write_segment(stub, rows(start, end), key, plan.limits)
        )
    return [_named(folder, split, i, len(entries), e) for i, e in enumerate(entries)], reused


def _named(
    folder: Path, split: str, index: int, count: int, entry: dict[str, Any]
) -> dict[str, Any]:
    """Give a file its final name."""
    path = folder / "data" / f"{split}-{index:05d}-of-{count:05d}.parquet"
    entry.pop("file").replace(path)
    return {"path": path.relative_to(folder).as_posix(), "split": split, **entry}


def _finish(
    folder: Path,
    shards: list[dict[str, Any]],
    reused: int,
    totals: Totals,
    assignment: Assignment,
    lineage: dict[str, Any],
    plan: _Plan,
    joined: Joined,
) -> BuildSummary:
    """Write groups, card and, last, the manifest."""
    manifest = build_manifest(
        shards,
        totals,
        assignment,
        options=plan.options(),
        lineage=lineage,
        recipe=plan.recipe,
        left_out=joined.left_out,
        dropped=joined.dropped,
        groups=write_groups(folder, totals),
    )
    (folder / "README.md").write_text(data_card(manifest), "utf-8")
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / "manifest.json").write_text(text, "utf-8")
    return BuildSummary(
        path=folder,
        samples={s: manifest["splits"][s]["samples"] for s in SPLITS},
        videos={s: manifest["splits"][s]["videos"] for s in SPLITS},
        groups=manifest["totals"]["groups"],
        captions=manifest["totals"]["captions"],
        hours=manifest["totals"]["hours"],
        shards=len(shards),
        reused=reused,
        bytes=sum(s["bytes"] for s in shards),
        left_out=dict(sorted(joined.left_out.items())),
        manifest_hash=sha256_of(folder / "manifest.json"),
    )
