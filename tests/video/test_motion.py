"""Camera motion at the edges: what counts as the camera, and what must not."""

import numpy as np
import pytest

from motionkit.video.camera import CAMERA_MAX, camera_kind, camera_moving, is_moving
from motionkit.video.motion import LOST, CameraMotion, CameraStep, active_box, per_thirtieth
from motionkit.video.planes import read_small
from tests.video import films
from tests.video.encode import write_video


def measure(frames: films.Frames, fps: float = 30.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, shifts and zooms of frames as they are (no compression), each measured."""
    motion = CameraMotion()
    steps = [motion.step(np.ascontiguousarray(f[..., 1])) for f in frames]
    return per_thirtieth(steps, list(range(len(frames))), np.arange(len(frames)) / fps)


def scores(frames: films.Frames, fps: float = 30.0) -> np.ndarray:
    return measure(frames, fps)[0]


def test_a_pan_is_measured_in_shares_of_the_width() -> None:
    found = scores(films.pan(12, px=3.2))
    assert found[0] == 0.0
    assert found[1:] == pytest.approx(np.full(11, 3.2 / films.WIDTH), rel=0.05)


def test_the_score_does_not_depend_on_the_frame_rate() -> None:
    slow, fast = scores(films.pan(9, px=4.0), 30), scores(films.pan(9, px=2.0), 60)
    assert fast[1:] == pytest.approx(slow[1:], rel=0.08)


def test_small_shakes_tilts_and_zooms_move() -> None:
    wall = films.texture(3)
    rng = np.random.default_rng(0)
    shaken = [films.view(wall, *(100 + rng.normal(0, 1.2, 2))) for _ in range(20)]
    tilted = [films.view(wall, 100, 100 + 0.8 * i) for i in range(20)]
    zoomed = [films.view(wall, 100, 100, 1.005**i) for i in range(20)]
    for frames in (shaken, tilted, zoomed):
        assert camera_moving(scores(frames)).mean() > 0.8


def test_a_person_at_one_edge_is_not_the_camera() -> None:
    for start, stop in ((-30, 200), (300, 340)):
        frames = films.with_person(films.still(40), start, stop)
        assert scores(frames).max() < CAMERA_MAX / 2


def swaying(count: int, x: float, width: int, seed: int) -> list[tuple[int, np.ndarray]]:
    """Left column and picture of somebody broad, dressed in a pattern, who moves all the time."""
    shirt = films.texture(seed, width=width + 60, height=films.HEIGHT, cell=10)
    rng = np.random.default_rng(seed)
    way = 6 * np.sin(np.arange(count) / 3 + rng.uniform(0, 6)) + rng.normal(0, 1.0, count)
    rise = 4 * np.cos(np.arange(count) / 4 + rng.uniform(0, 6))
    out = []
    for i in range(count):
        stretch = 1 + 0.1 * np.sin(np.arange(films.HEIGHT) / 17 + i / 3)  # limbs, not a board
        columns = np.clip((np.arange(width) * stretch[:, None] + 20 + way[i]), 0, width + 59)
        rows = np.clip(np.arange(films.HEIGHT)[:, None] + rise[i], 0, films.HEIGHT - 1)
        out.append((round(x), shirt[rows.astype(int), columns.astype(int)]))
    return out


def before(frames: films.Frames, *people: list[tuple[int, np.ndarray]]) -> films.Frames:
    out = [f.copy() for f in frames]
    for person in people:
        for frame, (x, picture) in zip(out, person, strict=True):
            frame[:, x : x + picture.shape[1]] = picture
    return out


def test_people_who_fill_the_edges_are_not_the_camera() -> None:
    room = films.still(40)
    one = before(room, swaying(40, 0, 120, 3))
    both = before(room, swaying(40, 0, 70, 3), swaying(40, 250, 70, 4))
    bare_wall = [f.copy() for f in room]
    for frame in bare_wall:
        frame[:, 240:] = 128  # nothing to follow on the other side
    for frames in (one, both, before(bare_wall, swaying(40, 0, 70, 5))):
        assert not is_moving(scores(frames))


def test_a_pan_behind_a_still_person_is_the_camera() -> None:
    person = swaying(1, 110, 100, 6) * 30
    found, shift, _ = measure(before(films.pan(30, px=2.0), person))  # stays in the picture
    assert camera_moving(found)[2:].all()
    assert np.median(shift[1:, 0]) == pytest.approx(-2.0 / films.WIDTH, rel=0.1)


def test_shift_and_zoom_are_told_apart() -> None:
    wall = films.texture(3)
    _, shift, zoom = measure([films.view(wall, 100, 100, 1.006**i) for i in range(20)])
    assert zoom[2:] == pytest.approx(np.full(18, np.log(1.006)), rel=0.1)
    assert np.abs(shift).max() < 0.0005
    _, shift, zoom = measure([films.view(wall, 100, 100 + 1.6 * i) for i in range(20)])
    assert shift[2:, 1] == pytest.approx(np.full(18, -1.6 / films.WIDTH), rel=0.1)
    assert np.abs(zoom).max() < 0.0005 and np.abs(shift[:, 0]).max() < 0.0005


def test_frames_between_share_what_was_measured() -> None:
    steps = [CameraStep(0, 0, 0, float("nan")), CameraStep(0.02, 0, 0.01, 0.02)]
    camera, shift, zoom = per_thirtieth(steps, [0, 2], np.arange(3) / 30)
    assert camera == pytest.approx([0, 0.01, 0.01])
    assert shift == pytest.approx(np.array([[0, 0], [0.01, 0], [0.01, 0]]))
    assert zoom == pytest.approx([0, 0.005, 0.005])
    lost = per_thirtieth([steps[0], CameraStep(0, 0, 0, float("inf"))], [0, 1], np.arange(2) / 30)
    assert lost[0].tolist() == pytest.approx([0, LOST])


def kind_of(course: np.ndarray, fps: float = 30.0) -> str:
    """Of shifts x, y and zooms [F, 3] in 1/30 s."""
    edges = np.hypot(course[:, 0], course[:, 1]) + np.abs(course[:, 2]) / 2
    return camera_kind(edges, course[:, :2], course[:, 2], np.arange(len(course)) / fps)


def test_kinds_of_camera() -> None:
    still, steady = np.zeros(90), np.full(90, 0.004)
    swings = np.repeat([1, -1, 1], 30) * 0.004
    rng = np.random.default_rng(0)
    for fps in (24.0, 30.0, 60.0):
        assert kind_of(np.column_stack([still, still, still]), fps) == "static"
        assert kind_of(np.column_stack([steady, still, still]), fps) == "pan"
        assert kind_of(np.column_stack([steady, 0.3 * steady, still]), fps) == "pan"
        assert kind_of(np.column_stack([still, -steady, still]), fps) == "tilt"
        assert kind_of(np.column_stack([still, still, 2 * steady]), fps) == "zoom"
        assert kind_of(np.column_stack([steady, -steady, still]), fps) == "mixed"
        assert kind_of(np.column_stack([steady, still, 2 * steady]), fps) == "mixed"
        hand = rng.normal(0, 0.004, (90, 3)) * [1, 1, 0.1]
        assert kind_of(hand, fps) == "shake"
        sway = 0.004 * np.sin(np.arange(90) / fps * 2 * np.pi * 2.5)
        assert kind_of(np.column_stack([sway, still, still]), fps) == "shake"
    assert kind_of(np.column_stack([swings, still, still])) == "pan"  # turns round twice
    half = np.where(np.arange(90) < 40, 0.004, 0.0)
    assert kind_of(np.column_stack([half, still, still])) == "pan"
    assert kind_of(np.zeros((0, 3))) == kind_of(np.zeros((1, 3))) == "static"


def test_noise_flicker_and_flashes_are_not_the_camera() -> None:
    frames = films.noisy(films.still(30), sigma=5.0)
    rng = np.random.default_rng(0)
    flicker = [np.clip(f * rng.uniform(0.93, 1.07), 0, 255).astype(np.uint8) for f in frames]
    flicker[15] = np.clip(flicker[15].astype(int) + 90, 0, 255).astype(np.uint8)
    assert not camera_moving(scores(flicker)).any()


def test_a_side_without_texture_leaves_it_to_the_other() -> None:
    frames = films.pan(10, px=2.0)
    for frame in frames:
        frame[:, :120] = 128
    assert scores(frames)[1:] == pytest.approx(np.full(9, 2.0 / films.WIDTH), rel=0.1)
    plain = [np.full((180, 320, 3), 60, np.uint8)] * 5
    assert scores(plain).tolist() == [0.0] * 5


def test_black_bars_are_not_the_edges() -> None:
    frames = films.pan(10, px=2.0)
    for frame in frames:
        frame[:, :60] = 0
        frame[:, -60:] = 0
    assert active_box(frames[0][..., 1]) == (60, 260, 0, 180)
    assert scores(frames)[2:] == pytest.approx(np.full(8, 2.0 / films.WIDTH), rel=0.1)


def test_a_picture_that_blurs_away_counts_as_lost() -> None:
    one, other = (
        np.random.default_rng(s).integers(0, 255, (180, 320)).astype(np.uint8) for s in (1, 2)
    )
    motion = CameraMotion()
    steps = [motion.step(one), motion.step(other)]
    camera, shift, _ = per_thirtieth(steps, [0, 1], np.array([0, 1 / 30]))
    assert camera[1] == pytest.approx(LOST) or camera[1] > LOST / 10
    assert np.isfinite(shift).all()


def test_compressed_video_gives_the_same_verdicts(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("films")
    for name, frames, moving in (
        ("still", films.with_person(films.noisy(films.still(40)), -20, 330), False),
        ("pan", films.noisy(films.pan(40, px=1.0)), True),
    ):
        path = folder / f"{name}.mp4"
        write_video(path, frames, quality=27)
        motion = CameraMotion()
        steps = [motion.step(f.luma) for f in read_small(str(path))]
        times = np.arange(len(steps)) / 30
        assert is_moving(per_thirtieth(steps, list(range(len(steps))), times)[0]) is moving


def test_moving_stretches_are_joined_and_specks_dropped() -> None:
    high, low = 2 * CAMERA_MAX, 0.0
    trembling = np.array([low] * 10 + [high, high, low, low, high, high] + [low] * 10)
    assert np.flatnonzero(camera_moving(trembling)).tolist() == list(range(10, 16))
    speck = np.array([low] * 10 + [high] + [low] * 10)
    assert not camera_moving(speck).any()
    assert camera_moving(np.zeros(0)).shape == (0,)


def test_the_threshold_can_be_moved_afterwards() -> None:
    stored = np.full(30, 0.002, np.float32)
    assert camera_moving(stored).all()
    assert not camera_moving(stored, 0.003).any()
    assert is_moving(stored)
    assert not is_moving(np.concatenate([stored[:10], np.zeros(90)]))
