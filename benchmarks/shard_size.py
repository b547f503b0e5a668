"""How large shards are beside .npz files of the same samples, and how row groups read.

    python -m benchmarks.shard_size [--clips 360] [--noise 0.005] [--row-groups] [--build 20000]

The motions of `motionkit.synth`, projected by virtual cameras as `k2m_small` does, with the noise
of a pose estimator; confidences that wander; 36 points tracked for 30 frames; two captions. The
same samples are written as shards, by `build-shards` itself, and as one compressed .npz file a
sample, twice: as measured (float32), and rounded to the steps that shards store.

``--row-groups`` compares sizes of row groups and levels of compression, with the rate at which
shuffled batches are read. ``--build N`` measures a build of N clips: time and peak memory, anew
and with one clip added.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import itertools
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from motionkit.records import PIXEL_STEP
from motionkit.shards import write
from motionkit.shards.build import BuildSummary, build_shards
from motionkit.shards.reader import open_shards
from motionkit.shards.schema import (
    rounded,
    rounded_m2d,
    sample_schema,
    time_first,
    writer_options,
)
from motionkit.stage import digest
from motionkit.workspace import Workspace

GRID = 6
TRACKED = 30


@dataclasses.dataclass
class Made:
    """One sample as the stages store it."""

    m2d: np.ndarray  # [F, 18, 3]
    points: np.ndarray  # [T, 36, 2]
    visible: np.ndarray  # [T, 36]
    texts: tuple[str, ...]


def clips(count: int, noise: float) -> Iterator[Made]:
    """Realistic samples of 2 to 10 s."""
    from benchmarks.k2m_small import KINDS, view

    rng = np.random.default_rng(0)
    for i in range(count):
        seconds = float(rng.uniform(2, 10))
        seen = view(KINDS[i % len(KINDS)], seed=i, noise=noise, seconds=seconds)
        m2d = seen.clip.m2d.numpy().astype(np.float32)
        frames, shown = len(m2d), min(TRACKED, len(m2d))
        wander = np.cumsum(rng.normal(0, 0.01, (frames, 17)), 0) + rng.normal(0, 0.01, (frames, 17))
        m2d[:, :17, 2] = np.clip(rng.uniform(0.6, 0.98, 17) + wander, 0.02, 0.999)
        limb, share = rng.integers(0, 17, (2, GRID * GRID)), rng.random((GRID * GRID, 1))
        points = m2d[:shown, limb[0], :2] * share + m2d[:shown, limb[1], :2] * (1 - share)
        points = points + np.cumsum(rng.normal(0, 0.1, points.shape), 0)
        visible = np.cumsum(rng.random((shown, GRID * GRID)) < 0.01, 0) == 0
        texts = (*seen.clip.texts, "a person moves in front of the camera")[:2]
        yield Made(m2d, points.astype(np.float32), visible, texts)


def fill(workspace: Workspace, made: list[Made], count: int, start: int = 0) -> None:
    """Tables of ``count`` clips, five a video; clips beyond ``made`` are shifted copies."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for i in range(start, start + count):
        one = made[i % len(made)]
        video = digest(["video", i // 5], 16)
        clip = f"{video}-{i % 5 * 1000:06d}-{i % 5 * 1000 + len(one.m2d) - 1:06d}-0123456789abcdef"
        key = {"item_id": clip, "clip_id": clip, "video_id": video}
        size = {"fps": 30.0, "width": 640, "height": 360}
        moved = np.float32(i // len(made)) * np.array([1.3, 0.7, 0.0], np.float32)
        m2d = one.m2d + moved * (np.arange(18) < 17)[:, None]
        shape = {**size, "frames": len(m2d), "backend": "mediapipe"}
        rows.setdefault("keypoints", []).append({**key, **shape, "m2d": m2d.astype(np.float32)})
        tracks = {**size, "frames": len(one.points), "grid": GRID, "backend": "lucas-kanade"}
        tracks.update(points=one.points + moved[:2], visible=one.visible)
        rows.setdefault("tracks", []).append({**key, **tracks})
        detail = json.dumps({"rules": ["walks", "turns"], "motionkit": "kinematic"})
        texts = [{"text": t, "source": "kinematic", "detail": detail} for t in one.texts]
        rows.setdefault("captions", []).append({**key, "captions": texts})
        seconds = len(m2d) / 30
        candidate = {"clip_id": clip, "first": 0, "last": len(m2d) - 1, "outcome": "kept"}
        candidate.update(t0_s=0.0, t1_s=seconds)
        shot = {"item_id": f"shot-{clip}", "video_id": video}
        rows.setdefault("verdicts", []).append({**shot, "candidates": [candidate]})
        rows.setdefault("detections", []).append({**shot, "backend": "mediapipe"})
        if i % 5 == 0:
            path = f"/films/{i // 5:06d}.mp4"
            about = {"item_id": path, "video_id": video, "path": path, "licence": "CC BY 4.0"}
            rows.setdefault("videos", []).append({**about, "fps": 30.0, "duration_s": 60.0})
        if (i + 1) % 500 == 0 or i + 1 == start + count:
            for table, found in rows.items():
                base = {"fingerprint": digest(table), "outcome": "kept", "attempt": 1}
                workspace.write_part(table, [{**base, **row} for row in found])
                workspace.set_current(table, digest(table), {"stage": table, "version": 1})
            rows = {}


def npz_bytes(made: list[Made], *, rounding: bool) -> int:
    """Bytes of one compressed .npz file a sample."""
    total = 0
    for one in made:
        m2d, points = one.m2d, one.points
        if rounding:
            m2d, points = rounded_m2d(m2d).reshape(m2d.shape), rounded(points, PIXEL_STEP)
        sink = io.BytesIO()
        np.savez_compressed(
            sink, m2d=m2d, points=points, visible=one.visible, texts=np.array(one.texts)
        )
        total += sink.tell()
    return total


def compare(made: list[Made]) -> float:
    """Print the sizes side by side; the ratio to .npz of the same rounded values."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder) / "w")
        fill(workspace, made, len(made))
        built = build_shards(workspace, Path(folder) / "shards")
    raw, exact = npz_bytes(made, rounding=False), npz_bytes(made, rounding=True)
    plain = sum(one.m2d.nbytes + one.points.nbytes + one.visible.nbytes for one in made)
    print(f"{len(made)} samples, {sum(len(one.m2d) for one in made)} frames")
    for name, size in (
        ("arrays in memory", plain),
        ("npz, as measured", raw),
        ("npz, rounded values", exact),
        ("shards", built.bytes),
    ):
        print(f"{name:22s} {size / 1e6:8.2f} MB {size / len(made) / 1e3:8.1f} kB a sample")
    print(f"shards / npz as measured      {built.bytes / raw:.3f}")
    print(f"shards / npz rounded values   {built.bytes / exact:.3f}  (at most 0.75)")
    return built.bytes / exact


def row_groups(made: list[Made]) -> None:
    """Sizes and shuffled reading by row group, sizes by level; one file each, one thread."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder) / "w")
        fill(workspace, made, 4 * len(made))
        rows: Any = open_shards(build_shards(workspace, Path(folder) / "s").path)
        table = pq.ParquetDataset(rows.files()).read()
        print("row group  level      MB   write MB/s   samples/s, shuffled batches of 64")
        default = writer_options()["compression_level"]
        for group, level in [(g, default) for g in (8, 16, 32, 64, 128, 256)] + [
            (write.ROW_GROUP, level) for level in (1, 3, 6, 9, 15)
        ]:
            path = Path(folder) / "one.parquet"
            options = {**writer_options(), "compression_level": level}
            start = time.process_time()
            with pq.ParquetWriter(path, sample_schema(), **options) as writer:
                writer.write_table(table, row_group_size=group)
            rate = table.nbytes / (time.process_time() - start) / 1e6
            size = path.stat().st_size / 1e6
            print(f"{group:9d} {level:6d} {size:7.2f} {rate:12.0f} {shuffled(path):12.0f}")


def shuffled(path: Path) -> float:
    """Samples a second: row groups in random order, mixed in a pool of 512 samples, m2d and
    captions read as numpy arrays and texts."""
    rng = np.random.default_rng(0)
    start, count = time.process_time(), 0
    pool: list[Any] = []
    with pq.ParquetFile(path) as file:
        for group in rng.permutation(file.num_row_groups):
            read = file.read_row_group(group, columns=["m2d", "captions"], use_threads=False)
            column = read.column("m2d").chunk(0)
            flat, ends = column.values.to_numpy(), column.offsets.to_numpy()
            texts = read.column("captions").to_pylist()
            for row, (a, b) in enumerate(itertools.pairwise(ends)):
                pool.append((time_first(flat[a:b]), texts[row]))
            while len(pool) > 512:
                batch = [pool.pop(rng.integers(len(pool))) for _ in range(64)]
                count += len(batch)
    return (count + len(pool)) / (time.process_time() - start)


def build(made: list[Made], count: int) -> None:
    """Time and memory of a large build, anew and with one clip added; each in its own process."""
    with tempfile.TemporaryDirectory() as folder:
        work, out = Path(folder) / "w", Path(folder) / "s"
        workspace = Workspace.create(work)
        fill(workspace, made, count)
        for name in ("anew", "one clip added"):
            if name == "one clip added":
                fill(workspace, made, 1, start=count)
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found, seconds, used, peak = pool.apply(one_build, (work, out))
            print(
                f"{name:15s} {sum(found.samples.values())} samples, {found.shards} shards, "
                f"{found.reused} taken over, {seconds:.1f} s ({used:.1f} of CPU), "
                f"{found.bytes / 1e6:.0f} MB, peak memory {peak:.0f} MB",
                flush=True,
            )


def one_build(work: Path, out: Path) -> tuple[BuildSummary, float, float, float]:
    """A build, its seconds, seconds of CPU, and the process's peak memory in MB."""
    start, used = time.monotonic(), time.process_time()
    found = build_shards(Workspace(work), out, rows_per_shard=1024)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found, time.monotonic() - start, time.process_time() - used, peak


def main() -> int:
    """Print the ratio; 1 where it is over 0.75."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=360)
    parser.add_argument("--noise", type=float, default=0.005, help="of a body height")
    parser.add_argument("--row-groups", action="store_true")
    parser.add_argument("--build", type=int, default=0)
    options = parser.parse_args()
    made = list(clips(options.clips, options.noise))
    if options.row_groups:
        row_groups(made)
    if options.build:
        build(made, options.build)
    return int(compare(made) > 0.75)


if __name__ == "__main__":
    raise SystemExit(main())
