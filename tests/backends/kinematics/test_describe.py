"""Captions of motions whose truth is known, seen from several sides."""

from __future__ import annotations

import re

import numpy as np
import pytest

from motionkit.backends.kinematics import describe
from motionkit.backends.kinematics.describe import EXPLAINS
from motionkit.bodies.skeleton import coco_points
from motionkit.keypoints import mirror_m2d
from motionkit.synth.motions import KINDS, motion

WIDTH, HEIGHT = 640, 360


def seen(kind: str, azimuth: float = 0.0, seed: int = 0, fps: float = 30.0) -> np.ndarray:
    """M_2D of a motion; the camera stands ``azimuth`` degrees round from the person's front."""
    made = motion(kind, seed=seed, fps=fps)
    positions, world = made.joints()
    points = coco_points(positions, world, made.betas)
    centre = np.array([points[..., 0].mean(), 0.95, points[..., 2].mean()])
    angle = np.radians(azimuth)
    ahead = -np.array([np.sin(angle), 0, np.cos(angle)])
    right = np.cross(ahead, [0, 1, 0])
    relative = points - centre
    distance = max(4.5, 1.6 * np.abs(relative[..., [0, 2]]).max() + 2.2)
    depth = relative @ ahead + distance
    m2d = np.ones((len(points), 18, 3), np.float32)
    m2d[:, :17, 0] = WIDTH / 2 + 0.85 * WIDTH * (relative @ right) / depth
    m2d[:, :17, 1] = HEIGHT / 2 - 0.85 * WIDTH * relative[..., 1] / depth
    m2d[:, 17] = WIDTH, HEIGHT, 1
    return m2d


def text(kind: str, azimuth: float = 0.0, **options: float) -> str:
    return describe(seen(kind, azimuth, **options)).text or ""  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "azimuth", "caption"),
    [
        ("walk", 0, "a person walks towards the camera"),
        ("walk", 90, "a person walks to the left of the picture"),
        ("walk", 180, "a person walks away from the camera"),
        ("walk", 270, "a person walks to the right of the picture"),
        ("walk", 45, "a person walks towards the camera and to the left of the picture"),
        ("walk_backwards", 0, "a person walks backwards away from the camera"),
        ("walk_backwards", 90, "a person walks backwards to the right of the picture"),
        ("walk_curve_left", 0, "a person walks in a curve to their left"),
        ("walk_curve_right", 90, "a person walks in a curve to their right"),
        ("jog_in_place", 45, "a person jogs in place"),
        ("march", 0, "a person marches in place"),
        ("side_step_left", 0, "a person side-steps to their left, to the right of the picture"),
        ("side_step_left", 180, "a person side-steps to their left, to the left of the picture"),
        ("side_step_right", 90, "a person side-steps to their right, away from the camera"),
        ("wave_left", 0, "a person waves the left hand"),
        ("wave_right", 180, "a person waves the right hand"),
        ("wave_both", 0, "a person waves both hands"),
        ("clap", 0, "a person claps"),
        ("raise_left_arm", 90, "a person raises the left arm above the head"),
        ("raise_right_arm", 45, "a person raises the right arm above the head"),
        ("raise_both_arms", 0, "a person raises both arms above the head twice"),
        ("bow", 0, "a person bows"),
        ("toe_touch", 90, "a person bends down and reaches for the feet"),
        ("jump", 0, "a person jumps"),
        ("jump_twice", 90, "a person jumps twice"),
        ("squat", 0, "a person squats twice"),
        ("lunge", 45, "a person lunges twice"),
        ("jumping_jacks", 0, "a person does jumping jacks"),
        ("kick_left", 90, "a person kicks with the left leg twice"),
        ("kick_right", 0, "a person kicks with the right leg twice"),
        ("punch_right", 90, "a person punches with the right fist three times"),
        ("pick_up", 45, "a person reaches down to the floor twice"),
        ("sit_down", 90, "a person sits down"),
        ("stand_up", 0, "a person stands up"),
        ("balance_left", 0, "a person stands on the left leg"),
        ("twist", 90, "a person twists the upper body from side to side"),
        ("hands_on_hips", 0, "a person holds the hands on the hips"),
        ("look_around", 0, "a person looks around"),
    ],
)
def test_caption(kind: str, azimuth: float, caption: str) -> None:
    found = text(kind, azimuth)
    if kind == "hands_on_hips":  # it looks around as well
        assert found.startswith(caption)
    else:
        assert found == caption


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("azimuth", [0, 90, 180, 270])
@pytest.mark.parametrize("kind", ["turn", "wave", "raise_{}_arm", "kick", "punch", "throw"])
def test_the_other_side_is_never_named(kind: str, azimuth: float, side: str) -> None:
    name = kind.format(side) if "{}" in kind else f"{kind}_{side}"
    other = {"left": "right", "right": "left"}[side]
    found = re.sub(f"the {other} of the picture", "", text(name, azimuth))
    assert found
    assert not re.search(rf"\b{other}\b", found)


@pytest.mark.parametrize("kind", KINDS)
def test_the_mirrored_video_gives_the_mirrored_caption(kind: str) -> None:
    m2d = seen(kind, 30.0)
    words = {"left": "right", "right": "left"}
    swapped = re.sub(r"left|right", lambda m: words[m[0]], describe(m2d).text or "")
    assert (describe(mirror_m2d(m2d)).text or "") == swapped


@pytest.mark.parametrize("kind", ["walk", "wave_left", "jump_twice", "kick_right", "turn_left"])
def test_rate_place_and_size_do_not_matter(kind: str) -> None:
    expected = text(kind, 30.0)
    assert describe(seen(kind, 30.0, fps=60.0), fps=60.0).text == expected
    m2d = seen(kind, 30.0)
    m2d[..., :2] *= 2.5
    assert describe(m2d).text == expected


def test_a_limb_that_was_hardly_seen_gets_no_side() -> None:
    m2d = seen("kick_left", 0)
    m2d[:, [13, 15], 2] = 0.4  # left knee and ankle, below what naming a side needs
    assert describe(m2d).text == "a person kicks twice"
    m2d = seen("raise_left_arm", 0)
    m2d[:, [7, 9], 2] = 0.4
    assert describe(m2d).text == "a person raises one arm above the head"


def test_actions_come_in_the_order_they_happen() -> None:
    first, second = seen("squat", 0), seen("wave_right", 0)
    assert describe(np.concatenate([first, second])).text == (
        "a person squats twice, then waves the right hand"
    )
    assert describe(np.concatenate([second, first])).text == (
        "a person waves the right hand, then squats twice"
    )


def test_detail_names_rules_times_and_numbers() -> None:
    events = describe(seen("jump_twice", 0)).detail["events"]
    assert [e["rule"] for e in events] == ["jump", "jump"]
    assert all(0 <= e["t0_s"] < e["t1_s"] <= 4 for e in events)
    assert events[0]["t1_s"] <= events[1]["t1_s"]
    assert all(e["feet_bh"] > 0.05 for e in events)


def test_noise_on_a_still_person_is_no_motion() -> None:
    m2d = np.repeat(seen("hands_on_hips", 90)[:1], 90, axis=0)
    assert describe(m2d).text == "a person stands almost still"
    m2d[:, :17, :2] += np.random.default_rng(0).normal(0, 1.0, (90, 17, 2))
    assert describe(m2d).text in ("a person stands almost still", "a person stands in place")


def test_keypoints_that_were_not_seen_give_no_caption() -> None:
    m2d = seen("walk", 0)
    m2d[:, 11:17, 2] = 0.0
    assert describe(m2d).text is None
    assert describe(seen("walk", 0)[:10]).text is None
    m2d[:, :17, 2] = 0.0
    assert describe(m2d).text is None


def test_short_gaps_change_nothing_and_long_ones_do_not_break() -> None:
    m2d = seen("wave_left", 0)
    expected = describe(m2d).text
    gaps = m2d.copy()
    gaps[20:26, :17] = 0.0
    gaps[70:73, 9] = 0.0
    assert describe(gaps).text == expected
    gaps[:60, 10] = 0.0
    gaps[30:50, 15] = 0.0
    assert describe(gaps).text


def test_no_two_rules_explain_each_other_away() -> None:
    both = [(a, b) for a, others in EXPLAINS.items() for b in others if a in EXPLAINS.get(b, ())]
    assert both == []


def test_same_input_same_output() -> None:
    m2d = seen("boxing", 20)
    assert describe(m2d) == describe(m2d.copy())
