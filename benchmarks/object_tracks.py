"""Holds the embedded tracker against the exact tracks of a rendered world of objects.

The world goes through `ingest`, `expressions` and `track` as a user's MeViS does; the grid's points
are then mapped through each object's own motion. Prints the mean error of points in sight, overall
and by motion, the share of right words on visibility, and how many hidden points were told.
Usage: python -m benchmarks.object_tracks [--videos 44] [--seed 0] [--backend lucas-kanade]
"""

from __future__ import annotations

import argparse
import collections
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from motionkit.engines.local import EngineOptions
from motionkit.pipeline import run_step
from motionkit.recipes import load_recipe
from motionkit.records import unflatten
from motionkit.stages.track import Track
from motionkit.synth.objects.spec import WorldSpec
from motionkit.synth.objects.truth import load_truth
from motionkit.synth.objects.write import write_world
from motionkit.workspace import Workspace

#: Mean error of rigid objects in pixels at 640 x 360, and share of right words: what is promised.
ERROR, RIGHT = 2.0, 0.85


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--videos", type=int, default=44)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", default="lucas-kanade")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "world"
        began = time.perf_counter()
        spec = WorldSpec(seed=options.seed, sentences=1)
        write_world(folder, spec, {"train": options.videos}, workers=os.cpu_count() or 1)
        took = time.perf_counter() - began
        print(f"{options.videos} videos, {options.videos * spec.frames / took:.0f} frames/s")
        workspace = Workspace.create(Path(name) / "ws")
        recipe = load_recipe("mevis")
        ingest = type(recipe.steps["ingest"])(sources=(str(folder),))
        track = Track(backend=options.backend)
        steps = {"ingest": ingest, "expressions": recipe.steps["expressions"], "track": track}
        for step, parameters in steps.items():
            print(f"{step:<12}", run_step(workspace, step, parameters, EngineOptions()).line)
        found = compare(workspace, folder)
    return report(found)


def compare(workspace: Workspace, folder: Path) -> list[dict[str, Any]]:
    """Of each object: its facts, error [T - 1, N], and what is true and said of visibility."""
    columns = ["clip_id", "source_video", "object_ids"]
    said = {row["clip_id"]: row for row in workspace.rows("expressions", columns)}
    found, done = [], set()
    columns = ["clip_id", "frames", "grid", "ordinals", "points", "visible"]
    for row in workspace.rows("tracks", columns):
        video, objects = (said[row["clip_id"]][key] for key in ("source_video", "object_ids"))
        if (video, *objects) in done or len(objects) > 1:  # another sentence on the same object
            continue
        done.add((video, *objects))
        shape = (row["frames"], row["grid"] ** 2)
        points = unflatten(row["points"], *shape, 2)
        visible = unflatten(row["visible"], *shape)
        ordinals = np.asarray(row["ordinals"])
        truth = load_truth(folder / "train" / "truth" / f"{video}.npz")
        tracks, seen, owner = truth.truth_of(points[0], int(ordinals[0]), objects)
        own = owner >= 0
        thing = truth.objects[objects[0]]
        found.append(
            {
                "motion": thing.motion,
                "speed": thing.speed,
                "rigid": not thing.deforming,
                "error": np.linalg.norm(points - tracks[ordinals], axis=-1)[1:, own],
                "seen": seen[ordinals][1:, own],
                "visible": visible[1:, own],
            }
        )
    return found


def numbers(rows: list[dict[str, Any]]) -> tuple[float, float, float]:
    """Mean and median error of points in sight, and the share of right words on visibility."""
    error = np.concatenate([r["error"][r["seen"]] for r in rows])
    right = np.concatenate([(r["seen"] == r["visible"]).ravel() for r in rows])
    return float(error.mean()), float(np.median(error)), float(right.mean())


def report(found: list[dict[str, Any]]) -> int:
    """Print the figures; 1 where they are not what is promised."""
    rigid = [row for row in found if row["rigid"]]
    groups = collections.defaultdict(list)
    for row in rigid:
        groups[row["motion"]].append(row)
    by_motion = {motion: numbers(rows) for motion, rows in groups.items()}
    for motion, (mean, _, right) in sorted(by_motion.items(), key=lambda item: -item[1][0]):
        print(f"  {motion:<20} {mean:6.2f} px   visibility {right:.3f}")
    for name, rows in (("rigid", rigid), ("all", found)):
        mean, middle, right = numbers(rows)
        print(f"{name}: {len(rows)} objects, {mean:.2f} px (median {middle:.2f}), "
              f"visibility right {right:.3f}")  # fmt: skip
    hidden = np.concatenate([~r["visible"][~r["seen"]] for r in found])
    shown = np.concatenate([r["visible"][r["seen"]] for r in found])
    print(f"hidden: {hidden.size} points ({hidden.size / (hidden.size + shown.size):.1%}), "
          f"{hidden.mean():.1%} of them told; of those in sight {shown.mean():.1%}")  # fmt: skip
    mean, _, right = numbers(rigid)
    return 0 if mean <= ERROR and right >= RIGHT else 1


if __name__ == "__main__":
    sys.exit(main())
