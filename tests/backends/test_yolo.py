"""The YOLO adapter against ultralytics' own call, with random weights."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from motionkit import devices
from motionkit.backends.people import detects_in_batches, person_detector
from motionkit.backends.yolo import DEFAULT, YoloDetector, letterbox
from motionkit.errors import MissingExtraError, UsageError
from motionkit.stage import joined, pieces
from motionkit.weights import ModelMissing


def frames_of(count: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Frames of coloured blocks: no channel and no corner is like another."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (count, height // 8 + 1, width // 8 + 1, 3), np.uint8)
    large = small.repeat(8, 1).repeat(8, 2)[:, :height, :width]
    return np.ascontiguousarray(large)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Any:
    if importlib.util.find_spec("ultralytics") is None:
        pytest.skip("needs the package ultralytics")
    folder = tmp_path_factory.mktemp("models")
    before = os.environ.get("MOTIONKIT_MODELS")
    os.environ["MOTIONKIT_MODELS"] = str(folder)
    from tests.backends.random_models import save_yolo_pose

    save_yolo_pose(folder, "yolo11n-pose", bias=3.5)
    yield folder
    if before is None:
        del os.environ["MOTIONKIT_MODELS"]
    else:
        os.environ["MOTIONKIT_MODELS"] = before


@pytest.fixture(scope="module")
def library(models: Path) -> Any:
    from motionkit.backends.ultralytics_import import import_ultralytics

    return import_ultralytics("tests").YOLO(str(models / "yolo" / "yolo11n-pose.pt"))


@pytest.fixture(scope="module")
def detector(models: Path) -> YoloDetector:
    made = YoloDetector("yolo11n-pose")
    made.setup()
    return made


def assert_same(found: list[Any], theirs: list[Any]) -> int:
    """Ours are theirs within 1e-3 px; returns how many people there are."""
    for ours, result in zip(found, theirs, strict=True):
        assert ours.boxes.dtype == ours.keypoints.dtype == np.float32
        assert ours.boxes.shape == (len(result.boxes), 5)
        assert ours.keypoints.shape == (len(result.boxes), 17, 3)
        np.testing.assert_allclose(ours.boxes, result.boxes.data.numpy()[:, :5], atol=1e-3)
        np.testing.assert_allclose(ours.keypoints, result.keypoints.data.numpy(), atol=1e-3)
    return sum(len(ours.boxes) for ours in found)


@pytest.mark.parametrize("size", [(331, 443), (720, 405), (97, 641)])
def test_people_are_those_of_the_library(
    detector: YoloDetector, library: Any, size: tuple[int, int]
) -> None:
    frames = frames_of(2, *size)
    theirs = library.predict([frame[..., ::-1] for frame in frames], verbose=False)
    found = detector.infer(detector.prepare(frames))
    assert assert_same(found, theirs) > 4
    swapped = detector.infer(detector.prepare(np.ascontiguousarray(frames[..., ::-1])))
    assert not np.array_equal(swapped[0].boxes, found[0].boxes)  # the colours have an order


def test_frames_of_several_clips_share_a_batch(detector: YoloDetector, library: Any) -> None:
    # Of one picture size after letterboxing, but of different sizes before.
    clips = [frames_of(3, 360, 640, 1), frames_of(1, 180, 320, 2), frames_of(2, 540, 960, 3)]
    together = detector.infer(joined([detector.prepare(frames) for frames in clips]))
    frames = [frame for clip in clips for frame in clip]
    for ours, frame in zip(together, frames, strict=True):
        assert_same([ours], library.predict([frame[..., ::-1]], verbose=False))
    alone = [
        people
        for clip in clips
        for unit in pieces(detector.prepare(clip), 1)
        for people in detector.infer(unit)
    ]
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-3)


def test_nobody_is_an_empty_frame_and_other_thresholds_are_kept_to(
    models: Path, detector: YoloDetector, library: Any
) -> None:
    frames = frames_of(3, 240, 320)
    units = detector.prepare(frames)
    many = YoloDetector("yolo11n-pose", score_min=0.05, people_max=7)
    none = YoloDetector("yolo11n-pose", score_min=0.99)
    many._network = none._network = detector._network
    found = many.infer(units)
    theirs = library.predict(
        [frame[..., ::-1] for frame in frames], conf=0.05, max_det=7, verbose=False
    )
    assert assert_same(found, theirs) == 21
    for people in none.infer(units):
        assert (people.boxes.shape, people.keypoints.shape) == ((0, 5), (0, 17, 3))


def test_a_slow_machine_loses_nobody(
    detector: YoloDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ultralytics.utils import nms

    units = detector.prepare(frames_of(3, 240, 320))
    before = [len(people.boxes) for people in detector.infer(units)]
    clock = iter(range(0, 10**9, 3600))  # an hour between two looks at the clock
    monkeypatch.setattr(nms.time, "time", lambda: float(next(clock)))
    assert [len(people.boxes) for people in detector.infer(units)] == before
    assert min(before) > 0


def test_half_precision_keeps_the_pixels(models: Path, detector: YoloDetector) -> None:
    units = detector.prepare(frames_of(2, 360, 640))
    exact = detector.infer(units)
    half = YoloDetector("yolo11n-pose")
    try:
        devices.use(devices.Device("cpu", "bf16"))
        half.setup()
        found = half.infer(units)
    finally:
        devices.use(devices.Device())
    a, b = exact[0].keypoints[0], found[0].keypoints
    nearest = np.abs(b[:, :, :2] - a[:, :2]).max((1, 2)).min()
    assert 0 < nearest < 8
    steps = found[0].boxes[:, :4] % 1  # a head in bf16 would say multiples of 4 or 2 pixels
    assert len(np.unique(steps)) > 8


def test_letterboxes_are_those_of_the_library(models: Path) -> None:
    from ultralytics.data.augment import LetterBox

    for height, width in [(1, 900), (37, 53), (720, 1280), (641, 639), (360, 640), (100, 33)]:
        frames = frames_of(1, height, width)
        theirs = LetterBox((640, 640), auto=True, stride=32)(image=frames[0])
        assert np.array_equal(letterbox(frames)[0], theirs), (height, width)


def test_letterboxing_keeps_the_shape_and_pads_evenly() -> None:
    out = letterbox(np.full((2, 100, 200, 3), 7, np.uint8))
    assert out.shape == (2, 320, 640, 3) and (out == 7).all()
    out = letterbox(np.full((1, 90, 200, 3), 7, np.uint8))
    assert out.shape == (1, 288, 640, 3) and (out == 7).all()
    out = letterbox(np.full((1, 95, 200, 3), 7, np.uint8))
    assert out.shape == (1, 320, 640, 3)
    rows = np.flatnonzero((out[0] == 7).all((1, 2)))
    assert (rows[0], rows[-1]) == (8, 311) and (out[0, :8] == 114).all()


def test_identity_names_the_weights(models: Path) -> None:
    identity = YoloDetector("yolo11n-pose").identity()
    assert identity["package"].startswith("ultralytics ")
    assert len(identity["weights"]) == 64
    assert identity["detector"]["score_min"] == 0.25


def test_absent_weights_and_wrong_names_are_told(models: Path) -> None:
    with pytest.raises(ModelMissing):
        YoloDetector("yolo11s-pose").identity()
    with pytest.raises(ModelMissing):
        YoloDetector("yolo11s-pose").setup()


def test_a_model_that_finds_no_people_is_refused(models: Path) -> None:
    from motionkit.backends.ultralytics_import import import_ultralytics

    other = import_ultralytics("tests").YOLO("yolo11n.yaml")
    other.save(models / "yolo" / "boxes.pt")
    with pytest.raises(UsageError, match="no YOLO model of people"):
        YoloDetector("boxes").setup()


class Evil:
    """What a file of bad intent holds: code that runs when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_a_file_that_would_run_code_is_refused(models: Path, tmp_path: Path) -> None:
    import torch

    torch.save({"model": Evil(tmp_path / "ran")}, models / "yolo" / "evil.pt")
    (models / "yolo" / "cut.pt").write_bytes(
        (models / "yolo" / "yolo11n-pose.pt").read_bytes()[:99]
    )
    for name in ("evil", "cut"):
        with pytest.raises(UsageError, match="cannot be loaded"):
            YoloDetector(name).setup()
    assert not (tmp_path / "ran").exists()


def test_a_file_outside_the_models_folder_is_never_loaded(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from motionkit import weights

    elsewhere = tmp_path / "evil.pt"
    elsewhere.write_bytes(b"\x80\x04")
    found = weights.ModelFiles("yolo:evil", elsewhere, "0" * 64, "")
    monkeypatch.setattr(weights, "find", lambda spec: found)
    with pytest.raises(UsageError, match="models folder"):
        YoloDetector("evil").setup()


@pytest.mark.parametrize("spec", ["yolo:../evil", "yolo:/tmp/evil", "yolo:", "yolo:a b", "yolov"])
def test_names_that_are_paths_are_refused(spec: str) -> None:
    with pytest.raises(UsageError):
        person_detector(spec)


def test_backends_are_named_by_specs() -> None:
    plain: Any = person_detector("yolo")
    assert detects_in_batches(plain) and plain.model == DEFAULT
    assert not detects_in_batches(person_detector("mediapipe"))


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="ultralytics") as error:
        YoloDetector().check()
    assert "motionkit[yolo]" in str(error.value.hint)


_ALONE = """
import socket, sys, os
def refuse(*args, **kwargs):
    print("NETWORK", args); raise OSError("no network here")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import subprocess
run = subprocess.Popen.__init__
def watched(self, args, *rest, **kwargs):
    if "pip" in str(args) or "uv" in str(args):
        print("INSTALLS", args)
    run(self, args, *rest, **kwargs)
subprocess.Popen.__init__ = watched
import numpy as np
from motionkit.backends.yolo import YoloDetector
detector = YoloDetector("yolo11n-pose")
detector.identity()
detector.setup()
found = detector.infer(detector.prepare(np.zeros((2, 90, 160, 3), np.uint8)))
assert len(found) == 2
from ultralytics import utils
from ultralytics.utils.events import events
print("state", events.enabled, utils.ONLINE, utils.AUTOINSTALL, utils.SETTINGS["sync"])
print("threads", os.environ.get("OMP_NUM_THREADS"), np.get_printoptions()["linewidth"])
print("modules", "ultralytics_platform" in sys.modules, "sentry_sdk" in sys.modules)
"""


@pytest.mark.parametrize("writable", [True, False])
def test_nothing_is_sent_and_nothing_is_written_outside_the_models_folder(
    models: Path, tmp_path: Path, writable: bool
) -> None:
    home, work, scratch = (tmp_path / name for name in ("home", "work", "tmp"))
    for folder in (home, work, scratch):
        folder.mkdir()
    settings = models / ".ultralytics"
    if not writable:  # a file in its place: even root cannot make a folder there
        import shutil

        shutil.rmtree(settings, ignore_errors=True)
        settings.write_bytes(b"")
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(scratch)}
    environment |= {"MOTIONKIT_MODELS": str(models), "PYTHONPATH": str(Path.cwd())}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ALONE],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
        )
    finally:
        if not writable:
            settings.unlink()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "state False False False False", "threads None 75", "modules False False",
    ]  # fmt: skip
    assert list(home.rglob("*")) == list(work.rglob("*")) == []
    assert bool(list(scratch.iterdir())) is not writable


_LATE = """
import ultralytics, ultralytics.nn.tasks, ultralytics.utils.checks, ultralytics.utils.events
from motionkit.backends.ultralytics_import import import_ultralytics
ultralytics.utils.events.events.enabled = True
assert import_ultralytics("tests") is ultralytics
print(ultralytics.utils.events.events.enabled, ultralytics.nn.tasks.SAFE_LOAD,
      ultralytics.utils.checks.AUTOINSTALL, ultralytics.utils.checks.ONLINE)
"""


def test_it_is_held_as_well_where_somebody_else_imported_it_before(
    models: Path, tmp_path: Path
) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        [sys.executable, "-c", _LATE], env=environment, capture_output=True, text=True
    )
    assert done.stdout.split()[-4:] == ["False", "True", "False", "False"], done.stderr


def test_readers_hold_opencv_to_one_thread() -> None:
    YoloDetector().setup_reader()
    assert cv2.getNumThreads() == 1
