"""Shuffled training batches: shards against WebDataset and Hugging Face `datasets`.

    python -m benchmarks.loader [--samples 4096] [--rounds 5] [--keep FOLDER]

The same samples (170 frames at 30 fps on average, 2 to 10 s; 18 x 3 keypoints, 36 tracks of 30
frames, two captions) lie there twice: as shards, and as uncompressed tar files with .npy and
.json members for WebDataset. `datasets` reads the shards' own Parquet files, which it turns into
uncompressed, memory-mapped Arrow files before the clock starts. Every reader gives the same:
one pass over all samples in shuffled order, in padded numpy batches of 32 with keypoints,
tracks, visibility and texts, all made by the same function, in one process without workers.

Shuffle buffers hold the same number of samples. `datasets` is measured in three ways (map-style
with a full shuffle, read by batches; `to_iterable_dataset` and streamed Parquet with a shuffle
buffer) and counts with the fastest. The shards are read without length buckets, as the others
have none, by two decoding threads (the default) and, for comparison, by one thread. Readers take
turns within a round; a ratio is the median over the rounds.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")

import numpy as np
import pyarrow.parquet as pq

from motionkit.records import SHARDS_VERSION
from motionkit.shards.batches import Sample, collate
from motionkit.shards.loader import ShardLoader
from motionkit.shards.schema import FORMAT, time_first, writer_options
from motionkit.shards.write import ROW_GROUP, table_of

BATCH, WINDOW, ROWS = 32, 16, 1024
BUFFER = WINDOW * ROW_GROUP
GRID, TRACKED = 6, 30


def make_sample(number: int) -> dict[str, Any]:
    """One sample as the builder would write it: smooth movement, a little noise, rounded."""
    rng = np.random.default_rng([7, number])
    frames = int(np.clip(rng.gamma(4, 28) + 60, 60, 300))
    t = np.arange(frames)[:, None, None] / 30
    waves = sum(
        rng.normal(0, 40 / k, (17, 2)) * np.sin(2 * np.pi * (k * t / 3 + rng.random((17, 2))))
        for k in (1, 2, 3)
    )
    xy = rng.uniform(200, 1000, 2) + rng.normal(0, 80, (17, 2)) + waves
    xy += rng.normal(0, 1.0, xy.shape)
    m2d = np.empty((frames, 18, 3), np.float32)
    m2d[:, :17, :2] = np.round(xy * 16) / 16
    m2d[:, :17, 2] = np.round(rng.uniform(0.5, 1, (frames, 17)) * 256) / 256
    m2d[:, 17] = (1280, 720, 1)
    start = rng.uniform(100, 900, (1, GRID**2, 2))
    points = np.cumsum(rng.normal(0, 1.5, (TRACKED, GRID**2, 2)), 0) + start
    texts = (f"a person moves to the left, clip {number}", "someone walks and raises the right arm")
    return {
        "sample_id": f"clip{number:08d}",
        "frames": frames,
        "m2d": m2d,
        "track_points": (np.round(points * 16) / 16).astype(np.float32),
        "track_visible": rng.random((TRACKED, GRID**2)) > 0.1,
        "captions": [{"text": t, "source": "sidecar", "detail": "{}"} for t in texts],
    }


def row_of(sample: dict[str, Any]) -> dict[str, Any]:
    """The sample as a row of a shard."""
    fixed = {"kind": "person", "split": "train", "fps": 30.0, "width": 1280, "height": 720}
    fixed |= {"track_frames": TRACKED, "track_grid": GRID, "source": "films", "lineage": "{}"}
    flat = {k: v.ravel() if isinstance(v, np.ndarray) else v for k, v in sample.items()}
    return {**fixed, **flat}


def write_all(folder: Path, count: int) -> None:
    """Write shards and tar files, ``ROWS`` samples a file."""
    (folder / "shards" / "data").mkdir(parents=True)
    (folder / "tars").mkdir()
    shards = []
    for number, first in enumerate(range(0, count, ROWS)):
        samples = [make_sample(i) for i in range(first, min(first + ROWS, count))]
        path = folder / "shards" / "data" / f"train-{number:05d}.parquet"
        table = table_of([row_of(s) for s in samples])
        pq.write_table(table, path, row_group_size=ROW_GROUP, **writer_options())
        shards.append(
            {
                "path": f"data/{path.name}",
                "split": "train",
                "rows": len(samples),
                "bytes": path.stat().st_size,
                "sha256": "",
            }
        )
        with tarfile.open(folder / "tars" / f"{number:05d}.tar", "w") as tar:
            for sample in samples:
                _add(tar, sample)
    manifest = {"format": FORMAT, "version": SHARDS_VERSION, "shards": shards}
    (folder / "shards" / "manifest.json").write_text(json.dumps(manifest))


def _add(tar: tarfile.TarFile, sample: dict[str, Any]) -> None:
    def member(name: str, data: bytes) -> None:
        info = tarfile.TarInfo(f"{sample['sample_id']}.{name}")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))

    for name in ("m2d", "track_points", "track_visible"):
        buffer = io.BytesIO()
        np.save(buffer, sample[name])
        member(f"{name}.npy", buffer.getvalue())
    texts = [c["text"] for c in sample["captions"]]
    member("json", json.dumps({"sample_id": sample["sample_id"], "captions": texts}).encode())


def _sample(
    name: str, m2d: np.ndarray, points: np.ndarray, visible: np.ndarray, texts: list[str]
) -> Sample:
    return {
        "sample_id": name,
        "frames": len(m2d),
        "mirrored": False,
        "m2d": m2d,
        "tracks": points,
        "visible": visible,
        "captions": texts,
    }


def _batches(samples: Iterable[Sample]) -> Iterator[dict[str, Any]]:
    waiting: list[Sample] = []
    for sample in samples:
        waiting.append(sample)
        if len(waiting) == BATCH:
            yield collate(waiting)
            waiting = []
    if waiting:
        yield collate(waiting)


Reader = Callable[[int], Iterator[dict[str, Any]]]


def shards_reader(folder: Path, **options: Any) -> Reader:
    settings = {"batch_size": BATCH, "window": WINDOW, "columns": ("m2d", "tracks", "captions")}
    loader = ShardLoader(folder / "shards", **{**settings, **options})

    def read(epoch: int) -> Iterator[dict[str, Any]]:
        loader.set_epoch(epoch)
        yield from loader

    return read


def webdataset_reader(folder: Path) -> Reader:
    import webdataset as wds

    urls = sorted(map(str, (folder / "tars").glob("*.tar")))

    def sample(row: dict[str, Any]) -> Sample:
        about = row["json"]
        arrays = (row["m2d.npy"], row["track_points.npy"], row["track_visible.npy"])
        return _sample(about["sample_id"], *arrays, about["captions"])

    def read(epoch: int) -> Iterator[dict[str, Any]]:
        data = wds.WebDataset(urls, shardshuffle=100, seed=epoch, empty_check=False)
        return _batches(data.shuffle(BUFFER, initial=BUFFER, seed=epoch).decode().map(sample))

    return read


def datasets_readers(folder: Path) -> dict[str, Reader]:
    import datasets

    files = sorted(map(str, (folder / "shards" / "data").glob("*.parquet")))
    columns = ["sample_id", "m2d", "track_points", "track_visible", "captions"]
    cache = str(folder / "cache")
    mapped = datasets.Dataset.from_parquet(files, cache_dir=cache, columns=columns)
    streamed = datasets.load_dataset(
        "parquet", data_files=files, split="train", streaming=True, columns=columns
    )

    def samples(batches: Iterable[dict[str, Any]]) -> Iterator[Sample]:
        for rows in batches:
            for i, name in enumerate(rows["sample_id"]):
                m2d = time_first(np.asarray(rows["m2d"][i], np.float32))
                points = np.asarray(rows["track_points"][i], np.float32)
                visible = np.asarray(rows["track_visible"][i], np.bool_)
                texts = [str(c["text"]) for c in rows["captions"][i]]
                yield _sample(
                    str(name),
                    m2d,
                    points.reshape(-1, GRID**2, 2),
                    visible.reshape(-1, GRID**2),
                    texts,
                )

    def whole(epoch: int) -> Iterator[dict[str, Any]]:
        data = mapped.shuffle(seed=epoch).with_format("numpy")
        return _batches(samples(data.iter(BATCH)))

    def buffered(source: Any) -> Reader:
        def read(epoch: int) -> Iterator[dict[str, Any]]:
            data = source.shuffle(seed=epoch, buffer_size=BUFFER).with_format("numpy")
            return _batches(samples(data.iter(BATCH)))

        return read

    iterable = mapped.to_iterable_dataset(num_shards=len(files))
    return {
        "datasets, map-style": whole,
        "datasets, to_iterable_dataset": buffered(iterable),
        "datasets, streamed Parquet": buffered(streamed),
    }


def timed(read: Reader, epoch: int, count: int) -> tuple[float, float]:
    """Samples a second of one pass, and of one second of processor time in this process.

    Every sample must come once.
    """
    begun, worked = time.perf_counter(), time.process_time()
    names: list[str] = []
    for batch in read(epoch):
        names += batch["sample_ids"]
    taken, work = time.perf_counter() - begun, time.process_time() - worked
    assert len(names) == len(set(names)) == count, f"{len(set(names))} of {count} samples"
    return count / taken, count / work


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="write the samples here, or read them again")
    options = parser.parse_args()
    missing = [name for name in ("webdataset", "datasets") if find_spec(name) is None]
    if missing:
        sys.exit(f"not measured; first: pip install {' '.join(missing)}")
    with tempfile.TemporaryDirectory() as made:
        folder = options.keep or Path(made)
        if not (folder / "shards" / "manifest.json").exists():
            write_all(folder, options.samples)
        return compare(folder, options.samples, options.rounds)


def compare(folder: Path, count: int, rounds: int) -> int:
    readers = {
        "shards": shards_reader(folder, bucket_batches=1),
        "shards, length buckets": shards_reader(folder),
        "shards, one thread": shards_reader(folder, bucket_batches=1, threads=0),
        "webdataset": webdataset_reader(folder),
        **datasets_readers(folder),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in readers}
    for epoch in range(rounds):
        for name, read in readers.items():
            if epoch and name == "datasets, streamed Parquet":
                continue  # ten times slower than the others: once is enough
            found[name].append(timed(read, epoch, count))
    print(f"{count} samples, median of {rounds} rounds:        samples/s   per s of processor time")
    for name, pairs in found.items():
        speed, work = (statistics.median(values) for values in zip(*pairs, strict=True))
        print(f"  {name:32} {speed:16.0f} {work:16.0f}")
    return 0 if all([_ratio(found, "webdataset"), _ratio(found, "datasets")]) else 1


def _ratio(found: dict[str, list[tuple[float, float]]], rival: str) -> bool:
    """Print and judge the median ratio to the rival's best way."""
    ways = [name for name in found if name.startswith(rival)]
    best = max(ways, key=lambda name: statistics.median(speed for speed, _ in found[name]))
    ratios = sorted(a / b for (a, _), (b, _) in zip(found["shards"], found[best], strict=False))
    ratio = statistics.median(ratios)
    print(
        f"shards / {best}: {ratio:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}; wanted: at least 1)"
        f"{'' if ratio >= 1 else ' NOT REACHED'}"
    )
    return ratio >= 1


if __name__ == "__main__":
    sys.exit(main())
