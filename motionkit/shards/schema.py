"""The shard format: Arrow schema, version mark, and how the columns are encoded.

A shard set is a folder::

    manifest.json                      what is in the set; written last
    README.md                          the data card
    groups.csv                         video_id, split, samples: the proof of the split
    data/train-00000-of-00002.parquet  samples of one split, sorted by sample_id
    data/test-00000-of-00001.parquet

Every Parquet file carries the version in its footer, so that a file which has lost its folder
still says what it is.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from motionkit.errors import ShardError
from motionkit.records import CONFIDENCE_STEP, PIXEL_STEP, SAMPLE, SHARDS_VERSION

FORMAT: Final = "motionkit-shards"
SPLITS: Final = ("train", "val", "test")
VERSION_KEY: Final = b"motionkit.shards.version"
FORMAT_KEY: Final = b"motionkit.shards.format"

#: Small sets of repeated strings. Everything else is stored plainly (floats byte-split).
DICTIONARY_COLUMNS: Final = ["video_id", "split", "source", "licence", "lineage"]
BYTE_SPLIT_COLUMNS: Final = ["m2d.list.element", "track_points.list.element"]


def sample_schema() -> pa.Schema:
    """The schema of a shard file: `records.SAMPLE` with format and version as metadata."""
    return SAMPLE.with_metadata({FORMAT_KEY: FORMAT.encode(), VERSION_KEY: str(SHARDS_VERSION)})


def writer_options() -> dict[str, Any]:
    """Fixed settings of the Parquet writer: same rows, same bytes."""
    return {
        "compression": "zstd",
        "compression_level": 3,
        "version": "2.6",
        "use_dictionary": DICTIONARY_COLUMNS,
        "column_encoding": dict.fromkeys(BYTE_SPLIT_COLUMNS, "BYTE_STREAM_SPLIT"),
        "write_statistics": True,
    }


def rounded(values: NDArray[Any], step: float) -> NDArray[np.float32]:
    """Values as float32 in multiples of ``step`` (a power of two, so that they are exact)."""
    scaled = np.asarray(values, np.float32) * np.float32(1 / step)
    return np.rint(scaled) * np.float32(step)


def rounded_m2d(m2d: NDArray[Any]) -> NDArray[np.float32]:
    """M_2D (any shape of F x 18 x 3 values) in the stored precision, flat."""
    table = np.asarray(m2d, np.float32).reshape(-1, 3)
    steps = np.array([PIXEL_STEP, PIXEL_STEP, CONFIDENCE_STEP], np.float32)
    return (np.rint(table / steps) * steps).ravel()


def check_version(found: object, where: object) -> None:
    """Raise ShardError unless ``found`` is the version that this motionkit reads."""
    if str(found) == str(SHARDS_VERSION):
        return
    raise ShardError(
        f"{where} has shard version {found!r}; this motionkit reads version {SHARDS_VERSION}.",
        hint="build the set again with 'motionkit build-shards', or install the motionkit "
        "version that wrote it (manifest.json names it under 'writer')",
    )


def columns_of(schema: pa.Schema) -> list[dict[str, str]]:
    """Name, type, shape and meaning of every column, for the manifest and the data card."""
    described = []
    for field in schema:
        notes = {k.decode(): v.decode() for k, v in (field.metadata or {}).items()}
        described.append(
            {
                "name": field.name,
                "type": str(field.type),
                "shape": notes.get("shape", ""),
                "meaning": notes.get("meaning", ""),
            }
        )
    return described
