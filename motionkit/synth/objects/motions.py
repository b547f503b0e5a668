"""The motions that sentences can name, each with its script and the rule that the README tells."""

from __future__ import annotations

import dataclasses
from typing import Final

from motionkit.synth.objects import courses
from motionkit.synth.objects.courses import Script


@dataclasses.dataclass(frozen=True, kw_only=True)
class Motion:
    """One motion that sentences can name."""

    name: str
    family: str
    """Key of its wordings."""
    direction: str
    """'left', 'up_right', 'clockwise' …; '' where it has none."""
    script: Script
    rule: str
    """What its numbers are, for the data's README."""
    has_speed: bool = True
    rolls: bool = False
    """Wants a round shape."""
    flat: bool = False
    """Turns over: wants a flat shape, and shows its back."""
    upright: bool = False
    """Hangs or stands: no tilt at the start."""
    grows: float = 0.0
    """1: starts small; -1: starts large."""


def _all() -> list[Motion]:
    line = "speed of `LINEAR`"
    bounces = "1.15 × `CYCLES` bounces a second, 0.24-0.32 of the height, from the ground up"
    sides = ("left", "right")
    found = [
        Motion(
            name=f"move_{way}", family="move", direction=way, script=courses.move(way), rule=line
        )
        for way in courses.WAYS
    ]
    for way in sides:
        found += [
            Motion(
                name=f"roll_{way}",
                family="roll",
                direction=way,
                script=courses.roll(way),
                rolls=True,
                rule=f"{line}; it turns as a wheel of its size does",
            ),
            Motion(
                name=f"accelerate_{way}",
                family="accelerate",
                direction=way,
                script=courses.accelerate(way),
                rule="from rest; over the first 1.5 s its mean is a " + line,
            ),
            Motion(
                name=f"slow_down_{way}",
                family="slow_down",
                direction=way,
                script=courses.slow_down(way),
                rule="comes to rest after 1.5 s; until then its mean is a " + line,
            ),
            Motion(
                name=f"stop_and_go_{way}",
                family="stop_and_go",
                direction=way,
                script=courses.stop_and_go(way),
                rule="0.5 s at 1.5 times a " + line + ", 0.4 s of rest, and so on",
            ),
            Motion(
                name=f"turn_back_{way}",
                family="turn_back",
                direction=way,
                script=courses.turn_back(way),
                rule=line + "; it turns round after 0.75 s",
            ),
            Motion(
                name=f"zigzag_{way}",
                family="zigzag",
                direction=way,
                script=courses.zigzag(way),
                rule=line
                + "; first upwards, 1.25 a second, 0.11-0.15 of the height to either side",
            ),
            Motion(
                name=f"bounce_{way}",
                family="bounce_along",
                direction=way,
                script=courses.hop(way),
                upright=True,
                rule=f"{line}; {bounces}",
            ),
        ]
    for sign, way in ((1, "clockwise"), (-1, "anticlockwise")):
        found += [
            Motion(
                name=f"spin_{way}",
                family="spin",
                direction=way,
                script=courses.spin(sign),
                rule="`TURNS` degrees a second, in place",
            ),
            Motion(
                name=f"circle_{way}",
                family="circle",
                direction=way,
                script=courses.circle(sign),
                rule="from its top; radius 0.17-0.22 of the height; 0.85 × `CYCLES` a second",
            ),
        ]
    cycles = "`CYCLES` a second"
    found += [
        Motion(
            name="fall",
            family="fall",
            direction="down",
            script=courses.fall,
            rule="falls 0.55 of the height in `FALLS` seconds, ever faster, and lies still",
        ),
        Motion(
            name="bounce",
            family="bounce",
            direction="",
            script=courses.hop(""),
            upright=True,
            rule=f"in place; {bounces}",
        ),
        Motion(
            name="jump",
            family="jump",
            direction="",
            script=courses.jump,
            upright=True,
            rule="once, after 0.15 s; 0.32-0.4 of the height, `FALLS` seconds in the air",
        ),
        Motion(
            name="flutter",
            family="flutter",
            direction="down",
            script=courses.flutter,
            flat=True,
            rule="sinks at 0.8 of a `LINEAR` speed; sways, first to the right, 0.9 times a second",
        ),
        Motion(
            name="approach",
            family="approach",
            direction="",
            script=courses.grow(1),
            grows=1,
            rule="grows by a factor of exp(`GROWTH`) a second, in place",
        ),
        Motion(
            name="recede",
            family="recede",
            direction="",
            script=courses.grow(-1),
            grows=-1,
            rule="shrinks by a factor of exp(`GROWTH`) a second, in place",
        ),
        Motion(
            name="swing",
            family="swing",
            direction="",
            script=courses.swing,
            upright=True,
            rule="half the height long, 30-38° each way, from the left; 0.85 × `CYCLES` a second",
        ),
        Motion(
            name="shuttle",
            family="shuttle",
            direction="",
            script=courses.shuttle,
            rule=f"to and fro, first to the right, 0.11-0.14 of the width to either side; {cycles}",
        ),
        Motion(
            name="bob",
            family="bob",
            direction="",
            script=courses.bob,
            rule=f"up and down, first up, 0.11-0.14 of the height to either side; {cycles}",
        ),
        Motion(
            name="figure_eight",
            family="figure_eight",
            direction="",
            script=courses.eight,
            rule="a lying eight, first up and to the right; 0.6 × `CYCLES` a second",
        ),
        Motion(
            name="flip",
            family="flip",
            direction="",
            script=courses.flip,
            flat=True,
            rule="turns over about an axis in the picture; 0.6 × `CYCLES` a second",
        ),
        Motion(
            name="rock",
            family="rock",
            direction="",
            script=courses.rock,
            upright=True,
            rule=f"tilts 26° to either side in place, first clockwise; {cycles}",
        ),
        Motion(
            name="tremble",
            family="tremble",
            direction="",
            script=courses.tremble,
            has_speed=False,
            rule="shakes by 0.007 of the width",
        ),
        Motion(
            name="still",
            family="still",
            direction="",
            script=courses.still,
            has_speed=False,
            rule="does not move",
        ),
    ]
    return found


MOTIONS: Final[dict[str, Motion]] = {motion.name: motion for motion in _all()}
