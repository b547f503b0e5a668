from __future__ import annotations

import hashlib

import pytest

from motionkit.shards.cuts import segment_key, segments


def ids(count: int, start: int = 0) -> list[str]:
    return sorted(hashlib.sha256(str(i).encode()).hexdigest() for i in range(start, start + count))


@pytest.mark.parametrize("rows", [1, 2, 3, 8, 64, 4096])
@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_segments_cover_all_ids_in_order_within_the_limit(rows, count):
    found = list(segments(ids(count), rows))
    assert [i for start, end in found for i in range(start, end)] == list(range(count))
    assert all(1 <= end - start <= rows for start, end in found)
    assert all(end - start >= rows // 4 for start, end in found[:-1])


def test_segments_are_about_half_the_limit():
    found = list(segments(ids(40_000), 400))
    assert 150 <= 40_000 / len(found) <= 260


def test_an_added_id_changes_few_segments():
    before = ids(20_000)
    cut = {tuple(before[a:b]) for a, b in segments(before, 200)}
    changed = []
    for extra in range(40):
        after = sorted([*before, hashlib.sha256(f"new {extra}".encode()).hexdigest()])
        now = {tuple(after[a:b]) for a, b in segments(after, 200)}
        changed.append(len(now - cut))
    assert len(cut) > 150
    assert max(changed) <= 12 and sorted(changed)[20] <= 2


def test_a_key_depends_on_ids_order_content_and_form():
    def key(names, content=lambda name: b"x", form=1):
        return segment_key(names, content, form)

    keys = [
        key(["a", "b"]),
        key(["b", "a"]),
        key(["ab"]),
        key(["a", "b"], lambda name: name.encode()),
        key(["a", "b"], form=2),
    ]
    assert len(set(keys)) == len(keys)
    assert key(["a", "b"]) == keys[0]
