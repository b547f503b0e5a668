"""Holds `scan`'s camera kinds and verdicts against rendered truth and labelled real videos.

Rendered: every move before several people, rooms and lights, with seeds that no setting was chosen
on; prints what each move was taken for, and how many moving frames were found. Real: moving or
static, against the labels. Usage: python -m benchmarks.camera_kinds [--count 6] [--seed 9500]
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from motionkit.stage import Item, Kept
from motionkit.stages.scan import Scan
from motionkit.synth.clip import render_clip
from motionkit.synth.library import ORDER
from motionkit.synth.spec import SynthSpec
from motionkit.video.camera import KINDS, camera_moving, is_moving
from motionkit.video.probe import probe

#: What each move of `synth.camera` is called. A camera that follows a walker pans.
EXPECTED = {
    "still": "static",
    "pan": "pan",
    "part": "pan",
    "follow": "pan",
    "tilt": "tilt",
    "zoom": "zoom",
    "shake": "shake",
    "mixed": "mixed",
}


def scanned(path: Path) -> dict[str, Any]:
    """The row that `scan` writes for a video."""
    data = {"video_id": path.stem, "path": str(path), "frame_times_s": probe(str(path)).times_s}
    stage = Scan(thumbnails=0)
    stage.setup()
    outcome = stage.process(Item(path.stem, data))
    assert isinstance(outcome, Kept)
    return outcome.row


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=6, help="videos of each move")
    parser.add_argument("--seed", type=int, default=9500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        rendered(Path(name), options.count, options.seed)
    root = Path(os.environ.get("MOTIONKIT_REAL_DATA", "../shared/data")) / "videos"
    if root.is_dir():
        real(root)
    else:
        print(f"skipped: no real videos at {root} (set MOTIONKIT_REAL_DATA)")
    return 0


def rendered(folder: Path, count: int, seed: int) -> None:
    """The confusion matrix, and F1 of moving frames."""
    found: Counter[tuple[str, str]] = Counter()
    hits = claimed = true = 0
    for move in EXPECTED:
        for i in range(count):
            path = folder / f"{move}{i}.mp4"
            video = render_clip(path, spec(move, seed + i, i))
            row = scanned(path)
            found[move, row["shots"][0]["camera_kind"]] += 1
            truth, seen = np.load(video.truth)["camera_moving"], camera_moving(row["camera"])
            hits += int((truth & seen)[2:].sum())
            claimed, true = claimed + int(seen[2:].sum()), true + int(truth[2:].sum())
            path.unlink()
    print("move      " + "".join(f"{kind:>8}" for kind in KINDS))
    for move in EXPECTED:
        print(f"{move:<10}" + "".join(f"{found[move, kind]:>8}" for kind in KINDS))
    right = sum(found[move, kind] for move, kind in EXPECTED.items())
    print(f"kinds: {right} of {count * len(EXPECTED)} rendered videos right; "
          f"camera-moving frames: F1 {2 * hits / (claimed + true):.3f}")  # fmt: skip


def spec(move: str, seed: int, index: int) -> SynthSpec:
    """Clip ``index`` of a move: another motion, rate and size each time."""
    kind = "walk" if move == "follow" else ORDER[(7 * index + 3) % len(ORDER)]
    side = 90.0 if index % 2 else -80.0
    return SynthSpec(
        kinds=(kind,),
        seed=seed,
        seconds=3.0,
        fps=(30.0, 25.0, 60.0)[index % 3],
        width=(640, 480)[index % 2],
        height=(360, 270)[index % 2],
        camera=move,
        people=1 + (index % 4 == 3),
        azimuth_deg=side if move == "follow" else None,
    )


def real(root: Path) -> None:
    """Moving or static, against the labels; the kinds beside them."""
    with (root / "videos.csv").open(encoding="utf-8", newline="") as stream:
        labels = {p: r["camera"] for r in csv.DictReader(stream) for p in root.glob(r["file"])}
    wrong, judged = [], 0
    for path, label in sorted(labels.items()):
        if label not in ("static", "moving", "mixed"):
            continue
        row = scanned(path)
        verdict = "moving" if is_moving(row["camera"]) else "static"
        if label != "mixed":
            judged += 1
            wrong += [path.name] if verdict != label else []
        kinds = " ".join(shot["camera_kind"] for shot in row["shots"])
        print(f"   {path.name}: label {label}, found {verdict} ({kinds})")
    print(f"camera: {judged - len(wrong)} of {judged} labelled videos right; wrong: {wrong}")


if __name__ == "__main__":
    sys.exit(main())
