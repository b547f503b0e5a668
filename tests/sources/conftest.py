"""A loopback site with one small video, and no proxy between."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources.server import Site, serve
from tests.video import films
from tests.video.encode import write_video


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An mp4 of 30 frames at 30 a second."""
    path: Path = tmp_path_factory.mktemp("site") / "walk.mp4"
    write_video(path, films.numbered(30))
    return path.read_bytes()


@pytest.fixture
def site(film: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = Site()
    made.files["walk.mp4"] = film
    with serve(made):
        yield made
