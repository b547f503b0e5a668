"""Fréchet distance between two sets of embeddings, in float64 and by eigen-decomposition.

With few samples the distance between two halves of the *same* set is far from 0: the covariance
of n vectors has rank n - 1, and below the embedding's size it cannot be full. Two samples of one
512-d Gaussian are 327 apart at n = 400, 132 at 1,000 and 33 at 4,000. So n is part of the score,
and the real-against-real floor stands beside it (`protocol`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import UsageError

Float = NDArray[np.float64]


def moments(embeddings: NDArray[np.floating]) -> tuple[Float, Float]:
    """Mean [D] and unbiased covariance [D, D] of embeddings [N, D]; needs two."""
    x = np.asarray(embeddings, np.float64)
    if x.ndim != 2 or len(x) < 2:
        raise UsageError(
            f"an FID needs at least two embeddings, not {x.shape}.", hint="evaluate more clips"
        )
    if not np.isfinite(x).all():
        raise UsageError("embeddings that are not finite have no FID.")
    mean = x.mean(0)
    centred = x - mean
    return mean, centred.T @ centred / (len(x) - 1)


def root(covariance: Float) -> Float:
    """The symmetric square root of a positive semi-definite matrix."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def frechet_distance(mean_a: Float, cov_a: Float, mean_b: Float, cov_b: Float) -> float:
    """|a - b|² + tr(A + B - 2 (AB)^½) of two Gaussians.

    tr (AB)^½ is the sum of the roots of the eigenvalues of A^½ B A^½, which is symmetric and has
    them ≥ 0: no complex roots, and right for singular covariances too.
    """
    half = root(cov_a)
    inner = half @ cov_b @ half
    shared = np.sqrt(np.clip(np.linalg.eigvalsh((inner + inner.T) / 2), 0, None)).sum()
    gap = mean_a - mean_b
    return float(gap @ gap + np.trace(cov_a) + np.trace(cov_b) - 2 * shared)


def fid(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Fréchet distance between embeddings [N, D] and [M, D]; at least two each."""
    if np.shape(a)[-1] != np.shape(b)[-1]:
        raise UsageError(
            f"embeddings of {np.shape(a)[-1]} and {np.shape(b)[-1]} numbers cannot be compared."
        )
    return max(0.0, frechet_distance(*moments(a), *moments(b)))
