"""Samples of kind "object", official splits, near-duplicate groups, terms of use."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from motionkit.duplicates.words import BITS, SPACING_S, STRONG, WORDS, pack
from motionkit.errors import ShardError, UsageError
from motionkit.file_hash import sha256_of
from motionkit.shards.build import build_shards
from motionkit.shards.reader import open_shards


def test_expressions_become_samples_beside_persons(tmp_path, make_tables, add_expressions):
    tables = add_expressions(make_tables())
    made = build_shards(tables, tmp_path / "s", min_s=2.0)
    assert sum(made.samples.values()) == 18 + 6
    shards = open_shards(made.path, verify=True)
    things = list(shards.samples(kind="object"))
    assert len(things) == 6 and len(list(shards.samples(kind="person"))) == 18
    truth = {row["clip_id"]: row for row in tables.tables["expressions"]}
    for thing in things:
        row = truth[thing.sample_id]
        assert thing.m2d.shape == (0, 18, 3)
        assert thing.masks == row["masks"] and thing.frames == 4
        assert thing.captions == [(row["text"], "expression")]
        assert (thing.fps, thing.t0_s, thing.t1_s, thing.first, thing.last) == (5, 0, 0.8, 0, 3)
        assert thing.split == ("test" if row["source_split"] == "valid_u" else "train")
        assert "keypoints" not in thing.lineage and "expressions" in thing.lineage
        has_tracks = any(t["clip_id"] == thing.clip_id for t in tables.tables["tracks"])
        assert (thing.tracks is not None) == has_tracks
        assert thing.tracks is None or thing.tracks.first == 3
    assert "expressions" not in next(shards.samples(kind="person")).lineage
    assert shards.manifest["totals"]["objects"] == 6
    assert shards.manifest["split_rule"]["official"]["groups"] == 6


def test_expressions_alone_are_enough(tmp_path, make_tables, add_expressions):
    tables = add_expressions(make_tables(videos=0))
    for table in ("keypoints", "captions", "tracks", "verdicts", "detections"):
        del tables.tables[table]
    made = build_shards(tables, tmp_path / "s")
    assert made.samples == {"train": 4, "val": 0, "test": 2}
    statistics = open_shards(made.path).manifest["statistics"]
    assert statistics["viewpoints"]["front"] is None
    assert statistics["words_per_caption"] == 4
    assert "– " in (made.path / "README.md").read_text()


def test_objects_left_out_are_counted(tmp_path, make_tables, add_expressions):
    tables = add_expressions(make_tables())
    first, second, third, fourth, *_ = tables.tables["expressions"]
    first["masks"] = None
    second["masks"] = [None] * 4
    third["masks"] = ["PPP1"] * 3
    fourth["text"] = " "
    made = build_shards(tables, tmp_path / "a")
    assert made.left_out == {"malformed-masks": 1, "no-caption": 1, "no-masks": 2}
    made = build_shards(tables, tmp_path / "b", require_masks=False, require_tracks=True)
    # of the expressions 0, 2 and 4 have tracks, 2 has malformed masks; 6 persons have none
    assert made.left_out == {"malformed-masks": 1, "no-caption": 1, "no-tracks": 6 + 2}
    thing = {s.clip_id: s for s in open_shards(made.path).samples(kind="object")}
    assert thing[first["clip_id"]].masks is None


def test_a_copy_of_the_data_set_adds_nothing(tmp_path, make_tables, add_expressions):
    tables = add_expressions(make_tables())
    once = build_shards(tables, tmp_path / "once")
    expressions = tables.tables["expressions"]
    expressions += [{**row, "item_id": "zz" + row["item_id"]} for row in expressions]
    twice = build_shards(tables, tmp_path / "twice")
    assert twice.samples == once.samples
    assert twice.left_out == {"duplicate-expression": 6}


def test_an_official_split_can_be_ignored(tmp_path, make_tables, add_expressions):
    tables = add_expressions(make_tables(videos=0), count=30)
    splits = {}
    for official in (True, False):
        made = build_shards(tables, tmp_path / str(official), official_splits=official)
        splits[official] = made.samples
    assert splits[True] == {"train": 20, "val": 0, "test": 10}
    assert splits[False]["val"] == 2


def group_all(of: set[str]):
    """A stand-in for the near-duplicate search: one group of the videos ``of``."""

    def find(videos):
        return {video: min(of) if video in of else video for video, _, _ in videos}

    return find


def with_hashes(tables):
    tables.tables["scans"] = [
        {"video_id": video["video_id"], "hash_times_s": np.zeros(2), "hashes": np.arange(2)}
        for video in tables.tables["videos"]
    ]
    return tables


def test_near_duplicates_share_a_group_and_a_split(tmp_path, make_tables):
    tables = with_hashes(make_tables(videos=20, clips=1))
    of = {row["video_id"] for row in tables.tables["videos"][:8]}
    made = build_shards(tables, tmp_path / "s", find_groups=group_all(of))
    shards = open_shards(made.path, verify=True)
    splits = {s.split for s in shards.samples() if s.video_id in of}
    assert len(splits) == 1
    assert {s.group_id for s in shards.samples() if s.video_id in of} == {min(of)}
    proof = shards.manifest["split_rule"]["groups"]
    assert (proof["videos"], proof["groups"], proof["largest_group"]) == (20, 13, 8)
    assert proof["sha256"] == sha256_of(made.path / "groups.csv")


def test_a_group_that_the_official_split_parts_goes_to_test(tmp_path, make_tables, add_expressions):
    tables = with_hashes(add_expressions(make_tables(), count=6))
    held_out, trained = tables.tables["expressions"][2], tables.tables["expressions"][0]
    person = tables.tables["videos"][0]["video_id"]
    of = {held_out["video_id"], trained["video_id"], person}
    made = build_shards(tables, tmp_path / "s", find_groups=group_all(of))
    shards = open_shards(made.path, verify=True)
    assert {s.split for s in shards.samples() if s.video_id in of} == {"test"}
    official = shards.manifest["split_rule"]["official"]
    assert (official["groups"], official["parted"]) == (5, 1)
    assert "1 of them stood on both sides" in (made.path / "README.md").read_text()


def test_the_written_check_gives_what_the_manifest_expects(tmp_path, make_tables, monkeypatch):
    duckdb = pytest.importorskip("duckdb")
    made = build_shards(make_tables(), tmp_path / "s")
    proof = open_shards(made.path).manifest["split_rule"]["groups"]
    monkeypatch.chdir(made.path)
    assert duckdb.sql(proof["check_sql"]).fetchall() == [(proof["check_expects"],)]


def test_verify_asks_for_the_proof(tmp_path, make_tables):
    path = build_shards(make_tables(), tmp_path / "s").path
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["split_rule"]["groups"]
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ShardError, match="no proof of the split"):
        open_shards(path, verify=True)


def test_a_group_in_two_splits_is_found_in_the_rows(tmp_path, make_tables):
    """Somebody copies a test video into the training files and makes all hashes fit."""
    path = build_shards(make_tables(), tmp_path / "s").path
    manifest = json.loads((path / "manifest.json").read_text())
    train, test = (
        next(s for s in manifest["shards"] if s["split"] == split) for split in ("train", "test")
    )
    leaked = pq.read_table(path / test["path"]).slice(0, 1)
    as_train = pa.array(["train"], leaked.schema.field("split").type)
    leaked = leaked.set_column(leaked.schema.get_field_index("split"), "split", as_train)
    table = pa.concat_tables([pq.read_table(path / train["path"]), leaked])
    pq.write_table(table, path / train["path"])
    train["rows"] += 1
    train["bytes"] = (path / train["path"]).stat().st_size
    train["sha256"] = sha256_of(path / train["path"])
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ShardError, match="a group is in two splits"):
        open_shards(path, verify=True)


@pytest.mark.parametrize("damage", ["row", "hash"])
def test_verify_reads_groups_from_the_rows(tmp_path, make_tables, damage):
    path = build_shards(make_tables(), tmp_path / "s").path
    manifest = json.loads((path / "manifest.json").read_text())
    rule = manifest["split_rule"]["groups"]
    text = (path / "groups.csv").read_text()
    other = text.replace(",train,", ",test,", 1)
    (path / "groups.csv").write_text(other)
    match = "not what the manifest says"
    if damage == "row":
        rule["sha256"] = sha256_of(path / "groups.csv")
        (path / "manifest.json").write_text(json.dumps(manifest))
        match = "does not list"
    with pytest.raises(ShardError, match=match):
        open_shards(path, verify=True)


def test_only_what_may_be_used_commercially(tmp_path, make_tables, add_expressions):
    tables = add_expressions(make_tables())  # three videos are CC BY 4.0, three say nothing
    backends = ["mediapipe", "yolo11", "somebody"]
    for row, backend in zip(tables.tables["detections"][1::2], backends, strict=True):
        row["backend"] = backend
    made = build_shards(tables, tmp_path / "s", commercial_only=True)
    assert made.left_out == {
        "licence-unknown": 9 + 6,
        "model-not-commercial": 3,
        "model-unknown": 3,
    }
    shards = open_shards(made.path)
    assert {s.licence for s in shards.samples()} == {"CC BY 4.0"}
    assert shards.manifest["options"]["commercial_only"] is True
    tables.tables["videos"] = [
        {**row, "licence": "CC BY-NC 4.0"} for row in tables.tables["videos"]
    ]
    with pytest.raises(UsageError, match="licence-not-commercial"):
        build_shards(tables, tmp_path / "t", commercial_only=True)


def test_the_search_itself_finds_the_copy(tmp_path, make_tables):
    tables = make_tables(videos=30, clips=1)
    rng = np.random.default_rng(0)
    tables.tables["scans"] = [
        {
            "video_id": row["video_id"],
            "hash_times_s": np.arange(40) * SPACING_S,
            "hashes": pack(rng.random((40, WORDS, BITS)) < 0.5, np.full((40, WORDS), STRONG)),
        }
        for row in tables.tables["videos"]
    ]
    first, copy = tables.tables["scans"][:2]
    copy["hashes"] = first["hashes"].copy()
    made = build_shards(tables, tmp_path / "s")
    pair = {first["video_id"], copy["video_id"]}
    found = [s for s in open_shards(made.path, verify=True).samples() if s.video_id in pair]
    assert len({s.group_id for s in found}) == len({s.split for s in found}) == 1
    assert made.groups == 29
