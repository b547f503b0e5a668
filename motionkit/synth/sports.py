"""Quick motions of the whole body: jumping, kicking, punching, throwing, dancing."""

from __future__ import annotations

import numpy as np

from motionkit.synth.curves import ease, keys, pulse
from motionkit.synth.puppet import Puppet
from motionkit.synth.wording import Kind, sided

_GRAVITY = 9.81


def _one_jump(p: Puppet, start: float, height: float, arms: float = 1.0) -> None:
    """Crouch, push off, fly under gravity, land and straighten; times in script seconds."""
    rate = p.u[1] * p.fps if p.frames > 1 else 1.0  # script seconds per second
    air = 2 * np.sqrt(2 * height / _GRAVITY) * rate
    crouch, leave = start + 0.42, start + 0.62
    land = leave + air
    flight = np.clip((p.u - leave) / air, 0, 1)
    high = 4 * height * flight * (1 - flight)
    dip = keys(
        p.u,
        [(start, 0), (crouch, 1), (leave, 0), (land, 0), (land + 0.17, 0.75), (land + 0.6, 0)],
    )
    p.y += high - 0.27 * p.amp * dip
    p.z -= 0.06 * dip
    p.bend += 24 * dip
    p.pitch += 16 * dip
    p.airborne = np.maximum(p.airborne, ((p.u > leave) & (p.u < land)).astype(float))
    swing = keys(
        p.u, [(start, 0), (crouch, -42), (leave + 0.5 * air, 120), (land, 50), (land + 0.5, 0)]
    )
    for side, _ in p.sides:
        side.lift += high
        off = keys(
            p.u, [(crouch, 0), (leave, 1), (land - 0.05, 0.6), (land + 0.07, 0), (land + 0.08, 0)]
        )
        side.foot_pitch += 26 * off
        side.flex += arms * swing
        side.elbow += arms * 20 * np.abs(swing) / 90


def _jump_times(p: Puppet, count: int) -> list[float]:
    spacing = 1.75
    start = max(0.1, (p.end - count * spacing) * p.rng.uniform(0.3, 0.7))
    return [start + k * spacing for k in range(count)]


def _jump(p: Puppet) -> None:
    p.sway(0.5)
    height = p.rng.uniform(0.2, 0.32) * p.amp
    for start in _jump_times(p, 1):
        _one_jump(p, start, height)


def _jump_twice(p: Puppet) -> None:
    p.sway(0.5)
    height = p.rng.uniform(0.18, 0.28) * p.amp
    for start in _jump_times(p, 2):
        _one_jump(p, start, height)


def _jumping_jacks(p: Puppet) -> None:
    p.sway(0.3)
    period = 1.0
    phase = (p.u + p.rng.uniform()) / period
    out = 0.5 - 0.5 * np.cos(2 * np.pi * phase)
    hop = np.abs(np.sin(2 * np.pi * phase))
    high = 0.085 * p.amp * hop**1.3
    p.y += high - 0.035
    p.airborne = (high > 0.012).astype(float)
    for side, sign in p.sides:
        side.lift += high
        side.foot_x += sign * 0.27 * p.amp * out
        side.foot_pitch += 16 * hop
        side.abduct += out * 152
        side.twist += out * 60
        side.elbow += 12 * out
        side.shrug += 15 * out


def _kick(p: Puppet, name: str) -> None:
    p.sway(0.5)
    leg, sign = p.side(name)
    stand, _ = p.side("right" if name == "left" else "left")
    period = 2.1
    for k in range(max(1, round(p.end / period))):
        at = 0.15 + k * period
        back = pulse(p.u, at, 0.35, 0.02, 0.2)
        out = pulse(p.u, at + 0.38, 0.3, 0.06, 0.42)
        off = pulse(p.u, at, 0.3, 0.55, 0.4)
        high = p.rng.uniform(0.45, 0.75) * p.amp
        leg.foot_z += 0.72 * out - 0.34 * back
        leg.foot_x -= sign * 0.05 * off
        leg.lift += high * out + 0.22 * back + 0.04 * off
        leg.dangle = np.maximum(leg.dangle, np.minimum(off * 1.3, 1))
        leg.point = np.maximum(leg.point, 22 * off)
        p.x -= sign * 0.075 * off
        p.pitch -= 11 * out
        p.bend += 12 * out
        p.roll -= sign * 3 * off
        p.yaw -= sign * 8 * out
        arm, _ = p.side("right" if name == "left" else "left")
        arm.flex += 48 * out
        same, _ = p.side(name)
        same.flex -= 24 * out
        for side, _ in p.sides:
            side.abduct += 26 * off
            side.elbow += 24 * off
    stand.knee_out += 2


def _guard(p: Puppet, up: np.ndarray) -> None:
    """Fists before the chin, elbows down, knees soft, the left foot ahead."""
    p.left.foot_z += 0.13
    p.right.foot_z -= 0.13
    p.left.foot_x += 0.02
    p.right.foot_x -= 0.03
    p.right.foot_yaw -= 28
    p.y -= 0.05
    p.yaw -= 10
    p.spine_twist -= 6
    p.look += 14
    for side, _ in p.sides:
        side.reach[:] = (-0.16, -0.02, 0.52)
        side.reach_weight = up
        side.elbow_out[:] = 18


def _jab(p: Puppet, name: str, at: float) -> None:
    side, sign = p.side(name)
    out = pulse(p.u, at, 0.2, 0.06, 0.3)
    goal = np.array([-0.12, 0.05, 0.97])
    side.reach += (goal - side.reach) * out[:, None] * min(1.0, p.amp)
    side.shrug += 6 * out
    p.spine_twist -= sign * 22 * out * p.amp
    p.yaw -= sign * 8 * out
    p.z += 0.06 * out


def _punch(p: Puppet, name: str) -> None:
    p.sway(0.4)
    _guard(p, ease((p.u + 0.35) / 0.5))
    period = 1.15
    for k in range(max(1, int((p.end - 0.5) / period))):
        _jab(p, name, 0.35 + k * period)


def _boxing(p: Puppet) -> None:
    p.sway(0.4)
    _guard(p, ease((p.u + 0.4) / 0.5))
    period = 0.62
    for k in range(max(2, int((p.end - 0.4) / period))):
        _jab(p, ("left", "right")[k % 2], 0.25 + k * period)
    p.y -= 0.02 * (0.5 + 0.5 * np.cos(2 * np.pi * p.u / 0.62))
    p.x += 0.03 * np.sin(2 * np.pi * p.u / 1.24)


def _throw(p: Puppet, name: str) -> None:
    p.sway(0.4)
    arm, sign = p.side(name)
    other, _ = p.side("right" if name == "left" else "left")
    front = other
    front.foot_z += 0.14
    arm.foot_z -= 0.14
    period = 2.5
    for k in range(max(1, round(p.end / period))):
        at = 0.2 + k * period
        load = pulse(p.u, at, 0.7, 0.1, 0.22)
        swing = pulse(p.u, at + 0.78, 0.26, 0.12, 0.75)
        arm.abduct += 72 * load + 4 * swing
        arm.flex += 6 * load + 82 * swing
        arm.twist += 78 * load
        arm.elbow += 78 * load
        other.flex += 52 * load
        other.abduct += 16 * load
        p.spine_twist += sign * (-30 * load + 28 * swing)
        p.yaw += sign * (-20 * load + 12 * swing)
        p.z += -0.06 * load + 0.1 * swing
        p.bend += 16 * swing - 4 * load
        arm.foot_pitch += 34 * swing


def _dance(p: Puppet) -> None:
    """A two-step with swinging hips and arms."""
    p.stand(0.13)
    p.sway(0.5)
    beat = 1.0
    phase = 2 * np.pi * p.u / (2 * beat)
    sway = np.sin(phase)
    p.x += 0.13 * p.amp * sway
    p.y -= 0.045 + 0.03 * np.cos(2 * phase)
    p.roll += 7 * sway
    p.lean -= 10 * sway * p.amp
    p.spine_twist += 16 * np.sin(phase + 0.7)
    p.tilt += 6 * sway
    pattern = int(p.rng.integers(2))
    for side, sign in p.sides:
        free = np.clip(-sign * sway, 0, 1) ** 1.5
        side.lift += 0.09 * free
        side.foot_x -= sign * 0.07 * free
        side.foot_pitch += 14 * free
        if pattern:
            side.abduct += 62 + 42 * p.amp * np.sin(phase + (0 if sign > 0 else np.pi))
            side.elbow += 48 + 20 * np.cos(2 * phase)
            side.twist += 46
        else:
            side.flex += 38 + 34 * p.amp * np.sin(2 * phase + (0 if sign > 0 else np.pi))
            side.abduct += 16
            side.elbow += 76


SPORTS: tuple[Kind, ...] = (
    Kind("jump", _jump, ("a person jumps up", "someone jumps once", "the person jumps in place")),
    Kind(
        "jump_twice",
        _jump_twice,
        ("a person jumps twice", "someone jumps up two times", "the person does two jumps"),
    ),
    Kind(
        "jumping_jacks",
        _jumping_jacks,
        (
            "a person does jumping jacks",
            "someone jumps opening and closing arms and legs",
            "the person is doing jumping jacks",
        ),
    ),
    *sided(
        "kick",
        _kick,
        (
            "a person kicks with the {side} leg",
            "someone kicks forward with the {side} foot",
            "the person does a {side} leg kick",
        ),
    ),
    *sided(
        "punch",
        _punch,
        (
            "a person punches with the {side} hand",
            "someone throws punches with the {side} fist",
            "the person punches forward with the {side} arm",
        ),
    ),
    Kind(
        "boxing",
        _boxing,
        (
            "a person is boxing",
            "someone throws punches with both fists in turn",
            "the person shadow boxes",
        ),
    ),
    *sided(
        "throw",
        _throw,
        (
            "a person throws something with the {side} hand",
            "someone throws a ball with the {side} arm",
            "the person makes an overhand throw with the {side} hand",
        ),
    ),
    Kind(
        "dance",
        _dance,
        ("a person dances", "someone dances on the spot", "the person sways and dances"),
    ),
)
