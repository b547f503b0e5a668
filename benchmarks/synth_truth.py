"""Holds scan and the embedded poses against the truth of rendered videos.

Prints: cuts F1; F1 of frames with a moving camera; mean keypoint error in % of body height on
static single-person videos. Usage: python -m benchmarks.synth_truth [--count 64] [--seed 11]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from motionkit.engines.local import EngineOptions
from motionkit.pipeline import run_step
from motionkit.recipes import load_recipe
from motionkit.records import unflatten
from motionkit.synth.library import render_library
from motionkit.video.camera import camera_moving
from motionkit.workspace import Workspace


def f1(hits: int, found: int, true: int) -> float:
    return 2 * hits / (found + true) if found + true else 1.0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "videos"
        render_library(folder, count=options.count, seed=options.seed, workers=os.cpu_count() or 1)
        workspace = Workspace.create(Path(name) / "ws")
        recipe = load_recipe("people")
        for step in ("ingest", "scan", "detect", "filter", "pose"):
            parameters = recipe.steps[step]
            if step == "ingest":
                parameters = type(parameters)(sources=(str(folder),))
            print(step, run_step(workspace, step, parameters, EngineOptions()).line, flush=True)

        stems = {
            r["video_id"]: Path(r["path"]).stem
            for r in workspace.rows("videos", ["video_id", "path"])
        }
        scans(workspace, folder, stems)
        poses(workspace, folder, stems)
    return 0


def scans(workspace: Workspace, folder: Path, stems: dict[str, str]) -> None:
    cut_hits = cut_found = cut_true = moving_hits = moving_found = moving_true = 0
    for row in workspace.rows("scans", ["video_id", "camera", "shots"]):
        truth = np.load(folder / "truth" / f"{stems[row['video_id']]}.npz")
        true_cuts = set(truth["cuts"].tolist())
        cuts = {shot["first"] for shot in row["shots"]} - {0}
        cut_hits += sum(any(abs(c - t) <= 1 for t in true_cuts) for c in cuts)
        cut_found, cut_true = cut_found + len(cuts), cut_true + len(true_cuts)
        true, found = truth["camera_moving"].astype(bool), camera_moving(row["camera"])
        skip = [i + d for i in [0, *true_cuts] for d in (-1, 0, 1) if 0 <= i + d < len(true)]
        judged = np.ones(len(true), bool)
        judged[skip] = False  # at a cut neither word fits
        moving_hits += int((true & found & judged).sum())
        moving_found += int((found & judged).sum())
        moving_true += int((true & judged).sum())
    print(f"cuts: F1 {f1(cut_hits, cut_found, cut_true):.3f} ({cut_true} true, {cut_found} found)")
    print(f"camera-moving frames: F1 {f1(moving_hits, moving_found, moving_true):.3f} "
          f"({moving_true} true, {moving_found} found)")  # fmt: skip


def poses(workspace: Workspace, folder: Path, stems: dict[str, str]) -> None:
    errors, clips = [], 0
    for row in workspace.rows("keypoints", ["video_id", "m2d", "ordinals"]):
        stem = stems[row["video_id"]]
        truth = np.load(folder / "truth" / f"{stem}.npz")
        if truth["camera_moving"].any() or len(truth["cuts"]) or truth["keypoints"].shape[1] > 1:
            continue
        true = truth["keypoints"][row["ordinals"], 0]
        found = unflatten(row["m2d"], -1, 18, 3)[:, :17]
        size = np.ptp(true[:, :, 1], axis=1).max()
        both = (found[:, :, 2] > 0) & (true[:, :, 2] > 0)
        distance = np.linalg.norm(found[:, :, :2] - true[:, :, :2], axis=2) / size
        errors.append(distance[both])
        clips += 1
    if not errors:
        print("keypoints: no static single-person clip was kept")
        return
    joined = np.concatenate(errors)
    print(f"keypoints: mean error {100 * joined.mean():.2f} % of body height, median "
          f"{100 * np.median(joined):.2f} %, on {clips} static single-person clips")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
