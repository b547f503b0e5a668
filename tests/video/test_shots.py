"""Cuts, and everything that looks like one."""

import dataclasses

import cv2
import numpy as np

from motionkit.video.shots import FrameLikeness, cut_scores, find_cuts
from tests.video import films


@dataclasses.dataclass
class Planes:
    luma: np.ndarray
    u: np.ndarray
    v: np.ndarray


def differences(frames: films.Frames, group: int) -> np.ndarray:
    """All frames, measured in groups."""
    likeness = FrameLikeness()
    found = []
    for i, frame in enumerate(frames):
        y, u, v = cv2.split(cv2.cvtColor(frame, cv2.COLOR_RGB2YUV))
        likeness.add(Planes(y, u[::2, ::2], v[::2, ::2]))
        if i % group == 0 or i == len(frames) - 1:
            found.append(likeness.measure())
    return np.concatenate(found)


def cuts(frames: films.Frames) -> list[int]:
    """The same cuts, however the frames are grouped."""
    found = [find_cuts(cut_scores(differences(frames, group))).tolist() for group in (1, 2, 3)]
    assert found[0] == found[1] == found[2]
    return found[0]


def test_cuts_are_found_at_the_first_new_frame() -> None:
    frames = films.still(14, seed=1) + films.pan(11, 3.0, seed=2) + films.still(9, seed=3)
    assert cuts(frames) == [14, 25]


def test_a_cut_into_another_view_of_the_same_wall() -> None:
    wall = films.texture(5, cell=40)
    frames = [films.view(wall, 40, 60)] * 12 + [films.view(wall, 420, 160, 1.4)] * 12
    assert cuts(frames) == [12]


def test_cuts_between_moving_shots() -> None:
    frames = films.pan(20, 6.0, seed=1) + films.pan(20, -5.0, seed=7)
    assert cuts(frames) == [20]


def test_flashes_are_no_cuts() -> None:
    frames = list(films.still(30, seed=1))
    frames[10] = np.full_like(frames[10], 250)
    frames[20] = films.still(1, seed=9)[0]
    frames[21] = frames[20]
    assert cuts(frames) == []


def test_fades_and_fast_motion_are_no_cuts() -> None:
    still = films.still(1, seed=1)[0]
    fade = [(still * k).astype(np.uint8) for k in np.linspace(1, 0, 25)]
    assert cuts(fade + fade[::-1]) == []
    assert cuts(films.pan(30, 14.0)) == []
    assert cuts(films.with_person(films.still(12, seed=4), 0, 320)) == []


def test_dissolves_are_left_alone() -> None:
    one, other = films.still(1, seed=1)[0], films.still(1, seed=2)[0]
    mixed = [(one * (1 - k) + other * k).astype(np.uint8) for k in np.linspace(0, 1, 30)]
    assert cuts([one] * 8 + mixed + [other] * 8) == []


def test_empty_and_single() -> None:
    assert cut_scores(np.zeros((0, 3))).tolist() == []
    assert cuts(films.still(1)) == []
