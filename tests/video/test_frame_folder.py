"""Folders of pictures as videos."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from motionkit.errors import InputError
from motionkit.records import TABLES
from motionkit.video.decode import read_frames
from motionkit.video.frame_folder import (
    describe_folder,
    folder_pictures,
    folder_stamp,
    is_frame_folder,
    open_frame_folder,
)
from motionkit.video.planes import read_small
from motionkit.video.probe import probe
from tests.video.mevis_tree import FRAMES, HEIGHT, WIDTH, write_frames, write_split


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames") / "walk"
    write_frames(folder)
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "walk"
    shutil.copytree(original, copy)
    return copy


def code_of(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        describe_folder(folder)
    return caught.value.code


def test_the_row_says_what_the_folder_holds(original: Path) -> None:
    row = describe_folder(original, fps=4.0)
    assert set(row) <= set(TABLES["videos"].names)
    assert (row["width"], row["height"], row["frames_decoded"]) == (WIDTH, HEIGHT, FRAMES)
    assert (row["container"], row["codec"], row["decoder"]) == ("frames", "jpeg", "pyav")
    assert (row["fps"], row["duration_s"]) == (4.0, FRAMES / 4)
    np.testing.assert_allclose(row["frame_times_s"], np.arange(FRAMES) / 4)


def test_the_id_is_that_of_names_and_bytes(original: Path, folder: Path) -> None:
    same = describe_folder(folder)["video_id"]
    assert same == describe_folder(original)["video_id"]
    (folder / "00007.jpg").rename(folder / "00008.jpg")
    assert describe_folder(folder)["video_id"] != same


def test_frames_are_read_as_of_any_video(original: Path) -> None:
    (chunk,) = read_frames(str(original), ordinals=[2, 2, 5], chunk=8)
    assert chunk.ordinals.tolist() == [2, 2, 5]
    np.testing.assert_allclose(chunk.times_s, [0.4, 0.4, 1.0])
    for frame, ordinal in zip(chunk.frames, (2, 2, 5), strict=True):
        picture = cv2.imread(str(original / f"{ordinal:05d}.jpg"))[..., ::-1]
        assert frame.shape == picture.shape
        # The decoders interpolate colour differently.
        assert np.abs(frame.mean(2) - picture.mean(2)).mean() < 2.5
    whole = [o for c in read_frames(str(original), chunk=3) for o in c.ordinals.tolist()]
    assert whole == list(range(FRAMES))


def test_only_the_wanted_pictures_are_opened(folder: Path) -> None:
    (folder / "00003.jpg").write_bytes(b"damaged")
    assert [o for o, _ in folder_pictures(folder, [1, 6, 99])] == [1, 6]


def test_probe_and_planes_take_folders(original: Path) -> None:
    info = probe(str(original))
    assert (info.width, info.height, info.frames, info.rotation) == (WIDTH, HEIGHT, FRAMES, 0)
    frames = list(read_small(str(original)))
    assert [f.ordinal for f in frames] == list(range(FRAMES))
    assert frames[0].luma.shape == (HEIGHT, WIDTH)


def test_png_pictures_are_exact(tmp_path: Path) -> None:
    folder = tmp_path / "walk"
    write_frames(folder, 2, ".png")
    (chunk,) = read_frames(str(folder))
    for frame, name in zip(chunk.frames, ("00000.png", "00001.png"), strict=True):
        np.testing.assert_array_equal(frame, cv2.imread(str(folder / name))[..., ::-1])
    assert describe_folder(folder)["codec"] == "png"


def test_names_order_the_pictures_and_other_files_are_left_out(folder: Path) -> None:
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.jpg").write_bytes(b"no picture")
    assert open_frame_folder(folder).files == tuple(f"{i:05d}.jpg" for i in range(FRAMES))


def test_a_list_chooses_and_orders_the_pictures(tmp_path: Path) -> None:
    split = write_split(tmp_path, videos=("walk",))
    meta = json.loads((split / "meta_expressions.json").read_text())
    meta["videos"]["walk"]["frames"] = ["00003", "00001", "../walk/00002"]
    (split / "meta_expressions.json").write_text(json.dumps(meta))
    found = open_frame_folder(split / "JPEGImages" / "walk")
    assert found.files == ("00003.jpg", "00001.jpg")
    assert found.missing == ("../walk/00002",)  # a path is no name
    assert code_of(split / "JPEGImages" / "walk") == "frames-missing"


def test_the_stamp_changes_with_any_picture(folder: Path) -> None:
    stamps = [folder_stamp(folder), folder_stamp(folder)]
    assert stamps[0] == stamps[1]
    shutil.copy(folder / "00000.jpg", folder / "00005.jpg")
    stamps.append(folder_stamp(folder))
    (folder / "00007.jpg").unlink()
    stamps.append(folder_stamp(folder))
    assert len(set(stamps)) == 3
    assert folder_stamp(folder / "none") == "missing-file"


def damage(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return apply


def declared(data: bytes, height: int, width: int) -> bytes:
    at = data.index(b"\xff\xc0")
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (damage("00004.jpg", lambda data: data[: len(data) // 2]), "corrupt"),
        (damage("00004.jpg", lambda data: data[:-2]), "corrupt"),
        (damage("00004.jpg", lambda data: data[:40]), "corrupt"),
        (damage("00004.jpg", lambda _: b""), "corrupt"),
        (damage("00000.jpg", lambda _: b""), "corrupt"),
        (damage("00000.jpg", lambda _: b"GIF89a no jpeg"), "corrupt"),
        (damage("00004.jpg", lambda data: declared(data, 65500, 65500)), "picture-too-large"),
        (damage("00000.jpg", lambda data: declared(data, 12000, 12000)), "picture-too-large"),
        (damage("00004.jpg", lambda data: declared(data, 0, 96)), "corrupt"),
        (damage("00004.jpg", lambda data: declared(data, 32, 96)), "frame-size"),
        (lambda folder: [f.unlink() for f in folder.iterdir()], "no-frames"),
        (lambda folder: shutil.rmtree(folder), "missing-file"),
        (lambda folder: (folder / "00009.jpg").mkdir(), "unreadable-file"),
    ],
)
def test_damage_has_its_code(folder: Path, change: Callable[[Path], object], code: str) -> None:
    change(folder)
    assert code_of(folder) == code


def test_an_exif_turn_is_not_applied(folder: Path, tmp_path: Path) -> None:
    tiff = b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x112, 3, 1, 6) + bytes(4)
    for name in ("00000.jpg", "00001.jpg"):
        data = (folder / name).read_bytes()
        block = b"Exif\0\0" + tiff
        head = b"\xff\xd8\xff\xe1" + struct.pack(">H", len(block) + 2) + block
        (folder / name).write_bytes(head + data[2:])
    assert next(iter(read_frames(str(folder)))).frames.shape[1:3] == (HEIGHT, WIDTH)
    png = tmp_path / "png"
    write_frames(png, 1, ".png")
    data = (png / "00000.png").read_bytes()
    chunk = b"eXIf" + tiff
    chunk = struct.pack(">I", len(tiff)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (png / "00000.png").write_bytes(data[:33] + chunk + data[33:])
    assert next(iter(read_frames(str(png)))).frames.shape[1:3] == (HEIGHT, WIDTH)


def test_what_is_a_frame_folder(original: Path, tmp_path: Path) -> None:
    assert is_frame_folder(original)
    assert not is_frame_folder(original.parent)
    assert not is_frame_folder(original / "00000.jpg")
    assert not is_frame_folder(tmp_path / "none")


def test_real_frames(real_data: Path) -> None:
    folder = real_data / "masks" / "cutie" / "JPEGImages" / "judo"
    row = describe_folder(folder)
    assert (row["width"], row["height"]) == (854, 480)
    assert row["frames_decoded"] == len(list(folder.glob("*.jpg")))
