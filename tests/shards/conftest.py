"""A small table set for the shard tests: made by a factory, kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any

import numpy as np
import pytest

from motionkit.errors import UsageError
from motionkit.stage import digest


class FakeTables:
    """Tables in memory. ``order`` shuffles the rows of every table by a seed."""

    def __init__(self, tables: dict[str, list[dict[str, Any]]], order: int = 0) -> None:
        self.tables = tables
        self.order = order

    def rows(
        self,
        table: str,
        columns: Iterable[str],
        *,
        outcome: str | None = "kept",
        only: tuple[str, Container[str]] | None = None,
    ) -> Iterator[dict[str, Any]]:
        self.fingerprint(table)
        rows = [
            row
            for row in self.tables[table]
            if outcome in (None, row.get("outcome", "kept"))
            and (only is None or row[only[0]] in only[1])
        ]
        shuffled = np.random.default_rng([self.order, len(table)]).permutation(len(rows))
        for index in shuffled if self.order else range(len(rows)):
            row = {"outcome": "kept", **rows[index]}
            yield {name: row.get(name) for name in ["item_id", *columns]}

    def fingerprint(self, table: str) -> str:
        if table not in self.tables:
            raise UsageError(f"no {table} yet")
        return digest({"table": table})


def make_tables(videos: int = 6, clips: int = 3, frames: int = 60) -> FakeTables:
    """``clips`` clips in each of ``videos`` videos; even clips have tracks (a 2 x 2 grid)."""
    tables: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("videos", "detections", "verdicts", "keypoints", "tracks", "captions")
    }
    for v in range(videos):
        video = digest(v, 16)
        tables["videos"].append(
            {
                "video_id": video,
                "path": f"/private/films/{v}.mp4",
                "source": "/private/films",
                "licence": "CC BY 4.0" if v % 2 else None,
            }
        )
        candidates = []
        for c in range(clips):
            clip = f"{video}-{c * 100:06d}-{c * 100 + 99:06d}-p"
            rng = np.random.default_rng([v, c])
            candidates.append(
                {
                    "clip_id": clip,
                    "outcome": "kept",
                    "first": c * 100,
                    "last": c * 100 + 99,
                    "t0_s": c * 4.0,
                    "t1_s": c * 4.0 + 2.0,
                }
            )
            m2d = rng.random((frames, 18, 3), np.float32)
            m2d[:, 17] = (640, 360, 1)
            shape = {"video_id": video, "clip_id": clip, "fps": 30.0, "width": 640, "height": 360}
            tables["keypoints"].append(
                {**shape, "frames": frames, "m2d": m2d.ravel(), "backend": "mediapipe"}
            )
            if c % 2 == 0:
                tables["tracks"].append(
                    {
                        **shape,
                        "frames": frames,
                        "grid": 2,
                        "ordinals": np.arange(3, frames + 3),
                        "points": rng.random(frames * 8, np.float32),
                        "visible": rng.random(frames * 4) > 0.5,
                        "backend": "lucas-kanade",
                        "mask_source": "person-box",
                    }
                )
            caption = {"text": f"walks {v} {c}", "source": "sidecar", "detail": "{}"}
            tables["captions"].append({**shape, "captions": [caption]})
        shot = {"item_id": f"{video}-000000-000999", "video_id": video}
        tables["verdicts"].append({**shot, "candidates": candidates})
        tables["detections"].append({**shot, "backend": "mediapipe"})
    return FakeTables(tables)


def add_expressions(tables: FakeTables, count: int = 6, frames: int = 4) -> FakeTables:
    """``count`` expressions about videos of their own; even ones have tracks, the last of each
    three is of valid_u."""
    rows = tables.tables
    rows.setdefault("expressions", [])
    for e in range(count):
        video = digest(["dog", e], 16)
        rows["videos"].append(
            {
                "video_id": video,
                "path": f"/mevis/train/JPEGImages/dog{e}",
                "source": "/mevis",
                "fps": 5.0,
                "duration_s": frames / 5,
                "licence": None,
            }
        )
        clip = f"{video}-expression"
        rows["expressions"].append(
            {
                "item_id": clip,
                "video_id": video,
                "clip_id": clip,
                "source_split": "valid_u" if e % 3 == 2 else "train",
                "source_video": f"dog{e}",
                "source_expression": "0",
                "text": f"the dog that runs {e}",
                "object_ids": np.array([1, 2]),
                "annotation_ids": np.array([7, 8]),
                "width": 64,
                "height": 48,
                "frames": frames,
                "masks": ["j7:V100000Vb2", None, *["n[2:V100000000000000000R5"] * (frames - 2)],
                "extra": None,
            }
        )
        if e % 2 == 0:
            points = np.random.default_rng(e).random(frames * 8).astype(np.float32) * 40
            rows.setdefault("tracks", []).append(
                {
                    "video_id": video,
                    "clip_id": clip,
                    "frames": frames,
                    "grid": 2,
                    "ordinals": np.arange(3, frames + 3),
                    "points": points,
                    "visible": np.ones(frames * 4, bool),
                    "backend": "lucas-kanade",
                }
            )
    return tables


@pytest.fixture(name="add_expressions")
def add_expressions_fixture() -> Callable[..., FakeTables]:
    return add_expressions


@pytest.fixture(name="make_tables")
def make_tables_fixture() -> Callable[..., FakeTables]:
    return make_tables
