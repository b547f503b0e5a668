"""Release packs: what is handed on, what is not, and that a pack is a shard set too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from motionkit.errors import ShardError, UsageError
from motionkit.exchange.pack import open_pack, public_address, public_text, videos_of
from motionkit.exchange.release import release
from motionkit.shards.reader import open_shards
from tests.exchange.sets import all_rows, assert_same, bytes_of
from tests.exchange.worlds import film_file, make_shards, make_workspace, video_row

PRIVATE = "/home/alice/private films"


@pytest.fixture
def world(tmp_path: Path) -> dict[str, Any]:
    """Three videos: one with an address, one with a password in it, one of a local folder."""
    films = tmp_path / "alices-films"
    videos = [
        video_row(
            film_file(films / "a.mp4", 1), page_url="https://example.org/watch?v=1",
            platform="youtube", platform_id="1", uploader="Ann", licence="CC BY 4.0",
            downloaded="2026-11-01", source="https://example.org/watch?v=1",
        ),
        video_row(film_file(films / "b.mp4", 2), page_url="https://bob:secret@example.org/b.mp4"),
        video_row(film_file(films / "deep" / "c.mp4", 3), source=str(films)),
    ]  # fmt: skip
    workspace = make_workspace(tmp_path / "ws", videos)
    shards = make_shards(tmp_path / "shards", videos, PRIVATE)
    return {"videos": videos, "workspace": workspace, "shards": shards, "out": tmp_path / "pack"}


def make(world: dict[str, Any], **options: Any) -> Any:
    return release(world["shards"], world["workspace"], world["out"], **options)


def test_a_pack_holds_links_times_hashes_and_the_samples(world: dict[str, Any]) -> None:
    made = make(world)
    assert (made.videos, made.no_address, made.no_address_clips, made.unhashed) == (3, 1, 2, 0)
    pack = open_pack(world["out"])
    rows = {row["video_id"]: row for row in videos_of(pack)}
    for video in world["videos"]:
        row = rows[video["video_id"]]
        assert (row["sha256"], row["size_bytes"]) == (video["sha256"], video["size_bytes"])
        assert (row["frames"], row["clips"]) == (60, 2)
        assert len(row["hashes"]) == 2 * len(row["hash_times_s"]) >= 2 * 15
    a, b, c = (rows[video["video_id"]] for video in world["videos"])
    assert (a["page_url"], a["platform_id"], a["uploader"], a["downloaded"], a["title"]) == (
        "https://example.org/watch?v=1", "1", "Ann", "2026-11-01", "Film a",
    )  # fmt: skip
    assert b["page_url"] == "https://example.org/b.mp4"
    assert (c["page_url"], c["address"], c["name"]) == (None, "no-address", "deep/c.mp4")


def test_a_pack_is_a_shard_set_with_the_same_samples_and_splits(world: dict[str, Any]) -> None:
    make(world)
    open_shards(world["out"], verify=True)
    pack, given = (open_shards(world[n]).manifest for n in ("out", "shards"))
    for key in ("rule", "salt", "shares", "official"):
        assert pack["split_rule"][key] == given["split_rule"][key]
    found, expected = all_rows(world["out"]), all_rows(world["shards"])
    assert found.keys() == expected.keys()
    for name, row in expected.items():
        assert_same(found[name], row, but=("source", "page_url", "lineage", "captions"))
        assert found[name]["captions"][0]["text"] == row["captions"][0]["text"]


def test_no_path_of_the_maker_leaks(world: dict[str, Any], tmp_path: Path) -> None:
    make(world)
    words = ("alice", "private", "secret", str(tmp_path), "/home", "/tmp")
    for name, data in bytes_of(world["out"]).items():
        texts = [data.decode("latin-1")]
        if name.endswith(".parquet"):  # compressed: what is in it
            table = pq.read_table(world["out"] / name)
            plain = [c for c in table.column_names if c not in ("m2d", "track_points")]
            texts += [repr(table.select(plain).to_pylist()), str(table.schema.metadata)]
        for text in texts:
            for word in words:
                assert word not in text, f"{word} in {name}"
    (row, *_) = all_rows(world["out"]).values()
    assert row["captions"][0]["detail"] == '{"file": "a.txt", "key": "line 1"}'


def test_the_same_set_gives_the_same_bytes(world: dict[str, Any]) -> None:
    make(world)
    first = bytes_of(world["out"])
    make(world)
    assert bytes_of(world["out"]) == first


def test_clips_can_be_left_out_by_licence_and_address(world: dict[str, Any]) -> None:
    made = make(world, commercial_only=True)
    assert made.set.left_out == {"licence-unknown": 4}
    assert {row["licence"] for row in all_rows(world["out"]).values()} == {"CC BY 4.0"}
    made = make(world, addressed_only=True)
    assert (made.videos, made.set.left_out) == (2, {"no-address": 2})


def test_a_foreign_workspace_and_a_foreign_folder_are_refused(
    world: dict[str, Any], tmp_path: Path
) -> None:
    empty = make_workspace(tmp_path / "other", world["videos"][:0] or [world["videos"][0]])
    other = make_shards(tmp_path / "set2", world["videos"][1:], PRIVATE)
    with pytest.raises(UsageError, match="knows none of the videos"):
        release(other, empty, tmp_path / "p")
    with pytest.raises(UsageError, match="something else"):
        release(other, world["workspace"], world["shards"])
    with pytest.raises(UsageError, match="lie in each other"):
        release(other, world["workspace"], other / "pack")


def test_a_damaged_pack_is_named(world: dict[str, Any]) -> None:
    make(world)
    with (world["out"] / "videos.parquet").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(ShardError, match=r"videos\.parquet is not what the manifest says"):
        open_pack(world["out"])
    with pytest.raises(ShardError, match="no release pack"):
        open_pack(world["shards"])


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("/home/me/a b.mp4", "a b.mp4"),
        ("C:\\Users\\me\\a.mp4", "a.mp4"),
        ("~/films", "films"),
        ("file:///home/me/a.mp4", "a.mp4"),
        ("path LIKE '/home/me/%' AND x > 1", "path LIKE '%' AND x > 1"),
        ("https://example.org/a/b.mp4", "https://example.org/a/b.mp4"),
        ("films/deep/a.mp4", "films/deep/a.mp4"),
        ("CC BY 4.0 / CC0", "CC BY 4.0 / CC0"),
        ("place = x / 2^64", "place = x / 2^64"),
        ("/", "-"),
    ],
)
def test_texts_lose_paths_and_nothing_else(text: str, public: str) -> None:
    assert public_text(text) == public


def test_only_addresses_that_can_be_fetched_are_handed_on() -> None:
    assert public_address("https://a:b@h/x?y=1") == "https://h/x?y=1"
    for bad in (None, "", "file:///etc/passwd", "/films/a.mp4", "https://", "ftp://h/x"):
        assert public_address(bad) is None
