"""`scan` against bare decoding of the same frames, side by side, round by round.

Bare: PyAV with one decoding thread, pictures thrown away, no colour conversion. `scan`: shots,
camera motion, thumbnails and the perceptual hash. Both open the file themselves. For each set the
least time of each video over the rounds is added up, as processor time (what a machine with a
worker on every core pays) and as wall time. Sets: videos rendered by `motionkit synth` (whose
decoding costs next to nothing), a 1080p one, and the real videos where they are.
Usage: python -m benchmarks.scan_speed [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from motionkit.errors import InputError
from motionkit.stage import Item
from motionkit.stages.scan import Scan
from motionkit.synth.clip import render_clip
from motionkit.synth.library import render_library
from motionkit.synth.spec import SynthSpec
from motionkit.video.probe import pictures_of, probe


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        render_library(folder / "synth", count=10, seed=5)
        spec = SynthSpec(kinds=("dance",), seed=5, seconds=2.0, width=1920, height=1080)
        render_clip(folder / "large" / "large.mp4", spec)
        sets = {
            "rendered 640x360": sorted((folder / "synth").glob("*.mp4")),
            "rendered 1920x1080": [folder / "large" / "large.mp4"],
        }
        root = Path(os.environ.get("MOTIONKIT_REAL_DATA", "../shared/data")) / "videos"
        if root.is_dir():
            sets["real videos"] = sorted(p for p in root.rglob("*.m[pko][4vk]"))
        else:
            print(f"skipped: no real videos at {root} (set MOTIONKIT_REAL_DATA)")
        for label, paths in sets.items():
            compare(label, paths, options.rounds)
    return 0


def compare(label: str, paths: list[Path], rounds: int) -> None:
    """Print the ratios of one set."""
    stage = Scan()
    stage.setup()
    bare, whole, frames = [0.0, 0.0], [0.0, 0.0], 0
    for path in paths:
        try:
            times = probe(str(path)).times_s
            item = Item("v", {"video_id": "v", "path": str(path), "frame_times_s": times})
            stage.process(item)
        except InputError as error:
            print(f"   left out: {path.name} ({error.code})")
            continue
        pairs = [
            (measure(lambda p=str(path): decode(p)), measure(lambda i=item: stage.process(i)))
            for _ in range(rounds)
        ]
        for k in range(2):
            bare[k] += min(pair[0][k] for pair in pairs)
            whole[k] += min(pair[1][k] for pair in pairs)
        frames += len(times)
    print(f"scan, {label}: {whole[0] / bare[0]:.2f} x the processor time of bare decoding, "
          f"{whole[1] / bare[1]:.2f} x the wall time ({1e3 * whole[0] / frames:.3f} against "
          f"{1e3 * bare[0] / frames:.3f} ms a frame, {len(paths)} videos)", flush=True)  # fmt: skip


def decode(path: str) -> None:
    """Every frame, thrown away."""
    for _ in pictures_of(path):
        pass


def measure(work: Callable[[], object]) -> tuple[float, float]:
    """Processor and wall seconds."""
    processor, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - processor, time.perf_counter() - wall


if __name__ == "__main__":
    sys.exit(main())
