"""The `overlays` stage with a CLIP of random weights, on a small real video file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit.backends.image_encoder import image_encoder
from motionkit.errors import InputError, UsageError
from motionkit.records import TABLES
from motionkit.stage import Kept, run_alone
from motionkit.stages.overlays import Overlays
from motionkit.video.decode import read_frames
from motionkit.video.draw import draw_tracks
from tests.backends.random_models import save_clip
from tests.stages.fake_tables import FakeTables
from tests.stages.test_track import video

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("PIL")
__all__ = ["video"]  # a fixture

ORDINALS = [2, 3, 3, 4]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_clip(folder)
    return folder


@pytest.fixture(autouse=True)
def _there(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTIONKIT_MODELS", str(models))


def tracks() -> np.ndarray:
    """[4, 4, 2]: four points that move 8 px a frame to the right."""
    start = np.array([[20, 20], [60, 20], [20, 40], [60, 40]], np.float32)
    return start + np.arange(4, dtype=np.float32)[:, None, None] * np.array([8, 0], np.float32)


def tables(path: Path | None, ordinals: list[int] = ORDINALS) -> FakeTables:
    row = {
        "item_id": "c",
        "video_id": "v",
        "clip_id": "c",
        "frames": 4,
        "grid": 2,
        "ordinals": np.array(ordinals, np.int32),
        "points": tracks().ravel(),
        "visible": np.ones(16, bool),
        "stamp": "s",
    }
    videos = [] if path is None else [{"item_id": "v", "video_id": "v", "path": str(path)}]
    return FakeTables(videos=videos, tracks=[row])


def stage(**changes: Any) -> Overlays:
    return Overlays(**{"encoder": "clip:random/clip", **changes})


def features(found: FakeTables, **changes: Any) -> np.ndarray:
    made = stage(**changes)
    (item,) = made.items(found)
    outcome = run_alone(made, item)
    assert isinstance(outcome, Kept) and set(outcome.row) == set(TABLES["overlays"].names)
    return np.asarray(outcome.row["features"]).reshape(outcome.row["frames"], outcome.row["dim"])


def test_a_feature_of_every_tracked_frame_with_its_trails(video: Path) -> None:
    made = features(tables(video))
    frames = np.concatenate([c.frames for c in read_frames(str(video), ordinals=[2, 3, 4])])
    drawn = [
        draw_tracks(frames[which], tracks()[: t + 1], trail=30, colour=(0, 255, 255), opacity=0.5)
        for t, which in enumerate([0, 1, 1, 2])
    ]
    expected = image_encoder("clip:random/clip").encode(drawn)
    assert made.shape == (4, 24)
    np.testing.assert_allclose(made, expected, atol=1e-3)  # kept as fp16
    assert np.abs(made[1] - made[2]).max() > 1e-3, "the same frame, a longer trail"


def test_colour_and_opacity_change_what_is_seen(video: Path) -> None:
    cyan, black = features(tables(video)), features(tables(video), colour="black")
    full, none = features(tables(video), opacity=1.0), features(tables(video), opacity=0.0)
    for other in (black, full, none):
        assert np.abs(cyan - other).max() > 1e-3
    plain = np.concatenate([c.frames for c in read_frames(str(video), ordinals=[2, 3, 4])])
    expected = image_encoder("clip:random/clip").encode(list(plain[[0, 1, 1, 2]]))
    np.testing.assert_allclose(none, expected, atol=1e-3)


def test_what_decides_the_features_is_in_the_identity(video: Path) -> None:
    found = tables(video)
    base = stage().identity(found)
    assert base["encoder"]["name"] == "clip:random/clip" and base["tracks"]
    for changes in ({"colour": "red"}, {"opacity": 0.3}, {"trail": 5}):
        assert stage(**changes).identity(found) != base
    (listed,) = stage().ids(found)
    (item,) = stage().items(found)
    assert listed == (item.id, item.stamp) and listed[0] == "c"
    found.tables["tracks"][0]["stamp"] = "another"
    assert list(stage().ids(found)) != [listed]


def test_what_is_missing_is_told(video: Path) -> None:
    (item,) = stage().items(tables(None))
    with pytest.raises(InputError) as told:
        run_alone(stage(), item)
    assert told.value.code == "video-missing"
    for changes, message in (
        ({"colour": "pink"}, "no colour 'pink'"),
        ({"opacity": 1.5}, r"opacity is 1\.5"),
        ({"trail": 0}, "trail is 0"),
    ):
        with pytest.raises(UsageError, match=message):
            stage(**changes)
