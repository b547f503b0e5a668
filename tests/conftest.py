"""Fixtures that several test folders share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources.server import Site, serve

_ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real videos, motion capture, images and masks; skips where it is absent."""
    folder = Path(os.environ.get("MOTIONKIT_REAL_DATA", _ROOT.parent / "shared" / "data"))
    if not (folder / "videos").is_dir():
        pytest.skip(f"no real data at {folder}: set MOTIONKIT_REAL_DATA")
    return folder


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small mp4: 30 frames at 30 a second."""
    from tests.video import films
    from tests.video.encode import write_video

    path = tmp_path_factory.mktemp("site") / "walk.mp4"
    write_video(path, films.numbered(30))
    return path.read_bytes()


@pytest.fixture
def site(film: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A web server on loopback that has the film at /walk.mp4; no proxy stands between."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = Site()
    made.files["walk.mp4"] = film
    with serve(made):
        yield made


@pytest.fixture(scope="session")
def cotracker_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with CoTracker3, of random weights; skips without a checkout of its code."""
    from motionkit import weights
    from tests.backends.random_models import save_cotracker

    pytest.importorskip("torch")
    given = os.environ.get("MOTIONKIT_COTRACKER")
    try:
        checkout = Path(given) if given else weights.find("cotracker3:code").path
    except weights.ModelMissing:
        pytest.skip("no checkout of facebookresearch/co-tracker: set MOTIONKIT_COTRACKER to one")
    models = tmp_path_factory.mktemp("cotracker")
    save_cotracker(models, checkout)
    return models
