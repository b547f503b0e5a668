"""Write the samples of a split as Parquet files, or take over those that would be the same.

A file holds whole row groups of `ROW_GROUP` samples. Where a limit of bytes is given, a file
that the next row group would carry past it ends before; a file has at least one row group.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from motionkit.errors import UsageError
from motionkit.file_hash import sha256_of
from motionkit.records import SHARDS_VERSION
from motionkit.shards.schema import FORMAT, sample_schema, time_last, writer_options

#: Samples in one row group: what a reader holds in memory at a time, about 2.5 MB of keypoints.
#: Measured (docs/shards.md): 32 are 1 % larger and read slower, 256 are 1 % smaller, read 10 %
#: faster and hold four times the memory.
ROW_GROUP: Final = 64

_UNITS: Final = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}
_BINARY: Final = {"kib": 2**10, "mib": 2**20, "gib": 2**30}


@dataclasses.dataclass(frozen=True)
class Limits:
    """Largest shard file: samples, and bytes where they are limited."""

    rows: int
    size: int | None = None

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise UsageError(f"rows_per_shard is {self.rows}.", hint="give at least 1")
        if self.size is not None and self.size < 1:
            raise UsageError("max_shard_size is 0 bytes.", hint="for example: 256MB")


def parse_size(text: str) -> int | None:
    """``256MB`` (1000² bytes), ``256MiB`` (1024²), plain bytes; empty means no limit."""
    if not text.strip():
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", text)
    unit = {**_UNITS, **_BINARY}.get(found[2].lower()) if found else None
    if found is None or unit is None or float(found[1]) * unit < 1:
        raise UsageError(f"{text!r} is no size of a file.", hint="for example: 256MB, 64MiB, 1.5GB")
    return int(float(found[1]) * unit)


def file_form(lineage: Mapping[str, Any], limits: Limits, split: str) -> dict[str, Any]:
    """What decides the bytes of a file beside its samples."""
    return {
        "version": SHARDS_VERSION,
        "schema": sample_schema().to_string(show_field_metadata=True),
        "writer": writer_options(),
        "pyarrow": pa.__version__,
        "row_group": ROW_GROUP,
        "size": limits.size,
        "split": split,
        "lineage": {name: {**entry, "identity": None} for name, entry in lineage.items()},
    }


class Previous:
    """The files of the set that is being replaced, by the key of their segment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._entries: dict[str, list[tuple[str, int, str]]] = {}
        try:
            manifest = json.loads((folder / "manifest.json").read_bytes())
            if manifest["format"] == FORMAT and manifest["version"] == SHARDS_VERSION:
                for shard in manifest["shards"]:
                    known = (Path(shard["path"]).name, int(shard["rows"]), shard["sha256"])
                    self._entries.setdefault(str(shard["segment"]), []).append(known)
        except (OSError, ValueError, KeyError, TypeError):
            self._entries = {}  # no set, another version, or damaged: everything is written

    def take(self, key: str, stub: Path) -> list[dict[str, Any]] | None:
        """Link the files of segment ``key`` to ``stub`` with a number each; None where the set
        has them not, or not as its manifest says."""
        entries = self._entries.get(key)
        if not entries:
            return None
        taken = []
        for number, (name, rows, sha256) in enumerate(entries):
            new = stub.with_name(f"{stub.name}-{number}")
            try:
                _link(self._folder / "data" / name, new)
                sound = sha256_of(new) == sha256
            except OSError:
                sound = False
            if not sound:
                for left in stub.parent.glob(f"{stub.name}-*"):
                    left.unlink()
                return None
            taken.append(_entry(new, rows, key, sha256))
        return taken


def _link(old: Path, new: Path) -> None:
    try:
        os.link(old, new)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(old, new)


def write_segment(
    stub: Path, rows: Iterable[dict[str, Any]], key: str, limits: Limits
) -> list[dict[str, Any]]:
    """Write one segment into files named ``stub`` with a number; returns their entries."""
    entries = []
    waiting: pa.Table | None = None
    tables = _row_groups(rows)
    for number in itertools.count():
        path = stub.with_name(f"{stub.name}-{number}")
        written, waiting = _write_file(path, waiting, tables, limits.size)
        if written:
            entries.append(_entry(path, written, key, sha256_of(path)))
        if waiting is None:
            return entries
    raise AssertionError("count never ends")


def _write_file(
    path: Path, first: pa.Table | None, tables: Iterator[pa.Table], size: int | None
) -> tuple[int, pa.Table | None]:
    """Fill one file. Returns its rows, and the row group that fits no more."""
    written = groups = 0
    with (
        path.open("wb") as stream,
        pq.ParquetWriter(stream, sample_schema(), **writer_options()) as writer,
    ):
        for table in itertools.chain([first] if first is not None else [], tables):
            if size is not None and groups and not _fits(stream.tell(), groups, table, size):
                return written, table
            writer.write_table(table, row_group_size=ROW_GROUP)
            written += table.num_rows
            groups += 1
    return written, None


def _fits(at: int, groups: int, table: pa.Table, size: int) -> bool:
    """Whether a file of ``at`` bytes and ``groups`` row groups stays within ``size`` with one
    more. Encoded for a trial only where the plain size does not settle it."""
    if at + table.nbytes + 16_384 * (groups + 1) <= size:
        return True
    total, footer = _encoded(table)
    of_group = footer - _encoded(table.slice(0, 0))[1] + 64  # ids in it differ in length
    return at + total + groups * of_group <= size


def _encoded(table: pa.Table) -> tuple[int, int]:
    """Bytes of a file of one row group, and of its footer."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, sample_schema(), **writer_options()) as writer:
        if table.num_rows:
            writer.write_table(table, row_group_size=ROW_GROUP)
    made = sink.getvalue()
    return made.size, pq.read_metadata(pa.BufferReader(made)).serialized_size


def _row_groups(rows: Iterable[dict[str, Any]]) -> Iterator[pa.Table]:
    stream = iter(rows)
    while group := list(itertools.islice(stream, ROW_GROUP)):
        yield table_of(group)


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows as an Arrow table of the sample schema; missing values become null."""
    schema = sample_schema()
    stored = [{**row, "m2d": _stored(row.get("m2d"))} for row in rows]
    columns = [_column(field, [row.get(field.name) for row in stored]) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _stored(m2d: Any) -> Any:
    return None if m2d is None else time_last(np.asarray(m2d, np.float32))


def _column(field: pa.Field, values: list[Any]) -> pa.Array:
    """A column; arrays are joined without a Python object for each number."""
    if not any(isinstance(value, np.ndarray) for value in values):
        return pa.array(values, field.type)
    lengths = [0 if value is None else value.size for value in values]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    flat = np.concatenate([value for value in values if value is not None])
    inner = pa.array(flat, field.type.value_type)
    mask = pa.array([value is None for value in values])
    return pa.ListArray.from_arrays(offsets, inner, type=field.type, mask=mask)


def _entry(path: Path, rows: int, key: str, sha256: str) -> dict[str, Any]:
    return {
        "file": path,
        "rows": rows,
        "bytes": path.stat().st_size,
        "sha256": sha256,
        "segment": key,
    }
