"""A folder that `datasets.load_dataset` opens as it is: nested columns, splits in the README.

    OUT/README.md                              YAML: configurations and splits
    OUT/data/train-00000-of-00002.parquet      … validation-…, test-…

Beside the shards themselves (which `datasets` reads too) the arrays have their shapes: ``m2d`` is
[F][18][3], ``track_points`` [T][N][2], ``track_visible`` [T][N].
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from motionkit.errors import InputError
from motionkit.exchange.folders import export_folder
from motionkit.exchange.rows import imported_lineage, rows_of
from motionkit.records import SAMPLE
from motionkit.shards.from_samples import ARRAYS
from motionkit.shards.reader import ShardSet
from motionkit.shards.schema import SPLITS

KIND: Final = "hf"
ROWS: Final = 4096
_GROUP: Final = 64
#: Our name of a split → the one that `datasets` users expect.
NAMES: Final = {"train": "train", "val": "validation", "test": "test"}

_CARD: Final = """\
---
pretty_name: Motion clips
license: other
task_categories:
- other
tags:
- human-motion
- keypoints
- text-to-motion
configs:
- config_name: default
  data_files:
{files}
---
# Motion clips

```python
from datasets import load_dataset

data = load_dataset("PATH")
row = data["train"].with_format("numpy")[0]
row["m2d"]  # [F, 18, 3]: x, y in pixels, confidence; last entry (width, height, 1)
```

| split | clips |
|---|---|
{counts}

`licence` holds the terms of each clip's video. Coordinates are stored in steps of 1/16 pixel,
confidences in steps of 1/256.
"""


def nested_schema() -> pa.Schema:
    """`records.SAMPLE` with the shapes of the arrays as nested lists."""
    types = {
        "m2d": pa.list_(pa.list_(pa.list_(pa.float32()))),
        "track_points": pa.list_(pa.list_(pa.list_(pa.float32()))),
        "track_visible": pa.list_(pa.list_(pa.bool_())),
    }
    return pa.schema([pa.field(f.name, types.get(f.name, f.type)) for f in SAMPLE])


def export_hf(
    shards: ShardSet, out: Path, *, split: str | None = None, rows: int = ROWS
) -> dict[str, Any]:
    """Write every sample; a file holds at most ``rows`` of them. Returns counts."""
    facts: dict[str, Any] = {"splits": {}}
    with export_folder(out, KIND, shards.path, facts) as folder:
        (folder / "data").mkdir()
        for name in SPLITS if split is None else (split,):
            total = shards.count(name)
            files = -(-total // rows)
            stream = rows_of(shards, name)
            for number in range(files):
                path = folder / "data" / f"{NAMES[name]}-{number:05d}-of-{files:05d}.parquet"
                _write_file(path, itertools.islice(stream, rows))
            if total:
                facts["splits"][name] = {"samples": total, "files": files}
        (folder / "README.md").write_text(_card(facts["splits"]), "utf-8")
    return facts


def _write_file(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    schema = nested_schema()
    options = {"compression": "zstd", "compression_level": 6, "version": "2.6"}
    with pq.ParquetWriter(path, schema, **options) as writer:
        while group := list(itertools.islice(rows, _GROUP)):
            columns = [_column(field, [row[field.name] for row in group]) for field in schema]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _column(field: pa.Field, values: list[Any]) -> pa.Array:
    if field.name not in ARRAYS:
        return pa.array(values, field.type)
    return _nested(values, field.type)


def _nested(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Arrays [n, …] (None: null) as one column of nested lists, without Python numbers."""
    given = [v for v in values if v is not None]
    if not given:
        return pa.nulls(len(values), kind)
    inner: pa.Array = pa.array(np.concatenate([v.ravel() for v in given]))
    for axis in range(given[0].ndim - 1, 0, -1):  # of the same array all rows are as long
        lengths = np.concatenate(
            [np.full(int(np.prod(v.shape[:axis])), v.shape[axis]) for v in given]
        )
        inner = pa.ListArray.from_arrays(_offsets(lengths), inner)
    lengths = np.array([0 if v is None else len(v) for v in values])
    mask = pa.array([v is None for v in values])
    return pa.ListArray.from_arrays(_offsets(lengths), inner, mask=mask).cast(kind)


def _offsets(lengths: Any) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))


def _card(splits: Mapping[str, Mapping[str, int]]) -> str:
    files = "\n".join(f"  - split: {NAMES[s]}\n    path: data/{NAMES[s]}-*.parquet" for s in splits)
    counts = "\n".join(f"| {NAMES[s]} | {splits[s]['samples']} |" for s in splits)
    return _CARD.format(files=files, counts=counts)


def hf_files(source: Path) -> list[Path]:
    """The Parquet files of a folder, or the one file named."""
    if source.is_file():
        return [source]
    inner = source / "data"
    return sorted((inner if inner.is_dir() else source).glob("*.parquet"))


def read_hf(
    source: Path, left_out: Counter[str], *, fps: float | None = None
) -> Iterator[dict[str, Any]]:
    """Rows of the Parquet files of such a folder; columns as `nested_schema` has them (flat arrays
    are taken too). Columns of other names are passed over, missing ones get plain values.

    Raises InputError 'parquet-unreadable'.
    """
    for path in hf_files(source):
        split = next((s for s, n in NAMES.items() if path.name.startswith((n, s))), None)
        try:
            with pq.ParquetFile(path) as file:
                names = [n for n in SAMPLE.names if n in file.schema_arrow.names]
                for group in range(file.num_row_groups):
                    for batch in file.read_row_group(group, columns=names).to_batches():
                        yield from _rows(batch, path, split, fps)
        except (OSError, pa.ArrowException) as error:
            raise InputError("parquet-unreadable", f"{path.name}: {error}") from error


def _rows(
    batch: pa.RecordBatch, path: Path, split: str | None, fps: float | None
) -> Iterator[dict[str, Any]]:
    plain = [n for n in batch.schema.names if n not in ARRAYS]
    for at, row in enumerate(batch.select(plain).to_pylist()):
        row.setdefault("split", split)
        row["fps"] = row.get("fps") or fps
        for name in set(batch.schema.names) & set(ARRAYS):
            value = batch.column(name)[at]
            row[name] = _flat(value.values) if value.is_valid else None
        row["lineage"] = imported_lineage(row.get("lineage"), KIND, path)
        yield row


def _flat(values: pa.Array) -> Any:
    while pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        values = values.flatten()
    return np.asarray(values.to_numpy(zero_copy_only=False))
