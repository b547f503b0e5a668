from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av")
pytest.importorskip("cv2")

from motionkit.bodies.motion import BodyMotion  # noqa: E402
from motionkit.generation.lift_film import (  # noqa: E402
    HEIGHT,
    camera_azimuth_deg,
    person_crop,
    write_film,
)
from motionkit.generation.lift_inputs import Film, KeypointClip  # noqa: E402
from tests.video.encode import write_video  # noqa: E402

FRAMES = 3


def keypoints(frames: int = FRAMES) -> np.ndarray:
    rng = np.random.default_rng(0)
    m2d = np.ones((frames, 18, 3), np.float32)
    m2d[:, :17, :2] = rng.uniform((120, 40), (180, 160), (17, 2))
    m2d[:, 17] = (320, 180, 1)
    return m2d


def standing(frames: int = FRAMES) -> BodyMotion:
    poses = np.zeros((frames, 24, 3))
    return BodyMotion(poses, np.tile([0.0, 1.2, 0.0], (frames, 1)), np.zeros(10), 30.0)


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]


def film(path: Path, frames: int = FRAMES, colour: tuple[int, int, int] = (200, 30, 30)) -> Film:
    write_video(path, [np.full((180, 320, 3), colour, np.uint8)] * frames)
    return Film(str(path), None, np.arange(FRAMES, dtype=np.int32))


def test_the_picture_shows_the_video_on_the_left(tmp_path: Path) -> None:
    clip = KeypointClip("a", keypoints(), 30.0, film=film(tmp_path / "v.mp4"))
    note = write_film(clip, standing(), standing().joints(), tmp_path / "a.mp4")
    assert note == ""
    shown = frames_of(tmp_path / "a.mp4")
    assert len(shown) == FRAMES
    assert shown[0].shape[0] == HEIGHT
    corner = shown[0][HEIGHT // 2, 12].astype(int)
    assert corner[0] > 150
    assert corner[1] < 80


@pytest.mark.parametrize(
    ("given", "remark"),
    [("none", ""), ("gone", "missing-file"), ("short", "frames-missing"), ("damaged", "cannot be")],
)
def test_without_the_video_the_keypoints_stand_on_grey(
    given: str, remark: str, tmp_path: Path
) -> None:
    there = film(tmp_path / "v.mp4", frames=2 if given == "short" else FRAMES)
    if given == "gone":
        there = replace(there, path=str(tmp_path / "nowhere.mp4"))
    if given == "damaged":
        (tmp_path / "v.mp4").write_bytes(b"no video at all")
    clip = KeypointClip("a", keypoints(), 30.0, film=None if given == "none" else there)
    note = write_film(clip, standing(), standing().joints(), tmp_path / "a.mp4")
    assert remark in note
    assert (note == "") == (given == "none")
    last = frames_of(tmp_path / "a.mp4")[-1][HEIGHT // 2, 12].astype(int)
    assert np.ptp(last) < 30  # grey
    assert not (tmp_path / "a.mp4.part").exists()


@pytest.mark.parametrize("angle", [0.0, 50.0, 170.0, -100.0])
def test_one_view_is_the_cameras(angle: float) -> None:
    rng = np.random.default_rng(0)
    world = rng.normal(size=(4, 24, 3))
    # a camera that stands `angle` to the person's right (towards -x) looks at the world
    turn = np.radians(angle)
    right = np.array([np.cos(turn), 0.0, np.sin(turn)])
    away = np.array([-np.sin(turn), 0.0, np.cos(turn)])
    camera = np.stack([world @ right, -world[..., 1], 5 - world @ away], -1)
    assert camera_azimuth_deg(world, camera) == pytest.approx(angle, abs=1e-6)


def test_the_crop_holds_the_person_and_is_not_wider_than_the_film() -> None:
    m2d = keypoints()
    m2d[:, 0, :2] = (10, 90)
    m2d[:, 1, :2] = (310, 95)
    m2d[:, 2] = (5000, 5000, 0.0)  # not seen
    x0, y0, x1, y1 = person_crop(m2d)
    assert x0 < 10
    assert x1 > 310
    assert (x1 - x0) / (y1 - y0) < 1.52
    m2d[:, :17, 2] = 0
    assert person_crop(m2d) == (0, 0, 320, 180)
