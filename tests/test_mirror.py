"""Words of the mirrored video."""

from __future__ import annotations

import random

import pytest

from motionkit.mirror import mirrored_text


@pytest.mark.parametrize(
    ("text", "mirrored"),
    [
        ("raises the left arm", "raises the right arm"),
        ("Left foot first, then the RIGHT", "Right foot first, then the LEFT"),
        ("a left-handed throw", "a right-handed throw"),
        ("a right-footed kick by a lefty", "a left-footed kick by a righty"),
        ("steps leftwards to the rightmost box", "steps rightwards to the leftmost box"),
        ("from left to right", "from right to left"),
        ("throws lefts and rights", "throws rights and lefts"),
        ("turns clockwise", "turns counterclockwise"),
        ("spins Counter-clockwise", "spins Clockwise"),
        ("spins counter clockwise", "spins clockwise"),
        ("turns right before jumping", "turns left before jumping"),
        ("to the right behind the chair", "to the left behind the chair"),
        ("on his right, then right now", "on his left, then right now"),
        ("is left of the tree", "is right of the tree"),
        ("he has left hand up", "he has right hand up"),
        ("left, right, left", "right, left, right"),
        ("turns to his own left while moving", "turns to his own right while moving"),
        ("moves left before jumping", "moves to the right before jumping"),
        (
            "he left with his left foot right in front of the right chair",
            "he left with his right foot right in front of the left chair",
        ),
    ],
)
def test_sides_change_places(text, mirrored):
    assert mirrored_text(text) == mirrored
    assert mirrored_text(mirrored_text(mirrored)) == mirrored


@pytest.mark.parametrize(
    "text",
    [
        "turns round right now and right away",
        "claps right after landing, right before the end",
        "stands right next to the wall, right behind him, right in front of me",
        "bends the knee at a right angle, right angles, right-angled",
        "does it the right way at the right time",
        "all right, that's right, alright",
        "upright, bright, frightened, leftover, cleft, copyright",
        "you saw it, right?",
        "human rights",
        "he rights himself",
        "gets right back up",
        "he left the room",
        "the person left the stage",
        "She left. They left quickly",
        "the woman left, everyone left",
        "having left the car",
        "what is left",
        "nothing left to do, no time left",
        "is left standing, was left behind",
    ],
)
def test_words_that_are_no_sides_stay(text):
    assert mirrored_text(text) == text


def test_twice_gives_the_text_back_where_the_side_is_plain():
    text = "Left hand up, then right; clockwise, leftmost and RIGHT-handed, then left."
    assert mirrored_text(mirrored_text(text)) == text != mirrored_text(text)


def test_any_text_says_the_same_after_two_more_mirrors():
    """Whatever stands around: nothing is swapped one way and not back."""
    words = (
        *("left", "right", "the", "his", "he", "person", "turns", "moves", "steps", "to", "on"),
        *("now", "away", "before", "behind", "in", "front", "of", "room", "hand", "angle", "is"),
        *("was", "has", "what", "all", "back", "up", ",", ".", "and", "then", "clockwise"),
        *("leftmost", "rights"),
    )
    chance = random.Random(0)
    for _ in range(3000):
        once = mirrored_text(" ".join(chance.choices(words, k=chance.randint(2, 7))))
        assert mirrored_text(mirrored_text(once)) == once


def test_long_texts_take_linear_time():
    assert mirrored_text("left " * 20_000) == "right " * 20_000
