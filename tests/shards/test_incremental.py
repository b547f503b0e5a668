"""What is rewritten when a set is built over an older one, and how large files get."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from motionkit.errors import UsageError
from motionkit.shards import write as write_module
from motionkit.shards.build import build_shards
from motionkit.shards.reader import open_shards
from motionkit.shards.write import parse_size


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def inodes(folder: Path) -> set[int]:
    return {p.stat().st_ino for p in (folder / "data").iterdir()}


@pytest.fixture
def many(make_tables):
    """120 videos, so that the split is by fixed places."""
    return make_tables(videos=120, clips=2, frames=10)


def test_a_rebuild_takes_every_shard_over(tmp_path, many):
    first = build_shards(many, tmp_path / "s", rows_per_shard=20)
    before, files = content(tmp_path / "s"), inodes(tmp_path / "s")
    again = build_shards(many, tmp_path / "s", rows_per_shard=20)
    assert first.reused == 0 and again.reused == again.shards == first.shards >= 12
    assert content(tmp_path / "s") == before
    assert inodes(tmp_path / "s") == files


def test_an_added_video_rewrites_few_shards_and_gives_the_bytes_of_a_fresh_build(
    tmp_path, many, make_tables
):
    build_shards(many, tmp_path / "s", rows_per_shard=20)
    more = make_tables(videos=121, clips=2, frames=10)
    made = build_shards(more, tmp_path / "s", rows_per_shard=20)
    assert made.shards - 4 <= made.reused < made.shards
    build_shards(more, tmp_path / "fresh", rows_per_shard=20)
    assert content(tmp_path / "s") == content(tmp_path / "fresh")
    open_shards(tmp_path / "s", verify=True)


def changed_value(tables):
    tables.tables["keypoints"][0]["m2d"] = tables.tables["keypoints"][0]["m2d"] + np.float32(1)


def changed_caption(tables):
    tables.tables["captions"][0]["captions"][0]["text"] = "somebody jumps"


def changed_tracks(tables):
    tables.tables["tracks"][0]["visible"] = ~tables.tables["tracks"][0]["visible"]


def changed_licence(tables):
    tables.tables["videos"][0]["licence"] = "CC0"


def changed_span(tables):
    tables.tables["verdicts"][0]["candidates"][0]["t1_s"] += 0.5


def changed_backend(tables):
    tables.tables["detections"][0]["backend"] = "vitpose"


@pytest.mark.parametrize(
    "change",
    [
        changed_value,
        changed_caption,
        changed_tracks,
        changed_licence,
        changed_span,
        changed_backend,
    ],
)
def test_whatever_changes_in_a_clip_rewrites_its_shard(tmp_path, many, change):
    first = build_shards(many, tmp_path / "s", rows_per_shard=20)
    other = copy.deepcopy(many)
    change(other)
    made = build_shards(other, tmp_path / "s", rows_per_shard=20)
    # a licence or a backend may touch both clips of a video, and they may lie in two shards
    assert first.shards - 2 <= made.reused < first.shards
    build_shards(other, tmp_path / "fresh", rows_per_shard=20)
    assert content(tmp_path / "s") == content(tmp_path / "fresh")


def test_other_fingerprints_and_options_rewrite_everything(tmp_path, many, monkeypatch):
    build_shards(many, tmp_path / "s", rows_per_shard=20)
    assert build_shards(many, tmp_path / "s", rows_per_shard=20, max_bytes=10**7).reused == 0
    build_shards(many, tmp_path / "s", rows_per_shard=20)
    plain = many.fingerprint
    monkeypatch.setattr(many, "fingerprint", lambda table: plain(table)[::-1])
    assert build_shards(many, tmp_path / "s", rows_per_shard=20).reused == 0


@pytest.mark.parametrize("damage", ["flip", "gone", "manifest", "outside"])
def test_a_damaged_old_set_is_written_anew(tmp_path, many, damage):
    build_shards(many, tmp_path / "s", rows_per_shard=20)
    before = content(tmp_path / "s")
    manifest = json.loads(before["manifest.json"])
    first = tmp_path / "s" / manifest["shards"][0]["path"]
    if damage == "flip":
        raw = bytearray(first.read_bytes())
        raw[100] ^= 1
        first.write_bytes(raw)
    elif damage == "gone":
        first.unlink()
    elif damage == "manifest":
        (tmp_path / "s/manifest.json").write_text("{")
    else:
        manifest["shards"][0]["path"] = "../../../etc/passwd"
        (tmp_path / "s/manifest.json").write_text(json.dumps(manifest))
    made = build_shards(many, tmp_path / "s", rows_per_shard=20)
    assert made.reused == (0 if damage == "manifest" else made.shards - 1)
    assert content(tmp_path / "s") == before


def test_without_hard_links_files_are_copied(tmp_path, many, monkeypatch):
    build_shards(many, tmp_path / "s", rows_per_shard=20)
    before = content(tmp_path / "s")

    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    made = build_shards(many, tmp_path / "s", rows_per_shard=20)
    assert made.reused == made.shards
    assert content(tmp_path / "s") == before


def test_files_stay_within_the_limit_of_bytes_and_are_cut_at_row_groups(
    tmp_path, many, monkeypatch
):
    monkeypatch.setattr(write_module, "ROW_GROUP", 4)
    whole = build_shards(many, tmp_path / "whole")
    limit = 100_000
    made = build_shards(many, tmp_path / "cut", max_bytes=limit)
    assert made.shards > whole.shards
    shards = open_shards(tmp_path / "cut", verify=True)
    sizes = [shard["bytes"] for shard in shards.manifest["shards"]]
    assert max(sizes) <= limit and max(sizes) > 0.6 * limit
    for file in shards.files("train")[:-1]:
        assert pq.read_metadata(file).num_rows % 4 == 0
    assert [s.sample_id for s in shards.samples()] == [
        s.sample_id for s in open_shards(whole.path).samples()
    ]
    again = build_shards(many, tmp_path / "cut", max_bytes=limit)
    assert again.reused == again.shards == made.shards
    assert again.manifest_hash == made.manifest_hash


def test_a_file_has_at_least_one_row_group(tmp_path, make_tables, monkeypatch):
    monkeypatch.setattr(write_module, "ROW_GROUP", 4)
    made = build_shards(make_tables(videos=8), tmp_path / "s", max_bytes=1)
    rows = [shard["rows"] for shard in open_shards(made.path).manifest["shards"]]
    assert sum(rows) == 24 and max(rows) == 4


@pytest.mark.parametrize(
    ("text", "size"),
    [("256MB", 256_000_000), ("64 MiB", 64 << 20), ("1.5gb", 1_500_000_000), ("9", 9), ("", None)],
)
def test_sizes_are_read(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["-1MB", "big", "0", "1 TBB", "0.1b"])
def test_other_sizes_are_refused(text):
    with pytest.raises(UsageError, match="no size of a file"):
        parse_size(text)


def test_clips_that_were_not_selected_are_counted(tmp_path, many):
    wanted = {row["clip_id"] for row in many.tables["keypoints"][:50]}
    made = build_shards(many, tmp_path / "s", wanted=wanted, where="camera < 1")
    assert sum(made.samples.values()) == 50
    assert made.left_out == {"not-selected": 190}
    manifest = open_shards(made.path).manifest
    assert manifest["options"]["where"] == "camera < 1"
    assert {s.sample_id for s in open_shards(made.path).samples()} == wanted
