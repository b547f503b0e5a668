"""Which row of each item counts, found from the key columns alone.

A table is a set of append-only parts. The same row may stand in two parts (a kill between the
publishing of a merged part and the removal of the old ones, or two processes), and a newer
attempt replaces an older one. `RowIndex` marks, part by part, the rows that count. It reads
nothing but ids, attempts, outcomes and stamps, in Arrow: a million rows take a second or two and
about a hundred megabytes.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

KEY_COLUMNS: Final = ("item_id", "fingerprint", "outcome", "reason", "attempt", "stamp")
#: Those of few different values, read as Arrow dictionaries.
DICTIONARY_COLUMNS: Final = ("fingerprint", "outcome", "reason", "stamp")
#: Odd factors for `id_hashes`, the same in every process.
_WEIGHTS: Final = np.random.default_rng(20260101).integers(0, 2**63, 256, np.uint64) * 2 + 1
#: Rows turned into Python values at a time.
_BATCH: Final = 256
#: Row groups that a lookup keeps decoded.
_KEPT_GROUPS: Final = 4


@dataclasses.dataclass(frozen=True)
class Done:
    """What is known of an item that has a row."""

    outcome: str  # kept | dropped | failed
    attempt: int
    stamp: str | None = None


class RowIndex:
    """The rows that count of one fingerprint; ``parts`` are open files, kept open, so that a
    compaction by another process takes nothing away while this one reads."""

    def __init__(
        self,
        parts: list[pq.ParquetFile],
        keys: list[pa.Table],
        fingerprint: str,
        damaged: Callable[[int, Exception], None],
    ) -> None:
        """``keys`` are the `KEY_COLUMNS` of each part; ``damaged`` is told of a part (its place)
        whose payload cannot be read: its rows are passed over."""
        self.parts = parts
        self._keys = keys
        self.damaged = damaged
        #: Part by part the rows that count, and the sorted hashes of their ids.
        self.masks, self.hashes = _latest(keys, fingerprint)

    def close(self) -> None:
        """Close the part files."""
        for part in self.parts:
            part.close()

    def __len__(self) -> int:
        return sum(int(mask.sum()) for mask in self.masks)

    def column(self, name: str) -> pa.ChunkedArray:
        """A key column of the rows that count."""
        chunks = [
            keys.column(name).filter(pa.array(mask))
            for keys, mask in zip(self._keys, self.masks, strict=True)
        ]
        kind = self._keys[0].schema.field(name).type if self._keys else pa.string()
        return pa.chunked_array([c for column in chunks for c in column.chunks], kind)

    def done(self) -> dict[str, Done]:
        """Item id → outcome, attempt, stamp."""
        if not self._keys:
            return {}
        columns = [self.column(name) for name in ("outcome", "stamp")]
        outcome, stamp = (_one(column) for column in columns)
        attempt = self.column("attempt").to_numpy()
        # A million items share a handful of states: each is made once.
        joined = (_codes(outcome) << 56) | ((_codes(stamp) + 1) << 24) | attempt
        _, first, which = np.unique(joined, return_index=True, return_inverse=True)
        shared = np.empty(len(first), object)
        shared[:] = [
            Done(outcome[i].as_py(), int(attempt[i]), stamp[i].as_py()) for i in first.tolist()
        ]
        items = self.column("item_id").to_numpy(zero_copy_only=False)
        return dict(zip(items.tolist(), shared[which].tolist(), strict=True))

    def groups(
        self, columns: list[str], outcome: str | None, only: tuple[str, Container[str]] | None
    ) -> Iterator[tuple[pa.Table, NDArray[np.intp]]]:
        """Row group by row group: its columns, and the places of the wanted rows in it.

        Groups without a wanted row are not decoded.
        """
        for index in range(len(self.parts)):
            for group, start, places in self.places(index, outcome):
                try:
                    if only is not None:
                        places = places[self._among(index, group, start, places, only)]
                    if not len(places):
                        continue
                    data = self.read(index, group, columns)
                except (pa.ArrowInvalid, OSError) as error:
                    self.damaged(index, error)
                    break
                yield data, places

    def places(
        self, index: int, outcome: str | None
    ) -> Iterator[tuple[int, int, NDArray[np.intp]]]:
        """(row group, its first row in the part, places in it of the rows that count)."""
        mask = self.masks[index]
        wanted = mask & self._of_outcome(index, outcome) if outcome is not None else mask
        start = 0
        for group in range(self.parts[index].num_row_groups):
            count = self.parts[index].metadata.row_group(group).num_rows
            places = np.flatnonzero(wanted[start : start + count])
            if len(places):
                yield group, start, places
            start += count

    def read(self, index: int, group: int, columns: list[str]) -> pa.Table:
        """Columns of one row group; ``others.boxes`` is a field of a list of structs, and comes in
        the column ``others``."""
        return self.parts[index].read_row_group(group, columns=_leaves(columns))

    def _of_outcome(self, index: int, outcome: str) -> NDArray[np.bool_]:
        column = _one(self._keys[index].column("outcome"))
        codes = column.dictionary.to_pylist()
        if outcome not in codes:
            return np.zeros(len(column), bool)
        return column.indices.to_numpy(zero_copy_only=False) == codes.index(outcome)

    def _among(
        self,
        index: int,
        group: int,
        start: int,
        places: NDArray[np.intp],
        only: tuple[str, Container[str]],
    ) -> NDArray[np.bool_]:
        name, values = only
        if name == "item_id":
            column = self._keys[index].column(name).take(pa.array(places + start))
        else:
            read = self.parts[index].read_row_group(group, columns=[name])
            column = read.column(name).take(pa.array(places))
        return np.fromiter((v in values for v in column.to_pylist()), bool, len(places))


class GroupLookup:
    """Kept rows by a string column, decoded when asked for; see `stage.Tables.lookup`."""

    def __init__(self, index: RowIndex, key: str, columns: list[str]) -> None:
        self._index = index
        self._columns, self._names = roots_of(columns), columns
        self._places: dict[str, tuple[int, int, int]] = {}
        self._kept: OrderedDict[tuple[int, int], pa.Table] = OrderedDict()
        for number in range(len(index.parts)):
            for group, _, places in index.places(number, "kept"):
                try:
                    column = index.read(number, group, [key]).column(key)
                except (pa.ArrowInvalid, OSError) as error:
                    index.damaged(number, error)
                    break
                for place, value in zip(
                    places.tolist(), column.take(pa.array(places)).to_pylist(), strict=True
                ):
                    self._places.setdefault(value, (number, group, place))

    def get(self, value: str) -> dict[str, Any] | None:
        """The row, or None."""
        found = self._places.get(value)
        if found is None:
            return None
        number, group, place = found
        data = self._kept.get((number, group))
        if data is None:
            try:
                data = self._index.read(number, group, self._names)
            except (pa.ArrowInvalid, OSError) as error:
                self._index.damaged(number, error)
                return None
            self._kept[number, group] = data
            if len(self._kept) > _KEPT_GROUPS:
                self._kept.popitem(last=False)
        self._kept.move_to_end((number, group))
        return next(rows_of(data, np.array([place]), self._columns))


def _leaves(columns: Iterable[str]) -> list[str]:
    """``others.boxes``, a field of a list of structs, as Parquet names it; other names as they
    are."""
    return [
        name if ".list.element." in name else name.replace(".", ".list.element.", 1)
        for name in columns
    ]


def roots_of(columns: Iterable[str]) -> list[str]:
    """The columns that ``others.boxes`` and so on are in, each once."""
    return list(dict.fromkeys(name.partition(".")[0] for name in columns))


def rows_of(
    data: pa.Table, places: NDArray[np.intp], columns: list[str]
) -> Iterator[dict[str, Any]]:
    """Rows at ``places`` as dicts of Python values and flat numpy arrays."""
    for start in range(0, len(places), _BATCH):
        chosen = places[start : start + _BATCH]
        together = len(chosen) == chosen[-1] - chosen[0] + 1  # one piece: nothing is copied
        if together:
            part = data.slice(int(chosen[0]), len(chosen))
        else:
            part = data.take(pa.array(chosen))
        values = [_values(part.column(name)) for name in columns]
        for row in range(part.num_rows):
            yield {name: value(row) for name, value in zip(columns, values, strict=True)}


def _values(chunks: pa.ChunkedArray) -> Callable[[int], Any]:
    """How to get one row's value of a column."""
    kind = chunks.type
    if pa.types.is_list(kind) and pa.types.is_primitive(kind.value_type):
        column = chunks.combine_chunks()
        column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
        flat = column.values.to_numpy(zero_copy_only=False)
        ends = column.offsets.to_numpy()
        valid = column.is_valid().to_numpy(zero_copy_only=False)
        return lambda row: flat[ends[row] : ends[row + 1]] if valid[row] else None
    if pa.types.is_list(kind) and _has_arrays(kind.value_type):
        column = chunks.combine_chunks()
        column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
        structs, ends = column.values, column.offsets.to_numpy()
        valid = column.is_valid().to_numpy(zero_copy_only=False)
        fields = {
            field.name: _values(pa.chunked_array([structs.field(i)]))
            for i, field in enumerate(structs.type)
        }
        return lambda row: (
            [{n: v(i) for n, v in fields.items()} for i in range(ends[row], ends[row + 1])]
            if valid[row]
            else None
        )
    return chunks.to_pylist().__getitem__


def _has_arrays(kind: pa.DataType) -> bool:
    """Whether a struct has lists of numbers, which become numpy arrays."""
    return pa.types.is_struct(kind) and any(
        pa.types.is_list(field.type) and pa.types.is_primitive(field.type.value_type)
        for field in kind
    )


def _one(column: pa.ChunkedArray) -> pa.Array:
    """A dictionary column as one array."""
    joined = column.unify_dictionaries().combine_chunks()
    return joined.chunk(0) if isinstance(joined, pa.ChunkedArray) else joined


def id_hashes(ids: pa.ChunkedArray) -> NDArray[np.uint64]:
    """A 64-bit hash [n] of every id: sums of bytes with fixed random weights."""
    out = np.empty(len(ids), np.uint64)
    done = 0
    for chunk in ids.chunks:
        offsets = np.frombuffer(chunk.buffers()[1], np.int32)[chunk.offset :][: len(chunk) + 1]
        data = np.frombuffer(chunk.buffers()[2] or b"", np.uint8)
        lengths = np.diff(offsets)
        part = out[done : done + len(chunk)]
        if len(chunk) and lengths.min() == lengths.max():  # the usual case: a plain matrix
            size = int(lengths[0])
            whole = data[offsets[0] : offsets[0] + size * len(chunk)].reshape(len(chunk), size)
            part[:] = _weighted((whole[:, place] for place in range(size)), size, len(chunk))
        else:
            for size in set(lengths.tolist()):
                rows = np.flatnonzero(lengths == size)
                starts = offsets[:-1][rows]
                columns = (data[starts + place] for place in range(size))
                part[rows] = _weighted(columns, size, len(rows))
        done += len(chunk)
    return out


def _weighted(columns: Iterable[NDArray[np.uint8]], size: int, count: int) -> NDArray[np.uint64]:
    total = np.full(count, size, np.uint64)
    for place, column in enumerate(columns):
        total += column * _WEIGHTS[place % len(_WEIGHTS)]
    return total


def _codes(column: pa.Array) -> NDArray[np.int64]:
    """Places in the dictionary; -1 where null."""
    codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return codes.astype(np.int64)


def elements_of(
    data: pa.Table, places: NDArray[np.intp], column: str, fields: list[str]
) -> Iterator[tuple[Any, ...]]:
    """Fields of the structs in a list column, element by element, over the rows at ``places``."""
    chosen = data.column(column).take(pa.array(places))
    for chunk in chosen.chunks:
        structs = chunk.flatten()
        values = [
            structs.field(name).to_numpy(zero_copy_only=False).tolist()
            if pa.types.is_string(structs.field(name).type)
            else structs.field(name).to_pylist()
            for name in fields
        ]
        yield from zip(*values, strict=True)


def _latest(
    keys: list[pa.Table], fingerprint: str
) -> tuple[list[NDArray[np.bool_]], NDArray[np.uint64]]:
    """For each part which rows count: of this fingerprint, the highest attempt of its item, and
    of equal rows the first. Also their sorted `id_hashes`."""
    sizes = [table.num_rows for table in keys]
    total = sum(sizes)
    keep = np.ones(total, bool)
    start = 0
    for table, size in zip(keys, sizes, strict=True):
        prints = _one(table.column("fingerprint"))
        known = prints.dictionary.to_pylist()
        if known != [fingerprint]:
            code = known.index(fingerprint) if fingerprint in known else -1
            keep[start : start + size] = prints.indices.to_numpy(zero_copy_only=False) == code
        start += size
    ids = [chunk for table in keys for chunk in table.column("item_id").chunks]
    items = pa.chunked_array(ids, pa.string())
    # Different hashes are different ids; only where two are equal the ids themselves are compared.
    hashes = np.sort(id_hashes(items))
    if total and (not keep.all() or (hashes[1:] == hashes[:-1]).any()):
        codes = _one(items.dictionary_encode())
        code = codes.indices.to_numpy(zero_copy_only=False)
        attempt = np.concatenate([table.column("attempt").to_numpy() for table in keys])
        rows = np.flatnonzero(keep)
        # Ordered so that the row that counts is written last: highest attempt, then first place.
        order = rows[np.lexsort((-rows, attempt[rows]))]
        winner = np.full(len(codes.dictionary), -1, np.int64)
        winner[code[order]] = order
        keep = np.zeros(total, bool)
        keep[winner[winner >= 0]] = True
        hashes = np.sort(id_hashes(items.filter(pa.array(keep))))
    return (np.split(keep, np.cumsum(sizes)[:-1]) if keys else []), hashes
