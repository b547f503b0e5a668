"""A workspace with real files and a shard set of them, to be released and rebuilt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from motionkit.stages.ingest import describe
from motionkit.video.planes import read_small
from motionkit.video.video_hash import VideoHasher
from motionkit.workspace import Workspace
from tests.exchange.sets import make_set, person
from tests.video.encode import write_video

FINGERPRINT = "e" * 32
SECONDS = 4


def frames_of(seed: int, count: int = SECONDS * 15, size: tuple[int, int] = (160, 96)) -> list[Any]:
    """A lively film: soft blobs that wander."""
    rng = np.random.default_rng(seed)
    width, height = size
    start, pace = rng.random((12, 2)), rng.normal(0, 0.025, (12, 2))
    colours = rng.integers(40, 255, (12, 3)).tolist()
    frames = []
    for number in range(count):
        frame = np.full((96, 160, 3), 30, np.uint8)
        for at, colour in zip((start + pace * number) % 1, colours, strict=True):
            place = int(at[0] * 160), int(at[1] * 96)
            cv2.circle(frame, place, 18, colour, -1)
        frames.append(cv2.resize(cv2.GaussianBlur(frame, (0, 0), 2), (width, height)))
    return frames


def film_file(path: Path, seed: int, **options: Any) -> Path:
    """The film as a file, 15 frames a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = frames_of(seed, options.pop("count", SECONDS * 15), options.pop("size", (160, 96)))
    write_video(path, frames, 15.0, **options)
    return path


def outcome(item: str) -> dict[str, Any]:
    return {"item_id": item, "fingerprint": FINGERPRINT, "outcome": "kept", "attempt": 1}


def video_row(path: Path, **changes: Any) -> dict[str, Any]:
    """Its row in `videos`, as ingest makes it."""
    found = describe(str(path), str(path.parent))
    return {**found, "title": f"Film {path.stem}", **changes}


def scan_row(path: Path, video: str, times: Any) -> dict[str, Any]:
    hasher = VideoHasher()
    for frame in read_small(str(path)):
        hasher.step(frame.luma, float(times[frame.ordinal]))
    stamps, words = hasher.result()
    return {**outcome(video), "video_id": video, "hash_times_s": stamps, "hashes": words}


def make_workspace(
    folder: Path, videos: list[dict[str, Any]], *, scans: list[dict[str, Any]] | None = None
) -> Workspace:
    """A workspace that has ingested and scanned these videos (``scans``: their rows, ready;
    none of them: never scanned)."""
    made = Workspace.create(folder)
    made.set_current("videos", FINGERPRINT, {"identity": {}})
    made.write_part("videos", [{**outcome(f"src-{v['video_id']}"), **v} for v in videos])
    if scans is None:
        scans = [scan_row(Path(v["path"]), v["video_id"], v["frame_times_s"]) for v in videos]
    if scans:
        made.set_current("scans", FINGERPRINT, {})
        made.write_part("scans", scans)
    return made


def clip_rows(videos: list[dict[str, Any]], private: str) -> list[dict[str, Any]]:
    """Two clips a video, frames 5 to 24 and 30 to 49; with a private path wherever one can be."""
    rows = []
    for number, video in enumerate(videos):
        for first in (5, 30):
            name = f"{video['video_id']}-{first:06d}-{first + 19:06d}-p"
            mask = {"backend": None, "identity": {"mask": f"{private}/masks/x.png"}}
            keypoints = {"backend": "mediapipe", "note": f"weights {private}/pose.task"}
            rows.append(
                person(
                    number,
                    sample_id=name,
                    clip_id=name,
                    video_id=video["video_id"],
                    group_id=video["video_id"],
                    split=None,
                    first=first,
                    last=first + 19,
                    t0_s=first / 15,
                    t1_s=(first + 20) / 15,
                    source=f"{private}/films/{Path(video['path']).name}",
                    page_url=video.get("page_url"),
                    licence=video.get("licence"),
                    captions=[
                        {
                            "text": "walks",
                            "source": "sidecar",
                            "detail": json.dumps({"file": f"{private}/a.txt", "key": "line 1"}),
                        }
                    ],
                    lineage=json.dumps({"keypoints": keypoints, "tracks": mask}),
                )
            )
    return rows


def make_shards(folder: Path, videos: list[dict[str, Any]], private: str) -> Path:
    lineage = {"keypoints": {"identity": {"weights": f"{private}/pose.task"}}}
    return make_set(folder, clip_rows(videos, private), lineage=lineage)
