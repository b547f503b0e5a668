from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import pyarrow.parquet as pq
import pytest

from motionkit.errors import ShardError
from motionkit.shards.build import build_shards
from motionkit.shards.reader import open_shards


@pytest.fixture
def shards(tmp_path, make_tables):
    return build_shards(make_tables(), tmp_path / "s").path


def edit(path, **changes):
    manifest = json.loads((path / "manifest.json").read_text())
    manifest.update(changes)
    (path / "manifest.json").write_text(json.dumps(manifest))


def test_counts_come_from_the_manifest(shards):
    opened = open_shards(shards)
    assert opened.count() == 18
    assert opened.count("test") == len(list(opened.samples("test"))) == 3
    assert {s.split for s in opened.samples("val")} == {"val"}


def test_without_tracks_the_columns_stay_on_the_disk(shards):
    assert all(s.tracks is None for s in open_shards(shards).samples(tracks=False))


def test_samples_of_some_videos(shards):
    opened = open_shards(shards)
    everything = list(opened.samples("train"))
    chosen = {everything[0].video_id, everything[-1].video_id}
    found = [s.sample_id for s in opened.samples("train", videos=chosen)]
    assert found == [s.sample_id for s in everything if s.video_id in chosen]
    assert 0 < len(found) < len(everything)
    assert list(opened.samples("train", videos=set())) == []


def test_tracked_videos_are_counted_by_grid_and_kind(shards):
    opened = open_shards(shards)
    tracked = [s for s in opened.samples() if s.tracks is not None]
    grid = tracked[0].tracks.grid
    expected = Counter(s.video_id for s in tracked if s.tracks.grid == grid)
    assert opened.tracked_videos(grid=grid) == expected
    assert opened.tracked_videos(grid=grid + 1) == Counter()
    kinds = [opened.tracked_videos(grid=grid, kind=kind) for kind in ("person", "object")]
    assert kinds[0] + kinds[1] == expected


def test_a_folder_without_manifest_is_refused(tmp_path):
    with pytest.raises(ShardError, match="no manifest") as caught:
        open_shards(tmp_path)
    assert "build-shards" in caught.value.hint


def test_another_version_is_refused_with_the_way_out(shards):
    edit(shards, version=1)
    with pytest.raises(ShardError, match="version 1; this motionkit reads version 2") as caught:
        open_shards(shards)
    assert "build-shards" in caught.value.hint


def test_a_file_of_another_version_is_refused(shards):
    file = shards / "data/test-00000-of-00001.parquet"
    table = pq.read_table(file)
    pq.write_table(table.replace_schema_metadata({b"motionkit.shards.version": b"9"}), file)
    with pytest.raises(ShardError, match="version '9'"):
        list(open_shards(shards).samples("test"))


@pytest.mark.parametrize("damage", ["{", '{"format": "motionkit-shards"}', "[]", '"x"'])
def test_a_damaged_manifest_is_refused(shards, damage):
    (shards / "manifest.json").write_text(damage)
    with pytest.raises(ShardError, match="damaged"):
        open_shards(shards)


def test_a_manifest_cannot_name_files_outside_the_set(shards):
    shard = {"path": "../x.parquet", "split": "train", "rows": 1, "bytes": 1, "sha256": ""}
    edit(shards, shards=[shard])
    with pytest.raises(ShardError, match="outside the set"):
        open_shards(shards)


def test_verify_finds_a_changed_byte(shards):
    file = shards / "data/test-00000-of-00001.parquet"
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)
    open_shards(shards)
    with pytest.raises(ShardError, match="SHA-256"):
        open_shards(shards, verify=True)


def test_verify_finds_a_missing_file(shards):
    (shards / "data/test-00000-of-00001.parquet").unlink()
    with pytest.raises(ShardError, match="missing"):
        open_shards(shards, verify=True)
    with pytest.raises(ShardError, match="cannot be read"):
        list(open_shards(shards).samples("test"))


def test_an_unknown_split_is_refused(shards):
    with pytest.raises(ShardError, match="'dev'"):
        open_shards(shards).count("dev")


def test_the_reader_needs_pyarrow_and_numpy_alone():
    code = (
        "import sys, motionkit.shards.reader\n"
        "heavy = {'duckdb', 'decord', 'torch', 'mediapipe', 'cv2', 'av'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
