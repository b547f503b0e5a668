"""`python -m benchmarks`: every measurement, one after another, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

NAMES = ("speed", "synth_truth", "real_videos", "kill_resume", "k2m_small", "loader")


def main() -> int:
    names = sys.argv[1:] or NAMES
    failed = []
    for name in names:
        print(f"\n== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"]).returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
