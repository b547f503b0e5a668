"""The workspace: a folder of append-only Parquet tables, and the only state there is.

    motion/
      workspace.json          format and version
      tables/<name>/part-*    rows; a part is published by rename and never changed
      current/<name>.json     which fingerprint of a table the user last asked for

There is no server, no lock and no database file: DuckDB reads the parts through views in
memory (`motionkit.catalogue`). A row is keyed by item, fingerprint and attempt; where a kill
or a second process left the same row twice, readers see it once, and `compact` removes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import warnings
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from motionkit.errors import UsageError, WorkspaceError
from motionkit.records import OUTCOME_FIELDS, TABLES, TABLES_VERSION
from motionkit.row_index import (
    DICTIONARY_COLUMNS,
    KEY_COLUMNS,
    Done,
    GroupLookup,
    RowIndex,
    elements_of,
    roots_of,
    rows_of,
)

_FORMAT = "motionkit-workspace"
_VERSION_KEY = b"motionkit.tables_version"
#: Parts below this size are merged when there are many, and when a stage has ended.
_SMALL_PART_BYTES = 32 << 20
#: A merged part holds at most so much, decoded: merging takes a few times its memory.
_MERGE_BYTES = 128 << 20
_MERGE_ROWS = 400_000
#: What a reader decodes at once: about this many bytes of a part.
_ROW_GROUP_BYTES = 4 << 20
_ROW_GROUP_ROWS = (16, 1 << 17)
#: More part files than this are compacted before they are opened together.
_MANY_PARTS = 256
#: Tables whose key columns stay in memory.
_INDEXES_KEPT = 3

#: The stage that fills each table.
STAGE_OF = {
    "searches": "search",
    "downloads": "fetch",
    "videos": "ingest",
    "expressions": "expressions",
    "scans": "scan",
    "detections": "detect",
    "verdicts": "filter",
    "keypoints": "pose",
    "masks": "masks",
    "tracks": "track",
    "overlays": "overlays",
    "captions": "caption",
    "audits": "audit",
}
#: The command that runs it, for messages.
COMMAND_OF = {**STAGE_OF, "audits": "captions audit"}


class DamagedPartWarning(UserWarning):
    """A part file could not be read and was set aside; its items are pending again."""


def table_schema(table: str) -> pa.Schema:
    """Full Arrow schema of a table: outcome columns, then the stage's payload."""
    fields = [*OUTCOME_FIELDS, *TABLES[table]]
    return pa.schema(fields, metadata={_VERSION_KEY: str(TABLES_VERSION).encode()})


class Workspace:
    """A workspace folder. Implements `motionkit.stage.Tables`."""

    def __init__(self, path: Path) -> None:
        """Open the workspace at ``path``. Use `create` for one that may not exist yet."""
        self.path = Path(path)
        marker = self.path / "workspace.json"
        if not marker.is_file():
            raise UsageError(
                f"there is no motionkit workspace at {self.path}.",
                hint="start one with: motionkit ingest VIDEO_OR_FOLDER",
            )
        try:
            found = json.loads(marker.read_text("utf-8"))
            version = found["version"] if found["format"] == _FORMAT else None
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise WorkspaceError(
                f"{marker} is damaged: {error}", hint="restore it from a backup"
            ) from error
        if version != TABLES_VERSION:
            raise WorkspaceError(
                f"{self.path} has workspace version {version}; this motionkit reads "
                f"{TABLES_VERSION}.",
                hint="use the motionkit that made it, or start a new workspace",
            )
        self._indexes: OrderedDict[tuple[str, str, tuple[str, ...]], RowIndex] = OrderedDict()
        self._remove_leftovers()

    @classmethod
    def create(cls, path: Path) -> Workspace:
        """Open the workspace at ``path``, making it first where there is none."""
        path = Path(path)
        marker = path / "workspace.json"
        if not marker.exists():
            try:
                path.mkdir(parents=True, exist_ok=True)
                text = json.dumps({"format": _FORMAT, "version": TABLES_VERSION}, indent=1)
                publish(marker, lambda temporary: temporary.write_text(text + "\n", "utf-8"))
            except OSError as error:
                raise WorkspaceError(
                    f"cannot make a workspace at {path}: {error.strerror or error}",
                    hint="choose another folder with --workspace",
                ) from error
        return cls(path)

    # ---------------------------------------------------------------- writing

    def write_part(self, table: str, rows: list[dict[str, Any]]) -> Path:
        """Publish rows of one fingerprint as a part, whole or not at all.

        Values may be numpy arrays of any shape for list columns: they are stored flat.
        Missing payload columns become null.
        """
        schema = table_schema(table)
        columns = [_column(field, [row.get(field.name) for row in rows]) for field in schema]
        return self._publish_part(table, pa.Table.from_arrays(columns, schema=schema))

    def _publish_part(self, table: str, data: pa.Table) -> Path:
        fingerprints = set(data.column("fingerprint").to_pylist())
        if len(fingerprints) != 1:
            raise AssertionError("a part holds rows of one fingerprint")
        keys = zip(
            data.column("item_id").to_pylist(), data.column("attempt").to_pylist(), strict=True
        )
        content = hashlib.sha256("\n".join(f"{i} {a}" for i, a in keys).encode()).hexdigest()
        folder = self.path / "tables" / table
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"part-{fingerprints.pop()[:12]}-{content[:16]}.parquet"
        publish(
            target,
            lambda temporary: pq.write_table(
                data,
                temporary,
                compression="zstd",
                row_group_size=_group_rows(data),
                use_dictionary=[*DICTIONARY_COLUMNS, "video_id"],
            ),
        )
        return target

    def set_current(self, table: str, fingerprint: str, about: dict[str, Any]) -> None:
        """Record that ``fingerprint`` is what the user last asked of ``table``."""
        folder = self.path / "current"
        folder.mkdir(exist_ok=True)
        text = json.dumps({"fingerprint": fingerprint, **about}, indent=1, sort_keys=True)
        target = folder / f"{table}.json"
        if target.exists() and target.read_text("utf-8") == text + "\n":
            return
        publish(target, lambda temporary: temporary.write_text(text + "\n", "utf-8"))

    def compact(self, table: str, fingerprint: str) -> None:
        """Merge the small parts of a fingerprint into sorted ones without repeated rows.

        Safe to kill: the merged part is published before the old ones are removed, and
        readers see a row that is in both once.
        """
        small: list[tuple[int, int, Path]] = []
        for part in self.parts(table, fingerprint):
            if part.stat().st_size < _SMALL_PART_BYTES and (file := self._open(part)) is not None:
                groups = [file.metadata.row_group(g) for g in range(file.num_row_groups)]
                weight = sum(group.total_byte_size for group in groups)
                small.append((file.metadata.num_rows, weight, part))
                file.close()
        group: list[Path] = []
        rows = size = 0
        # Smallest first, so that a part which is as large as it may be is not rewritten for ever.
        for count, weight, part in sorted(small):
            if rows + count > _MERGE_ROWS or size + weight > _MERGE_BYTES:
                self._merge(table, group)
                group, rows, size = [], 0, 0
            group.append(part)
            rows, size = rows + count, size + weight
        self._merge(table, group)

    def _merge(self, table: str, parts: list[Path]) -> None:
        if len(parts) < 2:
            return
        read, kept = [], []
        for part in parts:
            file = self._open(part)
            data = None if file is None else self._read(part, file, None)
            if file is not None and data is not None:
                file.close()
                read.append(data.cast(table_schema(table)))
                kept.append(part)
        if not read:
            return
        data = pa.concat_tables(read)
        del read
        keys = data.select(["item_id", "attempt"])
        order = pc.sort_indices(keys, [("item_id", "ascending"), ("attempt", "ascending")])
        item = keys.column("item_id").take(order).to_numpy(zero_copy_only=False)
        attempt = keys.column("attempt").to_numpy()[order.to_numpy()]
        new = np.ones(len(order), bool)  # of equal rows one stays
        new[1:] = (item[1:] != item[:-1]) | (attempt[1:] != attempt[:-1])
        merged = self._publish_part(table, data.take(order.filter(pa.array(new))))
        for part in kept:
            if part != merged:
                part.unlink(missing_ok=True)

    # ---------------------------------------------------------------- reading

    def parts(self, table: str, fingerprint: str | None = None) -> list[Path]:
        """Part files of a table (of one fingerprint), sorted by name."""
        pattern = f"part-{fingerprint[:12]}-*.parquet" if fingerprint else "part-*.parquet"
        return sorted((self.path / "tables" / table).glob(pattern))

    def current(self, table: str) -> dict[str, Any] | None:
        """What `set_current` recorded for a table; None where its stage has not run."""
        target = self.path / "current" / f"{table}.json"
        try:
            return json.loads(target.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise WorkspaceError(
                f"{target} is damaged: {error}",
                hint=f"delete it and run: motionkit {COMMAND_OF[table]}",
            ) from error

    def fingerprint(self, table: str) -> str:
        """The current fingerprint of a table; UsageError where its stage has not run."""
        found = self.current(table)
        if found is None:
            command = COMMAND_OF[table]
            raise UsageError(
                f"the workspace {self.path} has no '{table}' yet.",
                hint=f"run first: motionkit {command} --workspace {self.path}",
            )
        return str(found["fingerprint"])

    def done(self, table: str, fingerprint: str) -> dict[str, Done]:
        """Item id → latest outcome, of every item that has a row of this fingerprint."""
        return self.index(table, fingerprint).done()

    def rows(
        self,
        table: str,
        columns: Iterable[str],
        *,
        outcome: str | None = "kept",
        only: tuple[str, Container[str]] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Latest row of every item of the current fingerprint, as `stage.Tables.rows`."""
        wanted = _checked(table, ["item_id", *columns, *([only[0]] if only else [])])
        index = self.index(table, self.fingerprint(table))
        for data, places in index.groups(wanted, outcome, only):
            yield from rows_of(data, places, roots_of(wanted))

    def elements(self, table: str, column: str, fields: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Fields of listed structs of the kept rows, as `stage.Tables.elements`."""
        index = self.index(table, self.fingerprint(table))
        names = [f"{column}.{field}" for field in fields]
        for data, places in index.groups(names, "kept", None):
            yield from elements_of(data, places, column, list(fields))

    def lookup(self, table: str, key: str, columns: Iterable[str]) -> GroupLookup:
        """Kept rows of the current fingerprint by a column, as `stage.Tables.lookup`."""
        index = self.index(table, self.fingerprint(table))
        return GroupLookup(index, key, _checked(table, ["item_id", key, *columns]))

    def index(self, table: str, fingerprint: str) -> RowIndex:
        """The rows that count of a fingerprint (see `row_index`)."""
        if len(self.parts(table, fingerprint)) > _MANY_PARTS:
            self.compact(table, fingerprint)
        names = tuple(part.name for part in self.parts(table, fingerprint))
        key = (table, fingerprint, names)
        known = self._indexes.pop(key, None)
        if known is None:
            known = self._read_index(table, fingerprint)
        self._indexes[key] = known
        while len(self._indexes) > _INDEXES_KEPT:  # its files close when its last reader is done
            self._indexes.popitem(last=False)
        return known

    def _read_index(self, table: str, fingerprint: str) -> RowIndex:
        paths, opened, keys = [], [], []
        for part in self.parts(table, fingerprint):
            file = self._open(part)
            data = None if file is None else self._read(part, file, list(KEY_COLUMNS))
            if file is not None and data is not None:
                paths.append(part)
                opened.append(file)
                keys.append(data)

        def damaged(place: int, error: Exception) -> None:
            self._set_aside(paths[place], error)

        return RowIndex(opened, keys, fingerprint, damaged)

    def readable(self, part: Path) -> bool:
        """Whether a part can be opened; a damaged one is set aside with a warning."""
        opened = self._open(part)
        if opened is None:
            return False
        opened.close()
        return True

    def _read(self, part: Path, file: pq.ParquetFile, columns: list[str] | None) -> pa.Table | None:
        try:
            return file.read(columns=columns)
        except (pa.ArrowInvalid, OSError) as error:
            file.close()
            self._set_aside(part, error)
            return None

    def _open(self, part: Path) -> pq.ParquetFile | None:
        try:
            file = pq.ParquetFile(part, read_dictionary=DICTIONARY_COLUMNS, pre_buffer=False)
        except FileNotFoundError:  # compacted away by another process: its rows are elsewhere
            return None
        except (pa.ArrowInvalid, OSError) as error:
            self._set_aside(part, error)
            return None
        version = (file.schema_arrow.metadata or {}).get(_VERSION_KEY, b"?").decode()
        if version != str(TABLES_VERSION):
            file.close()
            raise WorkspaceError(
                f"{part} has table version {version}; this motionkit reads {TABLES_VERSION}.",
                hint="use the motionkit that wrote it, or start a new workspace",
            )
        return file

    def _set_aside(self, part: Path, error: Exception) -> None:
        aside = part.with_name(part.name + ".damaged")
        with contextlib.suppress(FileNotFoundError):  # found twice
            part.replace(aside)
        warnings.warn(
            f"{part} cannot be read ({error}); it was renamed to {aside.name} and its items "
            "are pending again",
            DamagedPartWarning,
            stacklevel=3,
        )

    def _remove_leftovers(self) -> None:
        """Delete temporary files of processes of this host that are gone."""
        for pattern in (".tmp-~*", "current/.tmp-~*", "running/.tmp-~*", "tables/*/.tmp-~*"):
            for leftover in self.path.glob(pattern):
                _, host, pid, _ = leftover.name.split("~", 3)
                if host == socket.gethostname() and not process_alive(int(pid)):
                    leftover.unlink(missing_ok=True)


def publish(target: Path, write: Callable[[Path], Any]) -> None:
    """Write a file under a temporary name beside ``target``, flush it, and rename it.

    A reader sees the old file or the new one, never a part of it; after an error or a kill
    the old one stands.
    """
    name = f".tmp-~{socket.gethostname()}~{os.getpid()}~{target.name}"
    temporary = target.with_name(name)
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def process_alive(pid: int) -> bool:
    """Whether a process of this host is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _column(field: pa.Field, values: list[Any]) -> pa.Array:
    """An Arrow column; numpy arrays of a list column are flattened without Python objects."""
    if pa.types.is_list(field.type) and not pa.types.is_struct(field.type.value_type):
        lengths = [0 if v is None else int(np.size(v)) for v in values]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        mask = pa.array([v is None for v in values])
        flat = [v for v in values if v is not None and np.size(v)]
        if pa.types.is_string(field.type.value_type):
            inner = pa.array([None if s is None else str(s) for v in flat for s in v], pa.string())
        else:
            kind = pa.array([], field.type.value_type).to_numpy(zero_copy_only=False).dtype
            joined = [np.asarray(v).ravel() for v in flat]
            data = np.concatenate(joined) if joined else np.zeros(0)
            inner = pa.array(data.astype(kind), field.type.value_type)
        return pa.ListArray.from_arrays(offsets, inner, type=field.type, mask=mask)
    plain = [v.item() if isinstance(v, np.generic) else v for v in values]
    return pa.array(plain, field.type)


def _group_rows(data: pa.Table) -> int:
    """Rows of a row group, so that decoding one takes little memory whatever a row holds."""
    low, high = _ROW_GROUP_ROWS
    return max(low, min(high, _ROW_GROUP_BYTES * max(1, data.num_rows) // max(1, data.nbytes)))


def _checked(table: str, columns: Iterable[str]) -> list[str]:
    """Column names of a table, each once; ``column.field`` is a field of a list of structs."""
    wanted = list(dict.fromkeys(columns))
    schema = table_schema(table)
    names = set(schema.names)
    for field in schema:
        if pa.types.is_list(field.type) and pa.types.is_struct(field.type.value_type):
            names |= {f"{field.name}.{inner.name}" for inner in field.type.value_type}
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise AssertionError(f"table {table} has no column {unknown}")
    return wanted
