"""yt-dlp on a short lead: a page with a video, searches, what it may not do, and its errors."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from motionkit.errors import UsageError
from motionkit.sources import web
from motionkit.sources.addresses import EXTENSIONS
from motionkit.sources.faults import Fault
from motionkit.sources.parts import Limits
from motionkit.sources.web import Link, PageOptions, check_search_key, fetch_page, search
from tests.sources.server import Site

yt_dlp = pytest.importorskip("yt_dlp")
from yt_dlp.extractor.common import InfoExtractor, SearchInfoExtractor  # noqa: E402
from yt_dlp.utils import ExtractorError, GeoRestrictedError  # noqa: E402

OPTIONS = PageOptions(limits=Limits(timeout_s=10), sleep_s=0)


class StageSearchIE(SearchInfoExtractor):
    """A platform's search: its results are addresses of `StageIE`."""

    _SEARCH_KEY = "stagesearch"
    IE_NAME = "stage:search"

    def _search_results(self, query: str) -> Iterator[dict[str, Any]]:
        for number in range(3 if query == "a waving person" else 0):
            yield self.url_result(
                f"https://stage.example/v/{number}", video_id=f"id{number}",
                video_title=f"{query}\u0007 {number}",
            )  # fmt: skip


class StageIE(InfoExtractor):
    """A platform's video page; the last part of the address says how it answers."""

    _VALID_URL = r"https?://stage\.example/v/(?P<id>[\w-]+)"
    base = ""

    def _real_extract(self, url: str) -> dict[str, Any]:
        name = self._match_id(url)
        words = {
            "private": "Private video. Sign in if you've been granted access",
            "bot": "Sign in to confirm you’re not a bot",
            "gone": "Video unavailable. This video has been removed by the uploader",
            "members": "Join this channel to get access to members-only content",
        }
        if name in words:
            raise ExtractorError(words[name], expected=True)
        if name == "geo":
            raise GeoRestrictedError("blocked in your country", countries=["XY"])
        if name == "limited":
            self._download_webpage(f"{self.base}/status/429/page", name)
        sizes = {"small": 240, "large": 1080, "middle": 480}
        formats: list[dict[str, Any]] = [
            {"format_id": size, "url": f"{self.base}/{size}.mp4", "ext": "mp4", "height": height,
             "vcodec": "avc1", "acodec": "none"}
            for size, height in sizes.items()
        ]  # fmt: skip
        formats.append({"format_id": "sound", "url": f"{self.base}/s.m4a", "vcodec": "none"})
        if name == "sound":
            formats = formats[-1:]
        if name == "file":
            formats = [{"format_id": "x", "url": "file:///etc/hostname", "ext": "mp4"}]
        return {
            "id": name, "title": "A walk\n in <b>Rome</b>", "formats": formats, "duration": 61.5,
            "uploader": "Ann \u202e O.", "license": "Creative Commons Attribution",
            "webpage_url": f"https://stage.example/v/{name}", "is_live": name == "live",
        }  # fmt: skip


@pytest.fixture
def stage(site: Site, film: bytes, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The platform, known to every YoutubeDL that is made."""
    for size in ("small", "middle", "large"):
        site.files[f"{size}.mp4"] = film
    StageIE.base = site.url

    class WithStage(yt_dlp.YoutubeDL):  # type: ignore[misc]
        def __init__(self, settings: dict[str, Any]) -> None:
            super().__init__(settings, auto_init=False)
            self.add_info_extractor(StageSearchIE())
            self.add_info_extractor(StageIE())
            self.add_default_info_extractors()

    monkeypatch.setattr(yt_dlp, "YoutubeDL", WithStage)
    return site


def code_of(address: str, folder: Path, options: PageOptions = OPTIONS) -> str:
    with pytest.raises(Fault) as caught:
        fetch_page(address, folder / ".x.page", options, EXTENSIONS)
    return caught.value.code


def test_a_page_with_one_video_gives_its_file(site: Site, film: bytes, tmp_path: Path) -> None:
    page = b'<html><head><title>My walk</title></head><body><video src="/walk.mp4"></video></body>'
    site.files["/page/my-walk"] = page
    found = fetch_page(site.url + "/page/my-walk", tmp_path / ".x.page", OPTIONS, EXTENSIONS)
    assert found.file.read_bytes() == film
    assert (found.size_bytes, found.ending) == (len(film), ".mp4")
    assert found.facts["page_url"] == site.url + "/page/my-walk"
    assert (found.facts["platform"], found.facts["title"]) == ("web", "My walk (1)")
    assert list(tmp_path.iterdir()) == [found.file]
    assert found.file.name.startswith(".x.page-")


def test_a_page_without_a_video_and_one_with_two(site: Site, tmp_path: Path) -> None:
    site.files["/page/none"] = b"<html><title>Words</title><body>only words</body></html>"
    two = b'<video src="/walk.mp4"></video><video src="/walk.mp4?2"></video>'
    site.files["/page/two"] = b"<html><title>Two</title>" + two
    assert code_of(site.url + "/page/none", tmp_path) == "unsupported-address"
    assert code_of(site.url + "/page/two", tmp_path) == "several-videos"


def test_what_the_platform_says_comes_along_clean(stage: Site, tmp_path: Path) -> None:
    found = fetch_page("https://stage.example/v/a1", tmp_path / ".x.page", OPTIONS, EXTENSIONS)
    assert found.facts == {
        "page_url": "https://stage.example/v/a1",
        "platform": "stage",
        "platform_id": "a1",
        "title": "A walk in <b>Rome</b>",
        "uploader": "Ann O.",
        "licence": "Creative Commons Attribution",
        "duration_s": 61.5,
    }
    assert stage.asked["/middle.mp4"] == 1  # the largest that is not above 720


@pytest.mark.parametrize(("height", "file"), [(2000, "large"), (300, "small"), (100, "small")])
def test_the_height_chooses_the_format(stage: Site, height: int, file: str, tmp_path: Path) -> None:
    options = PageOptions(OPTIONS.limits, max_height=height, sleep_s=0)
    fetch_page("https://stage.example/v/a1", tmp_path / ".x.page", options, EXTENSIONS)
    assert stage.asked[f"/{file}.mp4"] == 1


def test_what_another_format_left_is_not_gone_on_with(
    stage: Site, film: bytes, tmp_path: Path
) -> None:
    first = fetch_page("https://stage.example/v/a1", tmp_path / ".x.page", OPTIONS, EXTENSIONS)
    part = first.file.rename(first.file.with_name(first.file.name + ".part"))
    part.write_bytes(film[:1000])
    other = PageOptions(OPTIONS.limits, max_height=300, sleep_s=0)
    small = fetch_page("https://stage.example/v/a1", tmp_path / ".x.page", other, EXTENSIONS)
    again = fetch_page("https://stage.example/v/a1", tmp_path / ".x.page", OPTIONS, EXTENSIONS)
    assert small.file != again.file == first.file
    assert small.file.read_bytes() == again.file.read_bytes() == film
    assert stage.ranges == ["bytes=1000-"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("private", "private"),
        ("bot", "blocked"),
        ("members", "blocked"),
        ("gone", "dead-link"),
        ("geo", "geo-blocked"),
        ("limited", "rate-limited"),
        ("sound", "no-format"),
        ("live", "live"),
        ("file", "no-format"),
    ],
)
def test_what_sites_say_becomes_a_code(stage: Site, name: str, code: str, tmp_path: Path) -> None:
    assert code_of(f"https://stage.example/v/{name}", tmp_path) == code
    assert list(tmp_path.iterdir()) == []


def test_size_and_length_are_limits(stage: Site, tmp_path: Path) -> None:
    small = PageOptions(Limits(max_bytes=1000, timeout_s=10), sleep_s=0)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ResourceWarning
        )  # yt-dlp leaves the answer to the collector
        assert code_of("https://stage.example/v/a1", tmp_path, small) == "too-large"
        gc.collect()
    short = PageOptions(OPTIONS.limits, max_duration_s=60, sleep_s=0)
    assert code_of("https://stage.example/v/a1", tmp_path, short) == "too-long"


@pytest.mark.parametrize("path", ["/status/404/p", "/status/403/p", "/status/500/p"])
def test_the_page_itself_may_fail(site: Site, path: str, tmp_path: Path) -> None:
    codes = {"404": "dead-link", "403": "blocked", "500": "server-error"}
    assert code_of(site.url + path, tmp_path) == codes[path.split("/")[2]]


def test_nothing_local_is_read(site: Site, tmp_path: Path) -> None:
    site.files["/page/trap"] = b'<html><title>x</title><video src="file:///etc/hostname"></video>'
    for address in ("file:///etc/hostname", site.url + "/page/trap", site.url + "/to-file"):
        assert code_of(address, tmp_path) in ("unsupported-address", "no-format")
    assert list(tmp_path.iterdir()) == []


def test_search_gives_links_up_to_the_limit(stage: Site) -> None:
    links = search("a waving person", "stagesearch", 2, OPTIONS)
    assert links == [
        Link("https://stage.example/v/0", "a waving person 0", "id0"),
        Link("https://stage.example/v/1", "a waving person 1", "id1"),
    ]
    assert search("nobody", "stagesearch", 2, OPTIONS) == []


def test_a_list_page_is_a_search_of_its_own(site: Site) -> None:
    two = b'<video src="/walk.mp4"></video><video src="/walk.mp4?2"></video>'
    site.files["/page/two"] = b"<html><title>Two</title>" + two
    links = search(site.url + "/page/two", "ytsearch", 5, OPTIONS)
    assert [link.url for link in links] == [site.url + "/walk.mp4", site.url + "/walk.mp4?2"]


def test_an_unknown_search_lists_those_there_are(capfd: pytest.CaptureFixture[str]) -> None:
    check_search_key("ytsearch")
    with pytest.raises(UsageError) as caught:
        check_search_key("nosearch")
    assert "bilisearch, " in str(caught.value.hint)
    assert capfd.readouterr() == ("", "")


def test_no_configuration_plugin_or_program_of_the_user_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from yt_dlp.globals import plugin_dirs

    with web._downloader(OPTIONS, {}) as made:
        assert plugin_dirs.value == []
        assert made.params["js_runtimes"] == {}
        assert made.params["ffmpeg_location"] == "/nonexistent"
        assert not made.params.get("enable_file_urls")
        assert made._pps == {kind: [] for kind in made._pps}


def test_the_cookies_file_is_left_alone(site: Site, film: bytes, tmp_path: Path) -> None:
    jar = tmp_path / "cookies.txt"
    text = "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tkey\tvalue\n"
    jar.write_text(text)
    site.files["/page/w"] = b'<html><title>w</title><video src="/walk.mp4"></video>'
    options = PageOptions(OPTIONS.limits, sleep_s=0, cookies=str(jar))
    fetch_page(site.url + "/page/w", tmp_path / ".x.page", options, EXTENSIONS)
    assert site.headers[-1]["Cookie"] == "key=value"
    assert jar.read_text() == text
