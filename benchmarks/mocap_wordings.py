"""A second set of wordings for the facts of `mocap_captions`, written before the audit was ever
run on them and with verbs that the first set does not use: what the audit makes of captions that
nobody tuned it on. {s} is the side, {S} the same with a capital, {p} a possessive."""

from __future__ import annotations

import zlib

#: Fact → templates.
FRESH: dict[str, tuple[str, ...]] = {
    "raise": (
        "The person's {s} arm shoots up beside the head.",
        "With the {s} hand held high, the person looks ahead.",
        "A man hoists his {s} arm skyward.",
        "She reached up with her {s} hand.",
        "He has his {s} arm up in the air.",
        "The subject puts up {p} {s} hand as if asking a question.",
        "An individual signals by lifting up the {s} arm.",
        "{S} arm raised, then lowered.",
        "The figure brings the {s} hand up to head level.",
        "Using the {s} arm, the person reaches overhead.",
        "A woman's {s} hand rises slowly.",
    ),
    "wave": (
        "A man greets someone with his {s} hand.",
        "The woman waved her {s} hand from side to side.",
        "{S} hand waving in the air.",
        "He is saying hello with a wave of the {s} hand.",
        "The person shakes the {s} hand back and forth above the shoulder.",
        "A person gives a {s}-handed wave.",
        "Someone flaps their {s} hand beside their head.",
        "The person waves, using only the {s} hand, and then stops.",
        "A person waves with {p} {s}.",
    ),
    "move": (
        "The {s} arm is the one that moves.",
        "He works his {s} arm around while the rest of the body is calm.",
        "A person acts something out with {p} {s} arm.",
        "They stir the air with the {s} hand.",
        "Only the {s} hand is in motion.",
        "The {s} forearm goes back and forth.",
        "The person made a motion with the {s} hand.",
        "There is movement in the {s} arm.",
        "A person was motioning with the {s} arm.",
    ),
    "kick": (
        "He booted the air with his {s} foot.",
        "A {s}-footed kick.",
        "The {s} knee comes up toward the chest.",
        "A person brings up {p} {s} leg and sets it down.",
        "The dancer flicks her {s} leg outward.",
        "The {s} leg swings out.",
        "She picked up her {s} foot.",
        "The person's {s} leg leaves the floor.",
    ),
    "step": (
        "{S} foot forward, the person pauses.",
        "He put his {s} foot out to the side.",
        "She takes one step using the {s} leg.",
        "A person shifts the {s} foot on the floor.",
        "The person repositions {p} {s} foot.",
    ),
    "side-step": (
        "A person strafes {s}.",
        "He shuffles over to his {s}.",
        "The person moves {s}ward, facing the same way.",
        "Someone drifts sideways towards {p} {s} side.",
        "The person sidles {s}wards.",
        "A person travels laterally to the {s}.",
        "The man took several sideways steps to the {s}.",
    ),
    "turn": (
        "A man rotates his body {s}.",
        "They make a {s} turn.",
        "The person swivels {s}.",
        "She pivoted to face {s}.",
        "He changes direction, heading {s}.",
        "A {s}ward turn by the person.",
        "The person veers {s} while moving.",
        "The person is moving, and takes a turn to the {s}.",
        "A person curves to {p} {s}.",
        "Someone turned around to the {s} and kept going.",
        "The figure makes a {s}-hand turn.",
    ),
}
#: True of both sides or of none; nothing to swap.
FRESH_BOTH: dict[str, tuple[str, ...]] = {
    "raise": ("The person throws both hands up.", "Left and right hands reach for the ceiling.",
              "First the right arm comes up, then the left."),
    "walk": ("Someone strolls along.", "The person sets one foot before the other, left and right.",
             "They stride ahead, arms swinging left and right."),
    "quiet": ("The person barely shifts.", "Looking left and right, the person waits."),
}  # fmt: skip
#: What stands around a sentence of several.
CONTEXTS = (
    "{text}",
    "{text}",
    "The person is in an empty room. {text}",
    "{text} Afterwards the person stands there.",
    "In this clip one person can be seen from head to toe. {text} The camera does not move.",
)
_PRONOUNS = ("his", "her", "their")


def fresh_captions(
    sided: list[tuple[str, str]], both: list[str], key: str
) -> list[tuple[str, str, str]]:
    """(fact, side, text) of every template of a motion's facts. ``key`` chooses pronouns and
    contexts."""
    found = []
    for fact, side in sided:
        for template in FRESH[fact]:
            number = zlib.crc32(f"{key} {template}".encode())
            words = template.format(s=side, S=side.capitalize(), p=_PRONOUNS[number % 3])
            found.append((fact, side, CONTEXTS[number // 3 % len(CONTEXTS)].format(text=words)))
    found += [(fact, "", text) for fact in both for text in FRESH_BOTH[fact]]
    return found
