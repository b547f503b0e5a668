"""What a caption is taken to claim."""

from __future__ import annotations

import pytest

from motionkit.stages._audit_claims import read_claims


def limbs(text: str) -> list[str]:
    return [f"{c.side} {c.limb} {c.manner}" for c in read_claims(text).limbs]


def ways(text: str) -> list[str]:
    return [f"{c.side} {c.kind} {c.frame}" for c in read_claims(text).ways]


def motions(text: str) -> list[str]:
    return [c.motion for c in read_claims(text).motions]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A person raises the left arm.", ["left arm raise"]),
        ("kicks with his left leg", ["left leg kick"]),
        ("the left hand waves", ["left arm move"]),
        ("steps with the right foot", ["right leg step"]),
        ("stands on the left leg", ["left leg support"]),
        ("throws a ball with his right hand", ["right arm move"]),
        ("performs a right high kick", ["right leg kick"]),
        ("points forward with the right index finger raised", []),
        (
            "steps forward with the left foot and punches with the right fist",
            ["left leg step", "right arm move"],
        ),
        ("keeps the left hand on the hip", []),
        ("touches the left shoulder with the right hand", ["right arm act"]),
        ("rests the right foot on the floor", []),
        ("raises the left and right arms", []),
        ("another person raises the left arm", []),
        ("the person does not raise the left arm", []),
        ("is about to kick with the right leg", []),
        ("A man greets someone with his left hand", ["left arm move"]),
        ("a right-handed wave", ["right arm move"]),
        ("a right-handed pitcher stands there", []),
        ("punches with the right", ["right arm move"]),
        ("left foot forward, the person pauses", ["left leg act"]),
        ("holds the left hand up", ["left arm raise"]),
        ("holds a cup in the left hand", []),
        ("with the right hand held high, she looks ahead", ["right arm raise"]),
        ("there is movement in the left arm", ["left arm move"]),
        ("appears to be waving with the left hand", ["left arm move"]),
        ("pretends to throw with the right hand", ["right arm move"]),
        ("works his left arm around", ["left arm act"]),
        ("the left hand is free", []),
        ("makes a right-hand turn", []),
    ],
)
def test_limbs(text: str, expected: list[str]) -> None:
    assert limbs(text) == expected


def test_every_limb_that_is_named_is_known() -> None:
    claims = read_claims("lifts the left hand, then the right hand")
    assert limbs("lifts the left hand, then the right hand") == ["left arm raise", "right arm act"]
    assert claims.named == {("arm", "left"), ("arm", "right")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a person walks sideways to the left", ["left side-step open"]),
        ("a person walks and turns left", ["left turn open"]),
        ("turns to their right", ["right turn own"]),
        ("walks to the left of the picture", ["left travel picture"]),
        ("moves from left to right", ["right travel picture"]),
        ("turns the head to the left", []),
        ("leans to the left", []),
        ("steps to the left and to the right", []),
        ("swings the arms to the left", []),
        ("the person has left the room", []),
        ("walks to the viewer's left", ["left travel picture"]),
        ("walks left across the frame", ["left travel picture"]),
        ("turns to the man's left", ["left turn own"]),
        ("makes a sharp right turn", ["right turn open"]),
        ("a leftward turn", ["left turn open"]),
        ("takes a left", ["left turn open"]),
        ("pivoted to face left", ["left turn open"]),
        ("veers off to the right", ["right turn open"]),
        ("sidles rightwards", ["right side-step open"]),
        ("someone stumbles to their left", ["left go own"]),
        ("walks left, then right", []),
        ("sits down to the left of another", []),
        ("stands to the left of the table", []),
        ("pushes the box to the left", []),
        ("spins clockwise", []),
    ],
)
def test_ways(text: str, expected: list[str]) -> None:
    assert ways(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a person walks", ["walk"]),
        ("a person runs, then jumps", ["run", "jump"]),
        ("stands completely still", ["still"]),
        ("raises both arms", ["raise-arms"]),
        ("a person runs their hands through the air", []),
        ("a person jumps rope", []),
        ("turns their head around", []),
        ("without jumping", []),
        ("walks like somebody who jumps", ["walk"]),
    ],
)
def test_motions(text: str, expected: list[str]) -> None:
    assert motions(text) == expected


def test_a_text_without_end_is_read_up_to_a_length() -> None:
    claims = read_claims("raises the left hand " * 3000)
    assert 0 < len(claims.limbs) < 40
