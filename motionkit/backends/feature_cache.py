"""Features that were computed once: in Parquet, by the encoder's hash and what was encoded.

``FOLDER/HASH/part-….parquet``, where the hash is over the encoder's identity. Parts are only
added, each whole or not at all, so any number of processes may use a folder at once, and a kill
loses at most the block that was being computed. Two that compute the same leave it twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import WorkspaceError

VERSION: Final = 1

Item = TypeVar("Item", bound="str | NDArray[np.uint8]")
Item_in = TypeVar("Item_in", bound="str | NDArray[np.uint8]", contravariant=True)


class Encoder(Protocol[Item_in]):
    """A `TextEncoder` or an `ImageEncoder`."""

    @property
    def dim(self) -> int:
        """Length of a feature."""

    def identity(self) -> dict[str, str]:
        """Names the weights."""

    def encode(self, items: Sequence[Item_in], /) -> NDArray[np.float32]:
        """Features [N, dim]."""


class FeatureCache(Generic[Item]):
    """An encoder whose features are kept in ``folder``; itself an encoder.

    ``block``: how many are computed before they are written.
    """

    def __init__(self, folder: Path, encoder: Encoder[Item], *, block: int = 1024) -> None:
        if block < 1:
            raise ValueError(f"block must be at least 1, not {block}")
        self.encoder, self.block = encoder, block
        self.dim = encoder.dim
        text = json.dumps(encoder.identity(), sort_keys=True)
        self.folder = folder / hashlib.sha256(text.encode()).hexdigest()[:16]
        self._identity = text
        #: How many of the items of the last `encode` were computed, not found.
        self.computed = 0

    def identity(self) -> dict[str, str]:
        """The encoder's."""
        return self.encoder.identity()

    def encode(
        self, items: Sequence[Item], told: Callable[[int, int], None] = lambda done, total: None
    ) -> NDArray[np.float32]:
        """Features [N, dim] in the order of ``items``; what is not kept yet is computed, written
        and kept. ``told`` hears (computed, to compute) after each block.

        Memory: the answer, the keys, and one part at a time. WorkspaceError for a damaged part.
        """
        keys = [key_of(item) for item in items]
        places: dict[bytes, list[int]] = {}
        for i, key in enumerate(keys):
            places.setdefault(key, []).append(i)
        features = np.zeros((len(items), self.dim), np.float32)
        for key, feature in self._kept(set(places)):
            features[places.pop(key)] = feature
        missing = list(places)  # in the order of the items
        self.computed = len(missing)
        for start in range(0, len(missing), self.block):
            chosen = missing[start : start + self.block]
            made = self.encoder.encode([items[places[key][0]] for key in chosen])
            self._write(chosen, made)
            for key, feature in zip(chosen, made, strict=True):
                features[places[key]] = feature
            told(start + len(chosen), len(missing))
        return features

    def _kept(self, wanted: set[bytes]) -> Iterator[tuple[bytes, NDArray[np.float32]]]:
        """Those of ``wanted`` that are kept, each once."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        left = set(wanted)
        for path in sorted(self.folder.glob("part-*.parquet")):
            if not left:
                return
            try:
                keys = pq.read_table(path, columns=["key"])["key"].to_pylist()
                rows = [i for i, key in enumerate(keys) if key in left]
                if not rows:
                    continue
                column = pq.read_table(path, columns=["feature"])["feature"].combine_chunks()
                values = column.flatten().to_numpy().reshape(len(keys), self.dim)
            except (pa.ArrowInvalid, OSError, KeyError, ValueError) as error:
                raise WorkspaceError(
                    f"a part of the feature cache cannot be read: {path} ({error})",
                    hint="delete that file: its features are computed again",
                ) from error
            for row in rows:
                if keys[row] in left:
                    left.remove(keys[row])
                    yield keys[row], values[row]

    def _write(self, keys: list[bytes], features: NDArray[np.float32]) -> None:
        """One part, named by its keys, all of it or nothing."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if features.shape != (len(keys), self.dim) or not np.isfinite(features).all():
            raise ValueError(f"the encoder made {features.shape} or numbers that are not finite")
        self.folder.mkdir(parents=True, exist_ok=True)
        flat = pa.array(np.ascontiguousarray(features, np.float32).reshape(-1))
        columns: dict[str, Any] = {
            "key": pa.array(keys, pa.binary(32)),
            "feature": pa.FixedSizeListArray.from_arrays(flat, self.dim),
        }
        about = {"motionkit.features": str(VERSION), "encoder": self._identity}
        table = pa.table(columns).replace_schema_metadata(about)
        name = hashlib.sha256(b"".join(keys)).hexdigest()[:24]
        handle, temporary = tempfile.mkstemp(prefix=".tmp-", dir=self.folder)
        try:
            with os.fdopen(handle, "wb") as stream:
                pq.write_table(table, stream, compression="none", use_dictionary=False)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).replace(self.folder / f"part-{name}.parquet")
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def key_of(item: str | NDArray[np.uint8]) -> bytes:
    """SHA-256 of a text, or of a picture's size and pixels."""
    if isinstance(item, str):
        return hashlib.sha256(b"text\0" + item.encode("utf-8", "surrogatepass")).digest()
    total = hashlib.sha256(f"image\0{item.shape} {item.dtype}\0".encode())
    total.update(np.ascontiguousarray(item).tobytes())
    return total.digest()
