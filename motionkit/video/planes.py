"""Small brightness and colour planes of every frame, at little more than the cost of decoding.

Scanning never needs a full picture. The planes are taken as the decoder leaves them (no
conversion to RGB), brightness halved by 2 × 2 means until it is small, colour sampled; and only
of the frames that somebody asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import cv2
import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter
from numpy.typing import NDArray

from motionkit.video.probe import clockwise, pictures_of, turned

Plane = NDArray[np.uint8]

#: The brightness plane is halved until its longer side is at most this many pixels.
LUMA_SIDE: Final = 256
#: The colour planes are this small: longer side at most, in pixels.
CHROMA_SIDE: Final = 96

#: Pictures of a few pixels are stretched to this many a side: windows and cells must fit in.
_LEAST_SIDE: Final = 48

#: Layouts whose first planes are 8-bit brightness and halved colour.
_PLANAR: Final = ("yuv420p", "yuvj420p")

#: Shares of red and blue in brightness, by FFmpeg's number of the colour space.
_BT601: Final = (0.299, 0.114)
_WEIGHTS: Final = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}


class SmallFrame:
    """One frame, its planes made when they are first asked for: whoever skips frames pays nothing.

    ``luma`` uint8 [h, w] at most `LUMA_SIDE` a side, ``u`` and ``v`` uint8 (smaller), all as
    shown. ``picture`` is the decoder's frame; it stays valid as long as it is held, and so does
    the memory of a full picture: hold few.
    """

    __slots__ = ("_chroma", "_luma", "_planar", "_scaler", "_size", "ordinal", "picture")

    def __init__(self, ordinal: int, picture: Any, size: tuple[int, int], scaler: Any) -> None:
        """``size``: width and height (stored) that the planes are made from; pictures of
        another size, in the middle of a stream, or of another layout go through ``scaler``, a
        PyAV reformatter that all frames share (making one costs more than using it)."""
        self.ordinal = ordinal
        self.picture = picture
        self._size = size
        self._scaler = scaler
        self._planar: Any = None
        self._luma: Plane | None = None
        self._chroma: tuple[Plane, Plane] | None = None

    @property
    def luma(self) -> Plane:
        """Brightness."""
        if self._luma is None:
            small = _enlarged(halved(self._plane(0), LUMA_SIDE), _LEAST_SIDE)
            self._luma = turned(small, clockwise(self.picture))
        return self._luma

    @property
    def u(self) -> Plane:
        """Blue against brightness, sampled."""
        return self._colour()[0]

    @property
    def v(self) -> Plane:
        """Red against brightness, sampled."""
        return self._colour()[1]

    def rgb(self, max_width: int) -> NDArray[np.uint8]:
        """The full picture in colour, as shown, shrunk to at most ``max_width``: for thumbnails.

        Shrunk before the colours are converted: a third of the work.
        """
        turn = clockwise(self.picture)
        stored_width, stored_height = self._size
        width, height = (stored_height, stored_width) if turn % 180 else self._size
        if width > max_width:
            width, height = max_width, max(1, round(height * max_width / width))
        size = (height, width) if turn % 180 else (width, height)
        planes = []
        for i in range(3):
            plane = halved(self._plane(i), 2 * max(size))
            shrinks = plane.shape[1] >= size[0] and plane.shape[0] >= size[1]
            how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            planes.append(cv2.resize(plane, size, interpolation=how))
        return turned(cv2.transform(cv2.merge(planes), _to_rgb(self.picture)), turn)

    def _colour(self) -> tuple[Plane, Plane]:
        if self._chroma is None:
            turn = clockwise(self.picture)
            u, v = (turned(_sampled(self._plane(i), CHROMA_SIDE), turn) for i in (1, 2))
            self._chroma = u, v
        return self._chroma

    def _plane(self, index: int) -> Plane:
        if self._planar is None:
            now = self.picture
            fits = (now.width, now.height) == self._size and now.format.name in _PLANAR
            width, height = self._size
            self._planar = now if fits else self._scaler.reformat(now, width, height, "yuv420p")
        plane = self._planar.planes[index]
        lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        return lines[: plane.height, : plane.width]


def read_small(path: str) -> Iterator[SmallFrame]:
    """Every frame of a video, small, in the order shown. One decoding thread; frames that the
    caller does not hold are gone.

    Raises InputError as `container.open_video`.
    """
    yield from small_frames(pictures_of(path))


def small_frames(decoded: Iterable[Any]) -> Iterator[SmallFrame]:
    """The same of decoded pictures (PyAV frames), wherever they come from."""
    size: tuple[int, int] | None = None
    scaler = VideoReformatter()
    for ordinal, picture in enumerate(decoded):
        size = size or (picture.width, picture.height)
        yield SmallFrame(ordinal, picture, size, scaler)


def halved(plane: Plane, side: int) -> Plane:
    """2 x 2 means until the longer side is at most ``side``."""
    while max(plane.shape) > side and min(plane.shape) > 1:
        height, width = plane.shape[0] // 2, plane.shape[1] // 2
        even = plane[: height * 2, : width * 2]
        plane = cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)
    return plane


def _enlarged(plane: Plane, side: int) -> Plane:
    """At least ``side`` pixels in both directions."""
    height, width = plane.shape
    if min(height, width) >= side:
        return plane
    return cv2.resize(plane, (max(width, side), max(height, side)), interpolation=cv2.INTER_LINEAR)


def _sampled(plane: Plane, side: int) -> Plane:
    """At most ``side`` a side: every nth pixel in both directions. Colour is smooth, and means of
    cells are taken of the samples afterwards."""
    step = -(-max(plane.shape) // side)
    top, left = (min(step // 2, n - 1) for n in plane.shape)
    return np.ascontiguousarray(plane[top::step, left::step])


def _to_rgb(picture: Any) -> NDArray[np.float64]:
    """[3, 4] from 8-bit brightness, blue and red difference (and 1) to RGB, by what the stream
    says of itself; BT.601 and the narrow range where it says nothing."""
    red, blue = _WEIGHTS.get(int(picture.colorspace), _BT601)
    green = 1.0 - red - blue
    full = picture.color_range == ColorRange.JPEG or picture.format.name.startswith("yuvj")
    light, black, colour = (1.0, 0.0, 255.0) if full else (255 / 219, 16.0, 224.0)
    r, b = 2 * (1 - red) * 255 / colour, 2 * (1 - blue) * 255 / colour
    matrix = np.array(
        [[light, 0, r], [light, -b * blue / green, -r * red / green], [light, b, 0]], np.float64
    )
    return np.column_stack([matrix, -matrix @ [black, 128.0, 128.0]])
