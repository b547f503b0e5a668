from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from motionkit.errors import UsageError
from motionkit.records import CONFIDENCE_STEP, PIXEL_STEP
from motionkit.shards import write as write_module
from motionkit.shards.build import build_shards
from motionkit.shards.reader import open_shards
from motionkit.shards.sources import public_source


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_same_rows_in_any_order_give_the_same_bytes(tmp_path, make_tables):
    first = build_shards(make_tables(), tmp_path / "a", rows_per_shard=4)
    shuffled = make_tables()
    shuffled.order = 7
    second = build_shards(shuffled, tmp_path / "b", rows_per_shard=4)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert first.manifest_hash == second.manifest_hash == open_shards(first.path).manifest_hash
    assert first.samples == {"train": 12, "val": 3, "test": 3}
    files = open_shards(first.path).files("train")
    assert [f.name for f in files] == [
        f"train-{i:05d}-of-{len(files):05d}.parquet" for i in range(len(files))
    ]
    assert len(files) >= 3 and max(pq.read_metadata(f).num_rows for f in files) <= 4


def test_rows_are_joined_by_id(tmp_path, make_tables):
    tables = make_tables()
    tables.order = 3
    shards = open_shards(build_shards(tables, tmp_path / "s").path, verify=True)
    truth = {row["clip_id"]: row for row in tables.tables["keypoints"]}
    tracks = {row["clip_id"]: row for row in tables.tables["tracks"]}
    captions = {row["clip_id"]: row["captions"][0]["text"] for row in tables.tables["captions"]}
    seen = list(shards.samples())
    assert sorted(s.clip_id for s in seen) == sorted(truth)
    for sample in seen:
        assert sample.m2d.shape == (60, 18, 3)
        stored = truth[sample.clip_id]["m2d"].reshape(-1, 18, 3)
        assert np.abs(sample.m2d - stored)[..., :2].max() <= PIXEL_STEP / 2
        assert np.abs(sample.m2d - stored)[..., 2].max() <= CONFIDENCE_STEP / 2
        assert not (sample.m2d[..., :2] % PIXEL_STEP).any()
        assert not (sample.m2d[..., 2] % CONFIDENCE_STEP).any()
        assert (sample.kind, sample.frames, sample.masks) == ("person", 60, None)
        assert sample.captions == [(captions[sample.clip_id], "sidecar")]
        assert (sample.tracks is not None) == (sample.clip_id in tracks)
        if sample.tracks is not None:
            assert sample.tracks.points.shape == (60, 4, 2)
            assert sample.tracks.first == 0
            np.testing.assert_array_equal(
                sample.tracks.visible.ravel(), tracks[sample.clip_id]["visible"]
            )
        assert sample.lineage["keypoints"]["backend"] == "mediapipe"
        assert sample.first == int(sample.clip_id.split("-")[1])


def test_no_video_crosses_splits_and_the_manifest_says_so(tmp_path, make_tables):
    shards = open_shards(build_shards(make_tables(videos=130, clips=2), tmp_path / "s").path)
    homes: dict[str, set[str]] = {}
    for sample in shards.samples(tracks=False):
        homes.setdefault(sample.video_id, set()).add(sample.split)
    assert len(homes) == 130 and all(len(home) == 1 for home in homes.values())
    assert shards.manifest["split_rule"]["rule"] == "hash"
    assert shards.manifest["split_rule"]["groups"]["crossing"] == 0
    with (tmp_path / "s/groups.csv").open() as stream:
        listed = {row["video_id"]: row["split"] for row in csv.DictReader(stream)}
    assert listed == {video: home.pop() for video, home in homes.items()}


def test_plain_tools_read_the_files(tmp_path, make_tables):
    path = build_shards(make_tables(), tmp_path / "s").path
    count, floats, words = duckdb.sql(
        f"SELECT count(*), max(len(m2d)), max(captions[1].text) FROM '{path}/data/*.parquet'"
    ).fetchall()[0]
    assert (count, floats, words) == (18, 60 * 54, "walks 5 2")
    table = pq.read_table(path / "data/test-00000-of-00001.parquet")
    assert table.num_rows == 3
    assert table.schema.metadata[b"motionkit.shards.version"] == b"2"
    assert table.schema.field("m2d").metadata[b"shape"] == b"18,3,frames"


def test_floats_are_byte_split_and_row_groups_bounded(tmp_path, make_tables, monkeypatch):
    monkeypatch.setattr(write_module, "ROW_GROUP", 5)
    path = build_shards(make_tables(videos=20), tmp_path / "s").path
    meta = pq.read_metadata(path / "data/train-00000-of-00001.parquet")
    assert meta.num_row_groups == -(-meta.num_rows // 5) > 1
    columns = {
        meta.row_group(0).column(i).path_in_schema: meta.row_group(0).column(i)
        for i in range(meta.num_columns)
    }
    assert "BYTE_STREAM_SPLIT" in columns["m2d.list.element"].encodings
    assert columns["m2d.list.element"].compression == "ZSTD"
    assert len(list(open_shards(path).samples())) == 60


def test_clips_left_out_are_counted_by_reason(tmp_path, make_tables):
    tables = make_tables()
    tables.tables["captions"][0]["captions"] = []
    tables.tables["captions"].pop()
    tables.tables["keypoints"][4]["m2d"] = tables.tables["keypoints"][4]["m2d"].copy()
    tables.tables["keypoints"][4]["m2d"][7] = np.nan
    tables.tables["keypoints"][5]["frames"] = 59
    tables.tables["tracks"][2]["points"] = tables.tables["tracks"][2]["points"][:-1]  # clip 3
    tables.tables["verdicts"][2]["candidates"].pop(0)
    expected = {
        "malformed-keypoints": 1,
        "malformed-tracks": 1,
        "no-caption": 2,
        "no-verdict": 1,
        "non-finite-keypoints": 1,
    }
    summary = build_shards(tables, tmp_path / "s")
    assert summary.left_out == expected
    assert sum(summary.samples.values()) == 18 - 6
    assert open_shards(summary.path).manifest["left_out"] == expected
    card = (tmp_path / "s/README.md").read_text()
    assert "| non-finite-keypoints | 1 |" in card


def test_clips_outside_the_length_rule_are_left_out(tmp_path, make_tables):
    tables = make_tables(videos=4, clips=3)
    first, second = tables.tables["verdicts"][0]["candidates"][:2]
    first["t1_s"] = first["t0_s"] + 1.5
    second["t1_s"] = second["t0_s"] + 10.5
    for row in tables.tables["verdicts"][1:]:
        for candidate in row["candidates"]:
            candidate["t1_s"] = candidate["t0_s"] + 3
    tables.tables["verdicts"][0]["candidates"][2]["t1_s"] = (
        tables.tables["verdicts"][0]["candidates"][2]["t0_s"] + 2.0
    )
    made = build_shards(tables, tmp_path / "set", min_s=2.0, max_s=10.0)
    assert made.left_out == {"too-short": 1, "too-long": 1}
    assert sum(made.samples.values()) == 10


def test_tracks_can_be_required_and_captions_not(tmp_path, make_tables):
    tables = make_tables()
    del tables.tables["captions"]
    with pytest.raises(UsageError, match="no captions"):
        build_shards(tables, tmp_path / "s")
    summary = build_shards(tables, tmp_path / "s", require_captions=False, require_tracks=True)
    assert sum(summary.samples.values()) == 12
    assert summary.left_out == {"no-tracks": 6}


def test_nothing_to_write_is_a_usage_error(tmp_path, make_tables):
    tables = make_tables()
    tables.tables["captions"].clear()
    with pytest.raises(UsageError, match="no-caption"):
        build_shards(tables, tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_an_error_while_building_leaves_the_old_set(tmp_path, make_tables, monkeypatch):
    build_shards(make_tables(), tmp_path / "s")
    before = content(tmp_path / "s")

    def fail(*_: object) -> str:
        raise OSError("disk full")

    monkeypatch.setattr("motionkit.shards.build.data_card", fail)
    with pytest.raises(OSError, match="disk full"):
        build_shards(make_tables(videos=9), tmp_path / "s")
    assert content(tmp_path / "s") == before
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize("at", ["data_card", "publish_folder"])
def test_a_killed_build_leaves_the_old_set_and_the_next_one_clears_up(tmp_path, make_tables, at):
    build_shards(make_tables(), tmp_path / "s")
    before = content(tmp_path / "s")
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from motionkit.shards import build\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from conftest import make_tables\n"
        f"build.{at} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"build.build_shards(make_tables(videos=9), Path({str(tmp_path / 's')!r}))\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], env=dict(os.environ))
    assert killed.returncode == -9
    assert content(tmp_path / "s") == before
    assert len(list(tmp_path.iterdir())) == 2
    build_shards(make_tables(videos=9), tmp_path / "s")
    assert [p.name for p in tmp_path.iterdir()] == ["s"]
    assert sum(1 for _ in open_shards(tmp_path / "s", verify=True).samples()) == 27


def test_a_replacement_killed_between_two_renames_is_undone(tmp_path, make_tables):
    build_shards(make_tables(), tmp_path / "s")
    before = content(tmp_path / "s")
    (tmp_path / "s").rename(tmp_path / ".s.replaced-1")
    tables = make_tables()
    tables.tables["captions"].clear()
    with pytest.raises(UsageError):
        build_shards(tables, tmp_path / "s")
    assert content(tmp_path / "s") == before


def test_other_peoples_folder_is_not_replaced(tmp_path, make_tables):
    (tmp_path / "s").mkdir()
    (tmp_path / "s/thesis.txt").write_text("three years of work")
    with pytest.raises(Exception, match="no shard set"):
        build_shards(make_tables(), tmp_path / "s")
    assert (tmp_path / "s/thesis.txt").read_text() == "three years of work"


def test_recipe_and_fingerprints_are_in_the_manifest(tmp_path, make_tables):
    tables = make_tables()
    tables.current = lambda table: {
        "stage": f"makes {table}",
        "version": 3,
        "identity": {"limit": 0.5},
        "parameters": {"sources": ["/private/films"]},
    }
    build_shards(tables, tmp_path / "s", recipe={"clips": {"fps": 30}})
    sample = next(open_shards(tmp_path / "s").samples())
    assert sample.lineage["verdicts"] == {
        "fingerprint": tables.fingerprint("verdicts"),
        "stage": "makes verdicts",
        "version": 3,
    }
    manifest = json.loads((tmp_path / "s/manifest.json").read_text())
    assert manifest["recipe"] == {"clips": {"fps": 30}}
    assert manifest["lineage"]["keypoints"]["fingerprint"] == tables.fingerprint("keypoints")
    assert manifest["lineage"]["keypoints"]["identity"] == {"limit": 0.5}
    assert manifest["totals"]["hours"] == pytest.approx(18 * 2 / 3600)
    assert "/private" not in json.dumps(manifest)


def test_two_rows_for_one_clip_are_refused(tmp_path, make_tables):
    tables = make_tables()
    tables.tables["keypoints"].append(tables.tables["keypoints"][0])
    with pytest.raises(Exception, match="two rows describe"):
        build_shards(tables, tmp_path / "s")


@pytest.mark.parametrize(
    ("source", "path", "public"),
    [
        ("https://example.org/v", "/cache/v.mp4", "https://example.org/v"),
        ("/home/me/films", "/home/me/films/a/b.mp4", "a/b.mp4"),
        ("/home/me/films/b.mp4", "/home/me/films/b.mp4", "b.mp4"),
        ("films", "/home/me/films/b.mp4", "b.mp4"),
        (None, "/home/me/b.mp4", "b.mp4"),
    ],
)
def test_public_source_hides_the_makers_folders(source, path, public):
    assert public_source(source, path) == public


def test_the_data_card_neutralises_foreign_text(tmp_path, make_tables):
    tables = make_tables()
    tables.tables["videos"][0]["licence"] = "<script>alert(1)</script> | [x](javascript:y)\n# Hi"
    build_shards(tables, tmp_path / "s")
    card = (tmp_path / "s/README.md").read_text()
    assert "<script" not in card and "\n# Hi" not in card and "[x](" not in card
