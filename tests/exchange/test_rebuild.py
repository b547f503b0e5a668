"""Rebuilding from a pack: a web server on loopback, a local folder, and every way to fail."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.engines.local import EngineOptions
from motionkit.errors import ShardError, UsageError
from motionkit.exchange.rebuild import rebuild
from motionkit.exchange.rebuild_stage import by_time
from motionkit.exchange.release import release
from motionkit.sources.listing import find_sources
from motionkit.stages.fetch import Fetch
from motionkit.video.decode import read_frames
from motionkit.video.frame_folder import describe_folder
from motionkit.video.probe import index_packets
from tests.exchange.sets import bytes_of, make_set, thing
from tests.exchange.worlds import (
    film_file,
    frames_of,
    make_shards,
    make_workspace,
    scan_row,
    video_row,
)
from tests.sources.server import Site
from tests.video.encode import write_video
from tests.video.mevis_tree import write_split

NAMES = (
    "good",
    "gone",
    "forbidden",
    "other",
    "smaller",
    "slower",
    "longer",
    "mirrored",
    "doubled",
    "trimmed",
    "text",
)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The films as they were released, their rows, and what the server has instead later."""
    folder = tmp_path_factory.mktemp("films")
    rows = []
    for seed, name in enumerate((*NAMES, "local")):
        path = film_file(folder / "films" / f"{name}.mp4", seed)
        rows.append(video_row(path, source=str(folder / "films")))
    change = folder / "changed"
    film_file(change / "other.mp4", 123)
    film_file(change / "smaller.mp4", 4, size=(120, 72), quality=30)
    film_file(change / "slower.mp4", 5, codec="libx265")
    film_file(change / "longer.mp4", 6, count=100)
    write_video(change / "mirrored.mp4", [f[:, ::-1] for f in frames_of(7)], 15.0)
    twice = [frame for frame in frames_of(8) for _ in range(2)]
    write_video(change / "doubled.mp4", twice, 30.0, quality=30)
    write_video(change / "trimmed.mp4", frames_of(9)[5:], 15.0)
    (change / "text.mp4").write_bytes(b"this is no video " * 10)
    scans = [scan_row(Path(r["path"]), r["video_id"], r["frame_times_s"]) for r in rows]
    return {"rows": rows, "scans": scans, "changed": change}


@pytest.fixture
def world(tmp_path: Path, site: Site, films: dict[str, Any]) -> dict[str, Any]:
    """A pack of videos on the server, one of which is local alone; then the server changes."""
    videos = []
    for row in films["rows"]:
        path = Path(row["path"])
        way = "status/403/" if path.stem == "forbidden" else ""
        address = None if path.stem == "local" else f"{site.url}/{way}{path.name}"
        videos.append({**row, "page_url": address})
        site.files[path.name] = path.read_bytes()
    workspace = make_workspace(tmp_path / "ws", videos, scans=films["scans"])
    shards = make_shards(tmp_path / "shards", videos, "/home/alice")
    release(shards, workspace, tmp_path / "pack")
    site.files.update({p.name: p.read_bytes() for p in films["changed"].iterdir()})
    del site.files["gone.mp4"]
    shutil.copytree(Path(videos[0]["path"]).parent, tmp_path / "films")
    ids = {Path(v["path"]).stem: v["video_id"] for v in videos}
    return {
        "ids": ids, "pack": tmp_path / "pack", "films": tmp_path / "films",
        "out": tmp_path / "out",
    }  # fmt: skip


def bring_back(world: dict[str, Any], **options: Any) -> Any:
    quick = Fetch(workers=1, sleep_s=0, backoff_s=0, retries=0, timeout_s=10)
    engine = EngineOptions(workers=1)
    return rebuild(world["pack"], world["out"], fetch=quick, engine=engine, **options)


def report(world: dict[str, Any], kind: str) -> list[dict[str, str]]:
    with (world["out"] / "report.csv").open(newline="") as stream:
        return [row for row in csv.DictReader(stream) if row["kind"] == kind]


def test_every_video_gets_its_status_and_nothing_is_asked_twice(
    world: dict[str, Any], site: Site
) -> None:
    expected = {
        "good": "ok", "gone": "dead-link", "forbidden": "blocked", "other": "changed-file",
        "smaller": "re-encoded", "slower": "re-encoded", "longer": "changed-file",
        "mirrored": "changed-file", "doubled": "retimed", "text": "not-a-video",
        "local": "no-address",
        "trimmed": "changed-file",
    }  # fmt: skip
    made = bring_back(world, pixels="clips")
    names = {video: name for name, video in world["ids"].items()}
    found = {names[row["id"]]: row["status"] for row in report(world, "video")}
    assert found == expected
    assert made.usable == 4
    assert made.clips == {
        "ok": 2, "re-encoded": 4, "retimed": 2, "changed-file": 8, "dead-link": 2, "blocked": 2,
        "no-address": 2, "not-a-video": 2,
    }  # fmt: skip
    doubled = [r for r in report(world, "clip") if r["status"] == "retimed"]
    assert [r["frames"] for r in doubled] == ["40", "40"]  # by time
    saved = json.loads((world["out"] / "report.json").read_text())
    assert (saved["videos"], saved["clips"]) == (made.videos, made.clips)
    assert {line["video_id"] for line in saved["not_ok"]} == {
        world["ids"][name] for name, status in expected.items() if status != "ok"
    }
    first = bytes_of(world["out"] / "clips")
    assert len(first) == 8
    times = {p: p.stat().st_mtime_ns for p in (world["out"] / "clips").iterdir()}
    asked = dict(site.asked)
    again = bring_back(world, pixels="clips")
    assert again == made
    assert dict(site.asked) == asked
    assert {p: p.stat().st_mtime_ns for p in (world["out"] / "clips").iterdir()} == times


def test_a_clip_has_exactly_its_frames(world: dict[str, Any], tmp_path: Path) -> None:
    box = tmp_path / "box"
    box.mkdir()
    shutil.copyfile(world["films"] / "good.mp4", box / "renamed.mp4")
    bring_back(world, pixels="clips", videos=box, offline=True)
    (film,) = (c.frames for c in read_frames(str(world["films"] / "good.mp4"), chunk=100))
    rows = [r for r in report(world, "clip") if r["video_id"] == world["ids"]["good"]]
    assert [r["frames"] for r in rows] == ["20", "20"]
    for row in rows:
        first = int(row["id"].split("-")[1])
        file = world["out"] / row["file"]
        (clip,) = (c.frames for c in read_frames(str(file), chunk=100))
        assert clip.shape == (20, 96, 160, 3)
        true = film[first : first + 20].astype(int)
        here = np.abs(clip - true).mean()
        beside = np.abs(clip[1:] - true[:-1]).mean()
        assert here < 4 < beside / 2  # the frames themselves, not their neighbours
        np.testing.assert_allclose(
            index_packets(str(file)).times_s, np.arange(20) / 15, atol=1 / 90_000
        )


def test_a_clip_that_was_taken_away_is_reported(world: dict[str, Any]) -> None:
    film = world["films"] / "good.mp4"
    bring_back(world, pixels="clips", videos=film, offline=True)
    (clip, *_) = sorted((world["out"] / "clips").iterdir())
    clip.unlink()
    made = bring_back(world, pixels="clips", videos=film, offline=True)
    assert made.clips == {"ok": 1, "missing-clip": 1, "not-tried": 20, "no-address": 2}


def test_files_are_found_by_their_bytes_under_any_name(
    world: dict[str, Any], site: Site, tmp_path: Path
) -> None:
    box = tmp_path / "box"
    box.mkdir()
    for number, name in enumerate(("local", "gone", "text")):
        (world["films"] / f"{name}.mp4").rename(box / f"{number}.mp4")
    before = site.asked.total()
    made = bring_back(world, videos=box, offline=True)
    assert made.videos == {"ok": 3, "not-tried": 9}
    assert site.asked.total() == before
    assert not (world["out"] / "clips").exists()


def test_a_file_of_the_same_name_is_compared(world: dict[str, Any], tmp_path: Path) -> None:
    box = tmp_path / "box"
    film_file(box / "local.mp4", len(NAMES), quality=35)
    made = bring_back(world, videos=box, offline=True, pixels="clips")
    assert made.videos == {"re-encoded": 1, "not-tried": 11}
    assert made.clips == {"re-encoded": 2, "not-tried": 22}


def test_dead_links_can_be_tried_again(world: dict[str, Any], site: Site) -> None:
    bring_back(world)
    site.files["gone.mp4"] = (world["films"] / "gone.mp4").read_bytes()
    assert bring_back(world).videos["dead-link"] == 1
    made = bring_back(world, retry=True)
    assert "dead-link" not in made.videos
    assert made.videos["ok"] == 2


def test_another_pack_or_a_damaged_one_is_refused(world: dict[str, Any]) -> None:
    bring_back(world, offline=True)
    (world["out"] / "rebuild.json").write_text('{"pack": "other"}')
    with pytest.raises(UsageError, match="another pack"):
        bring_back(world, offline=True)
    with pytest.raises(UsageError, match="--pixels"):
        bring_back(world, pixels="all")
    (file, *_) = (world["pack"] / "data").iterdir()
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(ShardError, match=file.name):
        bring_back(world, offline=True)


def test_a_folder_of_frames_is_found_by_its_name(tmp_path: Path) -> None:
    write_split(tmp_path / "mevis", "train", ("dog",))
    found = next(iter(find_sources([str(tmp_path / "mevis")])))
    video = {**describe_folder(found.path), "source": str(tmp_path / "mevis")}
    workspace = make_workspace(tmp_path / "ws", [video], scans=[])
    clip = {
        **thing(1), "video_id": video["video_id"], "width": 96, "height": 64, "frames": 8,
        "masks": [None] * 7 + thing(1)["masks"][:1], "first": 0, "last": 7, "t0_s": 0.0,
        "t1_s": video["duration_s"], "fps": video["fps"],
    }  # fmt: skip
    release(make_set(tmp_path / "shards", [clip]), workspace, tmp_path / "pack")
    box = (tmp_path / "mevis").rename(tmp_path / "elsewhere")
    made = rebuild(
        tmp_path / "pack", tmp_path / "out", videos=box, offline=True, pixels="clips",
        engine=EngineOptions(workers=1),
    )  # fmt: skip
    assert (made.videos, made.clips) == ({"ok": 1}, {"ok": 1})
    (file,) = (tmp_path / "out" / "clips").iterdir()
    assert len(index_packets(str(file)).times_s) == 8


def test_frames_are_found_by_time() -> None:
    times = np.arange(100) / 24
    assert by_time(times, 1.0, 2.0) == (24, 47)
    assert by_time(times, 1.0 + 1e-4, 2.0 - 1e-4) == (24, 47)
    assert by_time(times, 50.0, 60.0) == (99, 99)
