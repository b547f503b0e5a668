"""Frames of followed objects with the outline of their masks and their tracks drawn on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError
from motionkit.records import unflatten
from motionkit.report.objects import TARGET_COLUMNS, target_of
from motionkit.report.pictures import TILE_HEIGHT, Sheet, Tile, jpeg
from motionkit.rle import decode_rle
from motionkit.stage import Tables, digest
from motionkit.video.decode import read_frames
from motionkit.video.draw import draw_mask, draw_tracks

_FRAMES: Final = 4
#: Sentences listed below a motion; the page says how many more there are.
MOST_SENTENCES: Final = 6


@dataclasses.dataclass
class _Motion:
    """One target with its tracks, its masks by source frame, and all that is said of it."""

    clip: str
    tracks: dict[str, Any]
    masks: list[str | None] | None = None
    texts: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    path: str | None = None
    decoder: str | None = None
    times_s: NDArray[np.float64] | None = None
    """Of the video's frames, as `ingest` took them: a folder of pictures knows none."""


def object_sheets(tables: Tables, motions: Mapping[str, str], count: int) -> Iterator[Sheet]:
    """Drawn frames of ``count`` motions (`objects.Objects.motions`): a choice spread over the
    videos, by hash. A sheet's captions are all sentences about the objects, with their split."""
    if count < 1 or not motions:
        return
    chosen = _choose(tables, motions, count)
    for motion in _collect(tables, {target: motions[target] for target in chosen}):
        tracks, tiles, problem = motion.tracks, [], ""
        try:
            tiles = _tiles(motion)
        except InputError as error:
            problem = f"the frames cannot be read: {error.message}"
        except OSError as error:
            problem = f"the video cannot be opened: {error.strerror or error}"
        except ValueError as error:
            problem = f"the mask or the tracks cannot be read: {error}"
        seconds = tracks["frames"] / tracks["fps"] if tracks["fps"] else 0.0
        video = tracks["video_id"]
        yield Sheet(motion.clip, video, seconds, motion.texts, tiles, True, problem)


def _choose(tables: Tables, motions: Mapping[str, str], count: int) -> list[str]:
    """Targets: one of each video first, then a second one … until there are enough."""
    targets = {clip: target for target, clip in motions.items()}
    by_video: dict[str, list[str]] = {}
    for row in tables.rows("tracks", ["clip_id", "video_id"], only=("clip_id", targets)):
        by_video.setdefault(row["video_id"], []).append(targets[row["clip_id"]])
    ranked = []
    for found in by_video.values():
        for turn, target in enumerate(sorted(found)):  # a target is a hash
            ranked.append((turn, digest(target), target))
    return [target for _, _, target in sorted(ranked)[:count]]


def _collect(tables: Tables, chosen: Mapping[str, str]) -> list[_Motion]:
    columns = ["video_id", "clip_id", "fps", "width", "height", "frames", "grid"]
    columns += ["ordinals", "points", "visible"]
    wanted = {clip: target for target, clip in chosen.items()}
    found: dict[str, _Motion] = {}
    for row in tables.rows("tracks", columns, only=("clip_id", wanted)):
        found[wanted[row["clip_id"]]] = _Motion(row["clip_id"], row)
    videos = {motion.tracks["video_id"] for motion in found.values()}
    columns = ["clip_id", "text", "source_expression", *TARGET_COLUMNS]
    for row in tables.rows("expressions", columns, only=("video_id", videos)):
        motion = found.get(target_of(row) or "")
        if motion is not None:
            motion.texts.append((row["text"] or "", row["source_split"] or ""))
    for row in tables.rows("expressions", ["clip_id", "masks"], only=("clip_id", wanted)):
        if wanted[row["clip_id"]] in found and row["masks"] is not None:
            found[wanted[row["clip_id"]]].masks = list(row["masks"])
    only = ("video_id", videos)
    for row in tables.rows("videos", ["video_id", "path", "decoder", "frame_times_s"], only=only):
        for motion in found.values():
            if motion.tracks["video_id"] == row["video_id"] and motion.path is None:
                motion.path, motion.decoder = row["path"], row["decoder"]
                if row["frame_times_s"] is not None:
                    motion.times_s = np.asarray(row["frame_times_s"], np.float64)
    for motion in found.values():
        motion.texts.sort()
    return [found[target] for target in chosen if target in found]


def _tiles(motion: _Motion) -> list[Tile]:
    if motion.path is None:
        raise InputError("no-video", "the source video is not in the workspace")
    tracks = motion.tracks
    frames, count = int(tracks["frames"]), int(tracks["grid"]) ** 2
    points = unflatten(tracks["points"], frames, count, 2).astype(np.float64)
    visible = unflatten(tracks["visible"], frames, count).astype(bool)
    chosen = np.linspace(0, frames - 1, min(_FRAMES, frames)).round().astype(int)
    ordinals = np.asarray(tracks["ordinals"])[chosen]
    pictures: dict[int, tuple[NDArray[np.uint8], float]] = {}
    for chunk in read_frames(motion.path, decoder=motion.decoder, ordinals=np.unique(ordinals)):
        for i, ordinal in enumerate(chunk.ordinals.tolist()):
            pictures[ordinal] = (chunk.frames[i], float(chunk.times_s[i]))
    tiles = []
    masks = motion.masks  # one for each frame of the source
    for index, ordinal in zip(chosen.tolist(), ordinals.tolist(), strict=True):
        if ordinal not in pictures:
            continue
        frame, time_s = pictures[ordinal]
        counts = masks[ordinal] if masks is not None and ordinal < len(masks) else None
        size = (max(1, round(frame.shape[1] * TILE_HEIGHT / frame.shape[0])), TILE_HEIGHT)
        way = cv2.INTER_AREA if frame.shape[0] > TILE_HEIGHT else cv2.INTER_CUBIC
        picture = np.asarray(cv2.resize(frame, size, interpolation=way), np.uint8)
        path = points[: index + 1] * (np.array(size) / (frame.shape[1], frame.shape[0]))
        picture = draw_tracks(picture, path, visible[: index + 1], trail=frames)
        if counts is not None:  # above the trails, which cover most of a small object
            mask = decode_rle({"size": frame.shape[:2], "counts": counts}).astype(np.uint8)
            shrunk = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
            picture = draw_mask(picture, np.asarray(shrunk, bool))
        data = jpeg(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), quality=80)
        if motion.times_s is not None and ordinal < len(motion.times_s):
            time_s = float(motion.times_s[ordinal])
        tiles.append(Tile(data, size[0], TILE_HEIGHT, time_s))
    return tiles
