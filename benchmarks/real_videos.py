"""`motionkit run people` on the real videos named by MOTIONKIT_REAL_DATA, against their labels.

Prints the camera verdict of each labelled video, and what became of each video and why.
"""

from __future__ import annotations

import csv
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from motionkit import catalogue
from motionkit.pipeline import run_recipe
from motionkit.recipes import load_recipe
from motionkit.records import unflatten
from motionkit.video.camera import is_moving
from motionkit.workspace import Workspace


def main() -> int:
    given = os.environ.get("MOTIONKIT_REAL_DATA", "../shared/data")
    root = Path(os.path.abspath(given)) / "videos"  # noqa: PTH100 - as ingest writes paths
    if not root.is_dir():
        print(f"skipped: no real videos at {root} (set MOTIONKIT_REAL_DATA)")
        return 0
    with tempfile.TemporaryDirectory() as name:
        workspace = Workspace.create(Path(name))
        run_recipe(
            workspace, load_recipe("people"), [str(root)],
            on_step=lambda result: print(f"{result.step:<8} {result.line}", flush=True),
        )  # fmt: skip
        labels = {}
        for row in csv.DictReader((root / "videos.csv").open(encoding="utf-8")):
            for path in sorted(root.glob(row["file"])):
                labels[str(path.absolute())] = row["camera"]
        wrong, judged = [], 0
        paths = {r["video_id"]: r["path"] for r in workspace.rows("videos", ["video_id", "path"])}
        for row in workspace.rows("scans", ["video_id", "camera"]):
            label = labels.get(paths[row["video_id"]], "")
            if label in ("static", "moving"):
                judged += 1
                if is_moving(row["camera"]) != (label == "moving"):
                    wrong.append(Path(paths[row["video_id"]]).name)
        print(f"camera: {judged - len(wrong)} of {judged} labelled videos right; wrong: {wrong}")
        keypoints(workspace, paths)
        found = catalogue.query(
            workspace,
            "SELECT parse_filename(v.path) AS video, c.outcome, c.reason, count(*) AS stretches, "
            "round(sum(c.t1_s - c.t0_s), 1) AS seconds FROM candidates c JOIN videos v "
            "USING (video_id) GROUP BY ALL ORDER BY ALL",
        )
        for line in found.to_pylist():
            print("  ", *line.values())
        for failure in catalogue.failures(workspace):
            print("   failed:", failure["path"], failure["code"], failure["message"])
    return 0 if judged and len(wrong) <= 1 else 1


def keypoints(workspace: Workspace, paths: dict[str, str]) -> None:
    shares: dict[str, list[np.ndarray]] = {}
    for row in workspace.rows("keypoints", ["video_id", "m2d"]):
        m2d = unflatten(row["m2d"], -1, 18, 3)
        shares.setdefault(paths[row["video_id"]], []).append((m2d[:, :17, 2] > 0.3).any(1))
    for path, flags in sorted(shares.items()):
        joined = np.concatenate(flags)
        share = 100 * joined.mean()
        print(f"   keypoints on {share:.1f} % of {len(joined)} frames: {Path(path).name}")


if __name__ == "__main__":
    sys.exit(main())
