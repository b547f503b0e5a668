"""The release pack: a shard set that can be handed on, and where its videos can be fetched again.

    pack/
      manifest.json, README.md, groups.csv, data/*.parquet   a shard set (docs/shards.md)
      videos.parquet                                         one row a video

Every reader of shards reads a pack too. No pixels, and nothing of the maker's folders.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from motionkit.errors import InputError, ShardError
from motionkit.file_hash import sha256_of
from motionkit.records import TABLES, array
from motionkit.shards.reader import ShardSet, open_shards
from motionkit.sources.addresses import check_address

KIND: Final = "release"
VERSION: Final = 1
VIDEOS: Final = "videos.parquet"


def _videos_schema() -> pa.Schema:
    hashes = TABLES["scans"].field("hashes")
    times = array(pa.float64(), "K", "middles of the hashed quarter seconds")
    columns: list[tuple[str, Any, str]] = [
        ("video_id", pa.string(), "joins the samples"),
        ("sha256", pa.string(), "of the file; null where it is not known"),
        ("size_bytes", pa.int64(), "of the file"),
        ("address", pa.string(), "ok | no-address"),
        ("page_url", pa.string(), "where to fetch it; null where there is no address"),
        ("platform", pa.string(), "youtube, http …"),
        ("platform_id", pa.string(), ""),
        ("title", pa.string(), ""),
        ("uploader", pa.string(), ""),
        ("licence", pa.string(), "as the platform or the maker states it"),
        ("downloaded", pa.string(), "UTC date of the download, YYYY-MM-DD"),
        ("name", pa.string(), "file name, relative to what the maker named; or the address"),
        ("width", pa.int32(), "as shown"),
        ("height", pa.int32(), "as shown"),
        ("rotation", pa.int32(), "degrees clockwise"),
        ("fps", pa.float64(), "mean rate"),
        ("frames", pa.int64(), "that decode"),
        ("duration_s", pa.float64(), ""),
        ("decoder", pa.string(), "that the frame numbers are of"),
        ("clips", pa.int64(), "samples of the set that show it"),
    ]
    fields = [pa.field(n, t, metadata={"meaning": m} if m else None) for n, t, m in columns]
    fields.append(pa.field("hash_times_s", times[0], metadata=times[1]))
    fields.append(hashes)
    marks = {b"motionkit.release.version": str(VERSION).encode()}
    return pa.schema(fields, metadata=marks)


VIDEOS_SCHEMA: Final = _videos_schema()


def write_videos(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    """Write rows of `VIDEOS_SCHEMA`, a row group for each 256."""
    with pq.ParquetWriter(path, VIDEOS_SCHEMA, compression="zstd", version="2.6") as writer:
        group: list[dict[str, Any]] = []
        for row in rows:
            group.append(row)
            if len(group) == 256:
                writer.write_table(pa.Table.from_pylist(group, VIDEOS_SCHEMA))
                group = []
        if group:
            writer.write_table(pa.Table.from_pylist(group, VIDEOS_SCHEMA))


def open_pack(path: Path) -> ShardSet:
    """Open a release pack and check every file of it. ShardError where it is none or damaged."""
    shards = open_shards(path, verify=True)
    release = shards.manifest.get("release")
    if not isinstance(release, dict) or release.get("version") != VERSION:
        raise ShardError(
            f"{path} is no release pack of version {VERSION}.",
            hint="make one with 'motionkit release', or use the version that wrote it",
        )
    file = shards.path / VIDEOS
    if not file.is_file() or sha256_of(file) != release["videos"]["sha256"]:
        raise ShardError(f"{file} is not what the manifest says.", hint="copy the pack again")
    return shards


def videos_of(pack: ShardSet, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Rows of the pack's videos; some hundred are in memory at a time."""
    try:
        with pq.ParquetFile(pack.path / VIDEOS) as file:
            for batch in file.iter_batches(batch_size=256, columns=columns):
                yield from batch.to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise ShardError(f"{pack.path / VIDEOS} cannot be read: {error}") from error


def public_address(address: str | None) -> str | None:
    """An address to hand on: without user name and password; None where it is none that can be
    fetched (a local one among them)."""
    if not address:
        return None
    try:
        check_address(address)
        parts = urllib.parse.urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
        return urllib.parse.urlunsplit(parts._replace(netloc=host))
    except (InputError, ValueError):
        return None


#: A text that is an absolute path: /a, ~/a, C:\\a, \\\\host\\a, file:/a
_PATH: Final = re.compile(r"(?:/|~/|[A-Za-z]:[\\/]|\\\\|file:/)")
#: An absolute path of two parts or more within a text; addresses and relative paths are none.
#: Folders may have blanks in their names, so a little more than the path may go.
_WITHIN: Final = re.compile(
    r"(?<![\w:/.\\])(?:~|[A-Za-z]:)?(?:[\\/](?!\s)[^\\/:,;\"'()\n]+)+[\\/][^\s\\/:,;\"'()]*"
)


def public_text(text: str) -> str:
    """A text without absolute paths of the maker's machine: their last parts stay."""
    if _PATH.match(text):
        return _last_part(text)
    return _WITHIN.sub(lambda found: _last_part(found[0]), text)


def _last_part(path: str) -> str:
    return PureWindowsPath(PurePosixPath(path).name).name or "-"


def without_paths(value: Any) -> Any:
    """JSON values with `public_text` in place of every text, keys too."""
    if isinstance(value, str):
        return public_text(value)
    if isinstance(value, Mapping):
        return {public_text(str(k)): without_paths(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_paths(v) for v in value]
    return value
