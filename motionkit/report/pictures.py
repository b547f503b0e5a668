"""Contact sheets: frames of kept clips with skeletons, tracks and masks drawn on."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterator
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit.errors import InputError
from motionkit.measures import SEEN
from motionkit.records import unflatten
from motionkit.rle import decode_rle
from motionkit.stage import Tables, digest, has_run
from motionkit.video.decode import read_frames
from motionkit.video.draw import draw_mask, draw_skeleton, draw_tracks

#: Height of a contact-sheet picture in pixels: sharp at half that size on dense screens.
TILE_HEIGHT: Final = 300
_GROUND: Final = 440


@dataclasses.dataclass(frozen=True)
class Tile:
    """One drawn frame: a data address, its size, and its time in the video."""

    source: str
    width: int
    height: int
    time_s: float


@dataclasses.dataclass(frozen=True)
class Sheet:
    """The frames of one clip; ``problem`` says why there are none."""

    clip_id: str
    video_id: str
    seconds: float
    captions: list[tuple[str, str]]
    tiles: list[Tile]
    tracked: bool
    problem: str = ""


@dataclasses.dataclass
class _Clip:
    row: dict[str, Any]
    captions: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    tracks: dict[str, Any] | None = None
    masks: list[str | None] | None = None
    path: str | None = None
    decoder: str | None = None


def contact_sheets(tables: Tables, count: int) -> Iterator[Sheet]:
    """Drawn frames of ``count`` kept clips: a choice spread over the videos, by hash of the id."""
    if count < 1 or not has_run(tables, "keypoints"):
        return
    for clip in _clips(tables, _choose(tables, count)):
        row = clip.row
        tiles, problem = [], ""
        try:
            tiles = _tiles(clip)
        except InputError as error:
            problem = f"the frames cannot be read: {error.message}"
        except OSError as error:
            problem = f"the video cannot be opened: {error.strerror or error}"
        yield Sheet(
            row["clip_id"],
            row["video_id"],
            row["frames"] / row["fps"],
            clip.captions,
            tiles,
            clip.tracks is not None,
            problem,
        )


def _choose(tables: Tables, count: int) -> list[str]:
    """Clip ids: one of each video first, then a second one … until there are enough."""
    by_video: dict[str, list[str]] = {}
    for row in tables.rows("keypoints", ["clip_id", "video_id"]):
        by_video.setdefault(row["video_id"], []).append(row["clip_id"])
    ranked = []
    for clips in by_video.values():
        for turn, clip in enumerate(sorted(clips, key=digest)):
            ranked.append((turn, digest(clip), clip))
    return [clip for _, _, clip in sorted(ranked)[:count]]


def _clips(tables: Tables, chosen: list[str]) -> list[_Clip]:
    found: dict[str, _Clip] = {}
    columns = ["clip_id", "video_id", "fps", "frames", "width", "height", "ordinals", "m2d"]
    for row in tables.rows("keypoints", columns):
        if row["clip_id"] in chosen:
            found[row["clip_id"]] = _Clip(row)
    if has_run(tables, "captions"):
        for row in tables.rows("captions", ["clip_id", "captions"]):
            if row["clip_id"] in found:
                pairs = [(c["text"], c["source"]) for c in row["captions"] or ()]
                found[row["clip_id"]].captions = pairs
    if has_run(tables, "tracks"):
        for row in tables.rows("tracks", ["clip_id", "frames", "grid", "points", "visible"]):
            if row["clip_id"] in found:
                found[row["clip_id"]].tracks = row
    if has_run(tables, "masks"):
        for row in tables.rows("masks", ["clip_id", "masks"], only=("clip_id", found)):
            found[row["clip_id"]].masks = list(row["masks"])
    if has_run(tables, "videos"):
        for row in tables.rows("videos", ["video_id", "path", "decoder"]):
            for clip in found.values():
                if clip.row["video_id"] == row["video_id"] and clip.path is None:
                    clip.path, clip.decoder = row["path"], row["decoder"]
    return [found[clip] for clip in chosen if clip in found]


def _tiles(clip: _Clip) -> list[Tile]:
    row = clip.row
    if clip.path is None:
        raise InputError("no-video", "the source video is not in the workspace")
    m2d = unflatten(row["m2d"], -1, 18, 3)
    tracks = visible = None
    if clip.tracks is not None:
        frames, grid = clip.tracks["frames"], clip.tracks["grid"]
        tracks = unflatten(clip.tracks["points"], frames, grid * grid, 2)
        visible = unflatten(clip.tracks["visible"], frames, grid * grid)
    crop = _crop(m2d[:, :17], row["width"], row["height"])
    shape = (crop[2] - crop[0]) / (crop[3] - crop[1])
    number = 8 if shape < 0.62 else 7 if shape < 0.8 else 6 if shape < 1.2 else 5
    chosen = np.linspace(0, len(m2d) - 1, number).round().astype(int)
    ordinals = np.asarray(row["ordinals"])[chosen]
    by_ordinal = {}
    for chunk in read_frames(clip.path, decoder=clip.decoder, ordinals=np.unique(ordinals)):
        for i, ordinal in enumerate(chunk.ordinals.tolist()):
            by_ordinal[ordinal] = (chunk.frames[i], float(chunk.times_s[i]))
    tiles = []
    for index, ordinal in zip(chosen.tolist(), ordinals.tolist(), strict=True):
        if ordinal not in by_ordinal:
            continue
        frame, time_s = by_ordinal[ordinal]
        counts = clip.masks[index] if clip.masks and index < len(clip.masks) else None
        if counts is not None:
            frame = draw_mask(frame, decode_rle({"size": frame.shape[:2], "counts": counts}))
        picture = _draw(frame, m2d[index, :17], crop, tracks, visible, index)
        height, width = picture.shape[:2]
        data = jpeg(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), quality=80)
        tiles.append(Tile(data, width, height, time_s))
    return tiles


def _crop(points: NDArray[Any], width: int, height: int) -> tuple[int, int, int, int]:
    """Part of the picture that holds the person over the whole clip, no thinner than 1 : 2."""
    seen = points[..., 2] > SEEN
    if not seen.any():
        return 0, 0, width, height
    xy = points[..., :2][seen]
    (x0, y0), (x1, y1) = np.percentile(xy, 0.5, axis=0), np.percentile(xy, 99.5, axis=0)
    margin = 0.14 * max(y1 - y0, x1 - x0, 40)
    x0, y0, x1, y1 = x0 - margin, y0 - 1.3 * margin, x1 + margin, y1 + margin
    missing = max(0.0, 0.5 * (y1 - y0) - (x1 - x0))
    x0, x1 = x0 - missing / 2, x1 + missing / 2
    missing = max(0.0, (x1 - x0) / 2.0 - (y1 - y0))
    y0, y1 = y0 - missing / 2, y1 + missing / 2
    left, top = max(0, int(x0)), max(0, int(y0))
    return left, top, min(width, max(int(x1), left + 8)), min(height, max(int(y1), top + 8))


def _draw(
    frame: NDArray[np.uint8],
    keypoints: NDArray[Any],
    crop: tuple[int, int, int, int],
    tracks: NDArray[Any] | None,
    visible: NDArray[Any] | None,
    index: int,
) -> NDArray[np.uint8]:
    """The cropped frame at the tile's size, tracks below the skeleton."""
    x0, y0, x1, y1 = crop
    scale = TILE_HEIGHT / (y1 - y0)
    size = (max(1, round((x1 - x0) * scale)), TILE_HEIGHT)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = np.asarray(cv2.resize(frame[y0:y1, x0:x1], size, interpolation=way), np.uint8)
    # Strokes follow the shorter side: a wider ground keeps them as thick on a narrow picture.
    ground = np.zeros((max(TILE_HEIGHT, _GROUND), max(size[0], _GROUND), 3), np.uint8)
    ground[:TILE_HEIGHT, : size[0]] = picture
    if tracks is not None and visible is not None and index < len(tracks):
        moved = (tracks[: index + 1] - (x0, y0)) * scale
        ground = draw_tracks(ground, moved, visible[: index + 1], trail=12)
    placed = np.array(keypoints, np.float64)
    placed[:, :2] = (placed[:, :2] - (x0, y0)) * scale
    return draw_skeleton(ground, placed)[:TILE_HEIGHT, : size[0]]


def jpeg(bgr: NDArray[Any], *, quality: int) -> str:
    """A picture (BGR) as a data address."""
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise AssertionError("cv2 cannot encode a JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
