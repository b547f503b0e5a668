"""Smooth curves of time: the building blocks of every scripted motion."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def ease(value: Float | float) -> Float:
    """Minimum-jerk step: 0 below 0, 1 above 1, with speed and acceleration 0 at both ends."""
    x: Float = np.clip(np.asarray(value, dtype=float), 0.0, 1.0)
    return x * x * x * (10 + x * (6 * x - 15))


def keys(t: Float, points: Sequence[tuple[float, float]]) -> Float:
    """Curve [F] through ``points`` (time, value), eased between them and held outside."""
    value = np.full(np.shape(t), points[0][1], dtype=float)
    for (t0, v0), (t1, v1) in itertools.pairwise(points):
        value = value + (v1 - v0) * ease((t - t0) / max(t1 - t0, 1e-6))
    return value


def pulse(t: Float, start: float, rise: float, hold: float, fall: float) -> Float:
    """0 → 1 → 0: rises from ``start`` in ``rise`` seconds, holds, and falls."""
    top = start + rise + hold
    return ease((t - start) / rise) - ease((t - top) / fall)


def bump(phase: Float) -> Float:
    """Smooth hill [..] over phase 0..1, 0 at both ends and outside, 1 in the middle."""
    inside = (phase > 0) & (phase < 1)
    return np.where(inside, np.sin(np.pi * np.clip(phase, 0, 1)) ** 2, 0.0)


def smooth(values: Float, sigma: float) -> Float:
    """Gaussian smoothing along time (axis 0), ``sigma`` in frames; the ends are held."""
    if sigma <= 0:
        return values
    reach = max(1, int(3 * sigma))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    taps /= taps.sum()
    flat = values.reshape(len(values), -1)
    padded = np.pad(flat, ((reach, reach), (0, 0)), mode="edge")
    columns = [np.convolve(padded[:, k], taps, mode="valid") for k in range(flat.shape[1])]
    return np.stack(columns, 1).reshape(values.shape)


def drift(t: Float, rng: np.random.Generator, *, period_s: float = 3.0) -> Float:
    """Slow aimless sway [F] of about ±1: what a body does that stands 'still'."""
    total = np.zeros(np.shape(t))
    for k, weight in ((1.0, 0.6), (1.7, 0.3), (2.9, 0.15)):
        total += weight * np.sin(2 * np.pi * (k * t / period_s + rng.uniform()))
    return total
