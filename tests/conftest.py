"""Fixtures that several test folders share."""

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real videos, motion capture, images and masks; skips where it is absent."""
    folder = Path(os.environ.get("MOTIONKIT_REAL_DATA", _ROOT.parent / "shared" / "data"))
    if not (folder / "videos").is_dir():
        pytest.skip(f"no real data at {folder}: set MOTIONKIT_REAL_DATA")
    return folder
