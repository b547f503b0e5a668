"""Verdicts over many stored shots: the stage `filter`, and what another threshold would keep.

The rows of `detections` are made here: shots of about 10 s, measured ten times a second, in which
filters fail here and there. Each command runs as a process of its own, so that its start and its
peak memory count.
Usage: python -m benchmarks.filter_speed [--shots 100000]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from motionkit.recipes import parameters_of
from motionkit.stage import fingerprint_of, shot_id
from motionkit.stages.detect import measured_ordinals, motion_columns
from motionkit.workspace import Workspace

#: `filter` on one core, seconds for 25,000 shots; a dry run over 100,000 and its memory.
FILTER_S, DRY_RUN_S, MEMORY_MB = 60.0, 30.0, 1500
_POOL = 500


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shots", type=int, default=100_000)
    options = parser.parse_args()
    share = options.shots / 100_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ws"
        began = time.perf_counter()
        # In a process of its own: a child's peak memory counts what its parent had at the fork.
        maker = multiprocessing.get_context("spawn").Process(
            target=fill, args=(path, options.shots)
        )
        maker.start()
        maker.join()
        size = sum(f.stat().st_size for f in path.rglob("*.parquet"))
        print(f"{options.shots} shots, {size / 1e9:.2f} GB of detections, "
              f"made in {time.perf_counter() - began:.0f} s", flush=True)  # fmt: skip
        good = measure(["filter"], path, 4 * FILTER_S * share)
        dry = ["filter", "--dry-run", "--set", "camera.max=0.002"]
        good &= measure(dry, path, DRY_RUN_S * share)
        good &= measure([*dry, "--sweep", "speed.max"], path, DRY_RUN_S * share)
        good &= measure([*dry, "--sweep", "all"], path, None)
    return 0 if good else 1


def measure(arguments: list[str], path: Path, limit_s: float | None) -> bool:
    """Run one command; print seconds, processor time and peak memory. Whether the last two are
    within bounds: how long it takes depends on what else the machine does."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "motionkit", *arguments, "-w", str(path), "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    text = process.stdout.read()
    _, code, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - began
    memory, busy = usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime
    good = code == 0 and memory < MEMORY_MB and (limit_s is None or busy < limit_s)
    bound = f" (at most {limit_s:.0f} s busy, {MEMORY_MB} MB)" if limit_s else ""
    print(f"{' '.join(arguments):<60}{took:7.1f} s, {busy:5.1f} s busy, {memory:5.0f} MB{bound}"
          f"{'' if good else '   MISSED'}", flush=True)  # fmt: skip
    if code:
        print(text)
    return good


def fill(path: Path, shots: int) -> None:
    """A workspace whose `detections` hold ``shots`` shots."""
    workspace = Workspace.create(path)
    for table in ("videos", "scans"):
        workspace.set_current(table, "0" * 32, {"stage": table, "version": 1, "parameters": {}})
    stage: Any = parameters_of("detect")()
    fingerprint = fingerprint_of(stage, workspace)
    about = {"stage": "detect", "version": stage.version, "parameters": {}}
    workspace.set_current("detections", fingerprint, about)
    rng = np.random.default_rng(0)
    pool = [one_shot(rng) for _ in range(_POOL)]
    for start in range(0, shots, _POOL):
        rows = []
        for number in range(start, min(start + _POOL, shots)):
            row = dict(pool[number - start], video_id=f"v{number:015d}")
            # Other digits in every row, as real ones have.
            noise = rng.normal(0, 0.05, row["keypoints"].shape).astype(np.float32)
            row["keypoints"] = row["keypoints"] + noise
            row["item_id"] = shot_id(row["video_id"], row["first"], row["last"])
            row.update(fingerprint=fingerprint, outcome="kept", attempt=1)
            rows.append(row)
        workspace.write_part("detections", rows)
        if start // _POOL % 20 == 19:
            workspace.compact("detections", fingerprint)
    workspace.compact("detections", fingerprint)


def one_shot(rng: np.random.Generator) -> dict[str, Any]:
    """A row of `detections` without its names."""
    count = int(rng.uniform(150, 450))
    times = np.arange(count + 1) / 30
    ordinals = measured_ordinals(times[:-1], 10)
    frames = len(ordinals)

    def moments(share: float, length: float) -> np.ndarray:
        """Flags [frames]: stretches of about ``length`` frames, ``share`` of the time."""
        out = np.zeros(frames, bool)
        for begin in np.flatnonzero(rng.random(frames) < share / length):
            out[begin : begin + 1 + int(rng.exponential(length))] = True
        return out

    keypoints = np.ones((frames, 17, 3))
    walk = np.cumsum(rng.normal(0, 3, (frames, 1, 2)), axis=0)
    stand = rng.uniform(0, 1, (1, 17, 2)) * [150, 600]
    keypoints[..., :2] = 500 + stand + walk + rng.normal(0, 3, (frames, 17, 2))
    keypoints[..., 2] = rng.uniform(0.6, 1.0, (frames, 17))
    keypoints[moments(0.2, 25), 13:, 2] = 0.05
    keypoints[moments(0.1, 5), :8, 2] = 0.3
    keypoints[moments(0.02, 1), :, :2] += 500
    person = np.zeros(frames, np.int32)
    person[moments(0.1, 20)] = -1
    boxes = np.ones((frames, 5), np.float32)
    boxes[:, :2] = keypoints[..., :2].min(1)
    boxes[:, 2:4] = keypoints[..., :2].max(1)
    boxes[moments(0.1, 30), 3] -= 300
    camera = np.abs(rng.normal(0, 0.0003, count))
    if rng.random() < 0.4:
        begin = int(rng.uniform(0, count))
        camera[begin : begin + int(rng.exponential(90))] += rng.uniform(0, 0.005)
    boxes[person < 0] = keypoints[person < 0] = 0
    return {
        "first": 0, "last": count - 1, "width": 1920, "height": 1080, "ordinals": ordinals,
        "times_s": times[ordinals], "boxes": boxes, "keypoints": keypoints.astype(np.float32),
        "person": person, "camera": np.zeros(frames, np.float32), "camera_kind": "static",
        "source_times_s": times, "source_camera": camera.astype(np.float32),
        "backend": "made", **motion_columns(keypoints, person, times[ordinals]),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
