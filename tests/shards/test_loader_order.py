"""The plan of an epoch: each sample once, mixed across shards, little padding."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from motionkit.errors import UsageError
from motionkit.shards.order import PlanOptions, make_plan
from motionkit.shards.stream import WorkerPart

GROUP = 16


def data(count=1000):
    rng = np.random.default_rng(0)
    return np.arange(count) // GROUP, rng.integers(60, 301, count).astype(np.int32)


def plan(count=1000, epoch=0, **options):
    groups, lengths = data(count)
    return make_plan(groups, lengths, PlanOptions(**{"batch_size": 8, **options}), epoch)


@pytest.mark.parametrize("count", [16, 17, 31, 1000, 1001, 1023])
@pytest.mark.parametrize(("ranks", "lanes"), [(1, 1), (1, 4), (2, 3), (3, 1), (8, 2)])
def test_each_sample_comes_once_in_equal_numbers_of_batches(count, ranks, lanes):
    made = plan(count, ranks=ranks, lanes=lanes)
    assert sorted(made.samples) == list(range(count))
    assert not made.repeated.any()
    assert len(made) % ranks == 0
    sizes = np.diff(made.starts)
    assert sizes.min() >= 1 and sizes.max() <= 8
    last = sizes[-2 * ranks :]  # the remainder is shared by the last two rounds
    assert (sizes[: -2 * ranks] == 8).all()
    assert last.max() - last.min() <= 1


def test_drop_leaves_out_less_than_a_round_and_others_each_epoch():
    first, second = (plan(1001, ranks=3, remainder="drop", epoch=e) for e in (0, 1))
    assert set(np.diff(first.starts)) == {8}
    left = [set(range(1001)) - set(p.samples.tolist()) for p in (first, second)]
    assert len(left[0]) == len(left[1]) == 1001 % 24
    assert left[0] != left[1]
    assert len(set(first.samples.tolist())) == len(first.samples)


@pytest.mark.parametrize("count", [5, 1001])
def test_repeat_fills_the_last_round_and_marks_it(count):
    made = plan(count, ranks=3, remainder="repeat")
    assert set(np.diff(made.starts)) == {8} and len(made) % 3 == 0
    assert sorted(made.samples[~made.repeated]) == list(range(count))
    assert made.repeated.sum() == len(made) * 8 - count


def test_too_few_samples_for_the_ranks_are_refused():
    with pytest.raises(UsageError, match="3 samples"):
        plan(3, ranks=4)
    with pytest.raises(UsageError, match="do not fill"):
        plan(7, ranks=8, remainder="drop")
    with pytest.raises(UsageError, match="spread"):
        plan(5, ranks=2, batch_size=1)
    with pytest.raises(UsageError, match="0 samples"):
        plan(0)


def test_the_order_depends_on_seed_and_epoch_alone():
    orders = [plan(seed=s, epoch=e).samples.tolist() for s, e in ((0, 0), (0, 0), (0, 1), (1, 0))]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2] and orders[0] != orders[3]


def test_few_row_groups_are_permuted_as_a_whole():
    """Every sample may stand anywhere: over many epochs, a place sees all of them equally."""
    first = [plan(64, window=8, bucket_batches=1, epoch=e).samples[:8] for e in range(400)]
    counts = np.bincount(np.concatenate(first), minlength=64)
    assert counts.min() > 20 and counts.max() < 90  # expected: 50, sd 7


def test_batches_mix_row_groups_from_the_first_to_the_last():
    """Also at both ends of the epoch, where half as many row groups are open."""
    made = plan(6400, window=16, bucket_batches=1, batch_size=32)
    several = [len({s // GROUP for s in made.samples[made.batch(j)]}) for j in range(len(made))]
    assert min(several) >= 6
    assert np.mean(several) > 13  # 32 draws from 16 groups meet 14 on average


def test_neighbours_on_the_disk_come_apart():
    made = plan(6400, window=16, bucket_batches=1)
    step = np.abs(np.diff(made.samples))
    assert (step < GROUP).mean() < 0.15  # by chance 1 in 16


def test_a_worker_holds_no_more_row_groups_than_stated():
    groups, _ = data(6400)
    made = plan(6400, window=16, bucket_batches=4)
    part = WorkerPart(made, groups, range(len(made)))
    bound = 16 + -(-4 * 8 // GROUP) + 2
    assert 16 <= part.peak_groups() <= bound
    assert 400 <= len(part.order) <= 400 + 16


def test_workers_that_divide_the_lanes_read_few_row_groups_twice():
    groups, _ = data(6400)
    made = plan(6400, window=8, lanes=4, ranks=2, bucket_batches=4)
    parts = [WorkerPart(made, groups, range(w, len(made), 8)) for w in range(8)]
    reads = Counter(g for part in parts for g in part.order)
    assert len(reads) == 400
    assert sum(reads.values()) <= 400 + 8 * (8 + 2)


@pytest.mark.parametrize("bucket_batches", [2, 8, 16])
def test_padding_stays_under_the_documented_bound(bucket_batches):
    _, lengths = data(6400)
    made = plan(6400, bucket_batches=bucket_batches, batch_size=32)
    bound = (300 - 60) / (bucket_batches * lengths.mean())
    assert made.padding(lengths) < bound
    assert made.padding(lengths) < plan(6400, bucket_batches=1, batch_size=32).padding(lengths)


def test_batches_of_a_bucket_come_in_random_order():
    """Sorting must not show: no run from short to long within a bucket."""
    _, lengths = data(6400)
    made = plan(6400, bucket_batches=16)
    means = np.array([lengths[made.samples[made.batch(j)]].mean() for j in range(len(made))])
    rising = (np.diff(means[: len(means) // 16 * 16].reshape(-1, 16), axis=1) > 0).mean()
    assert 0.4 < rising < 0.6


def test_without_shuffling_the_stored_order_stays():
    made = plan(100, shuffle=False, lanes=4)
    assert made.samples.tolist() == list(range(100))


@pytest.mark.parametrize(
    "wrong", [{"batch_size": 0}, {"window": 0}, {"seed": -1}, {"remainder": "loop"}]
)
def test_wrong_options_are_refused(wrong):
    with pytest.raises(UsageError):
        plan(**wrong)
