"""Frames → .mp4 (H.264) or .gif, whole or not at all; the same frames give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]

FORMATS: Final = ("mp4", "gif")


def write_film(path: Path, frames: Iterable[Frame], *, fps: float) -> int:
    """Write RGB frames [H, W, 3] of one size as the kind that ``path`` ends with; returns their
    number. Appears only when complete. ValueError for no frame or another kind.

    H.264 takes even sides: an odd one loses its last row or column. A .gif plays on and on, with
    256 colours chosen for all its frames.
    """
    given = iter(frames)
    first = next(given, None)
    if first is None:
        raise ValueError("a film needs at least one frame")
    write = {".mp4": _mp4, ".gif": _gif}.get(path.suffix)
    if write is None:
        raise ValueError(f"{path.name} is neither .mp4 nor .gif")
    part = path.with_name(path.name + ".part")
    try:
        count = write(
            part, chain([first], given), first.shape, Fraction(fps).limit_denominator(1001)
        )
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return count


def _mp4(part: Path, frames: Iterator[Frame], shape: Any, rate: Fraction) -> int:
    height, width = shape[0] - shape[0] % 2, shape[1] - shape[1] % 2
    count = 0
    options = {"movflags": "faststart"}
    with av.open(str(part), "w", format="mp4", options=options) as container:
        stream: Any = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "18", "preset": "veryfast", "threads": "1"}
        for image in frames:
            whole = np.ascontiguousarray(image[:height, :width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(whole, format="rgb24")))
            count += 1
        container.mux(stream.encode(None))
    return count


def _gif(part: Path, frames: Iterator[Frame], shape: Any, rate: Fraction) -> int:
    """Colours are chosen over all frames, so these wait inside the filter."""
    height, width = shape[:2]
    count = 0
    with av.open(str(part), "w", format="gif", options={"loop": "0"}) as container:
        stream: Any = container.add_stream("gif", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "pal8"
        graph = av.filter.Graph()
        source: Any = graph.add_buffer(
            width=width, height=height, format="rgb24", time_base=1 / rate
        )
        split, choose = graph.add("split"), graph.add("palettegen")
        use, sink = graph.add("paletteuse", "dither=none"), graph.add("buffersink")
        source.link_to(split)
        split.link_to(use, 0, 0)
        split.link_to(choose, 1, 0)
        choose.link_to(use, 0, 1)
        use.link_to(sink)
        graph.configure()
        for image in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            picture.pts, picture.time_base = count, 1 / rate
            graph.push(picture)
            count += 1
        graph.push(None)
        for place in range(count):
            picture = graph.pull()
            picture.pts, picture.time_base = place, 1 / rate
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return count
