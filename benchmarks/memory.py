"""Peak memory of every stage on one long 1080p video: at most 1.5 GB, all processes together.

A rendered person of ten seconds is encoded once and its packets are repeated. Each stage runs as
a command of its own; the memory of the command and its workers is read ten times a second (the
proportional set size: pages that processes share count once). `pose` and `track` measure one
clip after another: they are stopped after --seconds, what is done is kept. Linux only. Prints a
table; exit 1 above the limit.
Usage: python -m benchmarks.memory [--minutes 30] [--workers 1 0] [--seconds 120] [--fps 0.5]
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av

from motionkit.synth.library import render_library

LIMIT = 1.5e9
#: Stages whose memory is told by a part of their clips.
STOPPED = ("pose", "track")


def long_video(folder: Path, minutes: float) -> Path:
    """A person at 1920 x 1080 for ten seconds, again and again."""
    render_library(
        folder / "once",
        count=1,
        seed=3,
        width=1920,
        height=1080,
        seconds=10,
        static_only=True,
        kinds=("jumping_jacks",),
    )
    source, target = next((folder / "once").glob("*.mp4")), folder / "long.mp4"
    with av.open(str(source)) as given:
        stream = given.streams.video[0]
        stored = [(bytes(p), p.pts, p.dts, p.is_keyframe) for p in given.demux(stream) if p.size]
        step, tick = round(1 / stream.average_rate / stream.time_base), stream.time_base
        with av.open(str(target), "w") as out:
            copy = out.add_stream_from_template(stream)
            for turn in range(max(1, round(minutes * 60 * 30 / len(stored)))):
                for data, pts, dts, key in stored:
                    packet = av.Packet(data)
                    shift = turn * len(stored) * step
                    packet.pts, packet.dts, packet.time_base = pts + shift, dts + shift, tick
                    packet.is_keyframe, packet.stream = key, copy
                    out.mux(packet)
    return target


def children(process: int) -> list[int]:
    """The process and all that descend from it."""
    found = [process]
    for pid in found:
        try:
            for thread in Path(f"/proc/{pid}/task").iterdir():
                text = (thread / "children").read_text()
                found += [int(word) for word in text.split()]
        except OSError:  # it has just ended
            continue
    return found


def memory(pids: list[int]) -> list[int]:
    """Bytes each of them holds, shared pages counted in parts."""
    sizes = []
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        sizes += [int(line.split()[1]) * 1024 for line in text.splitlines() if line[:4] == "Pss:"]
    return sizes


def measured(words: list[str], stop_s: float | None) -> tuple[float, int, int, str]:
    """Seconds, most bytes together, most in one process, how it ended."""
    began = time.monotonic()
    together = largest = 0
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    stopped = False
    while process.poll() is None:
        sizes = memory(children(process.pid))
        together, largest = max(together, sum(sizes)), max([largest, *sizes])
        if stop_s is not None and not stopped and time.monotonic() - began > stop_s:
            process.send_signal(signal.SIGINT)
            stopped = True
        time.sleep(0.1)
    assert process.stderr is not None
    said = process.stderr.read().decode(errors="replace")[-300:]
    ended = "stopped" if stopped else "done" if not process.returncode else f"FAILED {said}"
    return time.monotonic() - began, together, largest, ended


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 0])
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--fps", type=float, default=0.5, help="frames a second that detect sees")
    options = parser.parse_args()
    wrong = 0
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start jobs that ignore it
    with tempfile.TemporaryDirectory() as name:
        video = long_video(Path(name), options.minutes)
        print(f"{options.minutes:g} minutes, {video.stat().st_size / 1e6:.0f} MB")
        print("workers  stage         seconds  together MB  largest MB")
        for workers in options.workers:
            place = ["--workspace", str(Path(name) / f"ws{workers}"), "--quiet"]
            detect = ["detect", "--set", f"fps={options.fps}"]
            rest = [[stage] for stage in ("filter", "pose", "track", "caption", "build-shards")]
            for stage in (["ingest", str(video)], ["scan"], detect, *rest):
                words = [sys.executable, "-m", "motionkit", stage[0], *place, *stage[1:]]
                if stage[0] not in ("filter", "build-shards"):
                    words += ["--workers", str(workers)]
                stop_s = options.seconds if stage[0] in STOPPED else None
                seconds, together, largest, ended = measured(words, stop_s)
                bad = together > LIMIT or ended.startswith("FAILED")
                wrong += bad
                print(
                    f"{workers:7d}  {stage[0]:12s} {seconds:8.1f} {together / 1e6:12.0f} "
                    f"{largest / 1e6:11.0f}  {'TOO MUCH ' if together > LIMIT else ''}{ended}",
                    flush=True,
                )
    print(f"limit {LIMIT / 1e9:g} GB: {'exceeded or failed' if wrong else 'kept'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
