"""`fetch`: what it asks for, what it writes, and that nothing is asked twice."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import Any

import pytest

from motionkit.catalogue import failures, status
from motionkit.engines.local import EngineOptions, run_stage
from motionkit.errors import InputError, MissingExtraError, UsageError
from motionkit.records import TABLES
from motionkit.sources.addresses import item_id
from motionkit.sources.faults import Fault
from motionkit.stage import Item, Kept
from motionkit.stages.fetch import Fetch
from motionkit.workspace import Workspace
from tests.sources.server import Site
from tests.stages.fake_tables import FakeTables


def fetch(at: Path, *addresses: str, **changes: Any) -> Fetch:
    quick = Fetch(addresses, workspace=str(at), sleep_s=0, backoff_s=0, timeout_s=10)
    stage = dataclasses.replace(quick, **changes)
    stage.check()
    return stage


def row_of(stage: Fetch) -> dict[str, Any]:
    (item,) = stage.items(FakeTables())
    outcome = stage.process(item)
    assert isinstance(outcome, Kept)
    assert set(outcome.row) <= set(TABLES["downloads"].names)
    return outcome.row


def test_a_file_gets_our_name_and_a_full_row(site: Site, film: bytes, tmp_path: Path) -> None:
    address = site.url + "/walk.mp4"
    row = row_of(fetch(tmp_path, address))
    assert row == {
        "url": address, "query": None, "page_url": address, "platform": "http",
        "path": str(tmp_path / "downloads" / f"{item_id(address)}.mp4"), "size_bytes": len(film),
        "downloaded": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    }  # fmt: skip
    assert Path(row["path"]).read_bytes() == film
    assert [path.name for path in (tmp_path / "downloads").iterdir()] == [Path(row["path"]).name]


def test_a_page_goes_through_yt_dlp_even_under_a_files_name(
    site: Site, film: bytes, tmp_path: Path
) -> None:
    pytest.importorskip("yt_dlp")
    for path in ("/page/walk", "/page/walk.mp4"):
        site.files[path] = b'<html><title>Walk</title><video src="/walk.mp4"></video></html>'
        row = row_of(fetch(tmp_path, site.url + path))
        assert Path(row["path"]).read_bytes() == film
        assert row["page_url"] == site.url + path
        assert row["title"].startswith("Walk")
    assert not [path for path in (tmp_path / "downloads").iterdir() if path.name.startswith(".")]


def test_passing_faults_are_tried_again_and_lasting_ones_are_not(
    site: Site, film: bytes, tmp_path: Path
) -> None:
    for path in ("/flaky/walk.mp4", "/cut/walk.mp4"):
        assert row_of(fetch(tmp_path, site.url + path))["size_bytes"] == len(film)
    assert site.asked["/flaky/walk.mp4"] == 3
    with pytest.raises(Fault, match="gone"):
        row_of(fetch(tmp_path, site.url + "/gone.mp4"))
    assert site.asked["/gone.mp4"] == 1
    with pytest.raises(Fault) as caught:
        row_of(fetch(tmp_path, site.url + "/status/500/x.mp4", retries=2))
    assert (caught.value.code, site.asked["/status/500/x.mp4"]) == ("server-error", 3)


def test_a_server_that_wants_a_long_pause_is_left_for_later(site: Site, tmp_path: Path) -> None:
    address = site.url + "/wait/walk.mp4"
    with pytest.raises(Fault) as caught:
        row_of(fetch(tmp_path, address, longest_wait_s=5))
    assert (caught.value.code, caught.value.wait_s) == ("rate-limited", 7)
    assert row_of(fetch(tmp_path, address))["platform"] == "http"


def test_local_files_are_refused(tmp_path: Path) -> None:
    for address in ("file:///etc/hostname", "local:///etc/hostname", "s3://a::file:///etc/passwd"):
        with pytest.raises(InputError) as caught:
            fetch(tmp_path).process(Item("x", {"url": address, "query": None}))
        assert caught.value.code == "unsupported-address"


def test_addresses_come_from_words_manifests_and_searches(tmp_path: Path) -> None:
    manifest = tmp_path / "list.csv"
    manifest.write_text("path,url\n,https://h/b\na.mp4,https://h/kept-for-later\n,https://h/a\n")
    links = [{"url": "https://h/c", "title": "C"}, {"url": "https://h/a", "title": "A"}]
    other = [{"url": "https://h/other", "title": ""}]
    tables = FakeTables(
        searches=[
            {"item_id": "q1", "query": "walk", "links": links},
            {"item_id": "q2", "query": "run", "links": other},
        ],
        downloads=[
            {"item_id": "d", "url": "https://h/failed", "query": "x", "outcome": "failed"},
            {"item_id": "e", "url": "https://h/there", "query": "x"},
        ],
    )
    stage = Fetch(("https://h/x", str(manifest)), searches=("q1",))
    asked = [(item.data["url"].rsplit("/")[-1], item.data["query"]) for item in stage.items(tables)]
    expected = [("x", None), ("a", None), ("b", None), ("c", "walk"), ("a", "walk")]
    assert asked == [*expected, ("failed", "x")]
    assert [name for name, _ in stage.ids(tables)] == [item.id for item in stage.items(tables)]
    wanted = {item_id("https://h/c")}
    assert [item.data["url"] for item in stage.items(tables, wanted)] == ["https://h/c"]


def test_what_would_stop_every_worker_is_found_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"cookies\.txt"):
        fetch(tmp_path, cookies=str(tmp_path / "cookies.txt"))
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot make the folder"):
        fetch(tmp_path, folder="file/x")
    monkeypatch.setitem(__import__("sys").modules, "yt_dlp", None)
    with pytest.raises(MissingExtraError) as caught:
        fetch(tmp_path, "https://h/page")
    assert caught.value.hint == "install it with: pip install 'motionkit[web]'"
    fetch(tmp_path, "https://h/file.mp4")  # needs nothing


def test_through_the_engine_failures_are_rows_and_nothing_is_asked_twice(
    site: Site, film: bytes, tmp_path: Path
) -> None:
    workspace = Workspace.create(tmp_path / "ws")
    names = ("/walk.mp4", "/gone.mp4", "/status/403/x.mp4", "/status/429/x.mp4", "/wait/walk.mp4")
    addresses = [site.url + name for name in names]
    stage = fetch(workspace.path, *addresses, retries=0)
    for _ in range(2):
        run_stage(workspace, stage, EngineOptions(workers=1))
    assert {name: site.asked[name] for name in names} == dict.fromkeys(names, 1)
    (counts,) = status(workspace)
    assert (counts["stage"], counts["kept"]) == ("fetch", 1)
    assert counts["failed"] == {"blocked": 1, "dead-link": 1, "rate-limited": 2}
    assert {row["code"] for row in failures(workspace, "fetch")} == set(counts["failed"])
    later = dataclasses.replace(stage, addresses=())  # another call names none of them
    limited = {item_id(site.url + name) for name in names if "429" in name or "wait" in name}
    done = run_stage(workspace, later, EngineOptions(workers=1), retry=limited.__contains__)
    assert (done.kept, done.failed.total()) == (1, 1)
    assert site.asked["/wait/walk.mp4"] == 2
