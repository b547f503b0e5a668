"""Which addresses are taken, and what remote folders hold."""

import pytest

from motionkit.errors import InputError, UsageError
from motionkit.sources.addresses import (
    check_address,
    expand,
    extension_of,
    is_address,
    item_id,
    scheme_of,
)


@pytest.mark.parametrize(
    "address", ["https://h/x", "HTTP://h/x", "s3://b/k.mp4", "gs://b/k", "memory://x/y.mp4"]
)
def test_web_and_remote_addresses_are_taken(address: str) -> None:
    assert is_address(address)
    check_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd", "local:///etc/passwd", "ftp://h/x", "data://x", "zip://x::file:///y",
        "simplecache::s3://b/k", "s3://b/k::file:///etc/passwd", "https:///x", "https://h/a b",
        "https://h/\u202e", "https://h/" + "x" * 5000, "/etc/passwd", "", "http://[::1",
    ],
)  # fmt: skip
def test_everything_else_is_refused(address: str) -> None:
    with pytest.raises(InputError) as caught:
        check_address(address)
    assert caught.value.code == "unsupported-address"


def test_paths_are_no_addresses() -> None:
    for path in ("a.mp4", "/x/y", "C:\\x", "a:b", "://x", "odd name://x"):
        assert not is_address(path)
    assert scheme_of("S3://b/k") == "s3"


def test_endings_come_from_the_path_alone() -> None:
    assert extension_of("https://h/a/B.MP4?x=.gif#y.webm") == ".mp4"
    for address in ("https://h.mp4", "https://h/a", "https://h/a.php?f=x.mp4", "https://h/a.exe"):
        assert extension_of(address) == ""


def test_ids_are_safe_names() -> None:
    assert item_id("https://h/../../x") != item_id("https://h/x")
    assert item_id("https://h/../../x").isalnum()


def test_remote_folders_and_patterns_are_listed() -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for name in ("b.mp4", "deep/a.mp4", "note.txt"):
        memory.pipe(f"/listed/{name}", b"x")
    expand.cache_clear()
    both = ("memory://listed/b.mp4", "memory://listed/deep/a.mp4")
    assert expand("memory://listed/") == both
    assert expand("memory://listed/*.mp4") == both[:1]
    assert expand("memory://listed/b.mp4") == both[:1]
    assert expand("https://h/*.mp4") == ("https://h/*.mp4",)
    with pytest.raises(UsageError, match="holds no video"):
        expand("memory://empty/")
