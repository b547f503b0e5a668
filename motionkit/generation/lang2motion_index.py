"""Trajectories and sentences of a shard set as latents: computed once, kept, searched in blocks.

``FOLDER/HASH/`` where the hash is over the model, the shards, the split and how tracks are fitted:

- ``about.json``     those, and the counts; written last
- ``items.npy``      [I, D] float32, latents of the trajectories
- ``starts.npy``     [I, N, 2] float32, their first frames, pixels
- ``items.parquet``  item_id, split, video, width, height, fps, texts of each
- ``texts.npy``      [S, D] float32, latents of the distinct sentences
- ``texts.parquet``  text, and the items that it was said of

Built in one pass over the shards with a few hundred trajectories in memory, and as many sentences
as a block has; the arrays are mapped, not loaded. The distinct sentences' own words are what memory
grows with.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from motionkit.errors import ShardError, UsageError
from motionkit.generation.lang2motion_grid import StartGrid
from motionkit.generation.lang2motion_model import TrajectoryModel
from motionkit.shards.reader import Sample, ShardSet
from motionkit.shards.schema import SPLITS
from motionkit.training.lang2motion_data import TrackItem, load_items

Float = NDArray[np.float32]
VERSION: Final = 1
#: Where indices lie, below a workspace.
FOLDER: Final = "trajectory_index"
#: Samples read, and rows compared, at a time.
_READ, _ROWS = 512, 16384
Told = Callable[[str, int, int], None]
_ITEMS: Final = pa.schema(
    [
        ("item_id", pa.string()),
        ("split", pa.string()),
        ("video_id", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("fps", pa.float64()),
        ("texts", pa.list_(pa.string())),
    ]
)
_TEXTS: Final = pa.schema([("text", pa.string()), ("items", pa.list_(pa.int64()))])


@dataclass(frozen=True)
class Hit:
    """A trajectory or a sentence that was found."""

    rank: int
    """1 is the nearest."""
    similarity: float
    """Cosine of the latents."""
    item_id: str | None
    """Of a trajectory: its first sample's id."""
    texts: tuple[str, ...]
    """Sentences about the trajectory, or the one sentence found."""
    items: tuple[str, ...] = ()
    """Of a sentence: the trajectories that it was said of, up to five."""
    split: str | None = None
    row: int = -1
    """In the index."""


class TrajectoryIndex:
    """An index that was opened; see `open_index`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.about = json.loads((path / "about.json").read_text("utf-8"))
        self.items = np.load(path / "items.npy", mmap_mode="r", allow_pickle=False)
        self.starts = np.load(path / "starts.npy", mmap_mode="r", allow_pickle=False)
        self.texts = np.load(path / "texts.npy", mmap_mode="r", allow_pickle=False)
        self._items = pq.ParquetFile(path / "items.parquet", memory_map=True)
        self._texts = pq.ParquetFile(path / "texts.parquet", memory_map=True)
        counts = (self._items.metadata.num_rows, self._texts.metadata.num_rows)
        if counts != (len(self.items), len(self.texts)) or counts[0] != len(self.starts):
            raise ValueError("its files are not of one making")

    def trajectories(self, latent: Float, top: int) -> list[Hit]:
        """The ``top`` trajectories nearest to a latent [D]."""
        found = nearest(self.items, latent, top)
        rows = {row: self.item(row) for row, _ in found}
        return [
            Hit(i, round(score, 6), rows[row]["item_id"], tuple(rows[row]["texts"]),
                split=rows[row]["split"], row=row)
            for i, (row, score) in enumerate(found, 1)
        ]  # fmt: skip

    def sentences(self, latent: Float, top: int) -> list[Hit]:
        """The ``top`` sentences nearest to a latent [D]."""
        hits = []
        for i, (row, score) in enumerate(nearest(self.texts, latent, top), 1):
            said = _row(self._texts, row)
            ids = tuple(self.item(item)["item_id"] for item in said["items"][:5])
            hits.append(Hit(i, round(score, 6), None, (said["text"],), ids, row=row))
        return hits

    def spoken_of(self, latent: Float, top: int) -> list[int]:
        """Rows of ``top`` different trajectories whose sentences are nearest to a latent [D]."""
        chosen: list[int] = []
        for row, _ in nearest(self.texts, latent, 4 * top):
            chosen += [i for i in _row(self._texts, row)["items"] if i not in chosen]
        return chosen[:top]

    def nearest_start(self, latent: Float) -> StartGrid:
        """Where the trajectory starts whose sentence is nearest to a latent [D]."""
        rows = self.spoken_of(latent, 1)
        if not rows:
            raise UsageError(
                "no training sample has a sentence to retrieve a grid by.",
                hint="give --mask or --box",
            )
        return self.start(rows[0])

    def item(self, row: int) -> dict[str, Any]:
        """The facts of trajectory ``row``."""
        return _row(self._items, row)

    def rows(self) -> Iterator[tuple[Float, dict[str, Any]]]:
        """The latent [D] and the facts of every trajectory, some hundred in memory at a time."""
        row = 0
        for batch in self._items.iter_batches(batch_size=_READ):
            for facts in batch.to_pylist():
                yield np.array(self.items[row], np.float32), facts
                row += 1

    def start(self, row: int) -> StartGrid:
        """Where trajectory ``row`` starts."""
        facts = self.item(row)
        size = (int(facts["width"]), int(facts["height"]))
        points = np.array(self.starts[row], np.float32)
        return StartGrid(points, size, f"sample {facts['item_id']}", fps=facts["fps"])


def nearest(table: NDArray[np.float32], latent: Float, top: int) -> list[tuple[int, float]]:
    """Rows of ``table`` [R, D] nearest to ``latent`` [D] (both of length 1), and their cosines;
    of equals the first. A block of rows is in memory at a time."""
    best: list[tuple[float, int]] = []
    for start in range(0, len(table), _ROWS):
        scores = np.asarray(table[start : start + _ROWS], np.float32) @ latent
        some = np.argpartition(-scores, min(top, len(scores)) - 1)[:top]
        # whoever ties with the last of them may stand before it
        some = np.flatnonzero(scores >= scores[some].min())
        best += [(-float(scores[i]), start + int(i)) for i in some]
        best = sorted(best)[:top]
    return [(row, -score) for score, row in best]


def open_index(
    model: TrajectoryModel,
    shards: ShardSet,
    folder: Path,
    *,
    split: str | None = None,
    told: Told | None = None,
) -> TrajectoryIndex:
    """The index of ``shards`` (of one split, or of all) by ``model``, built where ``folder`` has
    none yet. UsageError where no sample has tracks that the model reads."""
    if split is not None and split not in SPLITS:
        raise UsageError(f"there is no split {split!r}.", hint=f"use one of {', '.join(SPLITS)}")
    key = {
        "version": VERSION,
        "model": model.hash,
        "encoder": model.encoder.identity(),
        "shards": shards.manifest_hash,
        "split": split,
        "length": model.training.length,
        "min_frames": model.training.min_frames,
        "kind": model.training.kind,
        "pictures": model.pictures,
    }
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / name
    if not (path / "about.json").is_file():
        _build(model, shards, path, key, split, told or (lambda step, done, total: None))
    try:
        return TrajectoryIndex(path)
    except (OSError, ValueError, KeyError) as error:
        raise ShardError(
            f"the index {path} cannot be read: {error}", hint="delete it: it is built again"
        ) from error


@dataclass
class _Rows:
    """What grows while the shards are read."""

    latents: Any
    starts: Any
    items: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    said: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    count: int = 0


def _build(
    model: TrajectoryModel,
    shards: ShardSet,
    path: Path,
    key: dict[str, Any],
    split: str | None,
    told: Told,
) -> None:
    """Everything into a folder beside ``path``, which then gets its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=path.parent))
    try:
        with (part / "latents").open("wb") as latents, (part / "starts").open("wb") as starts:
            rows = _Rows(latents, starts)
            with pq.ParquetWriter(part / "items.parquet", _ITEMS) as writer:
                for items, facts, done in _read(model, shards, split):
                    _add(model, rows, items, facts)
                    writer.write_table(pa.Table.from_pylist(rows.items, _ITEMS))
                    rows.items.clear()
                    told("index", done, shards.count(split))
        if not rows.count:
            raise UsageError(
                f"{shards.path} has no trajectory of {model.grid}×{model.grid} points"
                + (f" in the split {split}." if split else "."),
                hint=f"track with --grid {model.grid} and build the shards again",
            )
        dim, points = model.network.config.latent, model.grid**2
        _as_npy(part / "latents", part / "items.npy", (rows.count, dim))
        _as_npy(part / "starts", part / "starts.npy", (rows.count, points, 2))
        _write_texts(model, part, rows.said, told)
        about = {**key, "items": rows.count, "texts": len(rows.said)}
        (part / "about.json").write_text(json.dumps(about, indent=1, sort_keys=True), "utf-8")
        if path.is_dir():  # another process was faster, or an unfinished one stands there
            shutil.rmtree(path)
        part.replace(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _read(
    model: TrajectoryModel, shards: ShardSet, split: str | None
) -> Iterator[tuple[list[TrackItem], dict[str, Sample], int]]:
    """Items of some hundred samples, those samples by id, and samples read so far.

    Samples of one video stand together in a shard, so they come in one part, and those with the
    same tracks become one item.
    """
    kind = None if model.training.kind == "all" else model.training.kind
    done = 0
    waiting: list[Sample] = []
    grouped = itertools.groupby(shards.samples(split, kind=kind), key=lambda s: s.video_id)
    for _, group in grouped:
        waiting += group
        if len(waiting) >= _READ:
            done += len(waiting)
            yield *_items(model, waiting), done
            waiting = []
    if waiting:
        yield *_items(model, waiting), done + len(waiting)


def _items(
    model: TrajectoryModel, samples: Iterable[Sample]
) -> tuple[list[TrackItem], dict[str, Sample]]:
    given = list(samples)
    items, _ = load_items(
        given, grid=model.grid, frames=model.frames, length=model.training.length,
        min_frames=model.training.min_frames, images=model.images, need_text=False,
    )  # fmt: skip
    return items, {s.sample_id: s for s in given}


def _add(
    model: TrajectoryModel, rows: _Rows, items: list[TrackItem], facts: dict[str, Sample]
) -> None:
    if not items:
        return
    points = np.stack([item.points for item in items])
    real = np.stack([item.real for item in items])
    latents = model.encode(points, real, model.pictures_of([item.images for item in items]))
    rows.latents.write(np.ascontiguousarray(latents).tobytes())
    for item in items:
        own = facts[item.item_id]
        assert own.tracks is not None
        rows.starts.write(np.ascontiguousarray(own.tracks.points[0], np.float32).tobytes())
        texts = [text for text in item.texts if text.strip()]
        rows.items.append(
            {
                "item_id": item.item_id,
                "split": own.split,
                "video_id": own.video_id,
                "width": item.size[0],
                "height": item.size[1],
                "fps": own.fps,
                "texts": texts,
            }
        )
        for text in texts:
            rows.said.setdefault(text, []).append(rows.count)
        rows.count += 1


def _write_texts(
    model: TrajectoryModel, part: Path, said: dict[str, list[int]], told: Told
) -> None:
    """The sentences' latents, a block at a time, and what they were said of."""
    texts = list(said)
    shape = (len(texts), model.network.config.latent)
    if not texts:  # an array of nothing cannot be mapped
        np.save(part / "texts.npy", np.zeros(shape, np.float32))
    else:
        made = np.lib.format.open_memmap(part / "texts.npy", "w+", np.float32, shape)
        for start in range(0, len(texts), _ROWS):
            block = texts[start : start + _ROWS]
            made[start : start + len(block)] = model.cached_texts(block)
            told("sentences", start + len(block), len(texts))
        made.flush()
    table = pa.table({"text": texts, "items": list(said.values())}, schema=_TEXTS)
    pq.write_table(table, part / "texts.parquet", row_group_size=1024)


def _as_npy(raw: Path, target: Path, shape: tuple[int, ...]) -> None:
    """Raw float32 numbers as an .npy, without holding them."""
    made = np.lib.format.open_memmap(target, "w+", np.float32, shape)
    flat = np.memmap(raw, np.float32, "r", shape=shape)
    for start in range(0, shape[0], _ROWS):
        made[start : start + _ROWS] = flat[start : start + _ROWS]
    made.flush()
    del flat
    raw.unlink()


def _row(file: Any, row: int) -> dict[str, Any]:
    """One row of a Parquet file; a row group is read."""
    for group in range(file.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        if row < count:
            found: dict[str, Any] = file.read_row_group(group).slice(row, 1).to_pylist()[0]
            return found
        row -= count
    raise ValueError(f"no row {row}")
