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

import dataclasses
import hashlib
import json
import os
import socket
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from motionkit.errors import UsageError, WorkspaceError
from motionkit.records import OUTCOME_FIELDS, TABLES, TABLES_VERSION

_FORMAT = "motionkit-workspace"
_VERSION_KEY = b"motionkit.tables_version"
_KEY_COLUMNS = ["item_id", "fingerprint", "outcome", "attempt"]
#: Parts below this size are merged when a stage has ended.
_SMALL_PART_BYTES = 64 << 20
_MERGE_BYTES = 256 << 20

#: The command that fills each table, for messages.
COMMAND_OF = {
    "videos": "ingest",
    "scans": "scan",
    "detections": "detect",
    "verdicts": "filter",
    "keypoints": "pose",
    "tracks": "track",
    "captions": "caption",
}


@dataclasses.dataclass(frozen=True)
class Done:
    """What is known of an item that has a row."""

    outcome: str  # kept | dropped | failed
    attempt: int


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
                data, temporary, compression="zstd", use_dictionary=["fingerprint", "outcome"]
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
        small = [p for p in self.parts(table, fingerprint) if p.stat().st_size < _SMALL_PART_BYTES]
        group: list[Path] = []
        size = 0
        for part in [*small, None]:
            if part is not None and size + part.stat().st_size <= _MERGE_BYTES:
                group.append(part)
                size += part.stat().st_size
                continue
            if len(group) > 1:
                self._merge(table, group)
            group, size = ([part], part.stat().st_size) if part is not None else ([], 0)

    def _merge(self, table: str, parts: list[Path]) -> None:
        read = [d for d in (self._read(part, None) for part in parts) if d is not None]
        if not read:
            return
        data = pa.concat_tables(read)
        order = data.select(["item_id", "attempt"]).append_column(
            "row", pa.array(np.arange(data.num_rows))
        )
        order = order.sort_by([("item_id", "ascending"), ("attempt", "ascending")])
        keep: list[int] = []
        last: tuple[str, int] | None = None
        for item, attempt, row in zip(*(c.to_pylist() for c in order.columns), strict=True):
            if (item, attempt) != last:
                keep.append(row)
            last = (item, attempt)
        merged = self._publish_part(table, data.take(keep).combine_chunks())
        for part in parts:
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
        latest: dict[str, Done] = {}
        for part in self.parts(table, fingerprint):
            data = self._read(part, _KEY_COLUMNS)
            if data is None:
                continue
            for item, print_, outcome, attempt in zip(
                *(column.to_pylist() for column in data.columns), strict=True
            ):
                if print_ != fingerprint:
                    continue
                known = latest.get(item)
                if known is None or attempt > known.attempt:
                    latest[item] = Done(outcome, attempt)
        return latest

    def rows(
        self, table: str, columns: Iterable[str], *, outcome: str | None = "kept"
    ) -> Iterator[dict[str, Any]]:
        """Latest row of every item of the current fingerprint, as `stage.Tables.rows`."""
        wanted = list(dict.fromkeys(["item_id", *columns]))
        schema = table_schema(table)
        unknown = [name for name in wanted if name not in schema.names]
        if unknown:
            raise AssertionError(f"table {table} has no column {unknown}")
        fingerprint = self.fingerprint(table)
        latest = self.done(table, fingerprint)
        read = list(dict.fromkeys([*wanted, *_KEY_COLUMNS]))
        seen: set[str] = set()
        for part in self.parts(table, fingerprint):
            for batch in self._batches(part, read):
                yield from _rows_of(batch, wanted, fingerprint, outcome, latest, seen)

    def readable(self, part: Path) -> bool:
        """Whether a part can be opened; a damaged one is set aside with a warning."""
        opened = self._open(part)
        if opened is None:
            return False
        opened.close()
        return True

    def _batches(self, part: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
        opened = self._open(part)
        if opened is None:
            return
        with opened as file:
            yield from file.iter_batches(batch_size=256, columns=columns)

    def _read(self, part: Path, columns: list[str] | None) -> pa.Table | None:
        opened = self._open(part)
        if opened is None:
            return None
        with opened as file:
            try:
                return file.read(columns=columns)
            except (pa.ArrowInvalid, OSError) as error:
                self._set_aside(part, error)
                return None

    def _open(self, part: Path) -> pq.ParquetFile | None:
        try:
            file = pq.ParquetFile(part)
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
        part.replace(aside)
        warnings.warn(
            f"{part} cannot be read ({error}); it was renamed to {aside.name} and its items "
            "are pending again",
            DamagedPartWarning,
            stacklevel=3,
        )

    def _remove_leftovers(self) -> None:
        """Delete temporary files of processes of this host that are gone."""
        for pattern in (".tmp-~*", "current/.tmp-~*", "tables/*/.tmp-~*"):
            for leftover in self.path.glob(pattern):
                _, host, pid, _ = leftover.name.split("~", 3)
                if host == socket.gethostname() and not _alive(int(pid)):
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


def _alive(pid: int) -> bool:
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
            inner = pa.array([str(s) for v in flat for s in v], pa.string())
        else:
            kind = pa.array([], field.type.value_type).to_numpy(zero_copy_only=False).dtype
            joined = [np.asarray(v).ravel() for v in flat]
            data = np.concatenate(joined) if joined else np.zeros(0)
            inner = pa.array(data.astype(kind), field.type.value_type)
        return pa.ListArray.from_arrays(offsets, inner, type=field.type, mask=mask)
    plain = [v.item() if isinstance(v, np.generic) else v for v in values]
    return pa.array(plain, field.type)


def _rows_of(
    batch: pa.RecordBatch,
    wanted: list[str],
    fingerprint: str,
    outcome: str | None,
    latest: dict[str, Done],
    seen: set[str],
) -> Iterator[dict[str, Any]]:
    keys = [batch.column(name).to_pylist() for name in _KEY_COLUMNS]
    for row, (item, print_, found, attempt) in enumerate(zip(*keys, strict=True)):
        if print_ != fingerprint or (outcome is not None and found != outcome):
            continue
        known = latest.get(item)  # None: written by another process a moment ago
        if item in seen or known is None or attempt != known.attempt:
            continue
        seen.add(item)
        yield {name: _value(batch.column(name), row) for name in wanted}


def _value(column: pa.Array, row: int) -> Any:
    kind = column.type
    if pa.types.is_list(kind) and pa.types.is_primitive(kind.value_type):
        value = column[row]
        return value.values.to_numpy(zero_copy_only=False) if value.is_valid else None
    return column[row].as_py()
