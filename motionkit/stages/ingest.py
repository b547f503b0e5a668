"""`ingest`: what every source file is, and whether all of it can be decoded.

Every file is read to its end once (no colour conversion), so the frame count, the presentation
times and the rate are facts, not what a header claims. Captions and licence come from text
files beside the video (`video.sidecars`).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any, ClassVar, Final

from motionkit.errors import InputError
from motionkit.file_hash import sha256_of
from motionkit.records import TABLES
from motionkit.sources.listing import SidecarNames, find_sources, manifests_of
from motionkit.sources.manifest import ManifestIndex
from motionkit.sources.stretches import apply_rows
from motionkit.stage import Dropped, Item, Kept, Outcome, Tables, digest, has_run
from motionkit.video.decode import choose_decoder
from motionkit.video.frame_folder import describe_folder, folder_stamp
from motionkit.video.mevis import MEVIS_FPS
from motionkit.video.probe import frame_rate, index_packets, is_variable
from motionkit.video.problems import problems_of
from motionkit.video.sidecars import read_sidecars
from motionkit.video.survey import survey

_BLOCK: Final = 2**20


#: What a download's row says of the video it became.
_ABOUT: Final = ("page_url", "platform", "platform_id", "title", "uploader", "downloaded")


@dataclasses.dataclass(frozen=True)
class Ingest:
    """Register source files (see `sources.listing`) and everything that `fetch` has downloaded."""

    sources: tuple[str, ...] = ()
    """Files, folders, glob patterns, manifests (CSV, JSON lines, Parquet), and addresses, which
    are fetched first."""
    frame_rate: float = MEVIS_FPS
    """Pictures a second in folders of pictures, which state no rate."""

    name: ClassVar[str] = "ingest"
    version: ClassVar[int] = 2
    table: ClassVar[str] = "videos"
    reads: ClassVar[tuple[str, ...]] = ("downloads",)

    def identity(self, tables: Tables) -> dict[str, Any]:
        """Nothing: which files there are is said by the items, so that a second `ingest` of
        further files adds to the first."""
        return {}

    def ids(self, tables: Tables) -> Iterator[tuple[str, str | None]]:
        """One item a video, one a bad row of a manifest. A video's stamp changes with its file
        (size, time of change), the texts beside it, and its rows in the manifests."""
        manifests = manifests_of(self.sources)
        for found in self._videos(tables, manifests):
            yield _item_id(found.path), found.stamp
        bad = set()
        for manifest in manifests:
            for row in manifest.bad():
                bad.add(_row_id(manifest, row.line))
                yield _row_id(manifest, row.line), digest(row.message, 16)
        for item_id in _failed_rows(tables, manifests):
            if item_id not in bad:
                yield item_id, _CORRECTED

    def items(self, tables: Tables, wanted: Container[str] | None = None) -> Iterator[Item]:
        """The wanted videos with what is known of them, and the wanted bad rows."""
        manifests = manifests_of(self.sources)
        for found in self._videos(tables, manifests):
            item_id = _item_id(found.path)
            if wanted is None or item_id in wanted:
                yield Item(item_id, _data(found, manifests), found.stamp)
        bad = set()
        for manifest in manifests:
            for row in manifest.bad():
                item_id = _row_id(manifest, row.line)
                bad.add(item_id)
                if wanted is None or item_id in wanted:
                    place = {"path": str(manifest.path), "source": str(manifest.path)}
                    data = {"kind": "bad-row", "code": row.code, "message": row.message, **place}
                    yield Item(item_id, data, digest(row.message, 16))
        for item_id in _failed_rows(tables, manifests):
            if item_id not in bad and (wanted is None or item_id in wanted):
                yield Item(item_id, {"kind": _CORRECTED, "path": None, "source": None}, _CORRECTED)

    def _videos(self, tables: Tables, manifests: list[ManifestIndex]) -> Iterator[_Video]:
        """The local files of the sources, then the downloads."""
        beside = SidecarNames()
        for file in find_sources(self.sources):
            if file.kind == "frames":
                stamp: Any = [folder_stamp(file.path), self.frame_rate]
            else:
                stamp = _stamp(file.path, beside)
            said = _versions(manifests, file.path)
            yield _Video(file.path, file.source, file.kind, digest([stamp, said], 16), {})
        if not has_run(tables, "downloads"):
            return
        columns = ["path", "url", "size_bytes", "licence", "attempt", *_ABOUT]
        for row in tables.rows("downloads", columns):
            # Our own file: it changes only when it is fetched again, and may be deleted when
            # everything has been made of it.
            said = _versions(manifests, row["url"])
            version = digest([row["size_bytes"], row["attempt"], said], 16)
            about = {name: row[name] for name in ("licence", *_ABOUT)}
            yield _Video(row["path"], row["url"], "file", version, about)

    def context(self, item: Item) -> dict[str, Any]:
        """What a failed row says too: which file it was."""
        return {name: _readable(item.data[name]) for name in ("path", "source")}

    def setup(self) -> None:
        """Nothing to load."""

    def process(self, item: Item) -> Outcome:
        """Hash, decode to the end, read sidecars. Raises InputError: `container.open_video`'s
        codes, no-frames, corrupt, bad-name; bad-range, bad-row for a manifest's rows."""
        data = item.data
        if data.get("kind") == "bad-row":
            raise InputError(data["code"], data["message"])
        if data.get("kind") == _CORRECTED:
            return Dropped("row-corrected")
        path, source = data["path"], data["source"]
        if _readable(path) != path:
            raise InputError(
                "bad-name", f"the name {_readable(path)} is not UTF-8", hint="rename the file"
            )
        if data.get("kind") == "frames":
            found = {"captions": [], "licence": None, **describe_folder(path, self.frame_rate)}
            found["source"] = source
        else:
            found = describe(path, source)
        video = {**dict.fromkeys(TABLES["videos"].names), **found}
        for name, value in data.get("about", {}).items():
            if value is not None:
                video[name] = value
        if data.get("rows"):
            apply_rows(video, data["rows"])
        return Kept(video)


_CORRECTED: Final = "corrected"


@dataclasses.dataclass(frozen=True, slots=True)
class _Video:
    path: str
    source: str
    kind: str  # file | frames
    stamp: str
    about: dict[str, Any]  # columns of its download


def _data(found: _Video, manifests: list[ManifestIndex]) -> dict[str, Any]:
    rows = [
        {**dataclasses.asdict(row), "manifest": manifest.path.name}
        for manifest in manifests
        for key in dict.fromkeys((found.path, found.source))
        for row in manifest.rows(key)
    ]
    about = dict(found.about)
    if not about:  # a local file whose manifest says where it can be fetched again
        about["page_url"] = next((row["url"] for row in rows if row["url"]), None)
    return {
        "path": found.path,
        "source": found.source,
        "kind": found.kind,
        "about": about,
        "rows": rows,
    }


def _versions(manifests: list[ManifestIndex], key: str) -> list[str]:
    """Digests of what the manifests say of a file or address."""
    return [said for manifest in manifests if (said := manifest.version(key)) is not None]


def _failed_rows(tables: Tables, manifests: list[ManifestIndex]) -> list[str]:
    """Ids of the rows of these manifests that were recorded as bad, by this run or another."""
    if not manifests or not has_run(tables, "videos"):
        return []
    paths = {str(manifest.path) for manifest in manifests}
    rows = tables.rows("videos", ["path"], outcome="failed", only=("path", paths))
    return sorted(row["item_id"] for row in rows if row["item_id"].startswith("row-"))


def _readable(name: str | None) -> str | None:
    """The name with bytes that are no UTF-8 written out: tables hold text only."""
    return None if name is None else os.fsencode(name).decode("utf-8", "backslashreplace")


def _item_id(path: str) -> str:
    return f"src-{digest([path], 16)}"


def _row_id(manifest: ManifestIndex, line: int) -> str:
    return f"row-{digest([str(manifest.path), line], 16)}"


def _stamp(path: str, beside: SidecarNames) -> list[Any] | str:
    try:
        stat = Path(path).stat()
    except (OSError, ValueError):  # gone since it was listed: the work itself says so
        return "missing"
    return [stat.st_size, stat.st_mtime_ns, beside.facts(path)]


def describe(path: str, source: str) -> dict[str, Any]:
    """The row of `videos` for one file. Raises InputError as `Ingest.process`."""
    index, found = index_packets(path), survey(path)
    sha256 = sha256_of(path)
    texts = read_sidecars(path)
    width, height = found.width, found.height
    if found.rotation % 180:
        width, height = height, width
    times = found.times_s
    duration = float(times[-1]) + found.last_length_s
    problems = problems_of(index, found)
    if texts.bad:
        problems.append("bad-sidecar")
    return {
        "video_id": f"v{sha256[:16]}",
        "sha256": sha256,
        "path": path,
        "source": source,
        "size_bytes": Path(path).stat().st_size,
        "container": index.container,
        "codec": index.codec,
        "width": width,
        "height": height,
        "rotation": found.rotation,
        "fps": frame_rate(times, duration, index.rate_declared),
        "duration_s": duration,
        "frames_declared": index.frames_declared,
        "frames_decoded": len(times),
        "frames_damaged": found.lost + int(found.damaged.sum()),
        "variable_rate": is_variable(times),
        "decoder": choose_decoder(path) if found.whole else "pyav-counted",
        "problems": problems,
        "frame_times_s": times,
        "licence": texts.licence,
        "captions": texts.captions,
    }
