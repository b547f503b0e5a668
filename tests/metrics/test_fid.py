import numpy as np
import pytest

from motionkit.errors import UsageError
from motionkit.metrics.fid import fid, frechet_distance, moments, root


def spd(size: int, seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(3 * size, size))
    return x.T @ x / len(x)


def test_two_gaussians_with_diagonal_covariances_have_the_closed_form() -> None:
    a, b = np.array([1.0, 4.0, 9.0]), np.array([4.0, 1.0, 0.0])
    mean = np.array([3.0, 0.0, 4.0])
    wanted = 25 + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert frechet_distance(mean, np.diag(a), 0 * mean, np.diag(b)) == pytest.approx(wanted)


def test_covariances_that_do_not_commute_agree_with_the_root_of_their_product() -> None:
    a, b = spd(6, 0), spd(6, 1)
    values = np.linalg.eigvals(a @ b)
    wanted = np.trace(a) + np.trace(b) - 2 * np.sqrt(values.real).sum()
    zero = np.zeros(6)
    assert frechet_distance(zero, a, zero, b) == pytest.approx(wanted, rel=1e-9)


def test_the_root_squared_is_the_matrix() -> None:
    a = spd(5, 2)
    assert np.allclose(root(a) @ root(a), a)


def test_moments_are_numpy_s() -> None:
    x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    mean, covariance = moments(x)
    assert mean.dtype == np.float64
    assert np.allclose(mean, x.mean(0, dtype=np.float64))
    assert np.allclose(covariance, np.cov(x.astype(np.float64).T))


def test_a_set_has_no_distance_from_itself_even_with_fewer_samples_than_numbers() -> None:
    x = np.random.default_rng(0).normal(size=(20, 64))
    assert fid(x, x) == pytest.approx(0, abs=1e-6)
    assert fid(x, x + 2) == pytest.approx(64 * 4, rel=1e-6)


def test_two_samples_of_one_gaussian_are_apart_and_less_so_with_more() -> None:
    rng = np.random.default_rng(0)
    found = {n: fid(rng.normal(size=(n, 512)), rng.normal(size=(n, 512))) for n in (400, 1000)}
    # the figures of the reference facts: 327 and 132
    assert found[400] == pytest.approx(327, rel=0.02)
    assert found[1000] == pytest.approx(132, rel=0.02)


@pytest.mark.parametrize("bad", [np.zeros((1, 3)), np.full((4, 3), np.nan), np.zeros(3)])
def test_what_has_no_moments_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(UsageError):
        moments(bad)


def test_embeddings_of_two_sizes_are_refused() -> None:
    with pytest.raises(UsageError, match="3 and 4"):
        fid(np.zeros((5, 3)), np.zeros((5, 4)))
