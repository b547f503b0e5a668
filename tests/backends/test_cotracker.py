"""CoTracker3 against the library's own predictors, with random weights.

Pictures are made small and iterations few, for both sides alike: the weights, and so the
architecture, are the real ones.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from motionkit import devices, weights
from motionkit.backends import cotracker
from motionkit.backends.cotracker import INNER, CoTracker3, choose_model, offline_bytes
from motionkit.backends.cotracker_windows import Windows
from motionkit.backends.tracking import QueryOutside, Workload, open_tracker
from motionkit.errors import InputError, UsageError
from motionkit.stage import joined

torch = pytest.importorskip("torch")

SMALL = (48, 64)
HEIGHT, WIDTH = 101, 143


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Several wait for each other on a busy machine, and there is little to do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def predictors(cotracker_models: Path) -> Iterator[Any]:
    """The library's module of predictors, from the same checkout."""
    code = str(cotracker_models / "cotracker3" / "code")
    sys.path.insert(0, code)
    with torch.random.fork_rng(devices=[]):
        yield importlib.import_module("cotracker.predictor")
    sys.path.remove(code)
    for name in [name for name in sys.modules if name.partition(".")[0] == "cotracker"]:
        del sys.modules[name]


@pytest.fixture
def models(cotracker_models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOTIONKIT_MODELS", str(cotracker_models))
    monkeypatch.setattr(cotracker, "ITERATIONS", 2)
    return cotracker_models / "cotracker3"


def film(frames: int, seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A texture that moves 2 pixels a frame to the left and 1 up."""
    noise = np.random.default_rng(seed).normal(0, 1, (height + frames, width + 2 * frames, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    picture = np.clip(127 + 50 * smooth / smooth.std(), 0, 255).astype(np.uint8)
    return np.stack([picture[t : t + height, 2 * t : 2 * t + width] for t in range(frames)])


def queries(*at: int, seed: int = 1) -> np.ndarray:
    """One query for every frame index, anywhere in the picture."""
    share = np.random.default_rng(seed).uniform(0, 1, (len(at), 2))
    xy = share * [WIDTH - 1, HEIGHT - 1]
    return np.concatenate([np.array(at)[:, None], xy], 1).astype(np.float32)


def small(tracker: CoTracker3) -> CoTracker3:
    """Loaded, and working at small pictures."""
    tracker.inner = SMALL
    tracker.setup()
    return tracker


def theirs(predictors: Any, models: Path, model: str, inner: tuple[int, int], few: bool) -> Any:
    """The library's predictor of a model, brought to ``inner``."""
    name = "CoTrackerPredictor" if model == "offline" else "CoTrackerOnlinePredictor"
    predictor = getattr(predictors, name)(checkpoint=str(models / f"scaled_{model}.pth"))
    predictor.interp_shape = predictor.model.model_resolution = inner
    if few:
        whole = predictor.model.forward

        @functools.wraps(whole)
        def fewer(*args: Any, **options: Any) -> Any:
            return whole(*args, **{**options, "iters": 2})

        predictor.model.forward = fewer
    return predictor


def as_video(frames: np.ndarray) -> Any:
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)[None].float()


def test_offline_tracks_are_those_of_the_predictor(predictors: Any, models: Path) -> None:
    frames, wanted = film(5), queries(0, 0, 3)
    predictor = theirs(predictors, models, "offline", SMALL, few=True)
    xy, seen = predictor(as_video(frames), queries=torch.from_numpy(wanted)[None])
    found = small(CoTracker3("offline")).track(frames, wanted)
    assert found.points.dtype == found.confidence.dtype == np.float32
    np.testing.assert_allclose(found.points, xy[0].numpy(), rtol=0, atol=1e-3)
    assert (found.visible == seen[0].numpy()).all()
    assert 0 < found.visible.mean() < 1  # or the comparison would say little
    assert np.abs(np.diff(found.points, axis=0)).max() > 1
    assert (found.points[[0, 0, 3], [0, 1, 2]] == wanted[:, 1:]).all()  # queries stay exact
    assert found.visible[[0, 0, 3], [0, 1, 2]].all()


def test_confidence_is_visibility_times_confidence_of_the_model(
    predictors: Any, models: Path
) -> None:
    frames, wanted = film(3), queries(0, 0)
    predictor = theirs(predictors, models, "offline", SMALL, few=True)
    raw: list[Any] = []
    forward = predictor.model.forward
    predictor.model.forward = lambda **options: raw.append(forward(**options)) or raw[-1]
    predictor(as_video(frames), queries=torch.from_numpy(wanted)[None])
    expected = (raw[0][1] * raw[0][2])[0, :, :2].numpy()
    found = small(CoTracker3("offline")).track(frames, wanted)
    np.testing.assert_allclose(found.confidence, expected, rtol=0, atol=1e-3)


def test_the_model_works_at_its_own_size_and_iterations(
    predictors: Any, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("MOTIONKIT_MODELS", str(models.parent))
    frames, wanted = film(2), queries(0)
    predictor = theirs(predictors, models, "offline", INNER, few=False)
    xy, seen = predictor(as_video(frames), queries=torch.from_numpy(wanted)[None])
    found = CoTracker3("offline").track(frames, wanted)
    np.testing.assert_allclose(found.points, xy[0].numpy(), rtol=0, atol=1e-3)
    assert (found.visible == seen[0].numpy()).all()


def test_a_batch_of_clips_gives_what_single_calls_give(models: Path) -> None:
    tracker = small(CoTracker3("offline"))
    one = tracker.prepare(film(4), queries(0, 2))
    other = tracker.prepare(film(4, 7, 80, 61), queries(0, 1, seed=3) * [1, 0.4, 0.6])
    alone = tracker.infer(one) + tracker.infer(other)
    together = tracker.infer(joined([one, other]))
    for a, b in zip(alone, together, strict=True):
        assert (a.points == b.points).all() and (a.visible == b.visible).all()
        assert (a.confidence == b.confidence).all()


@pytest.mark.parametrize("length", [5, 19])
def test_online_tracks_are_those_of_the_predictor(
    predictors: Any, models: Path, length: int
) -> None:
    frames, wanted = film(length), queries(0, 2, length - 1)
    predictor = theirs(predictors, models, "online", SMALL, few=True)
    video, asked = as_video(frames), torch.from_numpy(wanted)[None]
    predictor(video_chunk=video, is_first_step=True, queries=asked)
    for start in range(0, max(1, length - predictor.step), predictor.step):
        chunk = video[:, start : start + 2 * predictor.step]
        xy, seen = predictor(video_chunk=chunk)
    found = small(CoTracker3("online")).track(frames, wanted)
    after = np.arange(length)[:, None] >= wanted[None, :, 0]
    np.testing.assert_allclose(found.points[after], xy[0].numpy()[after], rtol=0, atol=1e-3)
    assert (found.visible == (seen[0].numpy() & after)).all()
    assert ((found.confidence > cotracker.SEEN["online"]) == found.visible).all()
    # Before its query a point stands at it, unseen.
    assert (found.points[0, 2] == wanted[2, 1:]).all()
    assert not found.visible[~after].any() and not found.confidence[~after].any()


def test_the_online_state_does_not_grow_with_the_clip(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cotracker, "ITERATIONS", 1)
    held = []
    forget = Windows._forget

    def watched(windows: Any) -> None:
        forget(windows)
        net = windows.network
        held.append((net.online_coords_predicted.shape[1], net.online_ind, windows.count))

    monkeypatch.setattr(Windows, "_forget", watched)
    found = small(CoTracker3("online")).track(film(33), queries(0))
    assert len(found.points) == 33
    assert held == [(16, 8, 16), (16, 8, 16), (16, 8, 16), (9, 8, 9)]


def test_online_tracks_do_not_depend_on_how_frames_come(models: Path) -> None:
    tracker, frames = small(CoTracker3("online")), film(6)
    whole = tracker.resized(frames)
    by_one = tracker.follow((frame[None] for frame in whole), queries(0), (HEIGHT, WIDTH))
    at_once = tracker.follow([whole], queries(0), (HEIGHT, WIDTH))
    assert (by_one.points == at_once.points).all()


@pytest.mark.parametrize("model", ["offline", "online"])
def test_no_queries_are_never_dense_tracks(models: Path, model: str) -> None:
    found = small(CoTracker3(model)).track(film(3), np.zeros((0, 3)))
    assert found.points.shape == (3, 0, 2)
    assert found.visible.shape == found.confidence.shape == (3, 0)


@pytest.mark.parametrize("model", ["offline", "online"])
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ([2, 5, 5], "frame 2, outside 0..1"),
        ([-1, 5, 5], "whole number"),
        ([0.5, 5, 5], "whole number"),
        ([0, WIDTH, 5], "outside the frame"),
        ([0, 5, -0.1], "outside the frame"),
        ([0, np.nan, 5], "outside the frame"),
    ],
)
def test_queries_outside_the_video_are_refused(
    models: Path, monkeypatch: pytest.MonkeyPatch, model: str, wrong: list[float], says: str
) -> None:
    monkeypatch.setattr(cotracker, "ITERATIONS", 1)
    with pytest.raises(ValueError, match=says) as caught:
        loaded(model).track(film(2), np.array([wrong]))
    assert isinstance(caught.value, QueryOutside) == (says == "outside the frame")


@functools.lru_cache
def loaded(model: str) -> CoTracker3:
    return small(CoTracker3(model))


@pytest.mark.parametrize("model", ["offline", "online"])
def test_frames_that_cannot_be_are_refused(models: Path, model: str) -> None:
    tracker = loaded(model)
    with pytest.raises(InputError, match="no frame") as caught:
        tracker.track([], queries(0))
    assert caught.value.code == "no-frames"
    with pytest.raises(ValueError, match="the one before"):
        tracker.track([film(1)[0], film(1)[0][1:]], queries(0))
    with pytest.raises(ValueError, match="uint8"):
        tracker.track(film(2) / 255.0, queries(0))


@pytest.mark.parametrize("model", ["offline", "online"])
def test_half_precision_stays_near_and_gives_float32(models: Path, model: str) -> None:
    exact = loaded(model).track(film(2), queries(0))
    devices.use(devices.Device("cpu", "bf16"))
    try:
        half = loaded(model).track(film(2), queries(0))
    finally:
        devices.use(devices.Device())
    assert half.points.dtype == half.confidence.dtype == np.float32
    assert np.abs(half.points - exact.points).max() < 1
    assert (half.points != exact.points).any()


def test_what_is_missing_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTIONKIT_MODELS", str(tmp_path))
    tracker = open_tracker("cotracker3:online")
    for call in (tracker.identity, tracker.check, tracker.setup):  # type: ignore[attr-defined]
        with pytest.raises(weights.ModelMissing) as caught:
            call()
        assert caught.value.hint and "motionkit models fetch cotracker3" in caught.value.hint


def test_identity_names_code_weights_and_model(models: Path) -> None:
    offline, online = CoTracker3("offline").identity(), CoTracker3("online").identity()
    assert offline["code"] == online["code"] == weights.find("cotracker3:code").sha256
    assert offline["weights"] == weights.find("cotracker3:offline").sha256
    assert offline["weights"] != online["weights"]
    assert (offline["model"], online["model"]) == ("offline", "online")


@pytest.mark.parametrize("content", ["online", "pickle", "empty"])
def test_another_file_is_no_checkpoint(
    cotracker_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    folder = tmp_path / "cotracker3"
    folder.mkdir()
    (folder / "code").symlink_to(cotracker_models / "cotracker3" / "code")
    file = folder / "scaled_offline.pth"
    if content == "online":
        file.symlink_to(cotracker_models / "cotracker3" / "scaled_online.pth")
    elif content == "pickle":  # would run code when loaded
        torch.save({"model": functools.partial(print, "it ran")}, file)
    else:
        torch.save({}, file)
    monkeypatch.setenv("MOTIONKIT_MODELS", str(tmp_path))
    with pytest.raises(UsageError, match="no checkpoint of cotracker3:offline"):
        CoTracker3("offline").setup()


def test_the_model_is_chosen_by_the_memory() -> None:
    short = Workload(frames=30, points=36)
    assert choose_model(short) == "offline"
    assert choose_model(Workload(frames=3000, points=36)) == "online"
    assert choose_model(Workload(frames=3000, points=36, memory_gb=200)) == "offline"
    needs = offline_bytes(30, 36) / 1e9
    assert choose_model(Workload(memory_gb=needs + 0.01)) == "offline"
    assert choose_model(Workload(memory_gb=needs - 0.01)) == "online"
    assert choose_model(Workload(frames=150, points=36)) == "offline"
    assert choose_model(Workload(frames=150, points=400)) == "online"
    # What is asked for by name is taken.
    long = Workload(frames=3000)
    named = open_tracker("cotracker3:offline", long)
    assert isinstance(named, CoTracker3) and named.model == "offline"
    chosen = open_tracker("cotracker3", long)
    assert isinstance(chosen, CoTracker3) and (chosen.model, chosen.mode) == ("online", "streams")
    with pytest.raises(UsageError, match="no model 'huge'"):
        open_tracker("cotracker3:huge")
