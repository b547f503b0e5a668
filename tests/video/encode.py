"""Writing H.264 (or VP9, HEVC, AV1) video files from RGB frames, and publishing by rename."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

#: Ticks a second where presentation times are given: milliseconds and all common rates fit.
_TICKS: Final = 90_000

#: Encoder settings that give small files fast; one thread, so that the same frames give the same
#: bytes on every machine.
_OPTIONS: Final = {
    "libx264": {"preset": "veryfast", "threads": "1"},
    "libx265": {"preset": "veryfast", "x265-params": "log-level=none:pools=1:frame-threads=1"},
    "libvpx-vp9": {"cpu-used": "8", "deadline": "realtime", "b:v": "0", "threads": "1"},
    "libsvtav1": {"preset": "12", "svtav1-params": "lp=1"},
}


def write_video(
    path: str | Path,
    frames: Iterable[NDArray[np.uint8]],
    fps: float = 30.0,
    *,
    times_s: Iterable[float] | None = None,
    codec: str = "libx264",
    quality: int = 20,
    options: Mapping[str, str] | None = None,
) -> int:
    """Write RGB frames uint8 [H, W, 3] as a video; gives the number of frames written.

    All frames have the first one's size; odd sizes lose their last column or row (4:2:0 colour).
    ``times_s`` are presentation times for a variable rate, else frame i is shown at i / fps.
    ``quality`` is the encoder's constant rate factor: smaller is better; ``options`` are further
    settings of it. The container follows the name's ending. The file appears under its name only
    when it is whole. Raises ValueError for no frames or a frame of another size.
    """
    target = Path(path)
    partial = target.with_name(f".{target.stem}.partial{target.suffix}")
    times = None if times_s is None else iter(times_s)
    count = 0
    try:
        with av.open(str(partial), "w") as out:
            rate = Fraction(fps).limit_denominator(1001)
            tick = 1 / rate if times is None else Fraction(1, _TICKS)
            stream = out.add_stream(codec, rate=rate)
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = tick
            stream.options = {**_OPTIONS.get(codec, {}), "crf": str(quality), **(options or {})}
            shape: tuple[int, int] | None = None
            for frame in frames:
                height, width = frame.shape[0] // 2 * 2, frame.shape[1] // 2 * 2
                if shape is None:
                    shape = stream.height, stream.width = height, width
                if (height, width) != shape:
                    raise ValueError(
                        f"frame {count} is {width} x {height}, the first {shape[::-1]}"
                    )
                picture = av.VideoFrame.from_ndarray(
                    np.ascontiguousarray(frame[:height, :width]), format="rgb24"
                )
                picture.time_base = tick
                picture.pts = count if times is None else round(next(times) / tick)
                out.mux(stream.encode(picture))
                count += 1
            if not count:
                raise ValueError("a video needs at least one frame")
            out.mux(stream.encode(None))
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return count
