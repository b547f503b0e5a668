"""Motions of a standing person: waving, clapping, bowing, raising arms, stretching."""

from __future__ import annotations

import numpy as np

from motionkit.synth.curves import ease, keys, pulse
from motionkit.synth.puppet import Puppet, Side
from motionkit.synth.wording import Kind


def _relax(p: Puppet) -> None:
    p.stand(float(p.rng.uniform(0.085, 0.13)))
    for side, sign in p.sides:
        side.foot_yaw += sign * p.rng.uniform(2, 10)
        side.foot_z += p.rng.uniform(-0.03, 0.03)
    p.sway()


def _up(p: Puppet) -> np.ndarray:
    """0 → 1 early, and back to 0 near the end of long clips only."""
    start = p.rng.uniform(0.05, 0.35)
    up = ease((p.u - start) / 0.6)
    if p.end > 3.0:
        up = up - ease((p.u - p.end + p.rng.uniform(0.75, 1.1)) / 0.7)
    return up


def _wave_arm(p: Puppet, side: Side, up: np.ndarray, phase: float) -> None:
    rate = 1.7
    wave = np.sin(2 * np.pi * (rate * p.u + phase))
    high = p.rng.uniform(0, 12)
    side.flex += up * 12
    side.abduct += up * (74 + high)
    side.twist -= 0
    side.twist += up * (80 - 4 * high / 12)
    side.elbow += up * (62 + 26 * p.amp * wave)
    side.wrist += up * 14 * wave
    side.shrug += up * 8


def _wave(p: Puppet, name: str) -> None:
    _relax(p)
    side, sign = p.side(name)
    _wave_arm(p, side, _up(p), p.rng.uniform())
    p.lean -= sign * 2.0
    p.look += sign * 6


def _wave_both(p: Puppet) -> None:
    _relax(p)
    up, phase = _up(p), p.rng.uniform()
    for side, _ in p.sides:
        _wave_arm(p, side, up, phase)


def _clap(p: Puppet) -> None:
    _relax(p)
    up = _up(p)
    beat = 0.5 + 0.5 * np.cos(2 * np.pi * 1.6 * p.u)
    for side, _ in p.sides:
        # Wrist before the breastbone; hands are about 0.1 m long, so wrists stay apart.
        apart = -0.20 + 0.34 * p.amp * beat
        side.reach[:, 0] = apart
        side.reach[:, 1] = -0.38
        side.reach[:, 2] = 0.62
        side.reach_weight = up
        side.elbow_out += 15
        side.wrist -= up * 10
    p.nod += up * 4


def _raise_arm(p: Puppet, name: str) -> None:
    _relax(p)
    side, _ = p.side(name)
    up = _up(p)
    side.flex += up * 158 * min(1.0, 0.3 + 0.7 * p.amp)
    side.abduct += up * 2
    side.elbow -= up * 8
    side.shrug += up * 15


def _raise_both(p: Puppet) -> None:
    _relax(p)
    period = 2.4
    cycles = max(1, round(p.end / period))
    raised = 0.5 - 0.5 * np.cos(2 * np.pi * cycles * p.u / p.end)
    forwards = p.rng.uniform() < 0.5
    for side, _ in p.sides:
        if forwards:
            side.flex += raised * 160 * min(1.0, 0.3 + 0.7 * p.amp)
        else:
            side.abduct += raised * 150 * min(1.0, 0.3 + 0.7 * p.amp)
            side.twist += raised * 40
        side.shrug += 16 * raised
    p.nod -= 8 * raised


def _arm_circles(p: Puppet) -> None:
    _relax(p)
    up = _up(p)
    angle = 2 * np.pi * 0.9 * p.u
    for side, _ in p.sides:
        side.abduct += up * (78 + 24 * p.amp * np.sin(angle))
        side.flex += up * 24 * p.amp * np.cos(angle)
        side.elbow -= up * 8


def _point(p: Puppet, name: str) -> None:
    _relax(p)
    side, sign = p.side(name)
    up = _up(p)
    side.flex += up * 84
    side.abduct += up * p.rng.uniform(-8, 20)
    side.elbow -= up * 9
    side.shrug += up * 5
    p.look += up * sign * 6


def _bow(p: Puppet) -> None:
    _relax(p)
    period = 3.2
    deep = np.zeros_like(p.u)
    for k in range(max(1, round(p.end / period))):
        deep += pulse(p.u, 0.25 + k * period, 0.9, 0.35, 0.95)
    p.bend += 38 * p.amp * deep
    p.pitch += 32 * p.amp * deep
    p.z -= 0.10 * p.amp * deep
    p.nod += 18 * deep
    for side, _ in p.sides:
        # Arms hang down or stay at the thighs while the trunk goes down.
        side.flex += 30 * deep


def _stretch(p: Puppet) -> None:
    _relax(p)
    up = ease((p.u - 0.1) / 0.9)
    side_bend = np.sin(2 * np.pi * p.u / 3.4 + p.rng.choice([0.0, np.pi])) * ease((p.u - 0.8) / 0.8)
    p.lean += 24 * p.amp * side_bend
    p.x += 0.05 * side_bend
    for side, _ in p.sides:
        side.abduct += up * 148
        side.twist += up * 50
        side.elbow += up * 16
        side.shrug += up * 20


def _twist(p: Puppet) -> None:
    _relax(p)
    turn = np.sin(2 * np.pi * p.u / 2.0 + p.rng.choice([0.0, np.pi]))
    p.spine_twist += 36 * p.amp * turn
    p.yaw += 10 * turn
    p.look += 8 * turn
    up = ease((p.u - 0.0) / 0.5)
    for side, _ in p.sides:
        side.abduct += up * 58
        side.elbow += up * 60


def _hands_on_hips(p: Puppet) -> None:
    _relax(p)
    start = p.rng.uniform(0.1, 0.4)
    up = ease((p.u - start) / 0.7)
    for side, _ in p.sides:
        side.reach[:] = (0.05, -0.80, 0.08)
        side.elbow_out[:] = 95
        side.reach_weight = up
    p.look += 22 * np.sin(2 * np.pi * p.u / 3.2) * up


def _look_around(p: Puppet) -> None:
    _relax(p)
    turn = keys(p.u % 4.0, [(0.2, 0), (0.9, 1), (1.5, 1), (2.5, -1), (3.1, -1), (3.9, 0)])
    turn = turn * p.rng.choice([-1, 1])
    p.look += 55 * turn
    p.spine_twist += 18 * turn * p.amp


GESTURES: tuple[Kind, ...] = (
    Kind(
        "wave_left",
        lambda p: _wave(p, "left"),
        (
            "a person waves with the left hand",
            "someone raises the left arm and waves",
            "the person waves the left hand",
        ),
    ),
    Kind(
        "wave_right",
        lambda p: _wave(p, "right"),
        (
            "a person waves with the right hand",
            "someone raises the right arm and waves",
            "the person waves the right hand",
        ),
    ),
    Kind(
        "wave_both",
        _wave_both,
        (
            "a person waves with both hands",
            "someone raises both arms and waves",
            "the person waves both hands",
        ),
    ),
    Kind(
        "clap",
        _clap,
        ("a person claps", "someone claps their hands", "the person is clapping with both hands"),
    ),
    Kind(
        "raise_left_arm",
        lambda p: _raise_arm(p, "left"),
        (
            "a person raises the left arm",
            "someone lifts the left arm over the head",
            "the person puts the left hand up",
        ),
    ),
    Kind(
        "raise_right_arm",
        lambda p: _raise_arm(p, "right"),
        (
            "a person raises the right arm",
            "someone lifts the right arm over the head",
            "the person puts the right hand up",
        ),
    ),
    Kind(
        "raise_both_arms",
        _raise_both,
        (
            "a person raises both arms",
            "someone lifts both arms over the head",
            "the person puts both hands up and lowers them",
        ),
    ),
    Kind(
        "arm_circles",
        _arm_circles,
        (
            "a person makes circles with both arms",
            "someone stretches the arms out and circles them",
            "the person does arm circles",
        ),
    ),
    Kind(
        "point_left_hand",
        lambda p: _point(p, "left"),
        (
            "a person points forward with the left hand",
            "someone stretches the left arm out in front",
            "the person points ahead with the left arm",
        ),
    ),
    Kind(
        "point_right_hand",
        lambda p: _point(p, "right"),
        (
            "a person points forward with the right hand",
            "someone stretches the right arm out in front",
            "the person points ahead with the right arm",
        ),
    ),
    Kind(
        "bow",
        _bow,
        ("a person bows", "someone bends forward in a bow", "the person takes a bow"),
    ),
    Kind(
        "stretch",
        _stretch,
        (
            "a person stretches with both arms up, bending from side to side",
            "someone stretches the upper body sideways",
            "the person does side stretches with raised arms",
        ),
    ),
    Kind(
        "twist",
        _twist,
        (
            "a person twists the upper body from side to side",
            "someone rotates the torso left and right",
            "the person does standing twists",
        ),
    ),
    Kind(
        "hands_on_hips",
        _hands_on_hips,
        (
            "a person puts both hands on the hips",
            "someone stands with the hands on the hips",
            "the person rests the hands on the hips and looks around",
        ),
    ),
    Kind(
        "look_around",
        _look_around,
        (
            "a person stands and looks around",
            "someone turns the head from side to side",
            "the person looks left and right",
        ),
    ),
)
