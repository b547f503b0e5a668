"""Samples as plain rows: what exporters read and importers give."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from motionkit.errors import InputError, ShardError
from motionkit.file_hash import sha256_of
from motionkit.records import SAMPLE
from motionkit.shards.from_samples import ARRAYS
from motionkit.shards.reader import ShardSet

#: Columns that are plain JSON: texts, numbers, captions, masks.
PLAIN: Final = tuple(name for name in SAMPLE.names if name not in ARRAYS)
_LONGEST_NAME: Final = 120


def rows_of(shards: ShardSet, split: str | None = None) -> Iterator[dict[str, Any]]:
    """Every sample of a set as a row: plain columns as Python values, ``m2d`` [F, 18, 3],
    ``track_points`` [T, N, 2] and ``track_visible`` [T, N] as arrays (None where there are none).

    In stored order; one row group is in memory at a time.
    """
    for path in shards.files(split):
        try:
            with pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    for batch in file.read_row_group(group).to_batches():
                        plain = batch.select(list(PLAIN)).to_pylist()
                        for at, row in enumerate(plain):
                            yield {**row, **_arrays(batch, at, row)}
        except (OSError, pa.ArrowException, ValueError, KeyError) as error:
            raise ShardError(
                f"{path} cannot be read: {error}", hint="copy or build the set again"
            ) from error


def _arrays(batch: pa.RecordBatch, at: int, row: Mapping[str, Any]) -> dict[str, Any]:
    grid = row["track_grid"] or 0
    shapes = {
        "m2d": (18, 3, row["frames"]),
        "track_points": (row["track_frames"] or 0, grid * grid, 2),
        "track_visible": (row["track_frames"] or 0, grid * grid),
    }
    found: dict[str, Any] = {}
    for name, shape in shapes.items():
        value = batch.column(name)[at]
        found[name] = None
        if value.is_valid:
            found[name] = np.array(value.values.to_numpy(zero_copy_only=False)).reshape(shape)
    if found["m2d"] is not None:
        found["m2d"] = np.ascontiguousarray(found["m2d"].transpose(2, 0, 1))
    return found


def plain_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What of a row goes into JSON."""
    return {name: row[name] for name in PLAIN}


def from_plain(found: Any, where: str) -> dict[str, Any]:
    """A row from JSON that `plain_of` made; keys that are no columns are passed over.

    Raises InputError 'malformed-sample' where the types are not those of the columns.
    """
    if not isinstance(found, dict):
        raise InputError("malformed-sample", f"{where}: not a JSON object")
    row = {name: found[name] for name in PLAIN if name in found}
    schema = pa.schema([SAMPLE.field(name) for name in row])
    try:
        pa.Table.from_pylist([row], schema=schema)
        json.loads(row.get("lineage") or "{}").values()
    except (pa.ArrowException, ValueError, TypeError, AttributeError) as error:
        raise InputError("malformed-sample", f"{where}: {error}") from error
    return row


def imported_lineage(known: str | None, form: str, file: Path) -> str:
    """Lineage JSON of an imported sample: what it came with, and where it was imported from."""
    try:
        before = json.loads(known or "{}")
    except ValueError:
        before = {}
    entry = {"stage": "import", "format": form, "file": file.name}
    made = {**(before if isinstance(before, dict) else {}), "import": entry}
    return json.dumps(made, sort_keys=True, separators=(",", ":"))


def import_origin(form: str, source: Path, files: list[Path]) -> dict[str, Any]:
    """What the manifest of an imported set says of its origin; names and hashes, no paths."""
    listed = [{"name": file.name, "sha256": sha256_of(file)} for file in files]
    text = f"imported from {form} {source.name}"
    return {"kind": "import", "format": form, "text": text, "files": listed}


def safe_name(name: str) -> str:
    """A file name for any id: letters, digits, ``-`` and ``_`` stay, each other byte becomes
    ``=`` and two hex digits. Different ids get different names; no name has a dot or a slash."""
    safe = re.sub(
        r"[^A-Za-z0-9_-]|^-",
        lambda found: "".join(f"={byte:02x}" for byte in found[0].encode(errors="replace")),
        name,
    )
    if len(safe) > _LONGEST_NAME or not safe:
        return f"{safe[:80]}=={hashlib.sha256(name.encode(errors='replace')).hexdigest()[:24]}"
    return safe
