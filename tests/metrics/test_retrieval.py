"""Recall with several expressions an item, on tables small enough to count."""

import numpy as np
import pytest

from motionkit.metrics.retrieval import (
    both_ways,
    chance,
    cosine_scores,
    paired_similarity,
    ranks,
    recall,
    relevance_of,
)


def test_every_expression_is_a_query_and_any_expression_is_an_answer() -> None:
    # item 0 has two texts, item 1 one; the second text of item 0 looks like item 1
    items = np.array([[1.0, 0], [0, 1.0]])
    texts = np.array([[1.0, 0.1], [0.1, 1.0], [0.0, 1.0]])
    relevant = relevance_of(["a dog", "it runs", "a cat"], [0, 0, 1], 2)
    found = both_ways(texts, items, relevant, ks=(1, 2))
    forth, back = found["text_to_trajectory"], found["trajectory_to_text"]
    assert forth.at == {1: pytest.approx(2 / 3), 2: 1.0}
    assert (forth.queries, forth.gallery, forth.relevant) == (3, 2, 1.0)
    assert back.at == {1: 1.0, 2: 1.0} and (back.queries, back.gallery) == (2, 3)
    assert back.relevant == 1.5 and back.median_rank == 1


def test_the_same_words_about_two_items_are_right_for_both() -> None:
    relevant = relevance_of(["A dog runs ", "a cat", "a dog runs"], [0, 1, 2], 3)
    assert relevant.tolist() == [[True, False, True], [False, True, False], [True, False, True]]


def test_ties_count_against_the_model() -> None:
    relevant = np.eye(4, dtype=bool)
    assert ranks(np.zeros((4, 4)), relevant).tolist() == [4] * 4
    assert recall(np.zeros((4, 4)), relevant, ks=(1, 3)).at == {1: 0.0, 3: 0.0}
    assert ranks(np.array([[3.0, 1, 2, 2]]), np.array([[False, False, True, True]])).tolist() == [2]


def test_chance_is_that_of_a_random_order() -> None:
    relevant = np.array([[True, True, False, False], [True, False, False, False]])
    # two of four: 1 − (2·1)/(4·3) within two; one of four: 2/4
    assert chance(relevant, 1) == pytest.approx((0.5 + 0.25) / 2)
    assert chance(relevant, 2) == pytest.approx((5 / 6 + 0.5) / 2)
    assert chance(relevant, 10) == 1
    rng = np.random.default_rng(0)
    many = np.mean([recall(rng.random((2, 4)), relevant, ks=(2,)).at[2] for _ in range(4000)])
    assert many == pytest.approx(chance(relevant, 2), abs=0.02)


def test_similarity_is_of_a_text_with_its_own_trajectory() -> None:
    texts = np.array([[2.0, 0], [0, 3.0], [1, 1]])
    items = np.array([[1.0, 0], [0, -1.0]])
    expected = (1 + -1 + -(0.5**0.5)) / 3
    assert paired_similarity(texts, items, [0, 1, 1]) == pytest.approx(expected)
    assert cosine_scores(np.zeros((1, 2)), items).tolist() == [[0, 0]]


def test_what_cannot_be_ranked_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        ranks(np.array([[np.nan, 1]]), np.array([[True, False]]))
    with pytest.raises(ValueError, match="no relevant"):
        ranks(np.zeros((1, 2)), np.zeros((1, 2), bool))
    with pytest.raises(ValueError, match="differ"):
        ranks(np.zeros((1, 2)), np.zeros((2, 2), bool))
