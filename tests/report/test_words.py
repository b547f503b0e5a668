from __future__ import annotations

import pytest

from motionkit.report.words import read_words, split_words


def test_words_are_split_without_digits_and_signs():
    assert split_words("He doesn't T-pose 3 times, hé!") == [
        "he",
        "doesn't",
        "t-pose",
        "times",
        "hé",
    ]


def test_caption_statistics(factory):
    factory.fill(videos=2, frames=60, caption="Waves, waves and bows.")
    words = read_words(factory.workspace)
    assert (words.clips, words.captions) == (2, 4)
    assert dict(words.sources) == {"kinematic": 2, "sidecar": 2}
    assert words.mean_length == pytest.approx(4.5)
    assert words.frequent(2) == [("waves", 4), ("bows", 2)]
    assert words.repeated == [("Waves, waves and bows.", 2)]
