import numpy as np
import pytest

from motionkit.errors import UsageError
from motionkit.metrics.matching import (
    chance,
    diversity,
    mm_dist,
    multimodality,
    pools,
    r_precision,
    ranks,
)


def different(count: int) -> list[frozenset[str]]:
    return [frozenset({f"text {i}"}) for i in range(count)]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_pool_holds_the_item_first_and_others_once() -> None:
    found = pools(different(50), 32, rng())
    assert found.shape == (50, 32)
    assert (found[:, 0] == np.arange(50)).all()
    assert all(len(set(row)) == 32 for row in found.tolist())


def test_every_other_item_is_as_likely_in_a_pool() -> None:
    counts = np.zeros(12)
    for seed in range(400):
        counts += np.bincount(pools(different(12), 4, rng(seed))[0, 1:], minlength=12)
    expected = 400 * 3 / 11
    assert counts[0] == 0
    assert (np.abs(counts[1:] - expected) < 4 * np.sqrt(expected)).all()


def test_an_item_that_shares_a_caption_never_enters_the_pool() -> None:
    texts = [frozenset({"walks", "goes"}), frozenset({"goes", "moves"}), *different(6)]
    for seed in range(20):
        found = pools(texts, 7, rng(seed))
        assert 1 not in found[0] and 0 not in found[1]


def test_a_pool_that_cannot_be_filled_is_refused_with_the_largest_that_can() -> None:
    texts = [frozenset({"walks"})] * 5 + different(3)
    with pytest.raises(UsageError, match="has 3") as caught:
        pools(texts, 5, rng())
    assert caught.value.hint is not None and "--pool 4" in caught.value.hint
    assert pools(texts, 4, rng()).shape == (8, 4)


def test_perfect_embeddings_have_1_and_random_ones_chance() -> None:
    n, pool = 4000, 32
    x = rng().normal(size=(n, 16))
    drawn = pools(different(n), pool, rng(1))
    assert r_precision(x, x, drawn) == {1: 1.0, 2: 1.0, 3: 1.0}
    found = r_precision(x, rng(2).normal(size=(n, 16)), drawn)
    for top, share in chance(pool).items():
        assert found[top] == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / n))


def test_the_same_embeddings_fall_with_the_pool_as_ranks_among_all_say() -> None:
    n = 1500
    x = rng().normal(size=(n, 8))
    y = x + 0.55 * rng(1).normal(size=(n, 8))
    square = ((x[:, None] - y[None]) ** 2).sum(-1)
    nearer = (square < np.diag(square)[:, None]).sum(1)  # of all others
    before = 1.0
    for size in (16, 32, 64, 256):
        found = r_precision(x, y, pools(different(n), size, rng(2)))[1]
        # none of size - 1 draws without replacement is one of the nearer ones
        steps = np.arange(size - 1)
        wanted = np.prod(np.clip(n - 1 - nearer[:, None] - steps, 0, None) / (n - 1 - steps), 1)
        assert found == pytest.approx(wanted.mean(), abs=0.03)
        assert found < before
        before = found


def test_a_network_that_says_the_same_for_all_is_not_at_the_top() -> None:
    same = np.ones((40, 4))
    drawn = pools(different(40), 32, rng())
    assert (ranks(same, same, drawn) == 16).all()
    assert r_precision(same, same, drawn) == {1: 0.0, 2: 0.0, 3: 0.0}


def test_large_sets_are_ranked_in_blocks() -> None:
    n = 1100
    x = rng().normal(size=(n, 4))
    drawn = pools(different(n), 8, rng())
    y = x + rng(3).normal(size=(n, 4))
    whole = [
        int((((y[row] - x[i]) ** 2).sum(-1) < ((y[i] - x[i]) ** 2).sum()).sum())
        for i, row in enumerate(drawn)
    ]
    assert ranks(x, y, drawn).tolist() == whole


def test_mm_dist_is_the_mean_euclidean_distance() -> None:
    assert mm_dist(np.zeros((2, 2)), np.array([[3.0, 4.0], [0.0, 1.0]])) == 3.0


def test_diversity_is_the_distance_of_disjoint_pairs() -> None:
    # of a line of points, all pairs of the two halves of the order are counted once
    x = np.array([[0.0], [0.0], [10.0], [10.0]])
    values = {diversity(x, 300, rng(seed))[0] for seed in range(30)}
    assert values <= {0.0, 5.0, 10.0} and len(values) > 1
    assert diversity(x, 300, rng())[1] == 2
    assert np.isnan(diversity(x[:1], 300, rng())[0])
    gauss = rng().normal(size=(4000, 64))  # two of these are √(2 · 64) apart, nearly always
    value, pairs = diversity(gauss, 300, rng(1))
    assert pairs == 300 and value == pytest.approx(np.sqrt(128), rel=0.02)


def test_multimodality_looks_at_samples_of_one_text_alone() -> None:
    same = np.repeat(rng().normal(size=(5, 1, 8)), 6, 1) * 100
    assert multimodality(same, 10, rng()) == (0.0, 3)
    apart = same + rng(1).normal(size=same.shape)
    value, pairs = multimodality(apart, 2, rng())
    assert pairs == 2 and value == pytest.approx(np.sqrt(16), rel=0.2)


def test_the_seed_decides() -> None:
    a, b, c = (pools(different(60), 16, rng(seed)) for seed in (0, 0, 1))
    assert (a == b).all() and (a != c).any()
