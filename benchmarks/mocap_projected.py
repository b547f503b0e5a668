"""Motion capture seen by virtual cameras: a shard set of 2D keypoints, and the 3D truth beside it.

Every motion is projected from four sides (each ± 20°), from an elevation of -5 to 15°, by the
spec's camera (f = 5000, body about 600 pixels), with the errors of pose estimators: noise of 1 %
of the body's height, half of it slow, and 5 % of the keypoints missing. Training reads the shard
set; the truth is only read to score.
"""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionkit.bodies import rotations
from motionkit.bodies.body_torch import FOCAL_PX
from motionkit.bodies.bvh import read_bvh
from motionkit.bodies.mocap import coco_points

Float = NDArray[np.float64]

VIEWS = {"front": 0.0, "left": 90.0, "back": 180.0, "right": 270.0}
WIDTH, HEIGHT = 1920, 1080
BODY_PX = 600.0
FPS = 30.0


@dataclass(frozen=True)
class Motion:
    """One file: COCO points [F, 17, 3] in metres, y up, and what is said of it."""

    name: str
    points: Float
    content: str = ""
    style: str = ""
    caption: str = ""


@dataclass(frozen=True)
class View:
    """A motion from one side."""

    motion: Motion
    side: str
    m2d: NDArray[np.float32]
    """[F, 18, 3] pixels."""
    truth: Float
    """[F, 17, 3] metres, camera frame."""

    @property
    def sample_id(self) -> str:
        return f"{self.motion.name}-{self.side}"


def read_folder(folder: Path, index: Path | None = None) -> Iterator[Motion]:
    """Every BVH of ``folder``, in the order of its names; ``index`` (CSV: file, content, style,
    template_description) says what they are, else the file's name is the caption."""
    rows: dict[str, dict[str, str]] = {}
    if index is not None:
        with index.open(encoding="utf-8") as file:
            rows = {row["file"]: row for row in csv.DictReader(file)}
    for path in sorted(folder.rglob("*.bvh")):
        row = rows.get(path.name, {})
        words = re.sub(r"[^a-z]+", " ", path.stem.lower()).strip() or "moves"
        yield Motion(
            name=path.stem,
            points=coco_points(read_bvh(path), fps=FPS).points,
            content=row.get("content", ""),
            style=row.get("style", ""),
            caption=row.get("template_description", f"a person: {words}"),
        )


def views(motion: Motion, seed: int, *, noise: float = 0.01, missing: float = 0.05) -> list[View]:
    """The motion from `VIEWS`, "front" being where the person faces on average."""
    rng = np.random.default_rng([seed, zlib.crc32(motion.name.encode())])
    across = (motion.points[:, 5] - motion.points[:, 6] + motion.points[:, 11]
              - motion.points[:, 12]).mean(0)  # fmt: skip
    facing = float(np.degrees(np.arctan2(-across[2], across[0])))
    made = []
    for side, azimuth in VIEWS.items():
        turn = azimuth - facing + rng.uniform(-20, 20)
        seen = in_camera(motion.points, turn, rng.uniform(-5, 15))
        made.append(View(motion, side, measured(seen, rng, noise, missing), seen))
    return made


def in_camera(points: Float, azimuth_deg: float, elevation_deg: float) -> Float:
    """Points in the frame of a camera that stands so far away that the body is `BODY_PX` tall."""
    camera = (
        np.diag([1.0, -1, -1])
        @ rotations.about("x", np.radians(elevation_deg))
        @ rotations.about("y", np.radians(azimuth_deg))
    )
    seen = (points - points[:, 11:13].mean((0, 1))) @ camera.T
    tall = float(np.percentile(np.ptp(seen[..., 1], axis=1), 90))
    return seen + np.array([0, 0, FOCAL_PX * tall / BODY_PX])


def measured(
    seen: Float, rng: np.random.Generator, noise: float, missing: float
) -> NDArray[np.float32]:
    """M_2D [F, 18, 3]: projected points with the errors of an estimator."""
    xy = FOCAL_PX * seen[..., :2] / seen[..., 2:]
    tall = float(np.percentile(np.ptp(xy[..., 1], axis=1), 90))
    quick, slow = rng.normal(size=xy.shape), rng.normal(size=xy.shape)
    flat = slow.reshape(len(xy), -1).T
    slow = np.stack([np.convolve(c, np.full(9, 1 / 3), "same") for c in flat], -1).reshape(xy.shape)
    xy = xy + tall * noise * (quick + slow) / np.sqrt(2) + [WIDTH / 2, HEIGHT / 2]
    m2d = np.ones((len(xy), 18, 3), np.float32)
    m2d[:, :17, :2] = xy
    m2d[:, :17, 2] = np.where(rng.random(xy.shape[:2]) < missing, 0.1, 0.9)
    m2d[:, 17, :2] = WIDTH, HEIGHT
    return m2d


def part_of(motion: Motion, held_styles: Sequence[str], styles: Mapping[str, int]) -> str:
    """Which part a motion belongs to.

    train; val; pair: content × style pairs that training lacks, of contents and styles that it
    has; style: styles that it lacks; content: contents that it lacks, those that come in one
    style only (``styles`` counts them) and are drawn for testing.
    """
    if motion.style in held_styles:
        return "style"
    place = zlib.crc32(f"{motion.content}|{motion.style}".encode()) % 100
    if place < 15:
        return "pair" if styles.get(motion.content, 0) > 1 else "content"
    return "val" if place < 19 else "train"


def rows(parts: Iterable[tuple[str, Sequence[View]]]) -> Iterator[dict[str, Any]]:
    """Rows for `shards.from_samples.write_set`; pair and style are its test split."""
    for part, seen in parts:
        for view in seen:
            yield {
                "sample_id": view.sample_id,
                "video_id": view.sample_id,
                "group_id": view.motion.name,
                "split": part if part in ("train", "val") else "test",
                "frames": len(view.m2d),
                "fps": FPS,
                "width": WIDTH,
                "height": HEIGHT,
                "m2d": view.m2d,
                "captions": [{"text": view.motion.caption, "source": "label"}],
            }
