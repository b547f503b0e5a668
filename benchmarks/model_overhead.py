"""What a stage takes beside its model: the whole stage against the bare model on the same frames,
decoded and prepared before.

    python -m benchmarks.model_overhead [--videos 4] [--rounds 2] [NAME …]

The models are the real architectures with random weights, on rendered videos, on the CPU (or the
first CUDA device). Bare: one process with the same number of threads calls the stage's `infer`
(the library's own model and post-processing) on batches that lie in memory, or its `follow` where
the model has a memory of its own. Stage: the engine, from files to rows, timed from the end of the
first quarter of the clips to the end of the last, so that neither side counts starting up and
loading. Bare and stage take turns; the ratio is that of the medians. The second figure is the most
memory that the stage's processes held together. Names: pose, detect, track, track-online, masks,
sam2; those whose package is absent are named as skipped.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from motionkit import devices
from motionkit.engines.local import EngineOptions, run_stage
from motionkit.errors import MotionkitError
from motionkit.stage import Chunk, joined, mode_of, units_of
from motionkit.stages.detect import Detect
from motionkit.stages.filter import Filter
from motionkit.stages.ingest import Ingest
from motionkit.stages.masks import Masks
from motionkit.stages.pose import Pose
from motionkit.stages.scan import Scan
from motionkit.stages.track import Track
from motionkit.synth.library import render_library
from motionkit.workspace import Workspace
from tests.backends import random_models

LIMIT = 1.10
#: Toys in size, whose ratio says nothing: what they add a unit is what counts.
TOYS = {"sam2"}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--videos", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    device = devices.find()[0][0]
    device = dataclasses.replace(device, threads=0 if device.is_cuda else os.cpu_count() or 1)
    worst = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["MOTIONKIT_MODELS"] = str(folder / "models")
        workspace = prepared(folder, options.videos)
        for kind, make in STAGES.items():
            if options.names and kind not in options.names:
                continue
            try:
                stage = make(folder / "models")
            except (ImportError, MotionkitError) as error:
                print(f"{kind}: skipped: {error}", flush=True)
                continue
            ratio = compare(kind, stage, workspace, folder, device, options.rounds)
            worst = max(worst, 0.0 if kind in TOYS else ratio)
    print(f"worst ratio {worst:.2f} (wanted: at most {LIMIT:.2f})")
    return 0 if worst <= LIMIT else 1


def prepared(folder: Path, videos: int) -> Workspace:
    """A workspace with the clips of rendered videos and their embedded keypoints."""
    render_library(folder / "videos", count=videos, seed=3, static_only=True, seconds=4.0)
    workspace = Workspace.create(folder / "workspace")
    for stage in (Ingest(sources=(str(folder / "videos"),)), Scan(), Detect(), Filter(), Pose()):
        run_stage(workspace, stage)
    return workspace


def pose(models: Path) -> Any:
    """ViTPose small through transformers."""
    return Pose(backend=random_models.save_vitpose(models, "small", "simple"))


def detect(models: Path) -> Any:
    """YOLO11 nano, which sees some people who are not there."""
    return Detect(backend=random_models.save_yolo_pose(models, bias=1.0))


def track(models: Path) -> Any:
    """CoTracker3, offline, 6 x 6 points, 30 frames."""
    random_models.save_cotracker(models, checkout())
    return Track(backend="cotracker3:offline")


def track_online(models: Path) -> Any:
    """CoTracker3, online."""
    random_models.save_cotracker(models, checkout())
    return Track(backend="cotracker3:online", frames=60)


def masks(models: Path) -> Any:
    """YOLO11 nano segmentation, every third frame."""
    return Masks(backend=random_models.save_yolo_seg(models), every=3)


def sam2(models: Path) -> Any:
    """A toy-sized SAM 2: the published ones take 2 s a frame on two cores and more."""
    return Masks(backend=random_models.save_sam2(models), every=3)


STAGES: dict[str, Callable[[Path], Any]] = {
    "pose": pose,
    "detect": detect,
    "track": track,
    "track-online": track_online,
    "masks": masks,
    "sam2": sam2,
}


def checkout() -> Path:
    """CoTracker3's code, where the user keeps it."""
    found = os.environ.get("MOTIONKIT_COTRACKER")
    if not found:
        raise ImportError("set MOTIONKIT_COTRACKER to a checkout of facebookresearch/co-tracker")
    return Path(found)


def compare(
    kind: str, stage: Any, workspace: Workspace, folder: Path, device: devices.Device, rounds: int
) -> float:
    """Print and return the ratio of one stage."""
    bare, whole, peaks = [], [], []
    for number in range(rounds):
        bare.append(in_process(bare_times, stage, workspace.path, device))
        # Links will do: a workspace's files are replaced, never changed.
        own = shutil.copytree(workspace.path, folder / f"{kind}-{number}", copy_function=os.link)
        with Peak() as peak:
            whole.append(stage_time(stage, Workspace(own), bare[-1]["units"], device))
        peaks.append(peak.gb)
    per_unit = statistics.median(b["seconds"] for b in bare)
    staged = statistics.median(whole)
    ratio = staged / per_unit
    print(f"{kind} ({stage.backend}, {device.name} {device.precision}): {ratio:.2f} x the bare "
          f"model ({1e3 * staged:.1f} against {1e3 * per_unit:.1f} ms a unit, "
          f"{sum(bare[0]['units'])} units in {len(bare[0]['units'])} clips), "
          f"{max(peaks):.1f} GB", flush=True)  # fmt: skip
    return ratio


def in_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a call in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def bare_times(stage: Any, workspace: Path, device: devices.Device) -> dict[str, Any]:
    """Seconds a unit of the model alone, over the last three quarters of the clips, and the units
    of each clip."""
    stage.setup_reader()
    read = [(item, [copied(c) for c in stage.read(item)]) for item in stage.items(
        Workspace(workspace))]  # fmt: skip
    devices.use(device)
    stage.setup()
    units = [sum(map(units_of, chunks)) for _, chunks in read]
    first = first_clip(units)
    if mode_of(stage) == "streams":
        stage.follow(read[0][0], iter(read[0][1]))
        began = time.perf_counter()
        for item, chunks in read[first:]:
            stage.follow(item, iter(chunks))
    else:
        start = getattr(stage, "batch_start", lambda cuda: 16 if cuda else 4)(device.is_cuda)
        late = list(in_batches([c for _, chunks in read[first:] for c in chunks], start))
        stage.infer(late[0])
        began = time.perf_counter()
        for batch in late:
            stage.infer(batch)
    return {"seconds": (time.perf_counter() - began) / sum(units[first:]), "units": units}


def first_clip(units: list[int]) -> int:
    """The clip from whose end on both sides are timed. Clips differ in what they cost."""
    return max(1, len(units) // 4)


def copied(chunk: Chunk) -> Chunk:
    """A chunk of its own memory."""
    return {name: values.copy() for name, values in chunk.items()}


def in_batches(chunks: list[Chunk], size: int) -> Any:
    """All units as batches of ``size`` (the last one of each shape may be smaller)."""
    shapes: dict[Any, list[Chunk]] = {}
    for chunk in chunks:
        key = tuple((n, v.dtype.str, v.shape[1:]) for n, v in chunk.items())
        shapes.setdefault(key, []).append(chunk)
    for same in shapes.values():
        whole = joined(same)
        for at in range(0, units_of(whole), size):
            yield {name: values[at : at + size] for name, values in whole.items()}


def stage_time(stage: Any, workspace: Workspace, units: list[int], device: devices.Device) -> float:
    """Seconds a unit of the whole stage, over the last three quarters of the clips."""
    marks: list[float] = []

    def progress(name: str, done: int, total: int) -> None:
        marks.append(time.perf_counter())  # [0] at the start, then one a clip

    options = EngineOptions(device=device.name, precision=device.precision)
    made = run_stage(workspace, stage, options, progress=progress)
    if made.failed:
        raise SystemExit(f"{stage.name}: {made.failed}")
    first = first_clip(units)
    return (marks[-1] - marks[first]) / sum(units[first:])


class Peak:
    """The most memory of all processes below this one, in GB: resident sets added up, so what is
    shared counts more than once. Looked at seldom and cheaply: it costs the process time."""

    def __enter__(self) -> Peak:
        self.gb, self._stop = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(1.0):
            self.gb = max(self.gb, sum(map(_rss, _below(os.getpid()))) / 1e9)


def _below(pid: int) -> list[int]:
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            found += [child, *_below(child)]
    return found


def _rss(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # it has ended
        return 0


if __name__ == "__main__":
    sys.exit(main())
