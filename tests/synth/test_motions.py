"""Procedural motions: what bodies do, and that the words fit."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from motionkit.bodies.rotations import to_axis_angle
from motionkit.bodies.skeleton import JOINT
from motionkit.errors import UsageError
from motionkit.synth.motions import KINDS, STYLE_NAMES, SynthMotion, motion
from motionkit.synth.puppet import foot_heights

FLYING = {"run", "jog_in_place", "jump", "jump_twice", "jumping_jacks"}
STYLE_OF = {kind: STYLE_NAMES[i % len(STYLE_NAMES)] for i, kind in enumerate(KINDS)}


@cache
def play(kind: str, seed: int = 3, style: str = "neutral") -> SynthMotion:
    return motion(kind, seed=seed, seconds=4.0, style=style)


def own_frame(moves: SynthMotion) -> np.ndarray:
    """Joints [F, 24, 3] relative to the pelvis, x to the body's left, z to its front."""
    joints, _ = moves.joints()
    return np.einsum("fji,fkj->fki", moves.rotations[:, 0], joints - joints[:, :1])


def travel(moves: SynthMotion, joint: str) -> float:
    """How far a joint goes in all, in the body's own frame, metres."""
    course = own_frame(moves)[:, JOINT[joint]]
    return float(np.linalg.norm(np.diff(course, axis=0), axis=-1).sum())


def test_there_are_at_least_24_kinds_with_several_wordings() -> None:
    assert len(KINDS) >= 24
    assert len(set(KINDS)) == len(KINDS)
    for kind in KINDS:
        assert len(set(play(kind).captions)) >= 3


@pytest.mark.parametrize("kind", KINDS)
def test_feet_stay_on_the_floor_and_joints_in_human_range(kind: str) -> None:
    moves = play(kind, style=STYLE_OF[kind])
    assert moves.rotations.shape == (120, 24, 3, 3)
    assert moves.translation.shape == (120, 3)
    eye = np.swapaxes(moves.rotations, -1, -2) @ moves.rotations
    assert np.abs(eye - np.eye(3)).max() < 1e-9

    heights = foot_heights(moves.rotations, moves.translation, moves.betas)
    assert heights.min() > -1e-6
    if kind not in FLYING:
        assert heights.min(-1).max() < 0.03
    else:
        assert heights.min(-1).max() > 0.02
        assert heights.min(-1).min() < 0.01

    angle = np.degrees(to_axis_angle(moves.rotations))
    knees = angle[:, [JOINT["left_knee"], JOINT["right_knee"]]]
    assert knees[..., 0].min() >= 0  # heels go back, never forwards
    assert np.abs(knees[..., 1:]).max() < 1e-6
    elbows = angle[:, [JOINT["left_elbow"], JOINT["right_elbow"]]]
    assert elbows[:, 0, 1].max() <= 0 and elbows[:, 1, 1].min() >= 0
    assert np.linalg.norm(elbows, axis=-1).max() < 150
    ankles = angle[:, [JOINT["left_ankle"], JOINT["right_ankle"]]]
    assert np.linalg.norm(ankles, axis=-1).max() < 55
    joints, _ = moves.joints()
    speed = np.linalg.norm(np.diff(joints, axis=0), axis=-1) * moves.fps
    assert speed.max() < 12  # m/s: nothing jumps from one frame to the next


@pytest.mark.parametrize("kind", ["walk", "walk_backwards", "side_step_left", "walk_curve_right"])
def test_standing_feet_do_not_slide(kind: str) -> None:
    moves = play(kind)
    joints, _ = moves.joints()
    heights = foot_heights(moves.rotations, moves.translation, moves.betas)
    for column, name in enumerate(("left_foot", "right_foot")):
        low = (heights[1:, column] < 1e-3) & (heights[:-1, column] < 1e-3)
        step = np.linalg.norm(np.diff(joints[:, JOINT[name]][:, [0, 2]], axis=0), axis=-1)
        assert low.sum() > 20
        assert np.median(step[low]) < 0.003
        assert np.mean(step[low] < 0.02) > 0.8


@pytest.mark.parametrize(
    ("stem", "joint"),
    [("wave", "wrist"), ("kick", "ankle"), ("punch", "wrist"), ("throw", "wrist")],
)
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_side_in_the_caption_is_the_side_that_moves(stem: str, joint: str, side: str) -> None:
    other = "right" if side == "left" else "left"
    moves = play(f"{stem}_{side}")
    assert travel(moves, f"{side}_{joint}") > 1.2 * travel(moves, f"{other}_{joint}")
    for caption in moves.captions:
        assert side in caption.split() and other not in caption.split()


@pytest.mark.parametrize("side", ["left", "right"])
def test_raised_arm_and_standing_leg_are_on_the_named_side(side: str) -> None:
    other = "right" if side == "left" else "left"
    raised = own_frame(play(f"raise_{side}_arm"))[60]
    assert raised[JOINT[f"{side}_wrist"], 1] > raised[JOINT["head"], 1]
    assert raised[JOINT[f"{other}_wrist"], 1] < raised[JOINT["spine2"], 1]
    joints, _ = play(f"balance_{side}").joints()
    assert joints[60, JOINT[f"{other}_ankle"], 1] > joints[60, JOINT[f"{side}_ankle"], 1] + 0.2


@pytest.mark.parametrize(("side", "sign"), [("left", 1.0), ("right", -1.0)])
def test_side_steps_and_turns_go_to_the_persons_own_side(side: str, sign: float) -> None:
    moved = play(f"side_step_{side}").translation
    assert sign * (moved[-1, 0] - moved[0, 0]) > 0.5
    turned = play(f"turn_{side}").rotations[:, 0]
    yaw = np.unwrap(np.arctan2(turned[:, 0, 2], turned[:, 2, 2]))
    assert sign * np.degrees(yaw[-1] - yaw[0]) > 80  # from +z towards +x, the body's left


def test_directions_of_gaits() -> None:
    assert play("walk").translation[-1, 2] > 2.5
    assert play("walk_backwards").translation[-1, 2] < -1.5
    assert np.abs(play("march").translation[:, [0, 2]]).max() < 0.2


def test_jump_twice_jumps_exactly_twice() -> None:
    for kind, count in (("jump", 1), ("jump_twice", 2)):
        moves = play(kind)
        up = foot_heights(moves.rotations, moves.translation, moves.betas).min(-1) > 0.05
        assert int((np.diff(up.astype(int)) == 1).sum()) == count


def test_arms_hang_at_rest() -> None:
    joints, _ = play("look_around").joints()
    for side in ("left", "right"):
        wrist, shoulder = joints[0, JOINT[f"{side}_wrist"]], joints[0, JOINT[f"{side}_shoulder"]]
        assert shoulder[1] - wrist[1] > 0.4
        assert abs(wrist[0] - shoulder[0]) < 0.25


def test_same_seed_same_motion_and_other_seed_another() -> None:
    first = motion("throw_left", seed=9, seconds=2)
    again = motion("throw_left", seed=9, seconds=2)
    other = motion("throw_left", seed=10, seconds=2)
    assert first.rotations.tobytes() == again.rotations.tobytes()
    assert first.captions == again.captions
    assert np.abs(first.rotations - other.rotations).max() > 0.01


def test_tempo_style_and_shape_change_what_they_say() -> None:
    fast, slow = (motion("walk", seed=1, tempo=t).translation[-1, 2] for t in (1.3, 0.7))
    assert fast > 1.5 * slow
    lively, weary = (
        motion("raise_left_arm", seed=1, style=style).joints()[0][60, JOINT["left_wrist"], 1]
        for style in ("energetic", "tired")
    )
    assert lively > weary + 0.05
    tall = motion("walk", seed=1, betas=np.array([2.0] + [0.0] * 9))
    heights = foot_heights(tall.rotations, tall.translation, tall.betas)
    assert tall.translation[0, 1] > play("walk").translation[0, 1] + 0.05
    assert -1e-6 < heights.min() < 0.01


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        motion("fly", seed=0)
    assert "walk" in (caught.value.hint or "")
    with pytest.raises(UsageError):
        motion("walk", seed=0, style="angry")
    with pytest.raises(UsageError):
        motion("walk", seed=0, seconds=0.01)
