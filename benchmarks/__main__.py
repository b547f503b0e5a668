"""`python -m benchmarks [--full] [NAME …]`: measurements, one after another, each in a process of
its own. Without ``--full`` the long ones run at a smaller size, which they print."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

#: Every measurement, and its arguments where the whole size takes many minutes.
NAMES: dict[str, list[str]] = {
    "speed": [],
    "scan_speed": [],
    "camera_kinds": [],
    "synth_truth": [],
    "object_tracks": ["--videos", "22"],
    "real_videos": [],
    "caption_audit": ["--every", "8"],
    "coco_images": [],
    "model_overhead": ["--videos", "2"],
    "duplicates": ["--videos", "2000"],
    "damaged": [],
    "filter_speed": ["--shots", "20000"],
    "million": [],
    "shard_size": [],
    "loader": [],
    "memory": ["--minutes", "3", "--workers", "0", "--seconds", "30"],
    "kill_resume": [],
    "captioner_faults": [],
    "k2m_small": [],
    "k2m_mocap": ["--share", "0.05"],
    "train_speed": [],
    "rvq_speed": [],
    "generation_speed": ["--rounds", "5"],
    "adapter_memory": [],
    "lang2motion_speed": [],
    "lang2motion_objects": ["--videos", "40", "--steps", "300"],
}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true", help="at the sizes of docs/measured.md")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(NAMES))
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}")
    failed = []
    for name in options.names or NAMES:
        print(f"\n== {name}", flush=True)
        began = time.perf_counter()
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        if subprocess.run([*command, *([] if options.full else NAMES[name])]).returncode:
            failed.append(name)
        print(f"   ({time.perf_counter() - began:.0f} s)", flush=True)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
