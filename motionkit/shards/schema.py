"""The shard format: Arrow schema, version mark, and how the columns are encoded.

A shard set is a folder::

    manifest.json                      what is in the set; written last
    README.md                          the data card
    groups.csv                         video_id, group_id, split, samples: proof of the split
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
DICTIONARY_COLUMNS: Final = [
    "kind",
    "video_id",
    "group_id",
    "split",
    "source",
    "page_url",
    "licence",
    "lineage",
    "captions.list.element.source",
    "captions.list.element.detail",
]
#: See docs/shards.md for the measurement: 9 is 1 % smaller and takes twice the time, 3 is 2 %
#: larger on real keypoints.
LEVEL: Final = 6
#: Columns whose smallest and largest value in a row group help a reader to skip it.
STATISTICS_COLUMNS: Final = ["sample_id", "kind", "video_id", "group_id", "split", "frames"]
BYTE_SPLIT_COLUMNS: Final = ["m2d.list.element", "track_points.list.element"]


_STEPS: Final = {
    "m2d": f"{PIXEL_STEP},{PIXEL_STEP},{CONFIDENCE_STEP}",
    "track_points": f"{PIXEL_STEP},{PIXEL_STEP}",
}


def sample_schema() -> pa.Schema:
    """The schema of a shard file: `records.SAMPLE` with format and version as metadata.

    The fields of fixed precision state it as well: ``steps`` are those of x, y and, where there
    is one, confidence.
    """
    fields = [
        field.with_metadata({**(field.metadata or {}), b"steps": _STEPS[field.name].encode()})
        if field.name in _STEPS
        else field
        for field in SAMPLE
    ]
    marks = {FORMAT_KEY: FORMAT.encode(), VERSION_KEY: str(SHARDS_VERSION).encode()}
    return pa.schema(fields, metadata=marks)


def writer_options() -> dict[str, Any]:
    """Fixed settings of the Parquet writer: same rows, same bytes."""
    return {
        "compression": "zstd",
        "compression_level": LEVEL,
        "version": "2.6",
        "use_dictionary": DICTIONARY_COLUMNS,
        "column_encoding": dict.fromkeys(BYTE_SPLIT_COLUMNS, "BYTE_STREAM_SPLIT"),
        "write_statistics": STATISTICS_COLUMNS,
        "write_page_checksum": True,  # the loader checks them: a flipped bit is no keypoint
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


def time_last(m2d: NDArray[Any]) -> NDArray[Any]:
    """Keypoints [F, 18, 3] as they are stored: flat, of shape [18, 3, F]."""
    return np.asarray(m2d).reshape(-1, 18, 3).transpose(1, 2, 0).ravel()


def time_first(stored: NDArray[Any]) -> NDArray[Any]:
    """Stored keypoints as [F, 18, 3], a view. ValueError where the length does not fit."""
    return stored.reshape(18, 3, -1).transpose(2, 0, 1)


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
