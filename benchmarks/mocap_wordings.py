"""Three more sets of wordings for the facts of `mocap_captions`, each written before the audit was
ever run on it and with words that the sets before do not use.

The first runs flagged 47 % (`FRESH`), 75 % (`RARE`, far-fetched words) and 93 % (`USUAL`, as
annotators and models mostly write) of the captions with left and right exchanged; after each run
the audit's grammar was widened. {s} is the side, {S} with a capital, {p} a possessive."""

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
#: Far-fetched words.
RARE: dict[str, tuple[str, ...]] = {
    "raise": (
        "The individual thrusts {p} {s} fist toward the ceiling.",
        "Standing upright, a person sticks {p} {s} hand up.",
        "{S} hand goes high, then drops back.",
        "A person volunteers by putting their {s} hand in the air.",
        "He was stretching his {s} arm above his head.",
        "One arm, the {s} arm, is lifted for a moment.",
        "A figure slowly elevates the {s} forearm and relaxes it.",
    ),
    "wave": (
        "Person waves goodbye using the {s} arm.",
        "A guy beckons with his {s} hand.",
        "They wiggle the {s} hand around in a greeting.",
        "The {s} hand sways to and fro as if greeting a friend.",
        "A friendly {s}-hand wave.",
        "She was waving, her {s} arm high.",
        "a man waves at somebody with his {s} hand, smiling",
    ),
    "move": (
        "Some activity of the {s} arm can be observed.",
        "The person fidgets with the {s} arm.",
        "A person directs someone with the {s} hand.",
        "His {s} arm bobs while he goes on.",
        "The person drew shapes in the air with her {s} hand.",
        "A figure swishes the {s} arm.",
        "Mostly the {s} arm of the person is moving.",
    ),
    "kick": (
        "A powerful kick with the {s} foot.",
        "The person hikes up the {s} knee.",
        "The person is striking out with {p} {s} leg.",
        "{S} leg up, the person balances.",
    ),
    "step": (
        "The person plants the {s} foot elsewhere.",
        "The {s} foot travels a little while the other one stays.",
        "A small step is made with the {s} leg.",
    ),
    "side-step": (
        "The person goes sideways, {s}.",
        "He crab-walks to the {s}.",
        "Moving in a {s}ward direction, the person keeps facing ahead.",
        "A person scuttles to {p} {s} side.",
    ),
    "turn": (
        "The body comes round to the {s}.",
        "A person makes a turn towards the {s}.",
        "The individual walks and then swings round to {p} {s}.",
        "The walker banks {s}.",
        "The person's path bends to the {s}.",
        "She wheels about to the {s}.",
        "He has turned {s} by the end.",
        "After a few paces the person turned {s}wards.",
        "A person is walking in a curve to the {s}.",
        "A gradual {s} turn.",
        "One sees a person take a {s}-hand bend.",
    ),
}
#: As annotators and models mostly write.
USUAL: dict[str, tuple[str, ...]] = {
    "raise": (
        "A man is lifting his {s} arm up.",
        "The person in the video holds {p} {s} hand up and then puts it down.",
        "a person puts their {s} arm above their head",
        "The woman's {s} hand is raised above her head as she stands facing forward.",
        "A person slowly brings up {p} {s} arm, keeps it there, and lets it fall.",
        "the figure extends its {s} arm upward",
        "raising {p} {s} hand, the person seems to ask for attention",
        "A person with their {s} hand up.",
    ),
    "wave": (
        "a man waves with his {s} hand",
        "The person lifts {p} {s} arm and waves it several times.",
        "Someone waved at the camera with their {s} hand.",
        "The person moves {p} {s} hand quickly as a greeting.",
        "A person is standing and waving their {s} arm in the air.",
        "The woman keeps waving her {s} hand while standing.",
    ),
    "move": (
        "A man makes gestures with his {s} hand.",
        "The person is swinging {p} {s} arm.",
        "a person uses the {s} hand to show something",
        "The person's {s} hand moves in front of the body.",
        "A person is moving their {s} hand as they talk.",
        "The man shakes his {s} arm.",
    ),
    "kick": (
        "a man kicks something with his {s} foot",
        "The person raises {p} {s} leg off the ground and lowers it again.",
        "A person performs a kick using their {s} leg.",
        "someone lifts their {s} foot up",
    ),
    "step": (
        "A person takes a step with their {s} leg.",
        "the person moves the {s} foot forward",
        "stepping out with the {s} foot",
        "The man puts his {s} foot forward.",
    ),
    "side-step": (
        "a person moves to the {s}",
        "The person steps sideways to the {s} a few times.",
        "A man side steps {s}.",
        "the person is walking {s} sideways",
        "The person walks to {p} {s} side.",
    ),
    "turn": (
        "a person turns {s} while walking",
        "The man walks forward, then makes a {s} turn and continues.",
        "A person walks in a curved path, turning to the {s}.",
        "Someone walks and takes a {s} turn.",
        "the person rotates to the {s}",
        "A woman turned her body to the {s}.",
        "The person turns around to {p} {s}.",
        "walking forward and then turning {s}",
        "A person turns about ninety degrees to their {s}.",
        "The person is walking in an arc to the {s}.",
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


def worded(
    sided: list[tuple[str, str]], both: list[str], key: str, wordings: dict[str, tuple[str, ...]]
) -> list[tuple[str, str, str]]:
    """(fact, side, text) of every template in ``wordings`` (`FRESH`, `RARE`, `USUAL`) of a motion's
    facts. ``key`` chooses pronouns and contexts."""
    found = []
    for fact, side in sided:
        for template in wordings[fact]:
            number = zlib.crc32(f"{key} {template}".encode())
            words = template.format(s=side, S=side.capitalize(), p=_PRONOUNS[number % 3])
            context = CONTEXTS[number // 3 % len(CONTEXTS)]
            if context != "{text}":
                words = words.rstrip(".") + "."
            found.append((fact, side, context.format(text=words)))
    if wordings is FRESH:
        found += [(fact, "", text) for fact in both for text in FRESH_BOTH[fact]]
    return found
