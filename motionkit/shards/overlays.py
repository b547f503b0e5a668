"""Features of overlay frames, beside a shard set: one picture feature a tracked frame.

``FOLDER/HASH/about.json`` says which encoder and which drawing (colour, opacity), of which HASH is
made; ``part-….parquet`` hold sample ids and features. Parts appear whole; a shard set and its
overlays may be copied together or apart, and either can be made again without the other.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import ShardError

#: Where they lie, beside the folder of the shards.
FOLDER: Final = "overlay_features"
VERSION: Final = 1
_ABOUT: Final = "about.json"

Feature = NDArray[np.float16]


@dataclass(frozen=True)
class OverlaySet:
    """The features of one encoder and one drawing."""

    path: Path
    encoder: dict[str, str]
    """`ImageEncoder.identity`."""
    drawing: dict[str, Any]
    """How the trails were drawn."""
    dim: int

    def load(self) -> dict[str, Feature]:
        """Features [F, dim] by sample id. ShardError for a part that cannot be read."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        found: dict[str, Feature] = {}
        for part in sorted(self.path.glob("part-*.parquet")):
            try:
                table = pq.read_table(part, columns=["sample_id", "features"])
                for name, values in zip(table["sample_id"], table["features"], strict=True):
                    flat = values.values.to_numpy(zero_copy_only=False)
                    found[name.as_py()] = flat.astype(np.float16).reshape(-1, self.dim)
            except (pa.ArrowInvalid, OSError, KeyError, ValueError, AttributeError) as error:
                raise ShardError(
                    f"{part} cannot be read: {error}",
                    hint="delete its folder, then run 'motionkit overlays' again",
                ) from error
        return found


def write_overlays(
    folder: Path,
    encoder: Mapping[str, str],
    drawing: Mapping[str, Any],
    dim: int,
    features: Iterable[tuple[str, NDArray[Any]]],
    *,
    rows: int = 512,
) -> OverlaySet:
    """Keep ``features`` (sample id, [F, dim]) below ``folder``; what is there already stays.

    ``rows`` samples go into a part. ValueError for features of another size or not finite.
    """
    made = _set(folder, dict(encoder), dict(drawing), dim)
    made.path.mkdir(parents=True, exist_ok=True)
    about = {"version": VERSION, "encoder": made.encoder, "drawing": made.drawing, "dim": dim}
    _publish(made.path / _ABOUT, json.dumps(about, indent=1, sort_keys=True).encode())
    known = {name for name, _ in _names(made.path)}
    fresh = ((name, f) for name, f in features if name not in known)
    while part := list(islice(fresh, rows)):
        _write_part(made, part)
    return made


def find_overlays(folder: Path, encoder: Mapping[str, str]) -> list[OverlaySet]:
    """The sets below ``folder`` (or the one that it is) made by this encoder, by their drawing."""
    found = []
    for path in sorted({*folder.glob(_ABOUT), *folder.glob(f"*/{_ABOUT}")}):
        try:
            about = json.loads(path.read_text("utf-8"))
            made = OverlaySet(path.parent, about["encoder"], about["drawing"], int(about["dim"]))
            version = about["version"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ShardError(f"{path} cannot be read: {error}", hint="delete its folder") from error
        if version == VERSION and made.encoder == dict(encoder):
            found.append(made)
    return sorted(found, key=lambda s: json.dumps(s.drawing, sort_keys=True))


def _set(folder: Path, encoder: dict[str, str], drawing: dict[str, Any], dim: int) -> OverlaySet:
    text = json.dumps([encoder, drawing], sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    return OverlaySet(folder / name, encoder, drawing, dim)


def _names(path: Path) -> Iterator[tuple[str, Path]]:
    import pyarrow.parquet as pq

    for part in sorted(path.glob("part-*.parquet")):
        for name in pq.read_table(part, columns=["sample_id"])["sample_id"].to_pylist():
            yield name, part


def _write_part(made: OverlaySet, rows: list[tuple[str, NDArray[Any]]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name, values in rows:
        if values.ndim != 2 or values.shape[1] != made.dim or not np.isfinite(values).all():
            raise ValueError(f"features of {name}: {values.shape}, or not finite")
    table = pa.table(
        {
            "sample_id": pa.array([name for name, _ in rows], pa.string()),
            "features": pa.array(
                [np.asarray(f, np.float16).ravel() for _, f in rows], pa.list_(pa.float16())
            ),
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="none", use_dictionary=False)
    data = sink.getvalue().to_pybytes()
    _publish(made.path / f"part-{hashlib.sha256(data).hexdigest()[:24]}.parquet", data)


def _publish(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
