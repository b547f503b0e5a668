"""Manifests: lists of videos, of stretches of them, and of texts about both.

CSV, JSON lines or Parquet, one row a stretch (or a video). Columns, all but one of the first two
optional: ``path`` (relative to the manifest's folder, or absolute) or ``url``; ``start`` and
``end`` (seconds, or h:mm:ss.fff); ``caption``, ``captions`` (a list; in CSV as JSON);
``licence`` or ``license``. All further columns are kept as JSON.

A manifest may hold a million rows: they are streamed into a temporary database on disk (SQLite's
own, deleted when it is closed), which groups them by file. A bad row is kept with its line and
what is wrong with it; it never stops the others.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import hashlib
import itertools
import json
import math
import os.path
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from motionkit.errors import UsageError
from motionkit.video.sidecars import MAX_CAPTIONS, TABLE_NAMES, clean_text

#: The names' endings by which a manifest is known.
ENDINGS: Final = frozenset({".csv", ".jsonl", ".ndjson", ".parquet"})
_KNOWN: Final = frozenset(
    {"path", "url", "start", "end", "caption", "captions", "licence", "license"}
)
_BATCH: Final = 4096  # rows
_MAX_LINE: Final = 1 << 20
_MAX_EXTRA: Final = 1 << 16


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One good row. ``key`` is the file's absolute path, or the address; times are seconds."""

    line: int  # 1 is the first line of a text file, or the first row of a Parquet file
    key: str
    url: str | None
    start_s: float | None
    end_s: float | None
    captions: list[str]
    licence: str | None
    extra: str | None  # a JSON object in ASCII


@dataclasses.dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used, with a stable code and the reason."""

    line: int
    code: str  # bad-row | bad-range
    message: str


def is_manifest(path: Path) -> bool:
    """Whether a file's name is that of a manifest. Tables of captions that stand beside videos
    (`video.sidecars`) have the same ending: two names are looked into."""
    if path.name in TABLE_NAMES and path.is_file():
        try:
            next(_from_csv(path), None)
        except (UsageError, OSError):
            return False
    return path.suffix.lower() in ENDINGS


def read_rows(path: Path) -> Iterator[Row | BadRow]:
    """Every row, in order; bounded memory. Raises UsageError for a file that is no manifest."""
    folder = str(Path(path).absolute().parent)
    for line, values in _records(Path(path)):
        if isinstance(values, str):
            yield BadRow(line, "bad-row", f"{path.name} line {line}: {values}")
            continue
        try:
            yield _row(line, values, folder)
        except _Wrong as wrong:
            yield BadRow(line, wrong.code, f"{path.name} line {line}: {wrong}")


def parse_time(value: object) -> float | None:
    """Seconds from a number or a text: ``12.5``, ``1:02``, ``0:01:02.500``; None for nothing
    (null, an empty text, nan). Raises ValueError for anything else, and for negative times."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not a time")
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        parts = text.split(":")
        if len(parts) > 3 or any(not part.isdigit() for part in parts[:-1]):
            raise ValueError(f"{value[:40]!r} is not a time")
        try:
            last = float(parts[-1])
        except ValueError as error:
            raise ValueError(f"{value[:40]!r} is not a time") from error
        if len(parts) > 1 and not 0 <= last < 60:
            raise ValueError(f"{value[:40]!r} is not a time")
        seconds = last
        for place, part in enumerate(reversed(parts[:-1]), 1):
            seconds += int(part) * 60.0**place
    else:
        try:
            seconds = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{str(value)[:40]!r} is not a time") from error
        if math.isnan(seconds):
            return None
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"{str(value)[:40]!r} is not a time")
    return seconds


class ManifestIndex:
    """The rows of one manifest grouped by file. Made by `open_index`; see there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._base = sqlite3.connect("")  # a temporary file of SQLite's own
        self._base.execute(
            "CREATE TABLE rows (key TEXT, line INT, url TEXT, start_s REAL, end_s REAL, "
            "captions TEXT, licence TEXT, extra TEXT)"
        )
        self._base.execute("CREATE TABLE bad (line INT, code TEXT, message TEXT)")
        rows = read_rows(path)
        while batch := list(itertools.islice(rows, _BATCH)):
            good = [row for row in batch if isinstance(row, Row)]
            self._base.executemany(
                "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                ((r.key, r.line, r.url, r.start_s, r.end_s, json.dumps(r.captions), r.licence,
                  r.extra) for r in good),
            )  # fmt: skip
            bad = [row for row in batch if isinstance(row, BadRow)]
            self._base.executemany(
                "INSERT INTO bad VALUES (?, ?, ?)", ((r.line, r.code, r.message) for r in bad)
            )
        self._base.execute("CREATE INDEX by_key ON rows (key, line)")
        self._base.commit()

    def __len__(self) -> int:
        found = self._base.execute(
            "SELECT (SELECT count(*) FROM rows) + (SELECT count(*) FROM bad)"
        )
        return int(found.fetchone()[0])

    def keys(self, *, addresses: bool) -> Iterator[str]:
        """The files (or the addresses) that good rows name, each once, sorted."""
        sql = "SELECT DISTINCT key FROM rows WHERE (key IS url) = ? ORDER BY key"
        yield from (key for (key,) in self._base.execute(sql, (int(addresses),)))

    def rows(self, key: str) -> list[Row]:
        """The good rows of one file or address, in order."""
        sql = (
            "SELECT line, key, url, start_s, end_s, captions, licence, extra FROM rows "
            "WHERE key = ? ORDER BY line"
        )
        found = self._base.execute(sql, (key,))
        return [
            Row(line, of, url, start, end, json.loads(captions), licence, extra)
            for line, of, url, start, end, captions, licence, extra in found
        ]

    def version(self, key: str) -> str | None:
        """A digest of the rows of one file or address; None where there are none."""
        sql = (
            "SELECT line, url, start_s, end_s, captions, licence, extra FROM rows "
            "WHERE key = ? ORDER BY line"
        )
        total = hashlib.sha256()
        count = 0
        for row in self._base.execute(sql, (key,)):
            total.update(repr(row).encode())
            count += 1
        return total.hexdigest()[:16] if count else None

    def bad(self) -> Iterator[BadRow]:
        """The bad rows, in order."""
        for row in self._base.execute("SELECT line, code, message FROM bad ORDER BY line"):
            yield BadRow(*row)

    def bad_row(self, line: int) -> BadRow | None:
        """The bad row at a line."""
        sql = "SELECT line, code, message FROM bad WHERE line = ?"
        found = self._base.execute(sql, (line,)).fetchone()
        return BadRow(*found) if found else None


def open_index(path: Path) -> ManifestIndex:
    """The index of a manifest; kept for the next call while the file does not change.

    Raises UsageError for a file that is missing, no manifest, or without a single row.
    """
    absolute = Path(path).absolute()
    try:
        stat = absolute.stat()
    except OSError as error:
        raise UsageError(f"the manifest {path} cannot be read: {error.strerror}") from error
    return _index(absolute, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _index(path: Path, size: int, mtime_ns: int) -> ManifestIndex:
    index = ManifestIndex(path)
    if not len(index):
        raise UsageError(f"the manifest {path} holds no row")
    return index


class _Wrong(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


# ---------------------------------------------------------------- one row


def _row(line: int, values: dict[str, Any], folder: str) -> Row:
    path, url = _text(values, "path"), _text(values, "url")
    url = url.strip() if url else None
    if url and not path and "://" not in url:  # lists that have one column for both
        path, url = url, None
    elif path and not url and "://" in path:
        path, url = None, str(path).strip()
    if not path and not url:
        raise _Wrong("bad-row", "names neither a path nor a url")
    if path and "\0" in path:
        raise _Wrong("bad-row", "the path holds a zero byte")
    try:
        start, end = parse_time(values.get("start")), parse_time(values.get("end"))
    except ValueError as error:
        raise _Wrong("bad-range", str(error)) from error
    if end is not None and (start or 0.0) >= end:
        raise _Wrong("bad-range", f"start {start or 0:g} is not before end {end:g}")
    key = _absolute(path, folder) if path else str(url)
    licence = _text(values, "licence") or _text(values, "license")
    return Row(
        line, key, url, start, end, _captions(values), clean_text(licence or "") or None,
        _extra(values),
    )  # fmt: skip


@functools.lru_cache(maxsize=4096)  # rows of one file mostly stand together
def _absolute(path: str, folder: str) -> str:
    # Without following links, unlike Path.resolve.
    return os.path.normpath(os.path.join(folder, os.path.expanduser(path)))  # noqa: PTH118, PTH111


def _text(values: dict[str, Any], name: str) -> str | None:
    value = values.get(name)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if not isinstance(value, str):
        raise _Wrong("bad-row", f"{name} is not text")
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        raise _Wrong("bad-row", f"{name} is not UTF-8")
    return value if value.strip() else None


def _captions(values: dict[str, Any]) -> list[str]:
    found: list[object] = [_text(values, "caption")]
    many = values.get("captions")
    if isinstance(many, str) and many.strip():
        if many.lstrip().startswith("["):
            try:
                many = json.loads(many)
            except ValueError as error:
                raise _Wrong("bad-row", "captions is not a JSON list") from error
        else:
            many = [many]
    if isinstance(many, list):
        if not all(isinstance(text, str) for text in many):
            raise _Wrong("bad-row", "captions is not a list of texts")
        found += many
    clean = (clean_text(text) for text in found if isinstance(text, str))
    return list(dict.fromkeys(text for text in clean if text))[:MAX_CAPTIONS]


def _extra(values: dict[str, Any]) -> str | None:
    kept = {
        str(key): _plain(value)
        for key, value in values.items()
        if key not in _KNOWN and value not in (None, "")
    }
    if not kept:
        return None
    text = json.dumps(kept, sort_keys=True)  # ASCII: whatever it holds, it can be stored
    if len(text) > _MAX_EXTRA:
        raise _Wrong("bad-row", f"the further columns take more than {_MAX_EXTRA} bytes")
    return text


def _plain(value: Any) -> Any:
    """A value that JSON can hold; what it cannot becomes text (dates) or null (nan)."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value if value is None or isinstance(value, (str, int, bool)) else str(value)


# ---------------------------------------------------------------- the three formats

_Records = Iterator[tuple[int, "dict[str, Any] | str"]]


def _records(path: Path) -> _Records:
    """Line and columns of every row, or what is wrong with it."""
    readers = {".csv": _from_csv, ".parquet": _from_parquet}
    try:
        yield from readers.get(path.suffix.lower(), _from_json_lines)(path)
    except OSError as error:
        raise UsageError(
            f"the manifest {path} cannot be read: {error.strerror or error}"
        ) from error


def _from_csv(path: Path) -> _Records:
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            names = next(reader, [])
        except csv.Error as error:
            raise UsageError(f"the manifest {path} is not CSV: {error}") from error
        _check_columns(path, names)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:  # the reader goes on with the next line
                yield line, str(error)
                continue
            if len(cells) > len(names):
                yield line, f"has {len(cells)} cells, the header {len(names)}"
            elif any(cells):
                yield line, dict(zip(names, cells, strict=False))


def _from_json_lines(path: Path) -> _Records:
    with path.open("rb") as file:
        line = 0
        while text := file.readline(_MAX_LINE):
            line += 1
            if len(text) == _MAX_LINE and not text.endswith(b"\n"):
                while (rest := file.readline(_MAX_LINE)) and not rest.endswith(b"\n"):
                    pass
                yield line, f"is longer than {_MAX_LINE} bytes"
                continue
            if not text.strip():
                continue
            try:
                values = json.loads(text.decode("utf-8-sig"))
            except (ValueError, RecursionError) as error:
                yield line, f"is not JSON ({error})"[:200]
                continue
            yield line, values if isinstance(values, dict) else "is not a JSON object"


def _from_parquet(path: Path) -> _Records:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _check_columns(path, file.schema_arrow.names)
            line = 0
            for batch in file.iter_batches(batch_size=1024):
                for values in batch.to_pylist():
                    line += 1
                    yield line, values
    except pa.ArrowException as error:
        raise UsageError(f"the manifest {path} cannot be read: {error}") from error


def _check_columns(path: Path, names: Iterable[str]) -> None:
    found = list(names)
    if not {"path", "url"} & set(found):
        shown = ", ".join(clean_text(name)[:40] for name in found[:12]) or "none"
        raise UsageError(
            f"{path} has no column 'path' or 'url' (found: {shown}).",
            hint="docs/ingest.md lists the columns of a manifest",
        )
