"""How good point trajectories are: ADE, FDE, smoothness, and TAP-Vid's AJ and OA. numpy alone.

Trajectories are [..., T, N, 2], normalised: −1 and 1 at the frame's edges, x and y apart
(x̃ = 2x/W − 1). Errors are distances between points, averaged where ``visible`` [..., T, N] holds;
the first frame, which is given, does not count. In pixels they depend on the frame's size, so a
size is always stated beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.floating]
Bool = NDArray[np.bool_]

#: Width and height of the frame that pixel errors are stated for, where no other is given. The
#: paper does not say which its own are of.
FRAME_SIZE = (640, 360)
#: TAP-Vid (Doersch et al., 2022): pixels of a frame of 256×256.
TAP_SIZE = 256
TAP_THRESHOLDS = (1, 2, 4, 8, 16)


def to_pixels(points: Float, size: Sequence[float]) -> Float:
    """Normalised [..., 2] → pixels of a frame of ``size`` (width, height)."""
    made: Float = (np.asarray(points, np.float64) + 1) * (np.asarray(size, np.float64) / 2)
    return made


def to_normalised(points: Float, size: Sequence[float]) -> Float:
    """Pixels [..., 2] of a frame of ``size`` (width, height) → normalised."""
    made: Float = np.asarray(points, np.float64) * 2 / np.asarray(size, np.float64) - 1
    return made


def _distance(made: Float, true: Float, size: Sequence[float] | None) -> Float:
    """[..., T − 1, N] between points; pixels of ``size``, or normalised (None)."""
    gap = np.asarray(made, np.float64)[..., 1:, :, :] - np.asarray(true, np.float64)[..., 1:, :, :]
    if size is not None:
        gap = gap * (np.asarray(size, np.float64) / 2)
    found: Float = np.linalg.norm(gap, axis=-1)
    return found


def _seen(visible: Bool | None, distance: Float) -> Bool:
    if visible is None:
        return np.ones(distance.shape, np.bool_)
    return np.asarray(visible, np.bool_)[..., 1:, :]


def _masked_mean(values: Float, mask: Any) -> float:
    """NaN where ``mask`` holds nowhere."""
    count = int(mask.sum())
    return float(np.where(mask, values, 0.0).sum() / count) if count else float("nan")


def ade(
    made: Float, true: Float, visible: Bool | None = None, size: Sequence[float] | None = None
) -> float:
    """Mean distance of seen points over the frames behind the first, pixels of ``size`` (None:
    normalised). NaN where nothing is seen."""
    distance = _distance(made, true, size)
    return _masked_mean(distance, _seen(visible, distance))


def fde(
    made: Float, true: Float, visible: Bool | None = None, size: Sequence[float] | None = None
) -> float:
    """Mean distance of each point in the last frame in which it is seen. A point seen in the
    first frame alone does not count."""
    distance = _distance(made, true, size)
    seen = _seen(visible, distance)
    frames = distance.shape[-2]
    last = frames - 1 - np.argmax(seen[..., ::-1, :], axis=-2)
    at_last = np.take_along_axis(distance, last[..., None, :], -2)[..., 0, :]
    return _masked_mean(at_last, seen.any(-2))


def smoothness(made: Float, visible: Bool | None = None) -> float:
    """1 − mean ‖Δv‖, Δv_t = v_{t+1} − v_t, v_t = p_{t+1} − p_t, in **normalised units a frame
    squared**; over points seen in the three frames concerned. 1 is uniform motion. NaN below three
    frames."""
    change = np.linalg.norm(np.diff(np.asarray(made, np.float64), n=2, axis=-3), axis=-1)
    if visible is None:
        seen = np.ones(change.shape, bool)
    else:
        seen = visible[..., 2:, :] & visible[..., 1:-1, :] & visible[..., :-2, :]
    return 1 - _masked_mean(change, seen)


@dataclass(frozen=True)
class TapVid:
    """TAP-Vid's three numbers, shares 0..1, with their parts by threshold."""

    average_jaccard: float
    occlusion_accuracy: float
    within: float
    """δ_avg: share of visible points within the threshold, averaged over the thresholds."""
    jaccard: dict[int, float]
    points_within: dict[int, float]


def tap_vid(
    made: Float,
    made_visible: Bool,
    true: Float,
    visible: Bool,
    query: NDArray[np.integer] | None = None,
) -> TapVid:
    """TAP-Vid's metrics of one video, query-first: Doersch et al. 2022, section 4.

    ``made`` and ``true`` [T, N, 2] pixels of a frame of 256×256 (`TAP_SIZE`); ``made_visible`` and
    ``visible`` [T, N]. ``query`` [N]: frame in which each point is asked for; None: the first one
    in which it is visible. Only the frames **behind** a point's query count, and a point that is
    visible nowhere does not. Average Jaccard over 1, 2, 4, 8, 16 px: true positives are points that
    are visible, said to be, and nearer than the threshold; false positives those said to be visible
    that are hidden or farther; AJ = TP / (visible + FP). A number without anything to count is NaN.
    """
    made, true = np.asarray(made, np.float64), np.asarray(true, np.float64)
    said, seen = np.asarray(made_visible, bool), np.asarray(visible, bool)
    if made.shape != true.shape or said.shape != seen.shape or made.shape[:2] != seen.shape:
        raise ValueError(f"shapes differ: {made.shape}, {true.shape}, {said.shape}, {seen.shape}")
    start = np.argmax(seen, axis=0) if query is None else np.asarray(query)
    counted = (np.arange(len(seen))[:, None] > start[None]) & seen.any(0)
    squared = ((made - true) ** 2).sum(-1)
    right = _share((said == seen) & counted, counted)
    jaccard, near_share = {}, {}
    for threshold in TAP_THRESHOLDS:
        near = squared < threshold**2
        near_share[threshold] = _share(near & seen & counted, seen & counted)
        hits = (near & seen & said & counted).sum()
        wrong = ((~seen | ~near) & said & counted).sum()
        total = (seen & counted).sum() + wrong
        jaccard[threshold] = float(hits / total) if total else float("nan")
    return TapVid(
        average_jaccard=float(np.mean(list(jaccard.values()))),
        occlusion_accuracy=right,
        within=float(np.mean(list(near_share.values()))),
        jaccard=jaccard,
        points_within=near_share,
    )


def _share(part: Bool, whole: Bool) -> float:
    count = int(whole.sum())
    return float(part.sum() / count) if count else float("nan")


@dataclass(frozen=True)
class Quality:
    """What `quality` measures of a set of trajectories."""

    ade: float
    """Normalised; ``_px``: pixels of `frame_size`."""
    fde: float
    ade_px: float
    fde_px: float
    smoothness: float
    average_jaccard: float
    occlusion_accuracy: float
    frame_size: tuple[int, int]
    count: int


def quality(
    made: Float,
    true: Float,
    visible: Bool,
    *,
    made_visible: Bool | None = None,
    frame_size: tuple[int, int] = FRAME_SIZE,
) -> Quality:
    """All numbers of trajectories [M, T, N, 2] against the true ones, normalised.

    ADE, FDE and smoothness are taken an item and then averaged, as AJ and OA are a video: an item
    with many hidden points counts as much as one without. Items of which a number does not exist
    (nothing seen) are left out of that number. ``made_visible`` None: every point is said to be
    visible in every frame, since the model predicts positions alone; OA is then the share of
    visible points.
    """
    said = np.ones(np.asarray(visible).shape, bool) if made_visible is None else made_visible
    square = (TAP_SIZE, TAP_SIZE)
    rows = []
    for m, t, v, s in zip(made, true, visible, said, strict=True):
        tap = tap_vid(to_pixels(m, square), s, to_pixels(t, square), v)
        rows.append(
            (
                ade(m, t, v),
                fde(m, t, v),
                ade(m, t, v, frame_size),
                fde(m, t, v, frame_size),
                smoothness(m),
                tap.average_jaccard,
                tap.occlusion_accuracy,
            )
        )
    table = np.array(rows, np.float64).reshape(-1, 7)
    means = dict(zip(_MEASURED, map(_finite_mean, table.T), strict=True))
    return Quality(**means, frame_size=frame_size, count=len(table))


_MEASURED = ("ade", "fde", "ade_px", "fde_px", "smoothness", "average_jaccard",
             "occlusion_accuracy")  # fmt: skip


def _finite_mean(values: Float) -> float:
    kept = values[np.isfinite(values)]
    return float(kept.mean()) if len(kept) else float("nan")
