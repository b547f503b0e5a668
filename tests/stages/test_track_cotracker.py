"""The `track` stage with CoTracker3, in its two modes, on a small real video file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionkit import weights
from motionkit.backends import cotracker
from motionkit.errors import InputError
from motionkit.records import TABLES
from motionkit.stage import Dropped, Early, Kept, joined, mode_of, run_alone
from motionkit.stages.track import Track
from motionkit.video.decode import read_frames
from tests.stages.test_track import HEIGHT, WIDTH, keypoints, tables, video

torch = pytest.importorskip("torch")
__all__ = ["video"]  # a fixture

ORDINALS = [2, 3, 3, 4]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(cotracker, "ITERATIONS", 1)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small(models: Path, monkeypatch: pytest.MonkeyPatch, **parameters: Any) -> Track:
    """A stage that is set up, and works at small pictures."""
    monkeypatch.setenv("MOTIONKIT_MODELS", str(models))
    stage = Track(grid=2, **parameters)
    stage.tracker.inner = (48, 64)
    stage.setup_reader()
    stage.setup()
    return stage


@pytest.mark.parametrize("model", ["offline", "online"])
def test_the_row_is_what_the_tracker_says(
    cotracker_models: Path, video: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    stage = small(cotracker_models, monkeypatch, backend=f"cotracker3:{model}", frames=4)
    assert mode_of(stage) == {"offline": "batches", "online": "streams"}[model]
    (item,) = stage.items(tables(video, [*ORDINALS, 5, 6]))
    outcome = run_alone(stage, item)
    assert isinstance(outcome, Kept)
    row = outcome.row
    assert set(row) == set(TABLES["tracks"].names)
    assert (row["backend"], row["precision"]) == (f"cotracker3:{model}", "fp32")
    assert (row["frames"], row["grid"], row["mask_source"]) == (4, 2, "person-keypoints")
    assert row["ordinals"].tolist() == ORDINALS
    frames = np.concatenate([c.frames for c in read_frames(str(video), ordinals=[2, 3, 4])])
    queries = np.concatenate([np.zeros((4, 1)), Track(grid=2)._start(item.data)[0][:, 1:]], 1)
    direct = stage.tracker.track(frames, queries)
    for name in ("points", "visible", "confidence"):
        assert (row[name] == getattr(direct, name)[[0, 1, 1, 2]]).all()
    assert (row["points"][0] == queries[:, 1:]).all() or model == "online"


def test_clips_of_one_batch_keep_their_own_tracks(
    cotracker_models: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = small(cotracker_models, monkeypatch, backend="cotracker3:offline", frames=3)
    items = [next(iter(stage.items(tables(video, [at, at + 1, at + 2])))) for at in (0, 6)]
    alone = [run_alone(stage, item) for item in items]
    results = stage.infer(joined([next(stage.read(item)) for item in items]))
    for item, result, outcome in zip(items, results, alone, strict=True):
        again = stage.finish(item, [result])
        assert isinstance(again, Kept) and isinstance(outcome, Kept)
        assert again.row["ordinals"].tolist() == outcome.row["ordinals"].tolist()
        assert (again.row["points"] == outcome.row["points"]).all()


@pytest.mark.parametrize("model", ["offline", "online"])
def test_reasons_are_known_before_the_model(video: Path, model: str) -> None:
    stage = Track(grid=8, backend=f"cotracker3:{model}")
    tiny = keypoints()
    tiny[:, :2] = tiny[:, :2] * 0.02 + [100, 100]
    (item,) = stage.items(tables(video, [0, 1], tiny))
    with pytest.raises(Early) as caught:
        next(stage.read(item))
    assert isinstance(caught.value.outcome, Dropped)
    assert (caught.value.outcome.reason, caught.value.outcome.threshold) == ("mask-too-small", 64)
    unseen = keypoints() * [1, 1, 0]
    (item,) = stage.items(tables(video, [0, 1], unseen))
    assert run_alone(stage, item) == Dropped("no-mask")


@pytest.mark.parametrize("model", ["offline", "online"])
def test_frames_of_another_size_or_number_fail_the_clip(
    cotracker_models: Path, video: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    stage = small(cotracker_models, monkeypatch, backend=f"cotracker3:{model}")
    found = tables(video, [0, 1])
    found.tables["keypoints"][0]["width"] = WIDTH + 2
    (item,) = stage.items(found)
    with pytest.raises(InputError, match=f"{WIDTH}×{HEIGHT} frames") as caught:
        list(stage.read(item))
    assert caught.value.code == "frame-size"
    (item,) = stage.items(tables(video, [10, 11, 12]))  # there are 12
    with pytest.raises(InputError) as caught:
        run_alone(stage, item)
    assert caught.value.code == "frames-missing"


def test_parameters_alone_choose_the_model() -> None:
    assert mode_of(Track(backend="cotracker3")) == "batches"
    assert mode_of(Track(backend="cotracker3", frames=3000)) == "streams"
    assert mode_of(Track(backend="cotracker3", memory_gb=1)) == "streams"
    assert mode_of(Track(backend="cotracker3", frames=3000, memory_gb=500)) == "batches"
    assert mode_of(Track(backend="cotracker3:offline", frames=3000)) == "batches"
    assert mode_of(Track(backend="cotracker3:online")) == "streams"
    assert mode_of(Track(frames=3000)) == "items"
    assert Track(backend="cotracker3").batch_start(cuda=True) == 1


def test_the_memory_is_no_part_of_the_identity_and_the_model_is(
    cotracker_models: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTIONKIT_MODELS", str(cotracker_models))
    found = tables(video, [0, 1])
    named = Track(backend="cotracker3:offline").identity(found)
    assert Track(backend="cotracker3").identity(found) == named
    assert Track(backend="cotracker3", memory_gb=8).identity(found) == named
    assert Track(backend="cotracker3", memory_gb=1).identity(found) != named


def test_missing_weights_stop_the_stage_and_not_the_recipe(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTIONKIT_MODELS", str(tmp_path))
    stage = Track(backend="cotracker3")
    for call in (stage.check, lambda: stage.identity(tables(video, [0, 1]))):
        with pytest.raises(weights.ModelMissing, match="cotracker3"):
            call()
    Track().check()
