"""Motions of the whole body: jumping, squatting, kicking, punching, throwing, dancing."""

from __future__ import annotations

import numpy as np

from motionkit.synth.curves import bump, ease, keys, pulse
from motionkit.synth.puppet import Puppet
from motionkit.synth.wording import Kind

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


def _squat(p: Puppet) -> None:
    p.stand(float(p.rng.uniform(0.16, 0.21)))
    p.sway(0.5)
    cycles = max(1, round(p.end / 2.2))
    deep = (0.5 - 0.5 * np.cos(2 * np.pi * cycles * p.u / p.end)) * min(p.amp, 1.12)
    p.y -= 0.44 * deep
    p.z -= 0.12 * deep
    p.pitch += 26 * deep
    p.bend += 14 * deep
    p.nod -= 18 * deep
    for side, sign in p.sides:
        side.foot_yaw += sign * 16
        side.knee_out += 14 * deep
        side.flex += 82 * deep
        side.abduct -= 3 * deep
        side.elbow -= 6 * deep


def _lunge(p: Puppet) -> None:
    """Steps forward into a lunge and back, sides alternating."""
    p.sway(0.4)
    period = 2.3
    first = int(p.rng.integers(2))
    for k in range(max(1, round(p.end / period))):
        side, _sign = p.sides[(first + k) % 2]
        back, _other = p.sides[(first + k + 1) % 2]
        at = 0.08 + k * period
        step = keys(p.u, [(at, 0), (at + 0.55, 1), (at + 1.3, 1), (at + 1.9, 0)])
        deep = pulse(p.u, at + 0.25, 0.7, 0.1, 0.75)
        size = 0.72 * p.amp
        side.foot_z += size * step
        side.lift += 0.09 * (bump((p.u - at) / 0.55) + bump((p.u - at - 1.3) / 0.6))
        p.z += (0.5 * size + 0.02) * step
        p.y -= 0.33 * p.amp * deep
        p.bend += 4 * deep
        back.foot_pitch += 62 * np.maximum(deep, 0.65 * step)
        for arm, _ in p.sides:
            arm.reach[:] = (0.12, -0.78, 0.12)
            arm.elbow_out[:] = 90
            arm.reach_weight = ease(p.u / 0.5)


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


def _pick_up(p: Puppet) -> None:
    """Bends to the floor, takes something and comes up with it."""
    p.stand(0.14)
    p.sway(0.4)
    period = 3.6
    for k in range(max(1, round(p.end / period))):
        at = 0.2 + k * period
        deep = pulse(p.u, at, 1.0, 0.25, 1.05)
        have = pulse(p.u, at + 1.1, 0.9, 0.5, 0.6)
        p.y -= 0.42 * deep
        p.z -= 0.16 * deep
        p.pitch += 52 * deep
        p.bend += 34 * deep
        p.nod += 6 * deep
        for side, _ in p.sides:
            side.knee_out += 12 * deep
            side.flex += 66 * deep + 34 * have * (1 - deep)
            side.abduct -= 8 * np.maximum(deep, have)
            side.elbow += 8 * deep + 62 * have * (1 - deep)


def _sitting(p: Puppet, share: np.ndarray) -> None:
    """Pelvis on a seat of 0.45 m behind the feet where ``share`` is 1."""
    p.seated = True
    forward = np.sin(np.pi * share)
    p.y -= 0.40 * share
    p.z -= 0.40 * ease(share)
    p.pitch += 26 * forward
    p.bend += 22 * forward + 3 * share
    p.nod -= 10 * forward
    for side, _ in p.sides:
        side.flex += 28 * share + 30 * forward
        side.elbow += 34 * share
        side.abduct += 2 * share
        side.knee_out += 4 * share


def _sit_down(p: Puppet) -> None:
    p.sway(0.4)
    start = p.rng.uniform(0.1, 0.25) * p.end
    _sitting(p, ease((p.u - start) / 1.5))


def _stand_up(p: Puppet) -> None:
    p.sway(0.4)
    start = p.rng.uniform(0.1, 0.25) * p.end
    _sitting(p, 1 - ease((p.u - start) / 1.4))


def _balance(p: Puppet, name: str) -> None:
    """Stands on the ``name`` leg, the other foot lifted, arms out."""
    p.sway(0.6)
    stand, sign = p.side(name)
    free, _ = p.side("right" if name == "left" else "left")
    start = p.rng.uniform(0.1, 0.5)
    up = ease((p.u - start) / 0.9)
    if p.end > 3.6:
        up = up - ease((p.u - p.end + 1.0) / 0.8)
    p.x += sign * 0.085 * up
    stand.foot_x -= sign * 0.01
    free.lift += 0.34 * p.amp * up
    free.foot_z += 0.12 * up
    free.dangle, free.point = up, 18 * up
    wobble = np.sin(2 * np.pi * p.u / 1.3) + 0.5 * np.sin(2 * np.pi * p.u / 0.73)
    p.lean += 3.0 * wobble * up + sign * 3 * up
    for side, other in p.sides:
        side.abduct += up * (68 + 6 * other * wobble)
        side.elbow -= 4 * up


def _toe_touch(p: Puppet) -> None:
    p.stand(0.12)
    p.sway(0.4)
    cycles = max(1, round(p.end / 2.8))
    deep = 0.5 - 0.5 * np.cos(2 * np.pi * cycles * p.u / p.end)
    p.pitch += 66 * deep * min(p.amp, 1.1)
    p.bend += 56 * deep * min(p.amp, 1.1)
    p.z -= 0.17 * deep
    p.nod += 8 * deep
    for side, _ in p.sides:
        side.flex += 74 * deep
        side.abduct -= 6 * deep


def _sided(
    stem: str, script: object, wordings: tuple[str, ...], *, pattern: str = "{stem}_{side}"
) -> tuple[Kind, ...]:
    """The left and the right kind of a one-sided script; ``{side}`` in wordings is filled in."""
    kinds = []
    for name in ("left", "right"):
        other = "right" if name == "left" else "left"

        def play(p: Puppet, name: str = name) -> None:
            script(p, name)  # type: ignore[operator]

        texts = tuple(text.format(side=name, other=other) for text in wordings)
        kinds.append(Kind(pattern.format(stem=stem, side=name), play, texts))
    return tuple(kinds)


SPORTS: tuple[Kind, ...] = (
    Kind("jump", _jump, ("a person jumps up", "someone jumps once", "the person jumps in place")),
    Kind(
        "jump_twice",
        _jump_twice,
        ("a person jumps twice", "someone jumps up two times", "the person does two jumps"),
    ),
    Kind("squat", _squat, ("a person squats", "someone does squats", "the person squats down")),
    Kind(
        "lunge",
        _lunge,
        (
            "a person does lunges",
            "someone steps forward into a lunge and back",
            "the person lunges with the hands on the hips",
        ),
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
    *_sided(
        "kick",
        _kick,
        (
            "a person kicks with the {side} leg",
            "someone kicks forward with the {side} foot",
            "the person does a {side} leg kick",
        ),
    ),
    *_sided(
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
    *_sided(
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
    Kind(
        "pick_up",
        _pick_up,
        (
            "a person picks something up from the floor",
            "someone bends down and picks up an object",
            "the person reaches down to the floor and comes up again",
        ),
    ),
    Kind(
        "sit_down",
        _sit_down,
        ("a person sits down", "someone takes a seat", "the person sits down on a chair"),
    ),
    Kind(
        "stand_up",
        _stand_up,
        ("a person stands up", "someone gets up from a seat", "the person rises from a chair"),
    ),
    *_sided(
        "balance",
        _balance,
        (
            "a person balances on the {side} leg",
            "someone stands on the {side} leg with the arms out",
            "the person lifts the {other} foot and balances",
        ),
    ),
    Kind(
        "toe_touch",
        _toe_touch,
        (
            "a person bends down to touch the toes",
            "someone does toe touches",
            "the person bends forward and reaches for the feet",
        ),
    ),
)
