"""Points and masks of the mirrored video."""

from __future__ import annotations

import numpy as np
import pytest

from motionkit.rle import encode_rle
from motionkit.shards.mirror import mirror_points, mirror_rle


def masks():
    rng = np.random.default_rng(0)
    yield np.zeros((3, 4), bool)
    yield np.ones((3, 4), bool)
    yield np.ones((1, 1), bool)
    for height, width in ((1, 7), (7, 1), (5, 8), (240, 320)):
        for share in (0.02, 0.5, 0.98):
            yield rng.random((height, width)) < share
    blob = np.zeros((240, 320), bool)
    blob[20:200, 50:310] = True
    yield blob


@pytest.mark.parametrize("mask", list(masks()), ids=lambda m: f"{m.shape}-{m.sum()}")
def test_a_mirrored_mask_is_the_mask_of_the_mirrored_picture(mask):
    text = encode_rle(mask)["counts"]
    mirrored = mirror_rle(text, *mask.shape)
    assert mirrored == encode_rle(mask[:, ::-1])["counts"]
    assert mirror_rle(mirrored, *mask.shape) == text


@pytest.mark.parametrize("counts", ["1", "5", encode_rle(np.eye(9, dtype=bool))["counts"]])
def test_runs_that_do_not_fill_the_mask_are_refused(counts):
    with pytest.raises(ValueError, match="runs of"):
        mirror_rle(counts, 3, 4)


def test_points_swap_columns():
    points = np.array([[[0, 5], [639, 7]]], np.float32)
    assert mirror_points(points, 640).tolist() == [[[639, 5], [0, 7]]]
    assert np.array_equal(mirror_points(mirror_points(points, 640), 640), points)
