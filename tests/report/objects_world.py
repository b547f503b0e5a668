"""Tables of sentences about objects, as `ingest`, `expressions`, `scan` and `track` leave them."""

from __future__ import annotations

from typing import Any

import numpy as np

from motionkit.rle import union_rle
from motionkit.stage import clip_id, digest
from tests.report.conftest import Factory
from tests.video.mevis_tree import FRAMES, HEIGHT, OBJECTS, SIDE, WIDTH, rles, write_frames

FPS = 5.0
#: Sentence → the objects of a video that it speaks of.
SAID = (("the square moving right", [0]), ("it slides to the right", [0]), ("both squares", [0, 1]))


def add_objects(
    factory: Factory,
    videos: int = 2,
    *,
    says: str = "",
    masked: bool = True,
    rate: float | None = None,
) -> None:
    """Videos of two squares with three sentences each, about two targets; ``says`` stands behind
    each. One more video has a sentence and no masks; ``masked`` False: they all are like that.
    ``rate``: frames a second that `ingest` was told."""
    rows: dict[str, list[dict[str, Any]]] = {n: [] for n in ("videos", "scans", "expressions")}
    tracks = []
    for number in range(videos + 1):
        split = "train" if number < videos else "valid"
        name = f"{split}_{number}"
        path = factory.path / split / "JPEGImages" / name
        write_frames(path)
        video = digest(["objects", number], 16)
        facts = {"video_id": video, "width": WIDTH, "height": HEIGHT, "fps": FPS}
        rows["videos"].append(
            {
                "item_id": f"folder{number}",
                **facts,
                "path": str(path),
                "source": str(factory.path),
                "container": "frames",
                "decoder": "pyav",
                "duration_s": FRAMES / FPS,
                "frames_decoded": FRAMES,
                "frame_times_s": None if rate is None else [k / rate for k in range(FRAMES)],
            }
        )
        shot = {"shot_id": f"{video}-0", "first": 0, "last": 7, "t0_s": 0.0, "t1_s": FRAMES / FPS}
        rows["scans"].append({"item_id": video, "video_id": video, "shots": [shot]})
        for place, (text, objects) in enumerate(SAID if number < videos else SAID[:1]):
            clip = clip_id(video, 0, FRAMES - 1, digest([name, place], 12))
            own = masked and split == "train"
            row = {
                "item_id": f"exp-{number}-{place}",
                "video_id": video,
                "clip_id": clip,
                "source_split": split,
                "source_video": name,
                "source_expression": str(place),
                "text": text + says,
                "width": WIDTH,
                "height": HEIGHT,
                "frames": FRAMES,
            }
            key = {"item_id": clip, "clip_id": clip, "video_id": video}
            if own:
                named = {"object_ids": objects, "annotation_ids": [9 * number + o for o in objects]}
                rows["expressions"].append({**row, **named, "masks": _masks(objects)})
                tracks.append({**key, **_tracks(objects)})
            else:
                rows["expressions"].append(row)
                tracks.append({**key, "outcome": "dropped", "reason": "no-mask"})
    for table, found in rows.items():
        factory.write(table, {"videos": "ingest", "scans": "scan"}.get(table, table), found)
    factory.write("tracks", "track", tracks)


def _masks(objects: list[int]) -> list[str | None]:
    frames = zip(*(rles(o) for o in objects), strict=True)
    seen = [[m for m in masks if m is not None] for masks in frames]
    joined = [union_rle(masks) if masks else None for masks in seen]
    return [None if union is None else str(union["counts"]) for union in joined]


def _tracks(objects: list[int]) -> dict[str, Any]:
    """2×2 points on the last of the objects, the first of them hidden in the last frame."""
    (x, y), (u, v) = OBJECTS[objects[-1]]
    corners = np.array([(6, 6), (SIDE - 6, 6), (6, SIDE - 6), (SIDE - 6, SIDE - 6)])
    steps = np.arange(FRAMES)[:, None] * (u, v)
    visible = np.ones((FRAMES, 4), bool)
    visible[-1, 0] = False
    return {
        "fps": FPS,
        "width": WIDTH,
        "height": HEIGHT,
        "frames": FRAMES,
        "grid": 2,
        "ordinals": np.arange(FRAMES),
        "points": (corners + (x, y) + steps[:, None]).astype(np.float32),
        "visible": visible,
        "confidence": np.ones((FRAMES, 4), np.float32),
        "mask_source": "expression",
        "backend": "lucas-kanade",
    }
