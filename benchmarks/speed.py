"""Ratios measured side by side in one run: each stage against the bare work under it.

`scan` has a benchmark of its own, `scan_speed`.

- pose against the bare model on the same frames, decoded beforehand;
- the renderer in frames a second on one core.
Usage: python -m benchmarks.speed [--rounds 3]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from motionkit.engines.local import EngineOptions
from motionkit.pipeline import run_step
from motionkit.recipes import load_recipe, parameters_of
from motionkit.stage import Item
from motionkit.synth.library import render_library
from motionkit.video.decode import read_frames
from motionkit.workspace import Workspace


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "videos"
        count = 6
        took = seconds(lambda: render_library(folder, count=count, seed=5, workers=1))
        workspace = Workspace.create(Path(name) / "ws")
        recipe = load_recipe("people")
        for step in ("ingest", "scan", "detect", "filter"):
            parameters = recipe.steps[step]
            if step == "ingest":
                parameters = parameters_of("ingest")(sources=(str(folder),))
            run_step(workspace, step, parameters, EngineOptions())
        videos = list(workspace.rows("videos", ["path", "frames_decoded", "video_id"]))
        frames = sum(row["frames_decoded"] for row in videos)
        print(f"synth: {frames / took:.0f} frames/s at 640x360 on one core, encoding included")
        pose(recipe.steps["pose"], workspace, options.rounds)
    return 0


def pose(stage: Any, workspace: Workspace, rounds: int) -> None:
    items: list[Item] = list(stage.items(workspace))[:3]
    stage.setup()
    estimator = stage.estimator
    decoded = []
    for item in items:
        first, count = item.data["first"], len(item.data["times_s"])
        chunks = read_frames(item.data["path"], first=first, last=first + count - 1)
        pictures = np.concatenate([chunk.frames for chunk in chunks])
        times = np.asarray(item.data["times_s"])
        boxes = np.stack(
            [np.interp(times, item.data["box_times_s"], column) for column in item.data["boxes"].T],
            1,
        )
        decoded.append((pictures, boxes[:, :4]))

    def bare() -> None:
        for pictures, boxes in decoded:
            estimator.reset()
            estimator.estimate(pictures, boxes)

    def work() -> None:
        for item in items:
            stage.process(item)

    plain = statistics.median(seconds(bare) for _ in range(rounds))
    whole = statistics.median(seconds(work) for _ in range(rounds))
    frames = sum(len(pictures) for pictures, _ in decoded)
    print(f"pose: {whole / plain:.2f} x the time of the bare model on frames decoded beforehand "
          f"({frames / whole:.0f} against {frames / plain:.0f} frames/s)")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
