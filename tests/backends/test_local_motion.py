"""The motion of neighbours, patches, and the memory of what points look like."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from motionkit.backends.local_motion import (
    common_shift,
    likeness,
    motion_of_neighbours,
    patches,
)
from motionkit.backends.point_memory import PointMemory


def texture(seed: int = 0, size: tuple[int, int] = (120, 160)) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, size)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return np.clip(127 + 45 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def grid() -> np.ndarray:
    return np.stack(np.meshgrid(np.linspace(40, 120, 6), np.linspace(30, 90, 6)), -1).reshape(-1, 2)


def turned(points: np.ndarray, angle: float, growth: float) -> np.ndarray:
    c, s = growth * np.cos(angle), growth * np.sin(angle)
    return (points - [80, 60]) @ np.array([[c, -s], [s, c]]).T + [85, 57]


@pytest.mark.parametrize("growth", [0.9, 1.0, 1.15])
def test_neighbours_tell_a_turn_although_some_are_wrong(growth: float) -> None:
    old = grid()
    new = turned(old, 0.2, growth)
    wrong = np.array([3, 10, 14, 22, 25, 35])
    said = new.copy()
    said[wrong] += [9.0, -7.0]
    place, linear, agree = motion_of_neighbours(old, said, old, 10, 2.0)
    assert np.linalg.norm(place - new, axis=1).mean() < 0.4
    c, s = growth * np.cos(0.2), growth * np.sin(0.2)
    assert np.abs(linear - [[c, -s], [s, c]]).mean() < 0.04
    assert np.median(agree) >= 0.7


def test_a_point_is_not_its_own_neighbour_and_few_neighbours_give_their_median() -> None:
    old = np.array([[10.0, 10], [20, 10], [10, 20], [20, 20]])
    new = old + np.array([1.0, 2.0])
    new[0] += [50.0, 0.0]
    place, linear, _ = motion_of_neighbours(old[:3], new[:3], old, 10, 2.0)
    np.testing.assert_allclose(place[3], [21, 22], atol=1e-9)
    assert (linear == np.eye(2)).all()
    alone, _, agree = motion_of_neighbours(old[:0], new[:0], old, 10, 2.0)
    assert (alone == old).all() and (agree == 0).all()


def test_patches_turn_with_their_surroundings() -> None:
    picture = texture()
    angle = 0.5
    m = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = np.array([80, 60]) - m @ [80, 60]
    moved = cv2.warpAffine(picture, np.column_stack([m, shift]), (160, 120))
    at = np.array([[80.0, 60.0], [70.0, 66.0]])
    there = at @ m.T + shift
    before = patches(picture, at, 6)
    upright, _ = likeness(before, patches(moved, there, 6))
    followed, plain = likeness(before, patches(moved, there, 6, np.tile(m, (2, 1, 1))))
    assert (followed > 0.97).all() and (followed > upright).all() and not plain.any()


def test_the_common_shift_is_found_to_two_pixels() -> None:
    picture = texture()
    moved = np.roll(picture, (-8, 14), (0, 1))
    shift = common_shift(patches(picture, grid(), 7), moved, grid(), 20)
    assert shift is not None and np.abs(shift - [14, -8]).max() <= 2
    flat = np.full_like(picture, 90)
    assert common_shift(patches(flat, grid(), 7), flat, grid(), 20) is None


def test_memory_sets_places_right_and_knows_strangers() -> None:
    picture = texture()
    memory = PointMemory(36, 7)
    every = np.arange(36)
    memory.learn(picture, every, grid())
    off = np.random.default_rng(1).uniform(-1.5, 1.5, (36, 2))
    still = np.tile(np.eye(2), (36, 1, 1))
    place, score, seen = memory.align(picture, every, grid() + off, still, 3.0)
    assert np.linalg.norm(place - grid(), axis=1).mean() < 0.1
    assert score.mean() > 0.98 and seen.shape == (36, 225)
    _, strange, _ = memory.align(texture(5), every, grid(), still, 3.0)
    assert np.median(strange) < 0.6
    assert np.linalg.norm(place - grid() - off, axis=1).max() <= 3.0 + 1e-6


def test_plain_patches_are_never_recognised() -> None:
    flat = np.full((120, 160), 90, np.uint8)
    memory = PointMemory(36, 7)
    memory.learn(flat, np.arange(36), grid())
    assert memory.plain.all()
    still = np.tile(np.eye(2), (36, 1, 1))
    _, score, _ = memory.align(flat, np.arange(36), grid(), still, 3.0)
    assert (score == 0).all()
    memory.blend(np.arange(0), np.zeros((0, 225), np.float32), 0.1)  # nobody: nothing happens
