"""How many videos have the same text: what a captioner that hallucinates gives itself away by."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionkit.stage import Tables
from motionkit.stages._audit_text import normalised

U64 = NDArray[np.uint64]

#: Pairs that are held before they are sorted into one.
_TOGETHER = 1 << 20


def text_key(text: str) -> int:
    """64 bits of the text as duplicates are counted; 0 for a text without words."""
    plain = normalised(text)
    return _hash(plain) if plain else 0


def _hash(text: str) -> int:
    raw = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(raw, "little")


@dataclasses.dataclass(frozen=True)
class Copies:
    """Keys of the texts on more than one video, sorted, and the number of videos of each."""

    keys: U64
    videos: NDArray[np.int64]

    def count(self, key: int) -> int:
        """Videos that have the text; 1 for one that has no copy."""
        place = int(np.searchsorted(self.keys, np.uint64(key)))
        found = place < len(self.keys) and int(self.keys[place]) == key
        return int(self.videos[place]) if found else 1


def count_copies(tables: Tables, skip: tuple[str, ...]) -> Copies:
    """Counts the videos of every text of the table `captions`, without captions of the sources
    ``skip``. Memory: 16 bytes a caption."""
    found: list[U64] = []
    pairs: list[tuple[int, int]] = []

    def settle() -> None:
        if pairs:
            found.append(np.unique(np.array(pairs, np.uint64), axis=0))
            pairs.clear()

    for row in tables.rows("captions", ["video_id", "captions"]):
        video = _hash(row["video_id"] or row["item_id"])
        for caption in counted(row, skip):
            key = text_key(caption["text"] or "")
            if key:
                pairs.append((key, video))
        if len(pairs) >= _TOGETHER:
            settle()
    settle()
    if not found:
        return Copies(np.empty(0, np.uint64), np.empty(0, np.int64))
    keys = np.unique(np.concatenate(found), axis=0)[:, 0]
    once, counts = np.unique(keys, return_counts=True)
    return Copies(once[counts > 1], counts[counts > 1].astype(np.int64))


def counted(row: Mapping[str, Any], skip: tuple[str, ...]) -> list[dict[str, Any]]:
    """The captions of a row that take part."""
    return [caption for caption in row["captions"] or () if caption["source"] not in skip]
