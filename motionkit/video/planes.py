"""Small brightness and colour planes of every frame, at little more than the cost of decoding.

Scanning looks at every frame but never at a full picture. The planes are taken as the decoder
leaves them (no conversion to RGB) and halved by 2 × 2 means until they are small: reading each
byte once costs a tenth of decoding it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from motionkit.video.container import open_video, pictures
from motionkit.video.probe import clockwise, turned

Plane = NDArray[np.uint8]

#: The brightness plane is halved until its longer side is at most this many pixels.
LUMA_SIDE: Final = 384
#: The colour planes are this small: longer side at most, in pixels.
CHROMA_SIDE: Final = 96

#: Layouts whose first planes are 8-bit brightness and halved colour.
_PLANAR: Final = ("yuv420p", "yuvj420p")


@dataclasses.dataclass(frozen=True)
class SmallFrame:
    """One frame: ``luma`` uint8 [h, w], ``u`` and ``v`` uint8 (smaller), all as shown.

    ``picture`` is the decoder's frame, valid until the next one is asked for.
    """

    ordinal: int
    luma: Plane
    u: Plane
    v: Plane
    picture: Any

    def rgb(self, max_width: int) -> NDArray[np.uint8]:
        """The full picture in colour, as shown, shrunk to at most ``max_width``: for thumbnails."""
        turn = clockwise(self.picture)
        frame = turned(self.picture.to_ndarray(format="rgb24"), turn)
        height, width = frame.shape[:2]
        if width <= max_width:
            return frame
        size = (max_width, max(1, round(height * max_width / width)))
        return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


def read_small(path: str) -> Iterator[SmallFrame]:
    """Every frame of a video, small. One decoding thread; one frame in memory at a time.

    Raises InputError as `container.open_video`, and corrupt in the middle of reading.
    """
    container, stream = open_video(path)
    with container:
        first: tuple[int, int] | None = None
        for ordinal, picture in enumerate(pictures(container, stream, Path(path).name)):
            planar = picture
            first = first or (picture.width, picture.height)
            if picture.format.name not in _PLANAR or (picture.width, picture.height) != first:
                planar = picture.reformat(width=first[0], height=first[1], format="yuv420p")
            turn = clockwise(picture)
            y, u, v = (_bytes(planar, i) for i in range(3))
            yield SmallFrame(
                ordinal,
                turned(_halved(y, LUMA_SIDE), turn),
                turned(_halved(u, CHROMA_SIDE), turn),
                turned(_halved(v, CHROMA_SIDE), turn),
                picture,
            )


def _bytes(picture: Any, index: int) -> Plane:
    plane = picture.planes[index]
    lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return lines[: plane.height, : plane.width]


def _halved(plane: Plane, side: int) -> Plane:
    while max(plane.shape) > side and min(plane.shape) > 1:
        height, width = plane.shape[0] // 2, plane.shape[1] // 2
        even = plane[: height * 2, : width * 2]
        plane = cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)
    return plane
