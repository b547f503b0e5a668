"""COCO run lengths."""

from __future__ import annotations

import json
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest

from motionkit.rle import decode_rle, encode_rle, pack_runs, read_runs, union_rle


def random_masks(seed: int, count: int = 40) -> list[np.ndarray]:
    """Masks of many sizes and fillings, empty and full ones among them."""
    rng = np.random.default_rng(seed)
    sizes = [(1, 1), (1, 7), (9, 1), *map(tuple, rng.integers(2, 50, (count - 3, 2)))]
    return [rng.random(size) < rng.choice([0, 0.02, 0.5, 0.98, 1]) for size in sizes]


def test_a_mask_comes_back() -> None:
    for mask in random_masks(1):
        rle = encode_rle(mask)
        assert rle["size"] == list(mask.shape)
        np.testing.assert_array_equal(decode_rle(rle), mask)


def test_text_is_the_one_pycocotools_writes() -> None:
    coco = pytest.importorskip("pycocotools.mask")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for mask in random_masks(2):
            theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
            assert encode_rle(mask)["counts"] == theirs


def test_union_is_the_union_of_the_pictures() -> None:
    rng = np.random.default_rng(3)
    for shares in rng.random((40, 3)) * 0.4:
        masks = [rng.random((11, 17)) < share for share in shares]
        union = union_rle([encode_rle(mask) for mask in masks])
        assert union == encode_rle(masks[0] | masks[1] | masks[2])


def test_union_without_a_pixel_is_none() -> None:
    empty = encode_rle(np.zeros((4, 5), bool))
    assert union_rle([empty, empty]) is None


def test_runs_of_no_length_are_joined() -> None:
    # Outside 2, inside 3, outside 0, inside 1: the object's four pixels are one run.
    loose = {"size": [2, 5], "counts": [2, 3, 0, 1, 4]}
    assert read_runs(union_rle([loose]) or {})[0].tolist() == [2, 4, 4]


def test_long_runs_and_signs_pack() -> None:
    runs = np.array([0, 2**26, 5, 1, 2**26, 31, 16, 15])
    height, width = 16384, int(runs.sum()) // 16384 + 1
    runs = np.append(runs, height * width - runs.sum())
    read, _, _ = read_runs({"size": [height, width], "counts": pack_runs(runs)})
    assert read.tolist() == runs.tolist()


@pytest.mark.parametrize(
    "rle",
    [
        {"size": [4, 4], "counts": "!!"},
        {"size": [4, 4], "counts": "é"},
        {"size": [4, 4], "counts": "o"},  # breaks off: more should follow
        {"size": [4, 4], "counts": "o" * 40 + "0"},  # a number of 200 bits
        {"size": [4, 4], "counts": "01"},  # fewer pixels
        {"size": [4, 4], "counts": "`0`0"},
        {"size": [4, 4], "counts": [20, -4]},
        {"size": [4, 4], "counts": [16.0]},
        {"size": [4, 4], "counts": [None]},
        {"size": [4, 4], "counts": [2**70]},
        {"size": [4, 4], "counts": None},
        {"size": [4, 4]},
        {"size": [4], "counts": [16]},
        {"size": "44", "counts": [16]},
        {"size": [-4, -4], "counts": [16]},
        {"size": [0, 4], "counts": ""},
        {"size": [10**9, 10**9], "counts": [10**18]},
        {"counts": [16]},
        {},
    ],
)
def test_damage_is_an_error(rle: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_runs(rle)


def test_a_declared_size_takes_no_memory() -> None:
    tracemalloc.start()
    with pytest.raises(ValueError, match="pixels"):
        decode_rle({"size": [16384, 16384], "counts": "00"})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


def test_masks_of_two_sizes_have_no_union() -> None:
    masks = [encode_rle(np.ones(size, bool)) for size in ((4, 5), (5, 4))]
    with pytest.raises(ValueError, match="sizes"):
        union_rle(masks)


def test_real_masks_come_back(real_data: Path) -> None:
    content = json.loads((real_data / "masks" / "sav_000001_manual.json").read_text())
    frames = [rle for frame in content["masklet"][:40] for rle in frame if rle]
    assert len(frames) > 50
    for rle in frames:
        mask = decode_rle(rle)
        assert encode_rle(mask) == {"size": rle["size"], "counts": rle["counts"]}
