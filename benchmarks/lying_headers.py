"""Files whose headers lie, for `benchmarks.damaged`: absurd sizes, lengths, counts and stamps."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from benchmarks.damaged_bytes import BROKEN, SIZE
from benchmarks.damaged_films import FRAMES, HEIGHT, PLAIN, WIDTH, Case, Expect, even, film

#: A header of another size, count or length than the packets': kept by what decodes, or refused.
EITHER = Expect(BROKEN, frames=(1, FRAMES), more=True)
ALL = Expect(frames=(FRAMES, FRAMES), size=SIZE, times_s=even(), more=True)
REFUSED = Expect(BROKEN, kept=False)


def boxed(data: bytes, box: bytes, offset: int, value: bytes, *, which: int = 0) -> bytes:
    """``value`` written ``offset`` bytes behind the name of the ``which``-th box ``box``."""
    at = -1
    for _ in range(which + 1):
        at = data.index(box, at + 1)
    at += len(box) + offset
    return data[:at] + value + data[at + len(value) :]


def huge_sizes(folder: Path, whole: dict[str, Path]) -> Iterator[Case]:
    """Headers that declare pictures of gigabytes."""
    sides = [(65535, 65535), (16384, 16384), (65535, 1), (32768, 8), (16000, 16000)]
    for width, height in sides:
        name = f"{width}x{height}"
        word = struct.pack(">HH", width, height)
        data = boxed(whole["mp4"].read_bytes(), b"avc1", 24, word)
        yield _written(folder / f"huge_stsd_{name}.mp4", data, EITHER)
        little = struct.pack("<HH", width, height)
        gif = b"GIF89a" + little + b"\xf7\x00\x00" + bytes(768)
        frame = b"\x2c\0\0\0\0" + little + b"\x00\x08\x02\x07\x80\x01\x00"
        yield _written(folder / f"huge_{name}.gif", gif + frame + b"\x3b", EITHER)
        text = f"YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420jpeg\nFRAME\n".encode()
        yield _written(folder / f"huge_y4m_{name}.mkv", text + bytes(5000), EITHER)
        for codec in (b"VP80", b"VP90", b"AV01", b"H264"):
            head = b"DKIF" + struct.pack("<HH4sHHIIII", 0, 32, codec, width, height, 30, 1, 60, 0)
            body = struct.pack("<IQ", 900, 0) + b"\x10\x02\x00\x9d\x01\x2a" + little + bytes(892)
            path = folder / f"huge_ivf_{codec.decode().lower()}_{name}.webm"
            yield _written(path, head + body, EITHER)
        yield _written(folder / f"huge_sps_{name}.mp4", _annex_b(width, height), EITHER)
        jpeg = _jpeg_in_avi(folder, width, height)
        yield Case(jpeg, EITHER, "huge")


def _written(path: Path, data: bytes, expect: Expect, kind: str = "huge") -> Case:
    path.write_bytes(data)
    return Case(path, expect, kind)


def _annex_b(width: int, height: int) -> bytes:
    """A bare H.264 stream whose parameter set declares a size, and a slice of rubbish."""
    bits = "01100100" + "00000000" + "00111110"  # high profile, level 6.2
    fields = [0, 1, 0, 0]  # id, chroma 4:2:0, depths
    bits += "".join(map(_golomb, fields)) + "00"
    bits += "".join(map(_golomb, (0, 0, 0, 1))) + "0"  # frame numbers, order of output, references
    bits += _golomb(-(-width // 16) - 1) + _golomb(-(-height // 16) - 1) + "1100"
    sps = b"\x00\x00\x00\x01\x67" + _packed(bits + "1")
    pps = b"\x00\x00\x00\x01\x68" + _packed("1" + "1" + "00" + "1" + "1" + "1" + "0" * 3 + "1" * 4)
    return (sps + pps + b"\x00\x00\x00\x01\x65" + bytes(range(16, 250)) * 8) * 3


def _golomb(value: int) -> str:
    code = bin(value + 1)[2:]
    return "0" * (len(code) - 1) + code


def _packed(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


def _jpeg_in_avi(folder: Path, width: int, height: int) -> Path:
    """Motion JPEG whose every picture declares another size than the file."""
    path = folder / f"huge_jpeg_{width}x{height}.avi"
    film(path, "mjpeg", pix="yuvj420p", options={"threads": "1"}, count=8)
    data, small = path.read_bytes(), struct.pack(">HH", HEIGHT, WIDTH)
    start = data.index(b"\xff\xc0") + 5
    assert data[start : start + 4] == small
    head = data[start - 3 : start]
    path.write_bytes(data.replace(head + small, head + struct.pack(">HH", height, width)))
    return path


def huge_counts(folder: Path, whole: dict[str, Path]) -> Iterator[Case]:
    """Years of length, billions of frames, tables that end nowhere."""
    data = whole["front.mp4"].read_bytes()
    most = b"\xff\xff\xff\xff"

    def made(name: str, changed: bytes, expect: Expect, ext: str = "mp4") -> Case:
        return _written(folder / f"count_{name}.{ext}", changed, expect, "count")

    yield made("movie_years", boxed(data, b"mvhd", 16, most), ALL)
    yield made("media_years", boxed(data, b"mdhd", 16, most), EITHER)
    yield made("track_years", boxed(data, b"tkhd", 20, most), EITHER)
    yield made("scale_zero", boxed(data, b"mdhd", 12, bytes(4)), EITHER)
    yield made("scale_max", boxed(data, b"mdhd", 12, most), EITHER)
    for box in (b"stts", b"ctts", b"stsc", b"stsz", b"stco", b"stss"):
        name = box.decode()
        offset = 8 if box == b"stsz" else 4
        for label, number in (("max", 2**32 - 1), ("half", 2**31 - 1), ("16m", 2**24), ("0", 0)):
            word = struct.pack(">I", number)
            yield made(f"{name}_{label}", boxed(data, box, offset, word), EITHER)
    for word, label in ((most, "max"), (b"\x7f\xff\xff\xff", "half")):
        yield made(f"delta_{label}", boxed(data, b"stts", 12, word), EITHER)
        yield made(f"times_{label}", boxed(data, b"stts", 8, word), EITHER)
        yield made(f"sample_{label}", boxed(data, b"stsz", 4, word), EITHER)
        yield made(f"offset_{label}", boxed(data, b"stco", 8, word), EITHER)
        yield made(f"size_{label}", boxed(data, b"stsz", 12, word), EITHER)
    # One size for billions of samples: a table of gigabytes from a few bytes.
    yield made("one_size", boxed(boxed(data, b"stsz", 4, b"\0\0\0\x01"), b"stsz", 8, most), EITHER)
    many = boxed(boxed(data, b"stsz", 4, b"\0\0\0\x01"), b"stsz", 8, b"\x0f\xff\xff\xff")
    yield made("many_small", boxed(many, b"stts", 8, b"\x0f\xff\xff\xff"), EITHER)
    yield made("edit_max", boxed(data, b"elst", 8, most), EITHER)
    yield made("edit_media", boxed(data, b"elst", 12, b"\x7f\xff\xff\xff"), EITHER)
    yield made("edit_count", boxed(data, b"elst", 4, most), EITHER)
    yield made("box_max", boxed(data, b"trak", -8, most), EITHER)
    yield made("box_zero", boxed(data, b"mdia", -8, bytes(4)), EITHER)
    avi = whole["avi"].read_bytes()
    for word, label in ((most, "max"), (b"\xff\xff\xff\x7f", "half")):
        yield made(f"frames_{label}", boxed(avi, b"avih", 20, word), EITHER, "avi")
        yield made(f"length_{label}", boxed(avi, b"strh", 36, word), EITHER, "avi")
        yield made(f"rate_{label}", boxed(avi, b"strh", 28, word), EITHER, "avi")
        yield made(f"scale_{label}", boxed(avi, b"strh", 24, word), EITHER, "avi")
        yield made(f"index_{label}", boxed(avi, b"idx1", 0, word), EITHER, "avi")
    yield made("scale_zero", boxed(avi, b"strh", 24, bytes(4)), EITHER, "avi")
    mkv = whole["mkv"].read_bytes()
    year = struct.pack(">d", 3.2e13)
    yield made("years", boxed(mkv, b"\x44\x89\x88", 0, year), ALL, "mkv")
    for name, value in (("nan", float("nan")), ("minus", -1e9), ("inf", float("inf"))):
        changed = boxed(mkv, b"\x44\x89\x88", 0, struct.pack(">d", value))
        yield made(f"length_{name}", changed, ALL, "mkv")
    flv = whole["flv"].read_bytes()
    yield made("years", boxed(flv, b"duration\x00", 0, struct.pack(">d", 1e12)), ALL, "flv")


def bad_stamps(folder: Path, whole: dict[str, Path]) -> Iterator[Case]:
    """Presentation times that repeat, fall, are missing or begin anew, in transport streams."""
    plain = film(folder / "stamp_source.ts", options={**PLAIN, "bf": "0"}, count=60)
    data = plain.read_bytes()
    yield Case(plain, Expect(frames=(60, 60), times_s=even(60), more=True), "stamps")

    def made(name: str, change: object, *problems: str, times: tuple[float, ...] | None) -> Case:
        path = folder / f"stamp_{name}.ts"
        path.write_bytes(_restamped(data, change))
        expect = Expect(frames=(58, 60), size=SIZE, problems=problems, times_s=times, more=True)
        return Case(path, expect, "stamps")

    def missing(i: int, pts: int) -> int | None:
        return None if i % 5 == 3 else pts

    twice = lambda i, pts: pts - 3000 if i % 5 == 3 else pts  # noqa: E731
    back = lambda i, pts: pts - 9000 if i % 10 == 7 else pts  # noqa: E731
    anew = lambda i, pts: pts - 90_000 if i >= 30 else pts  # noqa: E731
    day = lambda i, pts: pts + 90_000 * 80_000 if i >= 30 else pts  # noqa: E731
    same = lambda i, pts: 90_000  # noqa: E731
    rising = "times-not-rising"
    yield made("twice", twice, rising, times=even(60))
    yield made("back", back, rising, times=even(60))
    yield made("anew", anew, rising, times=even(60))
    yield made("missing", missing, times=even(60))
    yield made("day", day, "time-gap", times=None)
    yield made("same", same, times=None)
    for ext in ("ts", "mpg"):
        path = folder / f"joined.{ext}"
        path.write_bytes(whole[ext].read_bytes() * 2)
        expect = Expect(frames=(2 * FRAMES - 2, 2 * FRAMES), size=SIZE, more=True)
        yield Case(path, expect, "joined")
    path = folder / "two_sizes.ts"
    film(folder / "other_size.ts", size=(320, 180), count=20)
    path.write_bytes(plain.read_bytes() + (folder / "other_size.ts").read_bytes())
    expect = Expect(frames=(78, 80), size=SIZE, problems=("size-changes",), more=True)
    yield Case(path, expect, "joined")
    for ext in ("mp4", "mkv", "webm", "flv", "avi"):
        path = folder / f"appended.{ext}"
        path.write_bytes(whole[ext].read_bytes() + whole["front.mp4"].read_bytes())
        yield Case(path, Expect(frames=(FRAMES, 2 * FRAMES), size=SIZE, more=True), "joined")


def _restamped(data: bytes, change: object) -> bytes:
    """A transport stream with the time stamps of its pictures changed: ``change(i, pts)`` in
    ticks of 90 kHz, None takes it out."""
    assert callable(change)
    out, number = bytearray(data), 0
    for start in range(0, len(data), 188):
        packet = data[start : start + 188]
        begins, adapted = packet[1] & 0x40, packet[3] & 0x20
        at = 4 + (1 + packet[4] if adapted else 0)
        if not begins or packet[at : at + 4] != b"\x00\x00\x01\xe0":
            continue
        place = start + at + 9
        b = out[place : place + 5]
        pts = (b[0] >> 1 & 7) << 30 | b[1] << 22 | (b[2] >> 1) << 15 | b[3] << 7 | b[4] >> 1
        new = change(number, pts)
        number += 1
        if new is None:
            out[start + at + 7] &= 0x3F
            out[place : place + 5] = b"\xff" * 5
            continue
        new %= 1 << 33
        out[place : place + 5] = bytes(
            [0x21 | new >> 29 & 0x0E, new >> 22 & 255, new >> 14 & 0xFE | 1, new >> 7 & 255,
             new << 1 & 0xFE | 1]
        )  # fmt: skip
    return bytes(out)
