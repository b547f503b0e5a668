"""What a captioner is shown of a clip: `caption`'s way from a stored row to pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionkit.backends.captioners.pictures import height_limit, red_box, sampled
from motionkit.errors import InputError
from motionkit.video.decode import read_frames


def shown_of(row: dict[str, Any], video: dict[str, Any] | None, most: int) -> dict[str, Any]:
    """Where a clip's pictures are: the video, at most ``most`` source frames (``shown``), and a box
    in each (``shown_boxes`` [n, 4], pixels of the video). ``row`` is of the table keypoints."""
    boxes = np.asarray(row["boxes"], np.float32).reshape(-1, 5)
    chosen = sampled(boxes, np.asarray(row["ordinals"]), most)
    return {
        "path": video["path"] if video else None,
        "decoder": video["decoder"] if video else None,
        "width": int(row["width"]),
        "height": int(row["height"]),
        "shown": [int(row["ordinals"][i]) for i in chosen],
        "shown_boxes": boxes[chosen, :4],
    }


def boxed_frames(data: dict[str, Any], max_side: int) -> NDArray[np.uint8]:
    """The pictures [n, H, W, 3] that `shown_of` names, no side over ``max_side``, the person in a
    red box. Raises InputError 'video-missing', 'frames-missing'."""
    if data["path"] is None:
        raise InputError(
            "video-missing",
            f"the videos table has no kept row of {data['video_id']}",
            hint="ingest the video again, then run caption",
        )
    limit = height_limit(data["width"], data["height"], max_side)
    frames: list[NDArray[np.uint8]] = []
    for chunk in read_frames(
        data["path"], decoder=data["decoder"], ordinals=data["shown"], max_height=limit
    ):
        for frame in chunk.frames:
            x, y = frame.shape[1] / data["width"], frame.shape[0] / data["height"]
            frames.append(red_box(frame, data["shown_boxes"][len(frames)] * [x, y, x, y]))
    if len(frames) != len(data["shown"]):
        raise InputError(
            "frames-missing",
            f"{len(data['shown'])} frames were asked of {data['path']}, {len(frames)} came",
        )
    return np.stack(frames)
