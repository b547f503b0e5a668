"""A toy world for Lang2Motion: a grid of points that moves in a straight line, and says where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.shards.shard_files import row, write_shards

DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
WORDINGS = ("the thing moves {}", "something that goes {}", "it is travelling {}")
DIM = 16


class DirectionWords:
    """A text encoder for tests: fixed random features of the words, summed, of length 1."""

    dim = DIM

    def identity(self) -> dict[str, str]:
        return {"name": "direction-words"}

    def encode(self, texts: list[str]) -> np.ndarray:
        rows = np.zeros((len(texts), DIM), np.float32)
        for feature, text in zip(rows, texts, strict=True):
            for word in text.split():
                feature += np.random.default_rng(list(word.encode())).normal(size=DIM)
            feature /= max(float(np.linalg.norm(feature)), 1e-6)
        return rows


def line(direction: str, seed: int, *, grid: int = 3, frames: int = 8) -> np.ndarray:
    """Tracks [T, N, 2] in pixels of a 640×360 picture: 12 px a frame, from a random place."""
    rng = np.random.default_rng(seed)
    step = np.linspace(-20, 20, grid)
    start = np.stack(np.meshgrid(step, step), -1).reshape(-1, 2)
    start = start * rng.uniform(0.7, 1.3) + rng.uniform((200, 130), (440, 230))
    moved = np.arange(frames)[:, None, None] * 12 * np.array(DIRECTIONS[direction])
    return (start + moved).astype(np.float32)


def rows(
    count: int = 48, *, grid: int = 3, frames: int = 8, first: int = 0
) -> list[dict[str, Any]]:
    """Samples of kind object: two sentences about each trajectory, a sample each."""
    made = []
    for i in range(first, first + count):
        direction = list(DIRECTIONS)[i % 4]
        points = line(direction, i, grid=grid, frames=frames)
        for k in range(2):
            text = WORDINGS[(i + k) % len(WORDINGS)].format(direction)
            made.append(
                row(
                    i,
                    kind="object",
                    m2d=None,
                    sample_id=f"v{i:04d}-{k}",
                    video_id=f"v{i:04d}",
                    width=640,
                    height=360,
                    masks=None,
                    frames=frames,
                    captions=[{"text": text, "source": "expression", "detail": "{}"}],
                    track_frames=frames,
                    track_first=0,
                    track_grid=grid,
                    track_points=points.ravel(),
                    track_visible=np.ones(frames * grid * grid, bool),
                )
            )
    return made


def shards(folder: Path, count: int = 48, **changes: Any) -> Path:
    """A shard set of them."""
    return write_shards(folder, rows(count, **changes))
