"""Small MeViS trees: drawn frames, real run lengths."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from motionkit.rle import encode_rle

WIDTH, HEIGHT, FRAMES = 96, 64, 8
#: Top left corners of the two objects (squares of 24 pixels) and their speeds, pixels a frame.
OBJECTS = {0: ((8, 8), (4, 1)), 1: ((60, 30), (-3, 0))}
SIDE = 24


def object_mask(name: int, frame: int) -> np.ndarray:
    """[HEIGHT, WIDTH] bool; object 1 is not seen before frame 2."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    if name == 1 and frame < 2:
        return mask
    (x, y), (u, v) = OBJECTS[name]
    x, y = x + u * frame, y + v * frame
    mask[y : y + SIDE, x : x + SIDE] = True
    return mask


def write_frames(folder: Path, count: int = FRAMES, suffix: str = ".jpg") -> None:
    """Textured squares on a textured ground, other ones for every folder's name."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(zlib.crc32(folder.name.encode())).integers(
        0, 255, (HEIGHT * 2, WIDTH * 2, 3), np.uint8
    )
    ground = cv2.GaussianBlur(noise, (0, 0), 2)
    ground = cv2.normalize(ground, None, 0, 255, cv2.NORM_MINMAX)
    for frame in range(count):
        picture = ground[:HEIGHT, :WIDTH].copy()
        for name in OBJECTS:
            mask = object_mask(name, frame)
            if mask.any():
                patch = ground[HEIGHT : HEIGHT + SIDE, 20 * name : 20 * name + SIDE]
                picture[mask] = patch.reshape(-1, 3)
        done, data = cv2.imencode(suffix, picture)
        assert done
        (folder / f"{frame:05d}{suffix}").write_bytes(data.tobytes())


def rles(name: int, count: int = FRAMES) -> list[dict[str, Any] | None]:
    """One object's entries of the mask file; null where it is not seen."""
    masks = [object_mask(name, frame) for frame in range(count)]
    return [encode_rle(mask) if mask.any() else None for mask in masks]


def meta(*videos: str, masks: bool = True) -> dict[str, Any]:
    """The file of sentences: two sentences a video, the second of both objects."""
    found: dict[str, Any] = {}
    for number, video in enumerate(videos):
        one: dict[str, Any] = {"exp": "the square  moving right"}
        two: dict[str, Any] = {"exp": "both squares"}
        if masks:
            one |= {"obj_id": [0], "anno_id": [2 * number]}
            two |= {"obj_id": [0, 1], "anno_id": [2 * number, 2 * number + 1]}
        found[video] = {
            "frames": [f"{i:05d}" for i in range(FRAMES)],
            "expressions": {"0": one, "1": two},
            "vid_id": number,
        }
    return {"videos": found}


def mask_dict(videos: int) -> dict[str, Any]:
    """The mask file of as many videos."""
    return {str(2 * n + name): rles(name) for n in range(videos) for name in OBJECTS}


def write_split(
    root: Path,
    name: str = "train",
    videos: tuple[str, ...] = ("walk", "turn"),
    masks: bool = True,
) -> Path:
    """A whole split; returns its folder."""
    split = root / name
    for video in videos:
        write_frames(split / "JPEGImages" / video)
    (split / "meta_expressions.json").write_text(json.dumps(meta(*videos, masks=masks)))
    if masks:
        (split / "mask_dict.json").write_text(json.dumps(mask_dict(len(videos))))
    return split
