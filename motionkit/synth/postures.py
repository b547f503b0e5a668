"""Motions that change posture: squatting, lunging, sitting, bending, balancing."""

from __future__ import annotations

import numpy as np

from motionkit.synth.curves import bump, ease, keys, pulse
from motionkit.synth.puppet import Puppet
from motionkit.synth.wording import Kind, sided


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


POSTURES: tuple[Kind, ...] = (
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
    *sided(
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
