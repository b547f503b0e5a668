"""Small planes and thumbnails against the decoder's own conversion; nothing made in vain."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from motionkit.video.planes import CHROMA_SIDE, LUMA_SIDE, read_small
from motionkit.video.probe import pictures_of
from tests.video import films
from tests.video.encode import write_video


def film(path: Path, form: str, tags: dict[str, int] | None = None) -> Path:
    """Six frames in a layout of their own, kept without loss."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=Fraction(30))
        stream.width, stream.height, stream.pix_fmt = films.WIDTH, films.HEIGHT, form
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        for i, picture in enumerate(films.pan(6, px=3.0)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(format=form, **({"dst_colorspace": 1} if tags else {}))
            frame.pts = i
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("form", ["yuv420p", "yuv444p", "yuv420p10le", "gray"])
def test_planes_and_thumbnails_of_every_layout(form: str, tmp_path: Path) -> None:
    path = film(tmp_path / "film.mkv", form)
    pairs = list(zip(read_small(str(path)), pictures_of(str(path)), strict=True))
    assert [small.ordinal for small, _ in pairs] == list(range(6))
    for small, picture in pairs:
        truth = picture.to_ndarray(format="rgb24")
        assert small.luma.shape == (90, 160) and max(small.luma.shape) <= LUMA_SIDE
        assert max(*small.u.shape, *small.v.shape) <= CHROMA_SIDE
        grey = cv2.resize(truth @ [0.299, 0.587, 0.114], (160, 90), interpolation=cv2.INTER_AREA)
        assert np.abs(small.luma - (16 + grey * 219 / 255)).mean() < 2
        shown = cv2.resize(truth, (200, 112), interpolation=cv2.INTER_AREA)
        assert small.rgb(200).shape == shown.shape
        assert np.abs(small.rgb(200).astype(int) - shown).mean() < 4


def test_the_colours_of_high_definition(tmp_path: Path) -> None:
    path = film(tmp_path / "hd.mkv", "yuv420p", {"colorspace": 1})
    for small, picture in zip(read_small(str(path)), films.pan(6, px=3.0), strict=True):
        assert int(small.picture.colorspace) == 1
        assert np.abs(small.rgb(films.WIDTH).astype(int) - picture).mean() < 4


def test_turned_thumbnails_are_upright_and_narrow(tmp_path: Path) -> None:
    write_video(tmp_path / "film.mp4", films.still(2))
    films.rotated(tmp_path / "film.mp4", tmp_path / "turned.mp4", 90)
    straight, turned = (
        next(read_small(str(tmp_path / f"{name}.mp4"))) for name in ("film", "turned")
    )
    assert turned.rgb(90).shape == (160, 90, 3)
    upright = np.rot90(straight.rgb(films.WIDTH), -1)
    assert np.array_equal(turned.rgb(films.HEIGHT), upright)
    assert np.array_equal(turned.luma, np.rot90(straight.luma, -1))


def test_frames_stay_valid_while_they_are_held(tmp_path: Path) -> None:
    write_video(tmp_path / "film.mp4", films.pan(8, px=5.0))
    at_once = [small.luma.copy() for small in read_small(str(tmp_path / "film.mp4"))]
    held = list(read_small(str(tmp_path / "film.mp4")))
    assert all(np.array_equal(a, b.luma) for a, b in zip(at_once, held, strict=True))
