"""A file of records that are written in the order they come and read back by key.

Tables come in any order; shards are sorted. Between the two the arrays wait on the disk, so
that memory holds the keys and one row group, however large the set is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import ShardError


class Spill:
    """Keyed records of plain values and numpy arrays in one temporary file.

    ``digest`` of a key is a hash of its record, so that equal content is known without reading.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b")
        self._at: dict[str, tuple[int, int]] = {}
        self._digests: dict[str, bytes] = {}
        self._path = path
        self._end = 0

    def __enter__(self) -> Spill:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def __contains__(self, key: object) -> bool:
        return key in self._at

    def __iter__(self) -> Iterator[str]:
        return iter(self._at)

    def put(
        self, key: str, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]] | None = None
    ) -> None:
        """Store a record. ShardError where the key is there already."""
        if key in self._at:
            raise ShardError(
                f"two rows describe {key}.",
                hint="the workspace is inconsistent: please report it with 'motionkit query'",
            )
        blocks = []
        header: dict[str, Any] = {"values": dict(values), "arrays": []}
        for name, array in (arrays or {}).items():
            block = np.ascontiguousarray(array).tobytes()
            header["arrays"].append([name, array.dtype.str, len(block)])
            blocks.append(block)
        head = json.dumps(header, default=_plain).encode()
        self._file.seek(self._end)
        self._file.write(head)
        self._file.writelines(blocks)
        self._at[key] = (self._end, len(head))
        self._end += len(head) + sum(map(len, blocks))
        content = hashlib.blake2b(head, digest_size=16)
        for block in blocks:
            content.update(block)
        self._digests[key] = content.digest()

    def digest(self, key: str) -> bytes:
        """16 bytes that stand for the content of a record; empty where there is none."""
        return self._digests.get(key, b"")

    def values(self, key: str) -> dict[str, Any]:
        """The plain values of a record; its arrays stay on the disk."""
        offset, size = self._at[key]
        self._file.seek(offset)
        found: dict[str, Any] = json.loads(self._file.read(size))["values"]
        return found

    def get(self, key: str) -> dict[str, Any]:
        """Values and (flat) arrays of a record in one dict."""
        offset, size = self._at[key]
        self._file.seek(offset)
        header = json.loads(self._file.read(size))
        record: dict[str, Any] = header["values"]
        for name, dtype, length in header["arrays"]:
            record[name] = np.frombuffer(self._file.read(length), dtype=dtype)
        return record


def _plain(value: Any) -> Any:
    """A numpy scalar as JSON; anything else is our own mistake."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be spilled")
