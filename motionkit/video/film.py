"""Frames → .mp4 (H.264) or .gif, whole or not at all; the same frames give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]

FORMATS: Final = ("mp4", "gif")
#: Bytes of frames that a .gif's colours are chosen over.
_CHOSEN_OVER: Final = 128 << 20


def write_film(path: Path, frames: Iterable[Frame], *, fps: float) -> int:
    """Write RGB frames [H, W, 3] of one size as the kind that ``path`` ends with; returns their
    number. Appears only when complete. ValueError for no frame or another kind.

    H.264 takes even sides: an odd one loses its last row or column. A .gif plays on and on, with
    256 colours chosen for all its frames (of a very long one, for its first part).
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
    """The colours are chosen over as many first frames as fit into `_CHOSEN_OVER`; these alone
    are held."""
    height, width = shape[:2]
    first = list(islice(frames, max(1, _CHOSEN_OVER // (height * width * 3))))
    palette = _palette(first, width, height, rate)
    graph = av.filter.Graph()
    source = _source(graph, width, height, rate)
    colours: Any = graph.add_buffer(
        width=palette.width, height=palette.height, format=palette.format.name, time_base=1 / rate
    )
    use, sink = graph.add("paletteuse", "dither=none"), graph.add("buffersink")
    source.link_to(use, 0, 0)
    colours.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    palette.pts = 0
    colours.push(palette)
    colours.push(None)
    given = made = 0
    with av.open(str(part), "w", format="gif", options={"loop": "0"}) as container:
        stream: Any = container.add_stream("gif", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "pal8"
        for image in chain(first, frames, [None]):
            source.push(None if image is None else _picture(image, given, rate))
            given += image is not None
            for picture in _ready(graph):
                picture.pts, picture.time_base = made, 1 / rate
                container.mux(stream.encode(picture))
                made += 1
        container.mux(stream.encode(None))
    if made != given:
        raise ValueError(f"{given} frames were given, the palette's filter gave {made}")
    return made


def _palette(frames: Sequence[Frame], width: int, height: int, rate: Fraction) -> Any:
    """The 256 colours for these frames, as a picture."""
    graph = av.filter.Graph()
    source, choose = _source(graph, width, height, rate), graph.add("palettegen")
    sink = graph.add("buffersink")
    source.link_to(choose)
    choose.link_to(sink)
    graph.configure()
    for place, image in enumerate(frames):
        source.push(_picture(image, place, rate))
    source.push(None)
    return graph.pull()


def _source(graph: Any, width: int, height: int, rate: Fraction) -> Any:
    return graph.add_buffer(width=width, height=height, format="rgb24", time_base=1 / rate)


def _picture(image: Frame, place: int, rate: Fraction) -> Any:
    made = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    made.pts, made.time_base = place, 1 / rate
    return made


def _ready(graph: Any) -> Iterator[Any]:
    """What a graph can give now."""
    while True:
        try:
            yield graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
