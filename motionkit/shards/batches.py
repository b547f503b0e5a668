"""Samples and batches out of decoded row groups: views for one sample, padded arrays for many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionkit.errors import ShardError
from motionkit.keypoints import mirror_m2d
from motionkit.mirror import mirrored_text
from motionkit.shards.groups import Group
from motionkit.shards.mirror import mirror_points, mirror_rle
from motionkit.shards.schema import time_first

Sample = dict[str, Any]
Batch = dict[str, Any]


def sample_of(group: Group, row: int, columns: Sequence[str], *, mirrored: bool = False) -> Sample:
    """One sample, not padded. Arrays are views of the row group: copy what you keep or change.

    ``sample_id``, ``frames`` and ``mirrored``, and what ``columns`` ask for: ``m2d``
    [F, 18, 3] or None; ``captions`` and ``caption_sources``, lists of texts; ``tracks`` [T, N, 2]
    with ``visible`` [T, N], or None; ``masks``, a text or None for each frame, or None; a number
    or text for a plain column.
    """
    sample: Sample = {
        "sample_id": group.plain["sample_id"][row],
        "frames": int(group.plain["frames"][row]),
        "mirrored": mirrored,
    }
    for name in columns:
        if name == "tracks":
            sample["tracks"], sample["visible"] = _tracks(group, row, mirrored)
            continue
        if name in group.plain:
            value = group.plain[name][row]
            sample[name] = value.item() if isinstance(value, np.generic) else value
            continue
        column = group.lists[name]
        if name == "m2d":
            m2d = time_first(column.row(row)) if column.valid[row] else None
            sample["m2d"] = mirror_m2d(m2d) if mirrored and m2d is not None else m2d
        elif name == "masks":
            sample["masks"] = _masks(group, row, mirrored) if column.valid[row] else None
        else:
            texts = column.row(row).tolist()
            flip = mirrored and name == "captions"
            sample[name] = [mirrored_text(t) for t in texts] if flip else texts
    return sample


def _tracks(
    group: Group, row: int, mirrored: bool
) -> tuple[NDArray[np.float32] | None, NDArray[np.bool_] | None]:
    points, visible = group.lists["track_points"], group.lists["track_visible"]
    if not points.valid[row]:
        return None, None
    grid = int(group.plain["track_grid"][row]) ** 2
    found = points.row(row).reshape(-1, grid, 2)
    if mirrored:
        found = mirror_points(found, int(group.plain["width"][row]))
    return found, visible.row(row).astype(np.bool_, copy=False).reshape(-1, grid)


def _masks(group: Group, row: int, mirrored: bool) -> list[str | None]:
    masks: list[str | None] = group.lists["masks"].row(row).tolist()
    if not mirrored:
        return masks
    height, width = int(group.plain["height"][row]), int(group.plain["width"][row])
    try:
        return [None if m is None else mirror_rle(m, height, width) for m in masks]
    except ValueError as error:
        name = group.plain["sample_id"][row]
        raise ShardError(f"a mask of sample {name} is damaged: {error}") from error


def collate(samples: Sequence[Sample]) -> Batch:
    """A batch of B samples as padded numpy arrays.

    - ``sample_ids`` and ``lengths`` [B], frames; ``mirrored`` [B] bool
    - ``m2d`` [B, F, 18, 3] float32, F the longest; the padding is 0, with the picture's size in
      its 18th row, so that dividing by it stays harmless. 0 where a sample has none
    - ``tracks`` [B, T, N, 2] float32, ``visible`` [B, T, N] bool, ``track_lengths`` [B] (0: no
      tracks); padding is 0 and not visible
    - ``captions``, ``caption_sources``, ``masks``: a list of lists
    - plain columns: an array [B] of numbers, a list of texts (or of what holds a None)
    """
    batch: Batch = {
        "sample_ids": [s["sample_id"] for s in samples],
        "lengths": np.array([s["frames"] for s in samples], np.int64),
        "mirrored": np.array([s["mirrored"] for s in samples], np.bool_),
    }
    for name in samples[0]:
        if name in ("sample_id", "frames", "mirrored", "visible"):
            continue
        values = [s[name] for s in samples]
        if name == "m2d":
            batch[name] = _padded_m2d(values)
        elif name == "tracks":
            batch.update(_padded_tracks(values, [s["visible"] for s in samples]))
        elif all(isinstance(v, (int, float)) for v in values):
            batch[name] = np.array(values)
        else:
            batch[name] = values
    return batch


def _padded_m2d(clips: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32]:
    longest = max((len(c) for c in clips if c is not None), default=0)
    # In memory as on the disk, time last: whole runs are copied. What is returned is a view.
    out = np.zeros((len(clips), 18, 3, longest), np.float32)
    for i, clip in enumerate(clips):
        if clip is not None:
            out[i, :, :, : len(clip)] = clip.transpose(1, 2, 0)
            out[i, 17, :, len(clip) :] = clip[0, 17, :, None]
    return out.transpose(0, 3, 1, 2)


def _padded_tracks(
    points: Sequence[NDArray[np.float32] | None], visible: Sequence[NDArray[np.bool_] | None]
) -> Batch:
    shapes = [(0, 0) if p is None else p.shape[:2] for p in points]
    frames, count = max(s[0] for s in shapes), max(s[1] for s in shapes)
    out = np.zeros((len(points), frames, count, 2), np.float32)
    seen = np.zeros((len(points), frames, count), np.bool_)
    for i, (p, v) in enumerate(zip(points, visible, strict=True)):
        if p is not None and v is not None:
            out[i, : len(p), : p.shape[1]] = p
            seen[i, : len(v), : v.shape[1]] = v
    lengths = np.array([s[0] for s in shapes], np.int64)
    return {"tracks": out, "visible": seen, "track_lengths": lengths}
