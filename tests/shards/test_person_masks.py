"""Masks of persons in the shards: joined by clip, loaded, mirrored, left out, and their models."""

from __future__ import annotations

import numpy as np
import pytest

from motionkit.errors import InputError
from motionkit.rle import decode_rle, encode_rle
from motionkit.shards.build import build_shards
from motionkit.shards.from_samples import checked_row
from motionkit.shards.loader import ShardDataset
from motionkit.shards.reader import open_shards
from tests.shards.shard_files import row

FRAMES, WIDTH, HEIGHT = 60, 640, 360


def outline(seed):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[100:300, 20 + seed : 120 + seed] = True
    return mask


@pytest.fixture
def tables(make_tables):
    """Every second clip has masks, in every second frame; one clip's do not fit."""
    found = make_tables()
    made = []
    for seed, clip in enumerate(found.tables["keypoints"]):
        if seed % 2:
            continue
        masks = [encode_rle(outline(seed))["counts"], None] * (FRAMES // 2)
        shape = {k: clip[k] for k in ("video_id", "clip_id", "width", "height", "frames")}
        made.append({**shape, "masks": masks, "backend": "sam2:facebook/sam2.1-hiera-tiny"})
    made[-1]["masks"] = made[-1]["masks"][:-1]
    found.tables["masks"] = made
    return found


def test_masks_go_with_their_clip(tmp_path, tables):
    made = build_shards(tables, tmp_path / "s", min_s=2.0)
    assert made.left_out == {"malformed-masks": 1}
    shards = open_shards(made.path, verify=True)
    truth = {r["clip_id"]: r["masks"] for r in tables.tables["masks"]}
    samples = list(shards.samples())
    assert len(samples) == 17
    for sample in samples:
        assert sample.masks == truth.get(sample.sample_id)
        masks = sample.lineage["masks"]  # what made the table, and the model that made these
        assert ("backend" in masks) == (sample.sample_id in truth)
    assert "sam2:facebook/sam2.1-hiera-tiny" in (made.path / "README.md").read_text()


def test_masks_can_be_left_out(tmp_path, tables):
    made = build_shards(tables, tmp_path / "s", min_s=2.0, person_masks=False)
    assert not made.left_out
    for sample in open_shards(made.path).samples():
        assert sample.masks is None and "masks" not in sample.lineage


def test_loader_gives_them_with_the_keypoints_and_mirrored(tmp_path, tables):
    made = build_shards(tables, tmp_path / "s", min_s=2.0)
    split = max(made.samples, key=lambda name: made.samples[name])
    data = ShardDataset(made.path, split, columns=("m2d", "masks"))
    truth = {r["clip_id"]: r["masks"] for r in tables.tables["masks"]}
    with_masks = 0
    for number in range(len(data)):
        plain, flipped = data.sample(number), data.sample(number, mirrored=True)
        expected = truth.get(plain["sample_id"])
        assert plain["masks"] == expected and plain["m2d"].shape == (FRAMES, 18, 3)
        if expected is None:
            assert flipped["masks"] is None
            continue
        with_masks += 1
        first = decode_rle({"size": [HEIGHT, WIDTH], "counts": plain["masks"][0]})
        mirrored = decode_rle({"size": [HEIGHT, WIDTH], "counts": flipped["masks"][0]})
        assert np.array_equal(mirrored, first[:, ::-1]) and flipped["masks"][1] is None
    assert with_masks


def test_a_model_of_masks_or_of_tracks_from_masks_counts_as_one(tmp_path, tables):
    for video in tables.tables["videos"]:
        video["licence"] = "CC BY 4.0"
    free = build_shards(tables, tmp_path / "a", min_s=2.0, commercial_only=True)
    assert sum(free.samples.values()) == 17
    for masks in tables.tables["masks"]:
        masks["backend"] = "yolo-seg:yolo11x-seg"
    some = build_shards(tables, tmp_path / "b", min_s=2.0, commercial_only=True)
    assert some.left_out == {"malformed-masks": 1, "model-not-commercial": 8}
    none = build_shards(tables, tmp_path / "c", min_s=2.0, commercial_only=True, person_masks=False)
    assert sum(none.samples.values()) == 18
    for tracks in tables.tables["tracks"]:  # the points lie where such a mask said
        tracks["mask_source"] = "yolo-seg"
    last = build_shards(tables, tmp_path / "d", min_s=2.0, commercial_only=True, person_masks=False)
    assert last.left_out == {"model-not-commercial": len(tables.tables["tracks"])}


def test_other_masks_give_another_content(tmp_path, tables):
    first = build_shards(tables, tmp_path / "s", min_s=2.0)
    again = build_shards(tables, tmp_path / "s", min_s=2.0)
    assert again.reused == again.shards
    tables.tables["masks"][0]["masks"][0] = encode_rle(outline(77))["counts"]
    other = build_shards(tables, tmp_path / "s", min_s=2.0)
    assert other.reused < other.shards
    assert first.samples == other.samples


def test_imported_persons_keep_their_masks():
    counts = encode_rle(outline(3))["counts"]
    frames = row(1)["frames"]
    kept = checked_row(row(1, masks=[counts] * frames))
    assert kept["masks"] == [counts] * frames
    assert checked_row(row(1))["masks"] is None
    with pytest.raises(InputError, match="masks"):
        checked_row(row(1, masks=[counts]))
