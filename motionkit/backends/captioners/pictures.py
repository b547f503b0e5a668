"""What a captioner is shown: frames of the clip, the person in a red box.

Everything here is exact: the same video and boxes give the same bytes, because the bytes name
the request (`request_key`) and a caption is paid for once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motionkit.stage import Chunk

Frame = NDArray[np.uint8]
#: Raised when the same video and boxes give other pictures.
PICTURES_VERSION: Final = 1
RED: Final = (255, 0, 0)
JPEG_QUALITY: Final = 90


def sampled(boxes: NDArray[np.floating], ordinals: NDArray[np.integer], most: int) -> list[int]:
    """Indices of at most ``most`` of a clip's F frames, evenly from its first to its last.

    ``boxes`` [F, 4 or 5] are xyxy pixels, ``ordinals`` [F] the source frame of each. A frame
    where nobody was measured (no area) gives its place to the nearest one that has a box, and no
    source frame comes twice, so there may be fewer. Empty where there is no box at all.
    """
    seen = np.flatnonzero((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))
    if not len(seen):
        return []
    places = np.linspace(0, len(boxes) - 1, most) if most > 1 else [(len(boxes) - 1) / 2]
    chosen: dict[int, int] = {}  # source frame → index
    for place in places:
        index = int(seen[np.argmin(np.abs(seen - place))])
        chosen.setdefault(int(ordinals[index]), index)
    return sorted(chosen.values())


def height_limit(width: int, height: int, max_side: int) -> int:
    """The height to which a width × height picture is shrunk so that no side is over
    ``max_side``."""
    return max(1, max_side * height // max(width, height, 1))


def red_box(frame: Frame, box: Sequence[float] | NDArray[np.floating]) -> Frame:
    """The frame [H, W, 3] with a red box around ``box`` (xyxy, in its own pixels).

    The line lies outside the person, 1/128 of the longer side wide and at least 2 pixels; a box
    at or over the border is pulled in until all four sides of it are seen.
    """
    height, width = frame.shape[:2]
    line = min(max(2, round(max(height, width) / 128)), max(1, min(height, width) // 3))
    out = frame.copy()
    x0, x1 = _span(float(box[0]), float(box[2]), width, line)
    y0, y1 = _span(float(box[1]), float(box[3]), height, line)
    # Slices, not cv2's lines: exact pixels whatever OpenCV's version.
    out[y0 : y0 + line, x0:x1] = RED
    out[y1 - line : y1, x0:x1] = RED
    out[y0:y1, x0 : x0 + line] = RED
    out[y0:y1, x1 - line : x1] = RED
    return out


def _span(low: float, high: float, size: int, line: int) -> tuple[int, int]:
    """First and last + 1 pixel of the box's outer edge along one axis, inside the picture."""
    least = min(size, 2 * line + 1)  # both lines, and something between them
    start = int(np.floor(min(max(low, 0.0), float(size)))) - line
    stop = int(np.ceil(min(max(high, 0.0), float(size)))) + line
    start = min(max(start, 0), size - least)
    stop = max(min(stop, size), start + least)
    return start, stop


def as_jpeg(frames: NDArray[np.uint8]) -> Chunk:
    """Frames [n, H, W, 3] RGB as JPEG files: ``bytes`` uint8 [n, longest], zeros behind each, and
    ``length`` int32 [n]. Quality 90, colour in full resolution: halved, the red line blurs."""
    import cv2

    way = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    way += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    files = []
    for frame in frames:
        done, data = cv2.imencode(".jpg", np.ascontiguousarray(frame[:, :, ::-1]), way)
        if not done:
            raise ValueError(f"a picture of {frame.shape} could not be written as JPEG")
        files.append(np.asarray(data, np.uint8).ravel())
    length = np.array([len(file) for file in files], np.int32)
    out = np.zeros((len(files), int(length.max(initial=0))), np.uint8)
    for row, file in zip(out, files, strict=True):
        row[: len(file)] = file
    return {"bytes": out, "length": length}


def jpegs(pictures: Chunk) -> Iterator[bytes]:
    """The files of `as_jpeg`."""
    for row, length in zip(pictures["bytes"], pictures["length"], strict=True):
        yield row[:length].tobytes()
