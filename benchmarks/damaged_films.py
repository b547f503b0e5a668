"""Films for `benchmarks.damaged`, made on the spot: sound ones in many forms, and odd ones.

Every file comes with what must become of it, written down from what was put into it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FRAMES = 128, 96, 60
PLAIN = {"threads": "1", "g": "20", "bf": "2", "x264-params": "scenecut=0", "preset": "veryfast"}
#: Containers that declare no number of frames.
UNCOUNTED = (".mkv", ".webm", ".ts", ".flv", ".mpg", ".wmv", ".nut")


@dataclasses.dataclass(frozen=True)
class Expect:
    """What may become of a file. ``codes``: failures that are right; ``kept``: it may (with no
    codes: must) be kept. Then ``frames`` is the least and the greatest number of them, ``size``
    as shown, ``problems`` those that must be there, and the only ones unless ``more``;
    ``times_s`` the presentation times to 1.5 ms."""

    codes: tuple[str, ...] = ()
    kept: bool = True
    frames: tuple[int, int] | None = None
    size: tuple[int, int] | None = None
    problems: tuple[str, ...] = ()
    more: bool = False
    times_s: tuple[float, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Case:
    """One file and what must become of it. ``direct``: named as a source of its own, because a
    folder is not searched for such names."""

    path: Path
    expect: Expect
    kind: str
    direct: bool = False


def scene(count: int, width: int = WIDTH, height: int = HEIGHT) -> Iterator[NDArray[np.uint8]]:
    """RGB frames with grain (so that packets have some size) and a square that moves."""
    rng = np.random.default_rng(7)
    base = rng.integers(40, 200, (height, width, 3))
    for i in range(count):
        frame = np.clip(base + rng.integers(-12, 12, base.shape), 0, 255).astype(np.uint8)
        x = i * 3 % max(1, width - 10)
        frame[height // 3 : height // 2 + 1, x : x + 10] = (250, 240, 20)
        yield frame


def film(
    path: Path,
    codec: str = "libx264",
    *,
    pix: str = "yuv420p",
    size: tuple[int, int] = (WIDTH, HEIGHT),
    count: int = FRAMES,
    rate: int = 30,
    times_s: Sequence[float] | None = None,
    options: Mapping[str, str] | None = None,
    muxing: Mapping[str, str] | None = None,
    sound_s: float = 0.0,
    turn: int = 0,
    aspect: Fraction | None = None,
    streams: int = 1,
    form: str | None = None,
) -> Path:
    """Write a film; frame i is shown at i / rate, or at ``times_s[i]``."""
    tick = Fraction(1, rate) if times_s is None else Fraction(1, 90_000)
    with av.open(str(path), "w", format=form, options=dict(muxing or {})) as out:
        made = []
        for _ in range(streams):
            stream = out.add_stream(codec, rate=rate)
            stream.width, stream.height, stream.pix_fmt = *size, pix
            stream.codec_context.time_base = tick
            stream.options = dict(
                PLAIN if options is None and codec == "libx264" else options or {}
            )
            if aspect is not None:
                stream.codec_context.sample_aspect_ratio = aspect
            if turn:
                stream.set_display_rotation(-turn)
            made.append(stream)
        sound = out.add_stream("aac", rate=16_000) if sound_s else None
        if sound is not None:
            _tone(out, sound, sound_s)
        for i, frame in enumerate(scene(count, *size)):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format=pix)
            picture.time_base = tick
            picture.pts = i if times_s is None else round(times_s[i] / tick)
            for stream in made:
                out.mux(stream.encode(picture))
        for stream in made:
            out.mux(stream.encode(None))
    return path


def _tone(out: Any, stream: Any, seconds: float) -> None:
    for i in range(round(seconds * 16_000 / 1024)):
        wave = 0.1 * np.sin(np.arange(i * 1024, i * 1024 + 1024) / 20)
        frame = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 16_000, i * 1024
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def even(count: int = FRAMES, rate: float = 30) -> tuple[float, ...]:
    return tuple(i / rate for i in range(count))


def sound(path: Path, *problems: str, count: int = FRAMES, size: tuple[int, int] | None = None,
          rate: float = 30, kind: str = "odd") -> Case:  # fmt: skip
    """A case that must be kept, with all frames, evenly spaced, and these problems only."""
    uncounted = ("no-frame-count",) if path.suffix in UNCOUNTED else ()
    untimed = ("no-timestamps",) if path.suffix == ".avi" else ()
    return Case(
        path,
        Expect(
            frames=(count, count),
            size=size or (WIDTH, HEIGHT),
            problems=(*problems, *uncounted, *untimed),
            times_s=even(count, rate),
        ),
        kind,
    )


def good_films(folder: Path) -> Iterator[Case]:
    """The neighbours that nothing may happen to."""
    for i, ext in enumerate(("mp4", "mkv", "mov", "ts", "flv", "avi", "webm", "m4v", "mp4", "mp4")):
        path = folder / f"{i * 11 % 10}_good_{i}.{ext}"
        film(path, "libvpx" if ext == "webm" else "libx264", count=30 + i,
             options={"cpu-used": "8", "deadline": "realtime", "threads": "1",
                      "auto-alt-ref": "0"} if ext == "webm" else None)  # fmt: skip
        yield sound(path, count=30 + i, kind="good")


def formats(folder: Path) -> Iterator[Case]:
    """Codecs, colour layouts and sizes."""
    quick = {"threads": "1"}
    x265 = {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:frame-threads=1"}
    vp9 = {"cpu-used": "8", "deadline": "realtime", "threads": "1"}
    many: list[tuple[str, str, str, dict[str, str], tuple[str, ...]]] = [
        ("hevc.mp4", "libx265", "yuv420p", x265, ()),
        ("hevc10.mkv", "libx265", "yuv420p10le", x265, ("high-bit-depth",)),
        ("hevc12.mp4", "libx265", "yuv444p12le", x265, ("high-bit-depth",)),
        ("vp9.webm", "libvpx-vp9", "yuv420p", vp9, ()),
        ("vp9.mp4", "libvpx-vp9", "yuv420p", vp9, ()),
        ("vp9_444.mkv", "libvpx-vp9", "yuv444p", vp9, ()),
        ("av1.mp4", "libsvtav1", "yuv420p", {"preset": "13", "svtav1-params": "lp=1"}, ()),
        ("av1.mkv", "libsvtav1", "yuv420p10le", {"preset": "13", "svtav1-params": "lp=1"},
         ("high-bit-depth",)),
        ("h264_10.mp4", "libx264", "yuv420p10le", PLAIN, ("high-bit-depth",)),
        ("h264_422.mp4", "libx264", "yuv422p", PLAIN, ()),
        ("h264_444.mkv", "libx264", "yuv444p", PLAIN, ()),
        ("h264_gray.mp4", "libx264", "gray", PLAIN, ()),
        ("h264_full.mp4", "libx264", "yuvj420p", PLAIN, ()),
        ("mpeg4.mp4", "mpeg4", "yuv420p", quick, ()),
        ("mpeg4.avi", "mpeg4", "yuv420p", quick, ()),
        ("mpeg2.mpg", "mpeg2video", "yuv420p", quick, ()),
        ("mpeg2.ts", "mpeg2video", "yuv420p", quick, ()),
        ("mpeg1.mpg", "mpeg1video", "yuv420p", quick, ()),
        ("mjpeg.avi", "mjpeg", "yuvj420p", quick, ()),
        ("mjpeg.mov", "mjpeg", "yuvj444p", quick, ()),
        ("ffv1.mkv", "ffv1", "yuv420p", quick, ()),
        ("ffv1_16.mkv", "ffv1", "yuv420p16le", quick, ("high-bit-depth",)),
        ("prores.mov", "prores_ks", "yuv422p10le", quick, ("high-bit-depth",)),
        ("wmv2.wmv", "wmv2", "yuv420p", quick, ()),
        ("flv1.flv", "flv", "yuv420p", quick, ()),
        ("raw.avi", "rawvideo", "yuv420p", {}, ()),
        ("png.mov", "png", "rgb24", quick, ()),
        ("qtrle.mov", "qtrle", "rgb24", quick, ()),
        ("huffyuv.avi", "huffyuv", "yuv422p", quick, ()),
        ("cinepak.avi", "cinepak", "rgb24", quick, ()),
    ]  # fmt: skip
    for name, codec, pix, options, problems in many:
        path = folder / f"form_{name}"
        film(path, codec, pix=pix, options=options, count=20)
        yield sound(path, *problems, count=20, kind="form")
    sizes = [(1, 1), (2, 2), (16, 16), (17, 13), (3, 1000), (1000, 3), (1, 64), (33, 31), (640, 2)]
    for size in sizes:
        path = folder / f"size_{size[0]}x{size[1]}.mov"
        film(path, "png", pix="rgb24", size=size, count=12, options={"threads": "1"})
        yield sound(path, count=12, size=size, kind="size")
    for size in [(16, 16), (17, 13), (16, 1000), (1920, 16)]:
        path = folder / f"size_x264_{size[0]}x{size[1]}.mp4"
        film(path, pix="yuv444p", size=size, count=12)
        yield sound(path, count=12, size=size, kind="size")
    for name in ("one.mp4", "one.mkv", "one.ts", "one.avi", "one.mov", "one.flv"):
        yield sound(film(folder / name, count=1), count=1, kind="one frame")
    path = film(folder / "one.gif", "gif", pix="rgb8", count=1, options={}, rate=25)
    yield Case(path, Expect(frames=(1, 1), size=(WIDTH, HEIGHT), more=True), "one frame")
    path = film(folder / "some.gif", "gif", pix="rgb8", count=12, options={}, rate=25)
    yield sound(path, count=12, rate=25, kind="form")


def timings(folder: Path) -> Iterator[Case]:
    """Presentation times of every kind."""

    def timed(name: str, times: Sequence[float], *problems: str, **options: Any) -> Case:
        path = film(folder / f"time_{name}", times_s=times, count=len(times), **options)
        uncounted = ("no-frame-count",) if path.suffix in UNCOUNTED else ()
        shown = tuple(t - times[0] for t in times)
        expect = Expect(
            frames=(len(times), len(times)), problems=(*problems, *uncounted), times_s=shown,
            size=(WIDTH, HEIGHT),
        )  # fmt: skip
        return Case(path, expect, "time")

    rng = np.random.default_rng(3)
    uneven = np.cumsum(rng.integers(15, 80, 40)) / 1000
    uneven -= uneven[0]
    gap = [*even(30), *(20 + t for t in even(30))]
    hours = [*even(20), *(7200 + t for t in even(20))]
    late = [5 + t for t in even(30)]
    for ext in ("mp4", "mkv", "ts", "flv"):
        yield timed(f"uneven.{ext}", uneven.tolist(), "variable-rate")
        yield timed(f"gap.{ext}", gap, "variable-rate", "time-gap")
    for ext in ("mp4", "mkv"):
        yield timed(f"hours.{ext}", hours, "variable-rate", "time-gap")
        yield timed(f"late.{ext}", late, "late-start")
    yield timed("late_in_sound.ts", late, "late-start", sound_s=6.0)
    yield timed("one_a_minute.mp4", [60.0 * i for i in range(6)])
    yield timed("thousand.mkv", [i / 1000 for i in range(40)], "rate-mismatch")
    for rate in (1, 12, 24, 50, 60, 120, 240):
        path = film(folder / f"time_rate{rate}.mp4", rate=rate, count=24)
        yield sound(path, count=24, rate=rate, kind="time")
    for turn in (90, 180, 270):
        for ext in ("mp4", "mov", "mkv"):
            path = film(folder / f"turn_{turn}.{ext}", turn=turn, count=12)
            size = (HEIGHT, WIDTH) if turn % 180 else (WIDTH, HEIGHT)
            yield sound(path, "rotated", count=12, size=size, kind="turn")
    path = film(folder / "turn_0.mp4", count=12)
    yield sound(path, count=12, kind="turn")
    path = film(folder / "fields.mp4", options={**PLAIN, "x264-params": "tff=1:scenecut=0"})
    yield sound(path, "interlaced", kind="odd")
    yield sound(film(folder / "wide_pixels.mp4", aspect=Fraction(4, 3)), "non-square-pixels")
    for ext in ("mp4", "mkv", "ts"):
        yield sound(film(folder / f"three_streams.{ext}", streams=3), "several-video-streams")
    for ext in ("mp4", "mkv", "ts", "mov"):
        yield sound(film(folder / f"with_sound.{ext}", sound_s=2.0))
    for piece in ("frag_keyframe+empty_moov", "faststart", "frag_keyframe+default_base_moof"):
        path = film(folder / f"mux_{piece.replace('+', '_')}.mp4", muxing={"movflags": piece})
        # A fragmented file declares no count in front.
        expect = Expect(frames=(FRAMES, FRAMES), size=(WIDTH, HEIGHT), times_s=even(), more=True)
        yield Case(path, expect, "odd")
