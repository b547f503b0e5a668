"""Make a release pack: a shard set to hand on, with the links of its videos (`exchange.pack`)."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from motionkit.errors import UsageError
from motionkit.exchange.folders import check_apart
from motionkit.exchange.pack import (
    KIND,
    VERSION,
    VIDEOS,
    VIDEOS_SCHEMA,
    public_address,
    public_text,
    without_paths,
    write_videos,
)
from motionkit.exchange.rows import rows_of
from motionkit.file_hash import sha256_of
from motionkit.shards.from_samples import SetSummary, models_of, write_set
from motionkit.shards.reader import open_shards
from motionkit.shards.sources import public_source
from motionkit.shards.terms import why_not_commercial
from motionkit.stage import Tables
from motionkit.workspace import Workspace

_FACTS: Final = (
    "video_id", "sha256", "path", "source", "size_bytes", "page_url", "platform", "platform_id",
    "title", "uploader", "licence", "downloaded", "width", "height", "rotation", "fps",
    "frames_decoded", "duration_s", "decoder",
)  # fmt: skip
#: Columns that are copied as they are.
_COPIED: Final = tuple(n for n in _FACTS if n in VIDEOS_SCHEMA.names and n != "page_url")

_CARD: Final = """
## The videos

This is a release pack: links, time ranges, keypoints, tracks and text, **without pixels**.
`videos.parquet` holds one row a video: address, title, uploader, licence, date of the download,
SHA-256, size, length and a perceptual hash. {with_address} of {videos} videos have an address;
{without} have none ("no-address") and can be found again in a folder of files by their SHA-256.

To fetch the videos again, check them and cut the clips:

```sh
motionkit rebuild PACK --out rebuilt --pixels clips
```
"""


@dataclasses.dataclass(frozen=True)
class ReleaseSummary:
    """What a pack holds. ``no_address`` counts videos, ``no_address_clips`` their samples."""

    set: SetSummary
    videos: int
    no_address: int
    no_address_clips: int
    unhashed: int


def release(
    shards: Path,
    tables: Workspace,
    out: Path,
    *,
    commercial_only: bool = False,
    addressed_only: bool = False,
    rows_per_shard: int = 4096,
    max_bytes: int | None = None,
) -> ReleaseSummary:
    """Write the release pack ``out`` of the shard set ``shards`` that the workspace made.

    Samples keep ids and splits. ``commercial_only`` leaves out what `shards.terms` does not
    allow, ``addressed_only`` the samples of videos without an address; both are counted by
    reason. The same set gives the same bytes. Raises ShardError where the set is damaged,
    UsageError where the workspace knows none of its videos or ``out`` holds something else.
    """
    check_apart(Path(out), Path(shards))
    opened = open_shards(shards, verify=True)
    wanted = {row["video_id"] for row in _video_ids(opened)}
    facts = _facts(tables, wanted)
    if not facts:
        raise UsageError(
            f"the workspace {tables.path} knows none of the videos of {shards}.",
            hint="name the workspace that made the set: --workspace FOLDER",
        )
    left_out: Counter[str] = Counter()
    clips: Counter[str] = Counter()

    def rows() -> Iterator[dict[str, Any]]:
        for row in rows_of(opened):
            known = facts.get(row["video_id"], {})
            reason = None
            if commercial_only:
                models = [*models_of(row["lineage"]), *(c["source"] for c in row["captions"] or ())]
                reason = why_not_commercial(row["licence"], models)
            if reason is None and addressed_only and not known.get("page_url"):
                reason = "no-address"
            if reason:
                left_out[reason] += 1
                continue
            clips[row["video_id"]] += 1
            yield _public_row(row, known)

    counts: dict[str, int] = {}

    def finish(folder: Path, manifest: dict[str, Any]) -> str:
        rule = without_paths(opened.manifest["split_rule"])  # the splits are the set's own
        manifest["split_rule"] = {**rule, "groups": manifest["split_rule"]["groups"]}
        manifest["dropped"] = without_paths(opened.manifest.get("dropped", {}))
        rows = _video_rows(tables, facts, clips, counts)
        write_videos(folder / VIDEOS, rows)
        manifest["release"] = {
            "version": VERSION,
            "videos": {"path": VIDEOS, "sha256": sha256_of(folder / VIDEOS), "rows": len(clips)},
            "counts": counts,
            "fetch": {"max_height": _max_height(tables)},
        }
        return _CARD.format(
            with_address=len(clips) - counts["no_address"],
            videos=len(clips),
            without=counts["no_address"],
        )

    options = opened.manifest.get("options", {})
    made = write_set(
        rows(),
        out,
        origin={
            "kind": KIND,
            "options": without_paths(options),
            "commercial_only": commercial_only,
            "addressed_only": addressed_only,
            "made_from": opened.manifest_hash,
        },
        lineage=without_paths(opened.manifest.get("lineage", {})),
        left_out=left_out,
        rows_per_shard=rows_per_shard,
        max_bytes=max_bytes,
        finish=finish,
    )
    return ReleaseSummary(made, len(clips), **counts)


def _video_ids(opened: Any) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    for file in opened.files():
        yield from pq.read_table(file, columns=["video_id"]).to_pylist()


def _facts(tables: Tables, wanted: set[str]) -> dict[str, dict[str, Any]]:
    """Facts by video id. Of equal copies one with an address counts, else the first by path."""
    found: dict[str, tuple[tuple[bool, str], dict[str, Any]]] = {}
    for row in tables.rows("videos", list(_FACTS), only=("video_id", wanted)):
        address = public_address(row["page_url"]) or public_address(row["source"])
        rank = (address is None, row["path"])
        known = found.get(row["video_id"])
        if known is None or rank < known[0]:
            made = {name: row[name] for name in _COPIED}
            source = public_source(row["source"], row["path"])
            name = address if "://" in source else public_text(source)
            made.update(page_url=address, frames=row["frames_decoded"], name=name)
            found[row["video_id"]] = (rank, made)
    return {video: made for video, (_, made) in found.items()}


def _public_row(row: dict[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """A sample's row without a path of the maker's machine."""
    captions = [{**c, "detail": _public_detail(c["detail"])} for c in row["captions"] or ()]
    lineage = json.dumps(
        without_paths(json.loads(row["lineage"] or "{}")), sort_keys=True, separators=(",", ":")
    )
    source = row["source"] or ""
    address = known.get("page_url") or public_address(row["page_url"])
    if "://" in source:
        source = public_address(source) or address or "-"
    return {
        **row,
        "captions": captions,
        "lineage": lineage,
        "source": public_text(source),
        "page_url": address,
    }


def _public_detail(detail: str | None) -> str:
    try:
        found = without_paths(json.loads(detail or "{}"))
    except ValueError:  # a text of its own
        return public_text(detail or "")
    return json.dumps(found, sort_keys=True, ensure_ascii=False)


def _video_rows(
    tables: Workspace,
    facts: Mapping[str, Mapping[str, Any]],
    clips: Counter[str],
    counts: dict[str, int],
) -> Iterator[dict[str, Any]]:
    """Rows of videos.parquet, sorted; fills ``counts``."""
    counts.update(no_address=0, no_address_clips=0, unhashed=0)
    scans = None
    if tables.current("scans") is not None:
        scans = tables.lookup("scans", "video_id", ["hash_times_s", "hashes"])
    for video in sorted(clips):
        known = facts.get(video, {})
        scan = (scans.get(video) if scans is not None else None) or {}
        row = {**dict.fromkeys(VIDEOS_SCHEMA.names), **known, "video_id": video}
        row["clips"] = clips[video]
        row["address"] = "ok" if row["page_url"] else "no-address"
        if not row["page_url"]:
            counts["no_address"] += 1
            counts["no_address_clips"] += clips[video]
        for name in ("hash_times_s", "hashes"):
            row[name] = scan.get(name)
        counts["unhashed"] += row["hashes"] is None
        yield row


def _max_height(tables: Workspace) -> int | None:
    """The picture height that the maker's downloads were chosen by."""
    parameters = (tables.current("downloads") or {}).get("parameters", {})
    found = parameters.get("max_height")
    return found if isinstance(found, int) else None
