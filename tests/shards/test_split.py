from __future__ import annotations

from collections import Counter

import pytest

from motionkit.errors import UsageError
from motionkit.shards.split import EXACT_BELOW, SplitShares, assign, place


def groups(n):
    return [f"video{i}" for i in range(n)]


def test_a_new_video_moves_no_other_in_a_large_set():
    small, large = assign(groups(EXACT_BELOW)), assign(groups(400))
    assert small.rule == large.rule == "hash"
    assert all(large.split_of[g] == s for g, s in small.split_of.items())


def test_shares_are_near_in_a_large_set():
    counts = Counter(assign(groups(4000)).split_of.values())
    assert counts["test"] / 4000 == pytest.approx(0.15, abs=0.02)
    assert counts["val"] / 4000 == pytest.approx(0.05, abs=0.012)


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (0, {}),
        (1, {"train": 1}),
        (2, {"train": 1, "test": 1}),
        (3, {"train": 1, "val": 1, "test": 1}),
        (10, {"train": 7, "val": 1, "test": 2}),
        (40, {"train": 32, "val": 2, "test": 6}),
    ],
)
def test_small_sets_are_cut_exactly(n, expected):
    found = assign(groups(n))
    assert Counter(found.split_of.values()) == expected
    assert found.rule == "rank"


def test_order_and_repetition_do_not_matter_and_salt_does():
    names = groups(30)
    assert assign(names).split_of == assign([*reversed(names), *names]).split_of
    assert assign(names).split_of != assign(names, salt="other").split_of


def test_rank_and_hash_cut_the_same_order():
    found = assign(groups(EXACT_BELOW - 1)).split_of
    places = {s: [place(g, "motionkit") for g in found if found[g] == s] for s in found.values()}
    assert max(places["test"]) < min(places["val"]) <= max(places["val"]) < min(places["train"])


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.5), (1.2, -0.2, 0.0), (0.0, 0.5, 0.5)])
def test_shares_that_do_not_sum_to_one_are_refused(shares):
    with pytest.raises(UsageError, match="split shares"):
        SplitShares(*shares)


def test_a_share_of_zero_stays_empty():
    counts = Counter(assign(groups(20), SplitShares(1.0, 0.0, 0.0)).split_of.values())
    assert counts == {"train": 20}
