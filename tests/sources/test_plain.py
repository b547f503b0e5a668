"""Downloads over HTTP from a real server that misbehaves, and from a file system in memory."""

from pathlib import Path

import pytest

from motionkit.sources.faults import Fault
from motionkit.sources.parts import Limits, Part
from motionkit.sources.plain import AnsweredWithPage, download_http, download_remote
from tests.sources.server import Site

LIMITS = Limits(timeout_s=10)


def fetched(site: Site, path: str, folder: Path, limits: Limits = LIMITS) -> bytes:
    part = Part(folder, "dl1")
    found = download_http(site.url + path, part, limits)
    assert found.size_bytes == part.path.stat().st_size
    return part.path.read_bytes()


def code_of(site: Site, path: str, folder: Path, limits: Limits = LIMITS) -> str:
    with pytest.raises(Fault) as caught:
        fetched(site, path, folder, limits)
    return caught.value.code


def test_a_file_comes_whole_and_through_redirects(site: Site, film: bytes, tmp_path: Path) -> None:
    assert fetched(site, "/walk.mp4", tmp_path) == film
    assert fetched(site, "/to/to/walk.mp4", tmp_path) == film
    assert site.headers[0]["User-Agent"].startswith("motionkit/")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/gone.mp4", "dead-link"),
        ("/status/410/x.mp4", "dead-link"),
        ("/status/403/x.mp4", "blocked"),
        ("/status/401/x.mp4", "blocked"),
        ("/status/451/x.mp4", "geo-blocked"),
        ("/status/429/x.mp4", "rate-limited"),
        ("/status/503/x.mp4", "server-error"),
        ("/status/418/x.mp4", "refused"),
        ("/short/walk.mp4", "network"),
        ("/to-file", "unsupported-address"),
        ("/note/x.mp4", "not-a-video"),
    ],
)
def test_every_way_to_fail_has_its_code(site: Site, path: str, code: str, tmp_path: Path) -> None:
    assert code_of(site, path, tmp_path) == code


def test_silence_and_refused_connections_are_network(site: Site, tmp_path: Path) -> None:
    assert code_of(site, "/slow/x.mp4", tmp_path, Limits(timeout_s=0.2)) == "network"
    for address in ("http://127.0.0.1:1/x.mp4", "http://no-such-host.invalid/x.mp4"):
        with pytest.raises(Fault) as caught:
            download_http(address, Part(tmp_path, "dl2"), LIMITS)
        assert caught.value.code == "network"


def test_a_page_is_told_from_a_file(site: Site, tmp_path: Path) -> None:
    site.files["/page/x.mp4"] = b"<html></html>"
    with pytest.raises(AnsweredWithPage):
        fetched(site, "/page/x.mp4", tmp_path)


def test_the_second_try_goes_on_where_the_first_stopped(
    site: Site, film: bytes, tmp_path: Path
) -> None:
    assert code_of(site, "/cut/walk.mp4", tmp_path) == "network"
    assert fetched(site, "/cut/walk.mp4", tmp_path) == film
    assert site.ranges == [f"bytes={len(film) // 2}-"]


def test_what_was_left_of_another_file_is_not_gone_on_with(
    site: Site, film: bytes, tmp_path: Path
) -> None:
    part = Part(tmp_path, "dl1")
    part.begin("other")
    part.path.write_bytes(b"x" * 10)
    assert part.version() == "other"
    assert part.begin('"new"') == 0
    part.path.write_bytes(b"x" * 10)  # as a kill between two writes would leave it, untold
    (tmp_path / ".dl1.part.json").unlink()
    assert fetched(site, "/walk.mp4", tmp_path) == film
    assert site.ranges == []


def test_larger_files_than_allowed_are_refused_and_removed(site: Site, tmp_path: Path) -> None:
    assert code_of(site, "/walk.mp4", tmp_path, Limits(max_bytes=1000)) == "too-large"
    assert list(tmp_path.iterdir()) == []


def test_the_rate_limit_waits_between_blocks(tmp_path: Path) -> None:
    waits: list[float] = []
    blocks = iter([b"x" * 1000] * 3)
    Part(tmp_path, "dl1").append(
        blocks, Limits(rate_bytes_s=1000), "a", total=3000, sleep=waits.append
    )
    assert [round(wait) for wait in waits] == [1, 2, 3]


def test_cookies_are_sent_and_the_file_left_alone(site: Site, tmp_path: Path) -> None:
    jar = tmp_path / "cookies.txt"
    text = "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tkey\tvalue\n"
    jar.write_text(text)
    download_http(site.url + "/walk.mp4", Part(tmp_path, "dl1"), LIMITS, str(jar))
    assert site.headers[-1]["Cookie"] == "key=value"
    assert jar.read_text() == text


def test_a_remote_file_system_gives_files_and_tells_what_is_missing(
    film: bytes, tmp_path: Path
) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/walk.mp4", film)
    part = Part(tmp_path, "dl1")
    found = download_remote("memory://bucket/walk.mp4", part, LIMITS)
    assert (part.path.read_bytes(), found.ending) == (film, ".mp4")
    for address in ("memory://bucket/no.mp4", "memory://bucket"):
        with pytest.raises(Fault) as caught:
            download_remote(address, part, LIMITS)
        assert caught.value.code == "dead-link"


def test_a_remote_system_without_its_package_is_named(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    try:
        import s3fs  # noqa: F401
    except ImportError:
        with pytest.raises(Fault, match="s3fs") as caught:
            download_remote("s3://bucket/walk.mp4", Part(tmp_path, "dl1"), LIMITS)
        assert caught.value.code == "unsupported-address"
