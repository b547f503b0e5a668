"""Where one shard ends and the next begins, so that an added clip does not shift all others.

The samples of a split are sorted by id and cut into **segments**. A segment ends where the hash
of a sample's id says so (and is at least a quarter of the rows allowed), at the latest after
``rows`` samples. So a border depends on the ids near it alone: a clip that is added or taken
away changes the segment it falls into, seldom the next, and no other. About half of ``rows``
is the usual size. A segment is one file, or several where the limit of bytes asks for it.

A segment's **key** is a hash of its rows' content and of the format: where the set that is
being replaced has a segment of the same key, its files are taken over as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

from motionkit.stage import digest


def segments(ids: Sequence[str], rows: int) -> Iterator[tuple[int, int]]:
    """Start and end of each segment of the sorted ``ids``; none is longer than ``rows``."""
    least = max(1, rows // 4)
    start = 0
    for at, sample in enumerate(ids):
        size = at + 1 - start
        if size >= rows or (size >= least and _ends_here(sample, rows)):
            yield start, at + 1
            start = at + 1
    if start < len(ids):
        yield start, len(ids)


def _ends_here(sample: str, rows: int) -> bool:
    """True for about 4 ids in ``rows``: with the least size, segments of half the rows."""
    head = hashlib.blake2b(sample.encode(), digest_size=8, person=b"mk-shard-cut").digest()
    return int.from_bytes(head, "big") * (rows // 4 + 1) < 1 << 64


def segment_key(ids: Sequence[str], content: Callable[[str], bytes], form: object) -> str:
    """Hex name of a segment: its samples in order, their content, and the file format."""
    found = hashlib.blake2b(digest(form).encode(), digest_size=16)
    for sample in ids:
        found.update(hashlib.blake2b(sample.encode(), digest_size=16).digest())
        found.update(content(sample))
    return found.hexdigest()
