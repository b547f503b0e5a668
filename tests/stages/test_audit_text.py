"""What the text of a caption alone gives away."""

from __future__ import annotations

import pytest

from motionkit.stages._audit_text import normalised, text_findings


def codes(text: str) -> set[str]:
    return {code for code, _, _ in text_findings(text, words_min=3, words_max=60)}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("jumps", "few-words"),
        ("a person " + "walks and waits and " * 20, "many-words"),
        ("Eine Person geht nach links und winkt mit der Hand", "not-english"),
        ("Une personne marche vers la gauche avec les bras en l'air", "not-english"),
        ("una persona camina hacia la izquierda y levanta las manos", "not-english"),
        ("一个人向左走然后挥手 then stops", "not-english"),
        ("A person **walks** forward", "markup"),
        ("<b>A person</b> walks forward", "markup"),
        ("A person walks forward.<|im_end|>", "markup"),
        ("Answer: a person walks forward", "markup"),
        ("- A person walks\n- A person stops there", "markup"),
        ("The person in the red bounding box walks forward", "prompt-echo"),
        ("In chronological order, the person walks and sits", "prompt-echo"),
        ("I'm sorry, but I cannot describe this video", "refusal"),
        ("As an AI language model, no motion is seen by me", "refusal"),
        ("There is no person visible here at all", "refusal"),
        ("The video does not show any clear motion", "refusal"),
        ("A person wearing something walks forward", "appearance"),
        ("The person in the blue shirt jumps", "appearance"),
        ("An elderly person walks slowly", "appearance"),
        ("A person with long hair turns around", "appearance"),
        ("A man walks forward", "gendered"),
        ("The person raises her arm", "gendered"),
        ("A person walks. The person then jumps up. The person then jumps up.", "repeated-phrase"),
        ("a person walks and walks and walks and walks and walks on", "repeated-phrase"),
        ("the person jumps jumps jumps", "repeated-phrase"),
    ],
)
def test_a_fault_is_found(text: str, code: str) -> None:
    assert code in codes(text)


@pytest.mark.parametrize(
    "text",
    [
        "A person walks forward, then turns to their left and sits down.",
        "a person bows, in a feminine style",
        "a person dashes, in a old style",
        "someone steps to the left, steps to the right and steps to the left again",
        "The person cannot quite reach the floor, bends down again, then stands up.",
        "A person raises both arms above the head twice and lowers them - slowly.",
        "The person walks towards a white wall on a green field",
        "a person side-steps to their left, to the right of the picture",
        "person jumps twice",
        "A person performs a tie fighter's salute, then runs 2 steps.",
    ],
)
def test_a_sound_caption_has_no_finding(text: str) -> None:
    assert codes(text) == set()


def test_duplicates_are_counted_by_words_alone() -> None:
    assert normalised("A person  WALKS, forward.") == normalised("a person walks forward")
    assert normalised("1 2 3 …") == ""
