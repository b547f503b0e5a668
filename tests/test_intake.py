"""Bringing videos in: which steps run for which sources, and the whole way over loopback."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from motionkit import catalogue, intake
from motionkit.cli.app import run
from motionkit.engines.local import EngineOptions
from motionkit.errors import UsageError
from motionkit.intake import again, at_work, intake_steps, read_queries
from motionkit.recipes import recipe_folder
from motionkit.stages.fetch import Fetch
from motionkit.stages.ingest import Ingest
from motionkit.stages.search import Search
from motionkit.workspace import Workspace
from tests.sources.server import Site

QUICK = ["--set", "fetch.sleep_s=0", "--set", "fetch.backoff_s=0", "--set", "fetch.retries=1"]


def test_only_the_steps_that_are_needed_run(tmp_path: Path) -> None:
    film = tmp_path / "a.mp4"
    film.touch()
    files = tmp_path / "files.csv"
    files.write_text("path,caption\na.mp4,walks\n")
    links = tmp_path / "links.jsonl"
    links.write_text('{"url": "https://h/b"}\n{"path": "a.mp4"}\n')
    base: dict[str, Any] = {"ingest": Ingest(), "scan": "as it is"}
    assert list(intake_steps(base, [str(film), str(files)])) == ["ingest", "scan"]
    with_links = intake_steps(base, [str(film), str(links), "https://h/a", "https://h/a"])
    assert list(with_links) == ["fetch", "ingest", "scan"]
    assert with_links["fetch"].addresses == ("https://h/a", str(links))
    assert with_links["ingest"].sources[0] == str(film)
    searched = intake_steps({"search": Search(("walk", "run", "walk")), **base}, [])
    assert list(searched) == ["search", "fetch", "ingest", "scan"]
    assert searched["search"].queries == ("walk", "run")
    assert searched["fetch"].searches == searched["search"].item_ids()
    assert intake_steps({"scan": 1}, []) == {"scan": 1}
    for nothing in (base, {**base, "search": Search(), "fetch": Fetch()}):
        with pytest.raises(UsageError, match="nothing to ingest"):
            intake_steps(nothing, [])


def test_search_texts_come_from_words_files_and_the_shipped_list(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("\ufeff# mine\nwalk\n\n run  fast \nwalk\n")
    assert read_queries([str(file), "jump"]) == ["walk", "run fast", "jump"]
    shipped = read_queries(["motion-keywords"])
    assert len(shipped) == len(set(shipped)) == 112
    assert shipped == read_queries([str(recipe_folder() / "motion-keywords.txt")])
    assert read_queries(["../pipelines/motion-keywords"]) == ["../pipelines/motion-keywords"]
    (tmp_path / "odd.txt").write_bytes(b"\xff\xfe\x00")
    for bad in ([str(tmp_path / "odd.txt")], ["# none"], []):
        with pytest.raises(UsageError):
            read_queries(bad)


def test_downloads_keep_to_their_own_number_and_time(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "ws")
    engine = EngineOptions(workers=8, timeout_s=5)
    fetch, polite = at_work(workspace, "fetch", Fetch(), engine)
    assert fetch.place() == workspace.path / "downloads"
    assert (polite.workers, polite.timeout_s) == (2, 3600)
    assert at_work(workspace, "search", Search(), engine)[1].workers == 1
    assert at_work(workspace, "ingest", Ingest(), engine) == (Ingest(), engine)


def ingest(workspace: Path, *words: str) -> None:
    assert run(["ingest", *words, "-w", str(workspace), "--workers", "1", "--quiet"]) == 0


def rows_of(workspace: Path, sql: str) -> list[dict[str, Any]]:
    return catalogue.query(Workspace(workspace), sql).to_pylist()


def test_the_whole_way_from_addresses_files_and_a_manifest(
    site: Site, film: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = tmp_path / "ws"
    (tmp_path / "local.mp4").write_bytes(film)
    manifest = tmp_path / "list.csv"
    manifest.write_text(
        "path,url,start,end,caption\nlocal.mp4,,0,0.5,starts\nno.mp4,,,,\nlocal.mp4,,5,x,\n"
        f",{site.url}/to/walk.mp4,0.2,0.8,walks\n,{site.url}/status/403/b.mp4,,,\n"
    )
    ingest(workspace, site.url + "/walk.mp4", str(manifest), *QUICK)
    out = capsys.readouterr().out
    assert "fetch: 2 kept, 1 failed (blocked 1)" in out
    assert "ingest: 3 kept, 2 failed (bad-range 1, missing-file 1)" in out
    found = rows_of(
        workspace,
        "SELECT source, page_url, platform, len(ranges) AS ranges, path FROM videos "
        "WHERE outcome = 'kept' ORDER BY source",
    )
    assert [(r["source"], r["platform"], r["ranges"]) for r in found] == [
        (str(manifest), None, 1),
        (site.url + "/to/walk.mp4", "http", 1),
        (site.url + "/walk.mp4", "http", None),
    ]
    assert Path(found[1]["path"]).parent == workspace / "downloads"
    asked = site.asked.total()
    ingest(workspace, site.url + "/walk.mp4", str(manifest), *QUICK)
    assert "nothing new" in capsys.readouterr().out
    assert site.asked.total() == asked


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages run in this process: starting workers takes most of a small test's time."""
    for stage in (Search, Fetch, Ingest):
        monkeypatch.setattr(stage, "in_process", True, raising=False)


@pytest.mark.usefixtures("here")
def test_retry_reaches_what_earlier_calls_named(
    site: Site, film: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = tmp_path / "ws"
    manifest = tmp_path / "list.csv"
    manifest.write_text("path,start,caption\nlate.mp4,0.3,walks\n")
    late = site.url + "/late.mp4"
    ingest(workspace, str(manifest), late, site.url + "/status/429/a.mp4", *QUICK)
    (tmp_path / "late.mp4").write_bytes(film)
    site.files["late.mp4"] = film
    (tmp_path / "other.mp4").write_bytes(film)
    ingest(workspace, str(tmp_path / "other.mp4"))
    capsys.readouterr()
    place = ["-w", str(workspace), "--quiet", "--workers", "1"]
    assert run(["retry", "--stage", "fetch", "--error", "rate-limited", *place]) == 0
    assert "fetch: 1 failed" not in capsys.readouterr().err
    assert site.asked["/late.mp4"] == 1
    assert run(["retry", *place]) == 0
    assert site.asked["/late.mp4"] == 2
    done = {row["stage"]: row for row in catalogue.status(Workspace(workspace))}
    assert (done["fetch"]["kept"], done["fetch"]["failed"]) == (1, {"rate-limited": 1})
    assert (done["ingest"]["kept"], done["ingest"]["failed"]) == (3, {})
    (row,) = rows_of(workspace, f"SELECT ranges FROM videos WHERE source = '{manifest}'")
    assert row["ranges"][0]["captions"][0]["text"] == "walks"


def test_what_is_retried_replaces_what_was_named(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "ws")
    fetch = again(workspace, "fetch", Fetch(("https://h/a",), searches=("q",)), {"dl1"})
    assert (fetch.addresses, fetch.searches) == ((), ())
    assert again(workspace, "search", Search(("walk",), limit=3), {"q"}) == Search(limit=3)


@pytest.mark.usefixtures("here")
def test_json_has_every_step(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest(tmp_path / "ws", site.url + "/walk.mp4", "--json", *QUICK)
    data = json.loads(capsys.readouterr().out)
    assert (data["stage"], data["kept"]) == ("ingest", 1)
    assert (data["fetch"]["stage"], data["fetch"]["kept"]) == ("fetch", 1)


@pytest.mark.usefixtures("here")
def test_a_recipe_takes_addresses(site: Site, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text("[fetch]\nsleep_s = 0\n[ingest]\n")
    place = ["-w", str(tmp_path / "ws"), "--quiet", "--workers", "1"]
    assert run(["run", str(recipe), "--source", site.url + "/walk.mp4", *place]) == 0
    (row,) = rows_of(tmp_path / "ws", "SELECT page_url, frames_decoded FROM videos")
    assert row == {"page_url": site.url + "/walk.mp4", "frames_decoded": 30}


@pytest.mark.usefixtures("here")
def test_searching_without_an_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("yt_dlp")
    monkeypatch.setattr("motionkit.stages.search.search", lambda *_: [])
    assert intake.INTAKE[0] == "search"
    ingest(tmp_path / "ws", "--search", "nobody does this", "--limit", "2")
    assert "search: 0 kept, 1 dropped (nothing-found 1)" in capsys.readouterr().out
    last = Workspace(tmp_path / "ws").current("searches")
    assert last is not None and last["parameters"]["limit"] == 2
    assert dataclasses.asdict(Search())["limit"] == 20
