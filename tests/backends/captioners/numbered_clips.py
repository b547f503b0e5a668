"""Clips whose pictures say which clip they are: a film of black and white cells, and a workspace
that holds its clips as if `pose` had measured them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from motionkit.stage import digest
from motionkit.workspace import Workspace
from tests.video.encode import write_video

WIDTH, HEIGHT = 96, 64
FRAMES_EACH = 4
#: The middles (x, y) of eight cells, the lowest bit first.
_CELLS = [(12 + 24 * (bit % 4), 12 + 40 * (bit // 4)) for bit in range(8)]


def picture(number: int) -> np.ndarray:
    """A frame [64, 96, 3] that shows ``number``, 0 to 255."""
    frame = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    for bit, (x, y) in enumerate(_CELLS):
        frame[y - 10 : y + 10, x - 10 : x + 10] = 255 if number >> bit & 1 else 0
    return frame


def number_in(frame: np.ndarray) -> int:
    """The number that a frame shows."""
    found = 0
    for bit, (x, y) in enumerate(_CELLS):
        found |= int(frame[y - 2 : y + 3, x - 2 : x + 3].mean() > 128) << bit
    return found


def box_of(number: int) -> tuple[float, float, float, float]:
    """Where the person of a clip is: between the cells, another place for every clip."""
    left = 4.0 + number % 40
    return left, 26.0, left + 30.0, 38.0


def clip_name(number: int) -> str:
    return f"film-{number:04d}"


def make_workspace(folder: Path, clips: int, unseen: tuple[int, ...] = ()) -> Workspace:
    """A workspace whose tables `videos` and `keypoints` hold so many clips of one film; of the
    clips ``unseen`` no frame has a box."""
    film = folder / "film.mp4"
    folder.mkdir(parents=True, exist_ok=True)
    frames = (picture(i // FRAMES_EACH) for i in range(clips * FRAMES_EACH))
    write_video(film, frames, quality=5, options={"g": str(FRAMES_EACH)})
    workspace = Workspace.create(folder / "ws")
    _table(workspace, "videos", [_video(film, clips * FRAMES_EACH)])
    _table(workspace, "keypoints", [_clip(n, n in unseen) for n in range(clips)])
    return workspace


def _video(film: Path, frames: int) -> dict[str, Any]:
    return {
        "item_id": "film",
        "video_id": "film",
        "path": str(film),
        "decoder": "pyav",
        "frames_decoded": frames,
    }


def _clip(number: int, unseen: bool) -> dict[str, Any]:
    boxes = np.zeros((FRAMES_EACH, 5), np.float32)
    if not unseen:
        boxes[:] = (*box_of(number), 0.9)
    m2d = np.zeros((FRAMES_EACH, 18, 3), np.float32)
    m2d[:, 17] = WIDTH, HEIGHT, 1
    first = number * FRAMES_EACH
    return {
        "item_id": clip_name(number),
        "video_id": "film",
        "clip_id": clip_name(number),
        "t0_s": first / 30,
        "t1_s": (first + FRAMES_EACH) / 30,
        "fps": 30.0,
        "width": WIDTH,
        "height": HEIGHT,
        "frames": FRAMES_EACH,
        "ordinals": np.arange(first, first + FRAMES_EACH, dtype=np.int32),
        "m2d": m2d,
        "boxes": boxes,
    }


def _table(workspace: Workspace, table: str, rows: list[dict[str, Any]]) -> None:
    fingerprint = digest(table)
    full = [{"fingerprint": fingerprint, "outcome": "kept", "attempt": 1, **row} for row in rows]
    workspace.write_part(table, full)
    workspace.set_current(table, fingerprint, {"stage": table, "parameters": {}})
