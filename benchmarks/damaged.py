"""Hundreds of damaged, odd and hostile files among sound ones: `ingest` and `scan` over them all.

Every file was made with what must become of it (`damaged_films`, `damaged_bytes`,
`lying_headers`); `damaged_mevis` adds splits with damaged JSON for `expressions`. Checked: the
commands end with 0 and in time; every good neighbour is there with its frames, times and size;
every other file failed with a code that is right, or was kept with the right problems; all of
what was kept decodes to the same frames in a further pass. Prints a table; exit 1 on any miss.
Usage: python -m benchmarks.damaged [--seed 0] [--folder KEEP]
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import damaged_bytes, damaged_films, lying_headers
from benchmarks.damaged_films import Case
from benchmarks.damaged_mevis import mevis_misses, mevis_splits
from motionkit.errors import InputError
from motionkit.video.decode import read_frames
from motionkit.workspace import Workspace

#: Longest time for one item, for a whole command, and the largest process, in seconds and bytes.
ITEM_S, COMMAND_S, MEMORY = 60, 900, 1.5e9


def made(folder: Path, seed: int) -> list[Case]:
    """All files, in folders by kind: names must not meet, and neighbours lie in each."""
    (folder / "sources").mkdir(parents=True)
    whole = damaged_bytes.sources(folder / "sources")
    cases: list[Case] = []
    makers = [
        (damaged_films.formats, ()), (damaged_films.timings, ()),
        (damaged_bytes.cut_files, (whole,)), (damaged_bytes.flipped_files, (whole, seed)),
        (damaged_bytes.blanked_files, (whole,)), (damaged_bytes.no_videos, ()),
        (damaged_bytes.mislabelled, (whole,)), (damaged_bytes.names, (whole,)),
        (damaged_bytes.sidecars, (whole,)), (lying_headers.huge_sizes, (whole,)),
        (lying_headers.huge_counts, (whole,)), (lying_headers.bad_stamps, (whole,)),
    ]  # fmt: skip
    for number, (maker, arguments) in enumerate(makers):
        inside = folder / "in" / f"{number:02d}"
        inside.mkdir(parents=True)
        cases += maker(inside, *arguments)  # type: ignore[operator]
    inside = folder / "in" / "05"
    cases += damaged_films.good_films(inside)
    (inside / "folder.mp4").mkdir()  # a folder with a film's name is searched, not read
    (inside / "loop").symlink_to("..", target_is_directory=True)
    return cases


def command(*arguments: str) -> tuple[float, str]:
    """Seconds, and what went wrong (nothing: empty)."""
    began = time.monotonic()
    words = [sys.executable, "-m", "motionkit", *arguments, "--quiet"]
    try:
        done = subprocess.run(words, timeout=COMMAND_S, capture_output=True)
    except subprocess.TimeoutExpired:
        return time.monotonic() - began, f"{arguments[0]} did not end after {COMMAND_S} s"
    wrong = ""
    if done.returncode:
        tail = done.stderr.decode(errors="replace")[-1500:]
        wrong = f"{arguments[0]} ended with {done.returncode}: {tail}"
    return time.monotonic() - began, wrong


def judged(case: Case, row: dict[str, Any] | None) -> tuple[str, list[str]]:
    """How the file ended, and what is wrong with that."""
    expect = case.expect
    if row is None:
        return "no row", ["it has no row"]
    if row["outcome"] == "failed":
        code = str(row["reason"])
        return code, [] if code in expect.codes else [f"{code}: {row['error_message'][:90]}"]
    problems, times = list(row["problems"]), np.asarray(row["frame_times_s"])
    count, size = int(row["frames_decoded"]), (row["width"], row["height"])
    wrong = [] if expect.kept else ["it was kept"]
    if expect.frames and not expect.frames[0] <= count <= expect.frames[1]:
        wrong.append(f"{count} frames instead of {expect.frames}")
    if expect.size and size != expect.size:
        wrong.append(f"size {size} instead of {expect.size}")
    missing = set(expect.problems) - set(problems)
    further = set() if expect.more else set(problems) - set(expect.problems)
    if missing or further:
        wrong.append(f"problems {problems} instead of {expect.problems}")
    if (
        len(times) != count
        or not np.isfinite(times).all()
        or times[0]
        or (np.diff(times) <= 0).any()
    ):
        wrong.append("the times do not rise from 0")
    elif expect.times_s and len(expect.times_s) == count:
        off = float(np.abs(times - np.asarray(expect.times_s)).max())
        if off > 0.0015:
            wrong.append(f"a time is {off:.3f} s off")
    return " ".join(["kept", *problems]), wrong + read_again(row, times)


def read_again(row: dict[str, Any], times: np.ndarray) -> list[str]:
    """A further pass must find the frames that ingest counted."""
    ends = len(times) - 1
    picks = np.unique([0, ends // 3, ends // 2, ends * 4 // 5, ends])
    try:
        chunks = list(read_frames(row["path"], decoder=row["decoder"], ordinals=picks))
    except (InputError, ValueError) as error:
        return [f"read again ({row['decoder']}): {error}"]
    found = np.concatenate([c.ordinals for c in chunks]) if chunks else np.zeros(0)
    if not np.array_equal(found, picks):
        return [f"read again ({row['decoder']}): frames {found} instead of {picks}"]
    if not np.array_equal(np.concatenate([c.times_s for c in chunks]), times[picks]):
        return [f"read again ({row['decoder']}): other times"]
    shapes = {c.frames.shape[1:3] for c in chunks}
    return [] if shapes == {(row["height"], row["width"])} else [f"read again: {shapes}"]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        cases = made(folder, options.seed)
        splits = mevis_splits(folder / "mevis")
        print(f"{len(cases)} files and {len(splits)} splits made (seed {options.seed})")
        workspace = folder / "ws"
        direct = [str(case.path) for case in cases if case.direct]
        place = ["--workspace", str(workspace)]
        timeout = ["--timeout", str(ITEM_S), "--workers", "2"]
        wrong: list[str] = []
        ingest = ["ingest", str(folder / "in"), str(folder / "mevis"), *direct]
        for words in ([*ingest, *timeout], ["scan", *timeout], ["expressions", *timeout]):
            seconds, trouble = command(words[0], *place, *words[1:])
            wrong += [trouble] if trouble else []
            print(f"{words[0]}: {seconds:.0f} s")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        print(f"largest process: {peak / 1e9:.2f} GB")
        wrong += [f"a process took {peak / 1e9:.2f} GB"] if peak > MEMORY else []
        if not wrong:
            tables = Workspace(workspace)
            wrong += compared(cases, tables)
            columns = ["outcome", "reason", "source_split", "source_video"]
            wrong += mevis_misses(splits, list(tables.rows("expressions", columns, outcome=None)))
    for line in wrong[:60]:
        print(f"MISS {line}")
    print(f"{len(cases)} files, {len(splits)} splits, {len(wrong)} misses")
    return 1 if wrong else 0


def compared(cases: list[Case], workspace: Workspace) -> list[str]:
    """What is wrong, a line each; prints the table of how files ended."""
    columns = ["path", "video_id", "outcome", "reason", "error_message", "problems", "width",
               "height", "frames_decoded", "frame_times_s", "decoder"]  # fmt: skip
    rows = {row["path"]: row for row in workspace.rows("videos", columns, outcome=None)}
    scanned = {row["video_id"]: row for row in workspace.rows("scans", ["video_id", "frames"])}
    wrong: list[str] = []
    counts: Counter[tuple[str, str]] = Counter()
    for case in cases:
        shown = os.fsencode(case.path).decode("utf-8", "backslashreplace")
        row = rows.get(shown)
        ended, faults = judged(case, row)
        counts[case.kind, ended] += 1
        if row is not None and row["outcome"] == "kept":
            scan = scanned.get(row["video_id"])
            if scan is None or scan["frames"] != row["frames_decoded"]:
                faults.append("the scan failed or counts other frames")
        wrong += [f"{case.path.name[:60]!a}: {fault}" for fault in faults]
    for (kind, ended), count in sorted(counts.items()):
        print(f"{count:5d}  {kind:22s} {ended}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
