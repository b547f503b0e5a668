"""Motions that step: walking, running, marching, side steps, turning on the spot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionkit.synth.curves import bump, ease
from motionkit.synth.puppet import STANCE_M, Puppet
from motionkit.synth.wording import Kind

Float = NDArray[np.float64]

#: Where the pelvis is at script time u: x, z in metres, yaw in degrees, arrays like u.
Path = Callable[[Float], tuple[Float, Float, Float]]


@dataclass(frozen=True, kw_only=True)
class Stepping:
    """How feet follow a path."""

    period: float = 1.05
    """Script seconds of two steps."""
    duty: float = 0.6
    """Share of the cycle a foot stands; below 0.5 the body flies in between."""
    width: float = 0.075
    """Distance of each foot from the path, metres."""
    lift: float = 0.08
    """Height of a swinging foot, metres."""
    heel_strike: float = 18.0
    """Toes up on landing, degrees."""
    heel_off: float = 38.0
    """Heel up on leaving, degrees."""
    first: float = 0.0
    """Phase of the left foot at the start."""


def step(p: Puppet, path: Path, gait: Stepping) -> dict[str, Float]:
    """Set the pelvis on ``path`` and both feet under it; returns each foot's phase [F] 0..1.

    A standing foot stays exactly where the path passes in the middle of its stand, so feet
    cannot slide whatever the speed.
    """
    p.x, p.z, p.yaw = (np.array(a, dtype=float) for a in path(p.u))
    phases = {}
    for name, offset in (("left", 0.0), ("right", 0.5)):
        side, sign = p.side(name)
        cycle = p.u / gait.period + gait.first + offset
        number = np.floor(cycle)
        phase = cycle - number
        phases[name] = phase
        swing = np.clip((phase - gait.duty) / (1 - gait.duty), 0, 1)
        spot = [_stand(path, gait, number + ahead - gait.first - offset, sign) for ahead in (0, 1)]
        share = ease(swing)
        side.foot_x, side.foot_z, side.foot_yaw = (
            a + (b - a) * share for a, b in zip(*spot, strict=True)
        )
        side.lift = gait.lift * bump(swing) * (0.75 + 0.5 * (1 - swing))
        stand = phase / gait.duty
        landing = gait.heel_strike * (1 - ease(stand / 0.16)) * (phase < gait.duty)
        landing = landing + gait.heel_strike * ease((swing - 0.35) / 0.6) * (phase >= gait.duty)
        leaving = gait.heel_off * ease((stand - 0.62) / 0.38) * (phase < gait.duty)
        leaving = leaving + gait.heel_off * (1 - ease(swing / 0.5)) * (phase >= gait.duty)
        side.foot_pitch = leaving - landing
    return phases


def _stand(path: Path, gait: Stepping, cycle: Float, sign: float) -> tuple[Float, Float, Float]:
    """Place and yaw of a foot that stands in cycle number ``cycle``."""
    x, z, yaw = path((cycle + gait.duty / 2) * gait.period)
    angle = np.radians(yaw)
    return (
        x + sign * gait.width * np.cos(angle),
        z - sign * gait.width * np.sin(angle),
        yaw + sign * 4.0,
    )


def straight(speed_x: float = 0.0, speed_z: float = 0.0) -> Path:
    """Path at constant speed (metres a script second), facing +z throughout."""
    return lambda u: (speed_x * u, speed_z * u, np.zeros_like(u))


def arc(speed: float, turn_per_s: float) -> Path:
    """Path along a circle; ``turn_per_s`` degrees a script second, positive to the left."""
    rate = np.radians(turn_per_s)
    radius = speed / rate
    return lambda u: (
        radius * (1 - np.cos(rate * u)),
        radius * np.sin(rate * u),
        np.degrees(rate * u),
    )


def swing_arms(
    p: Puppet, phases: dict[str, Float], size: float, elbow: float, ahead: float = 0.02
) -> None:
    """Each arm swings with the leg of the other side; the trunk counters the pelvis.

    ``ahead`` is the phase at which a foot is furthest forward.
    """
    size *= p.style.swing
    for name in ("left", "right"):
        side, _ = p.side(name)
        wave = -np.cos(2 * np.pi * (phases[name] - ahead))
        side.flex = side.flex + size * wave
        side.elbow = side.elbow + elbow + 0.35 * size * (1 + wave)
    turn = np.cos(2 * np.pi * (phases["left"] - ahead))
    p.spine_twist += 0.25 * size * turn
    p.yaw = p.yaw - 3.0 * turn
    p.roll = p.roll + 2.0 * np.sin(2 * np.pi * phases["left"])


def _walk_on(p: Puppet, path: Path, forwards: bool = True, **changes: float) -> None:
    first = float(p.rng.uniform())
    gait = Stepping(first=first, **changes)
    phases = step(p, path, gait)
    p.y = p.y - 0.012 * p.style.bounce
    p.bend += 2
    # Walking backwards a foot is furthest forward when it leaves the floor.
    swing_arms(p, phases, 22.0, 6.0, ahead=0.02 if forwards else gait.duty)
    p.sway(0.5)


def _walk(p: Puppet) -> None:
    _walk_on(p, straight(0, p.rng.uniform(1.0, 1.25) * p.amp))


def _walk_backwards(p: Puppet) -> None:
    speed = p.rng.uniform(0.65, 0.85) * p.amp
    _walk_on(
        p, straight(0, -speed), False, heel_strike=-12.0, heel_off=-6.0, lift=0.09, period=1.15
    )


def _walk_arc(p: Puppet, sign: float) -> None:
    path = arc(p.rng.uniform(0.95, 1.15) * p.amp, sign * p.rng.uniform(38, 55))
    _walk_on(p, path)


def _run(p: Puppet) -> None:
    speed = p.rng.uniform(2.0, 2.4) * p.amp
    path: Path = straight(0, speed)
    if p.rng.uniform() < 0.65:  # most runs go round, so that they stay near the camera
        path = arc(speed, float(p.rng.choice([-1, 1]) * p.rng.uniform(60, 80)))
    _jog_on(p, path, heel_off=62.0, lift=0.26, knee_up=0.0)


def _jog_in_place(p: Puppet) -> None:
    _jog_on(p, straight(), heel_off=50.0, lift=0.24, knee_up=0.68)


def _jog_on(p: Puppet, path: Path, *, heel_off: float, lift: float, knee_up: float) -> None:
    gait = Stepping(
        period=0.72,
        duty=0.36,
        width=0.06,
        lift=lift * p.amp,
        heel_strike=6.0,
        heel_off=heel_off,
        first=float(p.rng.uniform()),
    )
    phases = step(p, path, gait)
    # Highest in the middle of each flight, twice a cycle.
    flight = 2 * (phases["left"] - gait.duty - (0.5 - gait.duty) / 2)
    p.y = p.y - 0.045 + 0.035 * p.style.bounce * np.cos(2 * np.pi * flight)
    p.bend += 7
    p.pitch += 4
    for name in ("left", "right"):
        side, _ = p.side(name)
        swing = np.clip((phases[name] - gait.duty) / (1 - gait.duty), 0, 1)
        side.dangle = bump(swing) ** 0.5
        side.point = 15 * bump(swing)
        side.flex = (
            side.flex - 4 - 34 * p.style.swing**0.5 * np.cos(2 * np.pi * (phases[name] - knee_up))
        )
        side.elbow = side.elbow + 62
        side.abduct += 6
    turn = np.cos(2 * np.pi * phases["left"])
    p.spine_twist += 10 * turn
    p.yaw = p.yaw - 4 * turn
    p.sway(0.4)


def _march(p: Puppet) -> None:
    gait = Stepping(
        period=1.1, duty=0.56, lift=0.0, heel_strike=0, heel_off=0, first=float(p.rng.uniform())
    )
    phases = step(p, straight(), gait)
    for name in ("left", "right"):
        side, _ = p.side(name)
        swing = np.clip((phases[name] - gait.duty) / (1 - gait.duty), 0, 1)
        up = bump(swing)
        side.lift = 0.36 * p.amp * up
        side.foot_z = side.foot_z + 0.24 * p.amp * up
        side.dangle, side.point = up, 12 * up
        side.flex = side.flex - 30 * p.amp * np.cos(2 * np.pi * (phases[name] - 0.78))
        side.elbow = side.elbow + 30
    p.sway(0.4)


def _side_step(p: Puppet, sign: float) -> None:
    """The leading foot reaches out, the other closes; then again."""
    period = 1.25
    size = 0.44 * p.amp
    cycle = p.u / period
    number, phase = np.floor(cycle), cycle - np.floor(cycle)
    lead, follow = (p.left, p.right) if sign > 0 else (p.right, p.left)
    go, close = ease((phase - 0.04) / 0.42), ease((phase - 0.52) / 0.42)
    lead.foot_x = sign * (STANCE_M + size * (number + go))
    follow.foot_x = sign * (-STANCE_M + size * (number + close))
    lead.lift = 0.07 * bump((phase - 0.04) / 0.42)
    follow.lift = 0.07 * bump((phase - 0.52) / 0.42)
    p.x = sign * size * (number + 0.5 * go + 0.5 * close)
    p.y -= 0.03
    for side, _ in p.sides:
        side.abduct += 10 * p.amp * bump(phase)
        side.elbow += 12
    p.sway(0.6)


def _turn(p: Puppet, sign: float) -> None:
    """Turns on the spot by small steps, with stops, always the same way."""
    amount = float(p.rng.choice([90.0, 180.0, 180.0, 360.0]))
    start, length = 0.12 * p.end, 0.62 * p.end
    length = max(length, amount / 150.0)

    def path(u: Float) -> tuple[Float, Float, Float]:
        share = np.clip((u - start) / length, 0, 1)
        # Even turning with soft ends: feet then need no long swings.
        soft = 0.7 * share + 0.3 * ease(share)
        return np.zeros_like(u), np.zeros_like(u), sign * amount * soft

    gait = Stepping(
        period=0.9, duty=0.62, width=STANCE_M, lift=0.0, heel_strike=0, heel_off=0, first=0.2
    )
    step(p, path, gait)
    for side, _ in p.sides:
        side.lift = 0.06 * _moving(side.foot_yaw)
        side.abduct += 4
    head = np.gradient(p.yaw) * p.fps
    p.look += np.clip(head * 0.15, -25, 25)
    p.sway(0.6)


def _moving(values: Float) -> Float:
    """0..1: how fast a curve is changing, 1 at its fastest."""
    speed = np.abs(np.gradient(values))
    return speed / max(float(speed.max()), 1e-6)


GAITS: tuple[Kind, ...] = (
    Kind(
        "walk",
        _walk,
        ("a person walks forward", "someone is walking straight ahead", "the person walks"),
    ),
    Kind(
        "walk_backwards",
        _walk_backwards,
        ("a person walks backwards", "someone steps backward", "the person is walking in reverse"),
    ),
    Kind(
        "walk_curve_left",
        lambda p: _walk_arc(p, 1.0),
        (
            "a person walks in a curve to the left",
            "someone walks forward while turning left",
            "the person walks around a counterclockwise circle",
        ),
    ),
    Kind(
        "walk_curve_right",
        lambda p: _walk_arc(p, -1.0),
        (
            "a person walks in a curve to the right",
            "someone walks forward while turning right",
            "the person walks around a clockwise circle",
        ),
    ),
    Kind("run", _run, ("a person runs", "someone is running forward", "the person jogs along")),
    Kind(
        "jog_in_place",
        _jog_in_place,
        ("a person jogs in place", "someone runs on the spot", "the person is jogging in place"),
    ),
    Kind(
        "march",
        _march,
        (
            "a person marches in place",
            "someone marches on the spot lifting the knees high",
            "the person lifts one knee after the other while standing in place",
        ),
    ),
    Kind(
        "side_step_left",
        lambda p: _side_step(p, 1.0),
        (
            "a person steps sideways to the left",
            "someone side steps to their left",
            "the person moves to the left with side steps",
        ),
    ),
    Kind(
        "side_step_right",
        lambda p: _side_step(p, -1.0),
        (
            "a person steps sideways to the right",
            "someone side steps to their right",
            "the person moves to the right with side steps",
        ),
    ),
    Kind(
        "turn_left",
        lambda p: _turn(p, 1.0),
        (
            "a person turns to the left in place",
            "someone turns left on the spot",
            "the person turns around to their left",
        ),
    ),
    Kind(
        "turn_right",
        lambda p: _turn(p, -1.0),
        (
            "a person turns to the right in place",
            "someone turns right on the spot",
            "the person turns around to their right",
        ),
    ),
)
