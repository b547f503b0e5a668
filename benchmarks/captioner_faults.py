"""Clips captioned by a loopback server that does everything wrong.

Counts captions on the wrong clip, answers that would have been paid for twice, failures by code,
and says how long it took. Then kills a run in the middle of its requests, again and again, and
counts what was paid for twice: only answers that were on their way may be.
Usage: python -m benchmarks.captioner_faults [--clips 200] [--kills 3]
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from motionkit.workspace import Workspace
from tests.backends.captioners import faulty_server as faulty
from tests.backends.captioners.numbered_clips import clip_name, make_workspace

AT_ONCE = 16
HOPELESS = ("400", "500", "bad-json", "empty", "429", "drop", "never")


def manner(number: int, before: int) -> str:
    """Every 29th clip fails for ever; of the others two thirds are answered at the second or third
    try, after every sort of failure in turn, and a third slowly."""
    if number % 29 == 28:
        return HOPELESS[number // 29 % len(HOPELESS)]
    if before < number % 3:
        return faulty.PASSING[(number // 3 + before * 5) % len(faulty.PASSING)]
    return "slow" if number % 3 == 0 else "ok"


def caption(workspace: Path, url: str) -> subprocess.Popen[bytes]:
    """`motionkit caption`, started as a user does."""
    settings = {"request_timeout_s": 1.0, "backoff_s": 0.02, "retries": 3, "requests": AT_ONCE}
    settings["sampled_frames"] = 3
    command = [sys.executable, "-m", "motionkit", "caption", "-w", str(workspace), "--quiet"]
    command += ["--source", "model", "--captioner", f"openai:{faulty.MODEL}", "--workers", "1"]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    environment = {
        **os.environ,
        "MOTIONKIT_CAPTION_URL": url,
        "MOTIONKIT_CAPTION_KEY": faulty.KEY,
        "no_proxy": "127.0.0.1",
    }
    return subprocess.Popen(
        command, start_new_session=True, env=environment, stdout=subprocess.DEVNULL
    )


def check(workspace: Path, clips: int, server: faulty.FaultyServer) -> dict[str, Any]:
    """What became of every clip."""
    columns = ["outcome", "reason", "captions"]
    rows = {r["item_id"]: r for r in Workspace(workspace).rows("captions", columns, outcome=None)}
    wrong = failed = kept = 0
    reasons: Counter[str] = Counter()
    for number in range(clips):
        row = rows.get(clip_name(number))
        if row is None:
            continue
        if row["outcome"] == "kept":
            kept += 1
            wrong += faulty.number_said(row["captions"][0]["text"]) != number
        else:
            failed += 1
            reasons[str(row["reason"])] += 1
    leaked = sum(
        faulty.KEY.encode() in path.read_bytes() for path in workspace.rglob("*") if path.is_file()
    )
    return {
        "rows": len(rows), "kept": kept, "failed": failed, "on the wrong clip": wrong,
        "requests": server.asked.total(), "paid": len(server.paid),
        "paid twice": sum(count - 1 for count in server.paid.values()),
        "most at once": server.most_at_once, "files with the key": leaked,
        "codes": dict(sorted(reasons.items())),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--kills", type=int, default=3)
    options = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_workspace(Path(folder) / "a", options.clips).path
        with faulty.serve(faulty.FaultyServer(manner)) as server:
            began = time.perf_counter()
            caption(workspace, server.url).wait()
            seconds = time.perf_counter() - began
            found = check(workspace, options.clips, server)
        expected = options.clips // 29
        print(f"{options.clips} clips, {seconds:.1f} s: {found}")
        print(f"  what the server did: {dict(sorted(server.did.items()))}")
        bad += found["on the wrong clip"] + found["paid twice"] + found["files with the key"]
        bad += found["rows"] != options.clips or found["failed"] != expected

        workspace = make_workspace(Path(folder) / "b", options.clips).path
        with faulty.serve(faulty.FaultyServer(manner)) as server:
            chance = random.Random(0)
            for _ in range(options.kills):
                run, before = caption(workspace, server.url), server.paid.total()
                end = time.monotonic() + 60
                aim = before + chance.randrange(10, max(11, options.clips // 5))
                while server.paid.total() < aim and run.poll() is None and time.monotonic() < end:
                    time.sleep(0.005)
                os.killpg(run.pid, signal.SIGKILL)
                run.wait()
            caption(workspace, server.url).wait()
            found = check(workspace, options.clips, server)
        print(f"killed {options.kills} times: {found}")
        bad += found["on the wrong clip"] + found["files with the key"]
        bad += found["paid twice"] > options.kills * AT_ONCE
        bad += found["rows"] != options.clips or found["failed"] != expected
    print("as it must be" if not bad else "WRONG")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
