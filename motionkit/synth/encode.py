"""H.264 in MP4 through PyAV, with the same bytes for the same frames."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray


def write_video(
    path: Path, frames: Iterable[NDArray[np.uint8]], *, width: int, height: int, fps: float
) -> int:
    """Encode RGB frames [H, W, 3] into ``path`` (any name; the container is MP4).

    Width and height must be even. One thread and a fixed key-frame distance keep the bytes
    the same from run to run. Returns the number of frames.
    """
    rate = Fraction(fps).limit_denominator(1001)
    count = 0
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.options = {
            "preset": "ultrafast",
            "crf": "21",
            "g": "30",
            "keyint_min": "30",
            "sc_threshold": "0",
        }
        for image in frames:
            planes = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = count
            container.mux(stream.encode(frame))
            count += 1
        container.mux(stream.encode(None))
    return count
