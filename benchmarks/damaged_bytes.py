"""Damaged files for `benchmarks.damaged`: cut, flipped, blanked, mislabelled, lying headers.

The expectations follow from where the damage lies: a header that is gone is `corrupt`; packets
that are whole before a cut decode; random damage may end in several ways, never in a crash.
"""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from benchmarks.damaged_films import FRAMES, HEIGHT, WIDTH, Case, Expect, even, film

#: How random damage may end, when the file is not kept.
BROKEN = (
    "corrupt", "no-frames", "not-a-video", "no-video-stream", "unknown-codec", "picture-too-large",
)  # fmt: skip
NO_VIDEO = Expect(("not-a-video",), kept=False)
SIZE = (WIDTH, HEIGHT)


def sources(folder: Path) -> dict[str, Path]:
    """Sound films that are damaged below, by a name that ends as their container does."""
    x265 = {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:frame-threads=1"}
    vp9 = {"cpu-used": "8", "deadline": "realtime", "threads": "1"}
    av1 = {"preset": "13", "svtav1-params": "lp=1"}
    return {
        "mp4": film(folder / "end.mp4"),
        "front.mp4": film(folder / "front.mp4", muxing={"movflags": "faststart"}),
        "mkv": film(folder / "a.mkv"),
        "webm": film(folder / "a.webm", "libvpx-vp9", options=vp9),
        "avi": film(folder / "a.avi", "mpeg4", options={"threads": "1", "g": "20"}),
        "ts": film(folder / "a.ts"),
        "mov": film(folder / "a.mov", "libx265", options=x265),
        "flv": film(folder / "a.flv"),
        "mpg": film(folder / "a.mpg", "mpeg2video", options={"threads": "1"}),
        "av1.mp4": film(folder / "av1.mp4", "libsvtav1", options=av1),
    }


def packets_of(path: Path) -> list[tuple[int, int]]:
    """Place and size of the stored packets, in order."""
    with av.open(str(path)) as container:
        return [(p.pos, p.size) for p in container.demux(video=0) if p.size and p.pos is not None]


def cut_files(folder: Path, whole: dict[str, Path]) -> Iterator[Case]:
    """The end is missing."""
    for ext, source in whole.items():
        data, places = source.read_bytes(), packets_of(source)
        end = places[-1][0] + places[-1][1]
        for share in (0.002, 0.03, 0.15, 0.35, 0.5, 0.7, 0.9, 0.985):
            size = int(share * (len(data) if ext != "mp4" else end))
            path = folder / f"cut_{share * 1000:03.0f}.{ext}"
            path.write_bytes(data[:size])
            yield Case(path, _cut_expected(ext, size, places, len(data)), "cut")


def _cut_expected(ext: str, size: int, places: list[tuple[int, int]], whole: int) -> Expect:
    inside = sum(start + length <= size for start, length in places)
    if ext in ("mp4", "mov", "av1.mp4"):
        return Expect(("corrupt",), kept=False)  # the header stood at the end
    if ext == "mpg":  # its packets say nothing of pictures
        return Expect(
            BROKEN, frames=(1, FRAMES), size=SIZE if size > whole // 4 else None, more=True
        )
    if not inside:
        return Expect(BROKEN, kept=ext == "ts", more=True)  # streams show parts of packets
    # A container with a count or a length in front knows that the end is missing.
    knows = ext in ("front.mp4", "mkv", "webm", "avi", "flv") and inside < FRAMES - 8
    slack = 3 if ext == "ts" else 1
    return Expect(
        () if inside > 3 else ("no-frames",),
        frames=(max(1, inside - slack), inside + 1),
        size=SIZE,
        problems=("truncated",) if knows else (),
        more=True,
    )


def flipped_files(folder: Path, whole: dict[str, Path], seed: int) -> Iterator[Case]:
    """Random bits turned over: everywhere at several densities, in the head, in the payload."""
    for number, (ext, source) in enumerate(whole.items()):
        data, places = np.frombuffer(source.read_bytes(), np.uint8), packets_of(source)
        any_way = Expect(BROKEN, frames=(1, 2 * FRAMES), more=True)
        for level, bits in enumerate((1, 4, 20, 100, 800)):
            for turn in range(2):
                rng = np.random.default_rng([seed, number, level, turn])
                path = folder / f"flip_{bits}_{turn}.{ext}"
                path.write_bytes(_flipped(data, rng.integers(0, len(data), bits), rng))
                yield Case(path, any_way, "flip")
        for turn in range(3):
            rng = np.random.default_rng([seed, number, 90 + turn])
            head = min(len(data), 400)
            path = folder / f"flip_head_{turn}.{ext}"
            path.write_bytes(_flipped(data, rng.integers(0, head, 12), rng))
            yield Case(path, any_way, "flip")
        for turn in range(2):
            rng = np.random.default_rng([seed, number, 95 + turn])
            start, length = places[int(rng.integers(len(places) // 4, len(places)))]
            middle = rng.integers(start + length // 2, start + length, 3)
            path = folder / f"flip_payload_{turn}.{ext}"
            path.write_bytes(_flipped(data, middle, rng))
            few = Expect(("corrupt",), frames=(FRAMES - 8, FRAMES), size=SIZE, more=True)
            yield Case(path, few, "flip")


def _flipped(data: np.ndarray, places: np.ndarray, rng: np.random.Generator) -> bytes:
    out = data.copy()
    np.bitwise_xor.at(out, places, (1 << rng.integers(0, 8, len(places))).astype(np.uint8))
    return out.tobytes()


def blanked_files(folder: Path, whole: dict[str, Path]) -> Iterator[Case]:
    """Pieces overwritten with zeros, as broken downloads and disks leave them."""
    for ext in ("mp4", "front.mp4", "mov"):
        places = packets_of(whole[ext])
        for name, lost in (("few", [23, 31]), ("many", list(range(22, 38)))):
            data = bytearray(whole[ext].read_bytes())
            for i in lost:
                start, size = places[i]
                data[start : start + size] = bytes(size)
            path = folder / f"blank_{name}.{ext}"
            path.write_bytes(data)
            few = Expect(
                ("corrupt",) if ext == "mov" else (),  # HEVC drops what refers to a lost picture
                frames=(FRAMES - 12, FRAMES - 2),
                size=SIZE,
                problems=("damaged-frames",),
                more=True,
            )
            yield Case(path, few if name == "few" else Expect(("corrupt",), kept=False), "blank")
    for ext in ("mkv", "webm", "avi", "ts", "flv", "mpg"):
        data = bytearray(whole[ext].read_bytes())
        middle = len(data) // 2
        data[middle : middle + len(data) // 30] = bytes(len(data) // 30)
        path = folder / f"blank_piece.{ext}"
        path.write_bytes(data)
        yield Case(path, Expect(BROKEN, frames=(1, FRAMES), size=SIZE, more=True), "blank")


def no_videos(folder: Path) -> Iterator[Case]:
    """Other things with a video's name."""
    picture = io.BytesIO()
    with av.open(picture, "w", format="image2pipe") as out:
        stream = out.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), format="rgb24")
        out.mux(stream.encode(frame.reformat(format="yuvj420p")))
        out.mux(stream.encode(None))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "a" * 500)
    rng = np.random.default_rng(2)
    contents: dict[str, bytes] = {
        "text": b"Dear Sir or Madam,\n" * 300,
        "html": b"<!doctype html><html><title>404</title>" + b"<p>gone</p>" * 200,
        "json": json.dumps({"error": 403, "why": ["blocked"] * 90}).encode(),
        "jpeg": picture.getvalue(),
        "png": b"\x89PNG\r\n\x1a\n" + rng.bytes(2000),
        "zip": packed.getvalue(),
        "pdf": b"%PDF-1.7\n" + rng.bytes(3000),
        "gzip": b"\x1f\x8b\x08\x00" + rng.bytes(3000),
        "elf": b"\x7fELF\x02\x01\x01" + rng.bytes(3000),
        "wav": b"RIFF" + struct.pack("<I", 2036) + b"WAVEfmt " + struct.pack(
            "<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16) + b"data" + struct.pack("<I", 2000)
        + bytes(2000),
        "webp": b"RIFF" + struct.pack("<I", 500) + b"WEBPVP8 " + rng.bytes(492),
        "noise": rng.bytes(20_000),
        "zeros": bytes(20_000),
        "ones": b"\xff" * 20_000,
        "sixteen": rng.bytes(16),
        "three": b"abc",
        "one": b"\x00",
        "lines": b"\n" * 5000,
        "hls": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n",
        "hls_http": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n",
        "concat": b"ffconcat version 1.0\nfile secret.ts\n",
        "dash": b"<?xml version='1.0'?><MPD><Period><AdaptationSet><Representation><BaseURL>"
                b"secret.ts</BaseURL></Representation></AdaptationSet></Period></MPD>",
        "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
               b"m=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "m3u": b"secret.ts\n", "smil": b"<smil><body><video src='secret.ts'/></body></smil>",
        "ffmeta": b";FFMETADATA1\ntitle=x\n", "srt": b"1\n00:00:00,000 --> 00:00:01,000\nhi\n",
        "ass": b"[Script Info]\nScriptType: v4.00+\n", "svg": b"<svg width='9' height='9'></svg>",
    }  # fmt: skip
    film(folder / "secret.ts", count=10)
    expect = Expect(frames=(10, 10), more=True)
    yield Case(folder / "secret.ts", expect, "neighbour of playlists")
    for i, (name, data) in enumerate(contents.items()):
        path = folder / f"no_{name}.{('mp4', 'mkv', 'avi', 'webm', 'ts')[i % 5]}"
        path.write_bytes(data)
        yield Case(path, NO_VIDEO, "no video")
    for ext in ("mp4", "mkv", "ts"):
        (folder / f"empty.{ext}").touch()
        yield Case(folder / f"empty.{ext}", Expect(("empty-file",), kept=False), "empty")
    magic = {"mp4": b"\0\0\0\x18ftypmp42", "mkv": b"\x1a\x45\xdf\xa3", "flv": b"FLV\x01",
             "avi": b"RIFF\0\0\0\0AVI ", "webm": b"\x1a\x45\xdf\xa3\x01",
             "mov": b"\0\0\0\x08moov"}  # fmt: skip
    for ext, head in magic.items():
        (folder / f"head_only.{ext}").write_bytes(head)
        expect = Expect(("corrupt", "no-video-stream", "no-frames"), kept=False)
        yield Case(folder / f"head_only.{ext}", expect, "header only")


def mislabelled(folder: Path, whole: dict[str, Path]) -> Iterator[Case]:
    """Films under another name, and sound under a film's."""
    names = [("mp4", "avi"), ("mp4", "mkv"), ("mkv", "mp4"), ("webm", "mov"), ("ts", "mp4"),
             ("avi", "mp4"), ("flv", "mp4"), ("mpg", "wmv")]  # fmt: skip
    for given, name in names:
        path = folder / f"really_{given}.{name}"
        path.write_bytes(whole[given].read_bytes())
        yield Case(path, Expect(frames=(FRAMES, FRAMES), size=SIZE, more=True), "mislabelled")
    for name in ("notes.txt", "blob.bin", "without_ending"):
        path = folder / name
        path.write_bytes(whole["mp4"].read_bytes())
        expect = Expect(frames=(FRAMES, FRAMES), size=SIZE, times_s=even())
        yield Case(path, expect, "mislabelled", direct=True)
    no_stream = Expect(("no-video-stream",), kept=False)
    for name, codec, form in (("song.mp4", "aac", "mp4"), ("song.mkv", "aac", "matroska"),
                              ("song.ts", "aac", "mpegts"), ("song.webm", "libopus", "webm"),
                              ("song.flv", "aac", "flv"), ("song.avi", "aac", "avi")):  # fmt: skip
        _song(folder / name, codec, form)
        yield Case(folder / name, no_stream, "sound only")
    for name, codec, form in (("mp3.mp4", "libmp3lame", "mp3"), ("flac.mkv", "flac", "flac")):
        _song(folder / name, codec, form)
        yield Case(folder / name, NO_VIDEO, "sound only")
    _song(folder / "cover.mp4", "aac", "mp4", cover=True)
    yield Case(folder / "cover.mp4", no_stream, "cover only")


def _song(path: Path, codec: str, form: str, *, cover: bool = False) -> None:
    rate = 48_000
    with av.open(str(path), "w", format=form) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.layout = "mono"
        still = None
        if cover:
            still = out.add_stream("mjpeg", rate=1)
            still.width, still.height, still.pix_fmt = 64, 64, "yuvj420p"
            still.disposition = av.stream.Disposition.attached_pic
            flat = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), format="rgb24")
            out.mux(still.encode(flat.reformat(format="yuvj420p")))
        fmt = stream.codec_context.format.name
        size = stream.codec_context.frame_size or 1024
        for i in range(20):
            kind = {"flt": np.float32, "s16": np.int16, "s32": np.int32}[fmt.rstrip("p")]
            frame = av.AudioFrame.from_ndarray(np.zeros((1, size), kind), fmt, "mono")
            frame.sample_rate, frame.pts = rate, i * size
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if still is not None:
            out.mux(still.encode(None))


def names(folder: Path, whole: dict[str, Path]) -> Iterator[Case]:
    """Odd names, links, pipes, folders."""
    data = whole["mp4"].read_bytes()
    kept = Expect(frames=(FRAMES, FRAMES), size=SIZE, times_s=even())
    odd = ["-w.mp4", " blank .mp4", "new\nline.mp4", "tab\t.mp4", "quote'\".mp4", "100%s{}.mp4",
           "ünïcödé 動画 🎬.mp4", "\u202egnp.mp4", "a:b.mp4", "concat:secret.ts|x.mp4",
           "file:secret.mp4", "[1] *?.mp4", "$(touch x).mp4", "x" * 240 + ".mp4", "%03d.mp4",
           "http:__a.mp4", "UPPER.MP4", "semi;colon,comma.mp4", "<b>&amp;.mp4",
           "\x7f\x01.mp4"]  # fmt: skip
    for name in odd:
        (folder / name).write_bytes(data)
        yield Case(folder / name, kept, "name")
    raw = os.fsencode(folder) + b"/not-utf8-\xff\xfe.mp4"
    with open(raw, "wb") as out:  # noqa: PTH123 - bytes are no Path
        out.write(data)
    yield Case(Path(os.fsdecode(raw)), Expect(("bad-name",), kept=False), "name")
    (folder / "link.mp4").symlink_to("UPPER.MP4")
    yield Case(folder / "link.mp4", kept, "link")
    pipe = folder / "pipe.mp4"
    os.mkfifo(pipe)
    yield Case(pipe, Expect(("not-a-file",), kept=False), "pipe", direct=True)
    (folder / "zero.mp4").symlink_to("/dev/zero")
    yield Case(folder / "zero.mp4", Expect(("not-a-file",), kept=False), "device", direct=True)
    (folder / "locked.mp4").write_bytes(data)
    (folder / "locked.mp4").chmod(0)
    if not os.access(folder / "locked.mp4", os.R_OK):  # root may read everything
        yield Case(folder / "locked.mp4", Expect(("unreadable-file",), kept=False), "rights")
    else:
        (folder / "locked.mp4").unlink()


def sidecars(folder: Path, whole: dict[str, Path]) -> Iterator[Case]:
    """Sound films with hostile texts beside them."""
    data = whole["mp4"].read_bytes()
    texts: dict[str, tuple[str, bytes, bool]] = {
        "large": (".json", b'{"captions": ["' + b"a" * (17 << 20) + b'"]}', True),
        "ten": (".json", json.dumps({"captions": ["walk " * 200] * 10_000}).encode(), False),
        "nested": (".json", b"[" * 200_000, True),
        "deep": (".json", b'{"captions":' + b"[" * 50_000 + b"]" * 50_000 + b"}", True),
        "binary": (".txt", bytes(range(256)) * 40, True),
        "utf16": (".txt", "somebody walks".encode("utf-16"), True),
        "number": (".json", b'{"captions": 1e999}', True),
        "huge_int": (".json", b'{"captions": ' + b"9" * 100_000 + b"}", True),
        "types": (".json", b'{"captions": [1, null, {}]}', True),
        "markup": (".txt", b"<script>alert(1)</script>\n'; DROP TABLE clips; --\n", False),
        "control": (".txt", b"a\x00b\x1b[31m person \xe2\x80\xae walks\n", False),
        "lines": (".txt", b"walk\n" * 200_000, False),
        "empty": (".json", b"", True),
        "surrogate": (".json", b'{"caption": "\\ud800 walks"}', False),
    }
    for name, (ext, text, bad) in texts.items():
        path = folder / f"beside_{name}.mp4"
        path.write_bytes(data)
        path.with_suffix(ext).write_bytes(text)
        expect = Expect(
            frames=(FRAMES, FRAMES), size=SIZE, times_s=even(),
            problems=("bad-sidecar",) if bad else (),
        )  # fmt: skip
        yield Case(path, expect, "sidecar")
    path = folder / "beside_pipe.mp4"
    path.write_bytes(data)
    os.mkfifo(path.with_suffix(".txt"))
    yield Case(path, Expect(frames=(FRAMES, FRAMES), times_s=even()), "sidecar")
