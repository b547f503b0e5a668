"""A million clips in the tables: how long `status` and a rerun that finds nothing take.

The tables are made straight in Arrow, with little payload a row (a million clips of real
keypoints are 40 GB; neither command reads any of it). Each command runs as a process of its
own; its peak memory is measured.
Usage: python -m benchmarks.million [--clips 1000000]
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from motionkit.recipes import parameters_of
from motionkit.stage import fingerprint_of
from motionkit.workspace import Workspace, table_schema

STATUS_S, RERUN_S, MEMORY_MB = 3.0, 10.0, 1500
CLIPS_A_SHOT, SHOTS_A_VIDEO = 5, 4
PART_ROWS = 50_000


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ws"
        began = time.perf_counter()
        # In a process of its own: a child's peak memory counts what its parent had at the fork.
        maker = multiprocessing.get_context("spawn").Process(
            target=fill_at, args=(path, options.clips)
        )
        maker.start()
        maker.join()
        size = sum(f.stat().st_size for f in path.rglob("*.parquet"))
        print(f"{options.clips} clips in the tables, {size / 1e6:.0f} MB, "
              f"made in {time.perf_counter() - began:.0f} s", flush=True)  # fmt: skip
        good = measure(["status"], path, STATUS_S)
        good &= measure(["query", "SELECT count(*) FROM clips"], path, None)
        for stage in ("scan", "detect", "filter", "pose", "track", "caption"):
            good &= measure([stage], path, RERUN_S)
    return 0 if good else 1


def fill_at(path: Path, clips: int) -> None:
    """`fill` a new workspace."""
    fill(Workspace.create(path), clips)


def measure(arguments: list[str], path: Path, limit_s: float | None) -> bool:
    """Run one command; print seconds and peak memory. Whether both are within bounds."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "motionkit", *arguments, "-w", str(path), "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    text = process.stdout.read()
    _, code, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - began
    memory = usage.ru_maxrss / 1024
    good = code == 0 and memory < MEMORY_MB and (limit_s is None or took < limit_s)
    bound = f" (at most {limit_s:g} s, {MEMORY_MB} MB)" if limit_s else ""
    cpu = usage.ru_utime + usage.ru_stime
    print(f"{' '.join(arguments)[:40]:<42}{took:6.2f} s (cpu {cpu:.2f} s) {memory:5.0f} MB{bound}"
          f"{'' if good else '   MISSED'}", flush=True)  # fmt: skip
    if code:
        print(text)
    return good


def fill(workspace: Workspace, clips: int) -> None:
    """Videos, scans, detections, verdicts, keypoints, tracks and captions that fit together."""
    shots = clips // CLIPS_A_SHOT
    videos = shots // SHOTS_A_VIDEO
    digests = (hashlib.sha256(str(n).encode()).hexdigest()[:16] for n in range(videos))
    video_ids = np.array(sorted(f"v{digest}" for digest in digests))
    shot_video = np.repeat(video_ids, SHOTS_A_VIDEO)
    shot_first = np.tile(np.arange(SHOTS_A_VIDEO) * 2000, videos)
    shot_ids = np.char.add(np.char.add(shot_video, "-"), np.char.zfill(shot_first.astype(str), 6))
    clip_video = np.repeat(shot_video, CLIPS_A_SHOT)
    clip_shot = np.repeat(shot_ids, CLIPS_A_SHOT)
    people = np.random.default_rng(0).bytes(4 * shots * CLIPS_A_SHOT).hex()
    person = np.array([people[i : i + 8] for i in range(0, len(people), 8)])
    clip_ids = np.char.add(np.char.add(clip_shot, "-"), person)
    item_ids = np.char.add("src-", video_ids)

    begin(workspace, "ingest", sources=("nowhere",))
    times = np.arange(2.0)
    write(workspace, "videos", item_ids, video_id=video_ids, path=item_ids, width=64, height=48,
          frame_times_s=times, duration_s=1.0, frames_decoded=2)  # fmt: skip
    begin(workspace, "scan")
    shot = pa.StructArray.from_arrays(
        [strings(shot_ids), pa.array(shot_first, pa.int32()), pa.array(shot_first, pa.int32())],
        names=["shot_id", "first", "last"],
    )
    write(workspace, "scans", video_ids, video_id=video_ids, frames=2, camera=times,
          shots=listed(shot, SHOTS_A_VIDEO))  # fmt: skip
    begin(workspace, "detect")
    write(workspace, "detections", shot_ids, video_id=shot_video, first=shot_first,
          keypoints=np.zeros(2 * 51, np.float32), ordinals=np.arange(2))  # fmt: skip
    begin(workspace, "filter")
    candidate = pa.StructArray.from_arrays(
        [strings(clip_ids), strings(np.full(len(clip_ids), "kept"))],
        names=["clip_id", "outcome"],
    )
    write(workspace, "verdicts", shot_ids, video_id=shot_video,
          candidates=listed(candidate, CLIPS_A_SHOT))  # fmt: skip
    begin(workspace, "pose")
    write(workspace, "keypoints", clip_ids, video_id=clip_video, clip_id=clip_ids, fps=30.0,
          frames=1, m2d=np.zeros(54, np.float32), ordinals=np.arange(1))  # fmt: skip
    begin(workspace, "track")
    write(workspace, "tracks", clip_ids, video_id=clip_video, clip_id=clip_ids,
          points=np.zeros(72, np.float32))  # fmt: skip
    begin(workspace, "caption")
    write(workspace, "captions", clip_ids, video_id=clip_video, clip_id=clip_ids)


def begin(workspace: Workspace, step: str, **parameters: Any) -> None:
    """Record the stage's fingerprint as the engine does, without running it."""
    stage: Any = parameters_of(step)(**parameters)
    about = {"stage": stage.name, "version": stage.version}
    about["parameters"] = dataclasses.asdict(stage)
    workspace.set_current(stage.table, fingerprint_of(stage, workspace), about)


def strings(values: np.ndarray) -> pa.Array:
    """An Arrow array of numpy texts."""
    return pa.array(values.tolist(), pa.string())


def listed(values: pa.Array, each: int) -> pa.Array:
    """Lists of ``each`` values."""
    return pa.ListArray.from_arrays(np.arange(0, len(values) + 1, each).astype(np.int32), values)


def write(workspace: Workspace, table: str, ids: np.ndarray, **columns: Any) -> None:
    """Publish kept rows in parts; a number or a small array stands in every row."""
    schema = table_schema(table)
    count = len(ids)
    given = {"item_id": strings(ids), "outcome": "kept", "attempt": 1, **columns}
    given["fingerprint"] = workspace.fingerprint(table)
    whole = []
    for field in schema:
        value = given.get(field.name)
        if value is None:
            whole.append(pa.nulls(count, field.type))
        elif isinstance(value, pa.Array) and not pa.types.is_list(field.type):
            whole.append(value.cast(field.type))
        elif isinstance(value, pa.Array):
            whole.append(fitted(value, field.type))
        elif isinstance(value, np.ndarray) and pa.types.is_list(field.type):
            flat = pa.array(np.tile(value, count)).cast(field.type.value_type)
            offsets = (np.arange(count + 1) * len(value)).astype(np.int32)
            whole.append(pa.ListArray.from_arrays(offsets, flat).cast(field.type))
        elif isinstance(value, np.ndarray):
            kind = value.dtype.kind
            whole.append((strings(value) if kind == "U" else pa.array(value)).cast(field.type))
        else:
            whole.append(pa.repeat(pa.scalar(value, field.type), count))
    data = pa.Table.from_arrays(whole, schema=schema)
    for start in range(0, count, PART_ROWS):
        workspace._publish_part(table, data.slice(start, PART_ROWS))


def fitted(values: pa.ListArray, kind: pa.DataType) -> pa.Array:
    """Lists of structs with the missing fields as nulls."""
    inner = values.values
    have = {inner.type.field(i).name for i in range(inner.type.num_fields)}
    fields = []
    for i in range(kind.value_type.num_fields):
        field = kind.value_type.field(i)
        column = inner.field(field.name) if field.name in have else pa.nulls(len(inner), field.type)
        fields.append(column.cast(field.type))
    names = [kind.value_type.field(i).name for i in range(kind.value_type.num_fields)]
    return pa.ListArray.from_arrays(values.offsets, pa.StructArray.from_arrays(fields, names=names))


if __name__ == "__main__":
    sys.exit(main())
