"""Cut a clip out of a video: exactly its frames, as a small H.264 file of its own."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

#: Ticks a second of the presentation times: milliseconds and all common rates fit.
_TICKS: Final = 90_000
#: x264 at constant quality; one thread, so that the same frames give the same bytes.
_OPTIONS: Final = {"preset": "veryfast", "threads": "1"}


def cut_clip(
    source: str, target: Path, first: int, last: int, *, decoder: str | None, quality: int = 18
) -> int:
    """Write frames ``first`` to ``last`` (both inside) of ``source`` as the MP4 ``target``.

    The frames keep their distances in time; the first is shown at 0. Frame i of the file is
    source frame ``first + i``. Odd sizes lose their last column or row (4:2:0 colour). The file
    appears under its name when it is whole. Returns the number of frames written: fewer than
    asked where the source ends before. Raises InputError as `video.decode.read_frames`.
    """
    import av

    partial = target.with_name(f".{target.stem}.partial.mp4")
    count = 0
    try:
        with av.open(str(partial), "w", format="mp4") as out:
            stream: Any = None
            start = 0.0
            for time_s, frame in _frames(source, first, last, decoder):
                height, width = frame.shape[0] // 2 * 2, frame.shape[1] // 2 * 2
                if stream is None:
                    start = time_s
                    stream = out.add_stream("libx264", rate=30)
                    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                    stream.codec_context.time_base = Fraction(1, _TICKS)
                    stream.options = {**_OPTIONS, "crf": str(quality)}
                picture = av.VideoFrame.from_ndarray(
                    np.ascontiguousarray(frame[:height, :width]), format="rgb24"
                )
                picture.time_base = Fraction(1, _TICKS)
                picture.pts = round((time_s - start) * _TICKS)
                out.mux(stream.encode(picture))
                count += 1
            if stream is not None:
                out.mux(stream.encode(None))
        if count:
            partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return count


def _frames(
    source: str, first: int, last: int, decoder: str | None
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    from motionkit.video.decode import read_frames

    for chunk in read_frames(source, decoder=decoder, first=first, last=last):
        yield from zip(chunk.times_s.tolist(), chunk.frames, strict=True)
