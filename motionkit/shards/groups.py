"""Row groups of a shard set as numpy arrays: what the loader reads and holds.

A row group is decoded as a whole into flat arrays; a sample is a view of them. Nothing is turned
into Python objects but texts. Needs pyarrow and numpy alone.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from motionkit.errors import ShardError, UsageError
from motionkit.records import SAMPLE
from motionkit.shards.reader import ShardSet
from motionkit.shards.schema import VERSION_KEY, check_version

_REBUILD = "copy the set again, or build it again with 'motionkit build-shards'"

#: What can be asked for → the columns on the disk. Every other name is a plain column.
COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "m2d": ("frames", "width", "m2d"),
    "captions": ("captions.list.element.text",),
    "caption_sources": ("captions.list.element.source",),
    "tracks": ("track_frames", "track_grid", "track_points", "track_visible", "width"),
    "masks": ("masks", "width", "height"),
}
#: Always read: they cost nothing.
_ALWAYS: Final = ("sample_id", "frames")
#: Open files a worker keeps: row groups of one file are read at different times.
_OPEN_FILES: Final = 16
#: Values in a row group of one sample's frame.
_KEYPOINT_VALUES: Final = 18 * 3


def plain_columns() -> tuple[str, ...]:
    """Columns with one number or text a sample, which can be asked for by name."""
    lists = (f.name for f in SAMPLE if pa.types.is_list(f.type))
    return tuple(n for n in SAMPLE.names if n not in {*lists, *_ALWAYS})


def stored_columns(columns: Sequence[str]) -> list[str]:
    """Columns to read for those that were asked for. UsageError for an unknown name."""
    known = (*COLUMNS, *plain_columns())
    found = dict.fromkeys(_ALWAYS)
    for name in columns:
        if name not in known:
            raise UsageError(f"there is no column {name!r}.", hint=f"choose from: {known}")
        found.update(dict.fromkeys(COLUMNS.get(name, (name,))))
    return list(found)


@dataclasses.dataclass(frozen=True)
class SplitIndex:
    """Where the samples of a split lie, and how long they are. 12 bytes a sample.

    ``file`` and ``row_group`` [G] name the place of each row group; ``group`` and ``row`` [N] the
    place of each sample; ``frames`` [N] its length. Samples keep the stored order.
    """

    files: tuple[Path, ...]
    file: NDArray[np.int32]
    row_group: NDArray[np.int32]
    group: NDArray[np.int32]
    row: NDArray[np.int32]
    frames: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.group)


def read_index(shards: ShardSet, split: str | None, kinds: Sequence[str] | None) -> SplitIndex:
    """Index the samples of ``split`` whose kind is in ``kinds`` (None: all of them).

    Reads two small columns of every file. ShardError, naming the file, where one is damaged.
    """
    files = tuple(shards.files(split))
    stated = {shards.path / shard["path"]: shard["rows"] for shard in shards.manifest["shards"]}
    places: list[tuple[int, int]] = []
    group, row, frames = [], [], []
    for number, path in enumerate(files):
        with _naming(path), pq.ParquetFile(path) as opened:
            _check_version(opened, path)
            metadata = opened.metadata
            rows = [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)]
            table = opened.read(columns=["frames", "kind"], use_threads=False)
            lengths = table["frames"].to_numpy()
            chosen = np.ones(len(lengths), bool)
            if kinds is not None:
                kept = pc.is_in(table["kind"], value_set=pa.array(kinds, pa.string()))
                chosen = kept.to_numpy()
        if not len(lengths) == sum(rows) == stated[path]:
            raise ShardError(
                f"{path} holds {len(lengths)} rows, the manifest says {stated[path]}.",
                hint=_REBUILD,
            )
        group.append(np.repeat(np.arange(len(rows)) + len(places), rows)[chosen])
        row.append(np.concatenate([np.arange(0), *map(np.arange, rows)])[chosen])
        frames.append(lengths[chosen])
        places += [(number, g) for g in range(len(rows))]
    where = np.array(places, np.int32).reshape(-1, 2)
    return SplitIndex(files, where[:, 0], where[:, 1], *map(_joined, (group, row, frames)))


@dataclasses.dataclass(frozen=True)
class ListColumn:
    """A list column: the values of row ``i`` are ``values[offsets[i] : offsets[i + 1]]``."""

    values: NDArray[Any]
    offsets: NDArray[np.int64]
    valid: NDArray[np.bool_]

    def row(self, row: int) -> NDArray[Any]:
        """The flat values of one row, a view."""
        return self.values[self.offsets[row] : self.offsets[row + 1]]


@dataclasses.dataclass(frozen=True)
class Group:
    """A decoded row group: arrays with one entry a sample, and list columns."""

    plain: dict[str, NDArray[Any]]
    lists: dict[str, ListColumn]


class GroupFiles:
    """Decodes row groups of an index. Keeps a few files open; one instance a worker."""

    def __init__(self, index: SplitIndex, columns: Sequence[str]) -> None:
        self.index = index
        self.reads = 0  #: row groups decoded so far
        self._columns = stored_columns(columns)
        self._open: OrderedDict[Path, pq.ParquetFile] = OrderedDict()

    def read(self, group: int) -> Group:
        """Decode row group number ``group``. ShardError, naming the file, where it is damaged."""
        path = self.index.files[self.index.file[group]]
        with _naming(path):
            file = self._file(path)
            at = int(self.index.row_group[group])
            table = file.read_row_group(at, columns=self._columns, use_threads=False)
            self.reads += 1
            return _decoded(table)

    def close(self) -> None:
        """Close the files."""
        while self._open:
            self._open.popitem()[1].close()

    def _file(self, path: Path) -> pq.ParquetFile:
        file = self._open.pop(path, None)
        if file is None:
            file = pq.ParquetFile(path, page_checksum_verification=True)
            if len(self._open) >= _OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        self._open[path] = file
        return file


class GroupCache:
    """The last ``capacity`` row groups that were used (least recently used goes first)."""

    def __init__(self, files: GroupFiles, capacity: int) -> None:
        if capacity < 1:
            raise UsageError(f"a cache of {capacity} row groups.", hint="give at least 1")
        self._files = files
        self._capacity = capacity
        self._held: OrderedDict[int, Group] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, group: int) -> Group:
        """Row group number ``group``, decoded now or before."""
        if group in self._held:
            self._held.move_to_end(group)
            return self._held[group]
        while len(self._held) >= self._capacity:
            self._held.popitem(last=False)
        self._held[group] = self._files.read(group)
        return self._held[group]


def _decoded(table: Any) -> Group:
    """An Arrow table as numpy arrays. ValueError where lengths do not fit the shapes."""
    group = Group({}, {})
    for name in table.column_names:
        chunks = table[name]
        # One chunk is the rule; combine_chunks would copy it.
        column = chunks.chunk(0) if chunks.num_chunks == 1 else chunks.combine_chunks()
        if not pa.types.is_list(column.type):
            group.plain[name] = column.to_numpy(zero_copy_only=False)
        elif name == "captions":
            for given, field in (("captions", "text"), ("caption_sources", "source")):
                if column.type.value_type.get_field_index(field) >= 0:
                    group.lists[given] = _list_column(column, column.values.field(field))
        else:
            group.lists[name] = _list_column(column, column.values)
    _check_shapes(group)
    return group


def _list_column(column: Any, values: Any) -> ListColumn:
    return ListColumn(
        values.to_numpy(zero_copy_only=False),
        column.offsets.to_numpy().astype(np.int64),
        column.is_valid().to_numpy(zero_copy_only=False),
    )


def _check_shapes(group: Group) -> None:
    """ValueError unless the lengths of the arrays fit their shapes, and they hold floats."""
    frames = group.plain["frames"]
    expected = {"m2d": (frames, _KEYPOINT_VALUES), "masks": (frames, 1)}
    if "track_grid" in group.plain:
        sides = np.nan_to_num(group.plain["track_grid"])  # null, and so nan, without tracks
        steps = np.nan_to_num(group.plain["track_frames"]) * sides**2
        expected |= {"track_points": (steps, 2), "track_visible": (steps, 1)}
    for name, column in group.lists.items():
        if name not in expected:
            continue
        count, width = expected[name]
        wanted = np.where(column.valid, count * width, 0)
        if not np.array_equal(np.diff(column.offsets), wanted):
            raise ValueError(f"the lengths of {name} do not fit the frames")
        if name in ("m2d", "track_points") and column.values.dtype != np.float32:
            raise ValueError(f"{name} holds nulls or other numbers than 32-bit floats")


def _joined(parts: list[NDArray[Any]]) -> NDArray[np.int32]:
    return np.concatenate([np.zeros(0, np.int32), *parts]).astype(np.int32)


def _check_version(file: pq.ParquetFile, path: Path) -> None:
    metadata = file.schema_arrow.metadata or {}
    check_version(metadata.get(VERSION_KEY, b"none").decode(), path)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors of reading ``path`` become ShardErrors that name it."""
    try:
        yield
    except ShardError:
        raise
    except (OSError, pa.ArrowException, ValueError, KeyError) as error:
        raise ShardError(f"{path} cannot be read: {error}", hint=_REBUILD) from error
