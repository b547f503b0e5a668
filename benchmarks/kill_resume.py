"""Kills a run ten times at random moments (SIGKILL, the whole process group) and starts it again.

Then compares every row of every table and every byte of the shards with an undisturbed run.
Usage: python -m benchmarks.kill_resume [--kills 10] [--videos 10] [--seed 0] [--source FOLDER]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from motionkit.records import TABLES
from motionkit.synth.library import render_library
from motionkit.workspace import table_schema

RECIPE = (
    "title = 'kill'\n[ingest]\n[scan]\n[detect]\n[filter]\n[pose]\n[track]\n[caption]\n[shards]\n"
)


def start(recipe: Path, source: Path, workspace: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "motionkit", "run", str(recipe), "--source", str(source)]
    return subprocess.Popen(
        [*command, "-w", str(workspace), "--quiet"],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )


def rows(workspace: Path, table: str) -> pa.Table:
    """Rows by item; none where the recipe does not fill the table."""
    parts = sorted((workspace / "tables" / table).glob("part-*.parquet"))
    tables = [pq.read_table(part) for part in parts] or [table_schema(table).empty_table()]
    return pa.concat_tables(tables).sort_by("item_id")


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--videos", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--source", type=Path)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = options.source or folder / "videos"
        if options.source is None:
            render_library(source, count=options.videos, seed=options.seed, seconds=3.0, workers=2)
        recipe = folder / "kill.toml"
        recipe.write_text(RECIPE)

        began = time.monotonic()
        if start(recipe, source, folder / "calm").wait():
            print("the undisturbed run failed")
            return 1
        calm_s = time.monotonic() - began
        print(f"undisturbed run: {calm_s:.1f} s")

        kills = early = 0
        while kills < options.kills:
            process = start(recipe, source, folder / "killed")
            pause = chance.uniform(0.0, calm_s * 0.6)
            try:
                process.wait(pause)
                early += 1  # it ended before the blow: what is left is quick
                if early > 5 * options.kills:
                    break
                calm_s *= 0.7
                continue
            except subprocess.TimeoutExpired:
                pass
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            print(f"kill {kills} after {pause:.1f} s")
        if start(recipe, source, folder / "killed").wait():
            print("the last run failed")
            return 1

        wrong = []
        for table in TABLES:
            # As text: nan is not equal to itself.
            calm_rows, killed_rows = (rows(folder / name, table) for name in ("calm", "killed"))
            if repr(calm_rows.to_pylist()) != repr(killed_rows.to_pylist()):
                wrong.append(table)
        same_files = hashes(folder / "calm" / "shards") == hashes(folder / "killed" / "shards")
        calm, killed = hashes(folder / "calm" / "tables"), hashes(folder / "killed" / "tables")
        same_parts = calm == killed
        for name in sorted(calm.keys() | killed.keys()):
            if calm.get(name) != killed.get(name):
                print(f"   differs: {name}: {calm.get(name, '-')[:8]} {killed.get(name, '-')[:8]}")
        print(f"kills: {kills}; tables that differ: {wrong or 'none'}")
        print(f"shard files identical: {same_files}; part files identical: {same_parts}")
        return 0 if not wrong and same_files and kills else 1


if __name__ == "__main__":
    sys.exit(main())
