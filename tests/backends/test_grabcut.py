"""GrabCut from box and keypoints, on rendered people whose outline is known."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from motionkit.backends.grabcut import GrabCut
from motionkit.backends.masks import person_mask
from motionkit.backends.people import body_box
from motionkit.synth.painter import paint_figure
from motionkit.synth.shot import Shot, make_shot
from motionkit.synth.spec import SynthSpec
from tests.backends.clips import clip_of, mask_of

Bool = NDArray[np.bool_]


def outline(shot: Shot, frame: int) -> Bool:
    """Where the first person is painted: the same on black and on white."""
    camera, person = shot.camera, shot.people[0]
    seen = camera.to_camera(person.vertices)
    pixels = camera.project(seen)
    light = camera.rotation[frame] @ shot.light.direction
    black = np.zeros((camera.height, camera.width, 3), np.uint8)
    white = np.full_like(black, 255)
    for canvas in (black, white):
        paint_figure(
            canvas, person.mesh, person.look, seen[frame], pixels[frame], light, shot.light
        )
    return np.asarray((255 - (white.astype(int) - black)).max(-1) > 127)


def overlap(a: Bool, b: Bool) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


Case = tuple[NDArray[np.uint8], NDArray[np.float64], Bool]


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """Frames, keypoints (4 px off, as estimated ones are) and outlines of rendered people."""
    rng = np.random.default_rng(0)
    made = []
    for seed, kind in enumerate(("walk", "wave_right", "squat", "clap")):
        shot = make_shot(SynthSpec(kinds=(kind,), seed=seed, seconds=0.4), 0, 12)
        frame = next(shot.frames())
        points = shot.keypoints()[0, 0]
        points[:, :2] += rng.normal(0, 4, (17, 2))
        made.append((frame, points, outline(shot, 0)))
    return made


def box_of(case: Case) -> NDArray[np.float32]:
    frame, points, _ = case
    box = body_box(points, frame.shape[1], frame.shape[0])
    assert box is not None
    return box


def test_outline_is_nearer_to_the_truth_than_the_drawn_limbs(cases: list[Case]) -> None:
    cut, drawn = [], []
    for case in cases:
        frame, points, truth = case
        mask = GrabCut().cut(frame, box_of(case), points)
        limbs = person_mask(points, frame.shape[1], frame.shape[0])
        assert mask is not None and limbs is not None
        cut.append(overlap(mask, truth))
        drawn.append(overlap(limbs, truth))
    assert np.mean(cut) > 0.7
    assert np.mean(cut) > np.mean(drawn) + 0.03
    assert np.min(cut) > 0.5


def test_the_same_frame_gives_the_same_mask_whatever_came_before(cases: list[Case]) -> None:
    frame, points, _ = cases[0]
    first = GrabCut().cut(frame, box_of(cases[0]), points)
    cv2.setRNGSeed(12345)
    GrabCut().cut(cases[1][0], box_of(cases[1]), cases[1][1])
    again = GrabCut().cut(frame, box_of(cases[0]), points)
    assert first is not None and again is not None
    assert np.array_equal(first, again)


def test_no_box_no_mask_and_never_the_whole_picture(cases: list[Case]) -> None:
    frame, points, _ = cases[0]
    box = box_of(cases[0])
    boxes = np.stack([box, np.zeros(4), box, [50, 50, 50, 300], box + 5000])
    keypoints = np.stack([points, points, points * [1, 1, 0], points, points])
    clip = clip_of(np.repeat(frame[None], 5, 0), boxes, keypoints)
    masks = GrabCut().segment(clip)
    assert [mask is not None for mask in masks] == [True, False, False, False, False]
    found = mask_of(masks[0], clip.width, clip.height)
    ys, xs = np.nonzero(found)
    near = 0.15 * (box[3] - box[1])  # limbs are thicker than the keypoints in them
    assert xs.min() >= box[0] - near and xs.max() <= box[2] + near
    assert ys.min() >= box[1] - near and ys.max() <= box[3] + near


def test_a_shrunken_picture_gives_a_mask_of_the_video_s_size(cases: list[Case]) -> None:
    frame, points, truth = cases[2]
    height, width = frame.shape[:2]
    small = cv2.resize(frame, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    clip = clip_of(small[None], box_of(cases[2])[None], points[None], size=(width, height))
    (mask,) = GrabCut().segment(clip)
    assert overlap(mask_of(mask, width, height), truth) > 0.6
