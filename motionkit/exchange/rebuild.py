"""Bring the videos of a release pack back: fetch or find, check, cut, report.

Everything runs over a workspace inside the output folder, so that a second call goes on where the
first one ended, and asks no address twice.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from motionkit.engines.local import EngineOptions, Progress, run_stage
from motionkit.errors import UsageError
from motionkit.exchange.folders import check_apart
from motionkit.exchange.pack import open_pack, videos_of
from motionkit.exchange.rebuild_stage import USABLE, Rebuild
from motionkit.file_hash import sha256_of
from motionkit.shards.reader import ShardSet
from motionkit.sources.addresses import item_id
from motionkit.sources.listing import find_sources
from motionkit.stages.fetch import Fetch
from motionkit.workspace import Workspace, publish

PIXELS: Final = ("none", "clips")
_FIND: Final = ["video_id", "sha256", "size_bytes", "page_url", "name", "fps"]


@dataclasses.dataclass(frozen=True)
class RebuildSummary:
    """Counts by status. ``usable`` videos are there and show what the pack says."""

    path: Path
    videos: dict[str, int]
    clips: dict[str, int]
    usable: int
    report: Path


def rebuild(
    pack: Path,
    out: Path,
    *,
    videos: Path | None = None,
    pixels: str = "none",
    fetch: Fetch | None = None,
    max_height: int | None = None,
    offline: bool = False,
    retry: bool = False,
    quality: int = 18,
    engine: EngineOptions | None = None,
    progress: Progress | None = None,
) -> RebuildSummary:
    """Find the videos of ``pack`` in the folder ``videos`` (by size and SHA-256, else by the
    name the pack gives), fetch the others (not with ``offline``), and check each.

    ``pixels`` "clips" cuts every clip into ``out/clips``. ``fetch`` holds the manners of the
    downloads, ``max_height`` replaces the picture height that the maker's downloads were chosen
    by; ``retry`` asks again for what failed before. Writes ``out/report.json`` and
    ``report.csv``: a status for every video and clip (docs/exchange.md). Dead links are
    recorded, never raised. Raises ShardError where the pack is damaged.
    """
    if pixels not in PIXELS:
        raise UsageError(f"--pixels {pixels!r} is unknown.", hint=f"choose from: {PIXELS}")
    opened = open_pack(Path(pack))
    out = Path(out)
    check_apart(out, Path(pack))
    workspace = Workspace.create(out / "work")
    _claim(out, opened)
    engine = engine or EngineOptions()
    again = (lambda _: True) if retry else None
    known = list(videos_of(opened, _FIND))
    found = find_local(known, videos) if videos is not None else {}
    addresses = {v["video_id"]: v["page_url"] for v in known
                 if v["video_id"] not in found and v["page_url"]}  # fmt: skip
    failed: dict[str, tuple[str, str]] = {}
    if addresses and not offline:
        manners: Any = _manners(fetch or Fetch(), max_height, opened, workspace, addresses)
        held = dataclasses.replace(
            engine, workers=max(1, manners.workers), timeout_s=manners.item_timeout_s
        )
        run_stage(workspace, manners, held, retry=again, progress=progress)
    if addresses and workspace.current("downloads") is not None:
        found.update(_fetched(workspace, addresses, failed))
    clips = out / "clips"
    if pixels == "clips":
        clips.mkdir(parents=True, exist_ok=True)
    stage: Any = Rebuild(
        pack=str(opened.path.absolute()),
        pack_hash=opened.manifest_hash,
        clips=str(clips.absolute()) if pixels == "clips" else "",
        quality=quality,
        local=tuple(sorted(found.items())),
    )
    run_stage(workspace, stage, engine, retry=again, progress=progress)
    return _report(opened, workspace, out, found, failed)


def find_local(videos: list[dict[str, Any]], folder: Path) -> dict[str, str]:
    """Video id → absolute path of a file below ``folder`` with the SHA-256 of the pack, else
    under the pack's name. Only files of a wanted size are read."""
    by_size: dict[int, dict[str, str]] = {}
    by_name: dict[str, list[str]] = {}
    for video in videos:
        if video["size_bytes"] is not None and video["sha256"]:
            by_size.setdefault(video["size_bytes"], {})[video["sha256"]] = video["video_id"]
        if video["name"] and "://" not in video["name"]:
            by_name.setdefault(video["name"], []).append(video["video_id"])
    found: dict[str, str] = {}
    named: dict[str, str] = {}
    top = folder.absolute()
    for file in find_sources([str(folder)]):
        path = Path(file.path)
        relative = path.relative_to(top).as_posix() if top in path.parents else path.name
        for name in {relative, path.name}:
            if len(by_name.get(name, ())) == 1:
                named.setdefault(by_name[name][0], file.path)
        wanted = by_size.get(path.stat().st_size) if file.kind == "file" else None
        same = wanted.get(sha256_of(file.path)) if wanted else None
        if same is not None:
            found.setdefault(same, file.path)
    return {**named, **found}


def _manners(
    fetch: Fetch,
    max_height: int | None,
    pack: ShardSet,
    workspace: Workspace,
    addresses: Mapping[str, str],
) -> Fetch:
    """How to fetch: as asked, with the maker's picture height where none was asked."""
    height = max_height or pack.manifest["release"].get("fetch", {}).get("max_height")
    if not isinstance(height, int) or height < 1:
        height = fetch.max_height
    return dataclasses.replace(
        fetch,
        addresses=tuple(dict.fromkeys(addresses[video] for video in sorted(addresses))),
        workspace=str(workspace.path.absolute()),
        max_height=height,
    )


def _fetched(
    workspace: Workspace, addresses: Mapping[str, str], failed: dict[str, tuple[str, str]]
) -> dict[str, str]:
    """Video id → downloaded file; what failed goes to ``failed`` as code and message."""
    videos: dict[str, list[str]] = {}
    for video, address in addresses.items():
        videos.setdefault(item_id(address), []).append(video)
    found = {}
    columns = ["path", "outcome", "reason", "error_message"]
    for row in workspace.rows("downloads", columns, outcome=None, only=("item_id", videos)):
        for video in videos[row["item_id"]]:
            if row["outcome"] == "kept":
                found[video] = row["path"]
            else:
                failed[video] = row["reason"], row["error_message"] or ""
    return found


def _claim(out: Path, pack: ShardSet) -> None:
    """One pack an output folder: UsageError where another one is there."""
    marker = out / "rebuild.json"
    if marker.is_file():
        if json.loads(marker.read_text("utf-8")).get("pack") != pack.manifest_hash:
            raise UsageError(
                f"{out} holds the rebuild of another pack.", hint="choose another --out"
            )
        return
    text = json.dumps({"format": "motionkit-rebuild", "pack": pack.manifest_hash}) + "\n"
    publish(marker, lambda temporary: temporary.write_text(text, "utf-8"))


def _statuses(
    pack: ShardSet,
    workspace: Workspace,
    found: Mapping[str, str],
    failed: Mapping[str, tuple[str, str]],
) -> Iterator[dict[str, Any]]:
    """A line of the report for every video, with what became of its clips."""
    rows: dict[str, dict[str, Any]] = {}
    columns = ["path", "problems", "extra", "outcome", "reason", "error_message"]
    for checked in workspace.rows("videos", columns, outcome=None):
        rows[checked["item_id"]] = checked
    for video in videos_of(pack, ["video_id", "page_url", "clips"]):
        name = video["video_id"]
        line = {**video, "path": found.get(name), "clip_status": {}}
        if name not in found:
            missing = "not-tried" if video["page_url"] else "no-address"
            status, detail = failed.get(name, (missing, ""))
        elif rows[name]["outcome"] == "kept":
            about = json.loads(rows[name]["extra"])
            status, detail = rows[name]["problems"][0], about["detail"]
            line["clip_status"] = about["clips"]
        else:
            status, detail = rows[name]["reason"], rows[name]["error_message"] or ""
        yield {**line, "status": status, "detail": detail}


def _report(
    pack: ShardSet,
    workspace: Workspace,
    out: Path,
    found: Mapping[str, str],
    failed: Mapping[str, tuple[str, str]],
) -> RebuildSummary:
    videos: Counter[str] = Counter()
    clips: Counter[str] = Counter()
    lines = {line["video_id"]: line for line in _statuses(pack, workspace, found, failed)}
    for line in lines.values():
        videos[line["status"]] += 1

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["kind", "id", "video_id", "status", "frames", "file", "detail"])
            for name, line in lines.items():
                file = os.path.relpath(line["path"], out) if line["path"] else ""
                cells = [name, name, line["status"], "", file, line["detail"]]
                writer.writerow(["video", *map(_cell, cells)])
            for row in _samples(pack):
                line = lines[row["video_id"]]
                own = line["clip_status"].get(row["sample_id"], {"status": line["status"]})
                status = own["status"]
                file = f"clips/{own['file']}" if own.get("file") else ""
                if file and not (out / file).is_file():  # taken away since it was cut
                    status, file = "missing-clip", ""
                clips[status] += 1
                cells = [row["sample_id"], row["video_id"], status, own.get("frames", "")]
                writer.writerow(["clip", *map(_cell, [*cells, file, ""])])

    publish(out / "report.csv", write)
    report: dict[str, Any] = {
        "format": "motionkit-rebuild",
        "pack": pack.manifest_hash,
        "videos": dict(sorted(videos.items())),
        "clips": dict(sorted(clips.items())),
        "not_ok": [
            {key: line[key] for key in ("video_id", "page_url", "clips", "status", "detail")}
            for line in lines.values()
            if line["status"] != "ok"
        ],
    }
    text = json.dumps(report, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    publish(out / "report.json", lambda temporary: temporary.write_text(text, "utf-8"))
    usable = sum(videos[status] for status in USABLE)
    return RebuildSummary(out, report["videos"], report["clips"], usable, out / "report.json")


def _samples(pack: ShardSet) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    for file in pack.files():
        yield from pq.read_table(file, columns=["sample_id", "video_id"]).to_pylist()


def _cell(value: Any) -> str:
    """Text that no spreadsheet runs as a formula, on one line."""
    text = " ".join(str(value).split())
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
